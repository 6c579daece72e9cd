"""What each shopper leans to: the yes-or-no traits that segments and any two sets of shoppers are compared by.

A trait is something a shopper has or has not (she favours a category, shops in the evening, is among the top quarter by
spend), so one shopper with a thousand purchases weighs as much as any other. U users, T traits, E pairs of both.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.atlas.demographics import demographic_bands
from core.atlas.vocabulary import Tokens, item_words
from core.schema import INTEREST_TYPES
from core.store import Connection, fetch, scalar

MOST_ITEMS = 500
"""Items looked at one by one: those touched by most users."""
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
UNION ALL SELECT 'word', user_id, w.word, count(*) FROM interest JOIN item_words AS w USING (item_id) GROUP BY ALL
UNION ALL SELECT 'item', user_id, item_id, count(*) FROM interest SEMI JOIN top_items USING (item_id) GROUP BY ALL
UNION ALL SELECT 'event', user_id, event_type::VARCHAR, count(*) FROM history GROUP BY ALL
UNION ALL SELECT 'hours', user_id, CASE WHEN hour(local_time) < 6 THEN 'night' WHEN hour(local_time) < 12 THEN 'morning'
    WHEN hour(local_time) < 18 THEN 'afternoon' ELSE 'evening' END, count(*) FROM clock WHERE $has_hours GROUP BY ALL
UNION ALL SELECT 'days', user_id, CASE WHEN isodow(local_time) > 5 THEN 'weekend' ELSE 'weekdays' END, count(*) FROM clock GROUP BY ALL
"""
"""Acts of each user by kind and trait. A log that knows only days has one time of day; it is rounded to the day meant."""

PAIRS_SQL = """
CREATE OR REPLACE TEMP TABLE leaning_pairs AS
WITH totals AS (SELECT kind, user_id, sum(acts) AS acts FROM trait_acts GROUP BY ALL),
shares AS (SELECT kind, trait, sum(acts) / sum(sum(acts)) OVER (PARTITION BY kind) AS share FROM trait_acts GROUP BY kind, trait)
SELECT a.kind, a.trait, p.place AS user_place
FROM trait_acts AS a JOIN totals AS t USING (kind, user_id) JOIN shares AS s USING (kind, trait) JOIN placed AS p USING (user_id)
WHERE a.acts >= $least_acts AND s.share < 1 AND a.acts / t.acts >= least(2 * s.share, (1 + s.share) / 2)
"""
"""A user leans to a trait when it has at least twice its usual share of her acts (or half of the way to all of them)."""

TOLD_SQL = """
CREATE OR REPLACE TEMP TABLE leaning_traits AS
SELECT kind, trait, (row_number() OVER (ORDER BY kind, trait) - 1)::INTEGER AS trait_place
FROM (SELECT kind, trait, count(*) AS users FROM leaning_pairs GROUP BY ALL) WHERE users >= $least_users
"""

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
class Leanings:
    """Which user has which trait, as pairs; and what the traits are."""

    users: npt.NDArray[np.int32]
    """(E,) row in the order of user_id."""
    traits: npt.NDArray[np.int32]
    """(E,) row of `kinds` and `codes`; pairs are ordered by trait, then user."""
    kinds: list[str]
    """(T,) category, brand, word, item, event, hours, days, cadence, spend, orders, activity, recency, price or demographic;
    `known` rows are no traits: they tell of whom a column of the users table says anything (see `demographics`)."""
    codes: list[str]
    """(T,) the category, brand, word, item id, act, `column=value`, or a fixed code."""

    def carriers(self, index: npt.NDArray[np.int64], groups: int) -> npt.NDArray[np.int64]:
        """Count who has each trait in each group of users.

        Args:
            index: (U,) group of each user, -1 for none.
            groups: Number of groups.

        Returns:
            (T, groups).
        """
        group = index[self.users]
        inside = group >= 0
        cells = self.traits[inside].astype(np.int64) * groups + group[inside]
        return np.bincount(cells, minlength=len(self.kinds) * groups).reshape(-1, groups)


def habits(connection: Connection, cutoff: datetime) -> pa.Table:
    """Read what each user did as of the cutoff: events, recency, active days, orders, revenue, median price.

    The table `placed` (user_id, place) must be registered; rows come in the order of user_id, NULL where the log knows nothing.
    """
    return fetch(connection, HABITS_SQL, {"interest": list(INTEREST_TYPES), "cutoff": cutoff})


