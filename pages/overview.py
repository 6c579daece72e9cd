"""Overview: how is the shop doing, and what changed?"""

import numpy as np
import streamlit as st

from core.pipeline import behaviour, screens
from pages.parts import charts, controls, frame, goods, jobs, state, what_changed
from pages.parts.behaviour.kinds import all_hidden
from pages.parts.filters import filters
from pages.parts.overview import GRAIN_WORDS, absent, figure_tiles, grains, measures, usual_grain
from pages.parts.text import _, people
from pages.parts.words import event_word, weekday_words

here = frame.begin(_("Overview"), _("How is the shop doing, and what changed?"))
if here:
    jobs.sort_large(here)
    chosen = filters(here)
    period = controls.period(here)
    before = screens.previous_period(here, period) if chosen.since is None and chosen.until is None else None
    now = state.ask(behaviour.figures, here, chosen, period)
    if now.table["events"][0].as_py() == 0:
        frame.gate(_("Nothing is left in the part of the log that is looked at; choose another part, or show everything."))
        st.stop()
    usual = usual_grain(period)
    course = state.ask(behaviour.trend, here, chosen, period, usual)
    figure_tiles(now, state.ask(behaviour.figures, here, chosen, before) if before else None, course, usual)
    absent(here, now)
    frame.take_away(now, "figures")

    what_changed.draw(here, chosen, before, period)

    st.subheader(_("Trend"))
    choices, steps, columns = measures(now), grains(period), st.columns([3, 2])
    measure = columns[0].radio(_("Figure"), list(choices), format_func=choices.__getitem__, horizontal=True, key="measure") or "users"
    word, place = (lambda step: _(GRAIN_WORDS[step])), steps.index(usual)
    step = columns[1].radio(_("Step"), steps, place, format_func=word, horizontal=True, key=f"grain-{usual}") or usual
    trend = state.ask(behaviour.trend, here, chosen, period, step)
    if not all_hidden(trend.table[measure].to_pylist()):
        frame.chart(
            charts.trend(trend.table.to_pandas(), measure, choices[measure], _("partly covered"), state.look()), trend, "trend", _("Trend")
        )

    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader(_("Kinds of events"))
        mix = state.ask(behaviour.event_mix, here, chosen, period)
        rows = mix.table.to_pylist()
        shown = [people(row["events"]) + ("" if row["share"] is None else f" · {row['share']:.1%}") for row in rows]
        figure = charts.bars(
            [event_word(row["event_type"]) for row in rows], [row["events"] or 0 for row in rows], shown, _("events"), state.look()
        )
        frame.chart(figure, mix, "event-mix", _("Kinds of events"))
    with right:
        st.subheader(_("Hours of the week"))
        act = controls.act(_("Kind of event"), ["all", *[row["event_type"] for row in rows]], "hours-act")
        hours = state.ask(behaviour.hours, here, chosen, period, act)
        grid = np.zeros((7, 24))
        grid[hours.table["weekday"].to_numpy() - 1, hours.table["hour"].to_numpy()] = hours.table["events"].to_numpy(zero_copy_only=False)
        frame.chart(
            charts.heat(grid, weekday_words(), [str(hour) for hour in range(24)], _("events"), state.look()),
            hours,
            "hours",
            _("Hours of the week"),
        )

    goods.draw(here, chosen, period)
