"""Where the facts about a host come from: files under a root, commands, the process itself. A recorded host has others of each."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Seconds that a command such as lscpu may take before its answer counts as missing.
_PATIENCE_S = 10.0


def run_command(command: list[str]) -> str | None:
    """The standard output of `command`, or None if it is absent, fails or does not answer in time. English, whatever the locale."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None


def this_affinity() -> frozenset[int] | None:
    """The hardware threads that this process may run on, or None where the system has no such notion (macOS)."""
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def unlisted_flags() -> frozenset[str]:
    """What this processor and this system have, and what Linux lists in no version: amx_fp16. LLVM asks CPUID.

    Source: Linux, arch/x86/include/asm/cpufeatures.h, where X86_FEATURE_AMX_FP16 has no name for /proc/cpuinfo.
    """
    import llvmlite.binding as llvm

    return frozenset({"amx_fp16"}) if llvm.get_host_cpu_features().get("amx-fp16") else frozenset()


@dataclass(frozen=True)
class Source:
    """What detection reads.

    root       folder that holds proc/ and sys/; "/" on a live host
    runner     runs a command, gives its output or None
    environ    environment variables
    affinity   hardware threads that the process may use; None if the system cannot say
    uname      system, node, release, machine
    psutil     the psutil module, asked where files say nothing; None for a recorded host, whose files are all there is
    unlisted   gives the flags of the processor that the kernel does not list; asked on x86 with AMX
    """

    root: Path = Path("/")
    runner: Callable[[list[str]], str | None] = run_command
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    affinity: frozenset[int] | None = None
    uname: Any = field(default_factory=platform.uname)
    psutil: Any = None
    unlisted: Callable[[], frozenset[str]] = frozenset

    @classmethod
    def here(cls) -> Source:
        """The host that this process runs on."""
        import psutil

        return cls(affinity=this_affinity(), psutil=psutil, unlisted=unlisted_flags)

    def text(self, path: str) -> str:
        """The text of `path`, stripped. Raises OSError, which says whether it is absent or forbidden."""
        return (self.root / path.lstrip("/")).read_text(errors="replace").strip()

    def open(self, path: str) -> int:
        """A descriptor of `path` to read from, for who reads it often; the caller closes it. Raises OSError."""
        return os.open(self.root / path.lstrip("/"), os.O_RDONLY)

    def read(self, path: str) -> str | None:
        """The text of `path`, stripped; None if it is absent, forbidden or (as sysfs does for links that are down) refuses."""
        try:
            return self.text(path)
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """The integer in `path`, or None."""
        text = self.read(path)
        try:
            return int(text) if text is not None else None
        except ValueError:
            return None

    def cpu_list(self, path: str) -> list[int] | None:
        """The CPUs of the kernel list in `path`, or None if it is absent, empty or no list."""
        try:
            return parse_cpu_list(self.read(path) or "") or None
        except ValueError:
            return None

    def names(self, folder: str) -> list[str]:
        """The sorted names in `folder`; empty if it is absent or forbidden."""
        try:
            return sorted(entry.name for entry in (self.root / folder.lstrip("/")).iterdir())
        except OSError:
            return []

    def exists(self, path: str) -> bool:
        return (self.root / path.lstrip("/")).exists()

    def link_name(self, path: str) -> str | None:
        """The last part of what the symbolic link `path` points to, such as a driver's name; None if it is no link."""
        try:
            return os.path.basename(os.readlink(self.root / path.lstrip("/")))
        except OSError:
            return None


def parse_cpu_list(text: str) -> list[int]:
    """The CPUs of a kernel list: "0-3,8" gives [0, 1, 2, 3, 8]. Raises ValueError.

    Source: Linux, Documentation/admin-guide/cputopology.rst.
    """
    cpus: set[int] = set()
    for part in text.replace("\n", "").split(","):
        if part.strip():
            first, _, last = part.strip().partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    return sorted(cpus)


def format_cpu_list(cpus: list[int] | frozenset[int]) -> str:
    """The inverse of parse_cpu_list, in its shortest form: [0, 1, 2, 3, 8] gives "0-3,8"."""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and cpu == parts[-1][1] + 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
