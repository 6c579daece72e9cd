"""Shoppers for an advertisement: how far they lean to the categories of the items nearest to it, and their chance to act at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.metrics import bootstrap, wilson
from core.store import Connection, fetch

NEAR_ITEMS = 50
"""Items nearest to the advertisement: their categories are its categories …"""
NEAR_SHARE, LEAST_NEAR = 0.1, 5
"""… but no more than a tenth of a small catalogue."""
LEAST_WEIGHT = 0.1
"""Of a category of the near items: whoever acts on a near item or in such a category has answered the advertisement."""
HALF_LIFE_DAYS = 30.0
"""Interest of so many days ago counts half."""
PRIOR = 1.0
"""Acts of an average shopper that are added to each shopper's own, so that a single view makes nobody a devotee."""
DEPTH = 0.1
"""Share of shoppers, best first, whose answers are counted."""

Floats = npt.NDArray[np.float64]

LEANINGS_SQL = """
WITH acts AS (
    SELECT h.user_id, n.cosine, coalesce(a.weight, 0) AS leaning,
           pow(0.5, date_diff('second', h.event_time, $cutoff::TIMESTAMP) / 86400.0 / $half_life)
           * CASE h.event_type WHEN 'purchase' THEN 5 WHEN 'cart' THEN 3 WHEN 'favourite' THEN 3 ELSE 1 END AS weight
    FROM history AS h
    JOIN ad_items AS n USING (item_id)
    LEFT JOIN catalogue AS c USING (item_id)
    LEFT JOIN ad_categories AS a ON a.category = c.category
    WHERE h.event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'purchase')
), everyone AS (
    SELECT sum(weight * leaning) / sum(weight) AS leaning, sum(weight * cosine) / sum(weight) AS cosine FROM acts
)
SELECT acts.user_id,
       round((sum(weight * acts.cosine) + $prior * any_value(everyone.cosine)) / (sum(weight) + $prior), 9) AS closeness,
       round((sum(weight * acts.leaning) + $prior * any_value(everyone.leaning)) / (sum(weight) + $prior), 9) AS leaning
FROM acts CROSS JOIN everyone GROUP BY acts.user_id ORDER BY acts.user_id
"""
ANSWERS_SQL = """
SELECT f.user_id, count(*) FILTER (f.event_type = 'purchase') AS purchases, count(*) AS acts
FROM future AS f LEFT JOIN catalogue AS c USING (item_id)
WHERE (list_contains($items, f.item_id) OR coalesce(list_contains($categories, c.category), false))
  AND f.event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'purchase')
GROUP BY f.user_id ORDER BY f.user_id
"""


CHOICES_SQL = """
SELECT c.item_id, c.title FROM catalogue AS c LEFT JOIN history AS h USING (item_id)
WHERE c.title IS NOT NULL GROUP BY c.item_id, c.title ORDER BY count(DISTINCT h.user_id) DESC, c.item_id LIMIT $most
"""


@dataclass(frozen=True)
class Answered:
    """How often the best tenth of a past list answered within the label window."""

    act: str
    """`acts` (any interest in a near item or a category of theirs) or `purchases`."""
    users: int
    answered: int
    """Of all users."""
    rate: float
    """Of all users: what a list drawn at random finds."""
    low: float
    high: float
    lift: float
    """Rate among the best tenth ÷ rate of all."""
    lift_low: float
    lift_high: float
    propensity_lift: float
    """The same for the best tenth by purchase chance alone."""
    gain: float
    """lift − propensity_lift."""
    gain_low: float
    gain_high: float


def near_count(items: int) -> int:
    """How many of a catalogue's items count as near."""
    return min(NEAR_ITEMS, max(LEAST_NEAR, round(items * NEAR_SHARE)))


def near_categories(categories: list[str | None]) -> dict[str, float]:
    """Weigh the categories of the near items by how many of them they hold; weights sum to 1."""
    named = [category for category in categories if category is not None]
    return {category: named.count(category) / len(named) for category in sorted(set(named))}


def lean_towards(
    connection: Connection, item_ids: list[str], cosines: npt.NDArray[np.float32], categories: Mapping[str, float], cutoff: datetime
) -> pa.Table:
    """Measure every shopper with a history against an advertisement.

    Args:
        connection: The log as of the cutoff.
        item_ids: I items that have a text.
        cosines: Of each item's text with the advertisement (I,).
        categories: Weight of each category (`near_categories`).
        cutoff: End of the history.

    Returns:
        user_id, closeness (mean cosine of what she touched, recent acts and purchases counting more), leaning (share of her acts in the
        advertisement's categories); both drawn towards the mean of all by PRIOR acts.
    """
    connection.register("ad_items", pa.table({"item_id": item_ids, "cosine": pa.array(cosines, pa.float64())}))
    weights = pa.table({"category": pa.array(list(categories), pa.string()), "weight": pa.array(list(categories.values()), pa.float64())})
    connection.register("ad_categories", weights)
    try:
        return fetch(connection, LEANINGS_SQL, {"cutoff": cutoff, "half_life": HALF_LIFE_DAYS, "prior": PRIOR})
    finally:
        connection.unregister("ad_items")
        connection.unregister("ad_categories")


def match_score(leaning: Floats, propensity: Floats) -> Floats:
    """Place of the leaning × place of the purchase chance (U,), each 0 to 1 among all shoppers.

    Places, because a share and a chance have no common scale; closeness is not in it, because it found fewer of those who answered
    (docs/decisions/0030).
    """
    return np.asarray(places_of(leaning) * places_of(propensity))


def answered(labels: npt.NDArray[np.bool_], match: Floats, propensity: Floats, act: str, rng: np.random.Generator) -> Answered | None:
    """Judge a past list by who answered; None when fewer than 10 did.

    Args:
        labels: Who answered in the label window (U,).
        match: `match_score` as of the cutoff (U,).
        propensity: As of the cutoff (U,).
        act: Name of the answer.
        rng: Of the intervals, which resample shoppers.
    """
    users, happened = len(labels), int(labels.sum())
    if happened < 10:
        return None
    tops = [best_tenth(scores) for scores in (match, propensity)]

    def lift(rows: npt.NDArray[np.int64], top: npt.NDArray[np.bool_]) -> float:
        own, base = labels[rows], labels[rows].mean()
        chosen = top[rows]
        return float(own[chosen].mean() / base) if chosen.any() and base > 0 else 1.0

    of_match = bootstrap(lambda rows: lift(rows, tops[0]), users, rng)
    of_gain = bootstrap(lambda rows: lift(rows, tops[0]) - lift(rows, tops[1]), users, rng)
    low, high = wilson(happened, users)
    alone = lift(np.arange(users), tops[1])
    return Answered(
        act, users, happened, happened / users, low, high, of_match.value, of_match.low, of_match.high, alone, of_gain.value, of_gain.low,
        of_gain.high,
    )  # fmt: skip


def best_tenth(scores: Floats) -> npt.NDArray[np.bool_]:
    """Mark the best DEPTH of shoppers (U,); ties go to the earlier one."""
    best = np.lexsort((np.arange(len(scores)), -scores))[: max(1, round(len(scores) * DEPTH))]
    chosen = np.zeros(len(scores), bool)
    chosen[best] = True
    return chosen


def places_of(values: Floats) -> Floats:
    """Mean place of each value among all, 0 to 1; equal values share theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    return np.asarray(((upper - counts + upper - 1) / 2 / max(len(values) - 1, 1))[inverse])
