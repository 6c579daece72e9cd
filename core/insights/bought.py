"""Purchases on the sorted copy of a log: buyers and orders, or all of them as a small table on which a statement runs as it stands.

Shoppers and orders are their numbers there, so that nothing is grouped by text; tests compare the rows with those of the statements.
"""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa

from core.insights.chosen import DAY, Array, Chosen, changes, chosen, days_of, decimals, sums_by
from core.insights.scope import Scope, answer, described
from core.insights.statement import Answer, ask
from core.store import NO_REVENUE, NONE, Log
from core.windows import micros

HISTORY_SQL = """
CREATE OR REPLACE TEMP VIEW history AS SELECT *, 'purchase'::event_type AS event_type FROM purchases
"""


def answer_of_purchases(log: Log, sql: str, values: Mapping[str, object], scope: Scope) -> Answer:
    """Ask a statement that reads only purchases; the rows, and the statement shown, are those of `scope.answer`.

    Args:
        log: What to read.
        sql: One statement with named parameters, whose rows name no shopper.
        values: Its parameters.
        scope: What is looked at.
    """
    if (acts := chosen(log, scope)) is None:
        return answer(log, sql, values, scope)
    with log.history() as connection:
        connection.register("purchases", purchases(acts, with_items="item_id" in sql))
        connection.execute(HISTORY_SQL)
        table = ask(connection, sql, values).table
    return Answer(table, described(sql, values, scope))


def purchases(acts: Chosen, *, with_items: bool) -> pa.Table:
    """One row per purchase by shopper and time: user_id and order_id (numbers), event_time, revenue, and item_id if asked for."""
    places = acts.of_kind("purchase")
    revenue, item = acts.events.column("revenue")[places], acts.events.column("item")[places]
    table = pa.table(
        {
            "user_id": acts.events.column("user")[places],
            "order_id": acts.events.column("order")[places],
            "event_time": pa.array(acts.events.column("time")[places]).cast(pa.timestamp("us")),
            "revenue": decimals(revenue, revenue != NO_REVENUE, 18),
        }
    )
    if not with_items:
        return table
    return table.append_column("item_id", acts.events.items().take(pa.array(item, mask=item == NONE)))


def buyers(log: Log, acts: Chosen, end: datetime, frequency: str, zone: str) -> pa.Table:
    """One row per buyer: user_id (number, ascending), recency_days, frequency, paid, money; see `core.insights.rfm`."""
    user, time, order, revenue = _purchases(acts)
    first = np.flatnonzero(changes(user))
    n = len(first)
    group = np.repeat(np.arange(n), np.diff(first, append=len(user)))
    last = time[np.append(first[1:], len(user)) - 1] if n else time
    keys = order if frequency != "days" else days_of(log, time, zone)
    sums = sums_by(group, revenue, n)
    known = np.ones(n, dtype=bool)
    return pa.table(
        {
            "user_id": user[first],
            "recency_days": (micros(end) - last) // DAY,
            "frequency": np.bincount(_pairs(group, keys)[0], minlength=n),
            "paid": decimals(sums, known),
        }
    )


def orders(acts: Chosen) -> pa.Table:
    """One row per order: user_id (number), order_time (of its first line)."""
    user, time, order, _revenue = _purchases(acts)
    place = _pairs(user, order)[1]
    return pa.table({"user_id": user[place], "order_time": pa.array(time[place]).cast(pa.timestamp("us"))})


def _purchases(acts: Chosen) -> tuple[Array, Array, Array, Array]:
    """Shopper, time, order and revenue of the purchases, by shopper and time."""
    places = acts.of_kind("purchase")
    user, time, order, revenue = (acts.events.column(name)[places] for name in ("user", "time", "order", "revenue"))
    return user, time, order, revenue


def _pairs(group: Array, keys: Array) -> tuple[Array, Array]:
    """Group of each different pair of group and key, ascending, and the place where it comes first."""
    wide = int(keys.max(initial=0)) + 1
    pairs = group.astype(np.int64) * wide + keys
    order = np.argsort(pairs, kind="stable")
    first = order[changes(pairs[order])]
    return group[first], first
