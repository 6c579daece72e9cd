"""Orders: time between them, who orders again, what is bought together."""

import streamlit as st

from core.pipeline import behaviour, outcomes
from core.pipeline.behaviour import MOST_THINGS, Filters, Pairs
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.behaviour.kinds import has_purchases, kinds_of
from pages.parts.text import _, duration, number, people, percent, whole

SHOWN = 200


def draw(here: Screen, filters: Filters) -> None:
    """Three tables of orders, each with its figure."""
    if not has_purchases(here):
        return
    _gaps(here, filters)
    _again(here, filters)
    if kinds_of(here)["purchase"]["with_item"]:
        _together(here, filters)
    else:
        frame.gate(
            _("Purchases of this log name no item, so nothing can be told of what is bought together. A column of item ids would bring it.")
        )


def _gaps(here: Screen, filters: Filters) -> None:
    st.subheader(_("Time between orders"))
    answer = state.ask(behaviour.order_gaps, here, filters)
    rows = answer.table.to_pylist()
    if all(row["gaps"] == 0 for row in rows):
        frame.gate(_("Nobody ordered twice in the part of the log that is looked at."))
        return
    st.markdown(
        _(
            "Half of all next orders came within **{median}**, a quarter within {quarter}, three quarters within {three}.",
            median=_length(rows[0]["days_median"]),
            quarter=_length(rows[0]["days_quarter"]),
            three=_length(rows[0]["days_three_quarters"]),
        )
        + " "
        + _("Shoppers who order often count often, and gaps longer than the log are not seen.")
    )
    labels = [
        _("{begin} days and more", begin=row["from_days"])
        if row["to_days"] is None
        else _("{begin} to {end} days", begin=row["from_days"], end=row["to_days"])
        for row in rows
    ]
    figure = charts.bars(
        labels, [row["gaps"] or 0 for row in rows], [people(row["gaps"]) for row in rows], _("Gaps between orders"), state.look()
    )
    frame.chart(figure, answer, "order-gaps", _("Time between orders"))


def _length(days: float) -> str:
    """Days with one digit, and what is shorter than one in hours and minutes."""
    return _("{days} days", days=number(days, 1)) if days >= 1 else duration(86_400 * days)


def _again(here: Screen, filters: Filters) -> None:
    st.subheader(_("Ordering again"))
    days = int(st.number_input(_("Within so many days of the first order"), 1, 3650, 90, key="follow-up"))
    answer = state.ask(behaviour.repeat_rates, here, filters, days)
    rows = answer.table.to_pylist()
    if not rows:
        frame.gate(_("No buyer could be followed for {days} days after the first order; choose fewer days.", days=days))
        return
    everyone, months = rows[0], rows[1:]
    st.markdown(
        _(
            "**{rate}** of {n} buyers ordered again within {days} days, 95% interval {low} – {high}; {left} more "
            "bought too late to be followed so long.",
            rate=percent(everyone["rate"]),
            n=people(everyone["buyers"]),
            days=days,
            low=percent(everyone["low"]),
            high=percent(everyone["high"]),
            left=people(None if everyone["buyers"] is None else everyone["all_buyers"] - everyone["buyers"]),
        )
    )
    figure = charts.points(
        [f"{row['cohort']:%Y-%m} · {people(row['buyers'])}" for row in months],
        [row["rate"] for row in months],
        [row["low"] for row in months],
        [row["high"] for row in months],
        [f"{percent(row['rate'])} · {people(row['again'])} / {people(row['buyers'])}" for row in months],
        _("ordered again, by month of the first order"),
        state.look(),
    )
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    frame.chart(figure, answer, "repeat-rates", _("Ordering again"))


def _together(here: Screen, filters: Filters) -> None:
    st.subheader(_("Bought together"))
    left, right = st.columns(2)
    is_grouped = bool(state.ask(outcomes.category_names, here))
    level = left.radio(
        _("Pairs of"),
        ["category", "item"] if is_grouped else ["item"],
        format_func=lambda x: _("categories") if x == "category" else _("items"),
        horizontal=True,
        key="level",
    )
    if not is_grouped:
        left.caption(_("This log names no categories. A column of categories would bring their pairs."))
    least = int(right.number_input(_("In at least so many orders"), 1, 1_000_000, 20, key="least"))
    answer = state.ask(behaviour.bought_together, here, filters, Pairs(str(level), least))
    if not answer.table.num_rows:
        frame.gate(_("No two of them stand together in {n} orders; ask for fewer, or for the others.", n=least))
        return
    rows = answer.table.slice(0, SHOWN).to_pandas()
    if level == "item":
        names = state.ask(behaviour.titles, here, sorted({*rows["thing"], *rows["with_thing"]}))
        for column in ("thing", "with_thing"):
            rows[column] = [f"{names[item]} ({item})" if item in names else item for item in rows[column]]
    st.caption(
        _(
            "Support: share of all orders that hold both. Confidence: of the orders with the first, how many hold the second. "
            "Lift: confidence ÷ share of the second in all orders; 1 is chance. Paired are the {most} that stand in most orders. "
            "The first {n} of {all} pairs; all download.",
            most=MOST_THINGS,
            n=len(rows),
            all=whole(answer.table.num_rows),
        )
    )
    column = st.column_config
    frame.table(
        rows[["thing", "with_thing", "orders", "support", "confidence", "lift"]].assign(support=100 * rows["support"]),
        column_config={
            "thing": column.TextColumn(_("Who buys"), width="medium"),
            "with_thing": column.TextColumn(_("also buys"), width="medium"),
            "orders": column.NumberColumn(_("Orders with both"), format="localized"),
            "support": column.NumberColumn(_("Support"), format="%.3f%%"),
            "confidence": column.NumberColumn(_("Confidence"), format="percent"),
            "lift": column.NumberColumn(_("Lift"), format="%.1f×"),
        },
        height=420,
        key="pairs",
        counts=("orders",),
    )
    frame.take_away(answer, "bought-together")
