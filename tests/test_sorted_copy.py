"""Questions on the sorted copy of a log: the same rows as their statements give, on random logs with ties, gaps and missing cells."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.artifacts import read_manifest, seal
from core.errors import StorageError
from core.insights import changes, chosen, counted_products, drivers, funnel, orders, overview, paths, products, retention, rfm
from core.insights.changes import what_changed
from core.insights.drivers import Drivers
from core.insights.funnel import Funnel, Step
from core.insights.orders import Pairs
from core.insights.overview import Period
from core.insights.paths import Paths
from core.insights.retention import Retention
from core.insights.rfm import Rfm
from core.insights.scope import Scope
from core.insights.statement import Answer
from core.pipeline import behaviour
from core.pipeline.screens import open_screen
from core.pipeline.sorting import sort
from core.store import Dataset, Home, Log, sort_events, sorted_events
from tests.worlds import at, publish_world

Make = Callable[..., Log]
KINDS = ("view", "view", "view", "cart", "purchase", "search", "click")
SCOPES = {
    "everything": Scope(),
    "dates": Scope(since=at(27), until=at(35)),
    "kinds": Scope(event_types=("view", "cart", "purchase")),
    "category": Scope(category="Shoes"),
    "no category": Scope(category=""),
    "brand": Scope(brand="Y"),
    "attribute": Scope(attribute=("region", "north")),
    "members": Scope(members=pa.table({"user_id": ["a", "c", "nobody"]}), members_sql="SELECT user_id FROM users"),
    "nothing": Scope(brand="Z"),
}


def random_events(rng: np.random.Generator, n: int = 260) -> list[dict[str, Any]]:
    """Acts of nine shoppers around a change of the clocks, many of them at one instant, some without item, revenue or order."""
    found = []
    for _row in range(n):
        kind = str(rng.choice(KINDS))
        day = float(rng.integers(0, 14)) + float(rng.integers(0, 96)) / 96  # quarters of an hour: ties, and gaps of exactly 30 minutes
        item = None if kind == "search" or rng.random() < 0.05 else str(rng.integers(1, 8))
        event = {"user_id": str(rng.choice(list("abcdefghi"))), "item_id": item, "event_type": kind, "event_time": at(day + 24)}
        if kind == "purchase":
            event["revenue"] = None if rng.random() < 0.3 else str(round(float(rng.random()) * 90, 4))
            event["order_id"] = None if rng.random() < 0.5 else str(rng.integers(1, 9))
        found.append(event)
    return [*found, {"user_id": "once", "item_id": "1", "event_type": "view", "event_time": at(25)}]


ITEMS = [{"item_id": str(n), "category": ["Shoes", "Bags", None][n % 3], "brand": ["X", "Y"][n % 2], "price": str(n)} for n in range(1, 7)]
USERS = {name: {"region": "north" if name in "abc" else "south"} for name in "abcdefghi"}


@pytest.fixture
def make(make_log: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Log]:
    monkeypatch.setattr(chosen, "BLOCK", 60)  # several parts of a small log

    def build(seed: int) -> Log:
        log = make_log(random_events(np.random.default_rng(seed)), items=ITEMS, users=USERS)
        assert log.sorted_path is not None
        sort_events(log.path, log.sorted_path)
        return log

    return build


def same(log: Log, ask: Callable[[Log], Answer]) -> None:
    """Ask on the sorted copy and without it: rows, types and the shown statement are equal to the last bit."""
    fast, plain = ask(log), ask(replace(log, sorted_path=None))
    assert fast.table.schema == plain.table.schema
    assert fast.table.to_pylist() == plain.table.to_pylist()
    assert fast.sql == plain.sql


@pytest.mark.parametrize("name", list(SCOPES))
def test_questions_are_the_same_on_the_sorted_copy(name: str, make: Callable[[int], Log]) -> None:
    number = list(SCOPES).index(name)
    log, scope = make(number), SCOPES[name]
    zone = ("UTC", "Europe/Berlin", "America/Havana", "Asia/Kathmandu")[number % 4]
    for period in (overview.whole_log(log, zone), Period(at(26.3), at(33.1), zone)):
        same(log, lambda asked, p=period: overview.figures(asked, p, scope))
        for grain in overview.GRAINS:
            same(log, lambda asked, p=period, g=grain: overview.trend(asked, p, g, scope))
        for people in (False, True):
            same(log, lambda asked, p=period, too=people: overview.hours(asked, p, "view", scope, people=too))
        same(log, lambda asked, p=period: overview.event_mix(asked, p, scope))
        for level in products.LEVELS:
            same(log, lambda asked, p=period, of=level: products.products(asked, p, of, scope))
    for ask in later_questions(scope, zone, number):
        same(log, ask)


def later_questions(scope: Scope, zone: str, number: int) -> list[Callable[[Log], Answer]]:
    """Retention, value, orders, drivers and what changed, with other acts, lengths and zones for each scope."""
    start, back, grain = ("any", "view", "cart")[number % 3], ("any", "purchase")[number % 2], retention.GRAINS[number % 3]
    plain, again = (
        Retention(start, back, "week", scope=scope),
        Retention(back, start, grain, recurring=True, zone=zone, most=3, scope=scope),
    )
    scored = Rfm(rfm.FREQUENCIES[number % 2], zone, scope)
    followed = Drivers(("purchase", "cart")[number % 2], early_days=1 + number % 3, later_days=4, least=1, scope=scope)
    segments = pa.table({"user_id": ["a", "b", "c", "who"], "segment_id": [1, 1, None, 2]})
    two = (Period(at(24), at(30.5)), Period(at(30.5), at(37)))

    def changed(log: Log, parts: str) -> Answer:
        found = what_changed(log, *two, parts, scope, segments)
        return found.answer if found is not None else Answer(pa.table({"nobody": [0]}), "")

    return [
        *(lambda log, q=asked: retention.retention(log, q) for asked in (plain, again)),
        lambda log: retention.cohort_revenue(log, again),
        lambda log: rfm.rfm_grid(log, scored),
        lambda log: rfm.rfm_cuts(log, scored),
        lambda log: rfm.rfm_members(log, scored, "loyal"),
        lambda log: rfm.stage_moves(log, scope, 3 + number),
        lambda log: orders.gaps(log, scope),
        lambda log: orders.repeat_rates(log, 3, zone, scope),
        *(lambda log, level=level: orders.bought_together(log, Pairs(level, 1, scope)) for level in orders.LEVELS),
        lambda log: drivers.drivers(log, followed),
        *(lambda log, parts=parts: changed(log, parts) for parts in changes.PARTS),
    ]


@pytest.mark.parametrize("order", funnel.ORDERS)
@pytest.mark.parametrize("seed", [1])
def test_funnels_are_the_same_on_the_sorted_copy(order: str, seed: int, make: Callable[[int], Log]) -> None:
    log = make(seed)
    segments = pa.table({"user_id": ["a", "b", "c"], "segment_id": [1, 1, 2]})
    plain = (Step("view"), Step("cart"), Step("purchase"))
    named = (Step("view", category="Shoes"), Step("view", brand="Y"), Step("purchase"))
    narrow = (Step("view", price_from=2, price_to=5), Step("cart", item="3"), Step("purchase", category="Shoes", price_to=6))
    for steps in (plain, named, narrow):
        for days, excluded in ((0.02, ()), (1.0, ("search",)), (400.0, ("click", "search")[2 - seed :])):
            asked = Funnel(steps, order, timedelta(days=days), excluded)
            same(log, lambda where, q=asked: funnel.times_to_convert(where, q))
            same(log, lambda where, q=asked: funnel.members(where, q, 2, stopped=True))
    for breakdown in ("category", "segment", "region"):
        same(log, lambda where, b=breakdown: funnel.count_steps(where, Funnel(plain, order, breakdown=b), segments))
    for scope in list(SCOPES.values())[seed::2]:
        same(log, lambda where, s=scope: funnel.members(where, Funnel(plain, order, scope=s), 1))
    if order != "any":
        same(log, lambda where: funnel.count_steps(where, Funnel((Step("view"), Step("view"), Step("view")), order)))


@pytest.mark.parametrize("forward", [True, False])
def test_paths_are_the_same_on_the_sorted_copy(forward: bool, make: Callable[[int], Log]) -> None:
    log = make(4 + forward)
    for anchor, by_category, collapse, top, depth in (
        ("view", False, True, 6, 4),
        ("view", True, False, 1, 2),
        ("cart", True, True, 2, 9),
        ("share", False, True, 6, 4),
    ):
        asked = Paths(anchor, forward, depth, top, by_category, collapse)
        for people in (False, True):
            same(log, lambda where, q=asked, too=people: paths.links(where, q, people=too))
    for scope in list(SCOPES.values())[1::3]:
        same(log, lambda where, s=scope: paths.links(where, Paths("view", scope=s)))


def test_a_reading_that_ends_early_does_not_see_later_acts_of_the_copy(make: Callable[[int], Log]) -> None:
    early = replace(make(6), until=at(30))
    same(early, lambda where: overview.figures(where, Period(at(24), at(60))))
    same(early, lambda where: products.products(where, Period(at(24), at(60)), "item"))
    same(early, lambda where: funnel.count_steps(where, Funnel((Step("view"), Step("cart")))))
    same(early, lambda where: paths.links(where, Paths("view", by_category=True), people=True))


@pytest.mark.parametrize("level", products.LEVELS)
def test_parts_of_very_many_acts_are_counted_alike(level: str, make: Callable[[int], Log], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted_products, "FIELD", 3)  # no count of a part would fit
    same(make(5), lambda log: products.products(log, overview.whole_log(log), level))


def test_the_largest_amounts_of_a_log_are_held_exactly(make_log: Make) -> None:
    paid = {"user_id": "a", "item_id": "1", "event_type": "purchase", "event_time": at(0), "revenue": "99999999999999.9999"}
    log = make_log([paid])
    assert log.sorted_path is not None
    sort_events(log.path, log.sorted_path)
    copy = sorted_events(log.sorted_path)
    assert copy is not None and copy.column("revenue").tolist() == [999_999_999_999_999_999]


def test_the_copy_may_be_deleted_and_a_damaged_one_is_made_again(make: Callable[[int], Log]) -> None:
    log = make(7)
    copy = sorted_events(log.sorted_path)
    assert copy is not None and log.sorted_path is not None
    before = np.array(copy.column("time"))
    (log.sorted_path / "time.npy").write_bytes(b"nothing")
    with pytest.raises(StorageError, match="run `sort` again"):
        copy.column("time")
    sort_events(log.path, log.sorted_path)
    assert np.array_equal(copy.column("time"), before)
    shutil.rmtree(log.sorted_path)
    assert sorted_events(log.sorted_path) is None
    assert overview.figures(log, Period(datetime(2024, 1, 1), datetime(2025, 1, 1))).table["events"][0].as_py() == 261


def test_copies_of_versions_that_are_gone_or_superseded_are_removed(make: Callable[[int], Log]) -> None:
    log = make(8)
    dataset = Dataset(log.path.parents[2])
    copies = dataset.path / "sorted"
    (copies / "v0009").mkdir()
    (copies / ".v0007.left-over").mkdir()
    publish_world(dataset.path.parents[1], random_events(np.random.default_rng(9), 20))
    assert [path.name for path in copies.iterdir()] == ["v0001"]  # a page may still show the version before
    assert sort(dataset)["removed"] == ["v0001"] and [path.name for path in copies.iterdir()] == ["v0002"]
    assert sort(dataset)["removed"] == []


def test_a_copy_of_an_earlier_format_is_made_again_and_knows_the_kinds(make: Callable[[int], Log]) -> None:
    log = make(9)
    assert log.sorted_path is not None
    dataset = Dataset(log.path.parents[2])
    screen = open_screen(Home(dataset.path.parents[1]), dataset.name)
    told = behaviour.facts(screen)
    record = read_manifest(log.sorted_path)
    seal(log.sorted_path, {**{name: value for name, value in record.items() if name != "seal"}, "format": 1})
    assert sorted_events(log.sorted_path) is None
    plain = behaviour.facts(screen)
    assert told.table.equals(plain.table) and told.sql == plain.sql and told.table.num_rows == len(set(KINDS))
    sort_events(log.path, log.sorted_path)
    assert sorted_events(log.sorted_path) is not None


def test_questions_about_one_scope_share_what_was_found_and_no_other_does(make: Callable[[int], Log]) -> None:
    log = make(10)
    asked = Funnel((Step("view"), Step("cart")))
    for scope in SCOPES.values():
        of_scope = replace(asked, scope=scope)
        same(log, lambda where, q=of_scope: funnel.times_to_convert(where, q))
        same(log, lambda where, q=of_scope: funnel.members(where, q, 1))
    early = replace(log, until=at(30))
    same(early, lambda where: funnel.times_to_convert(where, asked))
