"""The tables, for SQLAlchemy. Imported only when an inventory is opened.

Identity and content are apart: `machines` says that a machine exists, `machine_versions` what was known of it and when. The current version
is the highest; a corrected peak or measurement is one that another row's `corrects` names. Dates and times are ISO 8601 text, UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

_Id = BigInteger().with_variant(Integer, "sqlite")


def _id() -> Column:
    return Column("id", _Id, primary_key=True, autoincrement=True)


def _provenance() -> list[Column]:
    return [
        Column("source", Text, nullable=False),
        Column("query_date", Text),
        Column("remarks", Text),
        Column("reason", Text),
        Column("entered_utc", Text, nullable=False),
        Column("document_id", _Id, ForeignKey("documents.id")),
    ]


def _corrects(table: str) -> list[Column | CheckConstraint]:
    """A row is corrected once at most, so history is a line; a correction says why."""
    return [
        Column("corrects", _Id, ForeignKey(f"{table}.id"), unique=True),
        CheckConstraint("corrects IS NULL OR reason IS NOT NULL", name=f"{table}_correction_has_reason"),
    ]


documents = Table(
    "documents",
    metadata,
    _id(),
    Column("sha256", Text, nullable=False, unique=True),
    Column("form", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("edition", Text),
    Column("columns", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("query_date", Text),
    Column("entered_utc", Text, nullable=False),
)

document_rows = Table(
    "document_rows",
    metadata,
    _id(),
    Column("document_id", _Id, ForeignKey("documents.id"), nullable=False),
    Column("line", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("cells", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("machine_id", _Id, ForeignKey("machines.id")),
    Index("document_rows_by_document", "document_id", "line"),
)

organisations = Table("organisations", metadata, _id(), Column("key", Text, nullable=False, unique=True))

organisation_versions = Table(
    "organisation_versions",
    metadata,
    _id(),
    Column("organisation_id", _Id, ForeignKey("organisations.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("sector", Text),
    Column("tier", Text),
    *_provenance(),
    UniqueConstraint("organisation_id", "version"),
)

machines = Table(
    "machines",
    metadata,
    _id(),
    Column("organisation_id", _Id, ForeignKey("organisations.id"), nullable=False),
    Column("key", Text, nullable=False),
    UniqueConstraint("organisation_id", "key"),
)

machine_versions = Table(
    "machine_versions",
    metadata,
    _id(),
    Column("machine_id", _Id, ForeignKey("machines.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text),
    Column("cpu", Text),
    Column("cpu_count", BigInteger),
    Column("gpu", Text),
    Column("gpu_count", BigInteger),
    Column("cores", BigInteger),
    Column("accelerator_cores", BigInteger),
    Column("nodes", BigInteger),
    Column("cores_per_node", BigInteger),
    Column("memory_bytes", Float),
    Column("interconnect", Text),
    Column("os", Text),
    Column("use", Text),
    Column("site_power_w", Float),
    Column("status", Text, nullable=False),
    Column("year", Integer),
    Column("country", Text),
    *_provenance(),
    UniqueConstraint("machine_id", "version"),
    CheckConstraint("status IN ('planned', 'running', 'retired')", name="machine_status"),
)

peaks = Table(
    "peaks",
    metadata,
    _id(),
    Column("machine_id", _Id, ForeignKey("machines.id"), nullable=False),
    Column("precision", Text, nullable=False),
    Column("flops", Float, nullable=False),
    Column("convention", Text, nullable=False),
    Column("formula", Text),
    *_provenance(),
    *_corrects("peaks"),
    Index("peaks_by_machine", "machine_id", "precision", "id"),
)

measurements = Table(
    "measurements",
    metadata,
    _id(),
    Column("machine_id", _Id, ForeignKey("machines.id"), nullable=False),
    Column("standing", Text, nullable=False),
    Column("routine", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("rmax_flops", Float),
    Column("rpeak_flops", Float),
    Column("run_id", Text, unique=True),
    Column("kernel", Text),
    Column("n", BigInteger),
    Column("nb", BigInteger),
    Column("p", BigInteger),
    Column("q", BigInteger),
    Column("verdict", Text),
    Column("measured_on", Text),
    Column("power_w", Float),
    Column("flops_per_watt", Float),
    Column(
        "power_cover", Text
    ),  # what the power was read of: "dram, package", "node", "wall"; NULL: published, or no power
    Column("content_sha256", Text),
    Column("unverified", Text),
    *_provenance(),
    *_corrects("measurements"),
    CheckConstraint("standing IN ('verified', 'foreign', 'listed')", name="measurement_standing"),
    CheckConstraint("rmax_flops IS NULL OR rmax_flops > 0", name="measurement_rate_positive"),
    # The best rate of a machine is the last entry of its part of this index, see best.py.
    Index("measurements_best", "routine", "precision", "machine_id", "standing", "rmax_flops", "id"),
)

#: The whole record of a measurement, apart from the figures, so that a pass over the figures stays short.
records = Table(
    "records",
    metadata,
    Column("measurement_id", _Id, ForeignKey("measurements.id"), primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)

#: Kept by triggers, not entered: see best.py. What a list shows of a measurement stands here too, so that it reads nothing else.
best_rates = Table(
    "best_rates",
    metadata,
    Column("machine_id", _Id, ForeignKey("machines.id"), primary_key=True, autoincrement=False),
    Column("routine", Text, primary_key=True),
    Column("precision", Text, primary_key=True),
    Column("standing", Text, primary_key=True),
    Column("measurement_id", _Id, ForeignKey("measurements.id"), nullable=False),
    Column("rmax_flops", Float, nullable=False),
    Column("measured_on", Text),
    Column("power_w", Float),
    Column("flops_per_watt", Float),
    Column("power_cover", Text),
    Column("n", BigInteger),
    Column("source", Text, nullable=False),
    Column("run_id", Text),
    sqlite_with_rowid=False,
)

schema_steps = Table(
    "schema_steps",
    metadata,
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("applied_utc", Text, nullable=False),
    Column("flopbench", Text, nullable=False),
)

#: Everything that is a fact: rows come in and stay.
FACTS = (
    documents,
    document_rows,
    organisations,
    organisation_versions,
    machines,
    machine_versions,
    peaks,
    measurements,
    records,
)
