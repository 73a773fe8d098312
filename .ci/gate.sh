#!/usr/bin/env bash
# This project's own gate: this commit against the previous one, on the CI machine, in a minute and a half. Advisory: it prints and never fails
# the build, since a rented machine of two cores is not the place to block anybody's work. `make install` comes first.
set -uo pipefail
cd "$(dirname "$0")/.."

if ! git rev-parse --quiet --verify HEAD^ >/dev/null 2>&1; then
  echo "gate: no previous commit in this checkout, nothing to compare with"
  exit 0
fi
timeout --signal=INT --kill-after=5 105 .venv/bin/flopbench gate --base HEAD^ --config .ci/gate.toml
code=$?
case "$code" in
  0) echo "gate: no regression" ;;
  1) echo "gate: a regression or a wrong result, see above" ;;
  3) echo "gate: inconclusive or contaminated, see above" ;;
  *) echo "gate: not measured (exit code $code)" ;;
esac
echo "gate: advisory, the build goes on"
