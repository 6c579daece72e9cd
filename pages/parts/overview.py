"""Tiles of the Overview page, and its trend."""

from typing import Any

import streamlit as st

from core.insights.statement import Answer
from core.metrics import wilson
from core.pipeline.behaviour import Period
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.behaviour.kinds import kinds_of
from pages.parts.text import MISSING, _, amount, people, percent, short_people

MOST_HOURS, MOST_DAYS, MOST_WEEKS = 3, 62, 730
"""Days of a period up to which its trend begins with hours, days, weeks."""
HOURLY_DAYS = 92
"""Days of a period up to which hours may be chosen: more of them are no line any more."""
GRAIN_WORDS = {"hour": "Hour", "day": "Day", "week": "Week", "month": "Month"}


def usual_grain(period: Period) -> str:
    """The step that a trend begins with."""
    days = (period.until - period.since).days
    return "hour" if days < MOST_HOURS else "day" if days <= MOST_DAYS else "week" if days <= MOST_WEEKS else "month"


def grains(period: Period) -> list[str]:
    """Steps that a trend may have."""
    return [grain for grain in GRAIN_WORDS if grain != "hour" or (period.until - period.since).days <= HOURLY_DAYS]


def measures(answer: Answer) -> dict[str, str]:
    """Figures that the trend can show; revenue only when the log has prices."""
    words = {
        "users": _("Active shoppers"),
        "sessions": _("Sessions"),
        "events": _("Events"),
        "buyers": _("Buyers"),
        "orders": _("Orders"),
    }
    return words if answer.table["revenue"][0].as_py() is None else {**words, "revenue": _("Revenue")}


def absent(here: Screen, now: Answer) -> None:
    """Say why figures are missing, and which column would bring them."""
    if "purchase" not in kinds_of(here):
        st.caption(
            _(
                "This log has no purchases, so nothing is told of conversion, orders and revenue; a column that tells what happened "
                "would bring them."
            )
        )
    elif now.table["revenue"][0].as_py() is None and now.table["orders"][0].as_py():
        st.caption(_("This log has no prices, so there is no revenue. A column of prices or of line values would bring it."))


def figure_tiles(now: Answer, before: Answer | None, trend: Answer, grain: str) -> None:
    """Eight tiles: how many, how often they buy, how much; with the change against the period before, and the course by `grain`."""
    row = now.table.to_pylist()[0]
    old = before.table.to_pylist()[0] if before else None
    frame.tiles(
        "figures",
        [
            (
                _("Shoppers"),
                short_people(row["users"]),
                _change(row, old, "users"),
                _("Distinct users with at least one event in the period: {n}.", n=people(row["users"])),
            ),
            (
                _("Sessions"),
                short_people(row["sessions"]),
                _change(row, old, "sessions"),
                _("Runs of events without a gap of more than 30 minutes: {n}.", n=people(row["sessions"])),
            ),
            _rate_tile(
                _("Conversion of shoppers"),
                ("buyers", "users"),
                row,
                old,
                _("Shoppers with a purchase ÷ active shoppers, within the period."),
            ),
            _rate_tile(
                _("Conversion of sessions"),
                ("buying_sessions", "sessions"),
                row,
                old,
                _("Sessions with a purchase ÷ sessions, within the period."),
            ),
            (
                _("Orders"),
                short_people(row["orders"]),
                _change(row, old, "orders"),
                _("Order ids; without them, purchases of one shopper at one instant: {n}.", n=people(row["orders"])),
            ),
            (
                _("Revenue"),
                amount(row["revenue"]),
                _change(row, old, "revenue") or _no_prices(row),
                _("Sum of purchases, before refunds, in the log's own currency."),
            ),
            (
                _("Average order value"),
                amount(_ratio(row, "revenue", "orders")),
                _ratio_change(row, old) or _no_prices(row),
                _("Revenue ÷ orders: {n}.", n=people(row["orders"])),
            ),
            _rate_tile(
                _("Repeat rate"),
                ("repeat_buyers", "buyers"),
                row,
                old,
                _("Buyers with two orders or more ÷ buyers, within the period; a shorter period gives a lower rate."),
            ),
        ],
        _sparks(trend, grain),
    )


def _sparks(trend: Answer, grain: str) -> tuple[str, ...]:
    """The course of each tile over whole periods."""
    rows = [row for row in trend.table.to_pylist() if not row["partial"]]
    alt = _("Course by {step}", step=_(GRAIN_WORDS[grain]))

    def drawn(part: str, base: str = "") -> str:
        values = [_ratio(row, part, base) if base else row[part] for row in rows]
        return charts.spark(values, alt, state.look()) if any(values) else ""

    return (
        drawn("users"),
        drawn("sessions"),
        drawn("buyers", "users"),
        drawn("buying_sessions", "sessions"),
        drawn("orders"),
        drawn("revenue"),
        drawn("revenue", "orders"),
        drawn("repeat_buyers", "buyers"),
    )


def _rate_tile(
    label: str, names: tuple[str, str], row: dict[str, Any], old: dict[str, Any] | None, explanation: str
) -> tuple[str, str, str | None, str | None]:
    """A share with its interval, and its change in points against the period before."""
    part, base = (row[name] for name in names)
    if part is None or base is None:
        return label, MISSING, _("hidden with its counts"), explanation
    if not base:
        return label, MISSING, None, explanation
    low, high = wilson(part, base)
    note = _("{part} of {base}, 95% interval {low} – {high}", part=people(part), base=people(base), low=percent(low), high=percent(high))
    then, now = _ratio(old, *names) if old else None, _ratio(row, *names)
    if then is not None and now is not None:
        note += " · " + _("{change:+.1f} points against the period before", change=100 * (now - then))
    return label, percent(now) if now is not None else MISSING, note, explanation


def _change(row: dict[str, Any], old: dict[str, Any] | None, name: str) -> str | None:
    if old is None or not old[name] or row[name] is None:
        return None
    return _("{change:+.1f}% against the period before", change=100 * (row[name] / old[name] - 1))


def _ratio(row: dict[str, Any], part: str, base: str) -> float | None:
    return row[part] / row[base] if row[part] is not None and row[base] else None


def _ratio_change(row: dict[str, Any], old: dict[str, Any] | None) -> str | None:
    now, then = _ratio(row, "revenue", "orders"), _ratio(old, "revenue", "orders") if old else None
    return _("{change:+.1f}% against the period before", change=100 * (now / then - 1)) if now and then else None


def _no_prices(row: dict[str, Any]) -> str | None:
    if row["buyers"] is None:
        return _("hidden with its counts")
    return _("the log has no prices") if row["revenue"] is None else None
