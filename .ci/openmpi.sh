#!/usr/bin/env bash
# Open MPI beside the MPICH that comes from PyPI, where we may install it. Without it the tests under Open MPI skip, and say so.
set -euo pipefail
if command -v mpirun.openmpi >/dev/null && ldconfig -p | grep -q 'libmpi\.so\.'; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "Open MPI is not installed and cannot be from here: the tests under Open MPI will skip"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
install() { apt-get install -y -qq --no-install-recommends openmpi-bin libopenmpi3 >"$log" 2>&1; }
if ! install && ! { apt-get update -qq >"$log" 2>&1 && install; }; then
  tail -3 "$log"
  echo "Open MPI could not be installed: the tests under Open MPI will skip"
fi
rm -f "$log"
