"""Data: can I trust this file, and what was removed?"""

import streamlit as st

from core.pipeline import screens
from pages.parts import frame, jobs, state
from pages.parts.importing import import_form
from pages.parts.quality import accounting, coverage, quarantine
from pages.parts.text import _

here = frame.begin(_("Data"), _("Can this log be trusted, and what was removed from it?"))
if here:
    manifest = state.ask(screens.manifest, here)
    if {"atlas", "propensity", "recommendations"} - dict(here.runs).keys() and not jobs.live_job(state.home()):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(_("The log is ready. Profiles, map, purchase chances and recommendations are one click away."), width="stretch")
            if st.button(_("Compute everything"), type="primary", key="compute"):
                jobs.start(["run", "--dataset", here.name], _("Computing {name}", name=here.name))
    accounting(here, manifest)
    coverage(here)
    quarantine(here)
    st.divider()
st.subheader(_("Load a log"))
import_form()
