"""The blend beside every other source, paired over the same shoppers, and how many shoppers a trial needs."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import frame
from pages.parts.lists import MEASURES
from pages.parts.text import _, counted, percent, small_cells, whole
from pages.parts.words import source_word

GROUND_WORDS = {"all": "all items", "new": "items new to the shopper", "fresh": "items that nobody had bought"}
PAIRED = ("ndcg@10", "recall@20", "mrr@20", "map@20", "hit@10")


def evidence(manifest: dict[str, Any]) -> None:
    """Draw both tables; runs made before they were kept have none."""
    _beside(manifest.get("comparisons") or [])
    _trial(manifest.get("trial") or [])


def _beside(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    st.subheader(_("The blend beside every source"))
    with st.container(horizontal=True):
        measure = st.selectbox(_("Measure"), PAIRED, format_func=MEASURES.__getitem__, key="beside-measure")
        ground = st.selectbox(_("Judged on"), list(GROUND_WORDS), format_func=lambda name: _(GROUND_WORDS[name]), key="beside-ground")
    chosen = [row for row in rows if (row["measure"], row["ground"]) == (measure, ground)]
    if not chosen:
        st.caption(_("Nothing to judge here."))
        return
    shown = pd.DataFrame(
        {
            "other": [source_word(row["other"]) for row in chosen],
            "difference": [_interval(row) for row in chosen],
            "verdict": [_verdict(row) for row in chosen],
            "n": [counted(row["n"]) for row in chosen] if small_cells() else [row["n"] for row in chosen],
        }
    )
    frame.table(
        shown,
        key="beside",
        column_config={
            "other": _("Beside"),
            "difference": _("Difference and 95% interval"),
            "verdict": _("Verdict"),
            "n": _("Shoppers") if small_cells() else st.column_config.NumberColumn(_("Shoppers"), format="localized"),
        },
    )
    st.caption(_("Differences of the same shoppers in the test window; above zero the blend is better."))
    frame.take_away(pd.DataFrame(rows), "beside")


def _interval(row: dict[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return f"{row['difference']:+.4f}"
    return f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"


def _verdict(row: dict[str, Any]) -> str:
    if row["low"] is not None and row["low"] > 0:
        return _("the blend is better")
    if row["high"] is not None and row["high"] < 0:
        return _("the blend is worse")
    return _("no difference can be told")


def _trial(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    st.subheader(_("How many shoppers a trial needs"))
    st.caption(
        _(
            "To find a lift of the share who take one of the first ten items, now {rate}, with a chance of 80% at a level of 5%: "
            "half of the shoppers see the new list, half the old one.",
            rate=percent(rows[0]["rate"], 1),
        )
    )
    shown = pd.DataFrame(
        {
            "lift": [percent(row["lift"], 0) for row in rows],
            "expected": [percent(row["expected"], 1) for row in rows],
            "users": [whole(row["users"]) for row in rows],
        }
    )
    frame.table(
        shown,
        key="trial",
        column_config={"lift": _("Relative lift"), "expected": _("Share with the lift"), "users": _("Shoppers in each half")},
    )
    frame.take_away(pd.DataFrame(rows), "trial")
