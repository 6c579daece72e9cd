"""Overview: how is the shop doing, and what changed?"""

import numpy as np
import streamlit as st

from core.pipeline import behaviour, screens
from pages.parts import charts, controls, frame, jobs, products, state, what_changed, what_to_do
from pages.parts.behaviour.kinds import all_hidden, kinds_of
from pages.parts.filters import filters
from pages.parts.overview import SHARES, absent, figure_tiles, measures, steps, usual_step
from pages.parts.text import _, people
from pages.parts.words import event_word, weekday_words

DAY = 86_400

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
    usual = usual_step(here, period)
    course = state.ask(behaviour.trend, here, chosen, period, usual)
    old = state.ask(behaviour.figures, here, chosen, before) if before else None
    figure_tiles(now, old, course.table, is_bought="purchase" in kinds_of(here))
    frame.let_draw("figures")
    under, changes, advice = st.container(), st.container(), st.container()

    st.subheader(_("Trend"))
    choices, words, places = measures(now), steps(here, period), st.columns([2, 3])
    measure = places[0].selectbox(_("Figure"), list(choices), format_func=choices.__getitem__, key="measure")
    step = (
        places[1].radio(
            _("Step"), list(words), format_func=words.__getitem__, index=list(words).index(usual), horizontal=True, key=f"grain-{usual}"
        )
        or usual
    )
    trend = course if step == usual else state.ask(behaviour.trend, here, chosen, period, step)
    if not all_hidden(trend.table[measure].to_pylist()):
        figure = charts.trend(
            trend.table.to_pandas(), measure, choices[measure], _("partly covered"), state.look(), is_share=measure in SHARES
        )
        frame.chart(figure, trend, "trend", _("Trend"), is_first=True)

    with under:  # all of these after the first chart, for which a browser needs longest
        absent(here, now)
        frame.take_away(now, "figures")
    with changes:
        what_changed.draw(here, chosen, before, period)

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
        is_daily = here.log.time_resolution_seconds >= DAY
        title = _("Days of the week") if is_daily else _("Hours of the week")
        st.subheader(title)
        act = controls.act(_("Kind of event"), ["all", *[row["event_type"] for row in rows]], "hours-act")
        hours = state.ask(behaviour.hours, here, chosen, period, act)
        grid = np.zeros((7, 24))
        grid[hours.table["weekday"].to_numpy() - 1, hours.table["hour"].to_numpy()] = hours.table["events"].to_numpy(zero_copy_only=False)
        if is_daily:
            counts = grid.sum(axis=1)
            figure = charts.bars(weekday_words(), counts.tolist(), [people(n) for n in counts], _("events"), state.look())
        else:
            figure = charts.heat(grid, weekday_words(), [str(hour) for hour in range(24)], _("events"), state.look())
        frame.chart(figure, hours, "hours", title)
        if is_daily:
            st.caption(_("The log tells days, no hours."))

    products.draw(here, chosen, period)
    with advice:  # asked last, so that nothing above waits for it
        what_to_do.draw(here, chosen, period)
