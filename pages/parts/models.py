"""The parts of the Models page: runs, and the feature matrix with its dictionary."""

import streamlit as st

from core.pipeline import runs
from core.pipeline.screens import Screen
from pages.parts import downloads, frame, state
from pages.parts.text import _, duration, minute, percent, plain, whole
from pages.parts.words import feature_word

RUN_KIND_WORDS = {
    "profiles": "profiles",
    "atlas": "map",
    "propensity": "purchase chances",
    "recommendations": "recommendations",
    "blocks": "measured blocks",
    "tuning": "tuned text models",
    "compression": "smaller text models",
    "transfer": "lessons of another log",
    "explanations": "what chances rest on",
}
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


def run_table(here: Screen) -> None:
    """Draw every run with its settings, and what changed since the one before of its kind."""
    st.subheader(_("Runs"))
    found = runs.runs(here)
    shown = found.assign(
        kind=[_(RUN_KIND_WORDS.get(kind, kind)) for kind in found["kind"]],
        made=[minute(made, here.zone) for made in found["made"]],
        took=[duration(seconds) for seconds in found["seconds"]],
        changed=runs.changed(found),
    )
    frame.table(
        shown,
        key="runs",
        height=320,
        column_order=["current", "kind", "run", "made", "version", "cutoff", "took", "changed", "config"],
        column_config={
            "current": st.column_config.CheckboxColumn(_("Shown"), width=60),
            "kind": _("Result"),
            "run": _("Run"),
            "made": _("Made"),
            "version": _("Data"),
            "cutoff": _("Cutoff"),
            "took": st.column_config.TextColumn(_("Took"), help=_("Wall-clock time of the stage")),
            "changed": st.column_config.TextColumn(_("Settings changed since the run before"), width="medium"),
            "config": st.column_config.TextColumn(_("Settings"), width="medium"),
        },
    )
    frame.take_away(found, "runs")


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
    profiles = here.run_id("profiles")
    st.caption(_("Run {run} of version {version}.", run=plain(profiles or "–"), version=plain(here.version)))
