"""A part of the Models page: what each block of the profile holds, and what it cost."""

from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline.block_facts import block_facts
from pages.parts import frame
from pages.parts.encoder_card import BLOCK_WORDS
from pages.parts.text import _, number, percent, whole

SOURCE_WORDS = {
    "counts": "what each shopper did: how recently, how often, for how much, in which rhythm and breadth",
    "text": "texts of the items touched, newer acts counting more",
    "sequence": "acts in their order, with items, prices and the time between them",
    "graph": "shoppers, items, categories and brands that acts join",
    "narrative": "the history told as a short text",
    "image": "pictures of the items touched",
    "facts": "facts of the items touched",
    "ids": "which of the most touched items were touched",
}


def blocks_held(manifest: dict[str, Any]) -> None:
    """Draw a row for each block of a profiles run."""
    st.subheader(_("Blocks of the profile"))
    facts = block_facts(manifest)
    rows = pd.DataFrame(
        {
            "block": [_(BLOCK_WORDS[row.block]) for row in facts],
            "source": [_(SOURCE_WORDS[row.block]) for row in facts],
            "values": [whole(row.values) for row in facts],
            "cost": ["–" if row.cpu_seconds is None else number(row.cpu_seconds, 1) for row in facts],
            "empty": ["–" if row.empty_share is None else percent(row.empty_share) for row in facts],
        }
    )
    frame.table(
        rows,
        key="blocks-held",
        height=340,
        column_config={
            "block": _("Block"),
            "source": st.column_config.TextColumn(_("What goes in"), width="large"),
            "values": _("Numbers for a shopper"),
            "cost": st.column_config.TextColumn(
                _("CPU seconds"), help=_("Of this run; texts and pictures read before come from the cache.")
            ),
            "empty": st.column_config.TextColumn(_("Shoppers without it"), help=_("Share of the shoppers whose numbers are all 0.")),
        },
    )
