"""Position and dwell against what followed."""

from datetime import timedelta

import streamlit as st

from core.pipeline import behaviour
from core.pipeline.behaviour import Exposure, Filters
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.behaviour.kinds import all_hidden, kinds_of, nothing_left
from pages.parts.text import _, duration, interval, people, percent
from pages.parts.words import event_word

SHOWN = 60
"""Positions drawn."""


def draw(here: Screen, filters: Filters) -> None:
    """Rates by position and dwell by outcome, as far as the log has them."""
    kinds = kinds_of(here)
    placed = [kind for kind, row in kinds.items() if row["with_position"]]
    timed = [kind for kind, row in kinds.items() if row["with_dwell"]]
    if not placed and not timed:
        frame.gate(
            _(
                "This log has neither positions nor dwell times. A column of the place on the page, or of seconds "
                "looked at, would bring them."
            )
        )
        return
    outcomes = [kind for kind in ("purchase", "cart", "click", "favourite", "view") if kind in kinds]
    if not outcomes:
        frame.gate(_("This log has no act that could follow, such as a click or a purchase."))
        return
    with st.container(border=True):
        cells = st.columns(3, vertical_alignment="bottom")
        act = cells[0].selectbox(_("Shown by"), placed or timed, format_func=event_word, key="shown-act", disabled=not placed)
        outcome = cells[1].selectbox(_("Followed by"), outcomes, format_func=event_word, key="outcome")
        hours = float(cells[2].number_input(_("Within hours"), 0.01, 8760.0, 1.0, key="outcome-hours"))
    asked = Exposure(str(act), str(outcome), timedelta(hours=hours))
    if placed:
        _positions(here, filters, asked)
    else:
        st.caption(_("This log has no positions. A column of the place on the page would bring them."))
    if timed:
        _dwell(here, filters, asked)
    else:
        st.caption(_("This log has no dwell times. A column of seconds looked at would bring them."))


def _positions(here: Screen, filters: Filters, asked: Exposure) -> None:
    st.subheader(_("By position"))
    answer = state.ask(behaviour.by_position, here, filters, asked)
    if nothing_left(answer.table):
        return
    every = answer.table.to_pylist()
    rows = every[:SHOWN]
    labels = [f"{_('no position') if row['position'] is None else row['position']} · {people(row['acts'])}" for row in rows]
    notes = [f"{percent(row['rate'], 2)} {interval(row['low'], row['high'], 'percent')} · {people(row['followed'])}" for row in rows]
    figure = charts.points(
        labels,
        [row["rate"] for row in rows],
        [row["low"] for row in rows],
        [row["high"] for row in rows],
        notes,
        _("followed by {act}", act=event_word(asked.outcome)),
        state.look(),
    )
    figure.update_xaxes(tickformat=".1%", rangemode="tozero")
    frame.chart(figure, answer, "positions", _("By position"))
    if len(every) > SHOWN:
        st.caption(_("The first {n} of {all} positions are drawn; all download.", n=SHOWN, all=len(every)))
    st.caption(_("Better items may stand higher: a rate by position tells both what the place does and what was put there."))


def _dwell(here: Screen, filters: Filters, asked: Exposure) -> None:
    st.subheader(_("Dwell time"))
    answer = state.ask(behaviour.dwell, here, filters, asked)
    rows = [row for row in answer.table.to_pylist() if row["median"] is not None]
    if all_hidden(answer.table["acts"].to_pylist()):
        return
    if not rows:
        nothing_left(answer.table.slice(0, 0))
        return
    labels = [
        f"{event_word(row['event_type'])} · " + (_("followed") if row["follows"] else _("not followed")) + f" · {people(row['acts'])}"
        for row in rows
    ]
    quantiles = [[row[name] for name in ("tenth", "quarter", "median", "three_quarters", "nine_tenths")] for row in rows]
    figure = charts.spans(labels, quantiles, _("seconds"), state.look())
    frame.chart(figure, answer, "dwell", _("Dwell time"))
    middle = {row["follows"]: row["median"] for row in rows}
    told = _("The box holds the middle half, its line the median, the whiskers the middle four fifths.")
    if len(middle) == 2:
        told += " " + _("Median {with_} when followed, {without} when not.", with_=duration(middle[True]), without=duration(middle[False]))
    st.caption(told)
