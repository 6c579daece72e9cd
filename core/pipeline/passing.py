"""Whether what was asked for is in the log at all, and what else of it could be learned where that cannot."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from core.errors import CutoffError, GateError, NotFoundError
from core.messages import Message, joined, say
from core.schema import ACTS
from core.store import Log, fetch
from core.windows import say_days

if TYPE_CHECKING:
    from datetime import datetime

    from core.predictor.options import PropensityOptions

HORIZONS = tuple(timedelta(hours=hours) for hours in (1, 3, 6, 12, *(24 * days for days in (1, 2, 3, 5, 7, 14, 21, 28, 56, 84))))
"""Those that are tried, and the longest one that the log has room for."""
NEAREST = 3
"""Names that are told where one is unknown."""


def check_asked(log: Log, act: str, category: str | None) -> None:
    """See that the log holds the act and some item of the category.

    Raises:
        NotFoundError: It does not; the message names what it holds.
    """
    kinds = acts_of(log)
    if act not in kinds:
        raise NotFoundError(
            "The log holds no act {act!r}; its acts that a chance can be of: {known}.", act=act, known=", ".join(kinds) or "–"
        )
    if category is None:
        return
    with log.history() as connection:
        names = fetch(connection, "SELECT category FROM catalogue WHERE category IS NOT NULL")["category"].to_pylist()
    if category not in names:
        told = _near(category, Counter(map(str, names)))
        if not told:
            raise NotFoundError("No item has the category {category!r}: the log has no categories.", category=category)
        raise NotFoundError("No item has the category {category!r}; nearest: {names}.", category=category, names=", ".join(told))


def acts_of(log: Log) -> list[str]:
    """Acts of the log that a chance can be of."""
    with log.history() as connection:
        kinds = set(fetch(connection, "SELECT DISTINCT event_type::VARCHAR AS kind FROM history_cells")["kind"].to_pylist())
    return [act for act in ACTS if act in kinds]


def what_would_pass(log: Log, asked: "PropensityOptions", look_back_days: float | None = None) -> Message:
    """Name the acts, the horizon nearest to the asked one, and whether all categories together pass the gate on this log.

    Args:
        log: The log.
        asked: What did not pass.
        look_back_days: Only shoppers with an event in so many days before a cutoff count.
    """
    found = [
        say("the act {act}", act=say(act))
        for act in acts_of(log)
        if act != asked.act and _passes(log, replace(asked, act=act), look_back_days)
    ]
    span = log.until - log.start
    longest = span / 2 // timedelta(hours=1) * timedelta(hours=1)
    longest = max(longest // timedelta(days=1) * timedelta(days=1), longest if longest < timedelta(days=2) else timedelta(0))
    tried = sorted({*HORIZONS, longest} - {asked.horizon}, key=lambda horizon: (_distance(horizon, asked.horizon), horizon))
    for horizon in tried:
        if timedelta(hours=1) <= horizon <= span / 2 and _passes(log, replace(asked, horizon=horizon), look_back_days):
            found.append(say("a horizon of {horizon}", horizon=say_days(horizon)))
            break
    if asked.category is not None and _passes(log, replace(asked, category=None), look_back_days):
        found.append(say("all categories together"))
    if not found:
        return say("No other act and no other horizon of this log would pass: it needs more shoppers or more time.")
    return say("What would pass: {ways}.", ways=joined(found))


def _distance(one: timedelta, other: timedelta) -> float:
    return max(one / other, other / one)


def _passes(log: Log, options: "PropensityOptions", look_back_days: float | None) -> bool:
    from core.features import act_labels, one_category_labels
    from core.predictor.plan import make_plan

    def labels_at(at: "datetime") -> pa.Table:
        if options.category is None:
            table = act_labels(log, at, options.horizon, options.act)
        else:
            table = one_category_labels(log, at, options.horizon, options.category, options.act)
        if look_back_days is None:
            return table
        with log.history(at) as connection:
            since: dict[str, object] = {"since": at - timedelta(days=look_back_days)}
            seen = fetch(connection, "SELECT DISTINCT user_id::VARCHAR AS user_id FROM history_cells WHERE event_time >= $since", since)
        return table.filter(pc.is_in(table["user_id"].cast(pa.string()), value_set=seen["user_id"].combine_chunks()))

    try:
        make_plan(log.start, log.until, labels_at, options)
    except (GateError, CutoffError):
        return False
    return True


def _near(name: str, counts: Counter[str]) -> list[str]:
    """Names that hold one or read like it, letters' case apart, else those with most items."""
    known: dict[str, str] = {}
    for other in sorted(counts, key=lambda other: (-counts[other], other)):
        known.setdefault(other.casefold(), other)
    within = [key for key in known if name.casefold() in key]
    close = get_close_matches(name.casefold(), list(known), NEAREST, 0.5)
    return [known[key] for key in dict.fromkeys([*within, *close, *([] if within or close else known)])][:NEAREST]
