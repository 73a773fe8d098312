"""The loops' machine code is kept on disk; a cache that cannot be written, or is damaged, costs time and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from flopbench_kernels.gemm_numba import microkernels
from flopbench_kernels.gemm_numba.blocking import Blocking
from flopbench_kernels.gemm_numba.multiply import Product

PROGRAM = """
import numpy as np
from flopbench_kernels.gemm_numba import microkernels
from flopbench_kernels.gemm_numba.blocking import Blocking
from flopbench_kernels.gemm_numba.multiply import Product
row = microkernels.least("fp64", "float64")
c = np.empty((20, 20))
product = Product(row, Blocking(row.m_r, row.n_r, 8), np.ones((20, 20)), np.ones((20, 20)), c, threads=2)
product.run()
product.close()
assert (c == 20).all()
print(product.code_origin)
"""


#: Numba asks these, one after the other, for a folder that it can write to.
NO_PLACE = "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []\n"


def run(cache, before: str = "") -> str:
    """Multiply in a fresh process with its Numba cache in `cache`; says where the loops came from."""
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(cache), PYTHONWARNINGS="error")
    done = subprocess.run(
        [sys.executable, "-c", before + PROGRAM], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_the_second_process_takes_the_loops_from_the_cache_and_a_damaged_one_is_survived(tmp_path):
    assert run(tmp_path) == "compiled"
    assert run(tmp_path) == "from Numba's cache"
    for file in tmp_path.rglob("*.nb*"):
        file.write_bytes(file.read_bytes()[:10])
    assert run(tmp_path).startswith("compiled; Numba's cache could not be used (")


def test_no_place_for_a_cache_is_survived(tmp_path):
    assert run(tmp_path, NO_PLACE) == "compiled"
    assert not list(tmp_path.iterdir())


def test_threads_end_if_one_of_them_cannot_be_started(monkeypatch):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name == "gemm_2":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    row = microkernels.least("fp64", "float64")
    with pytest.raises(RuntimeError, match="can't start new thread"):
        Product(row, Blocking(row.m_r, row.n_r, 4), np.ones((9, 9)), np.ones((9, 9)), np.empty((9, 9)), threads=3)
    assert not [thread for thread in threading.enumerate() if thread.name == "gemm_1"]
