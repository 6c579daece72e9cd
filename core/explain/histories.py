"""What is read of a log to ask about one shopper: her events, the catalogue of what she touched, what the log knows at all."""

import pyarrow as pa

from core.store import Connection, fetch
from core.store.small import EVENT_FIELDS

HISTORY_SQL = """
SELECT user_id, item_id, event_type::VARCHAR AS event_type, event_time, session_id, dwell_seconds, position, quantity, price, revenue,
       query, order_id, source_file, source_row
FROM history WHERE user_id = $user_id ORDER BY event_time, source_file, source_row, history.event_type
"""
CATALOGUE_SQL = """
SELECT item_id, in_catalogue, title, category, brand, price, description, image
FROM catalogue WHERE item_id IN (SELECT unnest($items::VARCHAR[])) ORDER BY item_id
"""
KINDS_SQL = "SELECT DISTINCT event_type::VARCHAR AS event_type FROM history ORDER BY 1"
POPULAR_SQL = """
SELECT item_id FROM history WHERE item_id IS NOT NULL AND event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'purchase')
GROUP BY item_id ORDER BY count(DISTINCT user_id) DESC, item_id LIMIT 1
"""


def history_of(connection: Connection, user_id: str) -> pa.Table:
    """A shopper's events before the connection's cutoff, EVENT_FIELDS, sorted by time; no row when there is none."""
    return fetch(connection, HISTORY_SQL, {"user_id": user_id}).cast(EVENT_FIELDS)


def catalogue_of(connection: Connection, items: list[str]) -> pa.Table:
    """What is known of some items, one row for each that the log or the catalogue has."""
    return fetch(connection, CATALOGUE_SQL, {"items": items})


def kinds_of(connection: Connection) -> tuple[str, ...]:
    """Kinds of acts in the log."""
    return tuple(fetch(connection, KINDS_SQL)["event_type"].to_pylist())


def most_popular(connection: Connection) -> str | None:
    """The item that most shoppers touched with interest, None in a log without items."""
    found = fetch(connection, POPULAR_SQL)["item_id"].to_pylist()
    return str(found[0]) if found else None


def items_of(events: pa.Table) -> list[str]:
    """The items of a history, sorted."""
    return sorted({item for item in events["item_id"].to_pylist() if item is not None})
