"""The mapping form of the Data page: which column is what, which word is which act; guesses first, people decide."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import intake
from core.schema import EVENT_TYPES
from pages.parts import controls, frame, state
from pages.parts.personal import personal_form
from pages.parts.text import _, listed, percent, plain, said, whole
from pages.parts.words import column_word, event_word

NONE = ""


@dataclass(frozen=True)
class Files:
    """Files of one import, on this machine."""

    events: tuple[Path, ...]
    """At least one; the form is that of the first."""
    items: Path | None = None
    users: Path | None = None

    def roles(self) -> list[tuple[str, Path]]:
        """Return (role, path) of the files that have a form."""
        return [(role, path) for role, path in (("events", self.events[0]), ("items", self.items), ("users", self.users)) if path]


def mapping_form(files: Files, dataset: str | None = None) -> dict[str, Any]:
    """Draw the form for each file and return the mapping record that a person has on screen.

    Args:
        files: The files of the import.
        dataset: Whose saved mapping is offered before those of others.
    """
    record: dict[str, Any] = {}
    pseudonyms: list[str] = []
    for role, path in files.roles():
        look = intake.look_at(path, role)  # before its frame, which would stand empty above an error
        several = len(files.events) if role == "events" else 1
        name, more = plain(path.name), several - 1
        if more:
            name = _("{name} and 1 more file", name=name) if more == 1 else _("{name} and {n} more files", name=name, n=whole(more))
        with st.expander(_(ROLE_WORDS[role]) + f" · {name}", expanded=role == "events"):
            if several > 1:
                _other_files(files.events)
            record[role], replaced = _role(role, path, files, look, dataset)
            pseudonyms += replaced
    if pseudonyms:
        record["pseudonyms"] = list(dict.fromkeys(pseudonyms))
    return record


ROLE_WORDS = {"events": "Events", "items": "Item catalogue", "users": "Shopper attributes"}


LOOKED_AT = 20
"""Files whose columns are compared with those of the first before an import; the import itself compares all."""
USUAL = ("event_type", "item_id", "price", "quantity", "title", "category")
"""Columns that are offered in front even where none was guessed."""
CARRIED = ("time_unit", "time_format", "time_zone", "dwell_unit", "whole_ids")
"""What a saved mapping says besides columns and words, and holds for the next file of its shape, too."""


def _role(role: str, path: Path, files: Files, look: intake.Look, dataset: str | None) -> tuple[dict[str, Any], list[str]]:
    st.caption(
        _(
            "{rows} rows, {columns} columns, {size:.1f} MB",
            rows=("≈ " if look.kind != "parquet" else "") + whole(look.row_estimate),
            columns=len(look.columns),
            size=look.bytes / 1e6,
        )
    )
    shown = look.masked_sample()
    if look.personal and st.toggle(_("Show personal values in the preview"), key=f"show-personal-{role}-{path.name}"):
        shown = look.sample
    sample = pd.DataFrame(shown[:6], columns=list(look.columns))
    st.dataframe(sample, hide_index=True, height=frame.fitting(len(sample), 248))
    saved = _saved(role, path, look, dataset)
    found = {name for name, _guess in look.columns_guessed}
    if look.question and not saved and not found & set(look.needed):
        st.error(plain(said(look.question)))
        place = st.expander(_("It is a log all the same: choose its columns by hand"))
    else:
        if look.question:
            st.warning(plain(said(look.question)))
        place = st.container()
    with place:
        return _chosen(role, path, files, look, saved)


def _chosen(role: str, path: Path, files: Files, look: intake.Look, saved: intake.SavedMapping | None) -> tuple[dict[str, Any], list[str]]:
    """Draw what a person decides of one file: columns, personal data, words, the order of dates."""
    chosen = _columns_form(role, path, look, saved)
    record: dict[str, Any] = {"columns": {}}
    replaced, left_out = personal_form(role, path, look, chosen, saved)
    chosen = {name: pieces for name, pieces in chosen.items() if name not in left_out}
    record["columns"] = {name: pieces if len(pieces) > 1 else pieces[0] for name, pieces in chosen.items()} | dict.fromkeys(left_out)
    if not look.has_header:
        record["header"] = list(look.columns)
    if saved:
        record |= {name: saved.part[name] for name in CARRIED if name in saved.part}
    if role == "events":
        record |= _events_form(look, path, chosen, saved)
        record |= _date_order_form(files, chosen, saved)
        record |= _sessions_form(look, path, chosen)
    if missing := [name for name in look.needed if name not in chosen]:
        st.info(_("Still to choose: {columns}", columns=listed(column_word(name) for name in missing)))
        record["missing"] = [*missing, *record.get("missing", [])]
    return record, replaced


def _other_files(paths: tuple[Path, ...]) -> None:
    """Say which files are read with the first, and which of them have other columns than it."""
    columns = set(intake.look_at(paths[0], "events").columns)
    odd = [path.name for path in paths[1:LOOKED_AT] if set(intake.look_at(path, "events").columns) != columns]
    if odd:
        st.warning(
            _(
                "These files have other columns than the first; what they share is read as chosen here, the rest is guessed: {files}",
                files=plain(listed(odd)),
            )
        )
    else:
        st.caption(_("All files are read with this mapping; rows keep the name of their file."))


def _saved(role: str, path: Path, look: intake.Look, dataset: str | None) -> intake.SavedMapping | None:
    """Offer the mapping of an earlier file with the same columns; it is used until a person says no."""
    saved = intake.saved_mapping(state.home(), role, look.columns, dataset)
    if saved is None:
        return None
    use = st.toggle(
        _("Use the mapping saved with data set {name}", name=plain(saved.dataset)),
        value=True,
        key=f"saved-{role}-{path.name}",
        help=_("{file} had the same columns; what was settled for it is filled in.", file=plain(saved.file)),
    )
    if use:
        st.caption(
            _("Filled in as for {file} of data set {name}: the columns are the same.", file=plain(saved.file), name=plain(saved.dataset))
        )
    return saved if use else None


def _columns_form(role: str, path: Path, look: intake.Look, saved: intake.SavedMapping | None) -> dict[str, list[str]]:
    """Draw which column is what; returns canonical name → columns."""
    columns = {canonical: (list(guess.source), guess.confidence, guess.samples) for canonical, guess in look.columns_guessed}
    if saved:
        known = {name: [source] if isinstance(source, str) else list(source or []) for name, source in saved.part["columns"].items()}
        columns = {name: (pieces, 1.0, columns[name][2] if name in columns else ()) for name, pieces in known.items() if pieces}
    chosen: dict[str, list[str]] = {}
    st.markdown(_("**Which column is what?** Guesses are filled in; correct what is wrong."))
    every = list(dict.fromkeys([*look.canonical, *columns]))
    shown_first = [name for name in every if name in columns or name in look.needed or name in USUAL]
    others = [name for name in every if name not in shown_first]
    first = st.container()
    rest = st.expander(_("Other columns ({n})", n=whole(len(others)))) if others else first
    cells = [*controls.cells(len(shown_first), place=first), *controls.cells(len(others), place=rest)]
    for cell, canonical in zip(cells, [*shown_first, *others], strict=True):
        source, confidence, samples = columns.get(canonical, ([], 0.0, ()))
        joined = " + ".join(source)
        choices = [NONE, *look.columns, *([joined] if len(source) > 1 else [])]
        shown = plain(listed(samples[:3]))
        note = _("{confidence} sure; for example {values}", confidence=percent(confidence, 0), values=shown)
        with cell:
            value = st.selectbox(
                column_word(canonical) + (" *" if canonical in look.needed else ""),
                choices,
                index=choices.index(joined) if joined in choices else 0,
                key=f"map-{role}-{path.name}-{canonical}" + ("-saved" if saved else ""),
                format_func=lambda name: name or _("– none –"),
            )
            if source and value == joined:
                st.caption(_("please check: {values}", values=shown) if confidence < 0.7 else note if samples else "")
        if value:
            chosen[canonical] = source if value == joined else [value]
    return chosen


def _events_form(look: intake.Look, path: Path, chosen: dict[str, list[str]], saved: intake.SavedMapping | None) -> dict[str, Any]:
    known = dict(saved.part.get("event_types") or {}) if saved else {}
    if "event_type" not in chosen:
        settled = saved.part.get("default_event_type") if saved else None
        default = settled or look.default_event_type or "view"  # as an import takes it when nothing says what happened
        kind = st.selectbox(
            _("Every row is a …"), list(EVENT_TYPES), index=EVENT_TYPES.index(default), format_func=event_word, key=f"default-{path.name}"
        )
        return {"default_event_type": kind}
    words = intake.event_words(path, chosen["event_type"][0], look) if len(chosen["event_type"]) == 1 else []
    if words:
        st.markdown(_("**Which word is which act?**"))
    given = dict(known)
    for cell, (word, kind, count) in zip(controls.cells(len(words), 4), words, strict=True):
        meant = known.get(word, kind)
        with cell:
            value = st.selectbox(
                plain(word),
                list(EVENT_TYPES),
                index=EVENT_TYPES.index(meant or "other"),
                format_func=event_word,
                key=f"word-{path.name}-{word}" + ("-saved" if saved else ""),
                help=_("{n} times in the sample of the file", n=whole(count)),
            )
            if meant is None:
                st.caption(_("unknown word, please check"))
        if value != kind or kind is None:
            given[word] = value
    return {"event_types": given} if given else {}


def _date_order_form(files: Files, chosen: dict[str, list[str]], saved: intake.SavedMapping | None) -> dict[str, Any]:
    """Ask whether dates are day-first or month-first when no value of the files decides it."""
    if "event_time" not in chosen or (saved and saved.part.get("time_format")):
        return {}
    doubt = intake.open_date_order(files.events[:LOOKED_AT], tuple(chosen["event_time"]))
    if doubt is None:
        return {}
    before = saved.part.get("date_order") if saved else None
    spans = {order: f"{span[0]:%Y-%m-%d} – {span[1]:%Y-%m-%d}" if (span := doubt.spans[order]) else "–" for order in intake.DATE_ORDERS}
    order = st.radio(
        _("Dates such as {example}: day first or month first? No value decides it.", example=plain(doubt.example)) + " *",
        intake.DATE_ORDERS,
        index=intake.DATE_ORDERS.index(before) if before else None,
        format_func=lambda order: _("Day first") if order == "day_first" else _("Month first"),
        captions=[
            _("This one is then {day}, and the log runs {span}.", day=f"{doubt.days[order]:%Y-%m-%d}", span=spans[order])
            for order in intake.DATE_ORDERS
        ],
        horizontal=True,
        key=f"date-order-{files.events[0].name}",
    )
    if order is None:
        st.info(_("Still to choose: {columns}", columns=_("the order of day and month")))
        return {"missing": ["date_order"]}
    return {"date_order": order}


def _sessions_form(look: intake.Look, path: Path, chosen: dict[str, list[str]]) -> dict[str, Any]:
    """Ask what becomes of rows that have a session but no shopper, where the sample shows some."""
    user, session = chosen.get("user_id", []), chosen.get("session_id", [])
    if len(user) != 1 or len(session) != 1 or user == session:
        return {}
    at, of = look.columns.index(user[0]), look.columns.index(session[0])
    lacking = sum(1 for row in look.sample if not row[at].strip() and row[of].strip())
    if not lacking:
        return {}
    keeps = st.radio(
        _(
            "{n} of {all} rows of the sample have a session but no shopper. What shall become of such rows?",
            n=lacking,
            all=len(look.sample),
        ),
        [False, True],
        format_func=lambda keeps: _("Keep each session as a shopper of its own") if keeps else _("Put them aside"),
        horizontal=True,
        key=f"sessions-{path.name}",
    )
    return {"sessions_as_users": True} if keeps else {}


FORM_NOTES = ("missing", "sessions_as_users")
"""What the form keeps in a part of the record for itself."""


def settled(files: Files, record: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping as `--map` takes it: without the form's own notes, and with null for what shall stay empty."""
    paths = dict(files.roles())
    return {
        part: intake.pin_left_out(paths[part], part, {key: value for key, value in held.items() if key not in FORM_NOTES})
        if part in paths
        else held
        for part, held in record.items()
    }


def is_complete(record: dict[str, Any]) -> bool:
    """Whether every needed column of every file is chosen."""
    return not any(isinstance(part, dict) and part.get("missing") for part in record.values())


__all__ = ["Files", "is_complete", "mapping_form", "settled"]
