"""What is new against the version before: users, items, event words that came or went, and shapes that shifted."""

from collections.abc import Mapping, Sequence
from math import log, log2, sqrt
from typing import Any, Final

from core.ingest.report import make_people, make_slots
from core.store import Connection, fetch

SMALL, LARGE = 0.1, 0.25
"""Population stability index: below 0.1 nothing to see, from 0.25 on another population (the usual bounds of credit scoring)."""
PRICE_BANDS = 10
_HALF = 0.5
"""Added to every count, so that a word that one side lacks gives a large index and not an infinite one."""
NAMED: Final = 20

Row = dict[str, Any]


def compare_versions(connection: Connection, manifest: Row, before: Connection, earlier: Row) -> Row:
    """Compare a version with an earlier one.

    When the version continues the earlier one, only what was added is compared; else the two logs as they are.

    Args:
        connection: The version's events.duckdb; temporary tables are made on it.
        manifest: Its manifest.
        before: The earlier version's events.duckdb.
        earlier: Its manifest.

    Returns:
        against, appended, rows (now, before), users and items (now, before, new, vanished: of the earlier ones not seen
        in what is compared), event_words (new, vanished), shifts: one record per shape (event_mix, hour, price) with
        psi, jensen_shannon (distance, base 2, 0-1), level small · moderate · large, and the shares of both sides.
    """
    old = {int(source["index"]) for source in earlier.get("sources", []) if source["role"] == "events"}
    now = {int(source["index"]) for source in manifest.get("sources", []) if source["role"] == "events"}
    appended = bool(old) and old < now and _same_files(manifest, earlier)
    first = max(old) + 1 if appended else 0
    _look_at(connection, first)
    _look_at(before, 0)
    return {
        "against": earlier.get("id"),
        "appended": appended,
        "events": {"now": _number(connection), "before": _number(before)},
        "users": _came_and_went(connection, before, "user_id"),
        "items": _came_and_went(connection, before, "item_id"),
        "event_words": _words(manifest, earlier),
        "shifts": [
            shift
            for shift in (
                _shift("event_mix", _mix(connection), _mix(before)),
                None
                if _is_daily(manifest) or _is_daily(earlier)
                else _shift("hour", _hours(connection, manifest), _hours(before, manifest)),
                _shift("price", *_prices(connection, before)),
            )
            if shift
        ],
    }


