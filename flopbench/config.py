"""Run configurations in TOML: the same words as the command line, checked strictly. The command line wins over the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from flopbench.errors import BadInput

Count = Annotated[int, msgspec.Meta(ge=1)]
Counts = Count | list[Count]


class Hpl(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """[hpl]: what `flopbench hpl` takes."""

    n: Counts | None = None
    nb: Counts | None = None
    grid: str | None = None
    memory: float | None = None
    time: float | None = None
    repeat: Count | None = None
    kernel: str | None = None
    backend: str | None = None
    device: str | None = None
    threads: Count | None = None
    blas: str | None = None
    energy: bool | None = None
    output: str | None = None


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A whole file: a title for people, and a table per command."""

    title: str = ""
    hpl: Hpl | None = None


def read(path: Path) -> Config:
    """The configuration in the file at `path`. Raises BadInput naming the file and the key."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read configuration {path}: {error.strerror}") from error
    try:
        return msgspec.toml.decode(text, type=Config)
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"configuration {path}: {error}; allowed keys: {', '.join(Hpl.__struct_fields__)} under [hpl]"
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(f"configuration {path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def hpl_defaults(path: Path) -> dict[str, object]:
    """The [hpl] table as defaults of the command line's parameters. Raises BadInput if the file has none."""
    table = read(path).hpl
    if table is None:
        raise BadInput(f"configuration {path} has no [hpl] table")
    found = {name: value for name in Hpl.__struct_fields__ if (value := getattr(table, name)) is not None}
    return {name: ",".join(map(str, v)) if isinstance(v, list) else str(v) for name, v in found.items()}
