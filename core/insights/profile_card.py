"""The profile card of one shopper: what her history shows, each statement with the very events that show it.

A statement is made when enough events carry it and its interval excludes what all shoppers do; with those events left
out it is gone. That something did not happen is said only while the kinds of events that would deny it count. Times are
those of the display zone. E events of the shopper.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import log
from statistics import fmean, median
from typing import Any

import pyarrow as pa

from core.insights.card_times import LEAST_ACTS, LEAST_SPREAD, Statement, ago, hours, rhythm, weekdays
from core.insights.shopper import WHOLE, LeftOut, Shares
from core.messages import Message, joined, say
from core.metrics import wilson
from core.schema import INTEREST_TYPES

__all__ = ["Clock", "Standing", "Statement", "profile_card"]

TASTES = {"category": 3, "brand": 2}
"""Statements of a kind at most."""
LEAST_LIFT = 1.2
"""Times the share of all shoppers below which a taste is theirs as well."""
LOOKING_DAYS = 7
"""A look is a present interest for so long before the end of the history."""
OPEN_DAYS = 30
"""What was put in the cart or saved longer ago is no intent any more."""
LISTED = 3
"""Items, or queries, named in one statement."""


@dataclass(frozen=True)
class Standing:
    """Where all shoppers' history puts one of them, in words."""

    stage: Message | None = None
    """Stage of life."""
    rfm: Message | None = None
    """RFM group of a buyer."""


@dataclass(frozen=True)
class Clock:
    """What the times of a log can tell."""

    hours: bool = True
    """False for a log that knows only days."""
    weekdays: bool = True
    """False when days are relative."""


def profile_card(
    acts: pa.Table,
    shares: Shares,
    until: datetime,
    clock: Clock = Clock(),
    left_out: LeftOut = WHOLE,
    standing: Standing = Standing(),
) -> list[Statement]:
    """Tell what the acts of one shopper show, most telling kinds first.

    Args:
        acts: As `acts_of` gives them, or those that `counted_acts` left.
        shares: Of all shoppers.
        until: End of the history, UTC; ages are counted back from it.
        clock: What its times can tell.
        left_out: What the acts lack.
        standing: Of the whole history, so nothing is said of it where events are left out that it rests on.
    """
    rows = acts.to_pylist()
    makers: Iterable[Callable[[], Iterator[Statement]]] = (
        lambda: _standing(rows, until, standing, left_out),
        lambda: _tastes(rows, shares, "category"),
        lambda: _tastes(rows, shares, "brand"),
        lambda: _item(rows),
        lambda: _price(rows),
        lambda: _orders(rows, until, left_out),
        lambda: rhythm(rows, until, left_out),
        lambda: hours(rows, shares) if clock.hours else iter(()),
        lambda: weekdays(rows, shares) if clock.weekdays else iter(()),
        lambda: _looking(rows, until, left_out),
        lambda: _left_open(rows, until, left_out, "cart"),
        lambda: _left_open(rows, until, left_out, "favourite"),
        lambda: _searches(rows),
        lambda: _refunds(rows),
    )
    return [statement for make in makers for statement in make()]


def _standing(rows: Sequence[Mapping[str, Any]], until: datetime, standing: Standing, left_out: LeftOut) -> Iterator[Statement]:
    """Tell the stage of life, which rests on every event, and the RFM group, which rests on purchases."""
    if not rows or left_out.days:
        return
    if standing.stage is not None and not left_out.kinds:
        figures = {"stage": standing.stage, "first": ago(rows[0], until), "last": ago(rows[-1], until)}
        text = say("Stage of life: {stage} (first event {first} before the end of the log, the last {last} before it).", **figures)
        yield Statement("stage", text, tuple(range(len(rows))))
    if standing.rfm is not None and (bought := _places(rows, ("purchase",))):
        text = say(
            "RFM group: {group} (purchase lines: {n}, the last {last} before the end of the log).",
            group=standing.rfm,
            n=len(bought),
            last=ago(rows[bought[-1]], until),
        )
        yield Statement("rfm", text, tuple(bought))


