"""A ceiling loop on vector registers."""

from __future__ import annotations

import re
from typing import Any

from flopbench.errors import NotPossible
from flopbench.kernel_api import CeilingLoop
from flopbench_kernels.ceiling_llvm import jit
from flopbench_kernels.ceiling_llvm.steps import Arithmetic
from flopbench_kernels.ceiling_llvm.text import STEPS, loop


class VectorLoop(CeilingLoop):
    """Chains of one instruction. `instruction` is a pattern for the assembly, by which the loop proves what it executes; "" for any."""

    def __init__(
        self,
        name: str,
        precision: str,
        flags: tuple[str, ...],
        superseded: tuple[str, ...],
        chains: int,
        instruction: str,
        arithmetic: Arithmetic,
    ) -> None:
        """`flags` are those that it needs; with any of `superseded` another loop does the same at least as fast."""
        self.name, self.precision = name, precision
        self.flags, self.superseded = flags, superseded
        self.chains, self.instruction, self.arithmetic = chains, instruction, arithmetic
        self._compiled: jit.Compiled | None = None

    def standing_in(self, precision: str, reason: str) -> VectorLoop:
        """The same loop for a precision that the processor computes by this one's units."""
        twin = VectorLoop(
            self.name, precision, self.flags, self.superseded, self.chains, self.instruction, self.arithmetic
        )
        twin.stand_in = reason
        return twin

    @property
    def text(self) -> str:
        """The LLVM text."""
        a = self.arithmetic
        return loop(a.chain, self.chains, a.constants, a.step, a.declarations, a.uneven)

    def why_not(self, machine: Any) -> str | None:
        missing = [flag for flag in self.flags if flag not in machine.cpu.isa]
        if missing:
            return f"{self.name}: the processor has no {', '.join(missing)}"
        better = [flag for flag in self.superseded if flag in machine.cpu.isa]
        return f"{self.name}: not needed beside {better[0]}" if better else None

    def prepare(self) -> None:
        if self._compiled is None:
            compiled = jit.Compiled(self.text)
            self.check(compiled.assembly)
            self._compiled = compiled

    def check(self, assembly: str) -> int:
        """How often the instruction stands in the loop. Raises NotPossible if it is not there for every step of every chain."""
        count = len(re.findall(self.instruction, assembly)) if self.instruction else self.chains * STEPS
        if count < self.chains * STEPS:
            raise NotPossible(
                f"{self.name}: LLVM {jit.version()} made {count} instructions like {self.instruction!r} "
                f"of {self.chains * STEPS} steps, so this loop would not measure them"
            )
        return count

    @property
    def operations(self) -> int:
        assert self._compiled is not None, "prepare comes first"
        return self.arithmetic.operations * self._compiled.vscale * self.chains * STEPS

    @property
    def method(self) -> str:
        assert self._compiled is not None, "prepare comes first"
        seen = re.search(
            rf"^\s*((?:\{{\w+\}}\s*)?({self.instruction or 'x^'}).*)$", self._compiled.assembly, re.MULTILINE
        )
        what = " ".join(seen.group(1).split()) if seen else "multiply and add, as LLVM makes them for this processor"
        return f"{self.name}: {self.chains} independent chains of `{what}`, operands in registers"

    def run(self, iterations: int) -> float:
        assert self._compiled is not None, "prepare comes first"
        return float(self._compiled.loop(iterations, *self.arithmetic.values))
