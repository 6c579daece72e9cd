"""Acts as arrays, sorted by shopper and time: what features are counted on.

N acts of U shoppers and I items. A log is read in parts by shopper, so that memory is bounded by the part and not by the log.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa

from core.features.grouping import NONE, Array, order_by, run_starts
from core.schema import EVENT_TYPES
from core.store import Connection, fetch
from core.windows import micros

DAY = 86_400_000_000
"""Microseconds."""
MONEY, UNITS, SECONDS, PLACES = 10_000, 10_000, 1_000, 1_000
"""Amounts are held as whole numbers of such parts, the scales of their decimals, so that sums are exact in any order."""
EDGES_DAYS = (56, 28, 14, 7)
COLUMNS = ("time", "kind", "item", "session", "order", "revenue", "quantity", "price", "dwell", "position")
PART_ROWS = 1_500_000
"""Acts that are read and sorted together, about 150 bytes each while that lasts."""
BLOCK_ROWS = 1 << 17
"""Acts that are counted together: their columns stay near the processor, and the memory of one block serves the next."""

AMOUNTS = {
    "revenue": "revenue",
    "quantity": "quantity",
    "price": "price",
    "dwell": "dwell_seconds",
    "position": "TRY_CAST(position AS DECIMAL(18, 3))",
}
"""What an act may carry, as decimals: 16 bytes each while they are read, so what no act carries is not read."""
AMOUNTS_SQL = "SELECT {counts} FROM history_cells"
SHOPPERS_SQL = """
SELECT user_id, user_id::VARCHAR AS name, count(*) AS acts FROM history_cells GROUP BY user_id ORDER BY name
"""
ACTS_SQL = """
SELECT number AS "user", item_id, session, CASE WHEN event_type = 'purchase' THEN order_id END AS "order",
       enum_code(event_type)::UTINYINT AS kind, epoch_us(event_time) AS "time", {amounts}
FROM history_cells JOIN part_shoppers USING (user_id)
"""


@dataclass(frozen=True)
class Acts:
    """All acts of some shoppers before a cutoff, by shopper and time; whatever an act does not have is -1 or NONE."""

    cutoff: int
    """Microseconds since 1970."""
    user_ids: pa.Array
    """(U,) text, by number of the shopper."""
    item_ids: pa.Array
    """(I,) text, by number of the item."""
    user: Array
    """(N,) number of the shopper, ascending."""
    time: Array
    """(N,) microseconds since 1970, ascending within a shopper."""
    kind: Array
    """(N,) place in EVENT_TYPES."""
    item: Array
    """(N,) number of the item."""
    session: Array
    """(N,) equal within a session of a shopper."""
    order: Array
    """(N,) equal within an order of a shopper that has an id."""
    revenue: Array
    """(N,) in parts of 1 / MONEY."""
    quantity: Array
    """(N,) in parts of 1 / UNITS."""
    price: Array
    """(N,) in parts of 1 / MONEY."""
    dwell: Array
    """(N,) in parts of 1 / SECONDS."""
    position: Array
    """(N,) in parts of 1 / PLACES; only numeric ones."""

    @cached_property
    def starts(self) -> Array:
        """Place of each shopper's first act (U,)."""
        return run_starts(self.user)

    @cached_property
    def newness(self) -> Array:
        """(N,) how many of the windows of 56, 28, 14 and 7 days hold the act; ascending within a shopper."""
        found = np.zeros(len(self.time), dtype=np.uint8)
        for days in EDGES_DAYS:
            found += self.time >= self.cutoff - days * DAY
        return found

    @cached_property
    def day(self) -> Array:
        """(N,) whole days since 1970, UTC."""
        return np.floor_divide(self.time, DAY).astype(np.int32)

    def of_kind(self, *names: str) -> Array:
        """Places of the acts of some kinds, in order."""
        return np.flatnonzero(np.isin(self.kind, [EVENT_TYPES.index(name) for name in names]))

    def blocks(self) -> Iterator["Acts"]:
        """The same acts in blocks of about BLOCK_ROWS, each with all acts of its shoppers."""
        starts = np.append(self.starts, len(self.user))
        cuts = np.unique(np.append(np.searchsorted(starts, np.arange(0, len(self.user), BLOCK_ROWS)), len(starts) - 1))
        for first, last in pairwise(cuts.tolist()):
            rows = slice(starts[first], starts[last])
            columns = {name: getattr(self, name)[rows] for name in COLUMNS}
            user_ids = self.user_ids.slice(first, last - first)
            yield Acts(self.cutoff, user_ids, self.item_ids, self.user[rows] - first, **columns)

    @property
    def users(self) -> int:
        """U."""
        return len(self.user_ids)


