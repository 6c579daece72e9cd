"""Why a shopper's chance in one category is what it is: her chances by category, and one of them by named parts."""

import streamlit as st

from core.errors import CoreError
from core.pipeline import why_questions
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.steps import draw_steps, residual_sentence, step_path
from pages.parts.text import _, chance, listed, number, plain, said
from pages.parts.words import category_model_word, group_word

SHOWN = 100
"""Categories to choose from, the likeliest first."""
PART_WORDS = {
    "own counts": "bought and touched in this category",
    "own recency": "how long ago, and how regularly",
    "alike baskets": "what shoppers with alike baskets buy",
    "text affinity": "what her items say, near to this category",
    "other categories": "bought in other categories",
    "shopper at large": "the shopper at large",
}
"""Parts of a chance by category, as they are shown."""
COUNT_WORDS = {
    "days_bought": "days with a purchase",
    "days_bought_28d": "days with a purchase, 28 days",
    "days_since_purchase": "days since the last purchase",
    "touches_28d": "acts in 28 days",
    "gap_mean_days": "days between purchases",
}
"""Counts of the pair that are told below the picture."""


def by_category(here: Screen, user_id: str) -> None:
    """Choose one of a shopper's categories and draw what its chance is made of; nothing when the run knows no chances by category."""
    table = state.ask(why_questions.category_chances, here, user_id).head(SHOWN)
    if not len(table):
        return
    st.subheader(_("Why a chance in one category"))
    chances = dict(zip(table["category"], table["propensity"], strict=True))
    chosen = st.selectbox(
        _("Category"), list(chances), format_func=lambda name: f"{name} · {chance(chances[name])}", key=f"why-category-{user_id}"
    )
    if not st.toggle(_("Show what this chance is made of"), key="why-category-shown"):
        return
    try:
        with st.spinner(_("Asking the model; the first question takes a while, later ones do not.")):
            found = state.ask(why_questions.why_category, here, user_id, chosen)
    except CoreError as error:
        st.error(plain(said(error)))
        return
    rows = [
        {"name": _(PART_WORDS[s["name"]]) if s["name"] in PART_WORDS else group_word(s["name"]), **step_path(s)} for s in found["steps"]
    ]
    draw_steps(_("usual shopper"), found, rows, "why-category", _("Why a chance in one category"))
    told = [
        f"{_(word)}: {number(found['counted'][name], 1)}" for name, word in COUNT_WORDS.items() if found["counted"].get(name) is not None
    ]
    st.caption(
        _(
            "{model}. Exact Shapley values against {n} shoppers of the same category; range {low} – {high}.",
            model=category_model_word(found["model"]),
            n=found["background_rows"],
            low=plain(chance(found["low"])),
            high=plain(chance(found["high"])),
        )
        + " "
        + residual_sentence(found)
        + (" " + plain(listed(told)) + "." if told else "")
    )
    frame.notes(found.get("warnings", []))
