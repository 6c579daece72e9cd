"""Filters shared by the pages that tell what happened: chosen in one place, said in words, carried by the address."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from core.pipeline import behaviour, outcomes, screens
from core.pipeline.behaviour import Filters
from core.pipeline.screens import MOST_NAMES, Screen
from pages.parts import state
from pages.parts.text import _, day, listed, plain
from pages.parts.traits import segment_names_shown
from pages.parts.words import column_word, event_word

KEYS = ("since", "until", "event", "category", "brand", "segment", "audience", "attribute", "value")
"""Of the widgets, which are the names in the address."""


def filters(here: Screen) -> Filters:
    """Draw the filters and say in words what is looked at; what does not exist in this dataset counts as not chosen."""
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover(_("Filter")):
            unknown: list[str] = []
            chosen = _widgets(here, unknown)
        told = _told(here, chosen)
        state.put(state.FILTERS, told)  # files that are taken away name them
        if told:
            st.markdown(_("Looking only at: {filters}", filters=" · ".join(plain(words) for words in told)), width="stretch")
            st.button(_("Show everything"), key="filters-clear", on_click=_clear)
        else:
            st.caption(_("Looking at the whole log."), width="stretch")
    if unknown:
        state.put("unknown-filters", (chosen, unknown))
    left_out = state.flag("unknown-filters")
    if left_out and left_out[0] == chosen:  # until another filter is chosen
        st.warning(_("Not in this data set, and left out: {filters}.", filters=listed(plain(words) for words in left_out[1])))
    return chosen


def look_only_at(key: str, value: str) -> None:
    """Lead to the page Behaviour with one filter in force, whatever was filtered there before."""
    _clear()
    state.put(key, value)
    st.switch_page(state.flag("pages")["behaviour"])


def _widgets(here: Screen, unknown: list[str]) -> Filters:
    """One widget for each filter, empty when nothing is chosen; what was asked for and is not known is added to `unknown`, in words."""

    def seed(label: str, key: str, known: Callable[[str], Any], default: Any = None) -> None:
        is_other_attribute = key == "value" and key in st.session_state
        texts = state.seed(key, known, default)
        unknown.extend(f"{label} “{text}”" for text in texts if not is_other_attribute)

    def pick(place: Any, label: str, options: list[str], key: str, word: Callable[[str], str] = str, column: str = "") -> str | None:
        seed(label, key, lambda text: text if text in options or (column and named(here, column, text)) else None)
        return _choice(place, label, options, key, word, is_open=bool(column) and len(options) >= MOST_NAMES)

    zone, manifest = ZoneInfo(here.zone), state.ask(screens.manifest, here)
    first, last = (date.fromisoformat(day(manifest[name], here.zone)) for name in ("first_event", "last_event"))
    left, right = st.columns(2)
    for label, key in ((_("From"), "since"), (_("To, inclusive"), "until")):
        seed(label, key, lambda text: _day_between(text, first, last))
    since = _date(left, _("From"), first, last, "since")
    until = _date(right, _("To, inclusive"), first, last, "until")
    kinds = [row["event_type"] for row in state.ask(behaviour.facts, here).table.to_pylist()]
    seed(_("Kinds of events"), "event", lambda text: text if text in kinds else None, [])
    events = st.multiselect(_("Kinds of events"), kinds, key="event", persist_state="session", format_func=event_word, placeholder=_("any"))
    state.link("event", events)
    left, right = st.columns(2)
    category = pick(left, _("Category"), state.ask(outcomes.category_names, here), "category", column="category")
    brand = pick(right, _("Brand"), state.ask(behaviour.brand_names, here), "brand", column="brand")
    names = segment_names_shown(here) if here.run_id("atlas") else {}
    segment = pick(left, _("Segment"), [str(number) for number in names], "segment", lambda number: names[int(number)])
    audience = pick(right, _("Audience"), [kept["name"] for kept in outcomes.saved_audiences(here)], "audience")
    columns = state.ask(outcomes.attributes, here)
    column = pick(left, _("Attribute"), list(columns), "attribute", column_word)
    value = pick(right, _("Is"), columns.get(column or "", []), "value")
    begin = datetime.combine(since, time(), zone) if since else None
    end = datetime.combine(until + timedelta(days=1), time(), zone) if until else None
    return Filters(
        since=_utc(begin),
        until=_utc(end),
        event_types=tuple(events),
        category=category,
        brand=brand,
        segment=None if segment is None else int(segment),
        audience=audience,
        attribute=(column, value) if column and value else None,
    )


def _day_between(text: str, first: date, last: date) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if first <= found <= last else None


def _date(place: Any, label: str, first: date, last: date, key: str) -> date | None:
    chosen = place.date_input(label, min_value=first, max_value=last, key=key, persist_state="session", format="YYYY-MM-DD")
    state.link(key, chosen)
    return chosen if isinstance(chosen, date) else None


def _choice(place: Any, label: str, options: list[str], key: str, word: Callable[[str], str], *, is_open: bool) -> str | None:
    chosen: str | None = place.selectbox(
        label,
        options,
        index=None,
        key=key,
        persist_state="session",
        placeholder=_("any") if options else _("none in this log"),
        disabled=not options,
        format_func=word,
        accept_new_options=is_open,
        help=_("The {n} most frequent are listed; any other can be typed.", n=len(options)) if is_open else None,
    )
    state.link(key, chosen)
    return chosen


def named(here: Screen, column: str, text: str) -> bool:
    """Whether the log has that category or brand, which may be none of those that are listed."""
    return bool(text) and bool(state.ask(outcomes.is_named, here, column, text))


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)


def _told(here: Screen, chosen: Filters) -> list[str]:
    """Each choice in words."""
    told = []
    if chosen.since is not None:
        told.append(_("from {date}", date=day(chosen.since, here.zone)))
    if chosen.until is not None:
        told.append(_("to {date}", date=day(chosen.until - timedelta(seconds=1), here.zone)))
    if chosen.event_types:
        told.append(listed(event_word(kind) for kind in chosen.event_types))
    for name, value in ((_("Category"), chosen.category), (_("Brand"), chosen.brand), (_("Audience"), chosen.audience)):
        if value is not None:
            told.append(f"{name} “{value}”")
    if chosen.segment is not None:
        told.append(f"{_('Segment')} “{segment_names_shown(here).get(chosen.segment, chosen.segment)}”")
    if chosen.attribute is not None:
        told.append(f"{column_word(chosen.attribute[0])} “{chosen.attribute[1]}”")
    return told


def _clear() -> None:
    for key in KEYS:
        st.session_state[key] = [] if key == "event" else None