def stability_index(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[float, float]:
    """Return the population stability index and the Jensen-Shannon distance (base 2) of two counts by name.

    Half an event is added to every name of either side (Jeffreys), the same for both figures.
    """
    names = sorted({*now, *before})
    totals = [sum(side.get(name, 0) + _HALF for name in names) for side in (now, before)]
    shares = [[(side.get(name, 0) + _HALF) / total for name in names] for side, total in zip((now, before), totals, strict=True)]
    index = sum((p - q) * log(p / q) for p, q in zip(*shares, strict=True))
    distance = 0.0
    for p, q in zip(*shares, strict=True):
        middle = (p + q) / 2
        distance += p / 2 * log2(p / middle) + q / 2 * log2(q / middle)
    return index, sqrt(max(distance, 0.0))


def _same_files(manifest: Row, earlier: Row) -> bool:
    known = {(source.get("index"), source.get("sha256")) for source in manifest.get("sources", []) if source["role"] == "events"}
    return all((s.get("index"), s.get("sha256")) in known for s in earlier.get("sources", []) if s["role"] == "events")


def _look_at(connection: Connection, first: int) -> None:
    """Make `compared_slots`, `compared_ids` and `compared_prices` of the events from a file on."""
    if first == 0:
        make_slots(connection)
        make_people(connection)
        connection.execute("CREATE OR REPLACE TEMP VIEW compared_slots AS SELECT slot, event_type, events FROM report_slots")
        connection.execute("CREATE OR REPLACE TEMP VIEW compared_user_id AS SELECT user_id AS id FROM report_people")
        connection.execute("CREATE OR REPLACE TEMP VIEW compared_item_id AS SELECT item_id AS id FROM report_items")
    else:
        connection.execute(
            """
            CREATE OR REPLACE TEMP TABLE compared_slots AS
            SELECT time_bucket(INTERVAL 15 MINUTE, event_time) AS slot, event_type, count(*) AS events
            FROM main.events WHERE source_file >= $first GROUP BY ALL
            """,
            {"first": first},
        )
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE compared_user_id AS SELECT DISTINCT user_id AS id FROM main.events WHERE source_file >= $first",
            {"first": first},
        )
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE compared_item_id AS SELECT DISTINCT item_id AS id FROM main.events"
            " WHERE source_file >= $first AND item_id IS NOT NULL",
            {"first": first},
        )
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE compared_prices AS
        SELECT CAST(price AS DOUBLE) AS price, count(*) AS events
        FROM main.events WHERE price IS NOT NULL AND source_file >= $first GROUP BY ALL
        """,
        {"first": first},
    )


def _number(connection: Connection) -> int:
    return int(connection.execute("SELECT COALESCE(sum(events), 0) FROM compared_slots").fetchall()[0][0])


def _came_and_went(connection: Connection, before: Connection, name: str) -> Row:
    earlier = fetch(before, f"SELECT id FROM compared_{name}")  # noqa: S608 - one of our own names
    connection.register("earlier_ids", earlier)
    try:
        rows = connection.execute(
            f"SELECT (SELECT count(*) FROM compared_{name}), (SELECT count(*) FROM compared_{name} SEMI JOIN earlier_ids USING (id))"  # noqa: S608 - one of our own names
        ).fetchall()
    finally:
        connection.unregister("earlier_ids")
    now, both = rows[0]
    return {"now": now, "before": earlier.num_rows, "both": both, "new": now - both, "vanished": earlier.num_rows - both}


def _words(manifest: Row, earlier: Row) -> Row:
    now, before = ({str(word["word"]) for word in record.get("event_words", [])} for record in (manifest, earlier))
    return {"new": sorted(now - before)[:NAMED], "vanished": sorted(before - now)[:NAMED]}


def _mix(connection: Connection) -> dict[str, int]:
    rows = connection.execute(
        "SELECT CAST(event_type AS VARCHAR) AS kind, CAST(sum(events) AS BIGINT) FROM compared_slots GROUP BY kind ORDER BY kind"
    ).fetchall()
    return dict(rows)


def _hours(connection: Connection, manifest: Row) -> dict[str, int]:
    rows = connection.execute(
        "SELECT hour(timezone($zone, timezone('UTC', slot))) AS hour, CAST(sum(events) AS BIGINT) FROM compared_slots"
        " GROUP BY 1 ORDER BY 1",
        {"zone": str(manifest.get("time_zone") or "UTC")},
    ).fetchall()
    return {f"{hour:02d}": events for hour, events in rows}


def _prices(connection: Connection, before: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Events by price band; the bands are tenths of the earlier events, so equal prices share a band."""
    old = before.execute("SELECT price, events FROM compared_prices ORDER BY price").fetchall()
    new = connection.execute("SELECT price, events FROM compared_prices ORDER BY price").fetchall()
    total, reached = sum(events for _, events in old), 0
    cuts: list[float] = []
    for price, events in old:
        reached += events
        if reached >= total * (len(cuts) + 1) / PRICE_BANDS and len(cuts) < PRICE_BANDS - 1:
            cuts.append(price)
    cuts = sorted(set(cuts))
    return _banded(new, cuts), _banded(old, cuts)


def _banded(prices: Sequence[tuple[float, int]], cuts: list[float]) -> dict[str, int]:
    found: dict[str, int] = {}
    for price, events in prices:
        place = next((n for n, cut in enumerate(cuts) if price <= cut), len(cuts))
        name = f"≤ {cuts[place]:g}" if place < len(cuts) else f"> {cuts[-1]:g}" if cuts else "*"
        found[name] = found.get(name, 0) + events
    return found


def _shift(name: str, now: dict[str, int], before: dict[str, int]) -> Row | None:
    if not now or not before:
        return None
    index, distance = stability_index(now, before)
    totals = sum(now.values()), sum(before.values())
    return {
        "shape": name,
        "psi": round(index, 4),
        "jensen_shannon": round(distance, 4),
        "level": "small" if index < SMALL else "moderate" if index < LARGE else "large",
        "shares": [
            {"name": key, "now": now.get(key, 0) / totals[0], "before": before.get(key, 0) / totals[1]} for key in {**before, **now}
        ],
    }


def _is_daily(manifest: Row) -> bool:
    return int(manifest.get("time_resolution_seconds", 1)) == 86400
