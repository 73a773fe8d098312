"""LLVM IR to machine code in this process, with the code generator that Numba brings; or to assembly for any processor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

#: LLVM features that an instruction set switches off, so that "avx2 at most" means it on a host that has more: of vpmaddwd and vpaddd,
#: for one, LLVM makes a dot product of VNNI where it may.
_OFF = {
    "generic": "-avx,-avx2,-avx512f",
    "avx2": "-avx512f,-avxvnni",
    "avxvnni": "-avx512f",
    "avx512": "-avx512vnni,-avxvnni",
}


@dataclass
class Compiled:
    """Machine code: the address of each function. `keep` owns the memory."""

    addresses: dict[str, int]
    keep: Any


def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _initialize_all() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def host_target(isa: str) -> llvm.TargetMachine:
    """This processor, with no more than `isa`."""
    _initialize()
    features = llvm.get_host_cpu_features().flatten()
    if llvm.get_process_triple().startswith(("x86_64", "amd64")) and isa in _OFF:
        features = f"{features},{_OFF[isa]}"
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True)


def compile_here(module: ir.Module, isa: str) -> Compiled:
    """Machine code of all functions of `module`, for this processor."""
    machine = host_target(isa)
    module.triple = llvm.get_process_triple()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    engine = llvm.create_mcjit_compiler(parsed, machine)
    engine.finalize_object()
    names = [f.name for f in module.functions if not f.is_declaration]
    return Compiled({name: engine.get_function_address(name) for name in names}, engine)


def can_target(architecture: str) -> bool:
    """Whether this llvmlite can make assembly for `architecture`."""
    _initialize_all()
    try:
        llvm.Target.from_triple(f"{architecture}-unknown-linux-gnu")
    except RuntimeError:
        return False
    return True


def assembly(module: ir.Module, triple: str, cpu: str, isa: str = "") -> str:
    """What `module` becomes on another processor, with no more than `isa` if that is given: to read, not to run."""
    _initialize_all()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=_OFF.get(isa, ""), opt=3)
    module.triple = triple
    return machine.emit_assembly(llvm.parse_assembly(str(module)))
