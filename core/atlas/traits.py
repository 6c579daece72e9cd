"""What is typical of a segment: traits that its shoppers have more often than all others.

A trait is something a shopper has or has not (she favours a category, shops in the evening, is among the top quarter by
spend); counts are counts of users, so one shopper with a thousand purchases weighs as much as any other. Traits are
ranked by the lower bound of their log-odds against all other shoppers, shrunk towards the whole log (informative
Dirichlet prior: Monroe, Colaresi, Quinn, "Fightin' Words", 2008), so that few users never make a strong trait.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.schema import INTEREST_TYPES
from core.store import Connection, fetch, scalar

Z = 1.959964
PRIOR_USERS = 50.0
"""Weight of the whole log in each trait's shrinkage, in users."""
MOST_ITEMS = 500
"""Items looked at one by one: those touched by most users."""
PER_KIND = 10
"""Traits kept for each kind and segment; the rest says the same more weakly."""
PER_FEATURE_KIND = 4
"""Counted features repeat one another (7, 14, 28 days …) and what the named kinds already say."""

ACTS_SQL = """
CREATE OR REPLACE TEMP TABLE trait_acts AS
WITH interest AS (
    SELECT h.user_id, h.item_id, h.event_type, c.category, c.brand
    FROM history AS h LEFT JOIN catalogue AS c USING (item_id)
    WHERE h.item_id IS NOT NULL AND list_contains($interest, h.event_type::VARCHAR)),
top_items AS (
    SELECT item_id FROM interest GROUP BY item_id ORDER BY count(DISTINCT user_id) DESC, item_id LIMIT $most_items),
clock AS (
    SELECT user_id, event_type, (event_time + to_seconds($shift_seconds)) AT TIME ZONE 'UTC' AT TIME ZONE $time_zone AS local_time
    FROM history)
SELECT 'category' AS kind, user_id, category AS trait, count(*) AS acts FROM interest WHERE category IS NOT NULL GROUP BY ALL
UNION ALL SELECT 'brand', user_id, brand, count(*) FROM interest WHERE brand IS NOT NULL GROUP BY ALL
UNION ALL SELECT 'item', user_id, item_id, count(*) FROM interest SEMI JOIN top_items USING (item_id) GROUP BY ALL
UNION ALL SELECT 'event', user_id, event_type::VARCHAR, count(*) FROM history GROUP BY ALL
UNION ALL SELECT 'hours', user_id, CASE WHEN hour(local_time) < 6 THEN 'night' WHEN hour(local_time) < 12 THEN 'morning'
    WHEN hour(local_time) < 18 THEN 'afternoon' ELSE 'evening' END, count(*) FROM clock WHERE $has_hours GROUP BY ALL
UNION ALL SELECT 'days', user_id, CASE WHEN isodow(local_time) > 5 THEN 'weekend' ELSE 'weekdays' END, count(*) FROM clock GROUP BY ALL
"""
"""Acts of each user by kind and trait. A log that knows only days has one time of day; it is rounded to the day meant."""

LEANING_SQL = """
WITH totals AS (SELECT kind, user_id, sum(acts) AS acts FROM trait_acts GROUP BY ALL),
shares AS (SELECT kind, trait, sum(acts) / sum(sum(acts)) OVER (PARTITION BY kind) AS share FROM trait_acts GROUP BY kind, trait)
SELECT a.kind, a.trait, p.segment_id, count(*) AS users
FROM trait_acts AS a JOIN totals AS t USING (kind, user_id) JOIN shares AS s USING (kind, trait) JOIN placed AS p USING (user_id)
WHERE a.acts >= $least_acts AND s.share < 1 AND a.acts / t.acts >= least(2 * s.share, (1 + s.share) / 2)
GROUP BY ALL
ORDER BY a.kind, a.trait, p.segment_id
"""
"""A user leans to a trait when it has at least twice its usual share of her acts (or half of the way to all of them)."""

