"""Propensity: can it be believed, and how deep should one go?"""

import streamlit as st

from core.pipeline import screens
from pages.parts import downloads, frame
from pages.parts.backtest import past_windows
from pages.parts.belief import groups, ranges, spending
from pages.parts.category_chances import by_category
from pages.parts.chances import cards, depth_choice, distribution, model_table, plots, training, why
from pages.parts.damage import worse_logs
from pages.parts.profit import profit
from pages.parts.run_facts import how_made
from pages.parts.text import _, plain
from pages.parts.uplift import campaign_effect
from pages.parts.verdict import doubts, is_drift, sentences

here = frame.begin(_("Propensity"), _("How likely is each shopper to act, can that be believed, and how deep should one go?"))
if here:
    training(here)
    manifest = frame.needs(here, "propensity")
    if manifest:
        for sentence in sentences(manifest):
            st.markdown("- " + plain(sentence))
        if found := doubts(manifest):
            st.warning("  \n".join(map(plain, found)))
        cards(manifest)
        plots(here)
        ranges((manifest.get("metrics") or {}).get("range") or {})
        groups(here)
        depth_choice(here)
        profit(here, manifest)
        distribution(here, manifest)
        model_table(here, manifest)
        why(here)
        by_category(here, manifest)
        spending(here, manifest)
        past_windows(here, manifest)
        worse_logs(here)
        campaign_effect(here)
        how_made(here, manifest)
        frame.notes([warning for warning in manifest.get("warnings", []) if not is_drift(warning)])
        with st.container(horizontal=True, vertical_alignment="center"):
            downloads.csv_button(lambda: screens.run_table(here, "propensity", "scores"), "scores", label=_("Download all scores"))
            downloads.csv_button(lambda: screens.run_table(here, "propensity", "test"), "test", label=_("Download the test window"))
            st.caption(frame.took(manifest))
