"""The merchant's rules on the Recommendations page: choose, write, save, put in force, take away; and the file of all lists."""

from dataclasses import replace

import streamlit as st

from core.errors import CoreError
from core.offers.rules import BOUGHT, Block, Caps, Frequency, Pin, Price, RuleSet, record_of, rules_from
from core.pipeline import offering
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.text import _, counted, plain, said, whole

BOUGHT_WORDS = {"keep": "keep them", "leave_out": "leave them out", "rebuyable": "leave out, but for what is bought again"}


def choose_rules(here: Screen) -> RuleSet:
    """Choose a saved rule set or write one; the set in force is the first choice."""
    sets, holding = offering.saved_sets(here), offering.in_force(here)
    names = ["", *sorted(sets)]
    with st.expander(_("Rules"), expanded=False):
        first = names.index(holding.name) if holding and holding.name in names else 0
        chosen = st.selectbox(
            _("Rule set"), names, index=first, format_func=lambda n: n or _("none saved: as written below"), key="rules-set"
        )
        base = offering.saved_set(here, chosen) if chosen else (holding or RuleSet())
        loaded = st.file_uploader(_("Rules from a JSON file"), type=["json"], key="rules-file")
        try:
            if loaded is not None:
                base = offering.read_rules(loaded.getvalue())
            rules = _form(base)
        except CoreError as error:
            st.error(plain(said(error)))
            return base
        st.markdown(f"**{_('In words')}**")
        for sentence in offering.words(rules):
            st.markdown("- " + plain(said(sentence)))
        _keep(here, rules, holding)
    if holding is not None:
        st.caption(_("In force for every list of this data set: {name}", name=plain(holding.name)))
    return rules


def all_lists(here: Screen, rules: RuleSet) -> None:
    """Write everyone's lists under the rules."""
    st.subheader(_("File of all lists"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k = int(st.number_input(_("Items for each shopper"), 1, 50, 10, key="lists-k", width=200))
        form = str(st.selectbox(_("Form"), ["csv", "parquet"], key="lists-form", width=160))
        if st.button(_("Make the file of all lists"), key="lists-make"):
            _make(here, rules, k, form)
    made = state.flag("lists-made")
    if made and made[0].is_file():
        path, result = made
        st.caption(_("{rows} rows for {users} shoppers", rows=whole(result["rows"]), users=counted(result["users"])))
        frame.notes(result["warnings"])
        st.download_button(_("Download all lists"), path.read_bytes(), file_name=path.name, key="lists-download", on_click="ignore")


def _make(here: Screen, rules: RuleSet, k: int, form: str) -> None:
    state.put("lists-made", None)
    try:
        with st.spinner(_("Making the lists of all shoppers")):
            state.put("lists-made", offering.export(here, rules, k, form))
    except CoreError as error:
        st.error(plain(said(error)))


def _form(base: RuleSet) -> RuleSet:
    tag = str(abs(hash(repr(base))))
    with st.container():
        name = st.text_input(_("Name of the rule set"), base.name, key=f"rules-name-{tag}", max_chars=80)
        left, middle, right = st.columns(3, gap="medium")
        bought = left.selectbox(
            _("Items bought already"),
            BOUGHT,
            index=BOUGHT.index(base.bought),
            format_func=lambda b: _(BOUGHT_WORDS[b]),
            key=f"rules-bought-{tag}",
        )
        least = middle.number_input(_("Price from"), 0.0, None, base.price.least, key=f"rules-least-{tag}")
        most = right.number_input(_("Price to"), 0.0, None, base.price.most, key=f"rules-most-{tag}")
        each = left.number_input(_("Most of one category"), 1, 200, base.caps.each, key=f"rules-each-{tag}")
        exports = middle.number_input(_("Not again within exports"), 0, 50, base.frequency.exports, key=f"rules-exports-{tag}")
        shown = right.number_input(_("Not if shown so often in 7 days"), 0, 1000, base.frequency.impressions, key=f"rules-shown-{tag}")
        block = {
            field: (left, right)[place % 2].text_area(
                _(label), "\n".join(getattr(base.block, field)), key=f"rules-{field}-{tag}", height=90
            )
            for place, (field, label) in enumerate(BLOCK_WORDS.items())
        }
        stock = middle.text_area(
            _("Stock list: ids, one a line (empty: all)"),
            "" if base.stock is None else "\n".join(base.stock),
            key=f"rules-stock-{tag}",
            height=90,
        )
        pins = middle.text_area(
            _("Pins: place and item id, one a line"),
            "\n".join(f"{p.place} {p.item}" for p in base.pins),
            key=f"rules-pins-{tag}",
            height=90,
        )
    made = replace(
        base,
        name=name.strip(),
        bought=str(bought),
        price=Price(least, most),
        caps=Caps(None if each is None else int(each), base.caps.categories),
        frequency=Frequency(int(exports), int(shown), base.frequency.days),
        block=Block(**{field: _lines(text) for field, text in block.items()}),
        stock=_lines(stock) or None,
        pins=tuple(_pin(line) for line in _lines(pins)),
    )
    return rules_from(record_of(made))


BLOCK_WORDS = {"items": "Blocked item ids", "brands": "Blocked brands", "categories": "Blocked categories", "words": "Blocked words"}


def _keep(here: Screen, rules: RuleSet, holding: RuleSet | None) -> None:
    with st.container(horizontal=True):
        if st.button(_("Save rules"), key="rules-save", disabled=not rules.name):
            version = offering.save_set(here, rules)
            st.toast(_("Saved as version {n}", n=version))
        st.button(_("Put in force"), key="rules-force", disabled=not rules.name, on_click=_force, args=(here, rules))
        st.button(
            _("Lift the rules in force"), key="rules-lift", disabled=holding is None, on_click=offering.put_in_force, args=(here, None)
        )
        frame.download_text(_("Download rules"), offering.rules_json(rules), "rules", "application/json", "json")


def _force(here: Screen, rules: RuleSet) -> None:
    offering.save_set(here, rules)
    offering.put_in_force(here, rules.name)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _pin(line: str) -> Pin:
    place, _space, item = line.partition(" ")
    return Pin(item.strip() or line, int(place) if place.isdecimal() and item.strip() else 1)
