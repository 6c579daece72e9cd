"""Look-alikes: shoppers who are like a list of others."""

import streamlit as st

from core.errors import CoreError
from core.pipeline import outcomes, planning
from core.pipeline.screens import Screen
from pages.parts import frame
from pages.parts.audiences.conditions import id_list
from pages.parts.text import _, chance, counted, number, percent, plain, said, whole


def look_alikes(here: Screen) -> None:
    """Choose a list, see who is like it and how well that works, save them as an audience."""
    if frame.needs(here, "profiles") is None:
        return
    st.subheader(_("Shoppers like these"))
    names = [record["name"] for record in outcomes.saved_audiences(here)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(_("Like the audience"), names, index=None, placeholder=_("or give ids below"), key="alike-audience")
        most = st.number_input(_("Shoppers to find"), 10, 100_000, 500, step=100, key="alike-most")
    ids = [] if chosen else id_list("alike-ids")
    try:
        seeds = planning.seeds_of(here, chosen) if chosen else tuple(ids)
        if not seeds:
            st.caption(_("Choose an audience or give ids: others like them are found by their profiles."))
            return
        found = planning.alike(here, seeds, int(most))
    except CoreError as error:
        st.error(plain(said(error)))
        return
    _evidence(found)
    shown = found.rows.assign(propensity=[chance(value) for value in found.rows["propensity"]])
    frame.table(
        shown.head(200),
        height=360,
        key="alike",
        column_config={
            "user_id": _("Shopper id"),
            "similarity": st.column_config.NumberColumn(_("Similarity"), format="%.3f"),
            "propensity": _("Purchase chance"),
        },
    )
    frame.take_away(found.rows, "alike")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(_("Name of the audience"), value=_("Look-alikes"), max_chars=80, key="alike-name")
        if st.button(_("Save as audience"), type="primary", key="alike-save"):
            rule = {"users": list(found.rows["user_id"])}
            outcomes.save_audience(
                here,
                {
                    "name": name.strip() or _("Look-alikes"),
                    "rule": rule,
                    "holdout": 0.1,
                    "cost": 0.0,
                    "margin": 0.0,
                    "users": len(found.rows),
                },
            )
            st.toast(_("Saved."))


def _evidence(found: planning.Alike) -> None:
    if found.unknown:
        st.caption(_("{n} of the ids have no profile and were left out.", n=whole(found.unknown)))
    if found.evidence is None:
        frame.gate(
            _(
                "The list has {n} shoppers; from {least} on, held-out ones tell how well this works.",
                n=counted(found.known),
                least=planning.LEAST_SEEDS,
            )
        )
        return
    told = found.evidence
    frame.tiles(
        "alike",
        [
            (_("Shoppers in the list"), counted(told.seeds), None, None),
            (
                _("Held-out ones found again"),
                percent(told.recall, 0),
                plain(f"[{percent(told.low, 0)}, {percent(told.high, 0)}]"),
                _(
                    "Each fifth was held out in turn: its share among the {n} most alike to the rest.",
                    n=whole(told.depth),
                ),
            ),
            (_("At random"), percent(told.by_chance, 0), None, _("The share that a list of the same length drawn at random would hold.")),
            (_("Better than random"), f"{number(told.lift, 1)}×", None, None),
        ],
    )
