"""Why: what makes this chance, and what would change it?"""

import streamlit as st

from pages.parts import frame
from pages.parts.category_why import by_category
from pages.parts.everyone import over_all
from pages.parts.one_history import score_one, try_changes
from pages.parts.portrait import search
from pages.parts.steps import by_act, by_feature, headline
from pages.parts.text import _, plain
from pages.parts.verdict import doubts

here = frame.begin(_("Why"), _("Why is this shopper's chance what it is, and what would change it by the model's view?"))
manifest = frame.needs(here, "propensity") if here else None
if here and manifest:
    if found_doubts := doubts(manifest):
        st.warning("  \n".join(map(plain, [*found_doubts, _("Reasons of such chances are reasons of the model alone.")])))
    user_id = search(here)
    if user_id is not None:
        found = headline(here, user_id)
        if found:
            by_feature(here, found)
            by_act(here, found)
            by_category(here, user_id)
            try_changes(here, user_id)
    score_one(here)
    over_all(here)
