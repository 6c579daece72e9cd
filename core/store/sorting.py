"""A copy of the events of a version as arrays, sorted by shopper and time: what questions of a large log are counted on.

Made once for a version, beside it (`sorted/<version>` of the dataset), and read through memory maps, so that windows and joins
over one shopper's acts need no sort of ten million texts. It may be deleted at any time; the events file says the same.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.artifacts import is_whole, read_manifest, read_table, write_table
from core.errors import StorageError
from core.store.connection import fetch, reading, scalar
from core.store.publishing import publish

Array = npt.NDArray[Any]
NONE = -1
"""Number of an item or order that an act does not have."""
NO_REVENUE = np.iinfo(np.int64).min
REVENUE_UNIT = 10_000
"""Revenue is held in ten-thousandths, the scale of its DECIMAL(18, 4)."""
COLUMNS = ("user", "instant", "time", "kind", "item", "revenue", "order")
FORMAT = 2
"""Of the copy; one of another format is made again. 2: `starts.npy` and the facts of kinds."""
MOST_KEPT = 48
"""Files whose map or ids stay in memory: those of three or four logs. Mapped pages belong to the system, ids take about 15 bytes each."""

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
       coalesce(t.number, -1)::INTEGER AS item, coalesce((e.revenue::DECIMAL(38, 4) * 10000)::BIGINT, -9223372036854775808) AS revenue,
       coalesce(o.number, -1)::INTEGER AS "order"
FROM events e JOIN shoppers s ON s.user_id = e.user_id LEFT JOIN things t ON t.item_id = e.item_id
LEFT JOIN orders o ON e.event_type = 'purchase' AND o.order_key = coalesce(e.order_id, e.user_id || ' ' || e.event_time::VARCHAR)
ORDER BY s.number, e.event_time, e.source_file, e.source_row, e.event_type
"""
FACTS_SQL = """
SELECT event_type::VARCHAR AS event_type, count(*) AS events, count(item_id) AS with_item, count(position) AS with_position,
       count(dwell_seconds) AS with_dwell, count(revenue) AS with_revenue, count(DISTINCT event_time::DATE) AS days
FROM {table} GROUP BY event_type ORDER BY events DESC, event_type
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
    record: dict[str, Any]
    """Its manifest."""

    def column(self, name: str) -> Array:
        """Return one column, mapped from its file.

        Raises:
            StorageError: The file is missing or damaged.
        """
        found: Array = self._kept(self.path / f"{name}.npy", _mapped)
        return found

    def starts(self) -> Array:
        """Place of each shopper's first act, and N at the end (U + 1,)."""
        return self.column("starts")

    def kinds(self) -> list[str]:
        """Names of kinds of events by their place (K,)."""
        return list(self.record["kinds"])

    def facts(self) -> list[dict[str, Any]]:
        """One row per kind of event, as `FACTS_SQL` finds them in the whole log."""
        return list(self.record["facts"])

    def users(self) -> pa.ChunkedArray:
        """Ids of shoppers by their number (U,)."""
        return self._kept(self.path / "users.parquet", lambda path: read_table(path)["user_id"])

    def items(self) -> pa.ChunkedArray:
        """Ids of items by their number (I,)."""
        return self._kept(self.path / "items.parquet", lambda path: read_table(path)["item_id"])

    def _kept(self, path: Path, load: Callable[[Path], Any]) -> Any:
        try:
            found = path.stat()
            return _once(path, found.st_mtime_ns, found.st_ino, _Load(load))
        except (OSError, ValueError) as error:
            raise StorageError(
                "{path} cannot be read ({error}). Delete {folder} and run `sort` again.", path=path, error=error, folder=self.path
            ) from error


@dataclass(frozen=True)
class _Load:
    """How a file is read; all ways of reading one file are equal, so they share its place among the kept ones."""

    run: Callable[[Path], Any] = field(compare=False)


@lru_cache(maxsize=MOST_KEPT)
def _once(path: Path, _changed: int, _inode: int, load: _Load) -> Any:
    """Read a file unless it was read before and is still the same one."""
    return load.run(path)


def _mapped(path: Path) -> Array:
    values: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return values.view(np.ndarray)


def sorted_events(path: Path | None) -> SortedEvents | None:
    """Open a sorted copy, or None when there is none (yet), or one of an earlier format."""
    if path is None or not (path / "manifest.json").is_file():
        return None
    record = read_manifest(path)
    return SortedEvents(path, record) if record.get("format") == FORMAT else None


def drop_old_copies(folder: Path, kept: set[str]) -> list[str]:
    """Remove the sorted copies, and what is left of unfinished ones, of versions that are not among `kept`; returns their names.

    A copy that is being read goes on being read: its files are mapped.
    """
    gone = [path for path in folder.iterdir() if path.name.removeprefix(".").split(".")[0] not in kept] if folder.is_dir() else []
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in gone]


def sort_events(events: Path, target: Path) -> None:
    """Make the sorted copy of an events file and publish it as the folder `target`; nothing happens when it is there and whole.

    Raises:
        StorageError: The events file cannot be read, or the folder cannot be written.
    """
    if target.exists() and is_whole(target) and sorted_events(target) is not None:
        return
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with reading(events) as connection, publish(target.parent, target.name) as draft:
        table = fetch(connection, SORTED_SQL)
        for name in table.column_names:
            _write(draft.path, name, table[name].to_numpy())
        user, time = table["user"].to_numpy(), table["time"].to_numpy()
        is_new = np.ones(len(user), dtype=bool)
        is_new[1:] = (user[1:] != user[:-1]) | (time[1:] != time[:-1])
        _write(draft.path, "instant", np.cumsum(is_new, dtype=np.int32))
        n = int(user[-1]) + 1 if len(user) else 0
        _write(draft.path, "starts", np.searchsorted(user, np.arange(n + 1)).astype(np.int32))
        write_table(draft.path / "users.parquet", fetch(connection, USERS_SQL))
        write_table(draft.path / "items.parquet", fetch(connection, ITEMS_SQL))
        kinds = scalar(connection, "SELECT enum_range(NULL::event_type)")
        facts = fetch(connection, FACTS_SQL.format(table="events")).to_pylist()
        draft.record = {"format": FORMAT, "kinds": kinds, "events": len(user), "shoppers": n, "facts": facts}


def _write(folder: Path, name: str, values: Array) -> None:
    np.save(folder / f"{name}.npy", values, allow_pickle=False)
