"""What an entry of the hardware table may say. Strict at every level: an unknown key is an error, and so is a missing source.

Every number carries its unit in its key. There is no key for a 2:4-sparse rate, on purpose: a dense matrix product can only be
held against a dense peak. Rates of integers (INT8) have a key of their own (`dense_tops`), so that OP/s and FLOP/s never mix.
"""

from __future__ import annotations

from typing import Literal

import msgspec

UnitKind = Literal["vector", "tensor"]
#: Bits of one operand, by precision. TF32 operands are read as FP32 words.
OPERAND_BITS = {"fp64": 64, "fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8}


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """An entry; an unknown key is an error."""


class Source(_Strict):
    """A document. `url` may hold {item}, which an entry's `source_item` fills in: the vendor's page of that one product.

    `read_through` names what of the document was read, or the copy or quotation of it; empty means that the document was named
    from knowledge and not read. `unread` names the numbers that were not found in what was read.
    """

    id: str
    title: str
    publisher: str
    url: str
    read_through: str = ""
    unread: str = ""
    note: str = ""


class CpuArithmetic(_Strict):
    """What one core can do in one cycle in one precision, with one instruction set.

    Either `pipes`, `width_bits` and `operations_per_lane` are given, and then flop_per_cycle_per_core must be
    pipes x width_bits / operand bits x operations_per_lane (1 for an add or a multiply, 2 for a fused multiply-add or a dot
    product, 4 for a matrix instruction that uses every operand twice), or `basis` says in words where the number comes from.
    """

    precision: str
    unit: UnitKind
    isa: str
    accumulator: str
    flop_per_cycle_per_core: float
    source: str
    pipes: float | None = None
    width_bits: int | None = None
    operations_per_lane: int | None = None
    basis: str = ""
    needs: list[str] = []  # flags, by the kernel's names, without which a machine cannot reach this row


class Microarchitecture(_Strict):
    """A core design. `name_patterns` are regular expressions over normalised model names, tried when the model is not in the table.

    `detected_as` are the names under which detection knows it; empty means its own. Two designs with one such name (one or two FMA
    units, say) cannot be told apart without the model's name.
    """

    name: str
    title: str
    vendor: str
    architecture: str
    arithmetic: list[CpuArithmetic]
    name_patterns: list[str] = []
    detected_as: list[str] = []
    note: str = ""


class CpuModel(_Strict):
    """One processor as sold. `cores` are physical cores of one socket. A clock that the vendor does not print stays out."""

    name: str
    microarchitecture: str
    cores: int
    base_ghz: float
    source: str
    boost_ghz: float | None = None  # of one core, the highest that the vendor prints
    source_item: str = ""
    aliases: list[str] = []
    note: str = ""


class GpuArithmetic(_Strict):
    """What one multiprocessor can do in one cycle in one precision, dense."""

    precision: str
    unit: UnitKind
    accumulator: str
    flop_per_cycle_per_multiprocessor: float
    source: str
    note: str = ""


class GpuArchitecture(_Strict):
    """A GPU design. `multiprocessor` is the vendor's word for the block that is counted: SM, CU, Xe core."""

    name: str
    title: str
    vendor: str
    multiprocessor: str
    arithmetic: list[GpuArithmetic]
    compute_capability: str | None = None
    ratio_exception: str = ""  # why FP16 is not 2 x TF32, or INT8 not 2 x FP16, on its tensor units
    note: str = ""


class GpuPeak(_Strict):
    """One dense rate of the vendor's data sheet. Exactly one of dense_tflops and dense_tops is given.

    `printed` says how the figure stands in the document: as the dense rate, or as a 2:4-sparse one of which this is half.
    `clock_ghz` is the clock that the figure holds for. Where rate and multiprocessors x FLOP/cycle x clock differ by more than
    2 %, `disagreement` says why; where the vendor prints no clock or count, `unchecked` says so and the clock is left out.
    """

    precision: str
    unit: UnitKind
    accumulator: str
    source: str
    dense_tflops: float | None = None
    dense_tops: float | None = None
    clock_ghz: float | None = None
    printed: Literal["dense", "half of the sparse figure", "derived"] = "dense"
    disagreement: str = ""
    unchecked: str = ""

    @property
    def flops(self) -> float:
        """The rate in FLOP/s, or OP/s for integers."""
        return (self.dense_tflops if self.dense_tflops is not None else self.dense_tops or 0.0) * 1e12


class GpuModel(_Strict):
    """One GPU as sold, or a board or rack of `devices` of them; counts, memory, bandwidth, power and rates are of the whole entry.

    `aliases` are names as drivers report them. What the vendor does not print is left out.
    """

    name: str
    architecture: str
    memory_gb: float
    memory_bandwidth_gb_per_s: float
    peaks: list[GpuPeak]
    source: str
    devices: int = 1
    multiprocessors: int | None = None
    tdp_w: float | None = None
    base_ghz: float | None = None
    boost_ghz: float | None = None
    clock_source: str = ""
    aliases: list[str] = []
    note: str = ""


class DataFile(_Strict):
    """One TOML file of the table."""

    sources: list[Source] = []
    microarchitectures: list[Microarchitecture] = []
    cpus: list[CpuModel] = []
    gpu_architectures: list[GpuArchitecture] = []
    gpus: list[GpuModel] = []
