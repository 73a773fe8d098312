#!/usr/bin/env bash
# The GPU stage of CI, for machines without a GPU: the CUDA code over host memory with CuPy's own arrays, its calls against the installed
# CuPy, every kernel through NVRTC.
set -euo pipefail
cd "$(dirname "$0")/.."
.ci/gpu-environment.sh
# On all cores: these tests compute on stand-ins and measure nothing. pytest-benchmark does not go with that, and none of them needs it.
FLOPBENCH_NEEDS_CUPY=1 .venv-cupy/bin/python -m pytest -q -n auto -p no:benchmark -o addopts="--import-mode=importlib -ra --strict-markers" tests/gpu "$@"
