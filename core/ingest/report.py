"""What was read, what was kept, and why not the rest: the quality report of one version."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from core.ingest.label_counts import label_counts
from core.ingest.rules import MERGING, RULES
from core.schema import EVENTS, ITEM_ATTRIBUTES
from core.store import Connection, identifier, scalar

_EXAMPLES = 3
_POINTS: Final = (("p10", 0.1), ("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99))
_MOST_GAPS = 1000
_MOST_PERIODS = 60
OF_PURCHASES: Final = ("quantity", "revenue", "order_id")
"""Columns that only purchases and refunds have."""
_OTHER_DAYS = 3
"""So many whole days must show when a day usually begins and ends before the first or last is called partial."""

_PEOPLE = "SELECT user_id, events, first_event FROM main.user_totals"
_COUNTED_PEOPLE = "SELECT user_id, count(*) AS events, min(event_time) AS first_event FROM main.events GROUP BY user_id"
_ITEMS = "SELECT item_id, events FROM main.item_totals"
_COUNTED_ITEMS = "SELECT item_id, count(*) AS events FROM main.events WHERE item_id IS NOT NULL GROUP BY item_id"

Row = dict[str, Any]


def quality_report(connection: Connection, manifest: Row, *, zone: str | None = None, drift: Row | None = None) -> Row:
    """Report on a version.

    Args:
        connection: A connection to the version's events.duckdb; temporary tables are made on it.
        manifest: Its manifest.
        zone: Time zone of days; None for the one the log was read with.
        drift: What `drift.compare_versions` found against the version before, if there is one.

    Returns:
        waterfall (step, rows: read, each rule that took rows below zero, kept; they sum up to 0 with kept negated),
        accounting_closes, rules (with three examples each), nulls by column (of all events, or of purchases and refunds),
        nulls_by_period (unit, and for each period and column the share without a value, None where there is nothing to have
        one), days (day, event_type, events), gap_days, partial_days, event_mix, event_words, duplicates, catalogue, users and
        items (percentiles of events), robots, labels by horizon with their gates, drift, sources, warnings, earlier_warnings.
    """
    make_slots(connection)
    make_people(connection)
    days = zone or str(manifest.get("time_zone") or "UTC")
    read, kept = int(manifest["rows_read"]), int(manifest["rows_kept"])
    merged = int(manifest.get("rows_merged", 0))
    united = _united(connection, merged)
    repeats = int(united.get("duplicates", 0))
    taken = dict(connection.execute("SELECT rule, count(*) FROM main.quarantine GROUP BY rule ORDER BY rule").fetchall())
    quarantined = sum(taken.values())
    is_daily = int(manifest.get("time_resolution_seconds", 1)) == 86400
    return {
        "waterfall": _waterfall(read, kept, {**taken, **united}),
        "accounting_closes": read == kept + quarantined + merged
        and quarantined == int(manifest.get("rows_quarantined", quarantined))
        and merged == sum(united.values()),
        "rows_read": read,
        "rows_kept": kept,
        "rows_quarantined": quarantined,
        "rows_merged": merged,
        "rules": [rule | {"examples": _examples(connection, str(rule["id"]))} for rule in manifest.get("rules", [])],
        "duplicates": {"rows": repeats, "share": repeats / read if read else 0.0},
        "nulls": _nulls(connection, set(manifest["columns_present"])),
        "nulls_by_period": _nulls_by_period(connection, set(manifest["columns_present"]), days),
        "time_zone": days,
        "first_event": manifest["first_event"],
        "last_event": manifest["last_event"],
        "days": _days(connection, days),
        "gap_days": _gaps(connection, days),
        "partial_days": [] if is_daily else _partial_days(connection, days),
        "event_mix": _rows(
            connection,
            "SELECT CAST(event_type AS VARCHAR) AS event_type, CAST(sum(events) AS BIGINT) AS events,"
            " sum(events) / sum(sum(events)) OVER () AS share FROM report_slots"
            " GROUP BY event_type ORDER BY events DESC, event_type",
        ),
        "event_words": manifest.get("event_words", []),
        "catalogue": _catalogue(connection),
        "users": _users(connection),
        "items": _items(connection),
        "robots": _robots(connection, manifest.get("robots", [])),
        "labels": label_counts(connection, manifest),
        "drift": drift,
        "pseudonyms": manifest.get("mapping", {}).get("pseudonyms", []),
        "sources": [
            {key: source.get(key) for key in ("name", "role", "rows", "bytes", "sha256", "encoding", "broken")}
            for source in manifest.get("sources", [])
        ],
        "warnings": manifest.get("warnings", []),
        "earlier_warnings": manifest.get("earlier_warnings", []),
    }


def make_slots(connection: Connection) -> None:
    """Make the temporary table `report_slots`: kinds of events by quarter of an hour, UTC.

    All time zones of today lie a multiple of 15 minutes from UTC, so days and hours of any of them can be counted from
    these few rows, and the events are read once.
    """
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE report_slots AS
        SELECT time_bucket(INTERVAL 15 MINUTE, event_time) AS slot, event_type, count(*) AS events,
               min(event_time) AS first_event, max(event_time) AS last_event
        FROM main.events GROUP BY ALL
        """
    )


