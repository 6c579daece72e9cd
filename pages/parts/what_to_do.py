"""What to do: a card for each thing that is large and sure enough to act on, with its size, interval and n."""

import streamlit as st

from core.errors import CoreError
from core.pipeline import advising
from core.pipeline.advising import LEAST, Advice
from core.pipeline.behaviour import NO_FILTERS, Filters, Period
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.text import _, amount, number, people, percent, plain

TITLE_WORDS = {
    "open_carts": "Open carts",
    "win_back": "Good buyers who stopped",
    "low_conversion": "Seen by many, bought by few",
    "hidden_winner": "Seen by few, bought by many",
}


def draw(here: Screen, filters: Filters, period: Period) -> None:
    """Draw the cards, or say that there is none."""
    st.subheader(_("What to do"))
    cards = advising.advice(here, filters, period, state.ask)
    if not cards:
        st.caption(_("Nothing is large and sure enough to act on: each card needs {n} shoppers and a difference beyond chance.", n=LEAST))
        return
    for row in range(0, len(cards), 2):
        for place, card in zip(st.columns(2, gap="medium"), cards[row : row + 2], strict=False):
            with place.container(border=True, height="stretch"):
                st.markdown(f"**{_(TITLE_WORDS[card.kind])}**")
                st.markdown(_sentence(card))
                if card.kind in advising.OF_PEOPLE and filters == NO_FILTERS:
                    _save(here, card)
    st.caption(_("What was, not what an act would cause: that takes a test with a holdout."))


def _save(here: Screen, card: Advice) -> None:
    if st.button(_("Save as audience"), key=f"advice-{card.kind}"):
        try:
            advising.save_as_audience(here, card, _(TITLE_WORDS[card.kind]))
        except CoreError as error:
            frame.gate(error)
        else:
            st.toast(_("Saved. It stands on the page Audiences."))


def _sentence(card: Advice) -> str:
    n, share, low, high = people(card.people), percent(card.share), percent(card.low), percent(card.high)
    if card.kind == "open_carts":
        return _(
            "**{n} shoppers** put something into the cart within the last {days} days and have bought nothing in them. Of those who stood "
            "there a week earlier, {share} [{low}, {high}] came back by themselves (n = {base}): remind the others.",
            n=n,
            days=card.more["days"],
            share=share,
            low=low,
            high=high,
            base=people(card.base),
        )
    if card.kind == "win_back":
        told = _(
            "**{n} buyers**, {share} [{low}, {high}] of all {base}, bought often or much and then stopped: half of them have bought "
            "nothing for {days} days or more, while three of four orders follow the one before within {usual} days.",
            n=n,
            share=share,
            low=low,
            high=high,
            base=people(card.base),
            days=number(card.more["days"], 0),
            usual=number(card.more["usual"], 0 if card.more["usual"] >= 10 else 1),
        )
        if card.more["money"] is None:
            return told
        spent = _("They spent {money}, {part} of all revenue.", money=amount(card.more["money"]), part=percent(card.more["money_share"], 0))
        return f"{told} {spent}"
    values = {"name": plain(card.more["name"]), "n": n, "share": share, "low": low, "high": high, "usual": percent(card.more["overall"])}
    if card.kind == "low_conversion":
        return _(
            "**{name}**: {n} shoppers viewed it and {share} [{low}, {high}] of them bought, against {usual} of all viewers; {short} buyers "
            "fewer than usual. Look at its price, stock, pictures and reviews.",
            short=people(card.more["short_of"]),
            **values,
        )
    return _(
        "**{name}**: only {n} shoppers viewed it, and {share} [{low}, {high}] of them bought, against {usual} of all viewers. Show it "
        "where more shoppers look.",
        **values,
    )
