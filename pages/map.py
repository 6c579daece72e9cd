"""Map: what kinds of shoppers are there?"""

import streamlit as st

from core.pipeline import screens, shoppers
from pages.parts import frame, state
from pages.parts.atlas import draw_map, quality_figures, segment_detail, segment_table, selection
from pages.parts.encoder_card import blocks_table, encoder_card, graph_card, narrative_card, sequence_card
from pages.parts.model_tables import forms_table, transfer_table, tuning_table
from pages.parts.text import _, whole
from pages.parts.traits import segments_shown

here = frame.begin(_("Map"), _("What kinds of shoppers are there, and who is near whom?"))
manifest = frame.needs(here, "atlas") if here else None
if here and manifest:
    everyone = state.ask(shoppers.places, here)
    segments = segments_shown(here)
    if len(everyone.x) < shoppers.LEAST_USERS:
        frame.gate(
            _(
                "A map of segments needs {need} shoppers; this log has {have}. Read the table, not the picture; a longer log would help.",
                need=shoppers.LEAST_USERS,
                have=whole(len(everyone.x)),
            )
        )
    inside = draw_map(here, everyone, segments)
    selection(here, everyone, inside)
    segment_table(here, segments)
    segment_detail(here, everyone, segments)
    st.subheader(_("How far this map can be trusted"))
    quality_figures(state.ask(screens.run_manifest, here, "atlas"))
    profiles = state.ask(screens.run_manifest, here, "profiles")
    encoder_card(profiles)
    sequence_card(profiles)
    graph_card(profiles)
    narrative_card(profiles)
    blocks_table(here)
    tuning_table(here)
    forms_table(here)
    transfer_table(here)
