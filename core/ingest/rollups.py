"""Totals that make screens instant: of items, of users and of days."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.ingest.ids import numbers_of, parts_by_user
from core.ingest.watching import Tick, execute_watched, part_of, store_arrow
from core.store import Connection

_PART_ROWS = 8_000_000
"""Events whose users are counted at once, about 40 bytes each; a longer log is cut into parts by user, which add up."""


def write_item_totals(connection: Connection, tick: Tick) -> None:
    """Make final.item_totals of the view `stored`."""
    store_arrow(connection, "visitors", _count_users(connection, part_of(tick, 0, 2)))
    execute_watched(
        connection,
        """
        CREATE TABLE final.item_totals AS
        WITH totals AS (
            SELECT item_id AS key, count(*) AS events,
                   count(*) FILTER (event_type IN ('view', 'click')) AS views, count(*) FILTER (event_type = 'cart') AS carts,
                   count(*) FILTER (event_type = 'purchase') AS purchases,
                   CAST(sum(revenue) FILTER (event_type IN ('purchase', 'refund')) AS DECIMAL(18, 4)) AS revenue,
                   min(event_time) AS first_event, max(event_time) AS last_event
            FROM stored WHERE item_id IS NOT NULL GROUP BY item_id),
        visited AS (SELECT key, CAST(sum(users) AS BIGINT) AS users FROM visitors GROUP BY key)
        SELECT CAST(key AS VARCHAR) AS item_id, events, users, * EXCLUDE (key, events, users)
        FROM totals JOIN visited USING (key) ORDER BY item_id
        """,
        None,
        part_of(tick, 1, 2),
    )
    connection.execute("DROP TABLE visitors")


def _count_users(connection: Connection, tick: Tick, part_rows: int = _PART_ROWS) -> pa.Table:
    """Return how many users each item has (key, users), once or more, to be added up: sorting pairs costs a fifth of what SQL needs."""
    found = []
    for pairs in parts_by_user(connection, "item_id, user_id", "(FROM stored WHERE item_id IS NOT NULL)", part_rows, tick):
        items, names = numbers_of(pairs["item_id"])
        keys, users = _distinct(items, numbers_of(pairs["user_id"])[0])
        ids = pa.array(keys) if names is None else names.take(pa.array(keys))
        found.append(pa.table({"key": ids, "users": pa.array(users)}))
    return pa.concat_tables(found)


def _distinct(keys: npt.NDArray[np.int64], users: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each key once (K), in order, with the number of its distinct users (K)."""
    if not len(keys):
        return keys, keys
    least, lowest = int(keys.min()), int(users.min())
    bits = (int(users.max()) - lowest).bit_length()
    if (int(keys.max()) - least).bit_length() + bits > 63:  # too far apart for one number, so they are counted through first
        known, keys = np.unique(keys, return_inverse=True)
        places, counts = _distinct(keys, np.unique(users, return_inverse=True)[1])
        return known[places], counts
    pairs = ((keys - least) << bits) | (users - lowest)
    pairs.sort()
    fresh = np.ones(len(pairs), dtype=bool)
    np.not_equal(pairs[1:], pairs[:-1], out=fresh[1:])
    found = pairs[fresh] >> bits
    starts = np.flatnonzero(np.append(True, found[1:] != found[:-1]))
    return found[starts] + least, np.diff(np.append(starts, len(found)))


def write_user_totals(connection: Connection, tick: Tick) -> None:
    """Make final.user_totals of final.session_cells and the view `stored`."""
    execute_watched(
        connection,
        """
        CREATE TABLE final.user_totals AS
        WITH visits AS (
            SELECT user_id AS key, CAST(sum(events) AS BIGINT) AS events, count(*) AS sessions, CAST(sum(purchases) AS BIGINT) AS purchases,
                   CAST(sum(revenue) AS DECIMAL(18, 4)) AS revenue, min(started) AS first_event, max(ended) AS last_event
            FROM final.session_cells GROUP BY user_id),
        buyers AS (
            SELECT user_id AS key, count(DISTINCT COALESCE(order_id, CAST(event_time AS VARCHAR))) AS orders
            FROM stored WHERE event_type = 'purchase' GROUP BY user_id)
        SELECT CAST(key AS VARCHAR) AS user_id, events, sessions, purchases, COALESCE(orders, 0) AS orders, revenue, first_event, last_event
        FROM visits LEFT JOIN buyers USING (key) ORDER BY user_id
        """,
        None,
        tick,
    )


def write_daily(connection: Connection, tick: Tick) -> None:
    """Make final.daily of the view `stored` and final.items."""
    kind = connection.execute("SELECT typeof(item_id) FROM stored LIMIT 1").fetchall()[0][0]
    execute_watched(
        connection,
        f"""
        CREATE TABLE final.daily AS
        SELECT CAST(event_time AS DATE) AS day, CAST(event_type AS final.event_type) AS event_type, category,
               count(*) AS events, count(DISTINCT user_id) AS users,
               CAST(sum(revenue) FILTER (event_type IN ('purchase', 'refund')) AS DECIMAL(18, 4)) AS revenue
        FROM stored LEFT JOIN (
            SELECT TRY_CAST(item_id AS {kind}) AS item_id, category FROM final.items WHERE category IS NOT NULL) USING (item_id)
        GROUP BY ALL ORDER BY day, event_type, category
        """,  # noqa: S608 - one of two fixed types
        None,
        tick,
    )
