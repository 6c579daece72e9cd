"""Orders, baskets, positions, dwell and drivers on logs whose answers fit in the head, and random ones beside slow counts."""

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from math import log as ln
from typing import Any

import numpy as np
import pytest

from core.insights import drivers, exposure, orders
from core.insights.drivers import Drivers
from core.insights.exposure import Exposure
from core.insights.orders import Pairs
from core.insights.scope import Scope
from core.store import Log
from tests.worlds import as_shown, at

Make = Callable[..., Log]


def act(user: str, day: float, kind: str = "purchase", item: str | None = "1", **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day), **more}


ORDERS = [
    act("a", 0), act("a", 0, item="2"), act("a", 10), act("a", 10.5),
    act("b", 2, order_id="x"), act("b", 3, order_id="x"), act("b", 70, order_id="y"),
    act("c", 80), act("d", 95, "view"),
]  # fmt: skip


def test_time_between_orders_counts_orders_and_not_lines(make_log: Make) -> None:
    rows = orders.gaps(make_log(ORDERS)).table.to_pylist()
    assert {(row["from_days"], row["to_days"]): row["gaps"] for row in rows if row["gaps"]} == {(0, 1): 1, (8, 15): 1, (57, 91): 1}
    assert (rows[0]["days_quarter"], rows[0]["days_median"]) == (5.25, 10)


def test_only_buyers_who_could_be_followed_count_in_the_repeat_rate(make_log: Make) -> None:
    log = make_log(ORDERS)
    everyone, march = orders.repeat_rates(log, 30).table.to_pylist()
    assert (everyone["cohort"], everyone["buyers"], everyone["again"], everyone["all_buyers"]) == (None, 2, 1, 3)
    assert march["rate"] == 0.5 and march["low"] < 0.5 < march["high"]
    assert orders.repeat_rates(log, 68).table.to_pylist()[0]["again"] == 2
    assert orders.repeat_rates(log, 400).table.num_rows == 0, "nobody was followed for so long"


BASKETS = [["1", "2"], ["1", "2", "3"], ["1"], ["2", "3"], ["4"]]


def baskets(things: list[list[str]]) -> list[dict[str, Any]]:
    return [act(f"u{n}", n, item=item) for n, basket in enumerate(things) for item in basket]


def test_support_confidence_and_lift_of_pairs(make_log: Make) -> None:
    table = orders.bought_together(make_log(baskets(BASKETS)), Pairs("item", least=2)).table.to_pylist()
    rows = {(row["thing"], row["with_thing"]): row for row in table}
    assert set(rows) == {("1", "2"), ("2", "1"), ("2", "3"), ("3", "2")}
    pair = rows["3", "2"]
    assert (pair["orders"], pair["support"], pair["confidence"]) == (2, 2 / 5, 1.0)
    assert pair["lift"] == pytest.approx(1 / (3 / 5)) and table[0]["lift"] == pair["lift"]


def test_pairs_of_categories_count_a_basket_once(make_log: Make) -> None:
    items = [{"item_id": "1", "category": "A"}, {"item_id": "2", "category": "A"}, {"item_id": "3", "category": "B"}]
    table = orders.bought_together(make_log(baskets(BASKETS), items=items), Pairs(least=1)).table.to_pylist()
    assert [(row["orders"], row["thing_orders"], row["all_orders"]) for row in table if row["thing"] == "A"] == [(2, 4, 4)]


def test_random_baskets_give_what_a_slow_count_gives(make_log: Make) -> None:
    rng = np.random.default_rng(3)
    things = [sorted({str(i) for i in rng.integers(0, 8, int(rng.integers(1, 6)))}) for _ in range(60)]
    table = orders.bought_together(make_log(baskets(things)), Pairs("item", least=1)).table.to_pylist()
    n = len(things)
    slow = {}
    for one, other in permutations({thing for basket in things for thing in basket}, 2):
        both, first, second = (sum(wanted <= set(basket) for basket in things) for wanted in ({one, other}, {one}, {other}))
        if both:
            slow[one, other] = (both, both / n, both / first, both * n / (first * second))
    found = {(row["thing"], row["with_thing"]): (row["orders"], row["support"], row["confidence"], row["lift"]) for row in table}
    assert found.keys() == slow.keys() and all(found[key] == pytest.approx(slow[key]) for key in slow)


