"""Tiles of the Overview page, and the figures and steps of its trend."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import streamlit as st

from core.insights.overview import usual_grain
from core.insights.statement import Answer
from core.metrics import wilson
from core.pipeline.behaviour import Period
from core.pipeline.screens import Screen
from pages.parts import frame
from pages.parts.behaviour.kinds import kinds_of
from pages.parts.frame import Tile
from pages.parts.text import MISSING, _, amount, people, percent, short_people

SHARES = ("buyer_rate", "session_rate", "repeat_rate")
"""Figures of the trend that are shares."""
LEAST_POINTS = 3
"""Whole periods that a line through time needs."""
MOST_HOURS = timedelta(days=31)


def measures(answer: Answer) -> dict[str, str]:
    """Figures that the trend can show; money only when the log has prices."""
    words = {
        "users": _("Active shoppers"),
        "sessions": _("Sessions"),
        "buyer_rate": _("Conversion of shoppers"),
        "session_rate": _("Conversion of sessions"),
        "events": _("Events"),
        "buyers": _("Buyers"),
        "orders": _("Orders"),
        "repeat_rate": _("Repeat rate"),
    }
    if answer.table["revenue"][0].as_py() is None:
        return words
    return {**words, "revenue": _("Revenue"), "order_value": _("Average order value")}


def steps(here: Screen, period: Period) -> dict[str, str]:
    """Steps of the trend that suit the length of the period, coarsest last."""
    length = period.until - period.since
    words = {"hour": _("Hour"), "day": _("Day"), "week": _("Week"), "month": _("Month")}
    if here.log.time_resolution_seconds > 3600 or length > MOST_HOURS:
        del words["hour"]
    for step, least in (("week", timedelta(days=8)), ("month", timedelta(days=32))):
        if length < least:
            del words[step]
    return words


def usual_step(here: Screen, period: Period) -> str:
    """The step in which a period of this length is easily read, days at least for a log of days."""
    usual = usual_grain(period)
    return usual if usual in steps(here, period) else "day"


def absent(here: Screen, now: Answer) -> None:
    """Say why figures are missing, and which column would bring them."""
    kinds = kinds_of(here)
    if set(kinds) <= {"purchase", "refund"} and kinds:
        st.caption(_("The log holds purchases alone: whoever is in it bought, so conversion says nothing."))
    if "purchase" not in kinds:
        st.caption(
            _(
                "This log has no purchases, so nothing is told of conversion, orders and revenue; a column that tells what happened "
                "would bring them."
            )
        )
    elif now.table["revenue"][0].as_py() is None and now.table["orders"][0].as_py():
        st.caption(_("This log has no prices, so there is no revenue. A column of prices or of line values would bring it."))


def figure_tiles(now: Answer, before: Answer | None, trend: pa.Table, *, is_bought: bool) -> None:
    """Eight tiles: how many, how often they buy, how much; each with what it is counted from, its change and its course.

    Args:
        now: Figures of the period.
        before: Those of the period before, None without one.
        trend: The same figures by day, week or month.
        is_bought: Whether the log knows purchases at all; without, nothing is told of conversion, orders and money.
    """
    row = now.table.to_pylist()[0]
    old = before.table.to_pylist()[0] if before else {}
    whole = trend.to_pandas().loc[lambda frame: ~frame["partial"]]

    def course(name: str) -> tuple[float, ...]:
        values = whole[name].astype(float).dropna()
        return tuple(values) if len(values) >= LEAST_POINTS and name in whole else ()

    def count(label: str, name: str, note: str | None, explanation: str) -> Tile:
        return Tile(
            label, short_people(row[name]), note, explanation, _change(row[name], old.get(name)), short_people(old.get(name)), course(name)
        )

    def rate(label: str, name: str, part: str, base: str, explanation: str) -> Tile:
        if row[part] is None or row[base] is None:
            return Tile(label, MISSING, _("hidden with its counts"), explanation)
        return Tile(
            label,
            percent(row[part] / row[base]) if row[base] else MISSING,
            _interval(row[part], row[base]) if row[base] else None,
            explanation,
            _points(_share(row, part, base), _share(old, part, base)),
            percent(_share(old, part, base)),
            course(name),
        )

    value = _ratio(row)
    money = row["revenue"] is not None
    tiles = [
        count(
            _("Shoppers"),
            "users",
            _("{n} events", n=people(row["events"])),
            _("Distinct users with at least one event in the period: {n}.", n=people(row["users"])),
        ),
        count(
            _("Sessions"),
            "sessions",
            _per(row["sessions"], row["users"], _("{n:.1f} for each shopper")),
            _("Runs of events without a gap of more than 30 minutes: {n}.", n=people(row["sessions"])),
        ),
        rate(
            _("Conversion of shoppers"),
            "buyer_rate",
            "buyers",
            "users",
            _("Shoppers with a purchase ÷ active shoppers, within the period."),
        ),
        rate(
            _("Conversion of sessions"),
            "session_rate",
            "buying_sessions",
            "sessions",
            _("Sessions with a purchase ÷ sessions, within the period."),
        ),
        count(
            _("Orders"),
            "orders",
            _("{n} buyers", n=people(row["buyers"])),
            _("Order ids; without them, purchases of one shopper at one instant: {n}.", n=people(row["orders"])),
        ),
        Tile(
            _("Revenue"),
            amount(row["revenue"]),
            _no_prices(row) or _("of {n} orders", n=people(row["orders"])),
            _("Sum of purchases, before refunds, in the log's own currency."),
            _change(row["revenue"], old.get("revenue")),
            amount(old.get("revenue")),
            course("revenue") if money else (),
        ),
        Tile(
            _("Average order value"),
            amount(value),
            _no_prices(row) or _("over {n} orders", n=people(row["orders"])),
            _("Revenue ÷ orders."),
            _change(value, _ratio(old)),
            amount(_ratio(old)),
            course("order_value") if money else (),
        ),
        rate(
            _("Repeat rate"),
            "repeat_rate",
            "repeat_buyers",
            "buyers",
            _(
                "Buyers with two orders or more ÷ buyers, within the period; a longer period has more of them. "
                "The page Behaviour follows each buyer for equally long."
            ),
        ),
    ]
    if not is_bought:
        tiles = [*tiles[:2], *(Tile(tile.label, MISSING, _("the log has no purchases"), tile.explanation) for tile in tiles[2:])]
    frame.tiles("figures", tiles)


def _interval(part: int, base: int) -> str:
    low, high = wilson(part, base)
    return _("{part} of {base}, 95% interval {low} – {high}", part=people(part), base=people(base), low=percent(low), high=percent(high))


def _per(part: int | None, base: int | None, sentence: str) -> str | None:
    return sentence.format(n=part / base) if part is not None and base else None


def _share(row: dict[str, Any], part: str, base: str) -> float | None:
    return row[part] / row[base] if row.get(part) is not None and row.get(base) else None


def _change(now: float | None, then: float | None) -> str | None:
    return f"{100 * (now / then - 1):+,.1f}%" if then and now is not None else None


def _points(now: float | None, then: float | None) -> str | None:
    """The change of a share; its size is in points of percent, not in percent of itself."""
    return None if now is None or then is None else _("{change:+.2f} points", change=100 * (now - then))


def _ratio(row: dict[str, Any]) -> float | None:
    return row["revenue"] / row["orders"] if row.get("revenue") is not None and row["orders"] else None


def _no_prices(row: dict[str, Any]) -> str | None:
    if row["buyers"] is None:
        return _("hidden with its counts")
    return _("the log has no prices") if row["revenue"] is None else None