def make_people(connection: Connection) -> None:
    """Make the temporary views `report_people` and `report_items`: events of each, from the rollups where the version has them."""
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'").fetchall()}
    connection.execute(f"CREATE OR REPLACE TEMP VIEW report_people AS {_PEOPLE if 'user_totals' in tables else _COUNTED_PEOPLE}")
    connection.execute(f"CREATE OR REPLACE TEMP VIEW report_items AS {_ITEMS if 'item_totals' in tables else _COUNTED_ITEMS}")


def _rows(connection: Connection, sql: str, parameters: dict[str, object] | None = None) -> list[Row]:
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, (_plain(value) for value in row), strict=True)) for row in cursor.fetchall()]


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else float(value) if type(value).__name__ == "Decimal" else value


def _united(connection: Connection, merged: int) -> dict[str, int]:
    """Merged rows by rule; versions made before their rows were kept had one rule that merges."""
    if connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'merged'").fetchone() is None:
        return {"duplicates": merged} if merged else {}
    return dict(connection.execute("SELECT rule, count(*) FROM main.merged GROUP BY rule ORDER BY rule").fetchall())


def _waterfall(read: int, kept: int, taken: dict[str, int]) -> list[Row]:
    """Steps from read to kept; rows that were merged come last."""
    order = [rule.id for rule in RULES]
    rules = sorted(taken, key=lambda rule: (rule in MERGING, order.index(rule) if rule in order else len(order), rule))
    steps = [{"step": rule, "rows": -taken[rule]} for rule in rules]
    return [{"step": "rows_read", "rows": read}, *steps, {"step": "rows_kept", "rows": kept}]


def _examples(connection: Connection, rule: str) -> list[Row]:
    found = connection.execute(
        "SELECT source_file, source_row, reason, text FROM main.quarantine WHERE rule = ? ORDER BY source_file, source_row LIMIT ?",
        [rule, _EXAMPLES],
    ).fetchall()
    return [{"source_file": f, "source_row": n, "reason": reason, "text": text} for f, n, reason, text in found]


def _missing(column: str, kind: str) -> str:
    """An expression over events: `count` of those without a value, or the `of` that it is a share of; what belongs to purchases alone
    is missing on purchases and refunds alone."""
    name, bought = identifier(column), "event_type IN ('purchase', 'refund')"
    if kind == "of":
        return f"count(*) FILTER ({bought})" if column in OF_PURCHASES else "count(*)"
    return f"count(*) FILTER ({bought} AND {name} IS NULL)" if column in OF_PURCHASES else f"count(*) - count({name})"


def _nulls(connection: Connection, present: set[str]) -> list[Row]:
    names = [name for name in EVENTS if name not in ("source_file", "source_row")]
    counts = ", ".join(f"{_missing(name, 'count')}, {_missing(name, 'of')}" for name in names)
    row = connection.execute(f"SELECT {counts} FROM main.events").fetchone()  # noqa: S608 - fixed names and numbers only
    assert row is not None
    return [
        {
            "column": name,
            "present": name in present or name == "session_id",
            "nulls": missing,
            "share": missing / total if total else 0.0,
            "of": "purchases" if name in OF_PURCHASES else "events",
        }
        for name, missing, total in zip(names, row[::2], row[1::2], strict=True)
    ]


def _nulls_by_period(connection: Connection, present: set[str], zone: str) -> Row:
    """Where in time values are missing: by day, week or month, whichever gives no more than _MOST_PERIODS."""
    names = [name for name in EVENTS if name in present and name not in ("user_id", "event_time", "event_type")]
    row = connection.execute("SELECT date_diff('day', min(first_event), max(last_event)) FROM report_slots").fetchone()
    span = int(row[0] or 0) if row else 0
    unit = next((unit for unit, days in (("day", 1), ("week", 7)) if span / days < _MOST_PERIODS), "month")
    if not names:
        return {"unit": unit, "periods": []}
    shares = ", ".join(f"({_missing(name, 'count')}) / nullif({_missing(name, 'of')}, 0) AS {identifier(name)}" for name in names)
    found = _rows(
        connection,
        f"SELECT CAST(date_trunc('{unit}', {_LOCAL.format(time='event_time')}) AS DATE) AS period, count(*) AS events, {shares}"  # noqa: S608 - fixed names only
        " FROM main.events GROUP BY period ORDER BY period",
        {"zone": zone},
    )
    return {"unit": unit, "periods": found}


def _robots(connection: Connection, robots: list[Row]) -> list[Row]:
    """The users whom the robot rule caught, with the rows it took and the events that stay: those before they were caught."""
    if not robots:
        return []
    kept = dict(
        connection.execute(
            "SELECT user_id, events FROM report_people WHERE user_id IN (SELECT unnest($users))",
            {"users": [str(robot["user_id"]) for robot in robots]},
        ).fetchall()
    )
    return [robot | {"events": int(kept.get(str(robot["user_id"]), 0))} for robot in robots]


_LOCAL = "timezone($zone, timezone('UTC', {time}))"


