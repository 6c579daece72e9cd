"""Build an audience: groups of conditions, its live size, the file."""

from typing import Any

import streamlit as st

from core.errors import CoreError
from core.pipeline import outcomes
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.audiences.conditions import CONDITION_WORDS, CONDITIONS, available
from pages.parts.audiences.exporting import export_panel
from pages.parts.text import _, amount, chance, number, people, percent, plain, said
from pages.parts.traits import segment_names_shown

Rule = dict[str, Any]
TREE = "audience-tree"
"""What is on screen: {"groups": [{"key", "parts": [{"key", "kind"}]}], "next": number}."""
LONGEST_SQL = 6_000
"""Signs of the statement that are shown; one with a list of a million ids would stop the browser."""


def build_and_export(here: Screen) -> None:
    """Draw the builder and, below it, what the audience is worth, its words, and the file."""
    rule = _build(here)
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
            st.code(found.sql if len(found.sql) <= LONGEST_SQL else f"{found.sql[:LONGEST_SQL]} …", language="sql")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(_("Name of the audience"), value=_("New audience"), max_chars=80, key="audience-name")
        record = {
            "name": name.strip() or _("New audience"),
            "rule": rule,
            "holdout": holdout,
            "cost": cost,
            "margin": margin,
            "users": found.size.everyone.users,
        }
        if st.button(_("Save"), key="audience-save"):
            _save(here, record)
    export_panel(here, record, found.size.exported.users)


def _build(here: Screen) -> Rule:
    """Draw the groups and return their rule; without any condition everyone is in it."""
    tree = state.flag(TREE) or {"groups": [{"key": 1, "parts": [{"key": 1, "kind": "behaviour"}]}], "next": 2}
    state.put(TREE, tree)
    kinds = available(here)
    groups = []
    with st.container(border=True):
        st.subheader(_("Who belongs to it"))
        several = len(tree["groups"]) > 1
        joined = "all"
        if several:
            joined = st.radio(
                _("Groups"),
                ["all", "any"],
                format_func=lambda j: _("all must hold") if j == "all" else _("any may hold"),
                horizontal=True,
                key="join",
            )
        for group in tree["groups"]:
            with st.container(border=several):
                if rule := _group(here, tree, group, kinds, several):
                    groups.append(rule)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.button(_("Add a group"), key="group-add", on_click=_add_group, help=_("For rules such as (A and B) or (C and not D)."))
            quiet = st.number_input(_("Leave out who bought in the last … days (0: nobody)"), 0, 3650, 0, key="rule-suppress", width=320)
    rule: Rule = groups[0] if len(groups) == 1 else {str(joined): groups} if groups else {"all": []}
    if not quiet:
        return rule
    suppressed = {"behaviour": {"event_type": "purchase", "at_most": 0, "days": int(quiet)}}
    return {"all": [*([rule] if groups else []), suppressed]}


def _group(here: Screen, tree: dict[str, Any], group: dict[str, Any], kinds: dict[str, str], several: bool) -> Rule | None:
    """Draw one group; None while none of its conditions says anything."""
    key, parts = group["key"], []
    with st.container(horizontal=True, vertical_alignment="center"):
        joined = st.radio(
            _("Conditions"),
            ["all", "any"],
            format_func=lambda j: _("all must hold") if j == "all" else _("any may hold"),
            horizontal=True,
            key=f"join-{key}",
        )
        turned = several and st.toggle(_("Everyone but these"), key=f"not-group-{key}")
        if several:
            st.button(_("Remove the group"), key=f"group-remove-{key}", on_click=_drop_group, args=(key,), type="tertiary")
    for part in group["parts"]:
        with st.container(border=True):
            if (rule := _part(here, key, part)) is not None:
                parts.append(rule)
    chosen = st.selectbox(
        _("Add a condition"),
        list(kinds),
        format_func=lambda kind: _(kinds[kind]),
        index=None,
        placeholder=_("Add a condition"),
        key=f"add-{key}-{len(group['parts'])}-{tree['next']}",
        label_visibility="collapsed",
        width=320,
    )
    if chosen:
        _add_part(key, chosen)
        st.rerun()
    if not parts:
        return None
    whole_group: Rule = parts[0] if len(parts) == 1 else {str(joined): parts}
    return {"not": whole_group} if turned else whole_group


def _part(here: Screen, group: int, part: dict[str, Any]) -> Rule | None:
    """Draw one condition with its switch and its way out; None while it says nothing."""
    key, kind = part["key"], part["kind"]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{_(CONDITION_WORDS[kind])}**", width="stretch")
        turned = st.toggle(_("Not"), key=f"not-{key}")
        st.button("✕", key=f"part-remove-{key}", on_click=_drop_part, args=(group, key), type="tertiary", help=_("Remove the condition"))
    rule = CONDITIONS[kind](here, key)
    return {"not": rule} if rule is not None and turned else rule


def _figures(found: outcomes.Audience, margin: float) -> None:
    size = found.size
    detect = _("a relative difference of {share} would be found", share=percent(size.detectable_lift, 0)) if size.detectable_lift else None
    value = amount(size.exported.expected_value) if margin else "–"
    even = (
        _("pays above a chance of {chance}: {n} shoppers", chance=plain(chance(size.break_even)), n=people(size.worth_contacting))
        if size.break_even is not None
        else _("give cost and margin")
    )
    frame.tiles(
        "audience",
        [
            (_("Shoppers"), people(size.everyone.users), _("{n} in the file", n=people(size.exported.users)), None),
            (
                _("Expected to act"),
                number(size.everyone.expected_buyers, 0) if size.everyone.scored else "–",
                plain(f"[{number(size.everyone.low, 0)}, {number(size.everyone.high, 0)}]") if size.everyone.scored else None,
                _("Sum of purchase chances if nobody is contacted; the range holds chance and calibration error."),
            ),
            (_("Holdout"), people(size.holdout_users), detect, _("Drawn by a hash of the id: the same shoppers stay out each time.")),
            (_("Expected value"), value, even, _("Expected buyers × margin − contacts × cost, of the shoppers in the file.")),
        ],
    )
    if size.without_consent is not None:
        st.caption(_("{n} shoppers without consent are left out of the file.", n=people(size.without_consent)))
    for warning in size.warnings:
        st.caption(plain(said(warning)))


def _save(here: Screen, record: dict[str, Any]) -> None:
    try:
        outcomes.save_audience(here, record)
    except CoreError as error:
        st.error(plain(said(error)))
        return
    st.toast(_("Saved."))


def _next(tree: dict[str, Any]) -> int:
    tree["next"] += 1
    return int(tree["next"])


def _add_group() -> None:
    tree = state.flag(TREE)
    tree["groups"].append({"key": _next(tree), "parts": [{"key": _next(tree), "kind": "behaviour"}]})


def _drop_group(key: int) -> None:
    tree = state.flag(TREE)
    tree["groups"] = [group for group in tree["groups"] if group["key"] != key]


def _add_part(group_key: int, kind: str) -> None:
    tree = state.flag(TREE)
    next(group for group in tree["groups"] if group["key"] == group_key)["parts"].append({"key": _next(tree), "kind": kind})


def _drop_part(group_key: int, key: int) -> None:
    tree = state.flag(TREE)
    for group in tree["groups"]:
        if group["key"] == group_key:
            group["parts"] = [part for part in group["parts"] if part["key"] != key]
