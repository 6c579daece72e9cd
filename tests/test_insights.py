"""The overview's figures on logs whose answers fit in the head, and statements that run as they are shown."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from core.errors import RuleError
from core.insights import overview, products
from core.insights.statement import fill
from core.metrics import wilson
from core.store import Log
from tests.worlds import at

Make = Callable[..., Log]
EVENTS: list[dict[str, Any]] = [
    {"user_id": "a", "item_id": "1", "event_type": "view", "event_time": at(0)},
    {"user_id": "a", "item_id": "1", "event_type": "purchase", "event_time": at(0) + timedelta(minutes=30), "revenue": 10},
    {"user_id": "a", "item_id": "2", "event_type": "purchase", "event_time": at(0) + timedelta(minutes=30), "revenue": 5},
    {"user_id": "a", "item_id": "1", "event_type": "view", "event_time": at(0) + timedelta(minutes=60, seconds=1)},
    {"user_id": "b", "item_id": "2", "event_type": "view", "event_time": at(3)},
    {"user_id": "b", "item_id": None, "event_type": "search", "event_time": at(3.5)},
]
ITEMS = [{"item_id": "1", "category": "Shoes"}, {"item_id": "2", "category": "Bags"}]


def test_a_gap_of_thirty_minutes_stays_in_the_session_and_a_second_more_does_not(make_log: Make) -> None:
    log = make_log(EVENTS, items=ITEMS)
    row = overview.figures(log, overview.whole_log(log)).table.to_pylist()[0]
    assert row == {
        "events": 6,
        "users": 2,
        "sessions": 4,
        "buyers": 1,
        "buying_sessions": 1,
        "repeat_buyers": 0,
        "orders": 1,
        "revenue": 15.0,
    }


def test_revenue_is_missing_rather_than_zero_when_the_log_has_no_prices(make_log: Make) -> None:
    log = make_log([{**event, "revenue": None} for event in EVENTS])
    assert overview.figures(log, overview.whole_log(log)).table["revenue"].to_pylist() == [None]


def test_days_without_events_are_zero_and_cut_periods_are_marked(make_log: Make) -> None:
    log = make_log(EVENTS, items=ITEMS)
    table = overview.trend(log, overview.whole_log(log), "day").table.to_pylist()
    assert [row["events"] for row in table] == [4, 0, 0, 2]
    assert [row["partial"] for row in table] == [False, False, False, True]


def test_the_time_zone_moves_days_and_no_totals(make_log: Make) -> None:
    log = make_log([{**EVENTS[0], "event_time": at(0) + timedelta(hours=23, minutes=20)}, {**EVENTS[4]}])
    utc, china = (overview.trend(log, overview.whole_log(log, zone), "day").table for zone in ("UTC", "Asia/Shanghai"))
    assert utc["period"][0].as_py().day == 1 and china["period"][0].as_py().day == 2
    assert sum(utc["events"].to_pylist()) == sum(china["events"].to_pylist()) == 2


def test_conversion_of_a_category_counts_its_own_shoppers(make_log: Make) -> None:
    log = make_log(EVENTS, items=ITEMS)
    rows = {row["category"]: row for row in products.products(log, overview.whole_log(log)).table.to_pylist()}
    assert (rows["Bags"]["users"], rows["Bags"]["buyers"], rows["Bags"]["buyer_rate"]) == (2, 1, 0.5)
    assert rows["Shoes"]["revenue_share"] == pytest.approx(10 / 15)


def test_the_period_before_exists_only_when_the_log_reaches_back(make_log: Make) -> None:
    log = make_log([*EVENTS, {**EVENTS[0], "event_time": at(30)}])
    last = overview.last_days(log, 7)
    assert overview.previous(last, log) is not None
    assert overview.previous(overview.whole_log(log), log) is None


def test_who_ordered_twice_in_a_period_bought_again_and_two_lines_of_an_order_are_one(make_log: Make) -> None:
    bought = {"event_type": "purchase", "revenue": 10, "item_id": "1"}
    log = make_log([
        {**bought, "user_id": "a", "event_time": at(0), "order_id": "o1"},
        {**bought, "user_id": "a", "event_time": at(0.1), "order_id": "o1"},
        {**bought, "user_id": "b", "event_time": at(0.2), "order_id": "o2"},
        {**bought, "user_id": "b", "event_time": at(9), "order_id": "o3"},
        {**bought, "user_id": "c", "event_time": at(9)},
        {**bought, "user_id": "c", "event_time": at(9.1)},
    ])  # fmt: skip
    row = overview.figures(log, overview.whole_log(log)).table.to_pylist()[0]
    assert (row["buyers"], row["repeat_buyers"], row["orders"]) == (3, 2, 5)
    weeks = overview.trend(log, overview.whole_log(log), "week").table.to_pylist()
    assert [(week["buyers"], week["repeat_buyers"], week["repeat_rate"]) for week in weeks] == [(2, 0, 0.0), (2, 1, 0.5)]
    assert [week["order_value"] for week in weeks] == [pytest.approx(30 / 2), pytest.approx(10)]


def test_a_session_counts_in_the_period_it_begins_in(make_log: Make) -> None:
    night = [at(0) + timedelta(hours=23, minutes=50), at(0) + timedelta(hours=24, minutes=10)]
    kinds = ("view", "purchase")
    log = make_log([{"user_id": "a", "item_id": "1", "event_type": k, "event_time": t} for k, t in zip(kinds, night, strict=True)])
    days = overview.trend(log, overview.whole_log(log), "day").table.to_pylist()
    assert [(day["sessions"], day["buying_sessions"], day["buyers"], day["session_rate"]) for day in days] == [
        (1, 1, 0, 1.0),
        (0, 0, 1, None),
    ]


def test_hours_and_months_follow_the_calendar_of_the_zone(make_log: Make) -> None:
    spring = datetime(2024, 3, 31)
    log = make_log(
        [{"user_id": "a", "item_id": "1", "event_type": "view", "event_time": spring + timedelta(hours=h)} for h in (-1, 0, 3, 23)]
    )
    berlin = overview.whole_log(log, "Europe/Berlin")
    hours = overview.trend(log, berlin, "hour").table
    names = [row["period"].strftime("%d %H") for row in hours.to_pylist()]
    assert names[:4] == ["31 00", "31 01", "31 03", "31 04"], "clocks leave 02:00 out"
    assert len(names) == 25 and sum(hours["events"].to_pylist()) == 4
    assert [row["period"].month for row in overview.trend(log, berlin, "month").table.to_pylist()] == [3, 4]
    assert overview.trend(log, berlin, "month").table["events"].to_pylist() == [3, 1]


def test_a_step_or_a_level_that_does_not_exist_is_refused(make_log: Make) -> None:
    log = make_log(EVENTS, items=ITEMS)
    with pytest.raises(RuleError, match="fortnight"):
        overview.trend(log, overview.whole_log(log), "fortnight")
    with pytest.raises(RuleError, match="colour"):
        products.products(log, overview.whole_log(log), "colour")


def test_rates_of_a_product_count_its_shoppers_once(make_log: Make) -> None:
    log = make_log(EVENTS, items=ITEMS)
    rows = {row["item_id"]: row for row in products.products(log, overview.whole_log(log), "item").table.to_pylist()}
    one, two = rows["1"], rows["2"]
    assert (one["users"], one["viewers"], one["views"], one["viewing_buyers"], one["buyer_rate"]) == (1, 1, 2, 1, 1.0)
    assert (two["users"], two["viewers"], two["buyers"], two["viewing_buyers"], two["category"]) == (2, 1, 1, 0, "Bags")
    assert one["cart_rate"] == 0.0 and one["revenue_share"] == pytest.approx(10 / 15)


def test_what_stands_out_is_beyond_chance_on_its_side(make_log: Make) -> None:
    events = []
    for item, (viewers, buyers) in {"much": (200, 2), "usual": (60, 12), "other": (60, 11), "third": (50, 10), "win": (20, 16)}.items():
        for n in range(viewers):
            own = {"user_id": f"{item}{n}", "item_id": item, "event_time": at(n / 100)}
            events += [own | {"event_type": "view"}, *([own | {"event_type": "purchase"}] if n < buyers else [])]
    log = make_log(events, items=[{"item_id": "much", "title": "Seen by all"}])
    found = products.products(log, overview.whole_log(log), "item")
    rows = products.standing_out(log, found, "item").table.to_pylist()
    assert [(row["standing"], row["item_id"]) for row in rows] == [("low_conversion", "much"), ("hidden_winner", "win")]
    assert rows[0]["overall"] == pytest.approx(51 / 390) and rows[0]["short_of"] == pytest.approx(200 * 51 / 390 - 2)
    assert (rows[1]["low"], rows[1]["high"]) == (pytest.approx(wilson(16, 20)[0]), pytest.approx(wilson(16, 20)[1]))
    assert rows[0]["title"] == "Seen by all" and rows[0]["products"] == 5


@pytest.mark.parametrize("level", products.LEVELS)
def test_without_views_nothing_stands_out(level: str, make_log: Make) -> None:
    log = make_log([{**event, "event_type": "purchase"} for event in EVENTS], items=ITEMS)
    found = products.products(log, overview.whole_log(log), level)
    assert products.standing_out(log, found, level).table.num_rows == 0


QUESTIONS = ("figures", "trend", "hourly", "event_mix", "categories", "items", "standing_out", "hours")


@pytest.mark.parametrize("ask", QUESTIONS)
def test_a_statement_runs_as_it_is_shown_and_gives_the_same_rows(ask: str, make_log: Make) -> None:
    log = make_log(EVENTS, items=ITEMS)
    period = overview.whole_log(log, "Asia/Shanghai")
    answer = {
        "figures": lambda: overview.figures(log, period),
        "trend": lambda: overview.trend(log, period, "week"),
        "event_mix": lambda: overview.event_mix(log, period),
        "hourly": lambda: overview.trend(log, period, "hour"),
        "categories": lambda: products.products(log, period),
        "items": lambda: products.products(log, period, "item"),
        "standing_out": lambda: products.standing_out(log, products.products(log, period, "brand"), "brand"),
        "hours": lambda: overview.hours(log, period),
    }[ask]()
    plain = duckdb.connect(str(Path(log.path)), read_only=True)
    plain.execute("SET TimeZone = 'UTC'")
    assert "$" not in answer.sql
    assert plain.sql(answer.sql).to_arrow_table().to_pylist() == answer.table.to_pylist()
    plain.close()


def test_values_are_quoted_when_they_are_written_into_a_statement() -> None:
    assert fill("SELECT * FROM history WHERE user_id = $text", {"text": "o'neil"}) == "SELECT * FROM events WHERE user_id = 'o''neil'"


def test_buyers_with_a_second_order_are_the_repeat_buyers(make_log: Make) -> None:
    later = {**EVENTS[1], "event_time": at(1)}
    log = make_log([*EVENTS, later, {**later, "user_id": "b"}], items=ITEMS)
    row = overview.figures(log, overview.whole_log(log)).table.to_pylist()[0]
    assert (row["buyers"], row["repeat_buyers"], row["orders"]) == (2, 1, 3)
    days = overview.trend(log, overview.whole_log(log), "day").table.to_pylist()
    assert [day["repeat_buyers"] for day in days] == [0, 0, 0, 0], "no day has two orders of one buyer"
    assert [day["sessions"] for day in days] == [2, 2, 0, 2]


def test_a_trend_has_hours_and_months(make_log: Make) -> None:
    log = make_log([EVENTS[0], {**EVENTS[4], "event_time": at(33)}])
    hours, months = (overview.trend(log, overview.whole_log(log), grain).table for grain in ("hour", "month"))
    assert hours.num_rows == 33 * 24 + 1 and sum(hours["events"].to_pylist()) == 2
    assert [(f"{row['period']:%Y-%m-%d}", row["events"], row["partial"]) for row in months.to_pylist()] == [
        ("2024-03-01", 1, False),
        ("2024-04-01", 1, True),
    ]
