#!/usr/bin/env bash
# The environment of the GPU stage, of its own, so that no other stage carries CUDA packages.
set -euo pipefail
cd "$(dirname "$0")/.."
VENV=.venv-cupy
PYTHON=${PYTHON:-python3}
if [ ! -e "$VENV/.ready" ] || [ pyproject.toml -nt "$VENV/.ready" ] || [ .ci/gpu-requirements.txt -nt "$VENV/.ready" ]; then
  "$PYTHON" -m venv "$VENV"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable . --requirement .ci/gpu-requirements.txt
  touch "$VENV/.ready"
fi
