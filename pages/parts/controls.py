"""Widgets that return core values."""

from typing import Any

import streamlit as st

from core.pipeline import screens
from core.pipeline.screens import Screen
from core.schema import ACTS
from pages.parts import state
from pages.parts.text import LANGUAGE_NAMES, _, plain
from pages.parts.words import event_word

ZONES = (
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Moscow",
    "Africa/Johannesburg",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
    "America/Sao_Paulo",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
)
PERIODS = {0: "Whole log", 7: "Last 7 days", 28: "Last 28 days", 90: "Last 90 days"}
HORIZONS = (7, 14, 28, 3, 1, 60, 90)


def sidebar() -> None:
    """Choose data set, language and time zone; all three hold for every page, the first two stand in the address."""
    home, current = state.home(), state.dataset_name()
    names = home.datasets()
    with st.sidebar:
        if current is not None:
            if st.session_state.get("dataset-choice") not in names:
                st.session_state["dataset-choice"] = current
            elif state.flag("dataset") in names and st.session_state["dataset-choice"] != state.flag("dataset"):
                st.session_state["dataset-choice"] = state.flag("dataset")
            st.selectbox(_("Data set"), names, key="dataset-choice", on_change=_dataset_chosen)
            state.keep_in_address("dataset", current)
        st.session_state["language-choice"] = state.language()
        st.selectbox(
            "Language · 语言",
            list(LANGUAGE_NAMES),
            format_func=LANGUAGE_NAMES.__getitem__,
            key="language-choice",
            on_change=_language_chosen,
        )
        state.keep_in_address("lang", state.language())
        if current is not None:
            here = state.screen()
            if here is not None:
                zones = list(dict.fromkeys([*ZONES, here.zone]))
                st.session_state["zone-choice"] = here.zone
                st.selectbox(_("Time zone of days on screen"), zones, key="zone-choice", on_change=_zone_chosen, args=(here,))


def days() -> int | None:
    """Choose the last so many days of the log, or None for all of it."""
    chosen = st.radio(_("Period"), list(PERIODS), format_func=lambda days: _(PERIODS[days]), index=0, horizontal=True, key="period")
    return chosen or None


def period(here: Screen) -> screens.Period:
    """Choose the part of the log to look at."""
    return screens.period_of(here, days())


def act(label: str, options: list[str], key: str) -> str:
    """Choose a kind of event among those of the log."""
    return str(st.selectbox(label, options, format_func=event_word, key=key))


def acts_of(kinds: list[str]) -> list[str]:
    """Acts that a chance may be asked for, among the kinds of events of the log; purchase when there are none."""
    return [name for name in ACTS if name in kinds] or ["purchase"]


def segment(table: list[dict[str, object]], label: str, key: str) -> int | None:
    """Choose a segment by name."""
    names = {int(str(row["segment_id"])): str(row["name"]) for row in table}
    chosen = st.selectbox(label, list(names), format_func=names.__getitem__, key=key, index=None, placeholder=_("Choose a segment"))
    return None if chosen is None else int(chosen)


def cells(number: int, columns: int = 3, place: Any = st) -> list[Any]:
    """Places for so many widgets, filled row by row, so that a note below one moves the whole next row."""
    return [cell for _row in range(-(-number // columns)) for cell in place.columns(columns, gap="medium")][:number]


def failure(sentence: str, log_id: str) -> None:
    """Draw an unexpected failure: a sentence and the id under which the log tells more."""
    st.error(f"{sentence} " + _("Log id: {id}", id=plain(log_id)))


def _dataset_chosen() -> None:
    state.choose_dataset(st.session_state["dataset-choice"])


def _language_chosen() -> None:
    state.choose_language(st.session_state["language-choice"])


def _zone_chosen(here: Screen) -> None:
    screens.save_zone(here, st.session_state["zone-choice"])
