"""The profile card: statements with known answers, the events behind each, and silence where the events are left out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from core.insights import rfm, shopper
from core.insights.profile_card import Clock, Standing, Statement, profile_card
from core.insights.shopper import WHOLE, LeftOut
from core.messages import say
from core.store import Log
from tests.worlds import at

Make = Callable[..., Log]
ITEMS = [
    *({"item_id": f"s{n}", "title": f"Shoe {n}", "category": "Shoes", "brand": "Fleet", "price": 10 * (n + 1)} for n in range(5)),
    *({"item_id": f"b{n}", "title": f"Bag {n}", "category": "Bags", "brand": "Toto", "price": 10 * (n + 1)} for n in range(5)),
]


def event(user: str, item: str | None, kind: str, day: float, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day), **more}


def ann() -> list[dict[str, Any]]:
    """Ann looks at dear shoes each morning, buys every third day, and leaves a bag in the cart; others look at bags."""
    rows = []
    for day in range(10):
        rows.append(event("ann", "s4", "view", day + 8 / 24))
        if day % 3 == 0:
            rows.append(event("ann", "s3", "purchase", day + 9 / 24, revenue=40, price=40, order_id=f"o{day}"))
    rows += [event("ann", "b0", "cart", 9.4), event("ann", None, "search", 9.41, query=" Red Shoes "), event("ann", "s3", "refund", 9.42)]
    rows += [event("bob", f"b{n % 5}", "view", n / 4, price=5) for n in range(40)]
    return rows


def card(
    log: Log,
    user: str = "ann",
    *,
    keep: Callable[[dict[str, Any]], bool] | None = None,
    clock: Clock | None = None,
    left_out: LeftOut = WHOLE,
    standing: Standing | None = None,
) -> list[Statement]:
    with log.history() as connection:
        acts, shares = shopper.acts_of(connection, user, "UTC"), shopper.shares_of_all(connection)
    if keep is not None:
        acts = acts.filter(pa.array([keep(row) for row in acts.to_pylist()], pa.bool_()))
    acts, left_out = shopper.counted_acts(acts, left_out, log.until)
    return profile_card(acts, shares, log.until, clock or Clock(), left_out, standing or Standing())


@pytest.fixture
def log(make_log: Make) -> Log:
    return make_log(ann(), items=ITEMS)


def test_a_card_tells_what_a_hand_count_of_the_history_gives(log: Log) -> None:
    told = {s.code: str(s.text) for s in card(log)}
    assert told["category"].startswith("Favours Shoes: 14 of 15 acts (93%") and "3.7 times" in told["category"]  # 14/55 of all acts
    assert told["brand"].startswith("Favours the brand Fleet: 14 of 15 acts")
    assert told["item"] == "Comes back to Shoe 4: 10 acts on 10 days."
    assert (
        told["price"] == "Chooses dear items: on average at percentile 79 of the prices of their category (n = 15)."
    )  # (10 × .9 + 4 × .7 + .1) / 15
    assert told["orders"].startswith("Has ordered 4 times, about every 3.0 days, last 0 days before")
    assert told["order_value"] == "An order is worth 40.00 (median of 4)."
    assert told["hours"] == "Comes mostly between 6:00 and 12:00: 17 of 17 events (100%; all shoppers' events: 47%)."  # 27 of 57
    assert told["rhythm"].startswith("Comes about every 1.0 days (median of 9 gaps between 10 active days)")
    assert told["cart"].endswith("taken out since (items: 1): Bag 0.")
    assert told["search"] == "Searches for red shoes (1×)."
    assert told["refunds"] == "Gave goods back or cancelled (lines: 1)."
    assert "looking" not in told, "she bought shoes in these days"


def test_each_statement_names_events_that_exist_and_show_it(log: Log) -> None:
    with log.history() as connection:
        acts = shopper.acts_of(connection, "ann", "UTC").to_pylist()
    for statement in card(log):
        rows = [acts[place] for place in statement.events]
        assert rows and list(statement.events) == sorted(set(statement.events))
        if statement.code == "category":
            assert {row["category"] for row in rows} == {"Shoes"} and len(rows) == 14
        if statement.code == "cart":
            assert [(row["event_type"], row["item_id"]) for row in rows] == [("cart", "b0")]
        if statement.code == "hours":
            assert all(6 <= row["local_time"].hour < 12 for row in rows)


@pytest.mark.parametrize(
    ("code", "keep"),
    [
        ("category", lambda row: row["category"] != "Shoes"),
        ("order_value", lambda row: row["event_type"] != "purchase"),
        ("cart", lambda row: row["event_type"] != "cart"),
        ("search", lambda row: row["event_type"] != "search"),
        ("item", lambda row: row["item_id"] not in ("s3", "s4")),
        ("refunds", lambda row: row["event_type"] != "refund"),
    ],
)
def test_a_statement_goes_when_its_events_are_left_out(code: str, keep: Callable[[dict[str, Any]], bool], log: Log) -> None:
    assert code in {s.code for s in card(log)}
    assert code not in {s.code for s in card(log, keep=keep)}


def test_a_purchase_or_a_removal_closes_an_open_cart_and_an_old_one_is_no_intent(make_log: Make) -> None:
    bought = make_log([event("a", "s0", "cart", 1), event("a", "s0", "purchase", 2)], items=ITEMS)
    assert "cart" not in {s.code for s in card(bought, "a")}
    removed = make_log([event("a", "s0", "cart", 1), event("a", "s0", "remove_from_cart", 2), event("a", "s1", "cart", 2)], items=ITEMS)
    assert [s.events for s in card(removed, "a") if s.code == "cart"] == [(2,)]
    old = make_log([event("a", "s0", "cart", 1), event("a", "s1", "view", 60)], items=ITEMS)
    assert "cart" not in {s.code for s in card(old, "a")}


def test_looks_of_the_last_week_are_an_interest_unless_something_was_bought_there(make_log: Make) -> None:
    looks = [event("a", f"s{n}", "view", 8 + n / 10) for n in range(3)]
    found = {s.code: s for s in card(make_log([event("a", "b1", "purchase", 1), *looks], items=ITEMS), "a")}
    assert str(found["looking"].text) == "Is looking at Shoes: 3 acts in the last 7 days of the log, nothing bought there."
    later = make_log([*looks, event("a", "s9", "purchase", 9)], items=[*ITEMS, {"item_id": "s9", "category": "Shoes"}])
    assert "looking" not in {s.code for s in card(later, "a")}


def test_a_log_of_days_tells_no_hours_and_relative_days_no_weekdays(make_log: Make) -> None:
    others = [event("b", "s0", "view", day + 0.7) for day in range(30)]
    log = make_log(
        [*others, *(event("a", "s0", "view", day) for day in (1, 2, 8, 9, 15, 16, 22, 23, 29))]
    )  # Saturdays and Sundays of March 2024
    assert {"hours", "weekdays"} <= {s.code for s in card(log, "a")}
    assert not {"hours", "weekdays"} & {s.code for s in card(log, "a", clock=Clock(hours=False, weekdays=False))}


def test_events_after_the_cutoff_change_no_statement(make_log: Make) -> None:
    later = [event("ann", "b1", "purchase", 11 + n, revenue=999, price=999) for n in range(9)]
    log = make_log([*ann(), *later], items=ITEMS)
    early = make_log(ann(), items=ITEMS, dataset="early")
    with log.history(early.until) as connection:
        acts, shares = shopper.acts_of(connection, "ann", "UTC"), shopper.shares_of_all(connection)
    seen = profile_card(acts, shares, early.until)
    assert [(s.code, str(s.text), s.events) for s in seen] == [(s.code, str(s.text), s.events) for s in card(early)]


def test_common_tastes_and_items_say_why_two_shoppers_are_alike(make_log: Make) -> None:
    rows = [
        *(event("a", item, "view", 1) for item in ("s0", "s1", "b0", "b0")),
        *(event("b", item, "view", 1) for item in ("s0", "s2", "s3", "b1")),
        event("c", None, "search", 1),
        event("d", "s1", "impression", 1),
    ]
    with make_log(rows, items=ITEMS).history() as connection:
        table = shopper.why_alike(connection, "a", ["b", "c", "d"]).to_pylist()
    assert table == [{"user_id": "b", "overlap": 0.75, "categories": ["Shoes", "Bags"], "items": 1}]


def test_the_shares_of_all_shoppers_add_up_and_count_no_impression(make_log: Make) -> None:
    rows = [event("a", "s0", "view", 1), event("b", "b0", "view", 1), event("b", "b1", "cart", 1), event("c", "b1", "impression", 1)]
    with make_log(rows, items=ITEMS).history() as connection:
        assert shopper.shares_of_all(connection).of["category"] == pytest.approx({"Shoes": 1 / 3, "Bags": 2 / 3})


def test_a_shopper_of_one_event_gets_a_card_without_habits(make_log: Make) -> None:
    log = make_log([event("a", "s0", "view", 1)], items=ITEMS)
    assert [(s.code, str(s.text), s.events) for s in card(log, "a")] == [("orders", "Has not bought yet (events: 1).", (0,))]
    assert card(log, "a", keep=lambda row: False) == []


def test_ages_are_whole_days_before_the_end_of_the_log(make_log: Make) -> None:
    log = make_log([event("a", "s0", "purchase", 1), event("b", "s0", "view", 4.9)], items=ITEMS)
    assert "Has ordered once, 3 days before the end of the log." in [str(s.text) for s in card(log, "a")]
    assert log.until - at(1) < timedelta(days=4)


def test_what_did_not_happen_is_not_said_while_the_events_that_would_deny_it_are_left_out(make_log: Make) -> None:
    rows = [
        event("a", "s0", "cart", 8),
        event("a", "s1", "favourite", 8),
        event("a", "s2", "cart", 8.1),
        event("a", "s2", "remove_from_cart", 8.2),
        *(event("a", "s0", "view", 8.2 + n / 100) for n in range(4)),
        event("a", "s0", "purchase", 9),
        event("a", "s1", "purchase", 9),
        *(event("a", f"b{n}", "view", 8 + n / 10) for n in range(3)),
    ]
    log = make_log(rows, items=ITEMS)
    assert {"orders", "looking"} <= {s.code for s in card(log, "a")} and "cart" not in {s.code for s in card(log, "a")}
    without = card(log, "a", left_out=LeftOut(kinds=("purchase",)))
    assert not {"orders", "looking", "cart", "favourites"} & {s.code for s in without}
    assert not any(word in str(s.text) for s in without for word in ("not", "nothing", "neither"))
    assert "cart" not in {s.code for s in card(log, "a", left_out=LeftOut(kinds=("remove_from_cart",)))}
    assert "looking" in {s.code for s in card(log, "a", left_out=LeftOut(kinds=("remove_from_cart",)))}


def test_a_period_says_what_it_covers_and_denies_nothing_before_it(make_log: Make) -> None:
    log = make_log(
        [event("a", "s0", "purchase", 1), event("a", "s0", "view", 39), event("a", "s1", "cart", 20), event("b", "s0", "view", 40)]
    )
    told = {s.code: str(s.text) for s in card(log, "a", left_out=LeftOut(days=7))}
    assert told == {"orders": "Has not bought in the last 7 days of the log (events: 1)."}
    told = {s.code: str(s.text) for s in card(log, "a", left_out=LeftOut(days=90))}
    assert told["orders"].startswith("Has ordered once"), "a period that leaves nothing out is the whole history"
    log = make_log([event("a", "s0", "purchase", 1), event("a", "s1", "purchase", 39), event("b", "s0", "view", 40)], dataset="two")
    told = {s.code: str(s.text) for s in card(log, "a", left_out=LeftOut(days=7))}
    assert told == {"orders": "Orders in the last 7 days of the log: 1, the last 1 day before its end."}


def test_with_kinds_left_out_nobody_says_when_she_was_last_there(log: Log) -> None:
    told = {s.code: str(s.text) for s in card(log, left_out=LeftOut(kinds=("purchase", "impression")))}
    assert told["rhythm"] == "Comes about every 1.0 days (median of 9 gaps between 10 days with events that count)."


def test_a_stage_and_a_group_rest_on_events_and_go_with_them(log: Log) -> None:
    table = {row["user_id"]: row for row in rfm.standings(log).to_pylist()}
    assert (table["ann"]["stage"], table["bob"]["rfm"]) == ("new", "never")
    standing = Standing(say("new"), say("champions"))
    told = {s.code: s for s in card(log, standing=standing)}
    assert str(told["stage"].text) == "Stage of life: new (first event 9 days before the end of the log, the last 0 days before it)."
    assert str(told["rfm"].text) == "RFM group: champions (purchase lines: 4, the last 0 days before the end of the log)."
    assert len(told["stage"].events) == 17 and len(told["rfm"].events) == 4
    assert "rfm" in {s.code for s in card(log, standing=standing, left_out=LeftOut(kinds=("view",)))}
    for gone in (LeftOut(kinds=("view",)), LeftOut(days=3)):
        assert "stage" not in {s.code for s in card(log, standing=standing, left_out=gone)}
    assert "rfm" not in {s.code for s in card(log, standing=standing, left_out=LeftOut(kinds=("purchase",)))}


def test_a_log_of_three_hours_tells_no_hours_and_no_weekdays(make_log: Make) -> None:
    hours = [event("a", "s0", "view", 4 + n / 500) for n in range(51)]
    rows = [*hours, *(event("b", "s0", "view", 4.1 + n / 500) for n in range(9))]
    assert not {"hours", "weekdays"} & {s.code for s in card(make_log(rows), "a")}
    spread = [event("b", "s0", "view", day + n / 4) for day in range(13) for n in range(4)]
    long = make_log([*hours, *spread], dataset="long")
    assert not {"hours", "weekdays"} & {s.code for s in card(long, "a")}, "one visit is no habit, however many events it has"


def test_habits_are_compared_with_the_log_s_own_hours_and_weekdays(make_log: Make) -> None:
    mornings = [event(user, "s0", "view", day + 0.3) for user in ("a", "b", "c") for day in range(28) if day % 7 not in (1, 2)]
    assert not {"hours", "weekdays"} & {s.code for s in card(make_log(mornings), "a")}, "everyone of this log comes on weekday mornings"
    others = [event("b", "s0", "view", day + n / 4) for day in range(28) for n in range(4)]
    told = {s.code: str(s.text) for s in card(make_log([*mornings, *others], dataset="other"), "a")}
    assert told["hours"].startswith("Comes mostly between 6:00 and 12:00: 20 of 20 events (100%; all shoppers' events: ")
    assert told["weekdays"].startswith("Comes on weekdays: 0 of 20 events at weekends (0%; all shoppers' events: 19%)")
