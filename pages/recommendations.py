"""Recommendations: what would they see, and is it better than the bestsellers?"""

import streamlit as st

from core.pipeline import screens
from pages.parts import downloads, frame
from pages.parts.lists import lists, measures
from pages.parts.text import _

here = frame.begin(_("Recommendations"), _("What would a shopper see, and is it better than the bestsellers?"))
manifest = frame.needs(here, "recommendations") if here else None
if here and manifest:
    lists(here)
    measures(here, manifest)
    frame.notes(manifest.get("warnings", []))
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads.csv_button(
            lambda: screens.run_table(here, "recommendations", "recommendations"), "recommendations", label=_("Download all lists")
        )
        st.caption(frame.took(manifest))
