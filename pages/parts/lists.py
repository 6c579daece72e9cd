"""The parts of the Recommendations page: lists for a shopper or a segment, and how every source does."""

from typing import Any

import pandas as pd
import streamlit as st

from core.errors import NotFoundError
from core.offers.rules import RuleSet
from core.pipeline import outcomes, screens
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.portrait import search
from pages.parts.preview import adjusted, last_change, preview, tell_doubts
from pages.parts.text import _, number, people, plain, said
from pages.parts.traits import segment_names_shown
from pages.parts.words import item_names, source_word

MEASURES = {
    "ndcg@10": "nDCG@10",
    "recall@20": "Recall@20",
    "recall@10": "Recall@10",
    "hit@10": "Hit rate@10",
    "mrr@20": "MRR@20",
    "map@20": "MAP@20",
    "coverage@20": "Coverage@20",
    "gini@20": "Gini@20",
    "novelty@20": "Novelty@20",
    "diversity@20": "Diversity@20",
}
GROUND_WORDS = {"all": "All items", "new": "Items new to the shopper", "fresh": "Items that nobody had taken yet"}


def lists(here: Screen, rules: RuleSet, manifest: dict[str, Any]) -> None:
    """Choose a shopper or a segment and show the list under the rules."""
    choices = ["shopper", "segment"] if here.run_id("atlas") else ["shopper"]
    kind = (
        st.radio(
            _("List for"),
            choices,
            format_func=lambda c: _("a shopper") if c == "shopper" else _("a segment"),
            horizontal=True,
            key="list-kind",
        )
        or "shopper"
    )
    if kind == "segment":
        _segment_list(here, adjusted(rules, list(manifest.get("sources") or [])))
    elif (user_id := search(here)) is not None:
        st.subheader(_("List of shopper {id}", id=plain(user_id)))
        try:
            preview(here, user_id, rules)
        except NotFoundError as error:
            st.info(plain(said(error)))


def measures(here: Screen, manifest: dict[str, Any]) -> None:
    """Every source against the label window, on all and on new items, with intervals."""
    st.subheader(_("How every source does"))
    table = state.ask(screens.run_table, here, "recommendations", "metrics")
    if table is None or not table.num_rows:
        frame.gate(_("This log is too short for a test window, so the lists could not be judged."))
        return
    found = table.to_pandas()
    with st.container(horizontal=True):
        names = sorted(found["measure"].unique())
        default = next((n for n in ("ndcg@10", "ndcg_at_10") if n in names), names[0])
        measure = st.selectbox(
            _("Measure"), names, index=names.index(default), format_func=lambda m: MEASURES.get(m, m), key="list-measure"
        )
        band = st.selectbox(
            _("Shoppers"),
            [b for b in ("all", "cold", "warm", "hot") if b in set(found["band"])],
            format_func=lambda b: _("all") if b == "all" else _(BAND_WORDS[b]),
            key="list-band",
        )
    chosen = found[(found["measure"] == measure) & (found["band"] == band)]
    grounds = [ground for ground in GROUND_WORDS if ground != "fresh" or ground in set(found["ground"])]
    for cell, ground in zip(st.columns(len(grounds), gap="large"), grounds, strict=True):
        part = chosen[chosen["ground"] == ground].sort_values(["value", "source"], ascending=[False, True])
        with cell:
            st.markdown(f"**{_(GROUND_WORDS[ground])}**")
            if not len(part):
                st.caption(_("Nothing to judge here."))
                continue
            shown = [
                f"{number(r['value'])} [{number(r['low'])}, {number(r['high'])}], n = {people(r['n'])}" for r in part.to_dict("records")
            ]
            colours = [charts.PALETTE[1] if s == "blend" else charts.PALETTE[0] for s in part["source"]]
            figure = charts.bars(
                [source_word(s) for s in part["source"]],
                list(part["value"]),
                shown,
                MEASURES.get(str(measure), str(measure)),
                state.look(),
                low=list(part["low"]),
                high=list(part["high"]),
                colours=colours,
            )
            frame.chart(figure, part, f"measure-{ground}", _(GROUND_WORDS[ground]))
    windows = manifest.get("windows") or {}
    st.caption(
        _(
            "Full ranking over the whole catalogue, lists made at {cutoff}, judged on what was bought after it; "
            "mean over shoppers with at least one such item, 95% intervals over shoppers.",
            cutoff=plain(str(windows.get("test") or "–")[:16].replace("T", " ")),
        )
    )


BAND_WORDS = {"cold": "cold: none before", "warm": "warm: 1 to 4 before", "hot": "hot: 5 or more before"}


def _segment_list(here: Screen, rules: RuleSet) -> None:
    tell_doubts(here, rules)
    names = segment_names_shown(here)
    chosen = st.selectbox(_("Segment"), list(names), format_func=names.__getitem__, key="list-segment")
    table: pd.DataFrame = state.ask(outcomes.recommendations_of_segment, here, int(chosen), 10, rules, last_change(here))
    shown = table.assign(item=item_names(table))
    st.caption(_("Items that stand most often among the first ten of the segment's shoppers."))
    frame.table(
        shown,
        column_order=["item", "category", "users", "share"],
        height=420,
        key="segment-list",
        counts=("users",),
        column_config={
            "item": _("Item"),
            "category": _("Category"),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "share": st.column_config.NumberColumn(_("Share"), format="percent"),
        },
    )
    frame.take_away(table, "segment-list")
