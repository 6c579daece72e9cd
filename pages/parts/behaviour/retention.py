"""Retention: who comes back, cohort by cohort."""

from datetime import timedelta
from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import behaviour
from core.pipeline.behaviour import Filters, Retention
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.behaviour.kinds import MOST_COHORTS, all_hidden, drawn_of, kinds_of, nothing_left
from pages.parts.text import _, people, percent
from pages.parts.words import event_word

GRAIN_WORDS = {"day": "Day", "week": "Week", "month": "Month"}
LONG = timedelta(days=183)
"""A log longer than this begins with months."""


def draw(here: Screen, filters: Filters) -> None:
    """Ask for start, return and step of time; show the mean, then cohort by cohort."""
    kinds = ["any", *kinds_of(here)]
    with st.container(border=True):
        cells = st.columns(5, vertical_alignment="bottom")
        start = cells[0].selectbox(_("Begins with"), kinds, format_func=_act_word, key="start")
        back = cells[1].selectbox(_("Comes back with"), kinds, format_func=_act_word, key="return")
        usual = 2 if here.log.until - here.log.start > LONG else 1
        grain = cells[2].selectbox(_("Step"), list(GRAIN_WORDS), usual, format_func=lambda g: _(GRAIN_WORDS[g]), key="retention-grain")
        recurring = cells[3].selectbox(
            _("Cohort"), [False, True], format_func=lambda r: _("all who began then") if r else _("first time only"), key="recurring"
        )
        later = cells[4].selectbox(
            _("Counts as kept"), [False, True], format_func=lambda f: _("active then or later") if f else _("active then"), key="later"
        )
    asked = Retention(str(start), str(back), str(grain), bool(recurring), here.zone)
    answer = state.ask(behaviour.retained, here, filters, asked)
    if nothing_left(answer.table):
        return
    share = "on_or_after" if later else "on"
    rows = answer.table.to_pandas()
    mean = rows[rows["cohort"].isna() & (rows["number"] > 0)]
    if len(mean) and not all_hidden(mean[share]):
        _mean(mean, share, str(grain))
    elif not len(mean):
        st.caption(
            _("No period after the first one is complete yet, so there is no mean; a longer log, or shorter periods, would give one.")
            if grain != "day"
            else _("No day after the first one is complete yet, so there is no mean; a longer log would give one.")
        )
    _cohorts(rows[rows["cohort"].notna()], share, "later_users" if later else "on_users", str(grain))
    told = [_("Days, weeks and months are those of {zone}.", zone=here.zone)]
    if rows["incomplete"].fillna(value=False).any():
        told.insert(0, "\\" + _("* The period is not over at the end of the log: too low, and out of the mean."))
    if later:
        told.append(_("The later the period, the less of the log is left to come back in, so late columns are lower."))
    st.caption(
        " ".join(told) + " " + _("The log does not reach back to everybody's first act: the earliest cohort also holds old shoppers.")
    )
    frame.take_away(answer, "retention")


def _mean(mean: pd.DataFrame, share: str, grain: str) -> None:
    first = mean.iloc[0]
    st.markdown(
        _(
            "Of {n} shoppers, **{share}** were kept one {grain} later, 95% interval {low} – {high}.",
            n=people(first["users"]),
            share=percent(first[share]),
            grain=_(GRAIN_WORDS[grain]).lower(),
            low=percent(first[f"{share}_low"]),
            high=percent(first[f"{share}_high"]),
        )
    )
    notes = [_("{part} of {base} shoppers", part=percent(row[share]), base=people(row["users"])) for _i, row in mean.iterrows()]
    labels = [_numbered(grain, int(number)) for number in mean["number"]]
    figure = charts.points(
        labels,
        list(mean[share]),
        list(mean[f"{share}_low"]),
        list(mean[f"{share}_high"]),
        notes,
        _("kept, weighted mean of cohorts"),
        state.look(),
    )
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    st.plotly_chart(figure, theme=None, config=frame.picture_config("retention-mean"), key="chart-retention-mean", alt=_("Retention"))


def _cohorts(rows: pd.DataFrame, share: str, part: str, grain: str) -> None:
    every = sorted(rows["cohort"].unique())
    names = every[-MOST_COHORTS:]
    last = int(rows["number"].max())
    cells: dict[tuple[Any, int], Any] = {(row.cohort, row.number): row for row in rows.itertuples()}
    values, notes, pale = [], [], []
    for name in names:
        line = [cells.get((name, number)) for number in range(last + 1)]
        values.append([None if cell is None else getattr(cell, share) for cell in line])
        notes.append(["" if cell is None else _note(cell, share, part, grain) for cell in line])
        pale.append([cell is not None and bool(cell.incomplete) for cell in line])
    labels = [f"{pd.Timestamp(name):%Y-%m-%d} · {people(cells[name, 0].users)}" for name in names]
    figure = charts.shares_grid(labels, [str(number) for number in range(last + 1)], values, notes, _("kept"), state.look(), pale=pale)
    st.subheader(_("Cohorts"))
    drawn_of(len(every))
    st.plotly_chart(figure, theme=None, config=frame.picture_config("retention"), key="chart-retention", alt=_("Cohorts"))


def _note(cell: Any, share: str, part: str, grain: str) -> str:
    return (
        f"{pd.Timestamp(cell.cohort):%Y-%m-%d} · {_numbered(grain, cell.number)}<br>".replace("<br>", " · ")
        + _("{part} of {base} shoppers", part=f"{people(getattr(cell, part))} ({percent(getattr(cell, share))})", base=people(cell.users))
        + f" [{percent(getattr(cell, f'{share}_low'))} – {percent(getattr(cell, f'{share}_high'))}]"
    )


def _numbered(grain: str, number: int) -> str:
    return {"day": _("day {n}", n=number), "week": _("week {n}", n=number), "month": _("month {n}", n=number)}[grain]


def _act_word(kind: str) -> str:
    return _("any act") if kind == "any" else event_word(kind)
