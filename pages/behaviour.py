"""Behaviour: where do shoppers stop, do they return, what do they do?"""

import streamlit as st

from pages.parts import frame, jobs, state
from pages.parts.behaviour import VIEWS, view_word
from pages.parts.filters import filters
from pages.parts.text import _

here = frame.begin(_("Behaviour"), _("Where do shoppers stop, do they return, and what do they do before they buy?"))
if here:
    jobs.sort_large(here)
    chosen = filters(here)
    state.seed("view", lambda text: text if text in VIEWS else None, "funnel")
    view = st.segmented_control(
        _("Question"), list(VIEWS), required=True, format_func=view_word, key="view", persist_state="session", label_visibility="collapsed"
    )
    state.link("view", view)
    VIEWS[view or "funnel"](here, chosen)
