"""Instruction sets: what each needs of the processor and of the system, and their order for `--isa`."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

from flopbench.errors import UnknownName

#: Flags as Linux names them in /proc/cpuinfo (arch/x86/include/asm/cpufeatures.h), from the least instruction set to the most.
NEEDS: dict[str, tuple[str, ...]] = {
    "generic": (),
    "avx2": ("avx2", "fma", "f16c"),
    "avxvnni": ("avx2", "fma", "avx_vnni"),
    "avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
    "avx512vnni": ("avx512f", "avx512bw", "avx512_vnni"),
    "avx512bf16": ("avx512f", "avx512bw", "avx512_bf16"),
    "avx512fp16": ("avx512f", "avx512bw", "avx512_fp16"),
    "amx": ("amx_tile", "amx_int8", "amx_bf16"),
    "amxfp16": ("amx_tile", "amx_fp16"),
}

#: From least to most; `--isa X` allows X and all before it.
LEVELS: tuple[str, ...] = tuple(NEEDS)

_ARCH_PRCTL = 158  # system call number on x86-64
_ARCH_REQ_XCOMP_PERM = 0x1023  # Linux Documentation/arch/x86/xstate.rst
_XFEATURE_XTILEDATA = 18


def normalised(name: str | None) -> str | None:
    """The user's `--isa` as we spell it: avx512_vnni and AVX512-VNNI are avx512vnni. Raises UnknownName."""
    if name is None:
        return None
    plain = name.lower().replace("_", "").replace("-", "")
    if plain not in NEEDS:
        raise UnknownName("instruction set", name, NEEDS)
    return plain


@cache
def tile_permission() -> str | None:
    """None if the kernel lets this process use AMX tiles, asking it for them; else its reason. Linux 5.16 and newer answer."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA) == 0:
        return None
    return os.strerror(ctypes.get_errno())


def why_not(name: str, machine: Any) -> str | None:
    """None if `machine`, which is this one, can execute instruction set `name`; else what it lacks."""
    lacking = [flag for flag in NEEDS[name] if flag not in machine.cpu.isa]
    if lacking:
        return f"needs {', '.join(lacking)}"
    if name.startswith("amx"):
        refused = tile_permission()
        if refused:
            return f"needs AMX tiles, and the kernel refuses them to this process ({refused})"
    return None


def supported(machine: Any) -> set[str]:
    """The instruction sets that this processor and this system have."""
    return {name for name in NEEDS if why_not(name, machine) is None}
