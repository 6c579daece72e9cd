"""What the manifest says of a version: its figures, its rules with their counts, and every doubt in words."""

from datetime import datetime
from typing import Any

from core.ingest import cleaning
from core.ingest.rules import RULES, Setting
from core.ingest.work import Work
from core.store import Connection, identifier, scalar


def count_events(connection: Connection) -> dict[str, Any]:
    """Count what stands in the finished tables."""
    row = connection.execute(
        """
        SELECT count(*), count(DISTINCT user_id), count(DISTINCT session_id), min(event_time), max(event_time),
               avg(CAST(item_id IN (SELECT item_id FROM final.items WHERE in_catalogue) AS INTEGER)) FILTER (item_id IS NOT NULL),
               avg(CAST(item_id IN (SELECT item_id FROM final.items WHERE title IS NOT NULL OR category IS NOT NULL) AS INTEGER))
                   FILTER (item_id IS NOT NULL)
        FROM final.events
        """
    ).fetchone()
    assert row is not None
    first, last = row[3], row[4]
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return {
        "events": row[0],
        "users": row[1],
        "items": scalar(connection, "SELECT count(*) FROM final.items"),
        "sessions": scalar(connection, "SELECT count(*) FROM final.sessions"),
        "first_event": first.isoformat(),
        "last_event": last.isoformat(),
        "catalogue_share": round(float(row[5]), 6) if row[5] is not None else None,
        "described_share": round(float(row[6]), 6) if row[6] is not None else None,
        "event_types": dict(
            connection.execute(
                "SELECT CAST(event_type AS VARCHAR), count(*) FROM final.events GROUP BY event_type ORDER BY event_type"
            ).fetchall()
        ),
    }


def columns_present(columns: set[str], shape: cleaning.Shape) -> set[str]:
    """Canonical event columns that the log really had, with values that follow from others."""
    events = {
        "user_id",
        "event_time",
        "event_type",
        "item_id",
        "session_id",
        "dwell_seconds",
        "position",
        "quantity",
        "price",
        "revenue",
        "query",
        "order_id",
    }
    present = (columns & events) | {"event_type", "event_time"}
    if "price" in columns:
        present.add("revenue")
    if {"revenue", "quantity"} <= columns:
        present.add("price")
    if shape.wide:
        present.add("item_id")
    return present


def warn_of_rows(work: Work, columns: set[str], shape: cleaning.Shape, words: list[dict[str, Any]], counts: dict[str, int]) -> None:
    """Say in words what was guessed, set aside or doubtful."""
    connection, warnings = work.connection, work.warnings
    if not shape.has_items and columns:
        warnings.append("The log has no item column: events are kept without items; catalogue, recommendations and item features are off.")
    if columns and not shape.has_price and {"revenue", "quantity"} <= columns:
        warnings.append("The log has no unit price; price = amount / quantity.")
    if "session_id" in columns and work.mapping.events.columns.get("user_id") == work.mapping.events.columns.get("session_id"):
        warnings.append("The log has no user column; each session is taken as a user of its own.")
    for name in ("user_id", "item_id"):
        floats = (
            scalar(connection, f"SELECT count(*) FROM raw WHERE regexp_matches({identifier(name)}, '^[0-9]+\\.0$')")  # noqa: S608 - fixed names and numbers only
            if name in columns
            else 0
        )
        if floats:
            warnings.append(
                f"{floats} values of {name} end in .0 (such as 17850.0); they are kept as they are. "
                f"Export the column as whole numbers or text to join other files."
            )
    refunds = scalar(
        connection,
        "SELECT count(*) FROM rows r LEFT JOIN words w ON w.word = r.word WHERE r.kind = 'refund' AND w.kind IS DISTINCT FROM 'refund'",
    )
    if refunds:
        warnings.append(f"{refunds} purchases with a negative quantity or amount, or a C… order number, were taken as refunds.")
    for source in (s for s in work.sources if s.role == "events"):
        account = source.account
        if account.literal_quotes:
            warnings.append(
                f"{account.literal_quotes} lines of {source.preview.name} have a quote inside a plain field; "
                f"it is kept as a sign of the text."
            )
        if account.unreadable:
            warnings.append(
                f"{account.unreadable} signs of {source.preview.name} are no text in {source.preview.encoding}; they stand as \ufffd."
            )
        if account.inside:
            warnings.append(f"{account.inside} line ends of {source.preview.name} stand inside quoted values.")
        if source.preview.skip:
            warnings.append(f"The first {source.preview.skip} lines of {source.preview.name} are no part of the table and were skipped.")
        if not source.preview.has_header and not source.mapping.header:
            guessed = ", ".join(f"{g.source[0]} as {g.canonical}" for g in source.mapping.guesses)
            warnings.append(
                f"{source.preview.name} has no header; guessed from values: {guessed}. Name the columns in the mapping if that is wrong."
            )
        left = [c for c in source.preview.columns if c not in {p for pieces in source.mapping.columns.values() for p in pieces}]
        if left:
            warnings.append(f"Columns of {source.preview.name} that were not used: {', '.join(left[:20])}{' …' if len(left) > 20 else ''}.")
    for rule, count in counts.items():
        if count and rule not in ("robots", "dwell_cap"):
            act = "merged" if rule == "duplicates" else "quarantined"
            warnings.append(f"{count} rows were {act} by rule {rule}.")
    if counts.get("dwell_cap"):
        warnings.append(f"{counts['dwell_cap']} stays longer than {work.rules['dwell_cap'].parameters['seconds']:g} s were cut to that.")


def rule_records(
    rules: dict[str, Setting], counts: dict[str, int], read: int, before: dict[str, Any], repeated: int, daily: bool
) -> list[dict[str, Any]]:
    """Return each rule with its setting, its count and its share of all rows."""
    earlier = {record["id"]: int(record["count"]) for record in before.get("rules", [])}
    records = []
    for rule in RULES:
        setting = rules[rule.id]
        count = counts.get(rule.id, 0) + earlier.get(rule.id, 0)
        if rule.id == "duplicates":
            count += repeated
        used = setting.on and not (daily and (rule.id == "robots" or (rule.id == "duplicates" and not setting.given)))
        records.append(
            {
                "id": rule.id,
                "description": rule.description,
                "on": used,
                "fixed": rule.fixed,
                "parameter": dict(setting.parameters),
                "count": count,
                "share": round(count / read, 6) if read else 0.0,
            }
        )
    return records
