"""What pages read: one pinned reading of a dataset, and every table and figure that a page shows of it.

Light by contract: DuckDB, Arrow and NumPy only, so that the screen process answers in milliseconds and holds no model.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core import artifacts
from core.errors import NotFoundError
from core.insights import overview
from core.insights.overview import Period
from core.insights.statement import Answer, ask
from core.messages import revived
from core.pipeline.run_cells import RUN_CELLS, told_run_table
from core.schema import RUN_KINDS
from core.small_cells import Cells, hide
from core.store import Dataset, Home, Log, fetch, reading, scalar
from core.windows import parse_horizon

QUARANTINE_PAGE = 200
"""Rows of the quarantine shown at once; all of them download."""

MIX_PER_DAY = Cells(labels=("day", "event_type"), people=("users",), acts={"events": "users"})
WRITER = "SHOPPER_ATLAS_WRITER"
"""Environment variable by which whoever runs Shopper Atlas names a language model that words segments (see `wording.writers`)."""
WORDING = "segment_wording_{language}"
"""Name under which its words are saved."""

MIX_SQL = """
SELECT (event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone)::DATE AS day, event_type::VARCHAR AS event_type, count(*) AS events
FROM history GROUP BY day, event_type ORDER BY day, event_type
"""
MIX_OF_PEOPLE_SQL = MIX_SQL.replace("count(*) AS events", "count(*) AS events, count(DISTINCT user_id) AS users")
COVERAGE_SQL = """
SELECT count(*) AS events, count(h.item_id) AS with_item,
       count(*) FILTER (c.in_catalogue) AS in_catalogue,
       count(*) FILTER (c.title IS NOT NULL) AS with_title,
       count(*) FILTER (c.category IS NOT NULL) AS with_category,
       count(*) FILTER (c.brand IS NOT NULL) AS with_brand,
       count(*) FILTER (c.price IS NOT NULL) AS with_price,
       count(*) FILTER (h.dwell_seconds IS NOT NULL) AS with_dwell,
       count(*) FILTER (h.position IS NOT NULL) AS with_position,
       count(*) FILTER (h.revenue IS NOT NULL) AS with_revenue,
       count(*) FILTER (h.session_id IS NOT NULL) AS with_session
FROM history h LEFT JOIN catalogue c ON h.item_id = c.item_id
"""
RULES_SQL = """
WITH placed AS (SELECT *, row_number() OVER (PARTITION BY rule ORDER BY source_file, source_row) AS place FROM quarantine)
SELECT rule, count(*) AS rows, any_value(reason ORDER BY place) FILTER (place = 1) AS reason,
       list(text ORDER BY place) FILTER (place <= 3) AS examples
