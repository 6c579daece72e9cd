"""Funnels on a log whose answers fit in the head, and random ones beside a slow count in plain Python."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.errors import RuleError
from core.insights import funnel as funnels
from core.insights.funnel import Funnel, Step
from core.insights.scope import Scope
from core.pipeline.behaviour import usual_steps
from core.store import Log
from tests.worlds import as_shown, at

Make = Callable[..., Log]
VIEW_CART_BUY = (Step("view"), Step("cart"), Step("purchase"))


def act(user: str, day: float, kind: str, item: str = "1") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day)}


EVENTS = [
    act("a", 0, "view"), act("a", 20, "view", "2"), act("a", 21, "cart"), act("a", 22, "purchase"),  # the first view alone is too old
    act("b", 1, "view"), act("b", 2, "search"), act("b", 3, "cart"),
    act("c", 5, "cart"), act("c", 5, "view"), act("c", 6, "purchase"),  # a cart at the same instant is not later
    act("d", 1, "view"), act("d", 1.5, "remove_from_cart"), act("d", 2, "cart"), act("d", 8, "purchase"),
    act("e", 3, "search"),
]  # fmt: skip
ITEMS = [
    {"item_id": "1", "category": "Shoes", "brand": "X", "price": "10"},
    {"item_id": "2", "category": "Bags", "brand": "Y", "price": "20.5"},
]
USERS = {"a": {"region": "north"}, "b": {"region": "south"}, "c": {"region": "north"}, "d": {"region": "south"}, "e": {"region": "north"}}


def users(log: Log, funnel: Funnel) -> list[int]:
    return list(funnels.count_steps(log, funnel).table["users"].to_pylist())


@pytest.fixture
def log(make_log: Make) -> Log:
    return make_log(EVENTS, items=ITEMS, users=USERS)


def test_every_view_may_begin_a_run_and_each_step_is_strictly_later_within_the_window(log: Log) -> None:
    assert users(log, Funnel(VIEW_CART_BUY)) == [4, 3, 2]
    assert users(log, Funnel(VIEW_CART_BUY, window=timedelta(days=6))) == [4, 3, 1], "d needs seven days"
    assert funnels.members(log, Funnel(VIEW_CART_BUY), 3).table["user_id"].to_pylist() == ["a", "d"]
    assert funnels.members(log, Funnel(VIEW_CART_BUY), 2, stopped=True).table["user_id"].to_pylist() == ["b"]


def test_strict_steps_have_no_act_between_and_any_order_counts_a_set(log: Log) -> None:
    assert users(log, Funnel(VIEW_CART_BUY, order="strict")) == [4, 1, 1], "a alone went straight from view to cart to purchase"
    assert users(log, Funnel(VIEW_CART_BUY, order="any")) == [4, 4, 3], "c did all three, the cart first"


def test_an_excluded_act_within_the_run_removes_the_shopper(log: Log) -> None:
    assert users(log, Funnel(VIEW_CART_BUY, excluded=("remove_from_cart",))) == [3, 2, 1]
    assert users(log, Funnel(VIEW_CART_BUY, excluded=("search",))) == [3, 2, 2], "b searched within her window; e never began"


def test_a_step_may_name_a_category_and_a_brand(log: Log) -> None:
    steps = (Step("view", category="Bags"), Step("cart", category="Shoes", brand="X"))
    assert users(log, Funnel(steps)) == [1, 1]
    assert users(log, Funnel((Step("view", brand="Y"), Step("purchase", category="Bags")))) == [1, 0]


def test_a_step_may_name_an_item_and_prices_with_both_ends(log: Log) -> None:
    by_item, by_price = (Step("view", item="2"), Step("cart", item="1")), (Step("view", price_from=20.5), Step("cart", price_to=10))
    assert (
        users(log, Funnel(by_item))
        == users(log, Funnel(by_price))
        == users(log, Funnel((Step("view", brand="Y"), Step("cart", brand="X"))))
    )
    assert users(log, Funnel((Step("view", price_from=10, price_to=20.5), Step("cart")))) == users(
        log, Funnel((Step("view"), Step("cart")))
    )
    assert users(log, Funnel((Step("view", price_from=11, price_to=20), Step("cart")))) == []
    with pytest.raises(RuleError, match="prices from 20 to 10"):
        users(log, Funnel((Step("view", price_from=20, price_to=10), Step("cart"))))


def test_rates_are_overall_and_from_the_step_before_with_their_intervals(log: Log) -> None:
    rows = funnels.count_steps(log, Funnel(VIEW_CART_BUY)).table.to_pylist()
    assert [row["overall"] for row in rows] == [1, 3 / 4, 2 / 4]
    assert [row["from_previous"] for row in rows] == [1, 3 / 4, 2 / 3]
    assert rows[2]["overall_low"] == pytest.approx(0.15, abs=0.001) and rows[2]["overall_high"] == pytest.approx(0.85, abs=0.001)


def test_the_time_to_convert_counts_from_the_latest_beginning_of_the_first_finished_run(log: Log) -> None:
    last = funnels.count_steps(log, Funnel(VIEW_CART_BUY)).table.to_pylist()[-1]
    day = 86_400
    assert (last["seconds_quarter"], last["seconds_median"], last["seconds_three_quarters"]) == (3.25 * day, 4.5 * day, 5.75 * day)
    bars = funnels.times_to_convert(log, Funnel(VIEW_CART_BUY)).table.to_pylist()
    assert {(row["from_seconds"], row["to_seconds"]): row["users"] for row in bars if row["users"]} == {
        (day, 3 * day): 1, (7 * day, 14 * day): 1,
    }  # fmt: skip
    assert bars[0]["from_seconds"] is None and bars[-1]["to_seconds"] is None


@pytest.mark.parametrize("breakdown", ["category", "region", "segment"])
def test_the_parts_of_a_breakdown_add_up_and_small_ones_have_no_rate(breakdown: str, log: Log) -> None:
    segments = pa.table({"user_id": ["a", "b", "c"], "segment_id": [1, 1, 2]})
    table = funnels.count_steps(log, Funnel(VIEW_CART_BUY, breakdown=breakdown), segments).table.to_pylist()
    counts = {(row["name"], row["step"]): row["users"] for row in table}
    expected = {
        "category": {("Shoes", 1): 3, ("Shoes", 2): 2, ("Shoes", 3): 1, ("Bags", 1): 1, ("Bags", 2): 1, ("Bags", 3): 1},
        "region": {("north", 1): 2, ("north", 2): 1, ("north", 3): 1, ("south", 1): 2, ("south", 2): 2, ("south", 3): 1},
        "segment": {("1", 1): 2, ("1", 2): 2, ("1", 3): 1, ("2", 1): 1, ("2", 2): 0, ("2", 3): 0, ("", 1): 1, ("", 2): 1, ("", 3): 1},
    }[breakdown]
    assert counts == expected
    assert all(row["overall"] is None for row in table), "each part is below twenty shoppers"


def test_equal_steps_need_two_acts_and_a_window_longer_than_the_log_is_no_hindrance(log: Log) -> None:
    assert users(log, Funnel((Step("view"), Step("view")), window=timedelta(days=5000))) == [4, 1]


@pytest.mark.parametrize(
    ("funnel", "words"),
    [
        (Funnel((Step("view"),)), "2 to 8 steps"),
        (Funnel((Step("view"), Step("gaze"))), "no kind of event 'gaze'"),
        (Funnel(VIEW_CART_BUY, order="backwards"), "ordered or strict or any"),
        (Funnel(VIEW_CART_BUY, window=timedelta(0)), "longer than nothing"),
        (Funnel((Step("view"), Step("view")), order="any"), "two steps are equal"),
        (Funnel(VIEW_CART_BUY, excluded=("cart",)), "at once"),
    ],
)
def test_a_question_without_an_answer_is_refused_in_a_sentence(funnel: Funnel, words: str, log: Log) -> None:
    with pytest.raises(RuleError, match=words):
        funnels.count_steps(log, funnel)


def test_nobody_in_scope_gives_no_rows_and_no_error(log: Log) -> None:
    nobody = Scope(category="Hats")
    for order in funnels.ORDERS:
        assert funnels.count_steps(log, Funnel(VIEW_CART_BUY, order=order, scope=nobody)).table.num_rows == 0


@pytest.mark.parametrize("order", funnels.ORDERS)
@pytest.mark.parametrize(
    "scope", [Scope(), Scope(since=at(1), until=at(21.5), category="Shoes", attribute=("region", "south"), event_types=("view", "cart"))]
)
def test_the_shown_statement_gives_the_same_rows(order: str, scope: Scope, log: Log) -> None:
    funnel = Funnel(VIEW_CART_BUY, order=order, excluded=("search",), breakdown="category", scope=scope)
    for answer in (funnels.count_steps(log, funnel), funnels.times_to_convert(log, funnel), funnels.members(log, funnel, 2)):
        rows = as_shown(log, answer)
        assert rows and [{name: row[name] for name in rows[0]} for row in answer.table.to_pylist()] == rows


Act = tuple[str, datetime, str]


def furthest(acts: list[Act], steps: list[str], order: str, window: timedelta) -> dict[str, int]:
    """Each user's furthest step, by trying every anchor and every chain; acts stand in the order of time and file."""
    return {user: done for user, (done, _seconds) in runs(acts, steps, order, window).items()}


