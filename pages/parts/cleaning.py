"""The cleaning rules of an import: a switch for each that can be switched off, and the numbers it works with."""

from typing import Any

import streamlit as st

from core.pipeline.intake import RULES
from pages.parts import controls
from pages.parts.text import _, listed, plain
from pages.parts.words import rule_sentence, rule_word

PARAMETER_WORDS = {
    "time_out_of_range.earliest_year": "Earliest year",
    "dwell_cap.seconds": "Longest dwell time, seconds",
    "duplicates.seconds": "Same act within … seconds",
    "robots.per_hour": "Acts in an hour, at most",
    "robots.per_day": "Acts in a day, at most",
    "robots.even_gaps": "Even distances in a row (0: any)",
    "robots.zero_dwell": "Stays of 0 s in a row (0: any)",
    "price_outliers.times": "Times above or below the median",
    "price_outliers.seen": "Earlier prices of the item, at least",
}
LARGEST = {"earliest_year": 9999}
MOST = 1_000_000


def cleaning_form() -> dict[str, Any]:
    """Draw the rules folded and return those that differ from the default, as `rules` of a mapping takes them."""
    given: dict[str, Any] = {}
    with st.expander(_("Cleaning rules")):
        st.caption(_("Rows that a rule takes are put aside, never deleted: each can be read and downloaded after the import."))
        open_rules = [rule for rule in RULES if not rule.fixed]
        for cell, rule in zip(controls.cells(len(open_rules)), open_rules, strict=True):
            with cell:
                on = st.toggle(rule_word(rule.id), value=rule.usual, key=f"rule-on-{rule.id}", help=plain(rule_sentence(rule.id)))
                numbers = {
                    name: st.number_input(
                        _(PARAMETER_WORDS[f"{rule.id}.{name}"]),
                        0 if name != "earliest_year" else 1,
                        LARGEST.get(name, MOST),
                        int(usual),
                        key=f"rule-{rule.id}-{name}",
                        disabled=not on,
                    )
                    for name, usual in rule.parameters.items()
                }
            changed = {name: int(number) for name, number in numbers.items() if number != rule.parameters[name]}
            if on != rule.usual and not (on and changed):
                given[rule.id] = on
            elif on and changed:
                given[rule.id] = changed
        fixed = listed(rule_word(rule.id) for rule in RULES if rule.fixed)
        st.caption(_("Always on, as such rows cannot be placed in the log: {rules}.", rules=fixed))
    return given
