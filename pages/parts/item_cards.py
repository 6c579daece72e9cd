"""Cards of the blocks that rest on items: their pictures, their facts, and which items they are."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.parts import frame
from pages.parts.text import _, number, percent, plain, said, whole
from pages.parts.words import column_word

FATE_WORDS = {
    "none": "{n} items name no picture",
    "address": "{n} name an address on the network, which is never fetched",
    "outside": "{n} lie outside the folder of the pictures",
    "missing": "{n} are not there",
    "broken": "{n} cannot be read as a picture",
    "too_large": "{n} are too large",
}
LEFT_OUT_WORDS = {"same": "{column}: the same everywhere", "many": "{column}: hardly any value comes twice"}


def image_card(manifest: dict[str, Any] | None) -> None:
    """Draw the card of the pictures: what reads them, and what became of every picture that the catalogue names."""
    card = (manifest or {}).get("image")
    if not card:
        return
    st.subheader(_("Pictures behind the profiles"))
    if card["kind"] == "classic":
        st.caption(_("No network reads the pictures here: colours and edges are counted, which tells how a thing looks, not what it is."))
    fates = card["fates"]
    frame.tiles(
        "image",
        [
            (
                _("Items with a picture"),
                percent(fates["read"] / max(1, card["items"])),
                _("{n} of {total} items", n=whole(fates["read"]), total=whole(card["items"])),
                None,
            ),
            (
                _("Read by"),
                str(card["model"]),
                _("licence {licence}", licence=plain(card["licence"])),
                _("Why this model: {why}", why=plain(said(card["why"]))),
            ),
            (
                _("Different pictures"),
                whole(card["distinct"]),
                _("{n} of them read anew", n=whole(card["encoded"])),
                _("Pictures are kept by what is in their files, so that equal ones are read once."),
            ),
            (
                _("Cost"),
                _("{seconds} CPU s", seconds=whole(card["cpu_seconds"])),
                _("{n} numbers for a shopper", n=whole(card["values"])),
                None,
            ),
        ],
    )
    told = [_(words, n=whole(fates[fate])) for fate, words in FATE_WORDS.items() if fates.get(fate)]
    if empty := card.get("users_without_pictures"):
        told.append(_("{n} shoppers touched no item with a picture", n=whole(empty)))
    if told:
        st.caption("; ".join(told))


def facts_card(manifest: dict[str, Any] | None) -> None:
    """Draw the card of the facts: which columns, how they are read, how many items or shoppers they are known of."""
    card = (manifest or {}).get("facts")
    if not card:
        return
    st.subheader(_("Facts behind the profiles"))
    if card["asks_of_people"]:
        st.warning(
            _(
                "Facts of shoppers themselves are among these. What rests on them treats people by who they are: compare groups before "
                "you act on it."
            )
        )
    st.caption(
        _(
            "A shopper has the mean of the facts of the items touched, in {n} numbers. Scales and categories come from the history alone.",
            n=whole(card["values"]),
        )
    )
    shown = pd.DataFrame(
        {
            "name": [column_word(column["name"]) for column in card["columns"]],
            "of": [_("items") if column["of"] == "items" else _("shoppers") for column in card["columns"]],
            "known": [percent(column["known"]) for column in card["columns"]],
            "read_as": [_read_as(column) for column in card["columns"]],
        }
    )
    frame.table(
        shown,
        height=260,
        key="facts",
        column_config={
            "name": _("Fact"),
            "of": _("Of"),
            "known": _("Known of"),
            "read_as": st.column_config.TextColumn(_("Read as"), width="large"),
        },
    )
    told = [_(LEFT_OUT_WORDS[why], column=plain(name)) for name, why in card["left_out"].items()]
    if empty := card.get("users_without_facts"):
        told.append(_("{n} shoppers touched no item with a fact", n=whole(empty)))
    if told:
        st.caption("; ".join(told))


def ids_card(manifest: dict[str, Any] | None) -> None:
    """Draw the card of the items themselves: how many stand alone, and how much falls to the others."""
    card = (manifest or {}).get("ids")
    if not card:
        return
    st.subheader(_("Items themselves behind the profiles"))
    st.caption(
        _(
            "A shopper is told by which of the most touched items she touched, newer acts counting more; all other items, and those that "
            "come later, share one place. Ids of shoppers and orders are no features: they say nothing of anyone new."
        )
    )
    frame.tiles(
        "ids",
        [
            (_("Items that stand alone"), whole(card["items"]), _("of {n} in the history", n=whole(card["known"])), None),
            (_("Touched among the others"), percent(card["other_share"]), None, _("Share of the weight of all acts.")),
            (
                _("Cost"),
                _("{seconds} CPU s", seconds=whole(card["cpu_seconds"])),
                _("{n} numbers for a shopper", n=whole(card["values"])),
                None,
            ),
        ],
    )


def _read_as(column: dict[str, Any]) -> str:
    if column["mean"] is not None:
        return _("number, mean {mean}, spread {spread}", mean=number(column["mean"]), spread=number(column["std"]))
    return _(
        "{n} categories and “other”, {share} of the values stand alone", n=whole(len(column["values"])), share=percent(column["covered"])
    )
