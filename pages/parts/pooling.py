"""How acts fade in the text profiles of this log: the way in use, why, and its rivals."""

from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline.screens import Screen
from pages.parts import frame
from pages.parts.text import _, counted, day, number, plain, said, whole

ACT_WEIGHT_WORDS = {
    "usual": "usual: a look a fifth of a purchase",
    "alike": "all acts alike",
    "looks a tenth": "a look a tenth of a purchase",
    "purchases alone": "purchases alone",
}


def pooling_table(here: Screen, manifest: dict[str, Any] | None) -> None:
    """Draw the half-life and weights of acts in use and, where this log chose them, what each rival reached."""
    card = (manifest or {}).get("pooling")
    if not card:
        return
    st.subheader(_("How acts fade in text profiles"))
    st.markdown(
        _(
            "An act counts half after **{days:g} days**; weights: **{weights}**. {why}",
            days=card["half_life_days"],
            weights=_(ACT_WEIGHT_WORDS[card["weights"]]),
            why=plain(said(card["why"])),
        )
    )
    if not card["rivals"]:
        return
    rows = pd.DataFrame(card["rivals"])
    is_usual = (rows["half_life_days"] == 60) & (rows["weights"] == "usual")
    shown = pd.DataFrame(
        {
            "in_use": (rows["half_life_days"] == card["half_life_days"]) & (rows["weights"] == card["weights"]),
            "days": rows["half_life_days"],
            "weights": [_(ACT_WEIGHT_WORDS[name]) for name in rows["weights"]],
            "auc": [number(value, 4) for value in rows["auc"]],
            "against": [
                "–" if usual else f"{gain:+.4f} [{low:+.4f}, {high:+.4f}]"
                for usual, gain, low, high in zip(is_usual, rows["gain"], rows["low"], rows["high"], strict=True)
            ],
        }
    )
    frame.table(
        shown,
        height=300,
        key="pooling",
        column_config={
            "in_use": st.column_config.CheckboxColumn(_("In use"), width=70),
            "days": st.column_config.NumberColumn(_("Half-life, days"), format="%.0f"),
            "weights": _("Weights of acts"),
            "auc": _("AUC"),
            "against": _("Against the usual way"),
        },
    )
    st.caption(
        _(
            "Counts and texts together, judged on {users} shoppers and {targets} in the window from {day}; intervals are wide "
            "enough for all rivals together. What judges profiles and predicts at earlier cutoffs pools the usual way.",
            users=counted(card["users"]),
            targets=_("1 target") if card["targets"] == 1 else _("{n} targets", n=whole(card["targets"])),
            day=day(card["judged_at"], here.zone),
        )
    )
    frame.take_away(rows, "pooling")
