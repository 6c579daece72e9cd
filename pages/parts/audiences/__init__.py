"""The parts of the Audiences page: build and export, look-alikes, match an advertisement, overlap and budget, next actions."""

from collections.abc import Callable, Mapping

import streamlit as st

from core.pipeline.screens import Screen
from pages.parts.audiences.ads import match_advertisement
from pages.parts.audiences.building import build_and_export
from pages.parts.audiences.looking import look_alikes
from pages.parts.audiences.planning import budget, next_actions, overlap
from pages.parts.audiences.saved import saved
from pages.parts.text import _

__all__ = ["VIEWS", "choose_view"]

VIEWS: Mapping[str, tuple[Callable[[Screen], None], ...]] = {
    "build": (build_and_export, saved),
    "alike": (look_alikes,),
    "ad": (match_advertisement,),
    "plan": (overlap, budget),
    "actions": (next_actions,),
}
VIEW_WORDS = {
    "build": "Build and export",
    "alike": "Look-alikes",
    "ad": "Match an ad",
    "plan": "Overlap and budget",
    "actions": "Next actions",
}


def choose_view() -> str:
    """Choose what to do with audiences; only that part is drawn and computed."""
    chosen = st.segmented_control(
        _("What to do"),
        list(VIEWS),
        default="build",
        format_func=lambda view: _(VIEW_WORDS[view]),
        key="audience-view",
        label_visibility="collapsed",
    )
    return str(chosen or "build")
