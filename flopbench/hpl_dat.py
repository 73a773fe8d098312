"""HPL.dat: HPL's input file, read and written. Line numbers, meanings, codes and defaults are those of HPL 2.3 (TUNING, HPL_pdinfo.c).

A value that HPL's documentation does not allow is an error, also where xhpl would silently take another one; the message then says
which. What xhpl reads in an unexpected way is read here as written, and a warning says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from flopbench.errors import BadInput, CannotWrite
from flopbench.kernel_api import LuTuning

MAX_VALUES = 20  # HPL_MAX_PARAM, include/hpl_ptest.h
MAX_LINE = 254  # characters that HPL's fgets takes of one line
LINES = 31

FACTS = ("left", "crout", "right")
BCASTS = ("1ring", "1ringM", "2ring", "2ringM", "long", "longM")
SWAPS = ("binexch", "long", "mix")
PMAPS = ("row", "column")


@dataclass(frozen=True)
class Case:
    """One of the runs that a file asks for."""

    n: int
    nb: int
    p: int
    q: int
    tuning: LuTuning


@dataclass(frozen=True)
class HplDat:
    """The content of an HPL.dat, in our words; tuples are the swept values, in the file's order."""

    ns: tuple[int, ...]
    nbs: tuple[int, ...]
    grids: tuple[tuple[int, int], ...]
    titles: tuple[str, str] = ("HPLinpack benchmark input file", "written by flopbench")
    output_file: str = "HPL.out"
    device: int = 6  # 6 stdout, 7 stderr, any other: output_file
    pmap: str = "row"
    threshold: float = 16.0  # <= 0: no check
    pfacts: tuple[str, ...] = ("right",)
    nbmins: tuple[int, ...] = (4,)
    ndivs: tuple[int, ...] = (2,)
    rfacts: tuple[str, ...] = ("right",)
    bcasts: tuple[str, ...] = ("1ringM",)
    depths: tuple[int, ...] = (1,)
    swap: str = "mix"
    swap_threshold: int = 64
    l1_transposed: bool = True
    u_transposed: bool = True
    equilibration: bool = True
    align: int = 8
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def cases(self) -> Iterator[Case]:
        """Every combination in HPL's order (HPL_pddriver.c): grid outermost, then N, NB, depth, bcast, rfact, pfact, nbmin, ndiv."""
        for grid, n, nb, depth, bcast, rfact, pfact, nbmin, ndiv in product(
            self.grids,
            self.ns,
            self.nbs,
            self.depths,
            self.bcasts,
            self.rfacts,
            self.pfacts,
            self.nbmins,
            self.ndivs,
        ):
            tuning = LuTuning(
                pmap=self.pmap,
                depth=depth,
                bcast=bcast,
                rfact=rfact,
                ndiv=ndiv,
                pfact=pfact,
                nbmin=nbmin,
                swap=self.swap,
                swap_threshold=self.swap_threshold,
                l1_transposed=self.l1_transposed,
                u_transposed=self.u_transposed,
                equilibration=self.equilibration,
                align=self.align,
                explicit=frozenset(
                    {"pmap", "depth", "bcast", "rfact", "ndiv", "pfact", "nbmin", "swap", "swap_threshold"}
                ),
            )
            yield Case(n, nb, *grid, tuning)

    def tunings(self) -> tuple[LuTuning, ...]:
        """The tunings of one grid, N and NB, in HPL's order."""
        outer = len(self.grids) * len(self.ns) * len(self.nbs)
        cases = list(self.cases())
        return tuple(case.tuning for case in cases[: len(cases) // outer])

    @property
    def ranks(self) -> int:
        """The most ranks that any grid needs."""
        return max(p * q for p, q in self.grids)


def read(path: Path) -> HplDat:
    """The file at `path`. Raises BadInput."""
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}; name another with --dat FILE, or make one: flopbench hpl --write-dat FILE"
        ) from error
    return parse(text, path.name)


def write(dat: HplDat, path: Path) -> None:
    """Write `dat` to `path`. Raises BadInput for what the format cannot say, CannotWrite."""
    text = to_text(dat)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path}: {error.strerror}; choose another place with --write-dat FILE"
        ) from error


