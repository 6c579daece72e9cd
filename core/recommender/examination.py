"""Clicks corrected for where an item stood: the position-based model of clicks, click = examination(place) x appeal(item).

Richardson, Dominowska and Ragno 2007; both factors by turns until they hold still. What stands first is looked at more, so a
plain click rate rewards the shop's own order; the appeal does not, and with it the order that the ranker learns.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.recommender.blocks import Floats, Ints

TURNS = 30
PRIOR_SHOWN = 20.0
"""Looks at the mean rate that every item starts with."""


@dataclass(frozen=True)
class Appeal:
    """What remains of the click rate when places are taken out; P places."""

    of_item: Floats
    """(I,), NaN for an item that was never shown at a known place."""
    positions: Ints
    """Ascending (P,)."""
    examined: Floats
    """How much each place is looked at against the first (P,)."""


def fit_appeal(shown: pa.Table, items: int) -> Appeal:
    """Split click rates into places and items.

    Args:
        shown: i (place of the item), position (from 1), shown and clicked (counts), one row for each item and position.
        items: Number of items.
    """
    item = np.asarray(shown["i"].to_numpy(), np.int64)
    position = np.asarray(shown["position"].to_numpy(), np.int64)
    seen = np.asarray(shown["shown"].to_numpy(), np.float64)
    clicked = np.minimum(np.asarray(shown["clicked"].to_numpy(), np.float64), seen)
    places, column = np.unique(position, return_inverse=True)
    if not seen.sum() or not clicked.sum():
        return Appeal(np.full(items, np.nan, np.float32), places, np.ones(len(places), np.float32))
    mean = clicked.sum() / seen.sum()
    appeal, examined = np.full(items, mean), np.ones(len(places))
    clicks_of_item = np.bincount(item, weights=clicked, minlength=items)
    clicks_of_place = np.bincount(column, weights=clicked, minlength=len(places))
    for _ in range(TURNS):
        expected = np.bincount(column, weights=seen * appeal[item], minlength=len(places))
        examined = np.clip((clicks_of_place + 1.0) / (expected + 1.0), 0.01, None)
        examined /= examined[0]
        looks = np.bincount(item, weights=seen * examined[column], minlength=items)
        base = clicked.sum() / max(float(looks.sum()), 1e-9)
        appeal = (clicks_of_item + PRIOR_SHOWN * base) / (looks + PRIOR_SHOWN)
    ever = np.bincount(item, weights=seen, minlength=items) > 0
    return Appeal(np.where(ever, appeal, np.nan).astype(np.float32), places, examined.astype(np.float32))
