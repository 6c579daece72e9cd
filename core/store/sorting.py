"""A copy of the events of a version as arrays, sorted by shopper and time: what questions of a large log are counted on.

Made once for a version, beside it (`sorted/<version>` of the dataset), and read through memory maps, so that windows and joins
over one shopper's acts need no sort of ten million texts. It may be deleted at any time; the events file says the same.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.artifacts import is_whole, read_manifest, read_table, write_table
from core.schema import Progress, silent
from core.store.connection import fetch, reading, scalar
from core.store.publishing import publish

Array = npt.NDArray[np.generic]
NONE = -1
"""Number of an item or order that an act does not have."""
NO_REVENUE = np.iinfo(np.int64).min
REVENUE_UNIT = 10_000
"""Revenue is held in ten-thousandths, the scale of its DECIMAL(18, 4)."""
COLUMNS = ("user", "instant", "time", "kind", "item", "revenue", "order")

SORTED_SQL = """
WITH shoppers AS (
    SELECT user_id, (row_number() OVER (ORDER BY user_id) - 1)::INTEGER AS number FROM (SELECT DISTINCT user_id FROM events)
), things AS (
    SELECT item_id, (row_number() OVER (ORDER BY item_id) - 1)::INTEGER AS number
    FROM (SELECT DISTINCT item_id FROM events WHERE item_id IS NOT NULL)
), orders AS (
    SELECT order_key, (row_number() OVER () - 1)::INTEGER AS number
    FROM (SELECT DISTINCT coalesce(order_id, user_id || ' ' || event_time::VARCHAR) AS order_key FROM events WHERE event_type = 'purchase')
)
SELECT s.number AS "user", epoch_us(e.event_time) AS "time", enum_code(e.event_type)::UTINYINT AS kind,
       coalesce(t.number, -1)::INTEGER AS item, coalesce((e.revenue * 10000)::BIGINT, -9223372036854775808) AS revenue,
       coalesce(o.number, -1)::INTEGER AS "order"
FROM events e JOIN shoppers s ON s.user_id = e.user_id LEFT JOIN things t ON t.item_id = e.item_id
LEFT JOIN orders o ON e.event_type = 'purchase' AND o.order_key = coalesce(e.order_id, e.user_id || ' ' || e.event_time::VARCHAR)
ORDER BY s.number, e.event_time, e.source_file, e.source_row, e.event_type
"""
USERS_SQL = "SELECT DISTINCT user_id FROM events ORDER BY user_id"
ITEMS_SQL = "SELECT DISTINCT item_id FROM events WHERE item_id IS NOT NULL ORDER BY item_id"


@dataclass(frozen=True)
class SortedEvents:
    """The sorted copy of a version, N events of U shoppers and I items.

    Columns, each (N,), in the order of shopper, time, file, row: `user` int32, number of the shopper in the order of ids; `instant`
    int32, number of the pair of shopper and time; `time` int64, microseconds since 1970; `kind` uint8, place in the type `event_type`;
    `item` int32, number in the order of ids, or NONE; `revenue` int64 in ten-thousandths, or NO_REVENUE; `order` int32, number of the
    order of a purchase, else NONE.
    """

    path: Path

    def column(self, name: str) -> Array:
        """Return one column, mapped from its file."""
        found: Array = np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        return found

    def kinds(self) -> list[str]:
        """Names of kinds of events by their place (K,)."""
        return list(read_manifest(self.path)["kinds"])

    def users(self) -> pa.ChunkedArray:
        """Ids of shoppers by their number (U,)."""
        return read_table(self.path / "users.parquet")["user_id"]

    def items(self) -> pa.ChunkedArray:
        """Ids of items by their number (I,)."""
        return read_table(self.path / "items.parquet")["item_id"]


def sorted_events(path: Path | None) -> SortedEvents | None:
    """Open a sorted copy, or None when there is none (yet)."""
    return SortedEvents(path) if path is not None and (path / "manifest.json").is_file() else None


def sort_events(events: Path, target: Path, progress: Progress = silent) -> None:
    """Make the sorted copy of an events file and publish it as the folder `target`; nothing happens when it is there and whole.

    Raises:
        StorageError: The events file cannot be read, or the folder cannot be written.
    """
    if target.exists() and is_whole(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with reading(events) as connection, publish(target.parent, target.name) as draft:
        table = fetch(connection, SORTED_SQL)
        progress(0.8, "")
        for name in table.column_names:
            _write(draft.path, name, table[name].to_numpy())
        user, time = table["user"].to_numpy(), table["time"].to_numpy()
        is_new = np.ones(len(user), dtype=bool)
        is_new[1:] = (user[1:] != user[:-1]) | (time[1:] != time[:-1])
        _write(draft.path, "instant", np.cumsum(is_new, dtype=np.int32))
        write_table(draft.path / "users.parquet", fetch(connection, USERS_SQL))
        write_table(draft.path / "items.parquet", fetch(connection, ITEMS_SQL))
        kinds = scalar(connection, "SELECT enum_range(NULL::event_type)")
        draft.record = {"kinds": kinds, "events": len(user), "shoppers": pc.max(table["user"]).as_py() + 1}


def _write(folder: Path, name: str, values: Array) -> None:
    np.save(folder / f"{name}.npy", values, allow_pickle=False)
