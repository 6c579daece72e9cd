"""A part of the Propensity page: what a contact costs, what a buyer earns, how deep it pays, who they are, and the audience of it."""

from typing import Any

import pandas as pd
import streamlit as st

from core.insights.profit import Expected
from core.pipeline import worth
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.text import _, amount, chance, counted, interval, number, part_of, people, percent, plain, size_told
from pages.parts.traits import segment_names_shown
from pages.parts.words import band_word

WAY_WORDS = {"depth": "the depth chosen above", "even": "as deep as it pays", "budget": "as deep as the budget reaches"}
CONTROL = 0.1
"""Share kept out when a control group is asked for."""
KIND_OF_GROUP_WORDS = {"band": "Known of the shopper", "segment": "Segment"}


def profit(here: Screen, manifest: dict[str, Any]) -> None:
    """Draw profit by depth, what is expected of those taken and who they are; save them as an audience."""
    st.subheader(_("What it earns"))
    area = (((manifest.get("metrics") or {}).get("models") or {}).get("propensity") or {}).get("auc") or {}
    if (low := area.get("low")) is not None and low <= 0.5:
        frame.gate(
            _(
                "In the test window the chances did not tell shoppers apart (AUC {auc} {range}; 0.5 is guessing): a depth by chance earns "
                "no more than as many shoppers drawn at random.",
                auc=number(area.get("value")),
                range=interval(low, area.get("high")),
            )
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        cost = st.number_input(_("Cost of a contact"), 0.0, 1e6, 0.0, step=0.1, key="profit-cost")
        margin = st.number_input(_("Margin of a buyer"), 0.0, 1e9, 0.0, step=1.0, key="profit-margin")
        budget = st.number_input(_("Budget (0: none)"), 0.0, 1e12, 0.0, step=100.0, key="profit-budget")
        ways = [way for way in worth.WAYS if (way != "even" or margin) and (way != "budget" or (budget and cost))]
        way = st.selectbox(_("How deep"), ways, format_func=lambda w: _(WAY_WORDS[w]), key="profit-way")
    depth = (state.flag("depth") or 20) / 100
    asked = {"depth": depth, "cost": cost, "margin": margin, "budget": budget}
    everyone = len(state.ask(worth.ranked, here)[0])
    taken = worth.reach(here, way, **asked)
    found = worth.expected(here, taken)
    _figures(here, found, cost, margin)
    if margin:
        _curve(here, everyone, taken, cost, margin)
    else:
        st.caption(_("Give the margin of a buyer, and the cost of a contact, to see what each depth earns."))
    _who(here, taken)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(_("Name of the audience"), value=_("Likeliest to act"), max_chars=80, key="profit-name")
        control = st.checkbox(
            _("Keep 10% out as a control group"),
            key="profit-control",
            help=_("A tenth, drawn by lot, stays out of the file: only against them can what the contact adds be measured."),
        )
        if st.button(_("Save as audience"), type="primary", key="profit-save", disabled=not taken):
            size = worth.save(here, name.strip() or _("Likeliest to act"), way, holdout=CONTROL if control else 0.0, **asked)
            st.toast(
                _(
                    "Saved with {n} shoppers{told}. It stands on the page Audiences.",
                    n=people(size.everyone.users),
                    told=size_told(size.everyone.expected_buyers, people(size.holdout_users)),
                )
            )


def _figures(here: Screen, found: Expected, cost: float, margin: float) -> None:
    value, low, high = found.profit(cost, margin)
    even = worth.reach(here, "even", depth=1.0, cost=cost, margin=margin, budget=0.0)
    everyone = len(state.ask(worth.ranked, here)[0])
    tiles = [
        (_("Shoppers contacted"), counted(found.users), _("{share} of all scored", share=part_of(found.users, max(everyone, 1))), None),
        (
            _("Expected to act"),
            f"{number(found.buyers, 0)} ± {number(found.sd, 0)}",
            plain(_("[{low}, {high}] with calibration error", low=number(found.low, 0), high=number(found.high, 0))),
            _("Sum of purchase chances, as if nobody were contacted; ± is one standard deviation by chance alone."),
        ),
    ]
    if margin:
        tiles += [
            (
                _("Expected profit"),
                amount(value),
                plain(interval(low, high, "amount")),
                _("Expected buyers × margin − contacts × cost. It takes every buyer's margin, also of those who would have bought anyway."),
            ),
            (
                _("Break-even"),
                part_of(even, max(everyone, 1)),
                _("{n} shoppers with a chance of {chance} or more", n=counted(even), chance=plain(chance(min(cost / margin, 1.0)))),
                _("Contact while chance × margin pays the cost."),
            ),
        ]
    frame.tiles("profit", tiles)


def _curve(here: Screen, everyone: int, taken: int, cost: float, margin: float) -> None:
    curve: pd.DataFrame = state.ask(worth.profit_curve, here, cost, margin)
    even = worth.reach(here, "even", depth=1.0, cost=cost, margin=margin, budget=0.0)
    words = {
        "x": _("share of shoppers contacted"),
        "y": _("profit"),
        "expected": _("expected now"),
        "measured": _("measured in the test window"),
        "band": _("95% band by resampling shoppers"),
    }
    marks = {_("chosen"): taken / max(everyone, 1), _("break-even"): even / max(everyone, 1)}
    frame.chart(charts.profit(curve, marks, words, state.look()), curve, "profit", _("Profit by depth"))
    if "measured" in curve:
        best = curve.loc[curve["measured"].idxmax()]
        st.caption(
            _(
                "In the test window, scaled to the {n} shoppers scored now, the most was earned at {depth}: {value} {band}.",
                n=counted(everyone),
                depth=percent(best["depth"], 0),
                value=plain(amount(best["measured"])),
                band=plain(interval(best["low"], best["high"], "amount")),
            )
        )


def _who(here: Screen, taken: int) -> None:
    rows: pd.DataFrame = state.ask(worth.who, here, taken)
    if not len(rows):
        return
    names = segment_names_shown(here) if here.run_id("atlas") else {}
    shown = rows.assign(
        group=[
            band_word(group) if kind == "band" else names.get(int(group), str(group))
            for kind, group in zip(rows["kind"], rows["group"], strict=True)
        ],
        kind=[_(KIND_OF_GROUP_WORDS[kind]) for kind in rows["kind"]],
        lift=["–" if lift != lift else f"{lift:.2f}×" for lift in rows["lift"]],
    )
    with st.expander(_("Who they are")):
        frame.table(
            shown,
            key="profit-who",
            counts=("users",),
            column_order=["kind", "group", "users", "share", "all_share", "lift", "buyers"],
            column_config={
                "kind": _("Grouped by"),
                "group": _("Group"),
                "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
                "share": st.column_config.NumberColumn(_("Share of those contacted"), format="percent"),
                "all_share": st.column_config.NumberColumn(_("Share of all"), format="percent"),
                "lift": _("Ratio"),
                "buyers": st.column_config.NumberColumn(_("Expected to act"), format="%.0f"),
            },
        )
        frame.take_away(shown, "profit-who")
