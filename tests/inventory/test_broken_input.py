"""Five hundred broken files and names: never a traceback, never half an import, never a formula or a script that lives."""

from __future__ import annotations

import itertools
import json
import random
import zipfile
from pathlib import Path

import openpyxl
import pytest
from records import hpl_record, sealed

from flopbench.cli import run
from flopbench.inventory.store import Inventory

REPORT = Path(__file__).parent / "report"
NASTY = [
    "Robert'); DROP TABLE machines;--",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "=cmd|'/C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+1",
    "-1+1",
    "\t=1+1",
    "a\x00b",
    "\ud800",
    "\u202egnp.exe",
    "％00",
    "{{7*7}}",
    "../../../etc/passwd",
    "x" * 5000,
]
VALUES = [
    "NaN",
    "inf",
    "-inf",
    "-5",
    "1e400",
    "10" * 300,
    "abc",
    "=1+1",
    "1,2,3",
    "0x10",
    "[bold]",
    "１２３x",
    "\ufffd",
    "1e-400",
]


@pytest.fixture
def place(tmp_path):
    where = tmp_path / "i.db"
    with Inventory(str(where)) as inventory:
        inventory.init()
    return where


def counts(where: Path) -> list[int]:
    import sqlite3

    connection = sqlite3.connect(where)
    tables = ("documents", "document_rows", "machines", "machine_versions", "peaks", "measurements", "records")
    found = [connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables]
    connection.close()
    return found


def import_all(paths: list[Path], where: Path, capsys, *options: str) -> int:
    """Import each file; the number that were refused. A refused one leaves the inventory as it was and takes one line."""
    refused = 0
    before = counts(where)
    for path in paths:
        code = run(["inventory", "import", str(path), "--inventory", str(where), "--source", "a test", *options])
        captured = capsys.readouterr()
        assert code in (0, 2), (path.name, captured.err)
        assert "Traceback" not in captured.err + captured.out
        if code == 2:
            refused += 1
            assert captured.err.count("\n") == 1, captured.err
            assert counts(where) == before, path.name
        before = counts(where)
    return refused


