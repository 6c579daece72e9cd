"""The card of the text model: what read the item texts, why this one, and how much of them it could not read."""

from typing import Any

import streamlit as st

from pages.parts import frame
from pages.parts.text import _, percent, plain, said, whole


def encoder_card(manifest: dict[str, Any] | None) -> None:
    """Draw the card of a profiles run; a run without texts says so."""
    if manifest is None:
        return
    st.subheader(_("Text model behind the profiles"))
    card = manifest.get("card") or {}
    if "checkpoint" not in card:
        st.caption(_("The item texts were not read by a text model: profiles rest on counts."))
        return
    st.markdown(f":gray[{_('Checkpoint')}] &nbsp; **{plain(card['checkpoint'])}**")
    frame.tiles(
        "encoder",
        [
            (
                _("Size"),
                _("{size:.0f} MB", size=(card.get("bytes") or 0) / 1e6),
                _("licence {licence}", licence=plain(card.get("licence") or "–")),
                _(
                    "{n} parameters, vectors of {dim} numbers, up to {tokens} tokens a text.",
                    n=whole(card.get("parameters")),
                    dim=card.get("dim"),
                    tokens=card.get("max_tokens"),
                ),
            ),
            (
                _("Runs on"),
                f"{card.get('device', '–')}, {card.get('precision', '–')}",
                _("{n} distinct texts, {tokens} tokens", n=whole(card.get("distinct_texts")), tokens=whole(card.get("tokens"))),
                None,
            ),
            (
                _("Unknown tokens"),
                percent(card.get("unknown_share"), 2),
                None,
                _("Share of the catalogue's tokens that this model cannot read."),
            ),
            (
                _("Truncated texts"),
                percent(card.get("truncated_share"), 2),
                _("{n} texts", n=whole(card.get("truncated_texts"))),
                _("Texts longer than the model reads; their end is cut off."),
            ),
        ],
    )
    if why := card.get("why"):
        st.caption(_("Why this model: {why}", why=plain(said(why))))
