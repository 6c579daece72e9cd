"""A part of the Models page: the feature matrix with its dictionary."""

import streamlit as st

from core.pipeline import runs, screens
from core.pipeline.screens import Screen
from pages.parts import downloads, frame, state
from pages.parts.text import _, percent, plain, whole
from pages.parts.words import feature_word

GROUP_WORDS = {
    "recency": "recency",
    "frequency": "frequency",
    "money": "money",
    "rhythm": "rhythm",
    "breadth": "breadth",
    "price": "price",
    "intent": "intent",
    "attention": "attention",
}


def feature_matrix(here: Screen) -> None:
    """Draw the dictionary of the feature matrix; the matrix itself downloads whole."""
    st.subheader(_("What the models see of a shopper"))
    table = state.ask(runs.feature_dictionary, here)
    matrix = state.ask(runs.feature_matrix, here)
    st.caption(
        _(
            "{shoppers} shoppers, {columns} counted features, all from events before the cutoff. Models read sign(x) · ln(1 + |x|), "
            "standardised by mean and spread; ids of shoppers are never features, because a new shopper would have none.",
            shoppers=whole(matrix.num_rows),
            columns=whole(matrix.num_columns - 1),
        )
    )
    shown = table.assign(
        words=[feature_word(name) for name in table["feature"]],
        group=[_(GROUP_WORDS.get(group, group)) if group else "" for group in table["group"]],
        empty=[percent(share) for share in table["empty_share"]],
    )
    figure = st.column_config.NumberColumn
    frame.table(
        shown,
        key="features",
        height=420,
        column_order=["feature", "words", "group", "empty", "smallest", "median", "largest", "mean", "sd"],
        column_config={
            "feature": st.column_config.TextColumn(_("Column"), width=170),
            "words": st.column_config.TextColumn(_("Meaning"), width=330),
            "group": _("Group"),
            "empty": st.column_config.TextColumn(_("Empty"), help=_("Share of shoppers without a value")),
            "smallest": figure(_("Smallest"), format="%.3g"),
            "median": figure(_("Median"), format="%.3g"),
            "largest": figure(_("Largest"), format="%.4g"),
            "mean": figure(_("Mean as seen"), format="%.3f", help=_("Of sign(x) · ln(1 + |x|), before standardising")),
            "sd": figure(_("Spread as seen"), format="%.3f"),
        },
    )
    with st.container(horizontal=True):
        downloads.csv_button(lambda: table, "feature-dictionary", label=_("Dictionary as CSV"))
        downloads.csv_button(lambda: matrix, "features", label=_("Matrix as CSV"))
        downloads.parquet_button(lambda: matrix, "features", label=_("Matrix as Parquet"))
    made_from = (state.ask(screens.run_manifest, here, "profiles") or {}).get("inputs", {}).get("version")
    st.caption(_("Run {run} of version {version}.", run=plain(here.run_id("profiles") or "–"), version=plain(made_from or "–")))
