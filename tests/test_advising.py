"""Cards of what to do: their figures on logs that are counted by hand, the gate, and audiences of the same size."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import GateError
from core.metrics import wilson
from core.pipeline import advising, behaviour, outcomes, screens
from core.pipeline.advising import LEAST, Advice, advice
from core.pipeline.behaviour import NO_FILTERS, Filters, Rfm
from core.pipeline.screens import Screen
from core.store import Home
from tests.test_pages_overview import show
from tests.worlds import at, publish_world

END = 30.0


def act(user: str, kind: str, day: float, item: str = "i1") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day), **({"revenue": 10} if kind == "purchase" else {})}


def carts() -> list[dict[str, Any]]:
    """40 open carts now, 3 closed ones; 50 open a week earlier, of whom 12 came back; an act that ends the log."""
    events = [act(f"open{n}", "cart", END - 3) for n in range(40)]
    for n in range(3):
        events += [act(f"closed{n}", "cart", END - 3), act(f"closed{n}", "purchase", END - 2)]
    for n in range(50):
        events += [act(f"week{n}", "cart", END - 9), *([act(f"week{n}", "purchase", END - 1)] if n < 12 else [])]
    return [*events, act("last", "view", END)]


def opened(tmp_path: Path, events: list[dict[str, Any]], items: list[dict[str, Any]] | None = None) -> Screen:
    publish_world(tmp_path, events, items or [], dataset="shop")
    return screens.open_screen(Home(tmp_path), "shop")


def cards(here: Screen, filters: Filters = NO_FILTERS) -> dict[str, Advice]:
    return {card.kind: card for card in advice(here, filters, screens.period_of(here, None))}


def size(here: Screen, name: str) -> int:
    rule = next(kept["rule"] for kept in outcomes.saved_audiences(here) if kept["name"] == name)
    return outcomes.size(here, rule, holdout=0.0, cost=0.0, margin=0.0).size.everyone.users


def test_open_carts_are_counted_and_their_audience_has_the_same_size(tmp_path: Path) -> None:
    here = opened(tmp_path, carts())
    card = cards(here)["open_carts"]
    assert (card.people, card.part, card.base) == (40, 12, 50)
    assert (card.low, card.high) == wilson(12, 50)
    advising.save_as_audience(here, card, "Open carts")
    assert size(here, "Open carts") == 40


def test_a_card_below_thirty_shoppers_is_not_drawn(tmp_path: Path) -> None:
    here = opened(tmp_path, [event for event in carts() if event["user_id"] not in {f"open{n}" for n in range(11)}])
    assert "open_carts" not in cards(here)


def test_good_buyers_who_stopped_are_the_group_at_risk(tmp_path: Path) -> None:
    events = []
    for n in range(200):
        often, day = n % 2 == 0, 1.0 if n < 100 else END - 2
        events += [act(f"u{n:03d}", "purchase", day + k / 10, "i1") for k in range(5 if often else 1)]
    here = opened(tmp_path, events)
    card = cards(here)["win_back"]
    assert (card.people, card.base) == (50, 200) and card.more["money_share"] == pytest.approx(50 * 5 / (100 * 6))
    advising.save_as_audience(here, card, "Stopped")
    assert size(here, "Stopped") == 50
    Home(tmp_path).save_small_cells(60)
    with pytest.raises(GateError):
        advising.save_as_audience(screens.open_screen(Home(tmp_path), "shop"), card, "Few")


def test_buyers_who_are_silent_for_less_than_the_usual_time_between_orders_have_not_stopped(tmp_path: Path) -> None:
    events = [act(f"once{n}", "purchase", END - 1) for n in range(140)]
    events += [act(f"often{n}", "purchase", day) for n in range(60) for day in (END - 23, END - 14, END - 5)]
    here = opened(tmp_path, events)
    groups = behaviour.rfm_grid(here, NO_FILTERS, Rfm(zone=here.zone)).table.to_pylist()
    assert any(row["rfm_group"] == "at_risk" and row["users"] >= LEAST for row in groups)  # else the next could not fail
    assert "win_back" not in cards(here)


def test_products_apart_make_a_card_each_the_category_first(tmp_path: Path) -> None:
    events = []
    for item, (viewers, buyers) in {"i0": (300, 3), "i1": (90, 30), "i2": (80, 25), "i3": (80, 25), "i4": (40, 35)}.items():
        for n in range(viewers):
            events += [act(f"{item}-{n}", "view", n / 20, item), *([act(f"{item}-{n}", "purchase", n / 20, item)] if n < buyers else [])]
    items = [{"item_id": f"i{n}", "title": f"Thing {n}", "category": "Odd" if n == 4 else None} for n in range(5)]
    found = cards(opened(tmp_path, events, items))
    low, winner = found["low_conversion"], found["hidden_winner"]
    assert (low.more["name"], low.more["level"], low.part, low.base) == ("Thing 0", "item", 3, 300)
    assert (winner.more["name"], winner.more["level"], winner.part, winner.base) == ("Odd", "category", 35, 40)


def test_the_page_draws_the_cards_and_saves_an_audience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = opened(tmp_path, carts(), [{"item_id": "i1", "category": "C"}])
    app = show(tmp_path, monkeypatch, "shop")
    assert not app.exception and not app.error
    assert any("**40 shoppers** put something into the cart" in text.value and "(n = 50)" in text.value for text in app.markdown)
    app = next(button for button in app.button if button.key == "advice-open_carts").click().run()
    assert not app.exception and size(here, "Open carts") == 40


def test_a_log_with_nothing_to_act_on_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path, [act("a", "view", 1), act("b", "view", 3)])
    app = show(tmp_path, monkeypatch, "shop")
    assert not app.exception and any("Nothing is large and sure enough" in text.value for text in app.caption)
