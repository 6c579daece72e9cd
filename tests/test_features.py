"""Features: hand-computed values of a 12-event log, leakage, exactness, and logs that miss columns."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from core.errors import CutoffError
from core.features import FEATURES, act_labels, category_counts, category_labels, compute_features, revenue_labels, top_categories
from core.store import Log
from tests.worlds import at

CUTOFF = at(60)


def event(user: str, days: float, kind: str = "view", item: str | None = "a", **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(days), **more}


TWELVE = [
    event("ann", 10.0, "view", "a", dwell_seconds=10, position="2", session_id="s1"),
    event("ann", 10.0, "cart", "a", session_id="s1"),
    event("ann", 10.25, "purchase", "a", price=4, revenue=8, quantity=2, order_id="o1", session_id="s1"),
    event("ann", 10.25, "purchase", "b", price=6, revenue=6, quantity=1, order_id="o1", session_id="s1"),
    event("ann", 30.5, "purchase", "a", price=4, revenue=4, quantity=1, order_id="o2", session_id="s2"),
    event("ann", 40.5, "purchase", "c", price=1, revenue=1, quantity=1, order_id="o3", session_id="s3"),
    event("ann", 55.0, "cart", "b", session_id="s4"),
    event("ann", 56.0, "search", None, query="tea", session_id="s5"),
    event("bob", 53.0, "view", "a"),
    event("bob", 59.0, "view", "c", dwell_seconds=30, position="top"),
    event("ann", 60.0, "purchase", "b", price=6, revenue=6, order_id="o4"),
    event("bob", 67.0, "purchase", "a", price=4, revenue=4, order_id="o5"),
]
ITEMS = [
    {"item_id": "a", "category": "tea", "brand": "x"},
    {"item_id": "b", "category": "tea", "brand": "y"},
    {"item_id": "c", "category": "cup", "brand": None},
]


def features_of(log: Log, cutoff: Any = CUTOFF) -> pa.Table:
    with log.history(cutoff) as connection:
        return compute_features(connection, cutoff)


def row(table: pa.Table, user: str) -> dict[str, Any]:
    return next(r for r in table.to_pylist() if r["user_id"] == user)


@pytest.fixture
def twelve(make_log: Callable[..., Log]) -> Log:
    return make_log(TWELVE, items=ITEMS)


def test_the_table_has_one_row_per_user_and_the_columns_of_the_dictionary(twelve: Log) -> None:
    table = features_of(twelve)
    assert table.column_names == ["user_id", *(feature.name for feature in FEATURES)]
    assert table["user_id"].to_pylist() == ["ann", "bob"]
    assert len(FEATURES) >= 60
    assert {str(table.schema.field(feature.name).type) for feature in FEATURES} <= {"int32", "double"}


ANN = {
    "tenure_days": 50.0,
    "days_since_event": 4.0,
    "days_since_purchase": 19.5,
    "days_since_cart": 5.0,
    "events_all": 8,
    "events_7d": 2,
    "purchases_28d": 1,
    "purchases_56d": 4,
    "orders_all": 3,
    "orders_28d": 1,
    "revenue_28d": 1.0,
    "revenue_all": 19.0,
    "units_all": 5.0,
    "active_days_all": 5,
    "active_gap_mean_days": 46 / 4,
    "active_gap_median_days": (10 + 15) / 2,
    "order_gap_mean_days": (20.25 + 10) / 2,
    "order_gap_last_days": 10.0,
    "order_gap_sd_days": math.sqrt(((20.25 - 15.125) ** 2) * 2),
    "order_overdue_ratio": 19.5 / 15.125,
    "basket_value_mean": 19 / 3,
    "last_basket_value": 1.0,
    "items_all": 3,
    "items_bought": 3,
    "repeat_share": 1 / 4,
    "items_bought_again_share": 1 / 3,
    "open_carts_7d": 1,
    "open_carts_all": 1,
    "categories_all": 2,
    "brands_all": 2,
    "top_category_share": 6 / 7,
    "category_entropy": -(6 / 7) * math.log(6 / 7) - (1 / 7) * math.log(1 / 7),
    "sessions_all": 5.0,
    "sessions_28d": 3.0,
    "dwell_seconds_mean": 10.0,
    "position_mean": 2.0,
    "night_share": 4 / 8,
    "morning_share": 2 / 8,
    "events_trend": math.log((1 + 3) / (1 + 5)),
    "price_paid_mean": 15 / 4,
}


def test_features_equal_the_hand_computed_values(twelve: Log) -> None:
    found = row(features_of(twelve), "ann")
    assert {name: found[name] for name in ANN} == pytest.approx(ANN, rel=1e-6)
    assert found["days_since_favourite"] is None


def test_a_window_starts_on_its_first_instant_and_ends_before_the_cutoff(twelve: Log) -> None:
    bob = row(features_of(twelve), "bob")
    assert bob["views_7d"] == 2  # one of them exactly 7 days before the cutoff
    assert bob["purchases_all"] == 0
    assert bob["position_mean"] is None  # "top" is no number


def test_features_ignore_events_from_the_cutoff_on(make_log: Callable[..., Log]) -> None:
    with_future = features_of(make_log(TWELVE, items=ITEMS, dataset="with_future"))
    without = features_of(replace(make_log([e for e in TWELVE if e["event_time"] < CUTOFF], items=ITEMS, dataset="without"), until=CUTOFF))
    assert with_future.equals(without)


def test_features_do_not_depend_on_the_order_of_rows(make_log: Callable[..., Log]) -> None:
    forward = features_of(make_log(TWELVE, items=ITEMS, dataset="forward"))
    backward = features_of(make_log(TWELVE[::-1], items=ITEMS[::-1], dataset="backward"))
    assert forward.equals(backward)


def test_a_log_of_users_and_times_alone_still_has_features(make_log: Callable[..., Log]) -> None:
    table = features_of(make_log([event("日", 1.0, "purchase", None), event("日", 1.0, "purchase", None), event("z", 70.0)]))
    assert table["user_id"].to_pylist() == ["日"]
    only = row(table, "日")
    assert (only["orders_all"], only["purchases_all"], only["items_all"]) == (1, 2, 0)
    assert only["category_entropy"] is None
    assert only["revenue_all"] == 0


def test_moving_the_cutoff_by_a_second_past_a_purchase_changes_the_labels_by_one(twelve: Log) -> None:
    horizon = timedelta(days=7)
    assert act_labels(twelve, at(60), horizon).to_pydict() == {"user_id": ["ann", "bob"], "label": [1, 0]}
    assert act_labels(twelve, at(60) + timedelta(seconds=1), horizon - timedelta(hours=1))["label"].to_pylist() == [0, 0]


def test_labels_follow_the_asked_for_act(twelve: Log) -> None:
    assert act_labels(twelve, at(50), timedelta(days=7), "cart").to_pydict() == {"user_id": ["ann"], "label": [1]}
    assert act_labels(twelve, at(50), timedelta(days=7), "favourite")["label"].to_pylist() == [0]
    assert revenue_labels(twelve, at(60), timedelta(days=7)).to_pydict() == {"user_id": ["ann", "bob"], "revenue": [6.0, 0.0]}


def test_a_label_window_past_the_end_of_the_log_is_refused(twelve: Log) -> None:
    with pytest.raises(CutoffError, match="label window ends"):
        act_labels(twelve, at(66), timedelta(days=7))


def test_category_counts_and_labels_follow_the_catalogue(twelve: Log) -> None:
    with twelve.history(CUTOFF) as connection:
        assert top_categories(connection) == ["tea", "cup"]
        counts = category_counts(connection, CUTOFF, ["tea"])
    ann = row(counts, "ann")
    assert counts["user_id"].to_pylist() == ["ann", "bob"]
    assert (ann["purchases"], ann["purchases_56d"], ann["days_bought"], ann["carts"]) == (3, 3, 2, 2)
    assert ann["days_since_purchase"] == pytest.approx(29.5)
    assert category_labels(twelve, CUTOFF, timedelta(days=7), ["tea", "cup"]).to_pydict() == {"user_id": ["ann"], "category": ["tea"]}
