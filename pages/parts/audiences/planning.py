"""Overlap of saved audiences, a budget over them and channels, the next action for each stage of life."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.pipeline import outcomes, planning
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.atlas.picture import LIFE_WORDS
from pages.parts.text import _, amount, chance, number, people, percent, plain, said

CHANNEL_WORDS = ("E-mail", "Text message", "Advertisement")
CHANNELS = ((0.01, 5.0, None), (0.08, 8.0, None), (0.25, 6.0, None))
"""Cost of a contact, what it adds in percent of the chance, most contacts: a start to be edited, not a measurement."""


def overlap(here: Screen) -> None:
    """How many shoppers each two saved audiences share."""
    st.subheader(_("Overlap of saved audiences"))
    rules = repr([(record["name"], record["rule"]) for record in outcomes.saved_audiences(here)])
    found: pd.DataFrame = state.ask(planning.overlaps, here, rules)
    names = list(dict.fromkeys(found["left"]))
    if len(names) < 2:
        st.caption(_("Save two audiences to see how far they hold the same shoppers."))
        return
    shares = [[float(row) for row in found[found["left"] == name]["share"]] for name in names]
    figure = charts.heat(np.array(shares), names, names, _("share"), state.look(), hover_form="%{y} → %{x}: %{z:.0%}")
    frame.chart(figure, found, "overlap", _("Overlap of saved audiences"))
    frame.table(
        found[found["left"] < found["right"]],
        key="overlap",
        counts=("users",),
        column_order=["left", "right", "users", "share", "jaccard"],
        column_config={
            "left": _("Audience"),
            "right": _("and"),
            "users": st.column_config.NumberColumn(_("Shoppers in both"), format="localized"),
            "share": st.column_config.NumberColumn(_("Share of the first"), format="percent"),
            "jaccard": st.column_config.NumberColumn(_("Both ÷ either"), format="percent"),
        },
    )


def budget(here: Screen) -> None:
    """Spread a budget so that it adds most."""
    st.subheader(_("Budget"))
    if frame.needs(here, "propensity") is None:
        return
    names = [record["name"] for record in outcomes.saved_audiences(here)]
    if not names:
        st.caption(_("Save an audience first."))
        return
    chosen = st.multiselect(_("Audiences, the first has the first claim on a shopper"), names, default=names[:4], key="budget-audiences")
    with st.container(horizontal=True):
        total = st.number_input(_("Budget"), 0.0, 1e9, 100.0, step=100.0, key="budget-total")
        margin = st.number_input(_("Margin of a buyer"), 0.0, 1e9, 20.0, step=1.0, key="budget-margin")
    table = pd.DataFrame(
        [(_(name), *rest) for name, rest in zip(CHANNEL_WORDS, CHANNELS, strict=True)], columns=["name", "cost", "effect", "most"]
    )
    edited = st.data_editor(
        table,
        num_rows="dynamic",
        hide_index=True,
        key="budget-channels",
        column_config={
            "name": _("Channel"),
            "cost": st.column_config.NumberColumn(_("Cost of a contact"), min_value=0.0, format="%.2f"),
            "effect": st.column_config.NumberColumn(_("A contact adds … percent of the chance"), min_value=0.0, format="%.1f"),
            "most": st.column_config.NumberColumn(_("Most contacts (empty: any)"), min_value=0, format="%d"),
        },
    )
    st.caption(_("What a contact adds is your assumption; only a holdout can measure it. Each shopper is contacted at most once."))
    try:
        found = planning.spend(here, chosen, _channels(edited), float(total), float(margin))
    except CoreError as error:
        st.error(plain(said(error)))
        return
    if not found:
        st.info(_("No contact pays at these costs and effects: the best is to spend nothing."))
        return
    rows = planning.spent_rows(here, found)
    frame.tiles(
        "budget",
        [
            (_("Spent"), amount(rows["cost"].sum()), _("of {total}", total=amount(total)), None),
            (_("Contacts"), people(rows["users"].sum(min_count=1)), None, None),
            (_("Buyers added"), number(rows["added_buyers"].sum(), 1), None, _("Chance × what a contact adds, summed over contacts.")),
            (_("Value added"), amount(rows["added_value"].sum()), None, _("Buyers added × margin − costs.")),
        ],
    )
    frame.table(
        rows.assign(smallest=[chance(value) for value in rows["smallest"]]),
        key="budget",
        counts=("users",),
        column_config={
            "audience": _("Audience"),
            "channel": _("Channel"),
            "users": st.column_config.NumberColumn(_("Contacts"), format="localized"),
            "cost": st.column_config.NumberColumn(_("Cost"), format="%.2f"),
            "added_buyers": st.column_config.NumberColumn(_("Buyers added"), format="%.1f"),
            "added_value": st.column_config.NumberColumn(_("Value added"), format="%.2f"),
            "smallest": _("Down to a chance of"),
        },
    )
    frame.take_away(rows, "budget")


def next_actions(here: Screen) -> None:
    """A table of rules that people edit: what is done for each stage of life, and for how many."""
    st.subheader(_("Next best action by stage of life"))
    found = planning.next_actions(here)
    shown = pd.DataFrame(
        {
            "stage": [_(LIFE_WORDS[stage]) for stage in found["stage"]],
            "action": [said(text) for text in found["action"]],
            "channel": [said(text) for text in found["channel"]],
            "users": [people(n) for n in found["users"]] if here.small_cells and found["users"].notna().any() else found["users"],
            "expected_buyers": found["expected_buyers"],
        }
    )
    edited = st.data_editor(
        shown,
        hide_index=True,
        key="actions-table",
        disabled=["stage", "users", "expected_buyers"],
        column_config={
            "stage": _("Stage of life"),
            "action": st.column_config.TextColumn(_("Action"), width="large", max_chars=200),
            "channel": st.column_config.TextColumn(_("Channel"), max_chars=200),
            "users": _("Shoppers") if here.small_cells else st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "expected_buyers": st.column_config.NumberColumn(_("Expected to act"), format="%.0f"),
        },
    )
    if here.run_id("profiles") is None:
        st.caption(_("Who is in which stage is known once profiles have been computed."))
    with st.container(horizontal=True):
        if st.button(_("Save"), type="primary", key="actions-save"):
            planning.save_next_actions(here, [{**row, "stage": stage} for row, stage in zip(_rows(edited), found["stage"], strict=True)])
            st.toast(_("Saved."))
        if st.button(_("Back to the suggestions"), key="actions-reset", disabled=not bool(found["edited"].any())):
            planning.save_next_actions(here, None)
            st.rerun()
        if st.button(_("Save the stages as audiences"), key="actions-audiences", disabled=here.run_id("profiles") is None):
            for stage, users in zip(found["stage"], found["users"], strict=True):
                record = {"name": _(LIFE_WORDS[stage]), "rule": {"stage": [stage]}, "holdout": 0.1, "cost": 0.0, "margin": 0.0}
                outcomes.save_audience(here, {**record, "users": None if pd.isna(users) else int(users)})
            st.toast(_("Saved."))
    frame.take_away(shown, "next-actions")
    st.caption(_("{share} of shoppers are slipping away or gone quiet.", share=percent(_quiet(found), 0)))


def _quiet(found: pd.DataFrame) -> float | None:
    everyone = found["users"].sum()
    return float(found[found["stage"].isin(["slipping", "away"])]["users"].sum() / everyone) if everyone else None


def _channels(edited: pd.DataFrame) -> list[planning.Channel]:
    return [
        planning.Channel(
            str(row["name"]), float(row["cost"]), float(row["effect"]) / 100, None if pd.isna(row["most"]) else int(row["most"])
        )
        for row in edited.dropna(subset=["name", "cost", "effect"]).to_dict("records")
    ]


def _rows(edited: pd.DataFrame) -> list[dict[str, Any]]:
    return [{"action": row["action"], "channel": row["channel"]} for row in edited.to_dict("records")]