HABITS_SQL = """
WITH acts AS (
    SELECT user_id, count(*) AS events, epoch(max(event_time)) AS last_second,
           count(DISTINCT date_trunc('day', event_time)) AS days,
           date_diff('day', min(event_time), max(event_time)) AS span_days,
           count(DISTINCT coalesce(order_id, event_time::VARCHAR)) FILTER (event_type = 'purchase') AS orders,
           sum(revenue) FILTER (event_type = 'purchase') AS revenue
    FROM history GROUP BY user_id),
prices AS (
    SELECT h.user_id, median(coalesce(h.price, c.price)::DOUBLE) AS price
    FROM history AS h LEFT JOIN catalogue AS c USING (item_id)
    WHERE list_contains($interest, h.event_type::VARCHAR) GROUP BY h.user_id)
SELECT p.user_id, a.events, (epoch($cutoff::TIMESTAMP) - a.last_second) / 86400 AS recency_days, a.days, a.span_days, a.orders,
       a.revenue::DOUBLE AS revenue, r.price
FROM placed AS p LEFT JOIN acts AS a USING (user_id) LEFT JOIN prices AS r USING (user_id)
ORDER BY p.user_id
"""

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trait:
    """One trait of one segment."""

    segment_id: int
    kind: str
    """category, brand, item, event, hours, days, cadence, spend, orders, activity, recency, price or feature."""
    code: str
    """The category, brand, item id, act, or a fixed code: what a translation hangs on."""
    lift: float
    """share_in / share_all; `low` and `high` are its 95 % interval."""
    low: float
    high: float
    n: int
    """Users of the segment who have the trait."""
    share_in: float
    share_all: float
    strength: float
    """Lower 95 % bound of the shrunken log-odds against all other users; the order of traits."""


def habits(connection: Connection, cutoff: datetime) -> pa.Table:
    """Read what each user did as of the cutoff: events, recency, active days, orders, revenue, median price.

    The table `placed` (user_id, segment_id) must be registered; rows come in the order of user_id, NULL where the log knows nothing.
    """
    return fetch(connection, HABITS_SQL, {"interest": list(INTEREST_TYPES), "cutoff": cutoff})


def find_traits(
    connection: Connection, segment_ids: npt.NDArray[np.int32], habit: pa.Table, counts: pa.Table, time_zone: str = "UTC"
) -> list[Trait]:
    """Find what each segment has more often than all other shoppers, strongest first.

    Args:
        connection: Views of the history, and the table `placed` (user_id, segment_id).
        segment_ids: (U,) in the order of user_id.
        habit: What `habits` returned.
        counts: Counted features, one row per user in the same order; each column's top quarter is a trait of kind `feature`.
        time_zone: In which hours and weekdays are told.

    Returns:
        Traits with a lift above 1 whose interval excludes 1, at least `least_users(U)` users strong, PER_KIND of each kind at most.
    """
    ids, index, sizes = np.unique(segment_ids, return_inverse=True, return_counts=True)
    if len(ids) < 2:
        return []
    users = len(segment_ids)
    found = []
    for kind, code, carriers in [
        *_leanings(connection, ids, habit, time_zone),
        *_bands(habit, index, len(ids)),
        *_feature_bands(counts, index, len(ids)),
    ]:
        found += _compare(kind, code, carriers, ids, sizes, least_users(users))
    kept: list[Trait] = []
    taken: dict[tuple[int, str], int] = {}
    for trait in sorted(found, key=lambda t: (t.segment_id, -t.strength, t.kind, t.code)):
        key = (trait.segment_id, trait.kind)
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= (PER_FEATURE_KIND if trait.kind == "feature" else PER_KIND):
            kept.append(trait)
    return kept


def least_users(users: int) -> int:
    """Fewest users of a segment with a trait for it to be told: 30, in logs of fewer than 1,000 users 20."""
    return 30 if users >= 1000 else 20


def _leanings(
    connection: Connection, ids: npt.NDArray[np.int32], habit: pa.Table, time_zone: str
) -> list[tuple[str, str, npt.NDArray[np.int64]]]:
    usual = float(np.median(habit["events"].to_numpy(zero_copy_only=False).astype(np.float64))) if habit.num_rows else 0
    times = scalar(connection, "SELECT count(*) FROM (SELECT DISTINCT event_time::TIME FROM history LIMIT 3)")
    only_second = scalar(connection, "SELECT epoch(min(event_time)) % 86400 FROM history") if times == 1 else 0
    connection.execute(
        ACTS_SQL,
        {"interest": list(INTEREST_TYPES), "most_items": MOST_ITEMS, "has_hours": times > 1,
         "time_zone": "UTC" if times == 1 else time_zone, "shift_seconds": 43_200.0 if only_second else 0.0},
    )  # fmt: skip
    # a single act is no leaning where people act often, and all there is where they do not
    least_acts = 1 if usual < 5 else 2 if usual < 20 else 3
    table = fetch(connection, LEANING_SQL, {"least_acts": least_acts}).to_pydict()
    connection.execute("DROP TABLE trait_acts")
    carriers: dict[tuple[str, str], npt.NDArray[np.int64]] = {}
    place = {int(segment): position for position, segment in enumerate(ids)}
    for kind, trait, segment, number in zip(table["kind"], table["trait"], table["segment_id"], table["users"], strict=True):
        carriers.setdefault((kind, trait), np.zeros(len(ids), dtype=np.int64))[place[segment]] = number
    return [(kind, trait, numbers) for (kind, trait), numbers in carriers.items()]


