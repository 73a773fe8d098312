#!/usr/bin/env bash
# A PostgreSQL server for the inventory's tests, where we may install one. Without it those tests skip, and say so.
set -euo pipefail
if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "PostgreSQL is not installed and cannot be from here: the inventory's PostgreSQL tests will skip"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# No cluster of its own: the tests start theirs in a temporary folder.
mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
log=$(mktemp)
install() { apt-get install -y -qq --no-install-recommends postgresql >"$log" 2>&1; }
if ! install && ! { apt-get update -qq >"$log" 2>&1 && install; }; then
  tail -3 "$log"
  echo "PostgreSQL could not be installed: the inventory's PostgreSQL tests will skip"
fi
rm -f "$log"