def runs(acts: list[Act], steps: list[str], order: str, window: timedelta) -> dict[str, tuple[int, float]]:
    """Each user's furthest step, and the seconds that the counted run took in any order (0 in another): first ended, last begun."""
    found: dict[str, tuple[int, float]] = {}
    for user in {name for name, _time, _kind in acts}:
        own = [(time, kind) for name, time, kind in acts if name == user]
        tried = [(0, datetime.max, datetime.min)]
        for place, (begin, kind) in enumerate(own):
            if order == "any" and kind in steps:
                first = {
                    k: min(t for t, same in own if same == k and t >= begin) for t, k in own if begin <= t <= begin + window and k in steps
                }
                tried.append((len(first), max(first.values()), begin))
            elif order != "any" and kind == steps[0]:
                tried.append((chain(own, place, 1, steps, order, begin + window), begin, begin))
        best, end, begin = max(tried, key=lambda run: (run[0], -run[1].timestamp() if run[0] else 0, run[2]))
        if best:
            found[user] = best, (end - begin).total_seconds()
    return found


def chain(own: list[tuple[datetime, str]], place: int, done: int, steps: list[str], order: str, end: datetime) -> int:
    """How far a run gets that has done so many steps, the last at `place`."""
    if done == len(steps):
        return done
    following = [place + 1] if order == "strict" else range(place + 1, len(own))
    return max(
        (chain(own, n, done + 1, steps, order, end) for n in following
         if n < len(own) and own[n][1] == steps[done] and own[place][0] < own[n][0] <= end),
        default=done,
    )  # fmt: skip


