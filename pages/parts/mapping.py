"""The mapping form of the Data page: which column is what, which word is which act; guesses first, people decide."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import intake
from core.schema import EVENT_TYPES
from pages.parts.text import _, percent, plain, said, whole
from pages.parts.words import column_word, event_word

NONE = ""


@dataclass(frozen=True)
class Files:
    """Files of one import, on this machine."""

    events: Path
    items: Path | None = None
    users: Path | None = None

    def roles(self) -> list[tuple[str, Path]]:
        """Return (role, path) of the files that are there."""
        return [(role, path) for role, path in (("events", self.events), ("items", self.items), ("users", self.users)) if path]


def mapping_form(files: Files) -> dict[str, Any]:
    """Draw the form for each file and return the mapping record that a person has on screen."""
    record: dict[str, Any] = {}
    for role, path in files.roles():
        with st.expander(_(ROLE_WORDS[role]) + f" · {plain(path.name)}", expanded=role == "events"):
            record[role] = _role(role, path)
    return record


ROLE_WORDS = {"events": "Events", "items": "Item catalogue", "users": "Shopper attributes"}


def _role(role: str, path: Path) -> dict[str, Any]:
    look = intake.look_at(path, role)
    st.caption(
        _(
            "{rows} rows, {columns} columns, {size:.1f} MB",
            rows=("≈ " if look.kind != "parquet" else "") + whole(look.row_estimate),
            columns=len(look.columns),
            size=look.bytes / 1e6,
        )
    )
    st.dataframe(pd.DataFrame(look.sample[:6], columns=list(look.columns)), hide_index=True, height="content")
    if look.question:
        st.warning(plain(said(look.question)))
    columns = dict(look.columns_guessed)
    chosen: dict[str, list[str]] = {}
    options = [NONE, *look.columns]
    st.markdown(_("**Which column is what?** Guesses are filled in; correct what is wrong."))
    cells = st.columns(3)
    for place, canonical in enumerate(look.canonical):
        guess = columns.get(canonical)
        label = column_word(canonical)
        needed = canonical in look.needed
        joined = len(guess.source) > 1 if guess else False
        choices = [*options, " + ".join(guess.source)] if guess and joined else options
        initial = choices.index(" + ".join(guess.source)) if guess else 0
        note = (
            _(
                "sure to {confidence}; for example {values}",
                confidence=percent(guess.confidence, 0),
                values=plain(", ".join(guess.samples[:3])),
            )
            if guess
            else None
        )
        with cells[place % 3]:
            value = st.selectbox(
                label + (" *" if needed else ""),
                choices,
                index=initial,
                key=f"map-{role}-{path.name}-{canonical}",
                format_func=lambda name: name or _("– none –"),
                help=note,
            )
            if guess and guess.confidence < 0.7:
                st.caption(_("please check: {values}", values=plain(", ".join(guess.samples[:3]))))
        if value:
            chosen[canonical] = list(guess.source) if guess and joined and value == " + ".join(guess.source) else [value]
    record: dict[str, Any] = {"columns": {name: pieces if len(pieces) > 1 else pieces[0] for name, pieces in chosen.items()}}
    if not look.has_header:
        record["header"] = list(look.columns)
    if role == "events":
        record |= _events_form(look, path, chosen)
    if missing := [name for name in look.needed if name not in chosen]:
        st.info(_("Still to choose: {columns}", columns=", ".join(column_word(name) for name in missing)))
        record["missing"] = missing
    return record


def _events_form(look: intake.Look, path: Path, chosen: dict[str, list[str]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    if "event_type" in chosen:
        words = intake.event_words(path, chosen["event_type"][0], look)
        if words:
            st.markdown(_("**Which word is which act?**"))
            cells, given = st.columns(4), {}
            for place, (word, kind, count) in enumerate(words):
                with cells[place % 4]:
                    value = st.selectbox(
                        plain(word),
                        list(EVENT_TYPES),
                        index=EVENT_TYPES.index(kind or "other"),
                        format_func=event_word,
                        key=f"word-{path.name}-{word}",
                        help=_("{n} times in the sample of the file", n=whole(count)),
                    )
                    if kind is None:
                        st.caption(_("unknown word, please check"))
                if value != kind or kind is None:
                    given[word] = value
            if given:
                record["event_types"] = given
    else:
        default = look.default_event_type or "purchase"
        record["default_event_type"] = st.selectbox(
            _("Every row is a …"), list(EVENT_TYPES), index=EVENT_TYPES.index(default), format_func=event_word, key=f"default-{path.name}"
        )
    return record


def without_marks(record: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping as `--map` takes it, without the form's own notes."""
    return {role: {key: value for key, value in part.items() if key != "missing"} for role, part in record.items()}


def is_complete(record: dict[str, Any]) -> bool:
    """Whether every needed column of every file is chosen."""
    return not any(part.get("missing") for part in record.values())


__all__ = ["Files", "is_complete", "mapping_form", "without_marks"]
