"""Recommendations: what would they see, and is it better than the bestsellers?"""

import streamlit as st

from pages.parts import frame
from pages.parts.evidence import evidence
from pages.parts.lists import lists, measures
from pages.parts.offer_rules import all_lists, choose_rules
from pages.parts.relations import relations
from pages.parts.text import _

here = frame.begin(_("Recommendations"), _("What would a shopper see, and is it better than the bestsellers?"))
manifest = frame.needs(here, "recommendations") if here else None
if here and manifest:
    rules = choose_rules(here)
    lists(here, rules, manifest)
    all_lists(here, rules)
    relations(here, manifest)
    measures(here, manifest)
    evidence(manifest)
    frame.notes(manifest.get("warnings", []))
    st.caption(frame.took(manifest))
