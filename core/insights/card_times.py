"""When a shopper comes, as her profile card tells it: days between visits, hours, weekdays; and what every statement of a card is."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Any

from core.insights.shopper import LeftOut, Shares
from core.messages import Message, say
from core.metrics import wilson
from core.windows import say_days

LEAST_ACTS = 3
"""Fewer acts are no habit."""
LEAST_SPREAD = 8
"""Acts below which hours, weekdays and price level are not told."""
LEAST_DAYS, LEAST_SPAN = 3, 14
"""Days with acts, hers and the log's, below which hours are no habit; days that a log must span for weekdays, two of each."""


@dataclass(frozen=True)
class Statement:
    """One sentence of a card and the events behind it."""

    code: str
    """Kind of statement: stage, rfm, category, brand, item, price, orders, order_value, rhythm, hours, weekdays, looking, cart, …"""
    text: Message
    events: tuple[int, ...]
    """Places in the acts that the card was made of, in order; never empty."""


def rhythm(rows: Sequence[Mapping[str, Any]], until: datetime, left_out: LeftOut) -> Iterator[Statement]:
    """Tell the days between active days; how long ago the last one was only where every kind of event counts."""
    days = sorted({row["local_time"].date() for row in rows})
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    if len(gaps) < LEAST_ACTS:
        return
    figures = {"gap": float(median(gaps)), "n": len(gaps), "days": len(days)}
    text = (
        say("Comes about every {gap:.1f} days (median of {n} gaps between {days} days with events that count).", **figures)
        if left_out.kinds
        else say(
            "Comes about every {gap:.1f} days (median of {n} gaps between {days} active days), last {since} before the end of the log.",
            since=ago(rows[-1], until),
            **figures,
        )
    )
    yield Statement("rhythm", text, tuple(range(len(rows))))


def hours(rows: Sequence[Mapping[str, Any]], shares: Shares) -> Iterator[Statement]:
    """Tell the six hours, of the four quarters of a day, that hold most of her acts: surely over half, and more than of all shoppers'."""
    days = len({row["local_time"].date() for row in rows})
    if len(rows) < LEAST_SPREAD or min(days, shares.days) < LEAST_DAYS:
        return
    quarters = defaultdict(list)
    for place, row in enumerate(rows):
        quarters[row["local_time"].hour // 6].append(place)
    quarter, found = max(quarters.items(), key=lambda pair: (len(pair[1]), -pair[0]))
    common = shares.quarters[quarter]
    if wilson(len(found), len(rows))[0] > max(0.5, common):
        yield Statement(
            "hours",
            say(
                "Comes mostly between {begin}:00 and {end}:00: {k} of {n} events ({share:.0%}; all shoppers' events: {common:.0%}).",
                begin=6 * quarter,
                end=6 * quarter + 6,
                k=len(found),
                n=len(rows),
                share=len(found) / len(rows),
                common=common,
            ),
            tuple(found),
        )


def weekdays(rows: Sequence[Mapping[str, Any]], shares: Shares) -> Iterator[Statement]:
    """Tell weekends or weekdays where her share at weekends surely is another than that of all shoppers."""
    days = len({row["local_time"].date() for row in rows})
    if len(rows) < LEAST_SPREAD or days < LEAST_DAYS or shares.span_days < LEAST_SPAN:
        return
    weekend = [place for place, row in enumerate(rows) if row["local_time"].weekday() >= 5]
    low, high = wilson(len(weekend), len(rows))
    figures = {"k": len(weekend), "n": len(rows), "share": len(weekend) / len(rows), "common": shares.weekend}
    if figures["share"] > shares.weekend and low > shares.weekend:
        text = say("Comes at weekends: {k} of {n} events ({share:.0%}; all shoppers' events: {common:.0%}).", **figures)
        yield Statement("weekdays", text, tuple(weekend))
    elif figures["share"] < shares.weekend and high < shares.weekend:
        others = [place for place in range(len(rows)) if place not in set(weekend)]
        text = say("Comes on weekdays: {k} of {n} events at weekends ({share:.0%}; all shoppers' events: {common:.0%}).", **figures)
        yield Statement("weekdays", text, tuple(others))


def ago(row: Mapping[str, Any], until: datetime) -> Message:
    """Whole days from an event to the end of the history, in words."""
    return say_days(timedelta(days=float((until - row["event_time"]) // timedelta(days=1))))
