"""Time between orders, who orders again within a fixed time, and what is bought together.

An order is an order id of a shopper, or without one her purchases at one instant; its time is that of its first line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from core.insights import bought
from core.insights.bought import answer_of_purchases
from core.insights.chosen import chosen
from core.insights.overview import last_instant
from core.insights.scope import EVERYTHING, Scope, answer, described, rows_of
from core.insights.statement import Answer, ask
from core.metrics import wilson
from core.store import Log

GAP_EDGES = (1, 2, 4, 8, 15, 29, 57, 91, 181)
"""Days at which the bars of the time between orders end, exclusive."""
LEVELS = ("item", "category")
MOST_THINGS = 300
"""Most frequently bought items or categories among which pairs are looked for."""

_ORDERS_SQL = """
WITH orders AS (
    SELECT user_id, min(event_time) AS order_time FROM history
    WHERE event_type = 'purchase' GROUP BY user_id, order_id, CASE WHEN order_id IS NULL THEN event_time END
)"""
_PLACED_SQL = """, placed AS (
    SELECT user_id, order_time, lag(order_time) OVER w AS before, row_number() OVER w AS number FROM orders
    WINDOW w AS (PARTITION BY user_id ORDER BY order_time)
)"""
GAPS_SQL = """, gaps AS (
    SELECT user_id, epoch_us(order_time - before) / 86400000000.0 AS days FROM placed WHERE before IS NOT NULL
), bars AS (
    SELECT unnest(range(0, len($edges::BIGINT[]) + 1)) AS bar
), counted AS (
    SELECT len(list_filter($edges::BIGINT[], lambda edge: edge <= days)) AS bar, count(*) AS gaps, count(DISTINCT user_id) AS users
    FROM gaps GROUP BY bar
)
SELECT b.bar::INTEGER AS bar, coalesce(($edges::BIGINT[])[b.bar], 0) AS from_days, ($edges::BIGINT[])[b.bar + 1] AS to_days,
       coalesce(c.gaps, 0) AS gaps, coalesce(c.users, 0) AS users, (SELECT quantile_cont(days, 0.25) FROM gaps) AS days_quarter,
       (SELECT quantile_cont(days, 0.5) FROM gaps) AS days_median, (SELECT quantile_cont(days, 0.75) FROM gaps) AS days_three_quarters
FROM bars b LEFT JOIN counted c USING (bar) ORDER BY b.bar
"""
REPEAT_SQL = """, firsts AS (
    SELECT user_id, min(order_time) AS first_order, min(order_time) FILTER (number = 2) AS second_order FROM placed GROUP BY user_id
), followed AS (
    SELECT date_trunc('month', first_order AT TIME ZONE 'UTC' AT TIME ZONE $zone)::DATE AS cohort,
           coalesce(second_order <= first_order + to_days($follow_up), false) AS again
    FROM firsts WHERE first_order + to_days($follow_up) <= $end
)
SELECT cohort, count(*) AS buyers, count(*) FILTER (again) AS again, (SELECT count(*) FROM firsts) AS all_buyers
FROM followed GROUP BY GROUPING SETS ((), (cohort)) HAVING count(*) > 0 ORDER BY cohort NULLS FIRST
"""
_PAIRS_SQL = """
WITH lines AS (
    SELECT DISTINCT h.user_id, h.order_id, CASE WHEN h.order_id IS NULL THEN h.event_time END AS instant,
           CASE $level WHEN 'category' THEN c.category ELSE h.item_id END AS thing
    FROM history h LEFT JOIN catalogue c ON c.item_id = h.item_id WHERE h.event_type = 'purchase' AND h.item_id IS NOT NULL
), named AS (
    SELECT {named}dense_rank() OVER (ORDER BY user_id, order_id, instant) AS basket, thing FROM lines WHERE thing IS NOT NULL
), things AS (
    SELECT thing, count(*) AS orders{counted} FROM named GROUP BY thing ORDER BY orders DESC, thing LIMIT $most_things
), kept AS (
    SELECT {kept}n.basket, n.thing FROM named n SEMI JOIN things t ON t.thing = n.thing
), pairs AS (
    SELECT a.thing AS first_thing, b.thing AS second_thing, count(*) AS orders{paired}
    FROM kept a JOIN kept b ON a.basket = b.basket AND a.thing < b.thing GROUP BY ALL HAVING count(*) >= $least
), total AS (
    SELECT count(DISTINCT basket) AS orders{counted} FROM named
), directed AS (
    SELECT first_thing AS thing, second_thing AS with_thing, orders{directed} FROM pairs
    UNION ALL SELECT second_thing, first_thing, orders{directed} FROM pairs
)
SELECT d.thing, d.with_thing, d.orders, a.orders AS thing_orders, b.orders AS with_orders, total.orders AS all_orders,
       d.orders / total.orders AS support, d.orders / a.orders AS confidence, d.orders * total.orders / (a.orders * b.orders) AS lift{told}
