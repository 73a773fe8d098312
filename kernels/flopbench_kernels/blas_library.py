"""A BLAS library that the user names by path or by name: found, loaded, and its routines under whatever symbol it gives them."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
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

    def three_times_five(self) -> float | None:
        """A product of 1 x 1 matrices; None if there is no C interface. Many libraries load their threads at the first call."""
        found = self.routine("cblas_dgemm")
        if found is None:
            return None
        x, y, z = (ctypes.c_double(value) for value in (3.0, 5.0, 0.0))
        one, real = ctypes.c_int64(1), ctypes.c_double
        order = (ctypes.c_int(102), ctypes.c_int(111), ctypes.c_int(111), one, one, one)
        found[1].restype = None
        found[1](*order, real(1.0), ctypes.byref(x), one, ctypes.byref(y), one, real(0.0), ctypes.byref(z), one)
        return z.value


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
        return _open(str(path.resolve()), where, name)
    for path in _candidates(name):
        return _open(str(path.resolve()), where, name)
    found = ctypes.util.find_library(name.removeprefix("lib").split(".so")[0])
    return _open(found or name, where, name)


@cache
def _open(path: str, where: str, name: str) -> BlasLibrary:
    fault = _fault_of(path)
    if fault is not None:
        advice = f"name a BLAS library for {platform.machine()} by path, or one of {_short_names()}"
        raise BadInput(f"{where} {name}: {fault}; {advice}")
    return BlasLibrary(path, ctypes.CDLL(path))


def _fault_of(path: str) -> str | None:
    """Load the library and multiply with it in a process of its own: what is cut off, or built for more than this processor, dies there."""
    code = f"from {__name__} import try_out; import sys; try_out(sys.argv[1])"
    child = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    if child.returncode == 0:
        return None
    if child.returncode < 0:
        return f"using it ends in {signal.Signals(-child.returncode).name}, so it is damaged or not for this processor"
    return (child.stderr.strip().splitlines() or child.stdout.strip().splitlines() or ["it ends the process"])[-1]


def try_out(path: str) -> None:
    """Load the library at `path` and multiply 1 x 1 matrices; exits with the reason if that fails."""
    try:
        library = BlasLibrary(path, ctypes.CDLL(path))
    except OSError as error:
        sys.exit(f"cannot be loaded ({error})")
    if library.routine("cblas_dgemm", "dgemm_") is None:
        sys.exit(f"{path} exports neither cblas_dgemm nor dgemm_")
    product = library.three_times_five()
    if product not in (None, 15.0):
        sys.exit(f"{path} says that 3 x 5 is {product}")


def _candidates(name: str) -> Iterator[Path]:
    """Files of that name, or of that short name, where pip and the user put libraries."""
    folders = [Path(sys.prefix) / "lib", Path(sys.base_prefix) / "lib"]
    folders += [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    for pattern in FILES.get(name.lower(), (name,)):
        for folder in folders:
            yield from sorted(folder.glob(pattern))


def _check_architecture(path: Path, said: str) -> None:
    """Raises BadInput unless the file is a shared library for the processor of this Python."""
    head, here = _first_bytes(path), _first_bytes(Path(sys.executable))
    if head[:4] != b"\x7fELF":
        raise BadInput(f"{said}: not a shared library (no ELF header); give the path of a BLAS library")
    (code,) = struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])
    machine = _ELF_MACHINES.get(code, f"ELF machine {code}")
    if head[4:6] + head[18:20] != here[4:6] + here[18:20]:
        raise BadInput(f"{said}: built for {machine}, this is {platform.machine()}; give a library for this machine")


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(20)


def _short_names() -> str:
    return ", ".join(FILES)