def _tastes(rows: Sequence[Mapping[str, Any]], shares: Shares, column: str) -> Iterator[Statement]:
    """Tell categories or brands that surely take a larger share of her acts than of all shoppers', the most surprising first."""
    places = _grouped(rows, column, INTEREST_TYPES)
    total = sum(map(len, places.values()))
    strengths = {}
    for word, found in places.items():
        common, share = shares.of[column].get(word, 0.0), len(found) / total
        if len(found) >= LEAST_ACTS and common and share >= LEAST_LIFT * common and wilson(len(found), total)[0] > common:
            strengths[word] = len(found) * log(share / common)
    for word in sorted(strengths, key=lambda word: (-strengths[word], word))[: TASTES[column]]:
        found, common = places[word], shares.of[column][word]
        low, high = wilson(len(found), total)
        figures = {
            "share": len(found) / total, "n": total, "low": low, "high": high, "lift": len(found) / total / common, "k": len(found),
        }  # fmt: skip
        yield Statement(
            column,
            say(
                "Favours {category}: {k} of {n} acts ({share:.0%}, 95% interval {low:.0%} to {high:.0%}), "
                "{lift:.1f} times the share of all shoppers.",
                category=word,
                **figures,
            )
            if column == "category"
            else say(
                "Favours the brand {brand}: {k} of {n} acts ({share:.0%}, 95% interval {low:.0%} to {high:.0%}), "
                "{lift:.1f} times the share of all shoppers.",
                brand=word,
                **figures,
            ),
            tuple(found),
        )


def _item(rows: Sequence[Mapping[str, Any]]) -> Iterator[Statement]:
    """Tell the item that she came back to on most days."""
    best: tuple[int, int, str] | None = None
    places = _grouped(rows, "item_id", INTEREST_TYPES)
    for item, found in places.items():
        days = len({rows[place]["local_time"].date() for place in found})
        if days >= LEAST_ACTS and (best is None or (days, len(found), best[2]) > (best[0], best[1], item)):
            best = (days, len(found), item)
    if best is not None:
        days, n, item = best
        found = places[item]
        yield Statement(
            "item", say("Comes back to {item}: {n} acts on {days} days.", item=_name(rows[found[-1]]), n=n, days=days), tuple(found)
        )


def _price(rows: Sequence[Mapping[str, Any]]) -> Iterator[Statement]:
    found = _places(rows, INTEREST_TYPES, lambda row: row["price_level"] is not None)
    if len(found) < LEAST_SPREAD:
        return
    level = fmean(rows[place]["price_level"] for place in found)
    figures = {"level": 100 * level, "n": len(found)}
    yield Statement(
        "price",
        say("Chooses cheap items: on average at percentile {level:.0f} of the prices of their category (n = {n}).", **figures)
        if level < 0.35
        else say("Chooses dear items: on average at percentile {level:.0f} of the prices of their category (n = {n}).", **figures)
        if level > 0.65
        else say(
            "Chooses items of the middle price: on average at percentile {level:.0f} of the prices of their category (n = {n}).", **figures
        ),
        tuple(found),
    )


def _orders(rows: Sequence[Mapping[str, Any]], until: datetime, left_out: LeftOut) -> Iterator[Statement]:
    """Tell how often she bought, how long ago, and what an order is worth; an order is an order id, or all purchases of one instant."""
    places = defaultdict(list)
    for place in _places(rows, ("purchase",)):
        places[rows[place]["order_id"] or rows[place]["event_time"]].append(place)
    if not places:
        if rows and not left_out.any_of("purchase"):
            text = (
                say("Has not bought in the last {days} days of the log (events: {n}).", days=left_out.days, n=len(rows))
                if left_out.days
                else say("Has not bought yet (events: {n}).", n=len(rows))
            )
            yield Statement("orders", text, tuple(range(len(rows))))
        return
    every = tuple(sorted(place for found in places.values() for place in found))
    since = ago(rows[every[-1]], until)
    days = sorted(min(rows[place]["event_time"] for place in found) for found in places.values())
    gaps = [(later - earlier) / timedelta(days=1) for earlier, later in pairwise(days)]
    if left_out.days:
        figures = {"days": left_out.days, "n": len(places), "since": since}
        text = say("Orders in the last {days} days of the log: {n}, the last {since} before its end.", **figures)
    elif len(places) == 1:
        text = say("Has ordered once, {days} before the end of the log.", days=since)
    elif len(gaps) < LEAST_ACTS:
        text = say("Has ordered {n} times, last {days} before the end of the log.", n=len(places), days=since)
    else:
        text = say(
            "Has ordered {n} times, about every {gap:.1f} days, last {days} before the end of the log.",
            n=len(places),
            gap=median(gaps),
            days=since,
        )
    yield Statement("orders", text, every)
    known = {key: [p for p in found if rows[p]["revenue"] is not None] for key, found in places.items()}
    values = [sum(rows[place]["revenue"] for place in found) for found in known.values() if found]
    if len(values) >= LEAST_ACTS:
        yield Statement(
            "order_value",
            say("An order is worth {value:,.2f} (median of {n}).", value=float(median(values)), n=len(values)),
            tuple(sorted(place for found in known.values() for place in found)),
        )


