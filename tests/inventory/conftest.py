"""A real PostgreSQL for the inventory's tests, where Debian's package is installed; else the reason why not."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text


def _binaries() -> Path | None:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if found:
        return Path(found[-1]).parent
    alone = shutil.which("initdb")
    return Path(alone).parent if alone else None


def _as_server_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a server that lives for the session, without a database name."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server here (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="flopbench-postgres-"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = str(folder / "data")
    subprocess.run(
        _as_server_user([str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", user, "-E", "UTF8", "--locale=C"]),
        check=True,
        capture_output=True,
        cwd="/",
    )
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = [str(binaries / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
    subprocess.run(_as_server_user([*control, "-o", settings, "start"]), check=True, capture_output=True, cwd="/")
    try:
        yield f"postgresql+psycopg://{user}@127.0.0.1:{port}"
    finally:
        subprocess.run(_as_server_user([*control, "-m", "immediate", "stop"]), check=True, capture_output=True, cwd="/")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: str, request):
    """The URL of a fresh, empty database."""
    name = f"test_{abs(hash(request.node.nodeid))}"
    engine = create_engine(f"{postgres_server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{postgres_server}/{name}".replace("+psycopg", "")
