"""The chance of buying in each category: how many buyers are expected where, and who they are."""

import streamlit as st

from core.pipeline import outcomes
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.text import _, chance
from pages.parts.traits import segment_names_shown

TOP = 50


def by_category(here: Screen) -> None:
    """Draw expected buyers by category and the shoppers most likely to buy in the chosen one; nothing when the run knows none."""
    table = state.ask(outcomes.category_chances, here)
    if not len(table):
        return
    st.subheader(_("Chance by category"))
    number = st.column_config.NumberColumn
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.caption(_("Expected buyers are the sum of chances of everyone scored; the right columns tell how the test window went."))
        columns = {
            "category": st.column_config.TextColumn(_("Category"), width="medium"),
            "expected": number(_("Expected buyers"), format="%.1f"),
            "largest": number(_("Largest chance"), format="percent"),
            "auc": number(_("AUC"), format="%.3f"),
            "test_expected": number(_("Expected in the test"), format="%.1f"),
            "test_happened": number(_("Bought in the test"), format="localized"),
        }
        frame.table(table, column_order=[c for c in columns if c in table], column_config=columns, height=390, key="categories-chance")
        frame.take_away(table, "category-chances")
    with right:
        chosen = st.selectbox(_("Shoppers most likely to buy in"), list(table["category"]), key="category-choice")
        top = state.ask(outcomes.likeliest_in, here, chosen, TOP)
        names = segment_names_shown(here) if here.run_id("atlas") else {}
        shown = top.assign(
            chance=[chance(value) for value in top["propensity"]],
            range=[f"{chance(low)} – {chance(high)}" for low, high in zip(top["low"], top["high"], strict=True)],
            segment=[names.get(segment, "–") for segment in top["segment_id"]] if "segment_id" in top else "–",
        )
        frame.table(
            shown,
            column_order=["user_id", "chance", "range", *(["segment"] if names else [])],
            column_config={"user_id": _("Shopper id"), "chance": _("Chance"), "range": _("Range"), "segment": _("Segment")},
            height=330,
            key="category-top",
        )
        frame.take_away(top, "category-shoppers")
