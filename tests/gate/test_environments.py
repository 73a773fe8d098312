"""A revision of a repository becomes an environment; the files that a user copies name commands that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from flopbench.cli.gate import command
from flopbench.gate.environments import build

ROOT = Path(__file__).parents[2]
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "flopbench"
version = "0.0.1"
"""


def git(folder: Path, *arguments: str) -> str:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "flopbench").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    git(folder.parent, "init", "--quiet", str(folder))
    for number in (1, 2):
        (folder / "flopbench" / "__init__.py").write_text(f"WHICH = {number}\n")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", str(number))
    return folder


def test_the_revision_is_installed_before_ours_and_shares_our_numpy(repository, tmp_path):
    python, commit = build("HEAD^", repository, tmp_path / "base")
    assert commit == git(repository, "rev-parse", "HEAD^")
    program = "import flopbench, numpy, sys; print(flopbench.WHICH, numpy.__file__, sys.prefix)"
    said = subprocess.run([str(python), "-P", "-c", program], check=True, capture_output=True, text=True).stdout
    import numpy

    assert said.split() == ["1", numpy.__file__, str(tmp_path / "base" / "venv")]
    assert git(repository, "status", "--porcelain") == "" and git(repository, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_the_job_files_use_options_that_exist(name):
    text = (ROOT / "configs" / "ci" / name).read_text()
    called = re.search(r"flopbench\"? gate (.*?)(> gate|\n  artifacts)", text, re.DOTALL)[1]
    known = {option for parameter in command.params for option in parameter.opts}
    options = set(re.findall(r"--[a-z-]+", called))
    assert options and options <= known


def test_the_document_names_every_option_and_exit_code():
    text = (ROOT / "docs" / "gate.md").read_text()
    for option in (
        "--base",
        "--base-python",
        "--self-check",
        "--noise-floor",
        "--junit",
        "--bigger-is-better",
        "--history",
    ):
        assert option in text
    assert [line.split("|")[1].strip() for line in text.splitlines() if re.match(r"\| [0-4] \|", line)] == list("01234")
