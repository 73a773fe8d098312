"""Values of options: parsed once, for every command, with one wording for what is allowed."""

from __future__ import annotations

import re
from typing import Any

import click

from flopbench.errors import BadInput


class Sizes(click.ParamType):
    """Whole numbers from 1, separated by commas: a sweep."""

    name = "N[,N..]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        option = param.opts[0] if param else "value"
        parts = [part.strip() for part in str(value).split(",")]
        if not all(re.fullmatch(r"[0-9]{1,18}", part, re.ASCII) and int(part) > 0 for part in parts):
            raise BadInput(f"{option} is {value!r}; allowed: whole numbers from 1, separated by commas, like 1000,2000")
        return tuple(int(part) for part in parts)


class Grids(click.ParamType):
    """Process grids PxQ, separated by commas; auto leaves the choice to the plan, and gives ()."""

    name = "PxQ[,PxQ..]|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[int, int], ...]:
        if isinstance(value, tuple):
            return value
        if str(value) == "auto":
            return ()
        found = [re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", part.strip(), re.ASCII) for part in str(value).split(",")]
        if not all(match and int(match[1]) > 0 and int(match[2]) > 0 for match in found):
            raise BadInput(
                f"--grid is {value!r}; allowed: PxQ with P and Q from 1, like 2x4, several with commas between, or auto"
            )
        return tuple((int(match[1]), int(match[2])) for match in found if match)


class Names(click.ParamType):
    """Names separated by commas, each once; whoever knows the names says which are unknown."""

    name = "NAME[,NAME..]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip() for part in str(value).split(",")))
        if not all(names):
            option = param.opts[0] if param else "value"
            raise BadInput(f"{option} is {value!r}; allowed: names separated by commas")
        return names


class Pairs(click.ParamType):
    """One NAME=VALUE; whoever knows the names says which are unknown."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([a-z0-9_]+)=(.+)", str(value), re.ASCII)
        if not match:
            raise BadInput(f"--option is {value!r}; allowed: NAME=VALUE, like panel=device")
        return match[1], match[2]


NAMES = Names()
PAIRS = Pairs()
SIZES = Sizes()
GRIDS = Grids()
