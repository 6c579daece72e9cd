"""Doubtful events on the Data page: users whose acts no person makes, and what stricter cleaning rules would take."""

from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import quality, screens
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.text import _, said, whole
from pages.parts.words import rule_word

MOST_COUNTED = 3_000_000
"""Events up to which stricter rules are tried unasked; it sorts the whole log."""


def robots(here: Screen) -> None:
    """Draw the users that the robot rule caught, with what it took and what stays."""
    found = pd.DataFrame(state.ask(quality.quality, here)["robots"])
    if not len(found):
        return
    st.subheader(_("Robots"))
    st.caption(
        _(
            "Acts faster than a person's were put aside. What such a user did before being caught stays: no rule looks at later "
            "events. Leave the user out of audiences, or import again with other limits, if that is too much."
        )
    )
    frame.table(
        found,
        height=300,
        key="robots",
        column_order=["user_id", "rows", "events"],
        column_config={
            "user_id": _("Shopper"),
            "rows": st.column_config.NumberColumn(_("Rows put aside"), format="localized"),
            "events": st.column_config.NumberColumn(_("Events that stay"), format="localized"),
        },
    )
    frame.take_away(found, "robots")


def stricter(here: Screen) -> None:
    """Draw how many events stricter rules would take; counted on demand where the log is large."""
    with st.expander(_("What stricter rules would take")):
        events = int(state.ask(screens.manifest, here).get("events") or 0)
        asked = f"stricter-{here.name}-{here.version}"
        if events > MOST_COUNTED and not state.flag(asked):
            if not st.button(_("Count"), key="stricter-count"):
                return
            state.put(asked, True)
        _stricter(state.ask(quality.stricter_rules, here))


def _stricter(found: dict[str, Any]) -> None:
    rows = [
        {
            "rule": _("Same act of a shopper on an item within {n} s merged", n=row["seconds"]),
            "rows": row["rows"],
            "share": row["share"],
            "examples": "",
        }
        for row in found["near"]
    ]
    rows += [
        {
            "rule": rule_word(rule),
            "rows": row["rows"],
            "share": row["share"],
            "examples": "; ".join(
                _("row {row}: {reason}", row=whole(e["source_row"]), reason=said(quality.row_reason(str(e["reason"]))))
                for e in row["examples"]
            ),
        }
        for rule, row in found["flags"].items()
    ]
    frame.table(
        pd.DataFrame(rows),
        height=300,
        key="stricter",
        column_config={
            "rule": st.column_config.TextColumn(_("Rule"), width="medium"),
            "rows": st.column_config.NumberColumn(_("Rows"), format="localized"),
            "share": st.column_config.NumberColumn(_("Share of events"), format="percent"),
            "examples": st.column_config.TextColumn(_("Examples"), width="large"),
        },
    )
    st.caption(_("None of these rules is on. Switch one on below “Cleaning rules” when the log is loaded again."))
