"""The precisions: what an operand is, what sums are kept in, how exact one operation is."""

from __future__ import annotations

from dataclasses import dataclass

from flopbench.errors import UnknownName


@dataclass(frozen=True)
class Precision:
    """One operand type and the accumulator that normally goes with it.

    name             as on the command line and in kernel names
    operand          NumPy name of the operand type, or bfloat16, or float8_e4m3fn, which NumPy does not have
    accumulator      NumPy name of the type that sums are kept in
    operand_bytes    size of one operand
    unit_roundoff    u = 2^-p of the operand type, p = significand bits with the hidden one; 0 for integers, which are exact
    unit             "FLOP/s", or "OP/s" for integers: never mixed
    """

    name: str
    operand: str
    accumulator: str
    operand_bytes: int
    unit_roundoff: float
    unit: str = "FLOP/s"

    @property
    def storage(self) -> str:
        """NumPy name of what one operand is carried in: its type, or an unsigned integer with its bit pattern."""
        return {"bfloat16": "uint16", "float8_e4m3fn": "uint8"}.get(self.operand, self.operand)


#: Significand widths p: IEEE 754-2019 table 3.5 (53, 24, 11); bfloat16 has 8; TF32 keeps 11 of FP32's 24 (NVIDIA Ampere white paper);
#: FP8 is E4M3, 4 bits of significand (OCP 8-bit Floating Point Specification, 2023; Micikevicius et al., arXiv:2209.05433).
PRECISIONS: dict[str, Precision] = {
    p.name: p
    for p in (
        Precision("fp64", "float64", "float64", 8, 2.0**-53),
        Precision("fp32", "float32", "float32", 4, 2.0**-24),
        Precision("tf32", "float32", "float32", 4, 2.0**-11),
        Precision("bf16", "bfloat16", "float32", 2, 2.0**-8),
        Precision("fp16", "float16", "float32", 2, 2.0**-11),
        Precision("fp8", "float8_e4m3fn", "float32", 1, 2.0**-4),
        Precision("int8", "int8", "int32", 1, 0.0, "OP/s"),
    )
}

#: Unit roundoff of the accumulators, by NumPy name.
ACCUMULATOR_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "int32": 0.0}


def precision(name: str) -> Precision:
    """The precision called `name`. Raises UnknownName."""
    try:
        return PRECISIONS[name]
    except KeyError:
        raise UnknownName("precision", name, PRECISIONS, f"all: {', '.join(PRECISIONS)}") from None
