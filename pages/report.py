"""Report: what do people take away?"""

import streamlit as st

from core.messages import say
from core.pipeline import reporting
from pages.parts import controls, frame, jobs, state
from pages.parts.filters import filters
from pages.parts.report import SECTION_WORDS, arguments, kept
from pages.parts.sharing import sharing_panel
from pages.parts.text import _

here = frame.begin(_("Report"), _("What do you want to take away: as a page that works without a network, on paper, and as tables?"))
if here:
    chosen = filters(here)
    period = controls.days()
    with st.container(border=True):
        title = st.text_input(_("Title"), max_chars=120, key="report-title", placeholder=_("Report of {dataset}", dataset=here.name))
        sections = st.pills(
            _("Sections"),
            list(SECTION_WORDS),
            selection_mode="multi",
            default=list(SECTION_WORDS),
            format_func=lambda name: _(SECTION_WORDS[name]),
            key="report-sections",
        )
        st.caption(_("Each figure carries its definition, its id and its SQL; all rows are in the ZIP."))
        busy = jobs.live_job(state.home(), here.name) is not None
        if st.button(_("Make the report"), type="primary", disabled=busy or not sections, key="report-make"):
            jobs.start(arguments(here, chosen, period, sections, title), say("Writing a report of {name}", name=here.name))
    names = reporting.reports(here.dataset)[::-1][:10]
    if names:
        st.subheader(_("Reports"))
    for name in names:
        kept(here, name)
    sharing_panel(here)
