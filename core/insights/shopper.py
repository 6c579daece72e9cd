"""What is read of one shopper: her acts with their items, how all shoppers' acts spread, and what others have in common with her."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from core.schema import INTEREST_TYPES
from core.store import Connection, fetch

ACTS_SQL = """
WITH acts AS (
    SELECT h.event_time, h.event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone AS local_time, h.event_type::VARCHAR AS event_type, h.item_id,
           c.title, c.category, c.brand, c.price AS item_price, h.price::DOUBLE AS price, h.revenue::DOUBLE AS revenue,
           h.dwell_seconds::DOUBLE AS dwell_seconds, h.query, h.order_id, h.source_file, h.source_row
    FROM history h LEFT JOIN catalogue c ON h.item_id = c.item_id WHERE h.user_id = $user_id
), asked AS (
    SELECT DISTINCT category, item_price FROM acts WHERE category IS NOT NULL AND item_price IS NOT NULL
), levels AS (
    SELECT asked.category, asked.item_price, count(*) AS shelf,
           avg(CASE WHEN c.price < asked.item_price THEN 1.0 WHEN c.price = asked.item_price THEN 0.5 ELSE 0.0 END) AS price_level
    FROM asked JOIN catalogue c ON c.category = asked.category AND c.price IS NOT NULL GROUP BY ALL
)
SELECT acts.* EXCLUDE (item_price), CASE WHEN shelf >= 5 THEN price_level END AS price_level
FROM acts LEFT JOIN levels ON levels.category = acts.category AND levels.item_price = acts.item_price
ORDER BY event_time, source_file, source_row, event_type
"""
ALIKE_SQL = """
WITH acts AS (
    SELECT h.user_id, h.item_id, c.category FROM history h LEFT JOIN catalogue c ON h.item_id = c.item_id
    WHERE list_contains($users, h.user_id) AND h.item_id IS NOT NULL
          AND list_contains($interest, h.event_type::VARCHAR)
), tastes AS (
    SELECT user_id, category, count(*) / sum(count(*)) OVER (PARTITION BY user_id) AS share FROM acts
    WHERE category IS NOT NULL GROUP BY user_id, category
), common AS (
    SELECT other.user_id, category, least(other.share, own.share) AS share FROM tastes other JOIN tastes own USING (category)
    WHERE own.user_id = $user_id AND other.user_id <> $user_id
), items AS (
    SELECT user_id, count(*) AS items FROM (SELECT DISTINCT user_id, item_id FROM acts WHERE user_id <> $user_id)
    WHERE item_id IN (SELECT item_id FROM acts WHERE user_id = $user_id) GROUP BY user_id
), spoken AS (
    SELECT user_id, sum(share) AS overlap, list(category ORDER BY share DESC, category)[1:2] AS categories FROM common GROUP BY user_id
)
SELECT user_id, coalesce(overlap, 0) AS overlap, coalesce(categories, []) AS categories, coalesce(items, 0) AS items
FROM spoken FULL JOIN items USING (user_id) ORDER BY user_id
"""
SHARES_SQL = """
SELECT c.category, c.brand, count(*) AS n FROM history h JOIN catalogue c ON h.item_id = c.item_id
WHERE list_contains($interest, h.event_type::VARCHAR) GROUP BY ALL
"""
TIMES_SQL = """
WITH counted AS (
    SELECT epoch_us(event_time) // 900000000 AS quarter_hour, count(*) AS n FROM history GROUP BY ALL
), told AS (
    SELECT n, make_timestamp(quarter_hour * 900000000) AS instant, instant AT TIME ZONE 'UTC' AT TIME ZONE $zone AS local_time FROM counted
)
SELECT [coalesce(sum(n) FILTER (hour(local_time) < 6), 0)::BIGINT, coalesce(sum(n) FILTER (hour(local_time) BETWEEN 6 AND 11), 0)::BIGINT,
        coalesce(sum(n) FILTER (hour(local_time) BETWEEN 12 AND 17), 0)::BIGINT, coalesce(sum(n) FILTER (hour(local_time) > 17), 0)::BIGINT
       ] AS quarters,
       coalesce(sum(n) FILTER (isodow(local_time) >= 6), 0)::BIGINT AS weekend, coalesce(sum(n), 0)::BIGINT AS n,
       count(DISTINCT local_time::DATE) AS days, date_diff('day', min(local_time::DATE), max(local_time::DATE)) + 1 AS span_days
