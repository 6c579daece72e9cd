"""Items themselves as a block of the profile: which of the most touched ones a shopper touched, and how much of it was others.

U users, I items of the history, K items that stand alone. A shopper is told by items, never by an id of her own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix

from core.artifacts import write_table
from core.encoder.pooling import touched_items
from core.errors import GateError
from core.store import Connection, fetch

Floats = npt.NDArray[np.float32]

MOST_ITEMS = 255
"""Items that stand alone; all others share one more place, so that the block is 256 numbers."""
FEWEST_USERS = 3
"""Shoppers below which an item stands for them and not for itself; it goes to the others."""
FEWEST_ITEMS = 3
"""Items that stand alone below which there is nothing to tell apart."""


@dataclass(frozen=True)
class ItemIds:
    """The items that stand alone, as of the cutoff they were chosen at."""

    items: list[str]
    """Most touched first (K,)."""
    known: int
    """Items of the history."""
    other_share: float
    """Share of what was touched that falls to the others."""

    def card(self) -> dict[str, Any]:
        """What the screen says of them."""
        return {"items": len(self.items), "known": self.known, "other_share": self.other_share, "values": len(self.items) + 1}


def fit_item_ids(connection: Connection, most: int = MOST_ITEMS) -> ItemIds:
    """Choose the items that most shoppers of a history touched; ties go to the smaller id.

    Args:
        connection: From Log.history(cutoff).
        most: Items that stand alone.

    Raises:
        GateError: Fewer than FEWEST_ITEMS items were touched by FEWEST_USERS shoppers.
    """
    items, _users, weights = _touched(connection)
    users = np.bincount(weights.indices, minlength=len(items))
    order = np.lexsort((np.arange(len(items)), -users))[:most]
    chosen = order[users[order] >= FEWEST_USERS]
    if len(chosen) < FEWEST_ITEMS:
        raise GateError(
            "{n} items were touched by {users} shoppers or more; {need} are needed to tell shoppers by items.",
            n=len(chosen),
            users=FEWEST_USERS,
            need=FEWEST_ITEMS,
        )
    told = float(weights[:, chosen].sum() / max(float(weights.sum()), 1e-12))
    return ItemIds([items[item] for item in chosen.tolist()], len(items), 1 - told)


def item_id_profiles(ids: ItemIds, connection: Connection) -> tuple[list[str], Floats]:
    """Tell every user of a history by the items touched.

    Args:
        ids: From `fit_item_ids` at this cutoff or an earlier one; items that came later are among the others.
        connection: From Log.history(cutoff); acts fade as in `pool_text_profiles`.

    Returns:
        All users of the history, sorted, and unit vectors (U, K + 1): roots of the shares of each item and, last, of all others
        (Hellinger's distance between histories); zeros for users who touched no item.
    """
    items, users, weights = _touched(connection)
    place = {item: column for column, item in enumerate(ids.items)}
    columns = np.array([place.get(item, len(place)) for item in items], np.int64)
    belongs = csr_matrix((np.ones(len(items), np.float32), (np.arange(len(items)), columns)), shape=(len(items), len(place) + 1))
    totals = np.asarray(weights.sum(axis=1)).reshape(-1, 1)
    shares = np.asarray((weights @ belongs).todense()) / np.maximum(totals, 1e-9)
    return users, np.sqrt(shares).astype(np.float32)


def save_item_ids(folder: Path, ids: ItemIds) -> None:
    """Write item_ids.parquet: which item each place of the block stands for; the place after the last is of all others."""
    write_table(folder / "item_ids.parquet", pa.table({"item_id": pa.array(ids.items, pa.string())}))


def _touched(connection: Connection) -> tuple[list[str], list[str], csr_matrix]:
    """Items of the history, users, and how much each user touched each item (U, I)."""
    found = fetch(connection, "SELECT DISTINCT item_id FROM history WHERE item_id IS NOT NULL ORDER BY item_id")
    items: list[str] = found["item_id"].to_pylist()
    return (items, *touched_items(connection, items))
