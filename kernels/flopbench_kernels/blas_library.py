"""A BLAS library that the user names by path or by name: found, loaded, and its routines under whatever symbol it gives them."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flopbench.errors import BadInput

VARIABLE = "FLOPBENCH_BLAS"

#: Short names and the files that they stand for, the threaded one first.
FILES: dict[str, tuple[str, ...]] = {
    "mkl": ("libmkl_rt.so*",),
    "openblas": ("libopenblas.so*", "libopenblasp.so*"),
    "blis": ("libblis-mt.so*", "libblis.so*"),
    "aocl": ("libblis-mt.so*", "libblis.so*"),
    "armpl": ("libarmpl_lp64_mp.so*", "libarmpl_mp.so*", "libarmpl_lp64.so*"),
    "nvpl": ("libnvpl_blas_lp64_gomp.so*",),
}

#: How libraries decorate a name: plain; 64-bit integers in OpenBLAS (64_), in MKL, NVPL and reference LAPACK (_64); SciPy's OpenBLAS.
SPELLINGS = ("{}", "{}64_", "{}_64", "scipy_{}", "scipy_{}64_")

#: e_machine of the ELF header (System V ABI), for the error message.
_ELF_MACHINES = {3: "i386", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


class BlasLibrary:
    """A loaded library. `path` is how it was named to the loader.

    Integers are passed as 64 bits wide always. Libraries with 32-bit integers read the lower half, which is the same number: arguments
    by value have a register or a slot of 8 bytes each on the 64-bit systems that flopbench runs on, all of them little-endian, and so do
    those by reference.
    """

    def __init__(self, path: str, handle: ctypes.CDLL) -> None:
        self.path = path
        self._handle = handle

    def routine(self, *names: str) -> tuple[str, Any] | None:
        """The symbol and function of the first of `names` that the library exports under any spelling; None if it has none."""
        for name in names:
            for spelling in SPELLINGS:
                symbol = spelling.format(name)
                try:
                    return symbol, self._handle[symbol]
                except AttributeError:
                    continue
        return None


def named(option: str | None, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """What the user names, and where: `--blas`, else the environment variable; None if neither."""
    if option:
        return option, "--blas"
    if environ.get(VARIABLE):
        return environ[VARIABLE], VARIABLE
    return None


def load(name: str, where: str) -> BlasLibrary:
    """The library called or at `name`. Raises BadInput, saying `where` the name came from."""
    if "/" in name:
        path = Path(name).expanduser()
        if not path.is_file():
            raise BadInput(f"{where} {name}: no such file; give the path of a BLAS library, or one of {_short_names()}")
        _check_architecture(path, f"{where} {name}")
        return _open(str(path), where, name)
    for path in _candidates(name):
        return _open(str(path), where, name)
    found = ctypes.util.find_library(name.removeprefix("lib").split(".so")[0])
    return _open(found or name, where, name)


def _open(path: str, where: str, name: str) -> BlasLibrary:
    try:
        library = BlasLibrary(path, ctypes.CDLL(path))
    except OSError as error:
        raise BadInput(
            f"{where} {name}: cannot be loaded ({error}); give the path of a BLAS library for {platform.machine()}, "
            f"or one of {_short_names()}"
        ) from error
    if library.routine("cblas_dgemm", "dgemm_") is None:
        raise BadInput(f"{where} {name}: {path} exports neither cblas_dgemm nor dgemm_; name a BLAS library")
    return library


def _candidates(name: str) -> Iterator[Path]:
    """Files of that name, or of that short name, where pip and the user put libraries."""
    folders = [Path(sys.prefix) / "lib", Path(sys.base_prefix) / "lib"]
    folders += [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    for pattern in FILES.get(name.lower(), (name,)):
        for folder in folders:
            yield from sorted(folder.glob(pattern))


def _check_architecture(path: Path, said: str) -> None:
    """Raises BadInput unless the file is a shared library for the processor of this Python."""
    head = path.open("rb").read(20)
    if head[:4] != b"\x7fELF":
        raise BadInput(f"{said}: not a shared library (no ELF header); give the path of a BLAS library")
    (code,) = struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])
    machine = _ELF_MACHINES.get(code, f"ELF machine {code}")
    here = Path(sys.executable).resolve().open("rb").read(20)
    if head[4:6] + head[18:20] != here[4:6] + here[18:20]:
        raise BadInput(f"{said}: built for {machine}, this is {platform.machine()}; give a library for this machine")


def _short_names() -> str:
    return ", ".join(FILES)
