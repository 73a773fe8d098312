"""Our raw calls against CuPy: names, order of arguments and enumerators, recorded from CuPy 14.2 and held against what is installed.

The CUDA 12 and CUDA 13 wheels of 14.2 have the same signatures. cuBLAS and cuSOLVER cannot be imported where only CuPy is installed; there
the recorded signatures stand alone. The calls of cublasLt are held against nvmath-python in the same way, recorded from version 1.0.
"""

import inspect
import json
import re
from importlib import import_module
from pathlib import Path

import flopbench_kernels
import pytest
from flopbench_kernels.cuda import constants, lt

from flopbench.gpu_selftest.stand_in.libraries import StandIn

NVMATH = json.loads(Path(__file__).with_name("nvmath_1_0.json").read_text())
RECORDED = json.loads(Path(__file__).with_name("cupy_14_2.json").read_text())
CUBLAS, CUSOLVER, RUNTIME = (
    "cupy_backends.cuda.libs.cublas",
    "cupy_backends.cuda.libs.cusolver",
    "cupy_backends.cuda.api.runtime",
)
SOURCES = [*Path(next(iter(flopbench_kernels.__path__))).rglob("*.py")]


def called_by_us(short):
    """Functions of a library that our kernels call: libraries.cublas.gemmEx, solver.dgetrf, self.runtime.getDevice ..."""
    names = {"cublas": r"cublas", "cusolver": r"(?:cusolver|solver)", "runtime": r"runtime"}[short]
    found = set()
    for path in SOURCES:
        found.update(re.findall(rf"\b{names}\.([a-z]\w+)\b", path.read_text()))
    return found - {"cublas", "cusolver", "runtime"}


def parameters(signature):
    """Names of the parameters in "gemmEx(intptr_t handle, int transa, ...) -> int"."""
    inside = re.search(r"\((.*)\)", signature)[1]
    return [part.split("=")[0].split()[-1] for part in inside.split(",") if part.strip()]


def installed(module):
    try:
        return import_module(module)
    except ImportError as error:
        pytest.skip(f"{module} cannot be imported here: {' '.join(str(error).split())[:80]}")


@pytest.mark.parametrize(
    ("short", "module"), [("cublas", CUBLAS), ("cusolver", CUSOLVER), ("runtime", RUNTIME)], ids=lambda v: v.split(".")[-1]
)  # fmt: skip
def test_every_raw_call_of_ours_is_a_function_of_cupy(short, module):
    called = called_by_us(short)
    assert called, f"no call of {short} found: has the code moved?"
    assert called <= set(RECORDED[module]["functions"])


@pytest.mark.parametrize("module", [CUBLAS, CUSOLVER, RUNTIME])
def test_the_stand_in_takes_the_arguments_of_cupy_in_cupys_order(module):
    ours = {CUBLAS: StandIn().cublas, CUSOLVER: StandIn().cusolver, RUNTIME: StandIn().runtime}[module]
    shared = [name for name in RECORDED[module]["functions"] if hasattr(ours, name)]
    assert shared
    for name in shared:
        signature = list(inspect.signature(getattr(ours, name)).parameters)
        assert signature == parameters(RECORDED[module]["functions"][name]), name


@pytest.mark.parametrize("module", [name for name in RECORDED if name != "cupy"])
def test_the_installed_cupy_has_the_recorded_signatures(module, cupy):
    library = installed(module)
    for name, signature in RECORDED[module]["functions"].items():
        assert (getattr(library, name).__doc__ or "").splitlines()[0] == signature


@pytest.mark.parametrize("module", list(constants.CUPY_NAMES))
def test_our_enumerators_are_cupys(module):
    assert dict(constants.CUPY_NAMES[module]) == RECORDED[module]["constants"]


@pytest.mark.parametrize("module", list(constants.CUPY_NAMES))
def test_the_installed_cupy_has_the_recorded_enumerators(module, cupy):
    library = installed(module)
    for name, value in constants.CUPY_NAMES[module].items():
        assert int(getattr(library, name)) == value, name


def test_cupy_offers_what_the_libraries_take_from_it(cupy):
    """The parts beside the raw modules: streams with a priority, events without timing, pinned memory, modules from source."""
    assert "priority" in inspect.signature(cupy.cuda.Stream).parameters or "priority" in cupy.cuda.Stream.__doc__
    for owner, names in (
        (cupy.cuda, ("Event", "Device", "alloc", "alloc_pinned_memory", "get_elapsed_time", "MemoryPointer")),
        (cupy.cuda.Stream, ("wait_event", "synchronize", "record", "__enter__")),
        (cupy.cuda.Event, ("record", "synchronize", "done")),
        (cupy.RawModule, ("compile", "get_function")),
        (cupy.cuda.memory, ("OutOfMemoryError",)),
        (cupy.cuda.compiler, ("CompileException",)),
    ):
        for name in names:
            assert hasattr(owner, name), f"{owner.__name__}.{name}"


def test_every_call_of_cublaslt_is_recorded_and_the_stand_in_takes_its_arguments_in_its_order():
    source = Path(inspect.getsourcefile(lt)).read_text()
    called = set(re.findall(r"_lt\.([a-z]\w+)\b", source)) | set(
        re.findall(r'"((?:matmul|matrix)\w*_destroy|destroy)"', source)
    )
    assert called == set(NVMATH["functions"])
    for name in called:
        signature = list(inspect.signature(getattr(StandIn().lt, name)).parameters)
        assert signature == parameters(NVMATH["functions"][name]), name


def test_our_enumerators_and_the_layout_of_an_algorithm_are_cublaslts():
    assert {name: dict(values) for name, values in constants.NVMATH_NAMES.items()} == NVMATH["enumerations"]
    assert lt.RESULT.itemsize == NVMATH["result_bytes"]


def test_the_installed_nvmath_has_the_recorded_signatures_enumerators_and_sizes(cupy):
    cublas_lt = installed("nvmath.bindings.cublasLt")
    for name, signature in NVMATH["functions"].items():
        assert getattr(cublas_lt, name).__doc__.splitlines()[0] == signature
    for where, values in NVMATH["enumerations"].items():
        module, enumeration = where.split(".")
        found = getattr(import_module(f"nvmath.bindings.{module}"), enumeration)
        assert {name: int(found[name]) for name in values} == values
    theirs = cublas_lt.matmul_heuristic_result_dtype
    assert [lt.RESULT.fields[name][1] for name in lt.RESULT.names] == [theirs.fields[name][1] for name in theirs.names]
    for name, kind in NVMATH["attribute_types"].items():
        if name == "MAX_WORKSPACE_BYTES":
            told = cublas_lt.get_matmul_preference_attribute_dtype(cublas_lt.MatmulPreferenceAttribute[name])
        else:
            told = cublas_lt.get_matmul_desc_attribute_dtype(cublas_lt.MatmulDescAttribute[name])
        assert told.__name__ == kind
    assert issubclass(cublas_lt.cuBLASLtError, Exception)