def parse(text: str, name: str = "HPL.dat") -> HplDat:
    """The meaning of `text`. Raises BadInput: `name`, line, what it is, the value got, the values allowed."""
    reader = _Reader(text, name)
    titles = (reader.line(1), reader.line(2))
    output_file = reader.word(3, "the output file's name")
    device = reader.integer(
        4, "the device out", -(2**31), "6 for stdout, 7 for stderr, another integer for the file of line 3"
    )
    ns = reader.integers(5, "N", 1)
    nbs = reader.integers(7, "NB", 1)
    pmap = reader.code(9, "PMAP", PMAPS, "row-major")
    grids = reader.grids()
    threshold = reader.number(13, "the threshold")
    pfacts = reader.codes(14, "PFACT", FACTS, "right")
    nbmins = reader.integers(16, "NBMIN", 1)
    ndivs = reader.integers(18, "NDIV", 2)
    rfacts = reader.codes(20, "RFACT", FACTS, "right")
    bcasts = reader.codes(22, "BCAST", BCASTS, "1ringM")
    depths = reader.integers(24, "DEPTH", 0)
    return HplDat(
        ns=ns,
        nbs=nbs,
        grids=grids,
        titles=titles,
        output_file=output_file,
        device=device,
        pmap=pmap,
        threshold=threshold,
        pfacts=pfacts,
        nbmins=nbmins,
        ndivs=ndivs,
        rfacts=rfacts,
        bcasts=bcasts,
        depths=depths,
        swap=reader.code(26, "SWAP", SWAPS, "long"),
        swap_threshold=reader.integer(27, "the swapping threshold", 0),
        l1_transposed=reader.code(28, "L1", ("transposed", "not transposed"), "transposed") == "transposed",
        u_transposed=reader.code(29, "U", ("transposed", "not transposed"), "transposed") == "transposed",
        equilibration=reader.code(30, "equilibration", ("no", "yes"), "yes") == "yes",
        align=reader.integer(31, "the alignment in doubles", 1, instead="4"),
        warnings=tuple(reader.warnings),
    )


def to_text(dat: HplDat) -> str:
    """`dat` as the 31 lines of an HPL.dat. Raises BadInput for what the format cannot say."""

    def line(values: object, comment: str) -> str:
        return f"{values!s:<12} {comment}"

    def sweep(values: tuple[int, ...], count_comment: str, comment: str) -> list[str]:
        if not 1 <= len(values) <= MAX_VALUES:
            raise BadInput(f"HPL.dat takes 1 to {MAX_VALUES} {comment}, got {len(values)}")
        return [line(len(values), count_comment), line(" ".join(map(str, values)), comment)]

    def numbers(words: tuple[str, ...], known: tuple[str, ...], what: str) -> tuple[int, ...]:
        for word in words:
            if word not in known:
                raise BadInput(f"HPL.dat has no code for {what} {word!r}; it knows {', '.join(known)}")
        return tuple(known.index(word) for word in words)

    rows = [
        *dat.titles,
        line(dat.output_file, "output file name (if any)"),
        line(dat.device, "device out (6=stdout,7=stderr,file)"),
        *sweep(dat.ns, "# of problems sizes (N)", "Ns"),
        *sweep(dat.nbs, "# of NBs", "NBs"),
        line(numbers((dat.pmap,), PMAPS, "pmap")[0], "PMAP process mapping (0=Row-,1=Column-major)"),
        *sweep(tuple(p for p, _ in dat.grids), "# of process grids (P x Q)", "Ps"),
        line(" ".join(str(q) for _, q in dat.grids), "Qs"),
        line(repr(dat.threshold), "threshold"),
        *sweep(numbers(dat.pfacts, FACTS, "pfact"), "# of panel fact", "PFACTs (0=left, 1=Crout, 2=Right)"),
        *sweep(dat.nbmins, "# of recursive stopping criterium", "NBMINs (>= 1)"),
        *sweep(dat.ndivs, "# of panels in recursion", "NDIVs"),
        *sweep(numbers(dat.rfacts, FACTS, "rfact"), "# of recursive panel fact.", "RFACTs (0=left, 1=Crout, 2=Right)"),
        *sweep(numbers(dat.bcasts, BCASTS, "bcast"), "# of broadcast", "BCASTs (0=1rg,1=1rM,2=2rg,3=2rM,4=Lng,5=LnM)"),
        *sweep(dat.depths, "# of lookahead depth", "DEPTHs (>=0)"),
        line(numbers((dat.swap,), SWAPS, "swap")[0], "SWAP (0=bin-exch,1=long,2=mix)"),
        line(dat.swap_threshold, "swapping threshold"),
        line(0 if dat.l1_transposed else 1, "L1 in (0=transposed,1=no-transposed) form"),
        line(0 if dat.u_transposed else 1, "U  in (0=transposed,1=no-transposed) form"),
        line(1 if dat.equilibration else 0, "Equilibration (0=no,1=yes)"),
        line(dat.align, "memory alignment in double (> 0)"),
    ]
    return "\n".join(rows) + "\n"


