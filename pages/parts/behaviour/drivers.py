"""Drivers: what later buyers did early more often than the others."""

import pandas as pd
import streamlit as st

from core.insights.drivers import DRIVER_WORDS
from core.pipeline import behaviour
from core.pipeline.behaviour import Drivers, Filters
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.behaviour.kinds import kinds_of
from pages.parts.text import _, interval, number, people, percent, said
from pages.parts.words import event_word


def draw(here: Screen, filters: Filters) -> None:
    """Ask for the outcome and both windows; show odds ratios, and say that they are no causes."""
    if len(kinds_of(here)) == 1:  # whoever goes on to it did it first of all
        frame.gate(
            _(
                "This log has one kind of act, so nothing else can come before it. A column of the kind of event, with views or carts "
                "beside purchases, would bring drivers."
            )
        )
        return
    outcomes = [kind for kind in kinds_of(here) if kind not in ("impression", "search", "other")]
    with st.container(border=True):
        cells = st.columns(3, vertical_alignment="bottom")
        usual = outcomes.index("purchase") if "purchase" in outcomes else 0
        if not outcomes:
            frame.gate(_("This log has no act that could follow, such as a click or a purchase."))
            return
        outcome = cells[0].selectbox(_("Go on to"), outcomes, usual, format_func=event_word, key="driver-outcome")
        early = int(cells[1].number_input(_("Did in the first … days"), 1, 365, 7, key="early"))
        later = int(cells[2].number_input(_("and the outcome in the … days after"), 1, 730, 28, key="after"))
    answer = state.ask(behaviour.drivers, here, filters, Drivers(str(outcome), early, later))
    rows = answer.table.to_pylist()
    if not rows:
        frame.gate(
            _(
                "Too few shoppers did something on either side, or could be followed for {days} days from their "
                "first act; choose fewer days.",
                days=early + later,
            )
        )
        return
    labels = [said(DRIVER_WORDS[row["driver"]]) if row["driver"] in DRIVER_WORDS else event_word(row["driver"]) for row in rows]
    notes = [f"{number(row['odds_ratio'], 2)} {interval(row['low'], row['high'])} · {people(row['did'])}" for row in rows]
    figure = charts.points(
        labels,
        [row["odds_ratio"] for row in rows],
        [row["low"] for row in rows],
        [row["high"] for row in rows],
        notes,
        _("odds ratio, 1 is no difference"),
        state.look(),
        line_at=1,
        log_scale=True,
    )
    frame.chart(figure, answer, "drivers", _("Drivers"))
    st.caption(
        _(
            "Not causal: who is about to {act} does more of everything. Only an experiment tells what would "
            "happen if more shoppers did it. "
            "Several are compared, so one in twenty differs by chance alone.",
            act=event_word(str(outcome)),
        )
    )
    column = st.column_config
    shown = pd.DataFrame(
        {
            "driver": labels,
            "did": [row["did"] for row in rows],
            "rate": [row["rate"] for row in rows],
            "range": [f"{percent(row['rate_low'])} – {percent(row['rate_high'])}" for row in rows],
            "other_rate": [row["other_rate"] for row in rows],
            "odds": [row["odds_ratio"] for row in rows],
            "odds_range": [interval(row["low"], row["high"]) for row in rows],
        }
    )
    frame.table(
        shown,
        column_config={
            "driver": column.TextColumn(_("Did early")),
            "did": column.NumberColumn(_("Shoppers"), format="localized"),
            "rate": column.NumberColumn(_("Went on"), format="percent"),
            "range": column.TextColumn(_("95% interval")),
            "other_rate": column.NumberColumn(_("Of the others"), format="percent"),
            "odds": column.NumberColumn(_("Odds ratio"), format="%.2f"),
            "odds_range": column.TextColumn(_("95% interval") + " "),
        },
        key="drivers",
        counts=("did",),
    )
