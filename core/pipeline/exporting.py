"""Every table of a dataset as a file of its own, for people's own tools."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.artifacts import read_table, sha256_of, write_json
from core.errors import FileError, NotFoundError, StorageError
from core.ingest.scratch import scratch_below
from core.messages import Message, say
from core.pipeline.cells import hidden_below
from core.pipeline.exporting_profiles import export_profiles
from core.pipeline.offering import allowed_table, barred_now
from core.pipeline.run_cells import told_run_table
from core.pipeline.screens import open_screen
from core.pipeline.shoppers import segments, subsegments, trait_table
from core.pipeline.writing import BATCH_ROWS, write_batches
from core.schema import Progress, silent
from core.small_cells import marked, worded
from core.store import EVENTS_FILE, Dataset, Home, reading

EVENT_TABLES = {
    "events": "SELECT * FROM events ORDER BY event_time, source_file, source_row, event_type",
    "items": "SELECT * FROM items ORDER BY item_id",
    "users": "SELECT * FROM users ORDER BY user_id",
    "item_facts": "SELECT * FROM item_facts ORDER BY item_id",
    "quarantine": "SELECT * FROM quarantine ORDER BY source_file, source_row, rule",
    "merged": "SELECT * FROM merged ORDER BY source_file, source_row",
    "sessions": "SELECT session_id, user_id, started, ended, events, COALESCE(touched.items, 0) AS items, purchases, revenue FROM sessions"
    " LEFT JOIN (SELECT user_id, session_id, count(DISTINCT item_id) AS items FROM events GROUP BY ALL) AS touched"
    " USING (user_id, session_id) ORDER BY session_id, user_id",
}
COUNTED = ("size", "buyers", "orders")
"""Columns of the tables of segments that count people or what they do."""
NOT_ALWAYS = ("merged", "item_facts")
"""Not in versions that were ingested before merged rows were kept, or without a file of facts."""
RUN_TABLES = {
    "features": ("profiles", "counts.parquet"),
    "profile_drift": ("profiles", "drift.parquet"),
    "segments": ("atlas", "users.parquet"),
    "segment_moves": ("atlas", "moves.parquet"),
    "segment_table": ("atlas", "segments.parquet"),
    "segment_traits": ("atlas", "traits.parquet"),
    "subsegment_table": ("atlas", "subsegments.parquet"),
    "subsegment_traits": ("atlas", "subsegment_traits.parquet"),
    "propensity": ("propensity", "scores.parquet"),
    "propensity_test": ("propensity", "test.parquet"),
    "category_propensity": ("propensity", "categories.parquet"),
    "recommendations": ("recommendations", "recommendations.parquet"),
    "recommendation_two_lists": ("recommendations", "two_lists.parquet"),
    "recommendation_metrics": ("recommendations", "metrics.parquet"),
}


LISTS = ("recommendations", "recommendation_two_lists")
"""Tables that the rules in force hold for."""


def export_tables(
    dataset: Dataset, folder: Path, form: str = "parquet", progress: Progress = silent, small_cells: int = 0
) -> dict[str, Any]:
    """Write the current version's tables and the current runs' tables into a folder.

    Streams, so memory does not grow with the log. Each file is written beside its place and renamed. CSV has a byte order
    mark for spreadsheets and guards cells that a spreadsheet would run as a formula; Parquet holds values unchanged.

    Args:
        dataset: What to export.
        folder: Made when missing.
        form: `parquet` or `csv`.
        progress: Told after each table.
        small_cells: Counts of fewer people are hidden in the tables that count people; those with a row for each shopper, act or item
            are the log itself and stay whole.

    Returns:
        {"files": {table: {"rows", "bytes", "sha256"}}, "warnings": [what is not there yet]}; profiles are in both of their forms,
        profiles.parquet and profiles.npz, whatever `form` says.

    Raises:
        FileError: The folder's place is taken by a file.
        StorageError: A file cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise FileError("{path} is a file; name a folder to export into.", path=folder)
    version = dataset.version_path()
    names = [*EVENT_TABLES, *RUN_TABLES]
    written: dict[str, dict[str, Any]] = {}
    warnings: list[Message] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for place, name in enumerate(names):
            progress(place / len(names), say("writing {table}", table=name))
            target = folder / f"{name}.{form}"
            if name in EVENT_TABLES:
                if name in NOT_ALWAYS and not _has_table(version / EVENTS_FILE, name):
                    if name == "merged":
                        warnings.append(say("{table} is not there: the dataset was ingested before it was kept.", table=name))
                    continue
                rows = _stream_query(version / EVENTS_FILE, EVENT_TABLES[name], target, form)
            else:
                kind, file = RUN_TABLES[name]
                try:
                    path = dataset.run_path(kind) / file
                except NotFoundError:
                    warnings.append(say("{table} is not there: the dataset has no {kind} yet.", table=name, kind=kind))
                    continue
                if not path.is_file():
                    warnings.append(say("{table} is not there: the current {kind} run did not make it.", table=name, kind=kind))
                    continue
                table = read_table(path)
                if name in LISTS:
                    table = lists_in_force(dataset, table)
                if small_cells:
                    table = _told(dataset, name, table, small_cells)
                    table = table if form == "parquet" else worded(table)
                rows = write_batches(target, form, table.schema, iter(table.to_batches(BATCH_ROWS)))
            written[name] = {"rows": rows, "bytes": target.stat().st_size, "sha256": sha256_of(target)}
        try:
            progress(0.99, say("writing {table}", table="profiles"))
            profiles = export_profiles(dataset, folder)
        except NotFoundError:
            profiles = {}
            warnings.append(say("{table} is not there: the dataset has no {kind} yet.", table="profiles", kind="profiles"))
        written |= profiles
        told = {"small_cells": small_cells} if small_cells else {}
        write_json(folder / "export.json", {"dataset": dataset.name, "current": dataset.current(), "files": written, **told})
    except OSError as error:
        raise StorageError("{path} cannot be written ({error}). Free space or choose another folder.", path=folder, error=error) from error
    if small_cells:
        warnings.append(hidden_below(small_cells))
        warnings.append(say("Tables with a row for each shopper, act or item are the log itself: whoever has them can count exactly."))
    return {"files": written, "warnings": warnings}