HOUR = 1 / 24
SHOWN = [
    act("a", 0, "impression", "1", position="1", dwell_seconds=5), act("a", 0, "purchase", "1"),
    act("a", 1, "impression", "1", position="1", dwell_seconds=7),
    act("b", 0, "impression", "1", position="10"), act("b", 2 * HOUR, "purchase", "1"),
    act("b", 0, "impression", "2", position="2", dwell_seconds=9), act("b", HOUR, "purchase", "2"),
    act("c", 0, "impression", "2"), act("c", 0, "impression", None, position="2"),
]  # fmt: skip


def test_rates_by_position_stand_in_its_order_and_missing_positions_have_their_own_row(make_log: Make) -> None:
    rows = exposure.by_position(make_log(SHOWN), Exposure()).table.to_pylist()
    assert [(row["position"], row["acts"], row["followed"]) for row in rows] == [("1", 2, 1), ("2", 2, 1), ("10", 1, 0), (None, 1, 0)]
    assert rows[0]["low"] < 0.5 < rows[0]["high"]
    wide = exposure.by_position(make_log(SHOWN, dataset="wide"), Exposure(window=timedelta(hours=2))).table.to_pylist()
    assert wide[2]["followed"] == 1


def test_dwell_is_told_apart_by_what_followed(make_log: Make) -> None:
    rows = {row["follows"]: row for row in exposure.dwell(make_log(SHOWN), Exposure()).table.to_pylist()}
    assert (rows[True]["acts"], rows[True]["median"], rows[True]["without"]) == (2, 7, 0)
    assert (rows[False]["acts"], rows[False]["median"], rows[False]["without"]) == (4, 7, 3)


EARLY = [
    *(act(f"s{n}", 0, "search") for n in range(4)), *(act(f"s{n}", 8, "purchase") for n in range(3)),
    *(act(f"v{n}", 0, "view") for n in range(4)), act("v0", 8, "purchase"),
    act("soon", 0, "search"), act("soon", 1, "purchase"),  # bought within the early days
    act("late", 30, "search"), act("late", 36, "purchase"),  # cannot be followed to the end
    act("s3", 40, "view"),
]  # fmt: skip


def test_odds_of_those_who_did_stand_against_the_others_with_their_interval(make_log: Make) -> None:
    rows = {row["driver"]: row for row in drivers.drivers(make_log(EARLY), Drivers(least=1)).table.to_pylist()}
    search = rows["search"]
    assert (search["did"], search["did_does"], search["did_not"], search["did_not_does"]) == (4, 3, 4, 1)
    assert search["odds_ratio"] == pytest.approx((3 / 1) / (1 / 3))
    half = 1.959964 * (1 + 1 / 3 + 1 + 1 / 3) ** 0.5
    assert (search["low"], search["high"]) == (pytest.approx(9 / np.exp(half)), pytest.approx(9 * np.exp(half)))
    assert rows["view"]["odds_ratio"] == pytest.approx(1 / 9)


def test_an_empty_cell_gives_a_finite_ratio() -> None:
    ratio, low, high = drivers.odds_ratio(3, 3, 0, 5)
    assert ratio == pytest.approx(3.5 * 5.5 / (0.5 * 0.5)) and 0 < low < ratio < high and np.isfinite(ln(high))


def test_nothing_to_tell_is_no_error(make_log: Make) -> None:
    log = make_log([act("a", 0, "view", None), act("b", 0, "view", None)])
    assert sum(row["gaps"] for row in orders.gaps(log).table.to_pylist()) == 0
    for answer in (orders.repeat_rates(log), orders.bought_together(log, Pairs()), exposure.by_position(log, Exposure()),
                   exposure.dwell(log, Exposure()), drivers.drivers(log, Drivers())):  # fmt: skip
        assert answer.table.num_rows == 0


def test_the_shown_statements_give_the_same_rows(make_log: Make) -> None:
    log = make_log([*ORDERS, *SHOWN, *EARLY])
    scope = Scope(since=at(-1), until=at(90))
    for answer in (orders.gaps(log, scope), orders.repeat_rates(log, 5, "Asia/Tokyo", scope),
                   orders.bought_together(log, Pairs("item", 1, scope)),
                   exposure.by_position(log, Exposure(scope=scope)), exposure.dwell(log, Exposure(scope=scope))):  # fmt: skip
        rows = as_shown(log, answer)
        assert rows and [{name: row[name] for name in rows[0]} for row in answer.table.to_pylist()] == rows
