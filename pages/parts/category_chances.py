"""The chance of buying in each category: how many buyers are expected where, and who they are."""

from typing import Any

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.pipeline import outcomes
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.belief import ranges
from pages.parts.text import _, chance, counted, number, plain, said
from pages.parts.traits import segment_names_shown
from pages.parts.words import category_model_word

TOP = 50


def by_category(here: Screen, manifest: dict[str, Any]) -> None:
    """Draw expected buyers by category and the shoppers most likely to buy in the chosen one; nothing when the run knows none."""
    table = state.ask(outcomes.category_chances, here)
    if not len(table):
        return
    st.subheader(_("Chance by category"))
    for sentence in (manifest.get("category_verdict") or {}).get("sentences", []):
        st.markdown("- " + plain(said(sentence)))
    _models(manifest.get("category_metrics") or {})
    _ranges(manifest.get("category_metrics") or {})
    count = st.column_config.NumberColumn
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.caption(_("Expected buyers are the sum of chances of everyone scored; the right columns tell how the test window went."))
        columns = {
            "category": st.column_config.TextColumn(_("Category"), width="medium"),
            "expected": count(_("Expected buyers"), format="%.1f"),
            "largest": count(_("Largest chance"), format="percent"),
            "auc": count(_("AUC"), format="%.3f"),
            "test_expected": count(_("Expected in the test"), format="%.1f"),
            "test_happened": count(_("Bought in the test"), format="localized"),
            "new_auc": count(_("AUC, new to the shopper"), format="%.3f"),
            "new_positives": count(_("First bought in the test"), format="localized"),
        }
        frame.table(
            table,
            column_order=[c for c in columns if c in table],
            column_config=columns,
            height=390,
            key="categories-chance",
            counts=("test_happened", "new_positives"),
        )
        frame.take_away(table, "category-chances")
    with right:
        chosen = st.selectbox(_("Shoppers most likely to buy in"), list(table["category"]), key="category-choice")
        try:
            top = state.ask(outcomes.likeliest_in, here, chosen, TOP)
        except CoreError as error:
            frame.gate(error)
            return
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


def _ranges(metrics: dict[str, Any]) -> None:
    """How often ranges held; runs of earlier releases did not measure it."""
    if "range" in metrics:
        ranges(metrics["range"], metrics["range_categories"])


def _models(metrics: dict[str, Any]) -> None:
    """All models by category side by side, over all pairs and over those new to the shopper."""
    everywhere, new = metrics.get("macro_auc") or {}, metrics.get("macro_auc_new") or {}
    if not new:
        return  # a run of an earlier release
    rows = [
        {
            "model": category_model_word(name) + (" ★" if name == metrics.get("winner") else ""),
            "auc": _with_interval(everywhere[name]),
            "new": _with_interval(new.get(name)),
            "log_loss": (metrics.get("log_loss") or {}).get(name),
            "log_loss_new": (metrics.get("log_loss_new") or {}).get(name),
        }
        for name in everywhere
    ]
    columns = {
        "model": _("Model"),
        "auc": _("Mean AUC [95%]"),
        "new": _("Mean AUC, new to the shopper [95%]"),
        "log_loss": st.column_config.NumberColumn(_("Log loss"), format="%.4f"),
        "log_loss_new": st.column_config.NumberColumn(_("Log loss, new to the shopper"), format="%.4f"),
    }
    table = pd.DataFrame(rows)
    frame.table(table, column_config=columns, key="category-models")
    st.caption(
        _(
            "★ chosen on validation. {pairs} pairs of shopper and category in the test window, {new} of them never bought before; "
            "there counts of the pair know nothing, and texts and profiles must do.",
            pairs=counted(metrics.get("pairs")),
            new=counted(metrics.get("new_pairs")),
        )
    )
    frame.take_away(table, "category-models")


def _with_interval(figure: dict[str, float] | None) -> str:
    return "–" if not figure else f"{number(figure['value'])} [{number(figure['low'])}, {number(figure['high'])}]"
