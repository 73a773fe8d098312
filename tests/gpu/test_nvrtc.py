"""Every CUDA source of ours through NVRTC 12 and 13 for architectures from Turing to Blackwell, with the assembler's word on registers."""

import ctypes
import os
import re
from importlib import metadata

import pytest
from flopbench_kernels.cuda.context import THREADS
from flopbench_kernels.cuda.libraries import NVRTC_OPTIONS, source_names, source_text

from flopbench.gpu_selftest.stand_in.compiled import compile_source

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
#: An SM has 65536 registers and up to 2048 threads: with 64 a thread, half of the threads still fit (CUDA C++ Programming Guide).
MOST_REGISTERS = 64


@pytest.fixture(scope="session")
def nvrtc(cupy):
    from cupy_backends.cuda.libs import nvrtc

    return nvrtc


def build(nvrtc, name, architecture):
    """(cubin, log) of one source."""
    program = nvrtc.createProgram(source_text(name), f"{name}.cu", (), ())
    try:
        options = (*NVRTC_OPTIONS, f"-arch=sm_{architecture}", "--device-as-default-execution-space", "-Xptxas", "-v")
        try:
            nvrtc.compileProgram(program, options)
        except Exception as error:
            pytest.fail(f"{name}.cu for sm_{architecture}: {error}\n{nvrtc.getProgramLog(program)}")
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)
    finally:
        nvrtc.destroyProgram(program)


class Nvrtc:
    """One NVRTC by its C functions (nvrtc.h), as far as `build` needs them: CuPy binds only one of two that are installed."""

    def __init__(self, path):
        self._library = ctypes.CDLL(str(path))

    def getVersion(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    def getSupportedArchs(self):
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        found = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", found)
        return list(found)

    def createProgram(self, source, name, headers, include_names):
        program = ctypes.c_void_p()
        self._call("nvrtcCreateProgram", ctypes.byref(program), source.encode(), name.encode(), 0, None, None)
        return program

    def compileProgram(self, program, options):
        texts = (ctypes.c_char_p * len(options))(*[text.encode() for text in options])
        self._call("nvrtcCompileProgram", program, len(options), texts)

    def getProgramLog(self, program):
        return self._text("ProgramLog", program).rstrip(b"\0").decode()

    def getCUBIN(self, program):
        return self._text("CUBIN", program)

    def destroyProgram(self, program):
        self._call("nvrtcDestroyProgram", ctypes.byref(program))

    def _text(self, what, program):
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, text)
        return text.raw

    def _call(self, name, *args):
        status = getattr(self._library, name)(*args)
        if status:
            raise RuntimeError(f"{name}: status {status}")


def installed(toolkit):
    """NVRTC of CUDA 12 or 13, as its wheel brings it; skips where it is not installed, fails in the stage that is for it."""
    package = {12: "nvidia-cuda-nvrtc-cu12", 13: "nvidia-cuda-nvrtc"}[toolkit]
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        assert "FLOPBENCH_NEEDS_CUPY" not in os.environ, (
            f"this stage is for NVRTC {toolkit}, and {package} is not installed"
        )
        pytest.skip(f"{package} is not installed here; .ci/gpu.sh runs this with it")
    return Nvrtc(next(file.locate() for file in files if file.name == f"libnvrtc.so.{toolkit}"))


@pytest.mark.parametrize("toolkit", [12, 13])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", source_names())
def test_every_kernel_compiles_without_spilling_and_within_the_registers(name, architecture, toolkit, record_property):
    nvrtc = installed(toolkit)
    assert nvrtc.getVersion()[0] == toolkit
    if architecture not in nvrtc.getSupportedArchs():
        pytest.skip(f"NVRTC {'.'.join(map(str, nvrtc.getVersion()))} does not know sm_{architecture}")
    cubin, log = build(nvrtc, name, architecture)
    kernels = compile_source(source_text(name))
    registers = {
        found[1]: int(found[2])
        for found in re.finditer(r"Compiling entry function '(\w+)'.*?Used (\d+) registers", log, re.DOTALL)
    }
    assert set(registers) == set(kernels)
    for kernel, used in registers.items():
        record_property(f"{kernel} sm_{architecture} NVRTC {toolkit}", used)
        assert used <= MOST_REGISTERS, f"{kernel} takes {used} registers on sm_{architecture}"
        assert used * THREADS <= 65536
        assert kernel.encode() in cubin
    spilled = [int(size) for size in re.findall(r"(\d+) bytes spill", log)]
    assert spilled and not any(spilled)


def test_a_mistake_in_a_source_is_an_error_with_its_line(nvrtc):
    program = nvrtc.createProgram(
        'extern "C" __global__ void broken(int* a) {\n a[0] = nothing; }', "broken.cu", (), ()
    )
    with pytest.raises(Exception, match="NVRTC_ERROR_COMPILATION"):
        nvrtc.compileProgram(program, ("-arch=sm_80",))
    assert "broken.cu(2)" in nvrtc.getProgramLog(program)
    nvrtc.destroyProgram(program)
