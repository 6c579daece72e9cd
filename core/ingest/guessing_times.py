"""Guess when an event happened: one column, a day and a clock, or year, month and day in three."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from core.ingest.likeness import CLOCK, COMPACT, DATE, is_time, samples_of, share_of
from core.ingest.mapping import Guess, RoleMapping
from core.ingest.names import DAY_ONLY, plain_name

_CLOCK_NAMES: Final = re.compile(r"time|clock|hhmm|时间|时刻")
_HOUR_NAMES: Final = re.compile(r"(^|_)hour($|_)|(^|_)hod$|小时")
_WEEKDAY: Final = re.compile(r"^(mon|tue|wed|thu|fri|sat|sun)[a-z]*$|^(星期|周|礼拜)[一二三四五六日天]$", re.IGNORECASE)

Values = Mapping[str, list[str]]


def weekday_column(values: Values) -> str | None:
    """Return a column that says only the day of the week."""
    for column, found in values.items():
        if plain_name(column) in DAY_ONLY or (found and share_of(found, _WEEKDAY.match) > 0.9):
            return column
    return None


def is_hour(column: str) -> bool:
    """Tell whether a column's name says that it holds whole hours of the day."""
    return bool(_HOUR_NAMES.search(plain_name(column)))


def _is_clock_number(column: str, values: list[str]) -> bool:
    """Tell whether numbers such as 1631 or 5 are clocks, 16:31 and 00:05; or whole hours by their name."""
    if not values or not all(v.isdigit() and len(v) <= 6 for v in values):
        return False
    numbers = [int(v) for v in values]
    if is_hour(column):
        return max(numbers) <= 23
    if not _CLOCK_NAMES.search(plain_name(column)) or max(numbers) < 100:
        return False
    places = [n if max(numbers) <= 2359 else n // 100 for n in numbers]
    return all(n // 100 <= 23 and n % 100 <= 59 for n in places)


def join_time(found: list[Guess], by_name: dict[str, Guess], free: list[str], values: Values, given: RoleMapping) -> list[Guess]:
    """Complete the guess of the time: join columns, or look for one by its values."""
    if "event_time" in given.columns:
        return found
    spelled = {plain_name(c): c for c in free}
    parts = [next((spelled[n] for n in names if n in spelled), None) for names in (("year", "年"), ("month", "月"), ("day", "日"))]
    if not any(parts) and {"y", "m", "d"} <= spelled.keys():
        parts = [spelled[n] for n in ("y", "m", "d")]
    if all(parts):
        clock = [spelled[n] for n in ("hour", "minute", "second") if n in spelled]
        guess = Guess("event_time", tuple(p for p in [*parts, *clock] if p), 0.9)
        return [g for g in found if g.canonical != "event_time" and not set(g.source) & set(guess.source)] + [guess]
    current = by_name.get("event_time")
    if current is None:
        times = [c for c in free if values[c] and share_of(values[c], is_time) > 0.9 and not any(c in g.source for g in found)]
        named = [c for c in times if re.search(r"time|date|stamp|时间|日期", plain_name(c))] or times[:1]
        if named:
            current = Guess("event_time", (named[0],), 0.6, samples_of(values[named[0]]))
            found = [*found, current]
    dates = [c for c in free if values[c] and share_of(values[c], lambda v: DATE.match(v) or COMPACT.match(v)) > 0.8]
    clocks = [c for c in free if values[c] and share_of(values[c], CLOCK.match) > 0.8]
    if clocks and current is not None and current.source[0] in clocks and dates:
        current = replace(current, source=(dates[0],))
    if clocks and current is not None and current.source[0] in dates and share_of(values[current.source[0]], lambda v: ":" in v) < 0.2:
        guess = Guess("event_time", (current.source[0], clocks[0]), 0.9, samples_of(values[current.source[0]]))
        return [g for g in found if g.canonical != "event_time" and g.source[0] != clocks[0]] + [guess]
    days = current is not None and not any(":" in v for v in values[current.source[0]])
    if current is not None and len(current.source) == 1 and days and not _is_epoch(values[current.source[0]]):
        used = {piece for g in found if g.canonical not in ("event_time", "order_hour") for piece in g.source}
        numbers = [c for c in free if c not in used and c != current.source[0] and _is_clock_number(c, values[c])]
        if numbers:
            guess = Guess("event_time", (current.source[0], numbers[0]), 0.85, samples_of(values[current.source[0]]))
            return [g for g in found if g.canonical != "event_time" and g.source[0] != numbers[0]] + [guess]
    return found


def _is_epoch(values: list[str]) -> bool:
    return share_of(values, lambda v: is_time(v) and not DATE.match(v) and not COMPACT.match(v)) > 0.5