class _Reader:
    """Takes values from numbered lines, and collects warnings."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.lines = text.splitlines()
        self.warnings: list[str] = []
        for number, line in enumerate(self.lines[:LINES], 1):
            if len(line) > MAX_LINE:
                self._warn(
                    number,
                    f"is {len(line)} characters long; xhpl reads {MAX_LINE} and takes the rest for the next line",
                )

    def line(self, number: int) -> str:
        if number > len(self.lines):
            raise BadInput(
                f"{self.name}: ends after line {len(self.lines)}, but an HPL.dat has {LINES} lines; the rest is missing"
            )
        return self.lines[number - 1]

    def word(self, number: int, what: str) -> str:
        words = self.line(number).split()
        if not words:
            raise self._error(number, what, "an empty line", "one word")
        return words[0]

    def number(self, number: int, what: str) -> float:
        text = self.word(number, what)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._error(number, what, repr(text), "a finite number; 0 or less means no check")
        return value

    def integer(self, number: int, what: str, low: int, allowed: str = "", instead: str = "") -> int:
        return self._to_integer(number, what, self.word(number, what), low, allowed or f"an integer >= {low}", instead)

    def code(self, number: int, what: str, words: tuple[str, ...], default: str) -> str:
        return self._to_code(number, what, self.word(number, what), words, default)

    def integers(self, number: int, what: str, low: int) -> tuple[int, ...]:
        """A count on line `number` and as many integers on the next."""
        return self._list(number + 1, what, self._count(number, what), low)

    def codes(self, number: int, what: str, words: tuple[str, ...], default: str) -> tuple[str, ...]:
        """A count on line `number` and as many codes on the next."""
        tokens = self._tokens(number + 1, what, self._count(number, what))
        return tuple(self._to_code(number + 1, what, token, words, default) for token in tokens)

    def grids(self) -> tuple[tuple[int, int], ...]:
        count = self._count(10, "process grids")
        return tuple(zip(self._list(11, "P", count, 1), self._list(12, "Q", count, 1), strict=True))

    def _count(self, number: int, what: str) -> int:
        allowed = f"an integer from 1 to {MAX_VALUES}"
        count = self._to_integer(number, f"the number of {what}", self.word(number, what), 1, allowed, "")
        if count > MAX_VALUES:
            raise self._error(number, f"the number of {what}", str(count), allowed)
        return count

    def _list(self, number: int, what: str, count: int, low: int) -> tuple[int, ...]:
        tokens = self._tokens(number, what, count)
        return tuple(self._to_integer(number, what, token, low, f"integers >= {low}", "") for token in tokens)

    def _tokens(self, number: int, what: str, count: int) -> list[str]:
        line = self.line(number)
        tokens = line.split()
        if len(tokens) < count:
            raise self._error(number, what, f"{len(tokens)} values", f"{count}, the number on an earlier line")
        if _as_xhpl(line, count) != tokens[:count]:
            self._warn(
                number,
                f"({what}) has more than one blank between values: xhpl reads it as {' '.join(_as_xhpl(line, count))}, "
                f"flopbench as {' '.join(tokens[:count])}",
            )
        return tokens[:count]

    def _to_integer(self, number: int, what: str, text: str, low: int, allowed: str, instead: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise self._error(number, what, repr(text), allowed) from None
        if value < low:
            hint = f" (xhpl would silently take {instead})" if instead else ""
            raise self._error(number, what, text, allowed + hint)
        return value

    def _to_code(self, number: int, what: str, text: str, words: tuple[str, ...], default: str) -> str:
        allowed = ", ".join(f"{code} ({word})" for code, word in enumerate(words))
        try:
            return words[("0", "1", "2", "3", "4", "5").index(text.lstrip("+"))]
        except (ValueError, IndexError):
            raise self._error(number, what, repr(text), f"{allowed} (xhpl would silently take {default})") from None

    def _error(self, number: int, what: str, got: str, allowed: str) -> BadInput:
        return BadInput(f"{self.name} line {number}: {what}: got {got}, allowed: {allowed}")

    def _warn(self, number: int, text: str) -> None:
        self.warnings.append(f"{self.name} line {number} {text}")


def _as_xhpl(line: str, count: int) -> list[str]:
    """The values that xhpl takes: it skips leading blanks of a value but moves on by the value's length plus one only."""
    values = []
    rest = line
    for _ in range(count):
        words = rest.split()
        if not words:
            break
        values.append(words[0])
        rest = rest[len(words[0]) + 1 :]
    return values
