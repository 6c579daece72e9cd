"""Shopper: who is this, and what next?"""

import streamlit as st

from core.pipeline import offering, shoppers
from pages.parts import frame, state
from pages.parts.portrait import card, likeness, next_items, search
from pages.parts.profile_card import profile_card
from pages.parts.text import _

here = frame.begin(_("Shopper"), _("Who is this shopper, and what will they want next?"))
user_id = search(here) if here else None
if here and user_id is not None:
    found = state.ask(shoppers.portrait, here, user_id, repr((shoppers.segment_names(here), offering.in_force(here))))
    card(here, found)
    profile_card(here, found)
    left, right = st.columns(2, gap="large")
    with left:
        next_items(here, found)
    with right:
        likeness(here, found)
