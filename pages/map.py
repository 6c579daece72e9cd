"""Map: what kinds of shoppers are there?"""

import streamlit as st

from core.pipeline import places, screens, shoppers
from pages.parts import frame, state
from pages.parts.atlas import ask_browser, compare_sides, draw_map, periods, quality_figures, segment_detail, segment_table, selection
from pages.parts.atlas.levels import levels_of
from pages.parts.changes import changes_since
from pages.parts.text import _, counted
from pages.parts.wording import wording_section

here = frame.begin(_("Map"), _("What kinds of shoppers are there, and who is near whom?"))
manifest = frame.needs(here, "atlas") if here else None
if here and manifest:
    lacks_webgl = ask_browser()
    everyone = places.places(here)
    levels = levels_of(here)
    if len(everyone.x) < shoppers.LEAST_USERS:
        frame.gate(
            _(
                "A map of segments needs {need} shoppers; this log has {have}. Read the table, not the picture; a longer log would help.",
                need=shoppers.LEAST_USERS,
                have=counted(len(everyone.x)),
            )
        )
    drawn = draw_map(here, everyone, levels, lacks_webgl)
    selected = selection(here, everyone, levels, drawn)
    segment_table(levels)
    segment_detail(here, everyone, levels)
    compare_sides(here, everyone, levels, selected)
    periods(here, levels)
    if not here.small_cells:  # its facts are exact
        wording_section(here, levels.segments)
    changes_since(here, levels.names(fine=False))
    st.subheader(_("How far this map can be trusted"))
    quality_figures(here, state.ask(screens.run_manifest, here, "atlas"))
