"""What a user gets: the built wheel, alone in an environment outside of the checkout, is enough for the GPU self-test."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from flopbench.gpu import probe

ROOT = Path(__file__).parents[1]
PACKAGES = {"flopbench": ROOT / "flopbench", "flopbench_kernels": ROOT / "kernels" / "flopbench_kernels"}
pytestmark = pytest.mark.slow

#: The items of the self-test over the stand-in, from the installed package: no GPU, and nothing of the checkout.
ON_THE_STAND_IN = """\
import sys
import flopbench, flopbench_kernels
from flopbench_kernels import gemm_cupy
from flopbench_kernels.cuda import lt
from flopbench_kernels.device import cuda
from flopbench.gpu_selftest import suite
from flopbench.gpu_selftest.bench import SMALL, Bench
from flopbench.gpu_selftest.stand_in.libraries import StandIn

assert all(folder.startswith(sys.argv[1]) for package in (flopbench, flopbench_kernels) for folder in package.__path__)
gemm_cupy.BEYOND_L2_BYTES, gemm_cupy.WORKSPACE_BYTES, lt.WORKSPACE_BYTES = 1, 0, 1 << 12
cuda.SCRATCH, cuda.INDEX_CAPACITY = 1 << 12, 512
bench = Bench(lambda: StandIn(policy="lazy", capacity=64 << 20), sizes=SMALL, real=False)
document = suite.run(bench, [2, 3, 5, 6], lambda entry: None)
print([(entry["number"], entry["verdict"], entry["reason"]) for entry in document["items"] if entry["verdict"] != "PASSED"])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built without a network."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip(
            "hatchling is not installed here (pip install hatchling), without which no wheel can be built offline"
        )
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([*build, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)], check=True)
    (found,) = folder.glob("flopbench-*.whl")
    return found


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The Python of a bare environment with the wheel in it; what it depends on is taken from here, flopbench itself is not."""
    environment = tmp_path_factory.mktemp("bare") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    borrowed = tmp_path_factory.mktemp("borrowed")
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "flopbench" not in entry.name and entry.suffix not in (".pth", ".egg-link"):
            (borrowed / entry.name).symlink_to(entry)
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return environment / "bin" / "python"


def run(python, folder, *arguments):
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return subprocess.run([str(python), *arguments], cwd=folder, env=clean, capture_output=True, text=True)


def test_every_file_of_the_packages_that_is_no_cache_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    wanted = {
        f"{name}/{path.relative_to(folder)}"
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= held
    assert {
        f"flopbench_kernels/cuda/sources/{name}"
        for name in (
            "candidates.cuh",
            "check.cu",
            "hpl_matrix.cu",
            "operands.cu",
            "panel.cu",
            "panel_alone.cu",
            "rows.cu",
        )
    } <= held
    assert any(name.endswith(".toml") for name in wanted)
    assert not [name for name in held if name.startswith(("tests/", "docs/", "results/"))]


def test_without_a_gpu_the_self_test_of_the_wheel_gives_one_reason_and_code_4(python, tmp_path):
    if probe.probe().devices:
        pytest.skip("this machine has a GPU")
    done = run(python, tmp_path, "-c", "from flopbench.cli import main; main()", "gpu-selftest", "--json")
    assert (done.returncode, done.stdout) == (4, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("flopbench: the GPU self-test is not possible here: ")
    assert list(tmp_path.iterdir()) == []


def test_the_items_of_the_self_test_run_from_the_wheel_over_the_stand_in(python, tmp_path):
    from flopbench.gpu_selftest.stand_in.compiled import compiler

    if compiler() is None:
        pytest.skip("no C++ compiler (g++ or clang++) to run CUDA kernels on the host")
    program = tmp_path / "items.py"
    program.write_text(ON_THE_STAND_IN)
    done = run(python, tmp_path, str(program), str(python.parents[1]))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "[]"
