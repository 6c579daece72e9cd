"""What audience rules choose by: the tables of the stages that have run, and the people of a large log kept in memory."""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core import artifacts
from core.artifacts import MANIFEST
from core.audiences.chances import BASES, asked, base_of, chance_table, short_horizon
from core.audiences.counted import People, people_of
from core.audiences.leaves import Scope
from core.audiences.rules import TABLE_COLUMNS, scope_of
from core.errors import StorageError
from core.features import stages
from core.pipeline import offering, screens
from core.pipeline.screens import Screen
from core.pipeline.telling import one_category
from core.schema import RFM_GROUPS, STAGES
from core.store import Connection, fetch, sorted_events
from core.windows import parse_horizon

RULE_TABLES = {
    "counts": ("profiles", "counts"),
    "scores": ("propensity", "scores"),
    "segments": ("atlas", "users"),
    "categories": ("propensity", "categories"),
    "recommendations": ("recommendations", "recommendations"),
}
NARROW = {"scores": ("user_id", "propensity"), "segments": ("user_id", "segment_id", "subsegment_id")}
"""What rules read of tables that hold more."""
GROUP_COLUMNS = ("days_since_purchase", "orders_all", "revenue_all", "tenure_days", "days_since_event", "active_gap_median_days")
"""Counted features that tell RFM group and stage of life."""
PEOPLE_KEPT = 2
"""Readings of a dataset whose people stay in memory: some 150 bytes for each shopper."""


def rule_tables(screen: Screen, rule: Any = None) -> dict[str, pa.Table]:
    """Tables that audience rules may use, as far as their stages have run; chances of a named act and horizon only where a rule asks.

    Args:
        screen: What to read.
        rule: See `core.audiences.rules`, saved audiences put in.
    """
    wanted = asked(rule)
    return {name: _read(screen, name) for name in _schemas(screen) if name in RULE_TABLES or name == "groups" or name in wanted}


def scope(screen: Screen, connection: Connection) -> Scope:
    """Find out what rules may name, without reading a table.

    Args:
        screen: What to read.
        connection: Its log.

    Raises:
        RuleError: A table lacks its columns.
    """
    return scope_of(connection, {name: schema.empty_table() for name, schema in _schemas(screen).items()}, screen.log.until)


def rule_scope(screen: Screen) -> frozenset[str]:
    """Names of the tables that rules may use now, and `attributes` when the users table has any."""
    return frozenset(_schemas(screen)) | ({"attributes"} if user_columns(screen) else frozenset())


def user_columns(screen: Screen) -> list[str]:
    """Attribute columns of the users table, by name."""
    with screen.log.history() as connection:
        return sorted(set(fetch(connection, "SELECT * FROM users LIMIT 0").column_names) - {"user_id"})


def people(screen: Screen) -> People | None:
    """Return the people of a log that has its sorted copy, among whom sizes are counted; None without one."""
    copy = sorted_events(screen.log.sorted_path)
    return None if copy is None else _people(screen, str(copy.record["seal"]), tuple(sorted(chance_runs(screen).values())))


def chance_runs(screen: Screen) -> dict[tuple[str, str], str]:
    """Find the newest run for each act and horizon (such as `28d`) that scored everybody as of the end of the pinned version."""
    dataset = screen.dataset
    written = [(run_id, (dataset.run_path("propensity", run_id) / MANIFEST).stat().st_mtime_ns) for run_id in dataset.runs("propensity")]
    return dict(_chance_runs(screen, tuple(written)))


@lru_cache(maxsize=PEOPLE_KEPT)
def _chance_runs(screen: Screen, written: tuple[tuple[str, int], ...]) -> dict[tuple[str, str], str]:
    """Do as `chance_runs`: a rule asks several times, and records of the same run and time of writing are the same."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for run_id, _ in written:
        try:
            record = screen.dataset.run_manifest("propensity", run_id)
        except StorageError:  # damaged: it is made again when it is asked for
            continue
        config = record.get("config") or {}
        is_whole = record.get("cutoff") is None and one_category(record) is None
        if not is_whole or (record.get("inputs") or {}).get("version") != screen.version or not config.get("horizon_hours"):
            continue
        named = (str(config["act"]), short_horizon(timedelta(hours=float(config["horizon_hours"]))))
        found[named] = max(found.get(named, ("", "")), (str(record.get("created")), run_id))
    return {named: run_id for named, (_, run_id) in sorted(found.items())}


@lru_cache(maxsize=PEOPLE_KEPT)
def _people(screen: Screen, _seal: str, _chances: tuple[str, ...]) -> People | None:
    copy = sorted_events(screen.log.sorted_path)
    if copy is None:
        return None

    def read(table: str, columns: Sequence[str]) -> pa.Table:
        return _read(screen, table, list(columns))

    return people_of(copy, screen.log.until, frozenset(_schemas(screen)), read)


def _schemas(screen: Screen) -> dict[str, pa.Schema]:
    """Columns of the tables that there are, by name."""
    found: dict[str, pa.Schema] = {}
    for name, (kind, file) in RULE_TABLES.items():
        run = screen.run_id(kind)
        path = screen.dataset.run_path(kind, run) / f"{file}.parquet" if run else None
        if path is not None and path.is_file():
            found[name] = pq.read_schema(path)
    for name, path in _chance_files(screen).items():
        found[name] = pq.read_schema(path)
    if "counts" in found and set(GROUP_COLUMNS) <= set(found["counts"].names):
        found["groups"] = pa.schema([(column, pa.string()) for column in TABLE_COLUMNS["groups"]])
    return found


def _chance_files(screen: Screen) -> dict[str, Path]:
    """Files of the chances that rules may name, by the name of their table."""
    found: dict[str, Path] = {}
    for (act, horizon), run_id in chance_runs(screen).items():
        for base in sorted(set(BASES.values())):
            path = screen.dataset.run_path("propensity", run_id) / f"{base}.parquet"
            if path.is_file():
                found[chance_table(base, act, parse_horizon(horizon))] = path
    return found


def _read(screen: Screen, name: str, columns: list[str] | None = None) -> pa.Table:
    """Read columns of a table that there is; all when none is named."""
    if name == "groups":
        return groups(_read(screen, "counts", ["user_id", *GROUP_COLUMNS]))
    if name not in RULE_TABLES:
        return artifacts.read_table(_chance_files(screen)[name], columns or list(TABLE_COLUMNS[base_of(name)]))
    kind, file = RULE_TABLES[name]
    if not columns and name in NARROW:
        columns = [column for column in screens.run_columns(screen, kind, file) if column in NARROW[name]]
    table = screens.run_table(screen, kind, file, columns or None)
    assert table is not None
    if name == "recommendations" and (barred := offering.barred_now(screen)):
        return offering.allowed_table(table, barred)
    return table


def groups(counts: pa.Table) -> pa.Table:
    """RFM group and stage of life of every shopper: user_id, rfm, stage."""
    values: dict[str, Any] = {name: counts[name].to_numpy().astype(np.float64) for name in GROUP_COLUMNS}
    recency, orders, revenue, tenure, silent, gap = (values[name] for name in GROUP_COLUMNS)
    rfm = pa.array(RFM_GROUPS).take(pa.array(stages.rfm_groups(recency, orders, revenue)))
    life = pa.array(STAGES).take(pa.array(stages.life_stages(tenure, silent, gap)))
    return pa.table({"user_id": counts["user_id"], "rfm": rfm, "stage": life})
