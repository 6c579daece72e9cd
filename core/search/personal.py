"""The matches of a query in a shopper's own order: the same items, moved by what is known of her."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

SIGNALS = ("closeness", "category_lift", "touches")
"""closeness: cosine of profile and item text · category_lift: her chance to buy in the item's category against the mean of all ·
touches: how often she dealt with this very item, purchases counting most."""
TOUCH_WEIGHTS: Mapping[str, float] = {"purchases": 5.0, "carts": 3.0, "views": 1.0}
"""How much an act says about wanting the item again; the order of the funnel."""

ACTS_SQL = """
SELECT item_id, count(*) FILTER (event_type = 'purchase') AS purchases,
       count(*) FILTER (event_type IN ('cart', 'favourite')) AS carts,
       count(*) FILTER (event_type IN ('view', 'click')) AS views
FROM history WHERE user_id = $user_id AND list_contains($items, item_id) GROUP BY item_id ORDER BY item_id
"""
SHARES_SQL = """
WITH acts AS (
    SELECT h.user_id, c.category FROM history AS h JOIN catalogue AS c USING (item_id)
    WHERE c.category IS NOT NULL AND h.event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'purchase')
), overall AS (
    SELECT category, count(*) / sum(count(*)) OVER () AS share_all FROM acts GROUP BY category
)
SELECT category, (count(*) / sum(count(*)) OVER ()) / any_value(share_all) AS lift
FROM acts JOIN overall USING (category) WHERE user_id = $user_id GROUP BY category ORDER BY category
"""

Floats = npt.NDArray[np.float64]


def touch_score(acts: Mapping[str, int]) -> float:
    """Weigh a shopper's acts with one item, with diminishing returns."""
    return float(np.log1p(sum(weight * acts.get(name, 0) for name, weight in TOUCH_WEIGHTS.items())))


def reorder(signals: Mapping[str, Floats], strength: float) -> tuple[list[int], Floats]:
    """Order the M matches of a query anew for one shopper.

    Each signal becomes a place from 0 (least) to 1 (most) among the matches, equal values sharing the middle of theirs; a signal that is
    the same for all says nothing. Their mean, weighed by `strength`, stands against the plain order.

    Args:
        signals: (M,) each, in the plain order, NaN where unknown (counted as the middle).
        strength: 0 leaves the plain order exactly as it is, 1 follows the shopper alone.

    Returns:
        Rows in the new order, and how much each item gains by the shopper (M,): 0 to 1, in the plain order.
    """
    size = len(next(iter(signals.values()), np.zeros(0)))
    told = [_places(values) for values in signals.values() if _tells(values)]
    liking = np.mean(told, axis=0) if told else np.full(size, 0.5)
    if strength <= 0 or not told:
        return list(range(size)), liking
    plain = 1 - np.arange(size) / max(size, 1)
    blended = (1 - strength) * plain + strength * liking
    return [int(row) for row in np.lexsort((np.arange(size), -np.round(blended, 9)))], liking


def _tells(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and float(known.max()) > float(known.min())


def _places(values: Floats) -> Floats:
    known = np.isfinite(values)
    places = np.full(len(values), 0.5)
    own = values[known]
    below = (own[None, :] < own[:, None]).sum(axis=1)
    equal = (own[None, :] == own[:, None]).sum(axis=1)
    places[known] = (below + (equal - 1) / 2) / max(len(own) - 1, 1)
    return places
