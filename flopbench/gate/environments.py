"""An environment for the base: a revision of a git repository, unpacked and installed into a venv of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from flopbench.errors import BadInput


def build(revision: str, repository: Path, folder: Path) -> tuple[Path, str]:
    """Install `revision` of `repository` under `folder`; returns the venv's Python and the commit. Raises BadInput.

    Only flopbench itself is installed: its dependencies are the gate's own, through a path file, so that both sides load the same
    NumPy and the same BLAS and nothing is downloaded.
    """
    commit = _git(repository, "rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    tree = folder / "tree"
    with tarfile.open(fileobj=BytesIO(_git(repository, "archive", "--format=tar", commit))) as archive:
        archive.extractall(tree, filter="data")
    venv = folder / "venv"
    _run([sys.executable, "-m", "venv", "--without-pip", str(venv)], "make a venv")
    packages = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", *isolation]
    _run([*pip, "--target", str(packages), str(tree)], f"install revision {revision}")
    _share_dependencies(packages)
    return venv / "bin" / "python", commit


def _share_dependencies(packages: Path) -> None:
    """Put the gate's own site-packages behind `packages`: what is lacking there is found here, its own flopbench comes first."""
    shared = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (packages / "dependencies.pth").write_text("".join(f"{path}\n" for path in shared))


def _git(repository: Path, *arguments: str) -> bytes:
    return _run(["git", "-C", str(repository), *arguments], f"read {arguments[-1]!r} from the repository {repository}")


def _run(command: list[str], what: str) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True)
    except OSError as error:
        raise BadInput(f"cannot {what}: {command[0]}: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadInput(f"cannot {what}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout
