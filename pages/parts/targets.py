"""The parts of the Audiences page: rule builder, live size and value, export, saved audiences."""

from typing import Any

import streamlit as st

from core.errors import CoreError
from core.pipeline import outcomes
from core.pipeline.screens import Screen
from core.schema import EVENT_TYPES
from pages.parts import frame, state
from pages.parts.text import _, amount, chance, minute, number, percent, plain, said, whole
from pages.parts.traits import segment_names_shown
from pages.parts.words import column_word, event_word

Rule = dict[str, Any]


def build_rule(here: Screen) -> Rule:
    """Draw the conditions and return their rule; several conditions must all hold, or any of them."""
    with st.container(border=True):
        st.subheader(_("Who belongs to it"))
        joined = st.radio(
            _("Conditions"),
            ["all", "any"],
            format_func=lambda j: _("all must hold") if j == "all" else _("any may hold"),
            horizontal=True,
            key="join",
        )
        left, right = st.columns(2, gap="large")
        with left:
            parts = [*_segments(here), *_chances(here)]
        with right:
            parts += [*_behaviour(here), *_attributes(here)]
    return {str(joined): parts} if parts else {"all": []}


def outcome(here: Screen, rule: Rule) -> None:
    """Draw size, expected buyers and value; save; export."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        holdout = st.slider(_("Kept out to measure the effect (holdout), percent"), 0, 50, 10, key="holdout") / 100
        cost = st.number_input(_("Cost of a contact"), 0.0, 1e6, 0.0, step=0.1, key="cost")
        margin = st.number_input(_("Margin of a buyer"), 0.0, 1e9, 0.0, step=1.0, key="margin")
    try:
        names = segment_names_shown(here) if here.run_id("atlas") else {}
        found = outcomes.size(here, rule, holdout=holdout, cost=cost, margin=margin, segment_names=names)
    except CoreError as error:
        st.error(plain(said(error)))
        return
    _figures(found, margin)
    with st.container(border=True):
        st.markdown(plain(said(found.sentence)))
        with st.popover(_("Show SQL")):
            st.code(found.sql, language="sql")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(_("Name of the audience"), value=_("New audience"), max_chars=80, key="audience-name")
        hashed = st.checkbox(_("Hash the ids"), key="hashed", help=_("SHA-256 without salt, as ad platforms want it."))
        record = {
            "name": name.strip() or _("New audience"),
            "rule": rule,
            "holdout": holdout,
            "cost": cost,
            "margin": margin,
            "users": found.size.everyone.users,
        }
        if st.button(_("Save"), key="audience-save"):
            outcomes.save_audience(here, record)
            st.toast(_("Saved."))
        if st.button(_("Prepare the file"), type="primary", key="audience-export", disabled=not found.size.exported.users):
            _export(here, record, hashed)
    _download(here, rule)


def saved(here: Screen) -> None:
    """List what was saved, with export and removal."""
    found = outcomes.saved_audiences(here)
    st.subheader(_("Saved audiences"))
    if not found:
        st.caption(_("None yet. Build one above, or draw around shoppers on the map."))
    for place, record in enumerate(found):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{plain(record['name'])}** · "
                + _("{n} shoppers when saved on {time}", n=whole(record.get("users")), time=minute(record["saved"], here.zone)),
                width="stretch",
            )
            if st.button(_("Prepare the file"), key=f"export-{place}"):
                _export(here, record, hashed=False)
                st.rerun()
            if st.button(_("Remove"), key=f"remove-{place}"):
                outcomes.delete_audience(here, record["name"])
                st.rerun()


def _segments(here: Screen) -> list[Rule]:
    if here.run_id("atlas") is None:
        st.caption(_("Segments can be chosen once the map is drawn."))
        return []
    names = segment_names_shown(here)
    chosen = st.multiselect(
        _("Segment is one of"),
        list(names),
        format_func=names.__getitem__,
        key="rule-segments",
        placeholder=_("any"),
        select_all=False,
    )
    return [{"segment": [int(segment) for segment in chosen]}] if chosen else []


def _chances(here: Screen) -> list[Rule]:
    if here.run_id("propensity") is None:
        st.caption(_("Purchase chances can be used once they are trained."))
        return []
    parts: list[Rule] = []
    low, high = st.slider(_("Purchase chance, percent"), 0, 100, (0, 100), key="rule-chance")
    if (low, high) != (0, 100):
        parts.append({"propensity": {**({"at_least": low / 100} if low else {}), **({"at_most": high / 100} if high < 100 else {})}})
    top = st.slider(_("Among the best … percent by chance"), 1, 100, 100, key="rule-top")
    return [*parts, {"percentile": {"top": top}}] if top < 100 else parts


def _behaviour(here: Screen) -> list[Rule]:
    cells = st.columns(2)
    kind = cells[0].selectbox(_("Did"), ["", *EVENT_TYPES], format_func=lambda k: event_word(k) if k else _("anything"), key="rule-event")
    category = cells[1].selectbox(
        _("In category"), ["", *state.ask(outcomes.category_names, here)], format_func=lambda c: c or _("any"), key="rule-category"
    )
    if not kind and not category:
        return []
    cells = st.columns(3)
    how = cells[0].selectbox(
        _("How often"), ["at_least", "at_most"], format_func=lambda h: _("at least") if h == "at_least" else _("at most"), key="rule-how"
    )
    times = cells[1].number_input(_("Times"), 0 if how == "at_most" else 1, 10_000, 1, key=f"rule-times-{how}")
    days = cells[2].number_input(_("In the last … days (0: ever)"), 0, 3650, 0, key="rule-days")
    part: Rule = {
        how: int(times),
        **({"event_type": kind} if kind else {}),
        **({"category": category} if category else {}),
        **({"days": int(days)} if days else {}),
    }
    return [{"behaviour": part}]


def _attributes(here: Screen) -> list[Rule]:
    found = state.ask(outcomes.attributes, here)
    if not found:
        st.caption(_("The log has no shopper attributes (age, region …), so none can be chosen."))
        return []
    cells = st.columns(2)
    column = cells[0].selectbox(
        _("Attribute"), ["", *found], format_func=lambda c: column_word(c) if c else _("none"), key="rule-attribute"
    )
    if not column:
        return []
    values = cells[1].multiselect(_("Is one of"), found[column], key=f"rule-values-{column}", placeholder=_("any"), select_all=False)
    return [{"attribute": {"column": column, "in": values}}] if values else []


def _figures(found: outcomes.Audience, margin: float) -> None:
    size = found.size
    detect = _("a relative difference of {share} would be found", share=percent(size.detectable_lift, 0)) if size.detectable_lift else None
    value = amount(size.exported.expected_value) if margin else "–"
    even = (
        _("pays above a chance of {chance}: {n} shoppers", chance=plain(chance(size.break_even)), n=whole(size.worth_contacting))
        if size.break_even is not None
        else _("give cost and margin")
    )
    frame.tiles(
        "audience",
        [
            (_("Shoppers"), whole(size.everyone.users), _("{n} in the file", n=whole(size.exported.users)), None),
            (
                _("Expected to act"),
                number(size.everyone.expected_buyers, 0),
                plain(f"[{number(size.everyone.low, 0)}, {number(size.everyone.high, 0)}]"),
                _("Sum of purchase chances if nobody is contacted; the range holds chance and calibration error."),
            ),
            (_("Holdout"), whole(size.holdout_users), detect, _("Drawn by a hash of the id: the same shoppers stay out each time.")),
            (_("Expected value"), value, even, _("Expected buyers × margin − contacts × cost, of the shoppers in the file.")),
        ],
    )
    if size.without_consent is not None:
        st.caption(_("{n} shoppers without consent are left out of the file.", n=whole(size.without_consent)))
    for warning in size.warnings:
        st.caption(plain(said(warning)))


def _export(here: Screen, record: dict[str, Any], hashed: bool) -> None:
    path, manifest = outcomes.export(
        here, record["name"], record["rule"], holdout=record["holdout"], cost=record["cost"], margin=record["margin"], hashed=hashed
    )
    state.put("exported", (here.name, str(path), manifest["rows"], repr(record["rule"])))


def _download(here: Screen, rule: Rule) -> None:
    exported = state.flag("exported")
    if not exported or exported[0] != here.name:
        return
    path, rows = outcomes.Path(exported[1]), exported[2]
    if path.is_file():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.download_button(
                _("Download CSV · {n} shoppers", n=whole(rows)),
                data=path.read_bytes(),
                file_name=path.name,
                mime="text/csv",
                type="primary",
                key="audience-download",
                on_click="ignore",
            )
            st.caption(_("The manifest with rule, cutoff, runs and counts lies beside it."))
