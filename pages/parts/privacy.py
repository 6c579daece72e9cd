"""The setting that hides small cells, for every data set of the home."""

import streamlit as st

from core.pipeline.screens import Screen
from core.small_cells import SMALL_CELL
from pages.parts import state
from pages.parts.text import _


def small_cells_setting(here: Screen) -> None:
    """Switch it on or off and choose k; it holds once it is applied."""
    st.subheader(_("Privacy"))
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            hides = st.toggle(_("Hide counts of few shoppers"), value=here.small_cells > 0, key="small-cells-on")
            least = st.number_input(
                _("Hide what is about fewer than"),
                2,
                100_000,
                here.small_cells or SMALL_CELL,
                key="small-cells",
                disabled=not hides,
                width=220,
            )
            wanted = int(least) if hides else 0
            if st.button(_("Apply"), type="primary", key="small-cells-apply", disabled=wanted == here.small_cells):
                state.home().save_small_cells(wanted)
                st.rerun()
        st.caption(
            _(
                "For showing figures to others. Smaller counts of shoppers read “< {k}”, all others are told by the middle of their step "
                "of {k}, and rates are worked out from what is shown, so that no total gives a hidden count away. It holds for pages, "
                "reports and downloads of all data sets here. Who has the files or runs the SQL sees exact counts.",
                k=wanted or SMALL_CELL,
            )
        )