def broken_tables(folder: Path) -> list[Path]:
    """Files cut, flipped and filled with nonsense, from the report's tables: 300, each different and none as it was."""
    chance = random.Random(20261102)
    sources = sorted(REPORT.glob("*.csv"))
    seen = {source.read_bytes() for source in sources}
    paths: list[Path] = []
    for number in itertools.count():
        if len(paths) == 300:
            return paths
        source = sources[number // 6 % len(sources)]
        raw = bytearray(source.read_bytes())
        kind = number % 6
        if kind == 0:
            raw = raw[: chance.randrange(1, len(raw))]
        elif kind == 1:
            for _ in range(chance.randrange(1, 9)):
                raw[chance.randrange(len(raw))] = chance.randrange(256)
        elif kind == 2:
            text = raw.decode()
            figures = [w for w in text.replace('"', "").replace("\n", ",").split(",") if w.strip().isdigit()]
            raw = bytearray(text.replace(chance.choice(figures), chance.choice(VALUES), 1).encode("utf-8", "replace"))
        elif kind == 3:
            raw = bytearray(raw.decode().replace("\n", f"\n{'x,' * chance.randrange(1, 12)}\n", 2).encode())
        elif kind == 4:
            raw = bytearray(raw.decode().replace(",", '","', chance.randrange(1, 5)).encode())
        else:
            half = len(raw) // 2
            raw = raw[:half] + raw[half:].decode("utf-8", "ignore").encode("big5", "ignore")
        if bytes(raw) not in seen:
            seen.add(bytes(raw))
            paths.append(folder / f"broken{number}.csv")
            paths[-1].write_bytes(bytes(raw))


def test_five_hundred_files_are_broken(tmp_path):
    """Different ones, of tables and records alone; the names and the files that are no tables come on top."""
    tables = {path.read_bytes() for path in broken_tables(tmp_path)}
    whole = {path.read_bytes() for path in REPORT.glob("*.csv")}
    assert len(tables - whole) + len(set(broken_records())) >= 500


def test_broken_tables_are_refused_whole_or_read_whole(tmp_path, place, capsys):
    refused = import_all(broken_tables(tmp_path), place, capsys)
    assert 60 < refused < 280, "neither everything nor nothing of this is refused"


def test_with_keep_going_what_can_be_read_is_entered_and_the_rest_is_named(tmp_path, place, capsys):
    path = tmp_path / "list.csv"
    path.write_text(
        "Rank,Name,Site,Rmax [TFlop/s],Rpeak [TFlop/s]\n1,A,X,NaN,5\n2,B,Y,3,4\n3,C,Z,-1,4\n4,D,Z,2,1e400\n"
    )
    assert run(["inventory", "import", str(path), "--inventory", str(place), "--keep-going"]) == 0
    out = capsys.readouterr().out
    assert out.count("unreadable: line") == 3
    assert counts(place)[1] == 1


def test_files_that_are_no_tables(tmp_path, place, capsys):
    chance = random.Random(1)
    contents = {
        "empty.csv": b"",
        "blank.csv": b"\n\n  \n",
        "binary.csv": bytes(chance.randrange(256) for _ in range(2000)),
        "zeros.csv": b"\x00" * 100,
        "half.xlsx": b"PK\x03\x04" + b"\x00" * 50,
        "old.xls": b"\xd0\xcf\x11\xe0" + b"\x00" * 50,
        "cut.xml": b"<?xml version='1.0'?><list><site><rank>1",
        "other.xml": b"<?xml version='1.0'?><html/>",
        "bomb.xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY a 'a'>]><list>&a;</list>",
        "long.csv": b"Name,Rmax [TFlop/s],Site\n" + b'"' + b"x" * 50_000 + b'",1,2\n',
        "quote.csv": b'Rank,Name,Site,Rmax,Rpeak\n1,"A,B,1,2\n2,C,D,1,2\n',
        "heading.csv": b"Rank,Name,Site,Rmax,Rpeak\n",
        "utf16cut.csv": "Rank,Name,Rmax\n1,a,2\n".encode("utf-16")[:-1],
        "wide.csv": b"Rank,Name,Rmax," + b"," * 5000 + b"\n1,A,2\n",
    }
    with zipfile.ZipFile(tmp_path / "words.xlsx", "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    paths = [tmp_path / "words.xlsx", tmp_path / "missing.csv", tmp_path]
    for name, raw in contents.items():
        (tmp_path / name).write_bytes(raw)
        paths.append(tmp_path / name)
    assert import_all(paths, place, capsys) == len(paths)


def test_nasty_names_are_kept_as_text_and_never_run(tmp_path, place, capsys):
    for number, name in enumerate(NASTY):
        printable = name.encode("utf-8", "replace").decode()
        path = tmp_path / f"nasty{number}.csv"
        quoted = printable.replace('"', '""')
        path.write_text(f'Rank,Name,Site,Country,Rmax [TFlop/s],Rpeak [TFlop/s]\n1,"{quoted}","{quoted}",x,3,4\n')
        import_all([path], place, capsys)
    before = counts(place)
    assert before[2] >= len(NASTY) - 4
    for arguments in (["list"], ["summary"], ["summary", "--by", "organisation"], ["validate"], ["list", "--json"]):
        assert run(["inventory", *arguments, "--inventory", str(place)]) in (0, 1)
    outputs = [tmp_path / "out.csv", tmp_path / "out.xlsx", tmp_path / "out.html"]
    options = [o for path, flag in zip(outputs, ("--csv", "--xlsx", "--html"), strict=True) for o in (flag, str(path))]
    assert run(["inventory", "export", *options, "--full", "--inventory", str(place)]) == 0
    capsys.readouterr()
    assert counts(place) == before
    for row in openpyxl.load_workbook(outputs[1]).active.iter_rows():
        assert all(cell.data_type != "f" for cell in row)
    html = outputs[2].read_text()
    assert html.count("<script>") == 1
    assert "<img" not in html
    import csv

    with outputs[0].open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.reader(stream):
            assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)


def broken_records() -> list[bytes]:
    """Records cut, edited, mistyped: 250 of them."""
    chance = random.Random(7)
    whole = json.dumps(sealed(hpl_record()), indent=1)
    found: list[bytes] = []
    for _ in range(80):
        found.append(whole[: chance.randrange(len(whole) - 2)].encode())
    fields = list(sealed(hpl_record()))
    for number in range(110):
        document = sealed(hpl_record())
        name = fields[number % len(fields)]
        others = [None, "x", -1, [], {}, True, 1e308, "NaN", [None], {"a": 1}, 10**400, NASTY[0]]
        document[name] = chance.choice([value for value in others if value != document[name]])
        found.append(json.dumps(document).encode())
    digits = [i for i, c in enumerate(whole) if c.isdigit()]
    for _ in range(50):
        place = chance.choice(digits)
        other = chance.choice([d for d in "0123456789" if d != whole[place]])
        found.append((whole[:place] + other + whole[place + 1 :]).encode())
    found += [
        whole.replace('"routine"', '"kernel": "lu_fp64_numpy", "routine"').encode(),
        whole.replace("20000", "NaN", 1).encode(),
        whole.replace("20000", "Infinity", 1).encode(),
        whole.replace("20000", "1e400", 1).encode(),
        whole.replace("20000", "9" * 5000, 1).encode(),
        b"[" * 100_000,
        b"null",
        whole.encode("big5") + b"\xff",
        whole.replace("node01", "\\ud800").encode(),
        b"",
    ]
    return found


def test_broken_records_are_refused_in_one_line_and_nothing_is_filed(tmp_path, place, capsys):
    before = counts(place)
    broken = broken_records()
    assert len(broken) == 250
    path = tmp_path / "record.json"
    for number, raw in enumerate(broken):
        path.write_bytes(raw)
        arguments = ["submit", str(path), "--inventory", str(place), "--organisation", "NTU", "--machine", "alpha"]
        assert run(arguments) == 2, f"record {number} was filed"
        errors = capsys.readouterr().err
        assert errors.startswith("refused: "), errors
        assert "Traceback" not in errors
        assert errors.count("\n") == errors.count("refused: "), "a reason is one line"
    assert counts(place) == before


def test_nasty_names_of_machines_and_owners_go_in_as_text(place, tmp_path, capsys):
    from flopbench import results

    for name in NASTY:
        path = results.write(hpl_record(), tmp_path)
        arguments = ["submit", str(path), "--inventory", str(place), "--organisation", name, "--machine", name]
        assert run(arguments) in (0, 2)
        assert "Traceback" not in capsys.readouterr().err
    assert run(["inventory", "list", "--inventory", str(place)]) == 0


def test_a_copy_that_an_editor_saved_with_a_mark_stays_valid(place, tmp_path, capsys):
    path = tmp_path / "copy.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(sealed(hpl_record())).encode())
    assert run(["submit", str(path), "--inventory", str(place), "--organisation", "NTU"]) == 0
