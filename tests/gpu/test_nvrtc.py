"""Every CUDA source of ours through NVRTC for every architecture from Turing to Blackwell, with what the assembler says of registers."""

import re

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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", source_names())
def test_every_kernel_compiles_without_spilling_and_within_the_registers(name, architecture, nvrtc, record_property):
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
        record_property(f"{kernel} sm_{architecture}", used)
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