@dataclass(frozen=True)
class Shoppers:
    """Everyone with an act before the cutoff, U shoppers."""

    stored: pa.ChunkedArray
    """Ids as they are stored, in the order of `names`."""
    names: pa.Array
    """Ids as text, ascending."""
    acts: Array
    """How many acts each has (U,)."""

    @classmethod
    def of(cls, connection: Connection) -> "Shoppers":
        """Find them in the view `history_cells`."""
        found = fetch(connection, SHOPPERS_SQL)
        return cls(found["user_id"], pa.concat_arrays(found["name"].chunks or [pa.array([], pa.string())]), found["acts"].to_numpy())

    def parts(self, rows: int) -> Iterator[slice]:
        """Places of shoppers in parts of about `rows` acts; none is empty."""
        ends = np.cumsum(self.acts)
        cuts = np.searchsorted(ends, np.arange(rows, int(ends[-1]), rows), side="left") + 1 if len(ends) else ends
        for first, last in pairwise(np.unique(np.concatenate([[0], cuts, [len(ends)]])).tolist()):
            yield slice(first, last)


def read_acts(connection: Connection, cutoff: datetime, shoppers: Shoppers, part_rows: int | None = None) -> Iterator[Acts]:
    """Read the view `history_cells` in parts, each with all acts of its shoppers, in their order.

    Args:
        connection: From `Log.history(cutoff)`.
        cutoff: The same cutoff.
        shoppers: Of the same connection.
        part_rows: Acts of a part, about; PART_ROWS by default.
    """
    counts = fetch(
        connection, AMOUNTS_SQL.format(counts=", ".join(f"count({term}) AS {name}" for name, term in AMOUNTS.items()))
    ).to_pylist()[0]
    amounts = ", ".join(f"{term if counts[name] else 'NULL'} AS {name}" for name, term in AMOUNTS.items())
    for part in shoppers.parts(part_rows or PART_ROWS):
        stored = shoppers.stored[part]
        connection.register("part_shoppers", pa.table({"user_id": stored, "number": pa.array(np.arange(len(stored), dtype=np.int32))}))
        columns, item_ids = _columns(fetch(connection, ACTS_SQL.format(amounts=amounts)))
        connection.unregister("part_shoppers")
        order = _by_user_and_time(columns["user"], columns["time"])
        for name, values in columns.items():  # one after another, so that few stand twice
            columns[name] = values.take(order) if values.strides[0] else values
        acts = Acts(cutoff=micros(cutoff), user_ids=shoppers.names[part], item_ids=item_ids, **columns)
        del columns, order, values
        yield acts
        del acts


def _columns(found: pa.Table) -> tuple[dict[str, Array], pa.Array]:
    """What was read as arrays (N,), and the ids of the items by their number."""
    items, item_ids = _numbered(found["item_id"])
    columns = {
        "user": found["user"].to_numpy(),
        "item": items,
        "session": _whole(found["session"]),
        "order": _numbered(found["order"])[0],
        **{name: found[name].to_numpy() for name in ("time", "kind")},
        **{name: _amounts(found[name]) for name in AMOUNTS},
    }
    return columns, item_ids


def _by_user_and_time(user: Array, time: Array) -> Array:
    """Places of the acts by shopper and time; what is read stands in a few runs that are in order of time, which a merge sort finds."""
    earliest = np.arange(len(time)) if (time[1:] >= time[:-1]).all() else np.argsort(time, kind="stable")
    order = order_by(user.take(earliest))
    return earliest if order is None else earliest.take(order)


def _numbered(column: pa.ChunkedArray) -> tuple[Array, pa.Array]:
    """Number of each value by its first place, -1 for none (n,), and the values as text by their number."""
    encoded = pa.concat_arrays(column.chunks).dictionary_encode() if column.num_chunks else pa.array([], column.type).dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy()), encoded.dictionary.cast(pa.string())


def _amounts(column: pa.ChunkedArray) -> Array:
    """Decimals as whole numbers of their last place, NONE where there is none (n,); a column without any takes no memory."""
    if column.null_count == len(column):
        return np.broadcast_to(np.int64(NONE), len(column))
    decimals = pa.concat_arrays(column.chunks)
    wide = np.frombuffer(decimals.buffers()[1], dtype=np.int64)[2 * decimals.offset : 2 * (decimals.offset + len(decimals))]
    return np.where(decimals.is_valid().to_numpy(zero_copy_only=False), wide[::2], NONE)  # at most 18 digits: the lower half says it all


def _whole(column: pa.ChunkedArray) -> Array:
    """Numbers of sessions as they are stored, -1 for none, or numbers for their names (n,)."""
    return np.asarray(column.fill_null(-1).to_numpy()) if pa.types.is_integer(column.type) else _numbered(column)[0]