def _days(connection: Connection, zone: str) -> list[Row]:
    return _rows(
        connection,
        f"SELECT CAST({_LOCAL.format(time='slot')} AS DATE) AS day, CAST(event_type AS VARCHAR) AS event_type,"  # noqa: S608 - a fixed expression
        " CAST(sum(events) AS BIGINT) AS events FROM report_slots GROUP BY ALL ORDER BY day, event_type",
        {"zone": zone},
    )


def _gaps(connection: Connection, zone: str) -> list[str]:
    found = connection.execute(
        f"""
        WITH days AS (SELECT DISTINCT CAST({_LOCAL.format(time="slot")} AS DATE) AS day FROM report_slots)
        SELECT CAST(t.day AS DATE) FROM (SELECT unnest(generate_series(min(day), max(day), INTERVAL 1 DAY)) AS day FROM days) AS t
        ANTI JOIN days ON days.day = CAST(t.day AS DATE) ORDER BY 1 LIMIT {_MOST_GAPS}
        """,  # noqa: S608 - a fixed expression
        {"zone": zone},
    ).fetchall()
    return [str(row[0]) for row in found]


def _partial_days(connection: Connection, zone: str) -> list[Row]:
    """The first and the last day when the log begins later, or ends earlier, by an hour than nine of ten other days do."""
    rows = connection.execute(
        f"""
        SELECT CAST({_LOCAL.format(time="slot")} AS DATE) AS day, min({_LOCAL.format(time="first_event")}),
               max({_LOCAL.format(time="last_event")}), CAST(sum(events) AS BIGINT)
        FROM report_slots GROUP BY day ORDER BY day
        """,  # noqa: S608 - a fixed expression
        {"zone": zone},
    ).fetchall()
    others = rows[1:-1]
    if len(others) < _OTHER_DAYS:
        return []
    found = []

    def clock(time: datetime) -> float:
        return time.hour + time.minute / 60 + time.second / 3600

    latest_start = sorted(clock(row[1]) for row in others)[int(0.9 * (len(others) - 1) + 0.5)]
    earliest_end = sorted(clock(row[2]) for row in others)[int(0.1 * (len(others) - 1) + 0.5)]
    usual = sorted(row[3] for row in others)[len(others) // 2]
    for row, partial in ((rows[0], clock(rows[0][1]) > latest_start + 1), (rows[-1], clock(rows[-1][2]) < earliest_end - 1)):
        if partial:
            found.append(
                {
                    "day": str(row[0]),
                    "which": "first" if row is rows[0] else "last",
                    "from": f"{row[1]:%H:%M}",
                    "to": f"{row[2]:%H:%M}",
                    "events": row[3],
                    "usual_events": usual,
                }
            )
    return found


def _catalogue(connection: Connection) -> Row:
    filled = ", ".join(f"count({identifier(name)})" for name in ITEM_ATTRIBUTES)
    row = connection.execute(f"SELECT count(*), count(*) FILTER (in_catalogue), {filled} FROM main.items").fetchone()  # noqa: S608 - fixed names and numbers only
    assert row is not None
    with_item = scalar(connection, "SELECT CAST(COALESCE(sum(events), 0) AS BIGINT) FROM report_items")
    covered = scalar(
        connection,
        "SELECT CAST(COALESCE(sum(events), 0) AS BIGINT) FROM report_items"
        " WHERE item_id IN (SELECT item_id FROM main.items WHERE in_catalogue)",
    )
    return {
        "items": row[0],
        "in_catalogue": row[1],
        "events_with_item": with_item,
        "events_in_catalogue": covered,
        "share_of_events": covered / with_item if with_item else None,
        "filled": {name: count / row[0] if row[0] else 0.0 for name, count in zip(ITEM_ATTRIBUTES, row[2:], strict=True)},
    }


def _spread(row: Callable[[str], Any]) -> Row:
    count, once, points, most = row("count(*), avg(CAST(events = 1 AS INTEGER)), quantile_disc(events, $points), max(events)")
    named = dict(zip([name for name, _ in _POINTS], points or [None] * len(_POINTS), strict=True))
    return {"count": count, "one_event_share": once, "events": named | {"max": most}}


def _users(connection: Connection) -> Row:
    points = {"points": [share for _, share in _POINTS]}
    found = _spread(lambda columns: connection.execute(f"SELECT {columns} FROM report_people", points).fetchone())  # noqa: S608 - fixed expressions
    return {
        "users": found["count"],
        "one_event_share": found["one_event_share"],
        "events_per_user": found["events"],
        "busiest": _rows(connection, "SELECT user_id, events FROM report_people ORDER BY events DESC, user_id LIMIT 10"),
    }


def _items(connection: Connection) -> Row:
    points = {"points": [share for _, share in _POINTS]}
    found = _spread(lambda columns: connection.execute(f"SELECT {columns} FROM report_items", points).fetchone())  # noqa: S608 - fixed expressions
    return {
        "items": found["count"],
        "one_event_share": found["one_event_share"],
        "events_per_item": found["events"],
        "busiest": _rows(connection, "SELECT item_id, events FROM report_items ORDER BY events DESC, item_id LIMIT 10"),
    }