def least_users(users: int) -> int:
    """Fewest users of a segment with a trait for it to be told: 30, in logs of fewer than 1,000 users 20."""
    return 30 if users >= 1000 else 20


def base_masks(habit: pa.Table) -> dict[str, Booleans]:
    """Tell among whom (U,) the quarters of spend, orders and price are taken: buyers, and users whose price level is known."""
    values = {name: habit[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in ("revenue", "orders", "price")}
    return {"spend": values["revenue"] > 0, "orders": values["orders"] > 0, "price": np.isfinite(values["price"])}


def read_leanings(
    connection: Connection, habit: pa.Table, time_zone: str = "UTC", tokens: Tokens | None = None, *, demographics: bool = False
) -> Leanings:
    """Read what users lean to; traits of fewer than `least_users` users are left out.

    Args:
        connection: Views of the history, and the table `placed` (user_id, place: row in the order of user_id).
        habit: What `habits` returned.
        time_zone: In which hours and weekdays are told.
        tokens: Splits item texts into words; None tells no words.
        demographics: Whether the users table is read.
    """
    least = least_users(habit.num_rows)
    words = (
        item_words(connection, tokens, least)
        if tokens
        else pa.table({"item_id": pa.array([], pa.string()), "word": pa.array([], pa.string())})
    )
    connection.register("item_words", words)
    usual = float(np.median(habit["events"].to_numpy(zero_copy_only=False).astype(np.float64))) if habit.num_rows else 0
    times = scalar(connection, "SELECT count(*) FROM (SELECT DISTINCT event_time::TIME FROM history LIMIT 3)")
    only_second = scalar(connection, "SELECT epoch(min(event_time)) % 86400 FROM history") if times == 1 else 0
    connection.execute(
        ACTS_SQL,
        {"interest": list(INTEREST_TYPES), "most_items": MOST_ITEMS, "has_hours": times > 1,
         "time_zone": "UTC" if times == 1 else time_zone, "shift_seconds": 43_200.0 if only_second else 0.0},
    )  # fmt: skip
    # a single act is no leaning where people act often, and all there is where they do not
    connection.execute(PAIRS_SQL, {"least_acts": 1 if usual < 5 else 2 if usual < 20 else 3})
    connection.execute(TOLD_SQL, {"least_users": least})
    told = fetch(connection, "SELECT kind, trait FROM leaning_traits ORDER BY trait_place")
    pairs = fetch(
        connection,
        "SELECT trait_place, user_place::INTEGER AS user_place FROM leaning_pairs JOIN leaning_traits USING (kind, trait)"
        " ORDER BY trait_place, user_place",
    )
    for table in ("trait_acts", "leaning_pairs", "leaning_traits"):
        connection.execute(f"DROP TABLE {table}")
    connection.unregister("item_words")
    bands = [(kind, code, np.flatnonzero(has)) for kind, code, has in _bands(habit)]
    if demographics:
        bands += demographic_bands(connection, least)
    traits = [pairs["trait_place"].to_numpy().astype(np.int32)]
    traits += [np.full(len(users), told.num_rows + place, dtype=np.int32) for place, (_kind, _code, users) in enumerate(bands)]
    return Leanings(
        np.concatenate([pairs["user_place"].to_numpy(), *(users for _kind, _code, users in bands)]).astype(np.int32),
        np.concatenate(traits),
        [*told["kind"].to_pylist(), *(kind for kind, _code, _users in bands)],
        [*told["trait"].to_pylist(), *(code for _kind, code, _users in bands)],
    )


def _bands(habit: pa.Table) -> list[tuple[str, str, Booleans]]:
    values = {name: habit[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in habit.column_names if name != "user_id"}
    gap = np.divide(values["span_days"], values["days"] - 1, out=np.full(habit.num_rows, np.nan), where=values["days"] > 1)
    bands: list[tuple[str, str, Booleans]] = [
        ("cadence", "once", values["days"] == 1),
        ("cadence", "daily", gap < 2.5),
        ("cadence", "weekly", (gap >= 2.5) & (gap < 10.5)),
        ("cadence", "monthly", (gap >= 10.5) & (gap < 45)),
        ("cadence", "rare", gap >= 45),
    ]
    if np.nansum(values["orders"]):
        bands += [("orders", "none", ~(values["orders"] > 0)), ("orders", "some", values["orders"] > 0)]
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
    return bands
