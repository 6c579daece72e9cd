"""Personal data on the import form: which columns look like it, and what shall become of them before anything is stored."""

from pathlib import Path

import streamlit as st

from core.pipeline import intake
from pages.parts.text import _, listed, percent, plain, said
from pages.parts.words import column_word

CHOICE_WORDS = {
    "pseudonyms": "Store pseudonyms instead",
    "leave": "Leave the column out",
    "clear": "Store as it is",
}


def personal_form(
    role: str, path: Path, look: intake.Look, chosen: dict[str, list[str]], saved: intake.SavedMapping | None
) -> tuple[list[str], list[str]]:
    """Warn of personal columns and ask what becomes of those that are used.

    Returns:
        Canonical columns to replace by pseudonyms, and those to leave out.
    """
    meaning = {piece: name for name, pieces in chosen.items() for piece in pieces}
    used = [hit for hit in look.personal if hit.column in meaning]
    unused = [hit for hit in look.personal if hit.column not in meaning]
    replaced = [name for name in chosen if saved and name in saved.pseudonyms and name not in {meaning[hit.column] for hit in used}]
    left_out: list[str] = []
    if used:
        st.warning(_("This file seems to hold personal data. Decide before the import: no data set holds any of it yet."))
    for hit in used:
        name = meaning[hit.column]
        choices = [
            *(["pseudonyms"] if intake.may_be_replaced(role, name) else []),
            *(["leave"] if name not in look.needed else []),
            "clear",
        ]
        choice = st.radio(
            _(
                "{column} ({meaning}) looks like {kind}: {share} of the sample, such as {example}",
                column=plain(hit.column),
                meaning=column_word(name),
                kind=said(intake.personal_words(hit)),
                share=percent(hit.share, 0),
                example=plain(hit.example),
            ),
            choices,
            index=_first_choice(choices, name, saved),
            format_func=lambda word: _(CHOICE_WORDS[word]),
            horizontal=True,
            key=f"personal-{role}-{path.name}-{hit.column}" + ("-saved" if saved else ""),
        )
        if choice == "pseudonyms":
            replaced.append(name)
        elif choice == "leave":
            left_out.append(name)
    if replaced:
        st.caption(
            _(
                "Pseudonyms are salted hashes: the same shopper keeps the same one in later files of this data set, "
                "the original is not stored, and the salt stays in the data set's folder."
            )
        )
    if unused:
        columns = listed(f"{plain(hit.column)} ({said(intake.personal_words(hit))})" for hit in unused)
        st.info(
            _(
                "This file holds personal data that nothing here uses, so it is never stored: {columns}. "
                "In rows that are put aside its values are masked.",
                columns=columns,
            )
        )
    return replaced, left_out


def _first_choice(choices: list[str], name: str, saved: intake.SavedMapping | None) -> int:
    """What was settled before, else the most careful choice that keeps the data usable."""
    if saved is None:
        return 0
    return choices.index("pseudonyms") if name in saved.pseudonyms and "pseudonyms" in choices else choices.index("clear")
