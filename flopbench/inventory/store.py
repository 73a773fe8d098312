"""One inventory: a SQLite file that many processes share, or a PostgreSQL database by URL.

Every change happens in one transaction (`Inventory.writing`), which on SQLite takes the write lock at its start, so that two processes
never read the same state and both write on it. An acknowledged change has been synced to disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

import flopbench
from flopbench.errors import BadInput, NotPossible, Unreachable
from flopbench.inventory import migrations
from flopbench.timing import utc_now

VARIABLE = "FLOPBENCH_INVENTORY"
BUSY_SECONDS = 60.0
_DEADLOCK = "40P01"  # PostgreSQL, appendix A: deadlock_detected


def default_location() -> str:
    """The inventory meant when none is named: $FLOPBENCH_INVENTORY, else a file in the user's data folder."""
    if named := os.environ.get(VARIABLE):
        return named
    base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return str(base / "flopbench" / "inventory.sqlite3")


def parse_location(location: str) -> URL:
    """A URL of SQLite or PostgreSQL, or the path of a SQLite file. Raises BadInput."""
    if "://" not in location:
        return URL.create("sqlite", database=location)
    try:
        url = make_url(location)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise BadInput(
            f"inventory URL {location!r} cannot be read; give a file path or postgresql://USER@HOST/NAME"
        ) from error
    if url.drivername == "sqlite":
        if not url.database:
            raise BadInput("inventory URL sqlite:// names no file; give sqlite:///PATH or the path itself")
        return url
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise BadInput(
        f"inventory URL has the scheme {url.drivername!r}; allowed: sqlite, postgresql, or the path of a file"
    )


class Collision(Unreachable):
    """PostgreSQL undid this change because it and that of another process waited for each other; the same change will do again."""


class Inventory:
    """An open inventory. Use as a context manager, or call close()."""

    def __init__(self, location: str | None = None) -> None:
        self.url = parse_location(location or default_location())
        self.name = self.url.render_as_string(hide_password=True)
        if self.is_sqlite:
            self.name = str(self.url.database)
        try:
            self.engine = _engine(self.url)
        except (ImportError, NoSuchModuleError) as error:
            raise NotPossible(
                "a PostgreSQL inventory needs psycopg, which is not installed; run pip install 'flopbench[postgres]'"
            ) from error

    @property
    def is_sqlite(self) -> bool:
        return self.url.drivername == "sqlite"

    def init(self) -> list[str]:
        """Create the inventory, or bring an older one up to date; the names of the steps that were applied."""
        if self.is_sqlite:
            try:
                Path(str(self.url.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise Unreachable(f"cannot make the folder of inventory {self.name}: {error.strerror}") from error
        with self._connection() as connection:
            return migrations.migrate(connection, utc_now(), flopbench.__version__)

    def check_schema(self) -> None:
        """Raises Unreachable if there is no inventory, BadInput if its schema is older or newer than this flopbench's."""
        if self.is_sqlite and not Path(str(self.url.database)).exists():
            raise Unreachable(
                f"no inventory at {self.name}; make one with: flopbench inventory init --inventory {self.name}"
            )
        with self.reading() as connection:
            step = migrations.step_of(connection)
        if step < migrations.LATEST:
            raise BadInput(
                f"the inventory {self.name} has schema step {step}, this flopbench needs {migrations.LATEST}; "
                "run flopbench inventory init once to bring it up to date"
            )

    def open(self) -> Inventory:
        """This inventory, after check_schema."""
        self.check_schema()
        return self

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is kept, or nothing."""
        with self._connection() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._connection(write=False) as connection:
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Inventory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _connection(self, write: bool = True) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(flopbench_write=write) as connection, connection.begin():
                yield connection
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == _DEADLOCK:
                raise Collision(f"inventory {self.name}: another process changes the same machines") from error
            raise Unreachable(f"inventory {self.name} cannot be reached: {_first_line(error)}") from error
        except DatabaseError as error:
            if "not a database" in str(error):
                raise BadInput(f"{self.name} is not a SQLite database; choose another file with --inventory") from error
            raise


def _engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        return create_engine(url, pool_size=1, max_overflow=4, connect_args={"connect_timeout": 5})
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the transactions below are ours
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("flopbench_write", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _first_line(error: DatabaseError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
