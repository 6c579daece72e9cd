"""Histories as arrays: what each user did, event by event in order, as the behaviour transformer reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.schema import EVENT_TYPES
from core.store import Connection, fetch, scalar

KINDS = tuple(kind for kind in EVENT_TYPES if kind != "impression")
"""What counts as an act of the user; an impression is one of the shop."""
MOST_EVENTS = 1024
"""Newest events read of a user, of which a network learns; its reach (`Shape.reach`) says how many of them a vector tells of."""

# The position of an item that stands twice in a basket is that of its line, so the order is total and repeats.
_HISTORIES_SQL = """
WITH acts AS (
    SELECT history.user_id, history.item_id, event_type, event_time, dwell_seconds, position,
           COALESCE(history.price, catalogue.price) AS price,
           row_number() OVER (PARTITION BY history.user_id
                              ORDER BY event_time DESC, source_file DESC, source_row DESC, event_type DESC) AS age
    FROM history LEFT JOIN catalogue ON catalogue.item_id = history.item_id
    WHERE event_type <> 'impression')
SELECT users.user_row, COALESCE(items.item_row, -1) AS item, CAST(kinds.code AS TINYINT) AS kind, epoch_us(event_time) AS at,
       CAST(dwell_seconds AS FLOAT) AS dwell, TRY_CAST(position AS FLOAT) AS position, CAST(acts.price AS FLOAT) AS price
FROM acts JOIN history_users AS users USING (user_id) JOIN history_kinds AS kinds ON kinds.kind = CAST(event_type AS VARCHAR)
LEFT JOIN history_items AS items USING (item_id)
WHERE age <= $most
ORDER BY user_row, age DESC
"""


@dataclass(frozen=True)
class Histories:
    """N events of U users, user by user, oldest first."""

    user_ids: list[str]
    """Everyone in the history, sorted; some may have no act."""
    starts: npt.NDArray[np.int64]
    """Where each user's events begin (U + 1,)."""
    item: npt.NDArray[np.int32]
    """Row of the item in the list that was asked for (N,), -1 for none."""
    kind: npt.NDArray[np.int8]
    """Place in KINDS (N,)."""
    gap: npt.NDArray[np.float32]
    """Seconds since the same user's event before (N,), 0 for the first."""
    dwell: npt.NDArray[np.float32]
    """Seconds (N,), NaN where not logged."""
    position: npt.NDArray[np.float32]
    """Place on the page from 1 (N,), NaN where not logged."""
    price: npt.NDArray[np.float32]
    """Of the event, else of the catalogue (N,), NaN where neither is known."""
    left_out: int
    """Events before the newest MOST_EVENTS of their user."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Events of each user (U,)."""
        return np.diff(self.starts)

    def only(self, users: npt.NDArray[np.bool_]) -> "Histories":
        """The histories of some users (U,)."""
        acts = np.repeat(users, self.lengths)
        starts = np.concatenate([[0], np.cumsum(self.lengths[users])]).astype(np.int64)
        return replace(
            self,
            user_ids=[user for user, kept in zip(self.user_ids, users, strict=True) if kept],
            starts=starts,
            item=self.item[acts],
            kind=self.kind[acts],
            gap=self.gap[acts],
            dwell=self.dwell[acts],
            position=self.position[acts],
            price=self.price[acts],
        )


def read_histories(connection: Connection, item_ids: Sequence[str], most: int = MOST_EVENTS) -> Histories:
    """Read every user's newest acts before the connection's cutoff.

    Args:
        connection: From `Log.history`.
        item_ids: Items in the order whose rows are wanted.
        most: Newest events of a user.
    """
    users: list[str] = fetch(connection, "SELECT DISTINCT user_id FROM history ORDER BY user_id")["user_id"].to_pylist()
    _load(connection, "history_users", {"user_id": pa.array(users, pa.string()), "user_row": pa.array(range(len(users)), pa.int64())})
    _load(connection, "history_items", {"item_id": pa.array(item_ids, pa.string()), "item_row": pa.array(range(len(item_ids)), pa.int32())})
    _load(connection, "history_kinds", {"kind": pa.array(KINDS, pa.string()), "code": pa.array(range(len(KINDS)), pa.int8())})
    total = int(scalar(connection, "SELECT count(*) FROM history WHERE event_type <> 'impression'"))
    table = fetch(connection, _HISTORIES_SQL, {"most": most})
    for name in ("history_users", "history_items", "history_kinds"):
        connection.execute(_DROP_SQL[name])
    rows = table["user_row"].to_numpy()
    starts = np.searchsorted(rows, np.arange(len(users) + 1))
    at = table["at"].to_numpy()
    gap = np.zeros(len(at), np.float32)
    if len(at):
        gap[1:] = np.diff(at) / 1e6
        gap[starts[:-1][starts[:-1] < len(at)]] = 0
    dwell, position, price = (table[name].to_numpy(zero_copy_only=False).astype(np.float32) for name in ("dwell", "position", "price"))
    item, kind = table["item"].to_numpy().astype(np.int32), table["kind"].to_numpy().astype(np.int8)
    return Histories(users, starts.astype(np.int64), item, kind, gap, dwell, position, price, total - len(at))


def _load(connection: Connection, name: str, columns: dict[str, pa.Array]) -> None:
    connection.register("incoming", pa.table(columns))
    connection.execute(_LOAD_SQL[name])
    connection.unregister("incoming")


_LOAD_SQL = {
    "history_users": "CREATE OR REPLACE TEMP TABLE history_users AS SELECT user_id, user_row FROM incoming",
    "history_items": "CREATE OR REPLACE TEMP TABLE history_items AS SELECT item_id, item_row FROM incoming",
    "history_kinds": "CREATE OR REPLACE TEMP TABLE history_kinds AS SELECT kind, code FROM incoming",
}
_DROP_SQL = {
    "history_users": "DROP TABLE history_users",
    "history_items": "DROP TABLE history_items",
    "history_kinds": "DROP TABLE history_kinds",
}