@pytest.mark.parametrize(("seed", "order"), list(product(range(4), funnels.ORDERS)))
def test_random_logs_with_ties_give_what_a_slow_count_gives(seed: int, order: str, make_log: Make) -> None:
    rng = np.random.default_rng(seed)
    acts = sorted(
        (
            (f"u{int(rng.integers(12))}", at(float(rng.integers(0, 20)) / 2), str(rng.choice(["view", "cart", "purchase"])))
            for _ in range(90)
        ),
        key=lambda row: row[1],
    )
    log = make_log([{"user_id": user, "item_id": "1", "event_type": kind, "event_time": time} for user, time, kind in acts])
    steps = [["view", "cart", "purchase"], ["view", "view", "cart"]][seed % 2 if order != "any" else 0]
    window = timedelta(days=float(rng.choice([0.5, 1, 2, 30])))
    slow = furthest(acts, steps, order, window)
    funnel = Funnel(tuple(Step(kind) for kind in steps), order, window)
    assert users(log, funnel) == [sum(done >= number for done in slow.values()) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        stopped = funnels.members(log, funnel, number, stopped=True).table["user_id"].to_pylist()
        assert stopped == sorted(user for user, done in slow.items() if done == number)
    if order == "any":
        took = [seconds for done, seconds in runs(acts, steps, order, window).values() if done == 3]
        told = funnels.count_steps(log, funnel).table.to_pylist()[-1]
        assert [told[f"seconds_{name}"] for name in ("quarter", "median", "three_quarters")] == (
            pytest.approx([np.quantile(took, q) for q in (0.25, 0.5, 0.75)]) if took else [None] * 3
        )


def test_any_order_counts_the_run_begun_as_late_as_possible_and_an_act_before_it_excludes_nobody(make_log: Make) -> None:
    minutes = {"view": (0, 5), "purchase": (3,), "cart": (6,)}
    log = make_log(
        [
            {"user_id": "a", "item_id": "1", "event_type": kind, "event_time": at(minute / 1440)}
            for kind, times in minutes.items()
            for minute in times
        ]
    )
    funnel = Funnel((Step("view"), Step("cart")), "any")
    assert funnels.count_steps(log, funnel).table["seconds_median"].to_pylist()[-1] == 60
    assert users(log, replace(funnel, excluded=("purchase",))) == [1, 1]


@pytest.mark.parametrize(
    ("events", "steps"),
    [
        ({"view": 9, "cart": 3, "favourite": 20, "purchase": 1}, ["view", "cart", "purchase"]),
        ({"purchase": 199_654, "favourite": 158_119, "cart": 1330}, ["favourite", "purchase"]),
        ({"click": 5, "search": 3}, ["click"]),
    ],
)
def test_a_first_funnel_takes_the_kinds_that_the_log_lives_on(events: dict[str, int], steps: list[str]) -> None:
    assert usual_steps(events) == steps
