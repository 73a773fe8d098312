"""The rows of the forms that are exported: the national form of the report's appendix 2, TOP500 and Green500 lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flopbench.inventory.exchange.sheets import Value
from flopbench.inventory.overview import MachineRow

#: Headings over two rows, as in appendix 2: the second row has the columns of 機體性能.
_HEADINGS: dict[str, tuple[list[str], list[str]]] = {
    "zh": (
        ["單位", "機器名稱", "機體性能", "", "", "", "系統", "功率 (kW)", "資料來源"],
        [
            "",
            "",
            "計算核心 (GPU/CPU)",
            "算力理論值 (Rpeak) (TFLOPs)",
            "網路連結",
            "算力實際值 (Rmax) (TFLOPs)",
            "",
            "",
            "",
        ],
    ),
    "en": (
        ["Organisation", "Machine", "Performance", "", "", "", "Operating system", "Power (kW)", "Data source"],
        ["", "", "Compute cores (GPU/CPU)", "Rpeak (TFLOPS)", "Interconnect", "Rmax (TFLOPS)", "", "", ""],
    ),
}
_MORE = {
    "zh": ["Rpeak FP32 (TFLOPs)", "領域", "狀態", "用途", "年 Year", "查詢時間", "備註", "量測功率及其涵蓋範圍"],
    "en": [
        "Rpeak FP32 (TFLOPS)",
        "Sector",
        "Status",
        "Use",
        "Year",
        "Query date",
        "Remarks",
        "Measured power and what it covers",
    ],
}
LANGUAGES = tuple(_HEADINGS)
MERGED = ("A1:A2", "B1:B2", "C1:F1", "G1:G2", "H1:H2", "I1:I2")


def national(rows: Iterable[MachineRow], language: str, full: bool) -> list[list[Value]]:
    """Appendix 2's nine columns; `full` adds those that the report collects but its form lacks. TFLOPS and kW."""
    upper, lower = _HEADINGS[language]
    table: list[list[Value]] = [
        [*upper, *(_MORE[language] if full else [])],
        [*lower, *([""] * len(_MORE[language]) if full else [])],
    ]
    for row in rows:
        facts = row.facts
        source = row.best.source if row.best else facts["source"]
        cells: list[Value] = [
            row.organisation,
            row.name,
            _compute(row),
            _scaled(row.rpeak, 1e12),
            facts["interconnect"],
            _scaled(row.rmax, 1e12),
            facts["os"],
            _scaled(row.machine_power_w, 1e3),
            source,
        ]
        if full:
            cells += [
                _scaled(row.fp32_peak, 1e12),
                row.sector,
                row.status,
                facts["use"],
                facts["year"],
                (row.best.measured_on if row.best else None) or facts["query_date"],
                facts["remarks"],
                _measured_power(row),
            ]
        table.append(cells)
    return table


def _measured_power(row: MachineRow) -> str | None:
    """What the form's own column leaves out: a power that is not the whole machine's, with what it is of."""
    if row.best is None or row.best.power_w is None or row.best.power_cover is None:
        return None
    return f"{_scaled(row.best.power_w, 1e3):g} kW of {row.best.power_cover}"


def _compute(row: MachineRow) -> str:
    """CPU or GPU and the cores in brackets, as the form's example has it."""
    facts = row.facts
    name = facts["gpu"] or facts["cpu"] or ""
    if facts["gpu"] and facts["gpu_count"]:
        name = name if name[:1].isdigit() else f"{facts['gpu_count']}x {name}"
    cores = facts["cores"]
    return f"{name} ({cores:,} cores)".strip() if cores else name


TOP500 = [
    "Rank", "Name", "Computer", "Site", "Country", "Year", "Segment", "Total Cores", "Accelerator/Co-Processor Cores",
    "Rmax [TFlop/s]", "Rpeak [TFlop/s]", "Nmax", "Power (kW)", "Energy Efficiency [GFlops/Watts]", "Processor",
    "Operating System", "Accelerator/Co-Processor", "Interconnect",
]  # fmt: skip


def top500(ranked: Sequence[MachineRow]) -> list[list[Value]]:
    """A list in the TOP500's columns; `ranked` is in the order of its ranks."""
    table: list[list[Value]] = [list(TOP500)]
    for rank, row in enumerate(ranked, start=1):
        table.append([rank, *_listed(row)])
    return table


def green500(ranked: Sequence[MachineRow], rank_by_rmax: dict[int, int]) -> list[list[Value]]:
    """The same with the Green500's rank first; `rank_by_rmax` gives the rank by Rmax of each machine id."""
    table: list[list[Value]] = [["Rank", "TOP500 Rank", *TOP500[1:]]]
    for rank, row in enumerate(ranked, start=1):
        table.append([rank, rank_by_rmax.get(row.machine_id), *_listed(row)])
    return table


def _listed(row: MachineRow) -> list[Value]:
    facts = row.facts
    return [
        row.name,
        facts["model"],
        row.organisation,
        facts["country"],
        facts["year"],
        row.sector,
        facts["cores"],
        facts["accelerator_cores"],
        _scaled(row.rmax, 1e12),
        _scaled(row.rpeak, 1e12),
        row.best.n if row.best else None,
        _scaled(row.machine_power_w, 1e3),
        _scaled(row.flops_per_watt if row.cover is None else None, 1e9),
        facts["cpu"],
        facts["os"],
        facts["gpu"],
        facts["interconnect"],
    ]


def _scaled(value: float | None, unit: float) -> float | None:
    """The value in `unit`, with twelve digits: 1.116e16 / 1e12 is 11160, not 11160.000000000002."""
    return float(f"{value / unit:.12g}") if value is not None else None
