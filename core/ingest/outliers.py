"""Rows that are doubtful but not wrong: items outside the catalogue, prices far from an item's others, a second currency.

Their rules are off unless a person switches them on; what they would take is counted on the finished tables.
"""

from collections.abc import Mapping
from typing import Any

from core.store import Connection, scalar

_FAR_PRICES = """
    WITH priced AS (SELECT item_id, event_time, source_file, source_row, price FROM {table} WHERE price > 0 AND item_id IS NOT NULL),
    spread AS (SELECT item_id FROM priced GROUP BY item_id HAVING max(price) > min(price) * CAST($times AS DOUBLE)),
    usual AS (
        SELECT *, median(CAST(price AS DOUBLE)) OVER before AS median, count(*) OVER before AS seen
        FROM priced SEMI JOIN spread USING (item_id)
        WINDOW before AS (PARTITION BY item_id ORDER BY event_time, source_file, source_row
                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
    SELECT source_file, source_row, item_id, price, median FROM usual
    WHERE seen >= $seen AND (price > median * $times OR price * $times < median)
"""
"""Only an item whose prices are that far apart can have one; the median knows earlier prices alone."""

PREVIEW_SECONDS = (1, 2, 5)


def take_far_prices(connection: Connection, limits: Mapping[str, float]) -> None:
    """Quarantine prices far from the median of the item's earlier ones."""
    found = _FAR_PRICES.format(table="rows ANTI JOIN fates USING (source_file, source_row)")
    connection.execute(
        "INSERT INTO fates SELECT source_file, source_row, 'quarantined', 'price_outliers',"  # noqa: S608 - a statement of our own
        f" 'price ' || price || ', usually ' || CAST(median AS DECIMAL(18, 2)) FROM ({found})",
        {"times": float(limits["times"]), "seen": int(limits["seen"])},
    )


def take_strangers(connection: Connection) -> None:
    """Quarantine rows whose item is not in the table `known_items` (item_id)."""
    connection.execute(
        """
        INSERT INTO fates
        SELECT source_file, source_row, 'quarantined', 'no_catalogue',
               'item ' || COALESCE(item_id, purchase_item_id) || ' is not in the catalogue'
        FROM rows ANTI JOIN fates USING (source_file, source_row)
        WHERE item_id NOT IN (SELECT item_id FROM known_items) OR purchase_item_id NOT IN (SELECT item_id FROM known_items)
        """
    )


def take_other_currencies(connection: Connection) -> None:
    """Quarantine rows in another currency than the first row, in order of time, that names one."""
    connection.execute(
        """
        INSERT INTO fates
        WITH good AS (SELECT * FROM rows ANTI JOIN fates USING (source_file, source_row)),
        main AS (SELECT arg_min(currency, (event_time, source_file, source_row)) AS currency FROM good WHERE currency IS NOT NULL)
        SELECT source_file, source_row, 'quarantined', 'currency_mix', 'price in ' || good.currency || ', not ' || main.currency
        FROM good JOIN main ON good.currency <> main.currency
        """
    )


def flag_events(connection: Connection, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Count what the rules that are off would take of a finished version.

    Args:
        connection: A connection to the version's events.duckdb.
        manifest: Its manifest.

    Returns:
        Rule id → rows, share of all events, and three examples (source_file as its number, source_row, reason).
    """
    events = int(scalar(connection, "SELECT count(*) FROM main.events"))
    rules = {str(rule["id"]): rule for rule in manifest.get("rules", [])}
    found: dict[str, dict[str, Any]] = {}
    if "price" in manifest["columns_present"] and (rule := rules.get("price_outliers")) and not rule["on"]:
        limits = {"times": float(rule["parameter"]["times"]), "seen": int(rule["parameter"]["seen"])}
        statement = (
            "SELECT source_file, source_row, 'price ' || price || ', usually ' || CAST(median AS DECIMAL(18, 2))"  # noqa: S608 - a statement of our own
            f" FROM ({_FAR_PRICES.format(table='main.events')})"
        )
        found["price_outliers"] = _counted(connection, statement, limits, events)
    if manifest.get("catalogue", {}).get("own") and (rule := rules.get("no_catalogue")) and not rule["on"]:
        statement = (
            "SELECT source_file, source_row, 'item ' || item_id || ' is not in the catalogue' FROM main.events"
            " WHERE item_id IN (SELECT item_id FROM main.items WHERE NOT in_catalogue)"
        )
        found["no_catalogue"] = _counted(connection, statement, {}, events)
    return found


def _counted(connection: Connection, statement: str, limits: Mapping[str, Any], events: int) -> dict[str, Any]:
    rows = int(scalar(connection, f"SELECT count(*) FROM ({statement})", dict(limits)))  # noqa: S608 - a statement of our own
    examples = connection.execute(f"{statement} ORDER BY source_file, source_row LIMIT 3", dict(limits)).fetchall() if rows else []
    return {
        "rows": rows,
        "share": rows / events if events else 0.0,
        "examples": [{"source_file": file, "source_row": row, "reason": reason} for file, row, reason in examples],
    }


def preview_near_duplicates(connection: Connection) -> list[dict[str, Any]]:
    """Count how many events would merge if the same act within 1, 2 or 5 seconds of the one before were one."""
    counts = ", ".join(f"count(*) FILTER (gap <= {seconds * 1_000_000})" for seconds in PREVIEW_SECONDS)
    row = connection.execute(
        f"""
        SELECT {counts}, count(*) FROM (
            SELECT epoch_us(event_time) - lag(epoch_us(event_time)) OVER (
                PARTITION BY user_id, item_id, event_type ORDER BY event_time, source_file, source_row) AS gap
            FROM main.events)
        """  # noqa: S608 - fixed numbers only
    ).fetchone()
    assert row is not None
    total = row[-1]
    return [
        {"seconds": seconds, "rows": rows, "share": rows / total if total else 0.0}
        for seconds, rows in zip(PREVIEW_SECONDS, row[:-1], strict=True)
    ]
