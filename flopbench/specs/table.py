"""The hardware table in memory: read once from data/*.toml, looked up by any name that people or drivers use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path

import msgspec

from flopbench.errors import BadInput, UnknownName
from flopbench.specs import names
from flopbench.specs.schema import CpuModel, DataFile, GpuArchitecture, GpuModel, Microarchitecture, Source


@dataclass(frozen=True)
class Table:
    """All entries. Names are unique; `validate.findings` checks everything that the types cannot."""

    sources: dict[str, Source] = field(default_factory=dict)
    microarchitectures: dict[str, Microarchitecture] = field(default_factory=dict)
    cpus: dict[str, CpuModel] = field(default_factory=dict)
    gpu_architectures: dict[str, GpuArchitecture] = field(default_factory=dict)
    gpus: dict[str, GpuModel] = field(default_factory=dict)

    @cached_property
    def _cpu_keys(self) -> dict[str, CpuModel]:
        return _by_key((alias, cpu) for cpu in self.cpus.values() for alias in [cpu.name, *cpu.aliases])

    @cached_property
    def _gpu_keys(self) -> dict[str, GpuModel]:
        return _by_key((alias, gpu) for gpu in self.gpus.values() for alias in [gpu.name, *gpu.aliases])

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], Microarchitecture]]:
        return [(re.compile(p), m) for m in self.microarchitectures.values() for p in m.name_patterns]

    def cpu(self, name: str) -> CpuModel | None:
        """The processor that `name` means, or None."""
        return self._cpu_keys.get(names.key(name)) or self._cpu_keys.get(names.short_key(name))

    def gpu(self, name: str) -> GpuModel | None:
        """The GPU that `name` means, or None."""
        return self._gpu_keys.get(names.key(name)) or self._gpu_keys.get(names.short_key(name))

    def microarchitecture_by_name(self, model_name: str) -> Microarchitecture | None:
        """The core design that a model's name tells, for models that the table does not list: "Ryzen 9 7950X" is Zen 4."""
        wanted = names.key(model_name)
        return next((m for pattern, m in self._patterns if pattern.search(wanted)), None)

    def microarchitectures_detected(self, name: str | None) -> list[Microarchitecture]:
        """The core designs that detection calls `name`: none, one, or several that only a model's name tells apart."""
        return [m for m in self.microarchitectures.values() if name in (m.detected_as or [m.name])]

    def named_cpu(self, name: str) -> CpuModel:
        """The processor called `name`. Raises UnknownName with the near matches."""
        found = self.cpu(name)
        if found is None:
            raise _unknown("processor", name, self.cpus)
        return found

    def named_gpu(self, name: str) -> GpuModel:
        """The GPU called `name`. Raises UnknownName with the near matches."""
        found = self.gpu(name)
        if found is None:
            raise _unknown("GPU", name, self.gpus)
        return found

    def source_text(self, source_id: str, item: str = "") -> str:
        """Publisher, title and address of a source, with the product's page where the source has one each."""
        source = self.sources[source_id]
        return f"{source.publisher}, {source.title}, {source.url.replace('{item}', item)}"


def _by_key(pairs: Iterable[tuple[str, CpuModel | GpuModel]]) -> dict:
    """Every key and every short key, except a short one that two products share."""
    full: dict = {}
    short: dict = {}
    shared: set[str] = set()
    for name, entry in pairs:
        full.setdefault(names.key(name), entry)
        brief = names.short_key(name)
        if short.setdefault(brief, entry) is not entry:
            shared.add(brief)
    return {k: v for k, v in short.items() if k not in shared} | full


def _unknown(what: str, name: str, known: Iterable[str]) -> UnknownName:
    return UnknownName(what, name, known, "`flopbench specs list` shows all", near=names.near(name, known))


def read_file(path: Path) -> DataFile:
    """One file of the table. Raises BadInput: not TOML, an unknown or a missing key, a wrong type."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=DataFile)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise BadInput(f"{path}: not a file of the hardware table: {error}") from error


def join(parts: Iterable[DataFile]) -> Table:
    """One table of all files. Raises BadInput if two entries have one name."""
    table = Table()
    for part in parts:
        for entries, target, attribute in (
            (part.sources, table.sources, "id"),
            (part.microarchitectures, table.microarchitectures, "name"),
            (part.cpus, table.cpus, "name"),
            (part.gpu_architectures, table.gpu_architectures, "name"),
            (part.gpus, table.gpus, "name"),
        ):
            for entry in entries:
                name = getattr(entry, attribute)
                if name in target:
                    raise BadInput(f"hardware table: {name!r} stands twice; remove one")
                target[name] = entry
    return table


def data_files() -> list[Path]:
    """The files that come with flopbench."""
    folder = Path(str(files("flopbench.specs") / "data"))
    return sorted(folder.glob("*.toml"))


@lru_cache(maxsize=1)
def load() -> Table:
    """The table that comes with flopbench."""
    return join(read_file(path) for path in data_files())