def _looking(rows: Sequence[Mapping[str, Any]], until: datetime, left_out: LeftOut) -> Iterator[Statement]:
    """Tell the category looked at most in the last days, where nothing was bought in them."""
    if left_out.any_of("purchase") or 0 < left_out.days < LOOKING_DAYS:
        return
    late = until - timedelta(days=LOOKING_DAYS)
    bought = {rows[place]["category"] for place in _places(rows, ("purchase",), lambda row: row["event_time"] >= late)}
    looked = {
        category: [place for place in found if rows[place]["event_time"] >= late]
        for category, found in _grouped(rows, "category", ("view", "click", "favourite", "cart")).items()
        if category not in bought
    }
    if not looked:
        return
    category, found = max(looked.items(), key=lambda pair: (len(pair[1]), pair[0]))
    if len(found) >= LEAST_ACTS:
        yield Statement(
            "looking",
            say(
                "Is looking at {category}: {n} acts in the last {days} days of the log, nothing bought there.",
                category=category,
                n=len(found),
                days=LOOKING_DAYS,
            ),
            tuple(found),
        )


def _left_open(rows: Sequence[Mapping[str, Any]], until: datetime, left_out: LeftOut, kind: str) -> Iterator[Statement]:
    """Tell the items put in the cart, or saved, in the last weeks and neither bought nor taken out since."""
    if left_out.any_of("purchase", *(("remove_from_cart",) if kind == "cart" else ())):
        return
    open_days = min(OPEN_DAYS, left_out.days or OPEN_DAYS)
    still_open: dict[str, int] = {}
    for place, row in enumerate(rows):
        if row["item_id"] is None:
            continue
        if row["event_type"] == kind:
            still_open[row["item_id"]] = place
        elif row["event_type"] == "purchase" or (row["event_type"] == "remove_from_cart" and kind == "cart"):
            still_open.pop(row["item_id"], None)
    found = sorted(place for place in still_open.values() if rows[place]["event_time"] >= until - timedelta(days=OPEN_DAYS))
    if not found:
        return
    items = _listed([_name(rows[place]) for place in reversed(found)])
    yield (
        Statement(
            "cart",
            say(
                "Left in the cart in the last {days} days, neither bought nor taken out since (items: {n}): {items}.",
                days=open_days,
                n=len(found),
                items=items,
            ),
            tuple(found),
        )
        if kind == "cart"
        else Statement(
            "favourites",
            say("Saved in the last {days} days and not bought since (items: {n}): {items}.", days=open_days, n=len(found), items=items),
            tuple(found),
        )
    )


def _searches(rows: Sequence[Mapping[str, Any]]) -> Iterator[Statement]:
    places = _grouped([{**row, "query": (row["query"] or "").strip().lower() or None} for row in rows], "query", None)
    often = sorted(places.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:LISTED]
    if often:
        yield Statement(
            "search",
            say("Searches for {queries}.", queries=_listed([f"{query} ({len(found)}×)" for query, found in often])),
            tuple(sorted(place for _, found in often for place in found)),
        )


def _refunds(rows: Sequence[Mapping[str, Any]]) -> Iterator[Statement]:
    if found := _places(rows, ("refund",)):
        yield Statement("refunds", say("Gave goods back or cancelled (lines: {n}).", n=len(found)), tuple(found))


def _places(
    rows: Sequence[Mapping[str, Any]], kinds: Sequence[str], wanted: Callable[[Mapping[str, Any]], bool] | None = None
) -> list[int]:
    return [place for place, row in enumerate(rows) if row["event_type"] in kinds and (wanted is None or wanted(row))]


def _grouped(rows: Sequence[Mapping[str, Any]], column: str, kinds: Sequence[str] | None) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if row[column] is not None and (kinds is None or row["event_type"] in kinds):
            groups.setdefault(row[column], []).append(place)
    return groups


def _name(row: Mapping[str, Any]) -> str:
    return str(row["title"] or row["item_id"])


def _listed(words: Sequence[str]) -> Message:
    shown = [say("{word}", word=word) for word in words[:LISTED]]
    return say("{words} and {n} more", words=joined(shown), n=len(words) - LISTED) if len(words) > LISTED else joined(shown)
