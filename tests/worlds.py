"""Tiny logs whose answers fit in the head, written straight into a published version."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from core.schema import EVENTS, ITEM_ATTRIBUTES
from core.store import EVENTS_FILE, TABLES_SQL, Home, Log

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
        connection = duckdb.connect(str(draft.path / EVENTS_FILE))
        connection.execute(TABLES_SQL)
        connection.begin()  # one transaction: a commit for each row costs more than the row
        for number, row in enumerate(rows, start=1):
            row.setdefault("source_file", 0)
            row.setdefault("source_row", number)
            connection.execute(
                "INSERT INTO events VALUES ($user_id, $item_id, $event_type, $event_time, $session_id, $dwell_seconds, $position,"
                " $quantity, $price, $revenue, $query, $order_id, $source_file, $source_row)",
                {column: row.get(column) for column in EVENTS},
            )
        listed = {item["item_id"]: item for item in items}
        seen = {r["item_id"] for r in rows if r.get("item_id") is not None}
        for item_id in sorted(seen | listed.keys()):
            first = min((r["event_time"] for r in rows if r.get("item_id") == item_id), default=None)
            values = [listed.get(item_id, {}).get(attribute) for attribute in ITEM_ATTRIBUTES]
            connection.execute(
                "INSERT INTO items BY NAME SELECT ? AS item_id, ? AS in_catalogue, ? AS first_seen, ? AS title, ? AS category, ? AS brand,"
                " ? AS price, ? AS description, ? AS image",
                [item_id, item_id in listed, first, *values],
            )
        attributes = sorted({name for values in (users or {}).values() for name in values})
        columns = "".join(f', "{name}" VARCHAR' for name in attributes)
        connection.execute(f"CREATE TABLE users (user_id VARCHAR{columns})")
        for user_id in sorted({r["user_id"] for r in rows}):
            values = [(users or {}).get(user_id, {}).get(name) for name in attributes]
            connection.execute(f"INSERT INTO users VALUES (?{', ?' * len(attributes)})", [user_id, *values])
        connection.commit()
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