FROM directed d JOIN things a ON a.thing = d.thing JOIN things b ON b.thing = d.with_thing CROSS JOIN total
ORDER BY lift DESC, d.orders DESC, d.thing, d.with_thing
"""
_PEOPLE = {
    "named": "user_id, ",
    "kept": "n.user_id, ",
    "counted": ", count(DISTINCT user_id) AS users",
    "paired": ", count(DISTINCT a.user_id) AS users",
    "directed": ", users",
    "told": ",\n       d.users, a.users AS thing_users, b.users AS with_users, total.users AS all_users",
}
PAIRS_SQL = _PAIRS_SQL.format(**dict.fromkeys(_PEOPLE, ""))
PAIRS_OF_PEOPLE_SQL = _PAIRS_SQL.format(**_PEOPLE)
"""Also the shoppers behind each count of orders."""


@dataclass(frozen=True)
class Pairs:
    """What is asked of orders."""

    level: str = "category"
    """What is paired: `item` or `category`."""
    least: int = 20
    """Orders that a pair needs, or its figures are chance."""
    scope: Scope = field(default=EVERYTHING)


def gaps(log: Log, scope: Scope = EVERYTHING) -> Answer:
    """One row per bar of GAP_EDGES: bar, from_days, to_days (NULL at the end), gaps, users; and the quartiles of all gaps in days."""
    return _of_orders(log, GAPS_SQL, {"edges": list(GAP_EDGES)}, scope)


def repeat_rates(log: Log, follow_up_days: int = 90, zone: str = "UTC", scope: Scope = EVERYTHING) -> Answer:
    """Buyers with a second order within a fixed time after the first, by month of the first; the row with cohort NULL is all of them.

    Only those who could be followed so long count: cohort, buyers, again, all_buyers (also those not followed), rate, low, high.
    """
    end = scope.until or last_instant(log)
    found = _of_orders(log, REPEAT_SQL, {"follow_up": follow_up_days, "zone": zone, "end": end}, scope)
    rows = found.table.to_pylist()
    limits = [wilson(row["again"], row["buyers"]) for row in rows]
    return Answer(
        rows_of(
            found.table,
            rate=pa.array([row["again"] / row["buyers"] for row in rows], pa.float64()),
            low=pa.array([low for low, _high in limits], pa.float64()),
            high=pa.array([high for _low, high in limits], pa.float64()),
        ),
        found.sql,
    )


def bought_together(log: Log, asked: Pairs, *, people: bool = False) -> Answer:
    """One row per ordered pair in at least `least` orders, highest lift first.

    thing, with_thing, orders (with both), thing_orders, with_orders, all_orders, support (both ÷ all), confidence (both ÷ those with
    `thing`), lift (confidence ÷ share of `with_thing` in all orders). Only the MOST_THINGS most bought things are paired.
    With `people` also users, thing_users, with_users and all_users, whose orders they are.
    """
    sql = PAIRS_OF_PEOPLE_SQL if people else PAIRS_SQL
    return answer_of_purchases(log, sql, {"level": asked.level, "least": asked.least, "most_things": MOST_THINGS}, asked.scope)


def _of_orders(log: Log, sql: str, values: Mapping[str, object], scope: Scope) -> Answer:
    """Ask of orders in their order; on the sorted copy they are found on it, under their shoppers' numbers."""
    whole = _ORDERS_SQL + _PLACED_SQL + sql
    if (acts := chosen(log, scope)) is None:
        return answer(log, whole, values, scope)
    with log.history() as connection:
        connection.register("order_rows", bought.orders(acts))
        found = ask(connection, f"WITH orders AS (FROM order_rows){_PLACED_SQL}{sql}", values)
    return Answer(found.table, described(whole, values, scope))
