"""LLVM text to a function that Python can call, for this processor; or to assembly, for any."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import llvmlite.binding as llvm

from flopbench.errors import NotPossible


class Compiled:
    """The function `loop` of a module: loop(iterations, a, b, c) -> double, and its assembly. Owns the code in memory."""

    def __init__(self, text: str) -> None:
        """Compile for this processor. Raises NotPossible with LLVM's reason."""
        machine = _host_machine()
        try:
            module = llvm.parse_assembly(text)
            module.verify()
            self.assembly: str = machine.emit_assembly(module)
            self._engine = llvm.create_mcjit_compiler(module, machine)
            self._engine.finalize_object()
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise NotPossible(f"LLVM {version()} cannot compile the ceiling loop: {reason}") from error
        signature = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64, *[ctypes.c_double] * 3)
        self.loop: Any = signature(self._engine.get_function_address("loop"))
        width = self._engine.get_function_address("vscale")
        self.vscale: int = ctypes.CFUNCTYPE(ctypes.c_int64)(width)() if width else 1


def assembly_for(text: str, triple: str, cpu: str, features: str = "") -> str:
    """The assembly that LLVM makes of `text` for another processor: what tests read."""
    _initialize()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    module = llvm.parse_assembly(text)
    module.verify()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=3, jit=False)
    assembly: str = machine.emit_assembly(module)
    return assembly


def version() -> str:
    """LLVM's version, such as "20.1.8"."""
    return ".".join(str(part) for part in llvm.llvm_version_info)


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _host_machine() -> Any:
    """A target machine for this processor with all of its features; a new one each time, since an engine takes it over and frees it."""
    _initialize()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True)
