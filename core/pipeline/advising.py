"""What to do: the few things in a log that are large enough, and sure enough, to act on; each with its size, its interval and its n."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.insights.carts import DAYS
from core.metrics import wilson
from core.pipeline import behaviour, outcomes
from core.pipeline.behaviour import NO_FILTERS, Filters, Period, Rfm
from core.pipeline.screens import Screen

Ask = Callable[..., Any]
LEAST = 30
"""Shoppers that every count behind a card needs."""
KINDS = ("open_carts", "win_back", "low_conversion", "hidden_winner")
OF_PEOPLE = KINDS[:2]
LEVELS = ("category", "item")
OPEN_CARTS_RULE = {
    "all": [
        {"behaviour": {"event_type": "cart", "at_least": 1, "days": DAYS}},
        {"not": {"behaviour": {"event_type": "purchase", "at_least": 1, "days": DAYS}}},
    ]
}


@dataclass(frozen=True)
class Advice:
    """One card."""

    kind: str
    """One of KINDS."""
    people: int
    """Shoppers whom it is about."""
    part: int
    base: int
    """`part` of `base` shoppers is the share that speaks for it."""
    low: float
    high: float
    """95% interval (Wilson) of that share."""
    more: dict[str, Any]
    """What its sentence tells beside: see the functions of this module."""

    @property
    def share(self) -> float:
        """`part` of `base`."""
        return self.part / self.base


def plainly(reader: Callable[..., Any], *arguments: Any) -> Any:
    """Ask a reader without remembering its answer."""
    return reader(*arguments)


def advice(screen: Screen, filters: Filters, period: Period, ask: Ask = plainly) -> list[Advice]:
    """Return the cards of a log, in the order of KINDS; what is below LEAST, or hidden, or not beyond chance makes none.

    Open carts and buyers at risk are those at the end of the log; products are judged in the period.

    Args:
        screen: What to read.
        filters: The part that is looked at.
        period: Of the products.
        ask: Calls a reader of `behaviour`; a screen that remembers answers counts nothing twice.
    """
    found = [_open_carts(screen, filters, ask), _win_back(screen, filters, ask), *_products(screen, filters, period, ask)]
    return [card for card in found if card is not None]


def save_as_audience(screen: Screen, card: Advice, name: str) -> None:
    """Keep the shoppers of a card that is about people (OF_PEOPLE) and of the whole log (NO_FILTERS) as an audience.

    Raises:
        GateError: Small cells are hidden and these are fewer.
    """
    if card.kind == "open_carts":
        record = {"name": name, "rule": OPEN_CARTS_RULE, "holdout": 0.1, "cost": 0.0, "margin": 0.0, "users": card.people}
        outcomes.save_audience(screen, record)
        return
    assert card.kind == "win_back", card.kind
    members = behaviour.rfm_members(screen, NO_FILTERS, Rfm(zone=screen.zone), "at_risk")
    behaviour.save_members(screen, name, members.table["user_id"].to_pylist())


def _card(kind: str, people: int | None, part: int | None, base: int | None, **more: Any) -> Advice | None:
    if people is None or part is None or base is None or min(people, base) < LEAST:
        return None
    return Advice(kind, people, part, base, *wilson(part, base), more)


def _open_carts(screen: Screen, filters: Filters, ask: Ask) -> Advice | None:
    """Shoppers with an open cart; the share says how many come back by themselves."""
    row = ask(behaviour.open_carts, screen, filters).table.to_pylist()[0]
    return _card("open_carts", row["open_now"], row["came_back"], row["open_before"], days=DAYS)


def _win_back(screen: Screen, filters: Filters, ask: Ask) -> Advice | None:
    """Good buyers who have stopped; the share is that of all buyers. More: their revenue, its share, days since they bought (median).

    They have stopped when half of them have been silent for longer than three of four orders take to follow the one before (`usual` days);
    the group of RFM alone is relative: somebody has always bought longest ago.
    """
    rows = [row for row in ask(behaviour.rfm_grid, screen, filters, Rfm(zone=screen.zone)).table.to_pylist() if row["r"] is None]
    gone = next((row for row in rows if row["rfm_group"] == "at_risk"), None)
    if gone is None or any(row["users"] is None for row in rows):
        return None
    usual = ask(behaviour.order_gaps, screen, filters).table["days_three_quarters"][0].as_py()
    if usual is None or gone["recency_days"] is None or gone["recency_days"] <= max(usual, 1):
        return None
    spent = None if any(row["money"] is None for row in rows) else sum(row["money"] for row in rows)
    return _card(
        "win_back",
        gone["users"],
        gone["users"],
        sum(row["users"] for row in rows),
        money=gone["money"] if spent else None,
        money_share=gone["money"] / spent if spent else None,
        days=gone["recency_days"],
        usual=usual,
    )


def _products(screen: Screen, filters: Filters, period: Period, ask: Ask) -> list[Advice | None]:
    """What is seen much and bought little, then the opposite: the first category of each; items are asked where none stands out."""
    found: dict[str, Advice | None] = dict.fromkeys(KINDS[2:])
    for level in LEVELS:
        if None not in found.values():
            break
        for row in ask(behaviour.judged, screen, filters, period, level)[1].table.to_pylist():
            kind, viewers = row["standing"], row["viewers"]
            name = row["category"] if level == "category" else row["title"] or row["item_id"]
            if found[kind] is None and name:
                more = {"name": name, "level": level, "overall": row["overall"], "short_of": row["short_of"]}
                found[kind] = _card(kind, viewers, row["viewing_buyers"], viewers, **more)
    return list(found.values())
