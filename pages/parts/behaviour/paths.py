"""Paths: what comes after an act, or before it, within a session."""

import streamlit as st

from core.pipeline import behaviour, outcomes
from core.pipeline.behaviour import Filters, Paths
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.behaviour.kinds import all_hidden, kinds_of, nothing_left, ties
from pages.parts.text import _, people, percent, whole
from pages.parts.words import event_word


def draw(here: Screen, filters: Filters) -> None:
    """Ask for the anchor; show the flow and the step matrix."""
    kinds = kinds_of(here)
    named = any(kind["with_item"] for kind in kinds.values()) and bool(state.ask(outcomes.category_names, here))
    alone = len(kinds) == 1  # acts of one kind in a row count as one: only their categories make a path
    with st.container(border=True):
        cells = st.columns(5, vertical_alignment="bottom")
        usual = next((kind for kind in ("cart", "purchase") if kind in kinds), next(iter(kinds)))
        anchor = cells[0].selectbox(_("Around the act"), list(kinds), list(kinds).index(usual), format_func=event_word, key="anchor")
        forward = cells[1].selectbox(
            _("Direction"), [True, False], format_func=lambda f: _("what comes after") if f else _("what came before"), key="forward"
        )
        depth = int(cells[2].number_input(_("Steps"), 1, 8, 4, key="depth"))
        top = int(cells[3].number_input(_("Acts with names"), 1, 20, 6, key="top"))
        by_category = cells[4].checkbox(_("With categories"), key="by-category", value=alone and named, disabled=not named)
    if alone and not by_category:
        frame.gate(
            _("This log has one kind of act, and equal acts in a row count as one: without categories its paths have one step.")
            if named
            else _(
                "This log has one kind of act, and equal acts in a row count as one, so its paths have one step. "
                "A column of categories would bring more."
            )
        )
    asked = Paths(str(anchor), bool(forward), depth, top, bool(by_category))
    answer = state.ask(behaviour.paths, here, filters, asked)
    if nothing_left(answer.table):
        return
    table = answer.table.to_pandas()
    if all_hidden(table["sessions"]):
        return
    table = table.dropna(subset="sessions")
    acts = dict.fromkeys([*table["source"], *table["target"]])
    words = {act: _word(act, bool(forward)) for act in acts}
    sessions = int(table.loc[table["step"] == 1, "sessions"].sum())
    st.caption(
        _(
            "{n} sessions with the act, each counted from its first one. Equal acts in a row count as one; a "
            "session ends after 30 minutes of silence.",
            n=whole(sessions),
        )
    )
    ties(here)
    frame.chart(charts.flow(table, words, state.look()), answer, "paths", _("Paths"))
    st.subheader(_("Step by step"))
    matrix = state.ask(behaviour.step_matrix, here, filters, asked)
    rows = matrix.to_pandas()
    names, steps = list(dict.fromkeys(rows["act"])), sorted(rows["step"].unique())
    grid = rows.pivot(index="act", columns="step", values="share").loc[names]
    counts = rows.pivot(index="act", columns="step", values="sessions").loc[names]
    notes = [
        [f"{words.get(act, act)} · {percent(grid.loc[act, step])} · {people(counts.loc[act, step])}" for step in steps] for act in names
    ]
    figure = charts.shares_grid(
        [words.get(act, act) for act in names],
        [f"{'+' if forward else '−'}{step}" for step in steps],
        grid.to_numpy().tolist(),
        notes,
        _("share of sessions"),
        state.look(),
        form=".1%",
    )
    frame.chart(figure, matrix, "step-matrix", _("Step by step"))


def _word(act: str, forward: bool) -> str:
    if act == "":
        return _("end of session") if forward else _("begin of session")
    if act == "…":
        return _("other acts")
    kind, *category = act.split(" · ", 1)
    return " · ".join([event_word(kind), *category])
