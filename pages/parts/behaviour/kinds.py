"""What the log at hand can answer: its kinds of events, and the sentence that says which column is missing."""

from collections.abc import Iterable
from typing import Any

import streamlit as st

from core.pipeline import behaviour
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.text import _, is_missing, small_cells

DAY = 86_400


def kinds_of(here: Screen) -> dict[str, dict[str, Any]]:
    """Counts by kind of event, most frequent first."""
    return {row["event_type"]: row for row in state.ask(behaviour.facts, here).table.to_pylist()}


def has_purchases(here: Screen) -> bool:
    """Whether the log has purchases; where it has none a sentence says so."""
    if "purchase" in kinds_of(here):
        return True
    frame.gate(
        _(
            "This log has no purchases, so nothing can be told of buyers. A column of the kind of event with a "
            "word for purchase would bring it."
        )
    )
    return False


MOST_COHORTS = 14
"""Cohorts drawn, the latest ones; all download."""


def drawn_of(cohorts: int) -> None:
    """Say when not all cohorts are drawn."""
    if cohorts > MOST_COHORTS:
        st.caption(_("The latest {n} of {all} cohorts are drawn; all download.", n=MOST_COHORTS, all=cohorts))


def ties(here: Screen) -> None:
    """Say in which order acts of one instant are taken."""
    st.caption(
        _("The log tells days, no hours: acts of one day stand in the order of the file.")
        if here.log.time_resolution_seconds >= DAY
        else _("Acts of the same instant stand in the order of the file.")
    )


def all_hidden(values: Iterable[Any]) -> bool:
    """Whether there are figures and every one is hidden; then a sentence says so."""
    found = list(values)
    if not small_cells() or not found or not all(is_missing(value) for value in found):
        return False
    frame.gate(_("Every figure here is about fewer than {k} shoppers, so all of them are hidden.", k=small_cells()))
    return True


def nothing_left(table: Any) -> bool:
    """Whether a table has no row; then a sentence says so."""
    if table.num_rows:
        return False
    frame.gate(_("Nothing is left in the part of the log that is looked at; choose another part, or show everything."))
    return True
