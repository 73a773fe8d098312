"""The LLVM text of a loop: a number of independent chains in registers, each step of which uses the one before.

Every chain starts elsewhere and every constant comes as an argument, so that nothing can be computed beforehand, merged or taken out of
the loop; the sum over all chains is the result, so that none can be left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: Steps of each chain in one iteration: enough that counting and jumping cost nothing beside them; even, as chains alternate constants.
STEPS = 4


@dataclass(frozen=True)
class Vector:
    """`count` elements of an LLVM scalar type; `scalable`: times the hardware's vscale (Arm SVE)."""

    count: int
    element: str
    scalable: bool = False

    def __str__(self) -> str:
        return f"<vscale x {self.count} x {self.element}>" if self.scalable else f"<{self.count} x {self.element}>"

    @property
    def suffix(self) -> str:
        """How LLVM's intrinsics spell it: v4f64, nxv2f64, v16i32."""
        short = {"double": "f64", "float": "f32", "half": "f16", "bfloat": "bf16"}.get(self.element, self.element)
        return f"{'nx' if self.scalable else ''}v{self.count}{short}"


#: One step of a chain: (old value, new value, names of the constants, index of the step) -> lines. Names carry their %.
Step = Callable[[str, str, dict[str, str], int], list[str]]


def loop(
    chain: Vector, chains: int, constants: dict[str, Vector], step: Step, declarations: list[str], uneven: bool = False
) -> str:
    """The module: `double @loop(i64 iterations, double a, double b, double c)`, and `i64 @vscale()` if a vector is scalable.

    chain      the type of a chain's value
    constants  name (a, b or c) -> the type that the argument is spread to; integers are the argument's whole part
    step       writes the lines of one step
    """
    lines = []
    for name, kind in constants.items():
        lines += _spread(f"%{name}", f"%{name}.in", kind, uneven)
    for k in range(chains):
        lines += _start(f"%s{k}", chain, k)
    phis, body, names = [], [], {}
    for k in range(chains):
        old = f"%x{k}"
        phis.append(f"{old} = phi {chain} [ %s{k}, %entry ], [ %x{k}.{STEPS}, %loop ]")
        names[k] = old
    spread = {name: f"%{name}" for name in constants}
    for j in range(STEPS):  # chain after chain within a step, so that neighbours are independent
        for k in range(chains):
            new = f"%x{k}.{j + 1}"
            body += step(names[k], new, spread, j)
            names[k] = new
    tail, total = _sum([names[k] for k in range(chains)], chain)
    width = ""
    if chain.scalable:
        width = "define i64 @vscale() {\n  %n = call i64 @llvm.vscale.i64()\n  ret i64 %n\n}\ndeclare i64 @llvm.vscale.i64()\n"
    indent = "\n  "
    return (
        "define double @loop(i64 %iterations, double %a.in, double %b.in, double %c.in) {\n"
        f"entry:\n  {indent.join(lines)}\n  br label %loop\n"
        f"loop:\n  %i = phi i64 [ 0, %entry ], [ %i.next, %loop ]\n  {indent.join(phis)}\n  {indent.join(body)}\n"
        "  %i.next = add i64 %i, 1\n  %more = icmp slt i64 %i.next, %iterations\n  br i1 %more, label %loop, label %done\n"
        f"done:\n  {indent.join(tail)}\n  ret double {total}\n}}\n"
        + width
        + "\n".join([*declarations, *_sum_declared(chain)])
    )


def _spread(name: str, argument: str, kind: Vector, uneven: bool) -> list[str]:
    """Convert the argument to the element type and copy it to every place of a vector called `name`.

    `uneven` puts 0.5 into the first place, so that the vector is no copy of one element and LLVM keeps to whole-vector instructions.
    """
    if kind.element == "double":
        scalar, convert = argument, []
    elif kind.element in ("float", "half"):
        scalar = f"{name}.scalar"
        convert = [f"{scalar} = fptrunc double {argument} to {kind.element}"]
    else:
        scalar = f"{name}.scalar"
        convert = [f"{scalar} = fptosi double {argument} to {kind.element}"]
    if not uneven:
        return [*convert, *_copy(name, scalar, kind)]
    first = f"{name} = insertelement {kind} {name}.even, {kind.element} 0.5, i32 0"
    return [*convert, *_copy(f"{name}.even", scalar, kind), first]


def _copy(name: str, scalar: str, kind: Vector) -> list[str]:
    mask = Vector(kind.count, "i32", kind.scalable)
    return [
        f"{name}.one = insertelement {kind} undef, {kind.element} {scalar}, i32 0",
        f"{name} = shufflevector {kind} {name}.one, {kind} undef, {mask} zeroinitializer",
    ]


def _start(name: str, kind: Vector, k: int) -> list[str]:
    """A chain's first value: k / 8 + 1 in floating point, k + 1 as an integer: all different."""
    literal = str(k + 1) if kind.element.startswith("i") else f"{1 + k / 8:.6e}"
    if kind.element == "half":
        return [f"{name}.scalar = fptrunc double {literal} to half", *_copy(name, f"{name}.scalar", kind)]
    return _copy(name, literal, kind)


def _sum(values: list[str], kind: Vector) -> tuple[list[str], str]:
    """Lines that add the chains and then the places of the sum, as a double; and its name."""
    integer = kind.element.startswith("i")
    add = "add" if integer else "fadd"
    lines, total = [], values[0]
    for number, value in enumerate(values[1:]):
        lines.append(f"%sum{number} = {add} {kind} {total}, {value}")
        total = f"%sum{number}"
    if integer:
        lines += [
            f"%sum.i = call {kind.element} @llvm.vector.reduce.add.{kind.suffix}({kind} {total})",
            f"%sum.d = sitofp {kind.element} %sum.i to double",
        ]
        return lines, "%sum.d"
    start = f"{kind.element} 0.0"
    lines.append(
        f"%sum.f = call reassoc {kind.element} @llvm.vector.reduce.fadd.{kind.suffix}({start}, {kind} {total})"
    )
    if kind.element == "double":
        return lines, "%sum.f"
    return [*lines, f"%sum.d = fpext {kind.element} %sum.f to double"], "%sum.d"


def _sum_declared(kind: Vector) -> list[str]:
    if kind.element.startswith("i"):
        return [f"declare {kind.element} @llvm.vector.reduce.add.{kind.suffix}({kind})"]
    return [f"declare {kind.element} @llvm.vector.reduce.fadd.{kind.suffix}({kind.element}, {kind})"]
