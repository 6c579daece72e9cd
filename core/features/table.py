"""The feature table: one row per user, counted on the acts before a cutoff."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.features.activity import activity
from core.features.acts import Shoppers, read_acts
from core.features.buying import buying
from core.features.catalogue import FEATURES, Feature
from core.features.grouping import Array, Floats
from core.features.tastes import Goods, tastes
from core.store import Connection, fetch

LEVELS = pa.schema([("item_id", pa.string()), ("level", pa.decimal128(12, 6))])
"""Columns of item price levels: ln(price of an item / median price of its category), for items with a price."""
LEVELS_SQL = """
WITH touched AS (
    SELECT item_id, sum(price) AS price_sum, count(price) AS price_count
    FROM history_cells
    WHERE item_id IS NOT NULL AND event_type NOT IN ('impression', 'search', 'refund', 'other')
    GROUP BY item_id),
item_prices AS (
    SELECT touched.item_id::VARCHAR AS item_id, category,
           coalesce(price::DOUBLE, price_sum::DOUBLE / nullif(price_count, 0)) AS price
    FROM touched LEFT JOIN catalogue ON catalogue.item_id = touched.item_id::VARCHAR),
usual AS (SELECT category, median(price) AS price FROM item_prices WHERE price > 0 GROUP BY category)
SELECT item_prices.item_id, round(ln(item_prices.price / usual.price), 6)::DECIMAL(12, 6) AS level
FROM item_prices JOIN usual ON item_prices.category IS NOT DISTINCT FROM usual.category
WHERE item_prices.price > 0
ORDER BY item_prices.item_id
"""
"""Medians over all items that anyone had touched, so one shopper's own history does not say how dear an item is. Levels are decimals, whose
sums depend on no order."""


def compute_features(connection: Connection, cutoff: datetime, levels: pa.Table | None = None) -> pa.Table:
    """Count what each user did before the cutoff.

    Needs only user, act and time; items, categories, prices, dwell, positions and sessions add to it where the log
    has them. Sums are exact (whole numbers), so the result does not depend on row order or threads. What the figures
    mean is spelled as SQL in tests/features_in_sql, and a test compares all of them.

    Args:
        connection: From `Log.history(cutoff)`.
        cutoff: The same cutoff; ages are counted back from it. A window of n days is `[cutoff - n days, cutoff)`.
        levels: LEVELS of the whole log as of the cutoff (see `price_levels`), where the connection holds only some of its
            shoppers; None has them counted from what the connection holds.

    Returns:
        user_id (VARCHAR, ascending, everyone with an event in history) and one column for each of FEATURES: int32 for
        counts, float64 for the rest; NULL only where FEATURES says that a value can be empty.
    """
    goods = Goods.of(
        fetch(connection, "SELECT item_id, category, brand FROM catalogue"), price_levels(connection) if levels is None else levels
    )
    shoppers = Shoppers.of(connection)
    columns = {feature.name: _Column.of(feature, len(shoppers.names)) for feature in FEATURES}
    done = 0
    for acts in read_acts(connection, cutoff, shoppers):
        places = goods.rows(acts.item_ids)
        for block in acts.blocks():
            counted = activity(block) | buying(block) | tastes(block, goods, places)
            for name, column in columns.items():
                column.put(done, counted[name])
            done += block.users
        del acts, block, counted, places  # before the next part is read
    return pa.table({"user_id": shoppers.names} | {name: column.array() for name, column in columns.items()})


def price_levels(connection: Connection) -> pa.Table:
    """LEVELS of all items with a price, as of the connection's cutoff, by item_id."""
    return fetch(connection, LEVELS_SQL).cast(LEVELS)


def nothing_known(columns: list[str]) -> npt.NDArray[np.float64]:
    """Features of a shopper of whom no event is known (F,): counts are 0, all else is empty."""
    counts = {feature.name for feature in FEATURES if feature.is_count}
    return np.array([0.0 if name in counts else np.nan for name in columns])


@dataclass(frozen=True)
class _Column:
    """A feature of U shoppers in the making. Zeros that nobody writes take no memory, and most logs lack many kinds of acts."""

    values: Array
    """(U,) 0 where nothing was put yet, and where the value is empty."""
    known: npt.NDArray[np.bool_] | None
    """(U,) where it is not empty; None for a feature that never is."""

    @classmethod
    def of(cls, feature: Feature, users: int) -> "_Column":
        is_whole = feature.is_count and feature.unit not in ("money", "units")
        return cls(np.zeros(users, np.int32 if is_whole else np.float64), np.zeros(users, bool) if feature.empty else None)

    def put(self, start: int, counted: Array | Floats) -> None:
        """Write the values of the shoppers from `start` on, NaN where they are empty."""
        rows = slice(start, start + len(counted))
        if self.known is not None:
            self.known[rows] = there = ~np.isnan(counted)
            counted = np.where(there, counted, 0.0)
        if counted.any():
            self.values[rows] = counted

    def array(self) -> pa.Array:
        return pa.array(self.values, mask=None if self.known is None else ~self.known)
