"""Published sums (tables of the form "sectors"), read back for the summary with their sums recomputed beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from flopbench.inventory import schema

if TYPE_CHECKING:
    from flopbench.inventory.exchange.sectors import SectorRow


@dataclass(frozen=True)
class SectorTable:
    """`sums` are recomputed from the parts, in the printed unit (TFLOPS); `total` is the printed row, if there is one."""

    title: str
    parts: list[SectorRow]
    total: SectorRow | None
    sums: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        def figures(r: SectorRow) -> dict[str, Any]:
            return {
                "label": r.label,
                "counted": r.counted.value if r.counted else None,
                **{f"{name}_tflops": f.value if f else None for name, f in r.totals.items()},
                **{f"{name}_percent": f.value if f else None for name, f in r.shares.items()},
            }

        printed = figures(self.total) if self.total else None
        return {
            "title": self.title,
            "rows": [figures(r) for r in self.parts],
            "printed_total": printed,
            "sums": self.sums,
        }


def sector_tables(connection: Connection) -> list[SectorTable]:
    """Every imported sector table. Most inventories have none, and are summed up without loading what reads them."""
    if (
        connection.execute(select(schema.documents.c.id).where(schema.documents.c.form == "sectors").limit(1)).first()
        is None
    ):
        return []
    from flopbench.inventory.audit.tables import tables
    from flopbench.inventory.exchange.sectors import row

    found = []
    for table in tables(connection, form="sectors"):
        rows = [row(line.number, line.cells, table.heading) for line in table.lines]
        parts = [r for r in rows if not r.is_total]
        total = next((r for r in rows if r.is_total), None)
        sums = {
            name: sum(figure.value for r in parts if (figure := r.totals[name]) is not None)
            for name in ("fp64_total", "fp32_total")
        }
        found.append(SectorTable(table.title, parts, total, sums))
    return found
