"""Data: can I trust this file, and what was removed?"""

import streamlit as st

from core.messages import say
from core.pipeline import quality, screens
from pages.parts import doubts, frame, jobs, state, versions
from pages.parts.importing import import_form
from pages.parts.privacy import small_cells_setting
from pages.parts.quality import accounting, coverage, quarantine
from pages.parts.quality_report import quality_report
from pages.parts.text import _

here = frame.begin(_("Data"), _("Can this log be trusted, and what was removed from it?"))
if here:
    missing = {"atlas", "propensity", "recommendations"} - dict(here.runs).keys()
    if missing and not jobs.live_job(state.home()) and not state.ask(quality.outdated, here):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(_("The log is ready. Profiles, map, purchase chances and recommendations are one click away."), width="stretch")
            if st.button(_("Compute everything"), type="primary", key="compute"):
                jobs.start(["run", "--dataset", here.name], say("Computing {name}", name=here.name))
    there = versions.chosen(here)
    accounting(there, state.ask(screens.manifest, there))
    coverage(there)
    quality_report(there)
    if here.small_cells:
        st.caption(_("Rows of the file are not shown while counts of few shoppers are hidden."))
    else:
        doubts.robots(there)
        quarantine(there)
    doubts.stricter(there)
    small_cells_setting(here)
    st.divider()
st.subheader(_("Load a log"))
import_form()
