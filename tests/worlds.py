"""Tiny logs whose answers fit in the head, written straight into a published version."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from core.insights.statement import Answer
from core.schema import EVENTS, ITEM_ATTRIBUTES
from core.store import EVENT_TYPES_SQL, EVENTS_FILE, TABLES_SQL, Home, Log, events_sql

DAY_ONE = datetime(2024, 3, 1)


def at(days: float) -> datetime:
    """The instant `days` after 2024-03-01 00:00 UTC."""
    return DAY_ONE + timedelta(days=days)


def publish_world(
    home: Path,
    events: Iterable[Mapping[str, Any]],
    items: Iterable[Mapping[str, Any]] = (),
    users: Mapping[str, Mapping[str, str]] | None = None,
    dataset: str = "tiny",
) -> Log:
    """Publish events (dicts of canonical columns; event_time as datetime) as a dataset, without going through ingest."""
    rows = [dict(event) for event in events]
    target = Home(home).dataset(dataset, create=True)
    with target.new_version() as draft:
        for number, row in enumerate(rows, start=1):
            row.setdefault("source_file", 0)
            row.setdefault("source_row", number)
        listed = {item["item_id"]: item for item in items}
        first_seen: dict[str, datetime] = {}
        for row in rows:
            if (item_id := row.get("item_id")) is not None:
                first_seen[item_id] = min(row["event_time"], first_seen.get(item_id, row["event_time"]))
        catalogue = [
            {"item_id": item_id, "in_catalogue": item_id in listed, "first_seen": first_seen.get(item_id)}
            | {attribute: listed.get(item_id, {}).get(attribute) for attribute in ITEM_ATTRIBUTES}
            for item_id in sorted(first_seen.keys() | listed.keys())
        ]
        attributes = sorted({name for values in (users or {}).values() for name in values})
        people = [
            {"user_id": user_id} | {name: (users or {}).get(user_id, {}).get(name) for name in attributes}
            for user_id in sorted({row["user_id"] for row in rows})
        ]
        connection = duckdb.connect(str(draft.path / EVENTS_FILE))
        connection.execute(TABLES_SQL)
        connection.execute(f"CREATE TABLE event_cells ({', '.join(f'{name} {kind}' for name, kind in EVENT_TYPES_SQL.items())})")
        connection.execute(f"CREATE VIEW events AS {events_sql(EVENT_TYPES_SQL, numbered=False)}")
        columns = "".join(f', "{name}" VARCHAR' for name in attributes)
        connection.execute(f"CREATE TABLE users (user_id VARCHAR{columns})")
        acts = [{column: row.get(column) for column in EVENTS} for row in rows]
        for table, kept in (("event_cells", acts), ("items", catalogue), ("users", people)):
            if kept:  # one statement for a table: one for each row costs seconds
                connection.register("rows", pa.Table.from_pylist(kept))
                connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM rows")
        connection.close()
        times = [row["event_time"] for row in rows]
        draft.record = {
            "first_event": min(times).isoformat(),
            "last_event": max(times).isoformat(),
            "columns_present": sorted({c for row in rows for c, value in row.items() if value is not None}),
            "rows_read": len(rows),
            "rows_kept": len(rows),
        }
    return target.log()


def as_shown(log: Log, answer: Answer, **tables: pa.Table) -> list[dict[str, Any]]:
    """The rows that the statement on screen gives in DuckDB, with nothing of ours around it; `tables` are exported ones."""
    assert "$" not in answer.sql
    plain = duckdb.connect(str(log.path), read_only=True)
    try:
        plain.execute("SET TimeZone = 'UTC'")
        for name, table in tables.items():
            plain.register(name, table)
        return list(plain.sql(answer.sql).to_arrow_table().to_pylist())
    finally:
        plain.close()