FROM told
"""


@dataclass(frozen=True)
class Shares:
    """How all shoppers' acts spread."""

    of: Mapping[str, Mapping[str, float]]
    """Shares of the acts, 0-1, that a category or a brand has."""
    quarters: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Shares of all events in each six hours of the day."""
    weekend: float = 0.0
    """Share of all events on Saturday and Sunday."""
    days: int = 0
    """Different days on which anybody did anything."""
    span_days: int = 0
    """Days from the first to the last of them, both counted."""


@dataclass(frozen=True)
class LeftOut:
    """Which events of a shopper a card is made without."""

    kinds: tuple[str, ...] = ()
    """Kinds of events that do not count."""
    days: int = 0
    """Only events of so many days before the end of the log count; 0: the whole history."""

    def any_of(self, *kinds: str) -> bool:
        """Whether one of these kinds does not count, so that nobody may say that it did not happen."""
        return bool(set(kinds) & set(self.kinds))


WHOLE = LeftOut()


def acts_of(connection: Connection, user_id: str, zone: str) -> pa.Table:
    """Read the events of a shopper with what the catalogue says of their items, oldest first.

    Columns: event_time (UTC), local_time, event_type, item_id, title, category, brand, price, revenue, dwell_seconds, query,
    order_id, source_file, source_row, price_level (place of its price among those of its category, 0 cheapest to 1 dearest, equal ones
    share the middle; NULL below five items).

    Args:
        connection: Has the views `history` and `catalogue`.
        user_id: Whose.
        zone: Time zone of `local_time`.
    """
    return fetch(connection, ACTS_SQL, {"user_id": user_id, "zone": zone})


def counted_acts(acts: pa.Table, left_out: LeftOut, until: datetime) -> tuple[pa.Table, LeftOut]:
    """Return the acts that count, and what of `left_out` is truly missing: kinds and days that leave out nothing are none.

    Args:
        acts: As `acts_of` gives them.
        left_out: What was asked for.
        until: End of the history, UTC.
    """
    kinds = set(acts["event_type"].to_pylist()) & set(left_out.kinds)
    counts = pc.invert(pc.is_in(acts["event_type"], value_set=pa.array(sorted(kinds), pa.string())))
    days = 0
    if left_out.days:
        late = pc.greater_equal(acts["event_time"], pa.scalar(until - timedelta(days=left_out.days), acts["event_time"].type))
        days = 0 if pc.all(late).as_py() is not False else left_out.days
        counts = pc.and_(counts, late)
    return acts.filter(counts), LeftOut(tuple(sorted(kinds)), days)


def shares_of_all(connection: Connection, zone: str = "UTC") -> Shares:
    """Count how all shoppers' acts with items spread over categories and over brands, and all events over the times of `zone`."""
    counts: dict[str, Counter[str]] = {"category": Counter(), "brand": Counter()}
    for row in fetch(connection, SHARES_SQL, {"interest": list(INTEREST_TYPES)}).to_pylist():
        for column, counter in counts.items():
            if row[column] is not None:
                counter[row[column]] += row["n"]
    times = fetch(connection, TIMES_SQL, {"zone": zone}).to_pylist()[0]
    first, second, third, fourth = (n / max(times["n"], 1) for n in times["quarters"])
    return Shares(
        {column: {word: n / counter.total() for word, n in counter.items()} for column, counter in counts.items()},
        (first, second, third, fourth),
        times["weekend"] / max(times["n"], 1),
        times["days"],
        times["span_days"] or 0,
    )


def why_alike(connection: Connection, user_id: str, others: Sequence[str]) -> pa.Table:
    """Compare what shoppers touched with what one of them did.

    Returns:
        user_id, overlap (share of acts that the two spread over categories alike, 0-1), categories (the two that make most of
        it), items (different items that both touched); those without anything in common are left out.
    """
    return fetch(connection, ALIKE_SQL, {"user_id": user_id, "users": [user_id, *others], "interest": list(INTEREST_TYPES)})
