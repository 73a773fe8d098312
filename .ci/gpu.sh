#!/usr/bin/env bash
# The GPU stage of CI, for machines without a GPU: the CUDA code over host memory with CuPy's own arrays, its calls against the installed
# CuPy, every kernel through NVRTC. In an environment of its own, so that no other stage carries CUDA packages.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=.venv-cupy
PYTHON=${PYTHON:-python3}
if [ ! -e "$VENV/.ready" ] || [ pyproject.toml -nt "$VENV/.ready" ] || [ .ci/gpu-requirements.txt -nt "$VENV/.ready" ]; then
  "$PYTHON" -m venv "$VENV"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable . --requirement .ci/gpu-requirements.txt
  touch "$VENV/.ready"
fi
# On all cores: these tests compute on stand-ins and measure nothing. pytest-benchmark does not go with that, and none of them needs it.
FLOPBENCH_NEEDS_CUPY=1 "$VENV/bin/python" -m pytest -q -n auto -p no:benchmark -o addopts="--import-mode=importlib -ra --strict-markers" tests/gpu "$@"