FROM placed GROUP BY rule ORDER BY rows DESC, rule
"""
MERGED_SQL = """
SELECT source_file, source_row, rule, reason FROM merged
QUALIFY $most = 0 OR row_number() OVER (PARTITION BY rule ORDER BY source_file, source_row) <= $most
ORDER BY source_file, source_row
"""
QUARANTINE_SQL = """
SELECT source_file, source_row, {line}, rule, reason, text FROM quarantine
WHERE $rule = '' OR rule = $rule ORDER BY source_file, source_row, rule LIMIT $rows OFFSET $skip
"""


MOST_NAMES = 300
"""Categories or brands that a list holds, the most frequent ones; any other can be typed."""


@dataclass(frozen=True)
class Screen:
    """One dataset as it stood when a page began to draw: version and runs pinned."""

    home: Path
    name: str
    version: str
    runs: tuple[tuple[str, str], ...]
    """(kind, run id) of the current runs."""
    zone: str = "UTC"
    """Time zone whose days are shown."""
    small_cells: int = 0
    """Counts of fewer people are hidden (see `core.small_cells`); 0 hides nothing."""

    @property
    def dataset(self) -> Dataset:
        return Home(self.home).dataset(self.name)

    @property
    def log(self) -> Log:
        return self.dataset.log(version=self.version)

    def run_id(self, kind: str) -> str | None:
        """Return the pinned run of a kind, or None when that stage has not run yet."""
        return dict(self.runs).get(kind)


def open_screen(home: Home, name: str) -> Screen:
    """Pin the current version and runs of a dataset.

    Raises:
        NotFoundError: There is no such dataset.
    """
    dataset = home.dataset(name)
    pointers = dataset.current()
    if pointers["version"] is None:
        raise NotFoundError("Dataset {dataset!r} holds no events yet; ingest a log into it first.", dataset=name)
    settings = dataset.saved("settings") or {}
    zone = settings.get("time_zone") or manifest_zone(dataset.manifest(pointers["version"]))
    runs = tuple(sorted((kind, run) for kind, run in pointers["runs"].items() if kind in RUN_KINDS))
    return Screen(home.path, name, pointers["version"], runs, zone, home.small_cells())


def manifest_zone(manifest: dict[str, Any]) -> str:
    """Return the time zone that the log was read with, UTC when it says nothing."""
    return str(manifest.get("time_zone") or manifest.get("settings", {}).get("time_zone") or "UTC")


def save_zone(screen: Screen, zone: str) -> None:
    """Keep the time zone whose days are shown."""
    settings = screen.dataset.saved("settings") or {}
    screen.dataset.save("settings", {**settings, "time_zone": zone})


def manifest(screen: Screen) -> dict[str, Any]:
    """Return the manifest of the pinned version."""
    return screen.dataset.manifest(screen.version)


def run_manifest(screen: Screen, kind: str) -> dict[str, Any] | None:
    """Return the manifest of the pinned run of a kind, or None when that stage has not run yet."""
    run = screen.run_id(kind)
    return screen.dataset.run_manifest(kind, run) if run else None


def run_table(screen: Screen, kind: str, name: str, columns: list[str] | None = None) -> pa.Table | None:
    """Return a table of the pinned run (`users` for users.parquet), or None when the run or the table is missing.

    Its small cells are hidden when the home says so.
    """
    run = screen.run_id(kind)
    if run is None:
        return None
    path = screen.dataset.run_path(kind, run) / f"{name}.parquet"
    if not path.is_file():
        return None
    if screen.small_cells and (kind, name) in RUN_CELLS:
        table = told_run_table(kind, name, artifacts.read_table(path), screen.small_cells)
        return table.select(columns) if columns else table
    return artifacts.read_table(path, columns)


def run_columns(screen: Screen, kind: str, name: str) -> list[str]:
    """Return the names of the columns of a table of the pinned run; none when the run or the table is missing."""
    run = screen.run_id(kind)
    path = screen.dataset.run_path(kind, run) / f"{name}.parquet" if run else None
    return list(pq.read_schema(path).names) if path is not None and path.is_file() else []


def varying_columns(screen: Screen, kind: str, name: str) -> list[str]:
    """Return the names of the columns of a table of the pinned run that hold at least two values; none without the table."""
    run = screen.run_id(kind)
    path = screen.dataset.run_path(kind, run) / f"{name}.parquet" if run else None
    return artifacts.varying_columns(path) if path is not None and path.is_file() else []


def run_record(screen: Screen, kind: str, name: str) -> dict[str, Any] | None:
    """Return a JSON record of the pinned run (`card` for card.json), or None when the run or the record is missing."""
    run = screen.run_id(kind)
    path = screen.dataset.run_path(kind, run) / f"{name}.json" if run else None
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path is not None and path.is_file() else None


def kinds_of_data(record: dict[str, Any]) -> list[str]:
    """Return `sample`, `synthetic` and `relative_time` as far as the manifest of a version says so."""
    return [word for word in ("sample", "synthetic", "relative_time") if record.get(word)]


def horizon_days(record: dict[str, Any]) -> float:
    """Return the horizon of a propensity run in days."""
    config, windows = record.get("config", {}), record.get("windows") or {}
    if config.get("horizon_hours") is not None:
        return float(config["horizon_hours"]) / 24
    for found in (config.get("horizon_days"), windows.get("horizon_days"), record.get("horizon_days")):
        if found is not None:
            return float(found)
    for text in (config.get("horizon"), windows.get("horizon")):
        if isinstance(text, str) and text.rstrip("dh").replace(".", "", 1).isdigit():
            return parse_horizon(text) / timedelta(days=1)
    return float("nan")


def made_as_of(screen: Screen, kind: str) -> str | None:
    """Return the time as of which the pinned run of a kind was made, ISO: its cutoff, or the end of the log of its own version.

    None when there is no run, or its version is no longer there.
    """
    record = run_manifest(screen, kind)
    if record is None:
        return None
    if record.get("cutoff"):
        return str(record["cutoff"])
    try:
        return str(screen.dataset.manifest(record.get("inputs", {}).get("version") or screen.version)["last_event"])
    except NotFoundError:
        return None


def model_name(record: dict[str, Any]) -> str:
    """Return the short name of the text model of a profiles run, or '' when it used none."""
    card = record.get("card") or {}
    card = card.get("text", card) if isinstance(card, dict) else {}
    found = card.get("name") or card.get("checkpoint") or card.get("model") or ""
    return str(found).rsplit("/", 1)[-1]


def period_of(screen: Screen, days: int | None) -> Period:
    """Return the last `days` days of the log, or all of it."""
    return overview.last_days(screen.log, days, screen.zone) if days else overview.whole_log(screen.log, screen.zone)


def previous_period(screen: Screen, period: Period) -> Period | None:
    """Return the period of equal length just before, or None when the log does not reach back that far."""
    return overview.previous(period, screen.log)


def event_mix_per_day(screen: Screen) -> Answer:
    """One row per day and kind of event, in the display time zone; while small cells are hidden also users."""
    if not screen.small_cells:
        return _ask(screen, MIX_SQL, {"zone": screen.zone})
    found = _ask(screen, MIX_OF_PEOPLE_SQL, {"zone": screen.zone})
    return Answer(hide(found.table, MIX_PER_DAY, screen.small_cells), found.sql)


def coverage(screen: Screen) -> Answer:
    """One row: how many events carry an item, a catalogue entry, a title, a price, a dwell time …"""
    return _ask(screen, COVERAGE_SQL, {})


def quarantine_rules(screen: Screen) -> pa.Table:
    """One row per rule that put rows aside: rule, rows, reason, example."""
    return _raw(screen, RULES_SQL, {})


def quarantine_rows(screen: Screen, rule: str = "", skip: int = 0, rows: int = QUARANTINE_PAGE) -> pa.Table:
    """Rows put aside, with the original line; all rules when `rule` is ''."""
    has_lines = "source_line" in _columns(screen, "quarantine")  # datasets ingested earlier know only rows
    sql = QUARANTINE_SQL.format(line="source_line" if has_lines else "CAST(NULL AS BIGINT) AS source_line")
    return _raw(screen, sql, {"rule": rule, "skip": skip, "rows": rows})


def merged_rows(screen: Screen, most: int = 0) -> pa.Table:
    """Rows that were merged, each with the row it repeats; at most so many of each rule (0: all).

    Empty in datasets that were ingested before merged rows were kept.
    """
    if not _columns(screen, "merged"):
        return pa.table({name: pa.array([], pa.string()) for name in ("source_file", "source_row", "rule", "reason")})
    return _raw(screen, MERGED_SQL, {"most": most})


def counts(screen: Screen) -> dict[str, int]:
    """Return users, items and catalogue items of the pinned version."""
    with reading(screen.log.path) as connection:
        return {
            "users": int(scalar(connection, "SELECT count(DISTINCT user_id) FROM events")),
            "items": int(scalar(connection, "SELECT count(DISTINCT item_id) FROM events")),
            "catalogue": int(scalar(connection, "SELECT count(*) FROM items WHERE in_catalogue")),
        }


def last_event(screen: Screen) -> datetime:
    """Time of the last event, UTC."""
    return datetime.fromisoformat(manifest(screen)["last_event"])


def _columns(screen: Screen, table: str) -> set[str]:
    found = _raw(screen, "SELECT column_name FROM duckdb_columns() WHERE table_name = $table", {"table": table})
    return set(found["column_name"].to_pylist())


def _ask(screen: Screen, sql: str, parameters: dict[str, object]) -> Answer:
    with screen.log.history() as connection:
        return ask(connection, sql, parameters)


def _raw(screen: Screen, sql: str, parameters: dict[str, object]) -> pa.Table:
    with reading(screen.log.path) as connection:
        return fetch(connection, sql, parameters)


def audit(screen: Screen, record: dict[str, Any]) -> None:
    """Add a line to the audit trail of the home."""
    Home(screen.home).append_audit(record)


def writer_setting() -> str:
    """Return the language model that may word segments, "" when none is set."""
    return os.environ.get(WRITER, "").strip()


def segment_wording(screen: Screen, language: str) -> dict[str, Any] | None:
    """Return what a language model worded for the pinned map: writer, segments (id as text → name, description, facts, refused).

    None when nothing was worded in that language, or for another map than the pinned one.
    """
    record = revived(screen.dataset.saved(WORDING.format(language=language)))
    return record if record and record.get("atlas") == screen.run_id("atlas") else None


def take_wording(screen: Screen, language: str) -> None:
    """Give the segments of the pinned map the names that a language model worded, as if a person had given them."""
    found = segment_wording(screen, language) or {"segments": {}}
    names = {key: worded["name"] for key, worded in found["segments"].items() if worded["name"]}
    screen.dataset.save("segment_names", {**(screen.dataset.saved("segment_names") or {}), **names})
