"""Who comes back, on the sorted copy of a log: the same counts as the statement makes (tests compare them on random logs)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from core.insights.chosen import (
    DAY,
    Array,
    Chosen,
    by_block,
    changes,
    clock_of,
    days_of,
    decimals,
    has_by,
    joined,
    local,
    sums_by,
    whole_days,
)
from core.insights.counted import MONDAY
from core.store import Log
from core.windows import micros


@dataclass(frozen=True)
class Asked:
    """A question of retention as far as counting needs it."""

    start_act: str
    return_act: str
    """`any`, or a kind of event."""
    grain: str
    recurring: bool
    zone: str
    most: int
    since: datetime | None
    until: datetime | None


def cohorts(log: Log, acts: Chosen, asked: Asked) -> dict[str, pa.Table]:
    """Count cohorts and who came back.

    Returns:
        The tables that the end of the statement reads: `size_rows` (cohort, users), `on_rows` and `last_rows` (cohort, number, users).
    """
    user, day, starts, returns = _user_days(log, acts, asked)
    number, begins = _numbered(day, asked.grain)
    runs = np.flatnonzero(changes(user, number))
    if len(runs):
        starts, returns = np.logical_or.reduceat(starts, runs), np.logical_or.reduceat(returns, runs)
    user, number = user[runs], number[runs]
    begun = np.flatnonzero(starts)
    if not asked.recurring:
        begun = begun[changes(user[begun])]
    begun = begun[_wanted(log, begins, asked)[number[begun]]]
    n = len(begins)
    return {
        "size_rows": _cohort_table(begins, np.bincount(number[begun], minlength=n)[:, None], with_number=False),
        "on_rows": _cohort_table(begins, _on_counts(user, number, returns, begun, n, asked.most)),
        "last_rows": _cohort_table(begins, _last_counts(user, number, returns, begun, n)),
    }


def spending(log: Log, acts: Chosen, asked: Asked) -> dict[str, pa.Table]:
    """Sum what cohorts of first purchases spend.

    Returns:
        The tables that the end of the statement reads: `size_rows` (cohort, users) and `spent_rows` (cohort, number, revenue).
    """
    places = acts.of_kind("purchase")
    user, time, revenue = (acts.events.column(name)[places] for name in ("user", "time", "revenue"))
    number, begins = _numbered(days_of(log, time, asked.zone), asked.grain)
    first = np.flatnonzero(changes(user))
    lowest = np.minimum.reduceat(number, first) if len(first) else number[:0]
    n = len(begins)
    sizes = np.bincount(lowest, minlength=n) * _wanted(log, begins, asked)
    cohort = np.repeat(lowest, np.diff(first, append=len(user)))
    pair = cohort.astype(np.int64) * n + number - cohort
    sums, known = sums_by(pair, revenue, n * n), has_by(pair, revenue, n * n)
    kept = np.flatnonzero(np.bincount(pair, minlength=n * n))
    spent = pa.table(
        {"cohort": _dates(begins[kept // max(n, 1)]), "number": kept % max(n, 1), "revenue": decimals(sums[kept], known[kept])}
    )
    return {"size_rows": _cohort_table(begins, sizes[:, None], with_number=False), "spent_rows": spent}


def _user_days(log: Log, acts: Chosen, asked: Asked) -> tuple[Array, ...]:
    """Shopper, local day, whether an act begins, whether one returns: of each shopper and day with acts, ascending."""
    clock = clock_of(log, asked.zone)
    return tuple(joined(by_block(lambda block: _block_days(block, clock, asked), acts)))


def _block_days(acts: Chosen, clock: Callable[[Array], Array], asked: Asked) -> tuple[Array, Array, Array, Array]:
    user, day, kind = acts.column("user"), whole_days(clock(acts.column("time"))), acts.column("kind")
    runs = np.flatnonzero(changes(user, day))
    told = []
    for act in (asked.start_act, asked.return_act):
        if act == "any" or not len(runs):
            told.append(np.ones(len(runs), dtype=bool))
        else:
            told.append(np.logical_or.reduceat(kind == acts.code(act), runs))
    user, day = user[runs], day[runs]
    if ((day[1:] < day[:-1]) & (user[1:] == user[:-1])).any():  # a clock that went back over midnight
        order = np.lexsort((day, user))
        return user[order], day[order], told[0][order], told[1][order]
    return user, day, told[0], told[1]


def _numbered(day: Array, grain: str) -> tuple[Array, Array]:
    """Number of the period of each day, from 0 for the first with acts, and the day (since 1970) on which each period begins."""
    if not len(day):
        return day, day
    days = np.arange(int(day.min()), int(day.max()) + 1)
    if grain == "month":
        months = days.astype("datetime64[D]").astype("datetime64[M]")
        numbers = months.astype(np.int64)
        begins = np.arange(months[0], months[-1] + 1).astype("datetime64[D]").astype(np.int64)
    elif grain == "week":
        numbers = (days + MONDAY) // 7
        begins = np.arange(numbers[0], numbers[-1] + 1) * 7 - MONDAY
    else:
        numbers, begins = days, days
    return (numbers - numbers[0]).astype(np.int32)[day - days[0]], begins


def _wanted(log: Log, begins: Array, asked: Asked) -> Array:
    """Whether the cohort of each period is asked for."""
    wanted = np.ones(len(begins), dtype=bool)
    if asked.since is not None:
        wanted &= begins >= days_of(log, np.array([micros(asked.since)]), asked.zone)[0]
    if asked.until is not None:
        wanted &= begins * DAY < local(log, np.array([micros(asked.until)]), asked.zone)[0]
    return wanted


def _on_counts(user: Array, number: Array, returns: Array, begun: Array, n: int, most: int) -> Array:
    """Shoppers by cohort and number of the period in which they return (n, most + 1)."""
    counts = np.zeros((n, most + 1), dtype=np.int64)
    for ahead in range(min(most, n) + 1):  # the period so many rows ahead is at least so many periods later
        begun = begun[begun + ahead < len(user)]
        begun = begun[user[begun + ahead] == user[begun]]
        if not len(begun):
            break
        later = number[begun + ahead] - number[begun]
        counted = returns[begun + ahead] & (later <= most)
        pairs = number[begun[counted]].astype(np.int64) * (most + 1) + later[counted]
        counts += np.bincount(pairs, minlength=counts.size).reshape(counts.shape)
    return counts


def _last_counts(user: Array, number: Array, returns: Array, begun: Array, n: int) -> Array:
    """Shoppers by cohort and number of the last period in which they return (n, n)."""
    back = np.flatnonzero(returns)
    last = np.full(int(user.max(initial=-1)) + 1, -1, dtype=np.int64)
    last[user[back]] = number[back]  # of several the last one stays
    later = last[user[begun]] - number[begun]
    known = later >= 0
    pairs = number[begun[known]].astype(np.int64) * n + later[known]
    return np.bincount(pairs, minlength=n * n).reshape(n, n)


def _cohort_table(begins: Array, counts: Array, *, with_number: bool = True) -> pa.Table:
    """Counts above zero (cohorts, numbers) as rows."""
    cohort, number = np.nonzero(counts)
    table = pa.table({"cohort": _dates(begins[cohort]), "users": counts[cohort, number]})
    return table.append_column("number", pa.array(number)) if with_number else table


def _dates(days: Array) -> pa.Array:
    return pa.array(days.astype(np.int32)).cast(pa.date32())
