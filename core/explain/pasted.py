"""One history, typed or pasted: CSV with a header, or JSON rows, read into events of one shopper."""

import csv
import io
import json
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from core.errors import RuleError
from core.explain.changes import LIMIT, MOST_EVENTS
from core.schema import EVENT_TYPES
from core.store.small import EVENT_FIELDS
from core.windows import parse_time

PLACES = {"dwell_seconds": Decimal("0.001"), "quantity": Decimal("0.0001"), "price": Decimal("0.0001"), "revenue": Decimal("0.0001")}
KNOWN = ("event_type", "event_time", "days_ago", "item_id", "session_id", "position", "query", "order_id", *PLACES)
MOST_LETTERS = 2_000_000


def read_pasted(text: str, cutoff: datetime, gap_minutes: int | None = None) -> pa.Table:
    """Read a history: one row for each act, with event_type and either event_time or days_ago, and what else is known.

    What ingest derives of a log is derived here by its rules: unit prices from amounts and amounts from prices, what was given back,
    and sessions.

    Args:
        text: CSV with a header (comma, semicolon or tab), or a JSON list of objects. Columns KNOWN; others are refused.
        cutoff: Every act must lie before it.
        gap_minutes: Longest silence within a session of the log; None where it has no sessions.

    Returns:
        Columns of schema.EVENTS, sorted by time.

    Raises:
        RuleError: A row cannot be read, or lies at or after the cutoff; the message says which and why.
    """
    if len(text) > MOST_LETTERS:
        raise RuleError("The history is {n:,} letters long; at most {most:,} are read.", n=len(text), most=MOST_LETTERS)
    given = _json_rows(text) if text.lstrip().startswith(("[", "{")) else _csv_rows(text)
    if not given:
        raise RuleError("The history is empty; give rows of event_type, event_time and item_id as CSV or JSON.")
    if len(given) > MOST_EVENTS:
        raise RuleError("At most {most:,} acts can be asked about at once, not {n:,}.", most=MOST_EVENTS, n=len(given))
    rows = [_event(row, number, cutoff) for number, row in enumerate(given, start=1)]
    rows.sort(key=lambda row: (row["event_time"], row["source_row"]))
    _derive_amounts(rows)
    if gap_minutes is not None:
        _number_sessions(rows, timedelta(minutes=gap_minutes))
    return pa.Table.from_pylist(rows, schema=EVENT_FIELDS)


def _derive_amounts(rows: list[dict[str, Any]]) -> None:
    """Give back, price and amount as `core.ingest.cleaning` has them of the rows of a log."""
    given = {name for row in rows for name in row}
    for row in rows:
        quantity, price, revenue = row.get("quantity"), row.get("price"), row.get("revenue")
        if row["event_type"] == "purchase" and min(quantity or 0, revenue or 0) < 0:
            row["event_type"] = "refund"
        paid = row["event_type"] in ("purchase", "refund")
        if "price" not in given and revenue is not None:
            if quantity:
                price = abs(revenue / quantity).quantize(PLACES["price"], ROUND_HALF_UP)
            elif "quantity" not in given and not paid:
                price = revenue
        if revenue is None and price is not None:
            revenue = ((1 if quantity is None else quantity) * price).quantize(PLACES["revenue"], ROUND_HALF_UP)
        sign = -1 if row["event_type"] == "refund" else 1
        row |= {
            "price": price,
            "quantity": quantity if quantity is None or sign > 0 else -abs(quantity),
            "revenue": None if revenue is None or not paid else revenue if sign > 0 else -abs(revenue),
        }


def _number_sessions(rows: list[dict[str, Any]], gap: timedelta) -> None:
    """Name the run of acts that each is in, cut by silences, where no session is given; rows are sorted by time."""
    number = 0
    for place, row in enumerate(rows):
        if not place or row["event_time"] - rows[place - 1]["event_time"] > gap:
            number += 1
        row.setdefault("session_id", f"-{number}")


def _csv_rows(text: str) -> list[dict[str, Any]]:
    first = text.lstrip("\ufeff").lstrip().split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=first.count)
    try:
        return [dict(row) for row in csv.DictReader(io.StringIO(text.lstrip("\ufeff").strip()), delimiter=delimiter)]
    except csv.Error as error:
        raise RuleError("The history cannot be read as CSV ({error}).", error=error) from error


def _json_rows(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RuleError("The history cannot be read as JSON ({error}).", error=error) from error
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        raise RuleError("The history is JSON but no list of objects; write one object for each act.")
    return rows


def _event(row: dict[str, Any], number: int, cutoff: datetime) -> dict[str, Any]:
    given = {str(name).strip(): value for name, value in row.items() if value is not None and str(value).strip() != ""}
    if unknown := sorted(set(given) - set(KNOWN)):
        raise RuleError(
            "Row {row}: {name!r} is no column of a history; there are {known}.", row=number, name=unknown[0], known=", ".join(KNOWN)
        )
    kind = str(given.get("event_type", "")).strip()
    if kind not in EVENT_TYPES:
        raise RuleError("Row {row}: {name!r} is no event type; acts may be {known}.", row=number, name=kind, known=", ".join(EVENT_TYPES))
    when = _time(given, number, cutoff)
    event: dict[str, Any] = {"user_id": "", "event_type": kind, "event_time": when, "source_file": 0, "source_row": number}
    event |= {name: str(given[name]) for name in ("item_id", "session_id", "position", "query", "order_id") if name in given}
    return event | {name: _amount(given[name], name, number, place) for name, place in PLACES.items() if name in given}


def _time(given: dict[str, Any], number: int, cutoff: datetime) -> datetime:
    if "event_time" in given:
        when = parse_time(str(given["event_time"]))
    elif "days_ago" in given:
        days = float(_amount(given["days_ago"], "days_ago", number, Decimal("0.000001")))
        if not 0 <= days <= 36500:
            raise RuleError("Row {row}: days_ago is {days}; give a number from 0 on.", row=number, days=str(days))
        when = min(cutoff - timedelta(days=days), cutoff - timedelta(microseconds=1))
    else:
        raise RuleError("Row {row} has no event_time; write a date and time, or days_ago.", row=number)
    if when >= cutoff:
        raise RuleError(
            "Row {row} lies at {time}, but the chances are as of {cutoff}; a history ends before it.", row=number, time=when, cutoff=cutoff
        )
    return when


def _amount(value: Any, name: str, number: int, place: Decimal) -> Decimal:
    try:
        found = Decimal(str(value).strip())
        if found.is_finite() and abs(found) < LIMIT:
            return found.quantize(place)
    except InvalidOperation:
        pass
    raise RuleError("Row {row}: {value!r} is no number for {name}.", row=number, value=str(value)[:40], name=name)
