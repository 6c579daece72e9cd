"""The conditions that the builder offers: widgets in, a part of a rule out, None while nothing is chosen."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.audiences.chances import chance_table
from core.errors import CoreError
from core.pipeline import choosing, outcomes, planning
from core.pipeline.screens import Screen
from core.schema import EVENT_TYPES, RFM_GROUPS, STAGES
from core.windows import parse_horizon, say_days
from pages.parts import state
from pages.parts.atlas.picture import LIFE_WORDS, RFM_WORDS
from pages.parts.text import _, plain, said, whole
from pages.parts.traits import segment_names_shown
from pages.parts.words import column_word, event_word, feature_word

Rule = dict[str, Any]
SIGNS = (">=", "<=", "=", "!=")


def available(here: Screen) -> dict[str, str]:
    """Return the kinds of conditions that this dataset can answer now, with their words."""
    there = state.ask(choosing.rule_scope, here)
    needs = {
        "segment": "segments",
        "chance": "scores",
        "category_chance": "categories",
        "feature": "counts",
        "stage": "groups",
        "rfm": "groups",
        "attribute": "attributes",
    }
    return {kind: word for kind, word in CONDITION_WORDS.items() if kind not in needs or needs[kind] in there}


def segment(here: Screen, key: int) -> Rule | None:
    """Choose segments."""
    names = segment_names_shown(here)
    chosen = st.multiselect(
        _("Segment is one of"),
        list(names),
        format_func=names.__getitem__,
        key=f"rule-segments-{key}",
        placeholder=_("any"),
        select_all=False,
    )
    return {"segment": [int(one) for one in chosen]} if chosen else None


def purchase_chance(here: Screen, key: int) -> Rule | None:
    """Choose a range of a chance, or the best by it."""
    which = _which_chance(here, key)
    left, right = st.columns(2)
    low, high = left.slider(_("Chance, percent"), 0, 100, (0, 100), key=f"rule-chance-{key}")
    top = right.slider(_("Among the best … percent by chance"), 1, 100, 100, key=f"rule-top-{key}")
    parts: list[Rule] = []
    if (low, high) != (0, 100):
        limits = {**({"at_least": low / 100} if low else {}), **({"at_most": high / 100} if high < 100 else {})}
        parts.append({"propensity": {**which, **limits}})
    if top < 100:
        parts.append({"percentile": {**which, "top": top}})
    return parts[0] if len(parts) == 1 else {"all": parts} if parts else None


def category_chance(here: Screen, key: int) -> Rule | None:
    """Choose a category and the least chance to buy in it, or to do another act."""
    which = _which_chance(here, key, "categories")
    left, right = st.columns(2)
    category = _category(here, left, f"rule-category-chance-{key}")
    least = right.number_input(_("Chance of at least … percent"), 0.1, 100.0, 10.0, step=1.0, key=f"rule-category-least-{key}")
    return {"category_propensity": {**which, "category": category, "at_least": float(least) / 100}} if category else None


def behaviour(here: Screen, key: int) -> Rule | None:
    """Choose an act, on what, how often and since when; also that no purchase followed."""
    cells = st.columns(5)
    kind = cells[0].selectbox(
        _("Did"), ["", *EVENT_TYPES], format_func=lambda k: event_word(k) if k else _("anything"), key=f"rule-event-{key}"
    )
    category = _category(here, cells[1], f"rule-category-{key}")
    how = cells[2].selectbox(
        _("How often"),
        ["at_least", "at_most"],
        format_func=lambda h: _("at least") if h == "at_least" else _("at most"),
        key=f"rule-how-{key}",
    )
    times = cells[3].number_input(_("Times"), 0 if how == "at_most" else 1, 10_000, 1, key=f"rule-times-{how}-{key}")
    days = cells[4].number_input(_("In the last … days (0: ever)"), 0, 3650, 0, key=f"rule-days-{key}")
    bare = st.checkbox(_("and bought nothing there in that time"), key=f"rule-bare-{key}")
    if not kind and not category:
        return None
    where = {**({"category": category} if category else {}), **({"days": int(days)} if days else {})}
    part: Rule = {"behaviour": {how: int(times), **({"event_type": kind} if kind else {}), **where}}
    return {"all": [part, {"behaviour": {"event_type": "purchase", "at_most": 0, **where}}]} if bare else part


def affinity(here: Screen, key: int) -> Rule | None:
    """Choose a category that shoppers favour more than others do."""
    left, right = st.columns(2)
    category = _category(here, left, f"rule-affinity-{key}")
    index = right.number_input(
        _("Index of at least (100: as all shoppers)"),
        101,
        100_000,
        150,
        step=10,
        key=f"rule-index-{key}",
        help=_("Share of the category in a shopper's acts, divided by its share in those of all, × 100; at least 2 acts in it."),
    )
    return {"affinity": {"category": category, "at_least": int(index)}} if category else None


def feature(here: Screen, key: int) -> Rule | None:
    """Choose a counted feature and compare it with a number."""
    cells = st.columns([3, 1, 2])
    names = state.ask(outcomes.feature_names, here)
    column = cells[0].selectbox(
        _("Feature"), ["", *names], format_func=lambda n: feature_word(n) if n else _("none"), key=f"rule-feature-{key}"
    )
    sign = cells[1].selectbox(_("Is"), SIGNS, format_func={">=": "≥", "<=": "≤", "=": "=", "!=": "≠"}.__getitem__, key=f"rule-sign-{key}")
    value = cells[2].number_input(_("Value"), value=0.0, key=f"rule-value-{key}")
    return {"feature": {"column": column, "op": sign, "value": float(value)}} if column else None


def stage(here: Screen, key: int) -> Rule | None:
    """Choose stages of life."""
    return _groups("stage", STAGES, LIFE_WORDS, _("Stage of life is one of"), key)


def rfm(here: Screen, key: int) -> Rule | None:
    """Choose RFM groups."""
    return _groups("rfm", RFM_GROUPS, RFM_WORDS, _("RFM group is one of"), key)


def attribute(here: Screen, key: int) -> Rule | None:
    """Choose values of an attribute, such as age."""
    found = state.ask(outcomes.attributes, here)
    if not found:
        st.caption(_("The log has no shopper attributes (age, region …), so none can be chosen."))
        return None
    cells = st.columns(2)
    column = cells[0].selectbox(
        _("Attribute"), ["", *found], format_func=lambda c: column_word(c) if c else _("none"), key=f"rule-attribute-{key}"
    )
    if not column:
        return None
    values = cells[1].multiselect(_("Is one of"), found[column], key=f"rule-values-{column}-{key}", placeholder=_("any"), select_all=False)
    return {"attribute": {"column": column, "in": values}} if values else None


def users(here: Screen, key: int) -> Rule | None:
    """Take ids from a file or typed in; those that the log does not know are counted by the size."""
    ids = id_list(f"rule-ids-{key}")
    return {"users": ids} if ids else None


def audience(here: Screen, key: int) -> Rule | None:
    """Choose a saved audience."""
    names = [record["name"] for record in outcomes.saved_audiences(here)]
    if not names:
        st.caption(_("None is saved yet."))
        return None
    chosen = st.selectbox(_("Audience"), names, index=None, placeholder=_("any"), key=f"rule-audience-{key}")
    return {"audience": chosen} if chosen else None


def id_list(key: str) -> list[str]:
    """Draw an upload and a text field for ids and return them, each once."""
    left, right = st.columns(2)
    file = left.file_uploader(_("File of ids (CSV, or one a line)"), type=["csv", "txt"], key=f"{key}-file")
    typed = right.text_area(_("or ids, one a line"), key=f"{key}-text", height=110)
    try:
        ids = planning.read_ids(file.getvalue() if file else b"", typed)
    except CoreError as error:
        st.error(plain(said(error)))
        return []
    if ids:
        st.caption(_("{n} ids read", n=whole(len(ids))))
    return ids


def _groups(kind: str, codes: tuple[str, ...], words: Mapping[str, str], label: str, key: int) -> Rule | None:
    chosen = st.multiselect(
        label, list(codes), format_func=lambda code: _(words[code]), key=f"rule-{kind}-{key}", placeholder=_("any"), select_all=False
    )
    return {kind: list(chosen)} if chosen else None


def _which_chance(here: Screen, key: int, base: str = "scores") -> Rule:
    """Choose act and horizon where several chances have been computed; nothing is named while the one on screen is meant."""
    there = state.ask(choosing.rule_scope, here)
    named = [one for one in state.ask(choosing.chance_runs, here) if chance_table(base, one[0], parse_horizon(one[1])) in there]
    if len(named) < 2:
        return {}
    chosen = st.selectbox(
        _("Chance of"),
        [None, *named],
        format_func=_chance_word,
        key=f"rule-which-{base}-{key}",
        help=_("Every act and horizon that was predicted from this version of the log; others are predicted on Propensity."),
    )
    return {"act": chosen[0], "horizon": chosen[1]} if chosen else {}


def _chance_word(chance: tuple[str, str] | None) -> str:
    if chance is None:
        return _("the chance on screen")
    act, horizon = chance
    return _("{act} within {days}", act=event_word(act), days=said(say_days(parse_horizon(horizon))))


def _category(here: Screen, place: Any, key: str) -> str:
    names = ["", *state.ask(outcomes.category_names, here)]
    return str(place.selectbox(_("In category"), names, format_func=lambda c: c or _("any"), key=key))


CONDITION_WORDS = {
    "behaviour": "What they did",
    "segment": "Segment",
    "chance": "Purchase chance",
    "category_chance": "Chance to buy in a category",
    "affinity": "Favours a category",
    "stage": "Stage of life",
    "rfm": "RFM group",
    "feature": "Counted feature",
    "attribute": "Attribute of the shopper",
    "users": "List of ids",
    "audience": "Saved audience",
}
CONDITIONS: Mapping[str, Callable[[Screen, int], Rule | None]] = {
    "behaviour": behaviour,
    "segment": segment,
    "chance": purchase_chance,
    "category_chance": category_chance,
    "affinity": affinity,
    "stage": stage,
    "rfm": rfm,
    "feature": feature,
    "attribute": attribute,
    "users": users,
    "audience": audience,
}
