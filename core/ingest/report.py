"""What was read, what was kept, and why not the rest: the quality report of one version."""

from typing import Any

from core.schema import EVENTS, ITEM_ATTRIBUTES
from core.store import Connection, identifier, scalar

_EXAMPLES = 3


def quality_report(connection: Connection, manifest: dict[str, Any]) -> dict[str, Any]:
    """Report on a version.

    Args:
        connection: A connection to the version's events.duckdb.
        manifest: Its manifest.

    Returns:
        waterfall (step, rows), rules (with three examples each), nulls by column, days (day, event_type, events),
        gap_days, event_mix, event_words, catalogue, users (percentiles of events, share with one event, busiest),
        accounting_closes, sources, warnings.
    """
    read = int(manifest["rows_read"])
    rules = [rule | {"examples": _examples(connection, str(rule["id"]))} for rule in manifest.get("rules", [])]
    dropped = [(str(r["id"]), int(r["count"])) for r in rules if r["count"] and r["id"] != "dwell_cap"]
    quarantined = int(scalar(connection, "SELECT count(*) FROM main.quarantine"))
    return {
        "waterfall": [
            {"step": "rows_read", "rows": read},
            *({"step": rule, "rows": -count} for rule, count in dropped),
            {"step": "rows_kept", "rows": int(manifest["rows_kept"])},
        ],
        "accounting_closes": read
        == int(manifest["rows_kept"]) + int(manifest.get("rows_quarantined", 0)) + int(manifest.get("rows_merged", 0))
        and quarantined == int(manifest.get("rows_quarantined", 0)),
        "rows_read": read,
        "rows_kept": int(manifest["rows_kept"]),
        "rows_quarantined": quarantined,
        "rows_merged": int(manifest.get("rows_merged", 0)),
        "rules": rules,
        "nulls": _nulls(connection, set(manifest["columns_present"])),
        "days": _rows(
            connection,
            "SELECT CAST(event_time AS DATE) AS day, CAST(event_type AS VARCHAR) AS event_type, count(*) AS events FROM main.events"
            " GROUP BY ALL ORDER BY day, event_type",
        ),
        "gap_days": _gaps(connection),
        "event_mix": _rows(
            connection,
            "SELECT CAST(event_type AS VARCHAR) AS event_type, count(*) AS events,"
            " count(*) / sum(count(*)) OVER () AS share FROM main.events"
            " GROUP BY event_type ORDER BY events DESC, event_type",
        ),
        "event_words": manifest.get("event_words", []),
        "catalogue": _catalogue(connection),
        "users": _users(connection),
        "robots": manifest.get("robots", []),
        "sources": [
            {key: source.get(key) for key in ("name", "role", "rows", "bytes", "sha256", "encoding", "broken")}
            for source in manifest.get("sources", [])
        ],
        "warnings": manifest.get("warnings", []),
    }


def _rows(connection: Connection, sql: str) -> list[dict[str, Any]]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, (_plain(value) for value in row), strict=True)) for row in cursor.fetchall()]


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else float(value) if type(value).__name__ == "Decimal" else value


def _examples(connection: Connection, rule: str) -> list[dict[str, Any]]:
    found = connection.execute(
        "SELECT source_file, source_row, reason, text FROM main.quarantine WHERE rule = ? ORDER BY source_file, source_row LIMIT ?",
        [rule, _EXAMPLES],
    ).fetchall()
    return [{"source_file": f, "source_row": n, "reason": reason, "text": text} for f, n, reason, text in found]


def _nulls(connection: Connection, present: set[str]) -> list[dict[str, Any]]:
    names = [name for name in EVENTS if name not in ("source_file", "source_row")]
    counts = ", ".join(f"count({identifier(name)})" for name in names)
    row = connection.execute(f"SELECT count(*), {counts} FROM main.events").fetchone()  # noqa: S608 - fixed names and numbers only
    assert row is not None
    total = row[0]
    return [
        {
            "column": name,
            "present": name in present or name == "session_id",
            "nulls": total - count,
            "share": (total - count) / total if total else 0.0,
        }
        for name, count in zip(names, row[1:], strict=True)
    ]


def _gaps(connection: Connection) -> list[str]:
    found = connection.execute(
        """
        WITH days AS (SELECT DISTINCT CAST(event_time AS DATE) AS day FROM main.events)
        SELECT CAST(t.day AS DATE) FROM (SELECT unnest(generate_series(min(day), max(day), INTERVAL 1 DAY)) AS day FROM days) AS t
        ANTI JOIN days ON days.day = CAST(t.day AS DATE) ORDER BY 1 LIMIT 1000
        """
    ).fetchall()
    return [str(row[0]) for row in found]


def _catalogue(connection: Connection) -> dict[str, Any]:
    filled = ", ".join(f"count({identifier(name)})" for name in ITEM_ATTRIBUTES)
    row = connection.execute(f"SELECT count(*), count(*) FILTER (in_catalogue), {filled} FROM main.items").fetchone()  # noqa: S608 - fixed names and numbers only
    assert row is not None
    with_item = scalar(connection, "SELECT count(item_id) FROM main.events")
    covered = scalar(connection, "SELECT count(*) FROM main.events WHERE item_id IN (SELECT item_id FROM main.items WHERE in_catalogue)")
    return {
        "items": row[0],
        "in_catalogue": row[1],
        "events_with_item": with_item,
        "events_in_catalogue": covered,
        "share_of_events": covered / with_item if with_item else None,
        "filled": {name: count / row[0] if row[0] else 0.0 for name, count in zip(ITEM_ATTRIBUTES, row[2:], strict=True)},
    }


def _users(connection: Connection) -> dict[str, Any]:
    row = connection.execute(
        """
        SELECT count(*), avg(CAST(n = 1 AS INTEGER)), quantile_disc(n, [0.1, 0.25, 0.5, 0.75, 0.9, 0.99]), max(n)
        FROM (SELECT count(*) AS n FROM main.events GROUP BY user_id)
        """
    ).fetchone()
    assert row is not None
    names = ("p10", "p25", "p50", "p75", "p90", "p99")
    return {
        "users": row[0],
        "one_event_share": row[1],
        "events_per_user": dict(zip(names, row[2] or [None] * len(names), strict=True)) | {"max": row[3]},
        "busiest": _rows(
            connection, "SELECT user_id, count(*) AS events FROM main.events GROUP BY user_id ORDER BY events DESC, user_id LIMIT 10"
        ),
    }