def _told(dataset: Dataset, name: str, table: pa.Table, k: int) -> pa.Table:
    """A table of counts as it may be shown; segments and traits as the map shows them."""
    screen = replace(open_screen(Home(dataset.path.parents[1]), dataset.name), small_cells=k)
    fine = name.startswith("subsegment")
    if name in ("segment_table", "subsegment_table"):
        shown = subsegments(screen) if fine else segments(screen)
        return marked(pa.Table.from_pandas(shown[table.column_names], preserve_index=False), COUNTED, k)
    if name in ("segment_traits", "subsegment_traits"):
        return trait_table(screen, fine)[0]
    kind, file = RUN_TABLES[name]
    return told_run_table(kind, file.removesuffix(".parquet"), table, k)


def lists_in_force(dataset: Dataset, table: pa.Table) -> pa.Table:
    """Return lists without what the rules in force bar for everyone."""
    barred = barred_now(open_screen(Home(dataset.path.parents[1]), dataset.name))
    return allowed_table(table, barred) if barred else table


def events_parquet(dataset: Dataset, version: str) -> bytes:
    """Return the cleaned events of a version as one Parquet file, as `export_tables` writes them.

    Raises:
        StorageError: There is no room beside the dataset to write it.
    """
    try:
        with scratch_below(dataset.path / "versions") as scratch:
            target = scratch.path("parquet")
            _stream_query(dataset.version_path(version) / EVENTS_FILE, EVENT_TABLES["events"], target, "parquet")
            return target.read_bytes()
    except OSError as error:
        raise StorageError("{path} cannot be written ({error}). Free space.", path=dataset.path, error=error) from error


def _has_table(path: Path, name: str) -> bool:
    with reading(path) as connection:
        return bool(connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = ?", [name]).fetchone())


def _stream_query(database: Path, sql: str, target: Path, form: str) -> int:
    with reading(database) as connection:
        reader = connection.sql(sql).to_arrow_reader(BATCH_ROWS)
        return write_batches(target, form, reader.schema, iter(reader))
