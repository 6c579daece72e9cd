"""Behaviour: where do shoppers stop, do they return, what do they do?"""

import streamlit as st

from pages.parts import frame
from pages.parts.behaviour import VIEWS, view_word
from pages.parts.filters import filters
from pages.parts.text import _

here = frame.begin(_("Behaviour"), _("Where do shoppers stop, do they return, and what do they do before they buy?"))
if here:
    chosen = filters(here)
    view = st.segmented_control(
        _("Question"), list(VIEWS), default="funnel", required=True, format_func=view_word, key="view", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    VIEWS[view or "funnel"](here, chosen)