def _bands(habit: pa.Table, index: npt.NDArray[np.int64], segments: int) -> list[tuple[str, str, npt.NDArray[np.int64]]]:
    values = {name: habit[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in habit.column_names if name != "user_id"}
    gap = np.divide(values["span_days"], values["days"] - 1, out=np.full(len(index), np.nan), where=values["days"] > 1)
    bands: list[tuple[str, str, Booleans]] = [
        ("cadence", "once", values["days"] == 1),
        ("cadence", "daily", gap < 2.5),
        ("cadence", "weekly", (gap >= 2.5) & (gap < 10.5)),
        ("cadence", "monthly", (gap >= 10.5) & (gap < 45)),
        ("cadence", "rare", gap >= 45),
    ]
    if np.nansum(values["orders"]):
        bands.append(("orders", "none", ~(values["orders"] > 0)))
    for kind, column in (
        ("spend", "revenue"),
        ("orders", "orders"),
        ("activity", "events"),
        ("recency", "recency_days"),
        ("price", "price"),
    ):
        figures = values[column]
        known = np.isfinite(figures) & ((figures > 0) | (column not in ("revenue", "orders")))
        if known.sum() < 4:
            continue
        low, high = np.quantile(figures[known], [0.25, 0.75])
        bands += [(kind, "high", known & (figures > high)), (kind, "low", known & (figures < low))]
    return [(kind, code, np.bincount(index[has], minlength=segments)) for kind, code, has in bands]


def _feature_bands(counts: pa.Table, index: npt.NDArray[np.int64], segments: int) -> list[tuple[str, str, npt.NDArray[np.int64]]]:
    bands = []
    for column in counts.schema:
        if column.name == "user_id" or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            continue
        values = counts[column.name].cast(pa.float64()).to_numpy(zero_copy_only=False)
        known = np.isfinite(values)
        if known.sum() >= 4:
            bands.append(
                ("feature", column.name, np.bincount(index[known & (values > np.quantile(values[known], 0.75))], minlength=segments))
            )
    return bands


def _compare(
    kind: str, code: str, carriers: npt.NDArray[np.int64], ids: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64], least: int
) -> list[Trait]:
    """Compare a trait's users in each segment with all other users."""
    total, everyone = int(carriers.sum()), int(sizes.sum())
    share_all = total / everyone
    traits = []
    for segment_id, size, n in zip(ids.tolist(), sizes.tolist(), carriers.tolist(), strict=True):
        if n < least or n * everyone <= total * size:
            continue
        others, other_users = total - n, everyone - size
        prior, prior_rest = PRIOR_USERS * share_all, PRIOR_USERS * (1 - share_all)
        cells = (n + prior, size - n + prior_rest, others + prior, other_users - others + prior_rest)
        if min(cells) <= 0:
            continue
        odds = np.log(cells[0] / cells[1]) - np.log(cells[2] / cells[3])
        strength = float(odds - Z * np.sqrt(sum(1 / cell for cell in cells)))
        share_in = n / size
        low, high = lift_interval(n, size, others, other_users)
        if strength > 0 and low > 1:
            traits.append(Trait(segment_id, kind, code, share_in / share_all, low, high, n, share_in, share_all, strength))
    return traits


def lift_interval(n: int, size: int, others: int, other_users: int) -> tuple[float, float]:
    """95 % interval of (share in the segment) / (share of all), by the delta method on its logarithm.

    Args:
        n: Users of the segment with the trait, at least 1.
        size: Users of the segment.
        others: Other users with the trait.
        other_users: All other users.
    """
    part = size / (size + other_users)
    inside, outside = n / size, others / other_users if other_users else 0.0
    share = part * inside + (1 - part) * outside
    variance = (1 / inside - part / share) ** 2 * inside * (1 - inside) / size
    if other_users:
        variance += ((1 - part) / share) ** 2 * outside * (1 - outside) / other_users
    lift, half = inside / share, Z * float(np.sqrt(variance))
    return float(lift * np.exp(-half)), float(lift * np.exp(half))
