"""`flopbench hpl` and `flopbench gemm` with --device cuda, from the command line to the record, over the stand-in."""

import json

import pytest
from flopbench_kernels import gemm_cupy
from flopbench_kernels.cuda import context, lt
from flopbench_kernels.device import cuda

from flopbench import cli
from flopbench.gpu import probe


@pytest.fixture(autouse=True)
def a_gpu(stand_in, monkeypatch):
    """A sound GPU, as far as the commands can tell."""
    monkeypatch.setattr(probe, "why_not", lambda: None)
    monkeypatch.setattr(context, "open_libraries", lambda: stand_in(policy="lazy"))
    monkeypatch.setattr(cuda, "SCRATCH", 1 << 12)
    monkeypatch.setattr(cuda, "INDEX_CAPACITY", 512)
    monkeypatch.setattr(gemm_cupy, "BEYOND_L2_BYTES", 1)


def records(capsys):
    return json.loads(capsys.readouterr().out)["results"]


@pytest.mark.parametrize("kernel", ["lu_fp64_cupy", "lu_fp64_cusolver"])
def test_hpl_on_a_gpu_gives_a_record_with_a_passed_residual(kernel, capsys, tmp_path):
    asked = [
        "hpl",
        "--device",
        "cuda",
        "--kernel",
        kernel,
        "--n",
        "60",
        "--nb",
        "16",
        "--threads",
        "1",
        "--repeat",
        "1",
    ]
    assert cli.run([*asked, "--json", "--output", str(tmp_path)]) == 0
    (record,) = records(capsys)
    assert record["verification"]["verdict"] == "PASSED"
    assert (record["kernel"], record["device"], record["problem"]["n"]) == (kernel, "cuda", 60)
    assert "host memory" in record["environment"]["kernel"]["device"]


def test_a_matrix_larger_than_the_gpu_is_refused_whatever_the_host_has(stand_in, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(context, "open_libraries", lambda: stand_in(capacity=200 << 20))
    asked = ["hpl", "--device", "cuda", "--n", "6000", "--nb", "64", "--threads", "1", "--output", str(tmp_path)]
    assert cli.run(asked) == 2
    error = capsys.readouterr().err
    assert "free on host memory" in error
    assert "largest that fits" in error


def test_gemm_on_a_gpu_compares_its_precisions(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(lt, "find_spec", lambda name: True)  # as if nvmath-python were installed
    monkeypatch.setattr(lt, "WORKSPACE_BYTES", 1 << 12)
    asked = ["gemm", "--device", "cuda", "--n", "64", "--repeat", "2", "--time", "5"]
    assert cli.run([*asked, "--json", "--output", str(tmp_path)]) == 0
    found = {record["kernel"]: record for record in records(capsys)}
    assert set(found) == {
        f"gemm_{name}_cupy" for name in ("fp64", "fp32", "tf32", "bf16", "fp16", "int8")
    } | {"gemm_fp16_cupy_acc16", "gemm_fp8_nvmath"}  # fmt: skip
    for record in found.values():
        assert record["verification"]["verdict"] == "PASSED", record["verification"]["reason"]
        call = "cublasLtMatmul" if record["precision"] == "fp8" else "cublasGemmEx"
        assert record["environment"]["kernel"]["call"].startswith(call)
    assert found["gemm_int8_cupy"]["unit"] == "OP/s"
    assert found["gemm_fp16_cupy_acc16"]["accumulator"] == "float16"
