"""Day-first or month-first: what the values of a log decide between them, and what only a person can say."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from core.errors import MappingError
from core.messages import Message, say
from core.store import Connection

ORDERS: Final = ("day_first", "month_first")
FEWEST_STEPS = 4
"""Changes of the date, all forwards or all backwards, from which the order of the rows tells how dates are meant."""
_PARTS = r"regexp_extract(event_time, '^([0-9]{1,2})([-/.])([0-9]{1,2})[-/.]([0-9]{2,4})', ['a', 'sign', 'b', 'y'])"
_NUMBERS = f"""
    SELECT *, TRY_CAST(p.a AS INTEGER) AS a, TRY_CAST(p.b AS INTEGER) AS b, p.sign AS sign,
           TRY_CAST(p.y AS INTEGER) + CASE WHEN length(p.y) > 2 THEN 0 WHEN p.y > '69' THEN 1900 ELSE 2000 END AS y
    FROM (SELECT *, {_PARTS} AS p FROM times)
"""  # noqa: S608 - our own expressions


@dataclass(frozen=True)
class DateOrder:
    """What the dates of a log say about their own order."""

    only_day_first: int
    """Dates whose second number is no month."""
    only_month_first: int
    example: str
    """A date that is two different days, or '' when there is none."""
    spans: dict[str, tuple[date, date] | None]
    """Order → first and last day when all are read so; None when none can be."""
    days: dict[str, date]
    """Order → the day that the example is then; empty without an example."""
    found: str | None
    """The order that something other than a number above 12 decides, or None."""
    why: Message | None
    """What decided it."""


def weigh_date_order(connection: Connection, today: date) -> DateOrder:
    """Look at all of `raw` (source_file, source_row, event_time) for what decides between day-first and month-first.

    Args:
        connection: Holds `raw`.
        today: Dates after tomorrow are no dates of a log.
    """
    row = connection.execute(
        f"""
        WITH times AS (SELECT event_time, count(*) AS n FROM raw WHERE event_time IS NOT NULL GROUP BY event_time),
        dates AS (SELECT min(event_time) AS example, a, b, y, sign, sum(n) AS n FROM ({_NUMBERS}) WHERE a IS NOT NULL GROUP BY ALL)
        SELECT COALESCE(sum(n) FILTER (a > 12), 0), COALESCE(sum(n) FILTER (b > 12), 0),
               COALESCE(min(example) FILTER (a <> b AND a <= 12 AND b <= 12), ''),
               min(TRY(make_date(y, b, a))), max(TRY(make_date(y, b, a))), min(TRY(make_date(y, a, b))), max(TRY(make_date(y, a, b))),
               COALESCE(bool_and(sign = '.'), false)
        FROM dates
        """  # noqa: S608 - our own expressions
    ).fetchone()
    assert row is not None
    first, second, example, *days, dotted = row
    spans = {
        order: (days[place], days[place + 1]) if days[place] is not None else None for order, place in zip(ORDERS, (0, 2), strict=True)
    }
    found: str | None = None
    why: Message | None = None
    if example and not first and not second:
        late = [order for order in ORDERS if (span := spans[order]) and (span[1] - today).days > 1]
        if dotted:
            found, why = "day_first", say("Dates such as {example} are day-first, as everywhere with points between.", example=example)
        elif len(late) == 1:
            found = "month_first" if late == ["day_first"] else "day_first"
            why = say(
                "Dates such as {example} are {order}: read the other way, some lie in the future.", example=example, order=word(found)
            )
        elif found := _by_rows(connection):
            why = say("Dates such as {example} are {order}: only so do the rows follow one another.", example=example, order=word(found))
    return DateOrder(int(first), int(second), example, spans, _days_of(example), found, why)


def settle_date_order(weighed: DateOrder, given: str | None, known: str | None = None) -> tuple[str, Message | None]:
    """Return the order to read dates in, and what a person should know of it.

    Args:
        weighed: What the dates say.
        given: What the mapping says, or None.
        known: The order of the rows that the data set holds already, or None.

    Raises:
        MappingError: Nothing decides it and nobody said it; or what was said contradicts the dates.
    """
    first, second = weighed.only_day_first, weighed.only_month_first
    if given is not None:
        against, agreeing = (second, first) if given == "day_first" else (first, second)
        if against > agreeing:
            raise MappingError(
                "The mapping says that dates are {order}, but {n} of them cannot be. Correct `date_order`, or leave it out.",
                order=word(given),
                n=against,
            )
        return given, _unreadable(given, against)
    if first or second:
        if min(first, second) * 50 > first + second:
            mixed = say(
                "{first} dates can only be day-first and {second} only month-first, so both forms stand in the log: the rarer ones were "
                "quarantined, and others whose day is 12 or less may be read the wrong way round. Export one form.",
                first=first,
                second=second,
            )
            return ("day_first" if first >= second else "month_first"), mixed
        order = "day_first" if first > second else "month_first"
        return order, _unreadable(order, min(first, second))
    if weighed.found is not None:
        return weighed.found, weighed.why
    if not weighed.example:
        return "day_first", None  # either way is the same day
    if known in ORDERS:
        return known, say("Dates such as {example} are read as {order}, as in the rows before.", example=weighed.example, order=word(known))
    raise MappingError(
        "Dates such as {example} may be day-first or month-first, and no value decides it. "
        "Set `date_order` to day_first or month_first in the mapping ({form}).",
        example=weighed.example,
        form='{"events": {"date_order": "day_first"}}',
    )


def word(order: str) -> Message:
    """An order in words."""
    return say("day-first") if order == "day_first" else say("month-first")


def _days_of(example: str) -> dict[str, date]:
    found = re.match(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{2,4})", example)
    if found is None:
        return {}
    a, b, year = map(int, found.groups())
    if len(found.group(3)) == 2:
        year += 1900 if year > 69 else 2000
    return {"day_first": date(year, b, a), "month_first": date(year, a, b)}


def _unreadable(order: str, n: int) -> Message | None:
    if not n:
        return None
    if order == "day_first":
        return (
            say("{n} times cannot be day-first and were quarantined as unreadable.", n=n)
            if n > 1
            else say("1 time cannot be day-first and was quarantined as unreadable.")
        )
    return (
        say("{n} times cannot be month-first and were quarantined as unreadable.", n=n)
        if n > 1
        else say("1 time cannot be month-first and was quarantined as unreadable.")
    )


def _by_rows(connection: Connection) -> str | None:
    """Tell in which order the dates run one way through every file, when in the other they jump back and forth."""
    row = connection.execute(
        f"""
        WITH times AS (SELECT event_time, source_file, source_row FROM raw WHERE event_time IS NOT NULL),
        days AS (SELECT source_file, source_row, 10000 * y + 100 * b + a AS by_day, 10000 * y + 100 * a + b AS by_month FROM ({_NUMBERS})),
        steps AS (SELECT by_day - lag(by_day) OVER file AS d, by_month - lag(by_month) OVER file AS m FROM days
                  WINDOW file AS (PARTITION BY source_file ORDER BY source_row))
        SELECT count(*) FILTER (d > 0), count(*) FILTER (d < 0), count(*) FILTER (m > 0), count(*) FILTER (m < 0) FROM steps
        """  # noqa: S608 - our own expressions
    ).fetchone()
    assert row is not None
    day_up, day_down, month_up, month_down = row
    if day_up + day_down < FEWEST_STEPS:
        return None
    is_day, is_month = not (day_up and day_down), not (month_up and month_down)
    return {(True, False): "day_first", (False, True): "month_first"}.get((is_day, is_month))
