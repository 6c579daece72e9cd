"""What a person may change in one history, to see what the model makes of it: its view, no cause."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from core.errors import RuleError
from core.schema import EVENT_TYPES

MOST_EVENTS = 5_000
"""Of a history that is asked about at once."""
LIMIT = Decimal(10) ** 12
CENT = Decimal("0.0001")
"""Amounts are kept to so much (schema: DECIMAL(18, 4))."""


FORM = '{"drop": [0], "closer_days": 3, "price_factor": 0.8, "add": [{"event_type": "cart", "item_id": "17", "days_ago": 1}]}'
"""A change as JSON."""


@dataclass(frozen=True)
class Act:
    """One act to add."""

    event_type: str
    item_id: str | None = None
    days_ago: float = 0.0
    """Before the cutoff, at least 0."""
    price: float | None = None
    quantity: float | None = None
    times: int = 1


@dataclass(frozen=True)
class Change:
    """Changes of one history, done in this order: drop, shift, price, add."""

    drop: tuple[int, ...] = ()
    """Places in the history, oldest first."""
    closer_days: float = 0.0
    """Move all acts so much nearer to the cutoff (below 0: further back); none passes it."""
    price_factor: float = 1.0
    """Multiply what was paid and the price level of what was touched."""
    add: tuple[Act, ...] = ()

    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not self.drop and not self.add and self.closer_days == 0 and self.price_factor == 1


def change_of(record: dict[str, Any]) -> Change:
    """Read a change from JSON, such as FORM.

    Raises:
        RuleError: A key is unknown or a value is out of bounds.
    """
    if not isinstance(record, dict) or not set(record) <= {"drop", "closer_days", "price_factor", "add"}:
        raise RuleError("A change may hold drop, closer_days, price_factor and add, not {keys}.", keys=str(record)[:120])
    try:
        acts = tuple(Act(**act) for act in _listed(record.get("add", [])))
        found = Change(
            tuple(_place(place) for place in _listed(record.get("drop", []))),
            float(record.get("closer_days", 0.0)),
            float(record.get("price_factor", 1.0)),
            acts,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise RuleError("The change cannot be read ({error}); give JSON such as {form}.", error=error, form=FORM) from error
    _check(found)
    return found


def changed(events: pa.Table, change: Change, cutoff: datetime) -> pa.Table:
    """The history after a change, sorted by time; every act stays before the cutoff.

    Args:
        events: One shopper's, sorted by time, columns of schema.EVENTS.
        change: What to do.
        cutoff: First instant that does not exist.

    Raises:
        RuleError: A place to drop does not exist, or too many acts would be there.
    """
    _check(change)
    rows = events.to_pylist()
    if any(not 0 <= place < len(rows) for place in change.drop):
        raise RuleError("The history has {n} acts; places to drop run from 0 to {last}.", n=len(rows), last=len(rows) - 1)
    gone = set(change.drop)
    kept = [row for place, row in enumerate(rows) if place not in gone]
    last = cutoff - timedelta(microseconds=1)
    moved = timedelta(days=change.closer_days)
    user = rows[0]["user_id"] if rows else "shopper"
    for row in kept:
        row["event_time"] = min(row["event_time"] + moved, last)
        if change.price_factor != 1:
            factor = Decimal(repr(change.price_factor))
            row |= {name: (row[name] * factor).quantize(CENT) for name in ("price", "revenue") if row[name] is not None}
    number = max((row["source_row"] or 0 for row in kept), default=0)
    for act in change.add:
        for turn in range(act.times):
            number += 1
            when = min(cutoff - timedelta(days=act.days_ago), last) - timedelta(seconds=turn)
            kept.append(_row(user, act, when, number, rows))
    if len(kept) > MOST_EVENTS:
        raise RuleError("At most {most:,} acts can be asked about at once, not {n:,}.", most=MOST_EVENTS, n=len(kept))
    kept.sort(key=lambda row: (row["event_time"], row["source_file"] or 0, row["source_row"] or 0, row["event_type"]))
    return pa.Table.from_pylist(kept, schema=events.schema)


def possible_changes(kinds: Iterable[str], items: Sequence[str | None], has_prices: bool) -> list[Change]:
    """The changes that are tried when somebody asks what would lift a chance most.

    Args:
        kinds: Of acts in the log.
        items: What an act may be on: an item that she likes, one that is popular.
        has_prices: Whether a price level can be changed.
    """
    found = [Change(closer_days=days) for days in (7.0, 3.0)]
    for kind in ("view", "click", "favourite", "share", "cart", "purchase", "remove_from_cart"):
        if kind in set(kinds):
            found += [Change(add=(Act(kind, item, 0.04, times=times),)) for item in items for times in (1, 3)]
    if has_prices:
        found += [Change(price_factor=factor) for factor in (0.8, 1.25)]
    return found


def change_from(text: str) -> Change:
    """Read a change that was given as JSON text.

    Raises:
        RuleError: It is no JSON, or no change.
    """
    try:
        return change_of(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise RuleError("The change cannot be read ({error}); give JSON such as {form}.", error=error, form=FORM) from error


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:40]!r} is no list")
    return value


def _place(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{str(value)[:40]!r} is no place of an act")
    return value


def _check(change: Change) -> None:
    if not abs(change.closer_days) <= 3650:
        raise RuleError("closer_days is {days}; give a number from -3650 to 3650.", days=str(change.closer_days))
    if not 0.01 <= change.price_factor <= 100:
        raise RuleError("price_factor is {factor}; give a number from 0.01 to 100.", factor=str(change.price_factor))
    for act in change.add:
        if act.event_type not in EVENT_TYPES:
            raise RuleError("{name!r} is no event type; acts may be {known}.", name=act.event_type, known=", ".join(EVENT_TYPES))
        if not 0 <= float(act.days_ago) <= 36500:
            raise RuleError("days_ago is {days}; give a number from 0 on.", days=str(act.days_ago))
        if not 1 <= int(act.times) <= 200:
            raise RuleError("times is {times}; give a number from 1 to 200.", times=str(act.times))


def _row(user: str, act: Act, when: datetime, number: int, known: list[dict[str, Any]]) -> dict[str, Any]:
    """A new act: a purchase without a price has the mean value of the shopper's own lines; a log with sessions gets one more."""
    price, quantity = _money(act.price), _money(act.quantity)
    bought = act.event_type == "purchase"
    revenue = None
    if bought and price is not None:
        revenue = (price * (quantity or 1)).quantize(CENT)
    elif bought and (paid := [row["revenue"] for row in known if row["event_type"] == "purchase" and row["revenue"] is not None]):
        revenue = (sum(paid, Decimal(0)) / len(paid)).quantize(CENT)
    return {
        "user_id": user,
        "item_id": act.item_id,
        "event_type": act.event_type,
        "event_time": when,
        "price": price,
        "quantity": quantity,
        "revenue": revenue,
        "session_id": f"new {when:%Y%m%d}" if any(row["session_id"] is not None for row in known) else None,
        "order_id": f"new {when:%Y%m%d}" if bought else None,
        "source_file": 0,
        "source_row": number,
    }


def _money(value: float | None) -> Decimal | None:
    if value is None:
        return None
    found = Decimal(repr(float(value)))
    if not found.is_finite() or abs(found) >= LIMIT:
        raise RuleError("{value} is no amount; give a number below a billion.", value=str(value))
    return found.quantize(CENT)
