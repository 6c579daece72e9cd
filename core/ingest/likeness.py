"""What values look like: times, clocks, numbers, stays, event words; by them a name is believed or not."""

import re
from collections.abc import Callable
from typing import Final

from core.ingest.event_words import EVENT_WORDS, plain_word

_MONEY: Final = (
    "USD|EUR|GBP|CNY|RMB|JPY|INR|CHF|PLN|SEK|NOK|DKK|AUD|CAD|BRL|MXN|KRW|HKD|TWD|SGD|TRY|RUB|CZK|US\\$|R\\$|Rs\\.?|kr\\.?|zł|元|円|원"
)
NUMBER: Final = re.compile(
    rf"^(?:[^\d\w]{{0,3}}|{_MONEY})\s?[-+(]?\d[\d\s.,'’]*\)?(e[-+]?\d+)?\s?(?:[^\d\w]{{0,3}}|{_MONEY})$", re.IGNORECASE
)
DATE: Final = re.compile(
    r"^(\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    r"|\d{1,2}[-/ ][A-Za-z]{3,9}[-/ ,]+\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4}"
    r"|(?:[^\W\d_]{2,12}[.,]* )?\d{1,2}(?:\.|er|º)? (?:de )?[^\W\d_]{3,12}\.? (?:de )?\d{4}"
    r"|[A-Za-z]{3,9}, \d{1,2} [A-Za-z]{3,9} \d{4}|[A-Za-z]{3} [A-Za-z]{3} +\d{1,2} \d{2}:\d{2}:\d{2}( [A-Z]{3,4})? \d{4})"
)
CLOCK: Final = re.compile(r"^\d{1,2}:\d{2}(:\d{2})?(\.\d+)?( ?[AaPp][Mm])?$")
DWELL: Final = re.compile(
    r"^-?\d+([.,]\d+)?\s*(s|sec|secs|seconds?|ms|msec|m|min|minutes?|h|秒|毫秒|分钟?)?$|^(\d+\s*h)?\s*(\d+\s*m)?\s*(\d+\s*s)?$|^\d+:\d{1,2}(:\d{1,2})?$",
    re.IGNORECASE,
)
COMPACT: Final = re.compile(r"^(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{4}|\d{6}|[ T]\d{2}:?\d{2}(:?\d{2})?Z?)?$")
NULLS: Final = frozenset({"", "null", "nan", "none", "na", "n/a", "\\n", "<na>", "nat"})


def is_time(value: str) -> bool:
    """Tell whether a value reads like an instant or a day (calendar or epoch)."""
    if DATE.match(value) or COMPACT.match(value):
        return True
    try:
        number = float(value)
    except ValueError:
        return False
    return 3e8 < number < 4.2e9 or 3e11 < number < 4.2e12 or 3e14 < number < 4.2e15 or 3e17 < number < 4.2e18


def is_number(value: str) -> bool:
    """Tell whether a value reads like a number, perhaps with a currency sign or separators."""
    return bool(NUMBER.match(value)) and not DATE.match(value)


def share_of(values: list[str], test: Callable[[str], object]) -> float:
    """Return the share of values that pass a test, 0 of none."""
    return sum(bool(test(value)) for value in values) / len(values) if values else 0.0


def words_share(values: list[str]) -> float:
    """Return the share of values that are known event words."""
    return share_of(values, lambda v: plain_word(v) in EVENT_WORDS)


def plausible(canonical: str, values: list[str]) -> float:
    """Factor 0-1 by which values support a name; 0 refuses it."""
    values = [v for v in values if v.lower() not in NULLS]
    if not values:
        return 0.6
    if canonical == "event_time":
        times = share_of(values, is_time)
        days = share_of(values, lambda v: re.fullmatch(r"\d{1,5}(\.\d+)?", v))
        return max(times, 0.5) if times > 0.2 else 0.55 * days
    if canonical in ("quantity", "price", "revenue", "order_number", "order_hour", "days_since_prior_order"):
        share = share_of(values, is_number)
        return share if share >= 0.5 else 0.0
    if canonical == "dwell_seconds":
        share = share_of(values, DWELL.match)
        return share if share >= 0.5 else 0.0
    if canonical == "event_type":
        distinct = set(values)
        return 0.0 if len(distinct) > 30 or share_of(values, is_time) > 0.5 else max(words_share(values), 0.7)
    if canonical in ("title", "description"):
        return 0.4 if share_of(values, is_number) > 0.9 else 1.0
    if canonical in ("user_id", "item_id") and share_of(values, DATE.match) > 0.5:
        return 0.0
    return 1.0


def samples_of(values: list[str]) -> tuple[str, ...]:
    """Return a few distinct values to show."""
    return tuple(dict.fromkeys(values))[:4]
