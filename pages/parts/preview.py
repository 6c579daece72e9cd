"""The preview of one shopper's list: sliders, what-if, cards, two sources side by side, and why an item is not there."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.offers.rules import Boost, RuleSet
from core.pipeline import offering, showing
from core.pipeline.offering import Preview
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.portrait import reasons_of
from pages.parts.text import _, amount, chance, is_missing, number, plain, said
from pages.parts.words import item_names, source_word

CARDS = 10
COLUMNS = 5
IF_WORDS = {"nothing": "nothing", "boost": "lift it", "hide": "hide it"}
KIND_WORDS = {"items": "an item", "categories": "a category", "brands": "a brand"}
LIFT = 3.0
"""Factor of "lift it"."""


def preview(here: Screen, user_id: str, rules: RuleSet) -> None:
    """Draw a shopper's list under the rules, with sliders whose effect is seen at once."""
    sources = _sources(here, user_id)
    asked = adjusted(rules, sources)
    found: Preview = state.ask(offering.preview, here, user_id, asked, CARDS, last_change(here))
    before: Preview = state.ask(offering.preview, here, user_id, rules, CARDS, last_change(here))
    tell_doubts(here, asked)
    if found.short and found.taken:  # a short list of a small catalogue is no rule's doing
        told = "; ".join(said(word) for word in found.taken)
        st.warning(_("The rules leave fewer than {n} items.", n=CARDS) + f" {plain(told)}")
    _cards(here, found.table, list(before.table["item_id"]))
    with st.expander(_("As a table, with the score of each source")):
        _table(here, found.table, sources)
    _why_not(here, user_id, asked)
    _side_by_side(here, user_id, rules, sources)


def tell_doubts(here: Screen, rules: RuleSet) -> None:
    """Say what the rules name that the log does not have."""
    frame.notes(state.ask(offering.doubts, here, rules), _("The rules name what this log does not have ({n})"))


def adjusted(rules: RuleSet, sources: list[str]) -> RuleSet:
    """Draw the sliders and the what-if; return the rules as they ask for them."""
    return _what_if(_weighed(rules, sources))


def last_change(here: Screen) -> str:
    """Which export was the last of this window, which the frequency cap reads, and which rules are in force."""
    return repr((state.flag("lists-made"), offering.in_force(here)))


def _sources(here: Screen, user_id: str) -> list[str]:
    table = state.ask(offering.candidates_of, here, user_id)
    return [
        name.removeprefix("source_")
        for name in table.column_names
        if name.startswith("source_") and table[name].null_count < table.num_rows
    ]


def _weighed(rules: RuleSet, sources: list[str]) -> RuleSet:
    with st.expander(_("Weights, diversity, popularity"), expanded=False):
        columns = st.columns(4, gap="medium")
        weights = {}
        for place, name in enumerate(["blend", *sources]):
            usual = rules.weights.get(name, 0.0) if rules.weights else float(name == "blend")
            weights[name] = columns[place % 4].slider(
                plain(source_word(name)), 0.0, 1.0, min(float(usual), 1.0), 0.05, key=f"weight-{name}-{rules.name}"
            )
        left, right = st.columns(2, gap="medium")
        diversity = left.slider(
            _("Diversity"), 0.0, 1.0, rules.diversity, 0.05, key=f"diversity-{rules.name}", help=_("Spreads categories, brands and titles.")
        )
        popularity = right.slider(
            _("Popularity"),
            -1.0,
            1.0,
            rules.popularity,
            0.05,
            key=f"popularity-{rules.name}",
            help=_("Left: what few buy; right: what many buy."),
        )
    kept = {name: weight for name, weight in weights.items() if weight}
    return replace(rules, weights={} if set(kept) == {"blend"} else kept, diversity=diversity, popularity=popularity)


def _what_if(rules: RuleSet) -> RuleSet:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        act = st.selectbox(_("What if we"), list(IF_WORDS), format_func=lambda a: _(IF_WORDS[a]), key="what-if", width=200)
        kind = st.selectbox(_("This is"), list(KIND_WORDS), format_func=lambda k: _(KIND_WORDS[k]), key="what-if-kind", width=200)
        name = st.text_input(_("Its id or name"), key="what-if-name", disabled=act == "nothing").strip()[:400]
    if act == "nothing" or not name:
        return rules
    boost: Boost = rules.boost
    factors = {**getattr(boost, kind), name: LIFT if act == "boost" else 0.0}
    return replace(rules, boost=replace(boost, **{kind: factors}))


def _addresses_wanted(here: Screen) -> bool:
    """Ask whether pictures may be loaded from the addresses that the catalogue names; no is the first answer."""
    if not state.ask(showing.pictures_there, here)[1]:
        return False
    return st.toggle(
        _("Load pictures from their addresses"),
        key="picture-addresses",
        help=_("Your browser then asks the sites that the catalogue names for the pictures, and they learn which items are looked at."),
    )


def _cards(here: Screen, table: pd.DataFrame, before: list[str]) -> None:
    reasons, addresses = reasons_of(here, table), _addresses_wanted(here)
    rows, names = table.to_dict("records"), item_names(table)
    for start in range(0, len(rows), COLUMNS):
        for cell, place in zip(st.columns(COLUMNS), range(start, min(start + COLUMNS, len(rows))), strict=False):
            row = rows[place]
            with cell.container(border=True, height="stretch"):
                moved = before.index(row["item_id"]) - place if row["item_id"] in before else None
                mark = _("new here") if moved is None else "" if moved == 0 else f"{'↑' if moved > 0 else '↓'} {abs(moved)}"
                st.caption(f"{row['rank']} {mark}")
                picture = None if is_missing(row["image"]) else showing.picture_of(here, row["image"], addresses=addresses)
                if picture is not None:
                    st.image(picture, width="stretch")
                st.markdown(f"**{plain(names[place])}**")
                facts = [plain(row["category"])] if not is_missing(row["category"]) else []
                facts += [amount(row["price"])] if not is_missing(row["price"]) else []
                if facts:
                    st.caption(" · ".join(facts))
                st.markdown(plain(reasons[place]))
                told = [_("score {score}", score=number(row["score"]))]
                if not is_missing(row.get("chance")):
                    told.append(_("chance {chance}", chance=chance(row["chance"])))
                st.caption(plain(" · ".join(told)))


def _table(here: Screen, table: pd.DataFrame, sources: list[str]) -> None:
    shown = table.assign(item=item_names(table), reason=reasons_of(here, table))
    if "chance" in shown:
        shown["chance"] = [chance(value) for value in shown["chance"]]
    columns = {
        "rank": _("Place"),
        "item_id": _("Item id"),
        "item": st.column_config.TextColumn(_("Item"), width="medium"),
        "category": _("Category"),
        "price": st.column_config.NumberColumn(_("Unit price"), format="%.2f"),
        "score": st.column_config.NumberColumn(_("Score"), format="%.4f"),
        "reason": st.column_config.TextColumn(_("Reason"), width="large"),
        "path": st.column_config.TextColumn(_("Path through the item graph"), width="large"),
        "is_new": st.column_config.CheckboxColumn(_("New")),
        "chance": st.column_config.TextColumn(_("Chance")),
        **{f"source_{name}": st.column_config.NumberColumn(source_word(name), format="%.3f") for name in sources},
    }
    order = [name for name in columns if name in shown and shown[name].notna().any()]
    frame.table(shown, column_order=order, column_config=columns, height=420, key="list")
    frame.take_away(table, "list")


def _why_not(here: Screen, user_id: str, rules: RuleSet) -> None:
    st.subheader(_("Why not this item?"))
    item = st.text_input(_("Item id"), key="why-not-item").strip()[:400]
    if not item:
        st.caption(_("Type the id of an item that you miss in the list."))
        return
    found = state.ask(offering.why_not, here, user_id, rules, CARDS, item)
    for sentence in found.sentences:
        st.markdown("- " + plain(said(sentence)))
    shown = found.sources.to_pandas()
    shown["source"] = [source_word(name) for name in shown["source"]]
    frame.table(
        shown,
        key="why-not",
        column_config={
            "source": _("Source"),
            "rank": st.column_config.NumberColumn(_("Its rank"), format="%d"),
            "weight": st.column_config.NumberColumn(_("Weight"), format="%.2f"),
            "part": st.column_config.NumberColumn(_("Part of its score"), format="%.3f"),
            "part_last": st.column_config.NumberColumn(_("Of the last in the list"), format="%.3f"),
        },
    )


def _side_by_side(here: Screen, user_id: str, rules: RuleSet, sources: list[str]) -> None:
    st.subheader(_("Two sources side by side"))
    names = ["blend", *sources]
    cells = st.columns(2, gap="large")
    lists = []
    for place, cell in enumerate(cells):
        with cell:
            source = st.selectbox(
                _("Left") if place == 0 else _("Right"),
                names,
                index=min(place, len(names) - 1),
                format_func=source_word,
                key=f"side-{place}",
            )
            one: Preview = state.ask(offering.preview, here, user_id, replace(rules, weights={source: 1.0}), CARDS, last_change(here))
            own = one.table.get(f"source_{source}")  # what fills a short list up is not the source's own
            lists.append(one.table if own is None else one.table[own.notna()])
    both = set(lists[0]["item_id"]) & set(lists[1]["item_id"])
    for cell, table in zip(cells, lists, strict=True):
        with cell:
            shown = table.assign(item=item_names(table), both=[item in both for item in table["item_id"]])
            frame.table(
                shown,
                column_order=["rank", "item", "both"],
                height=420,
                key=f"side-table-{cells.index(cell)}",
                column_config={
                    "rank": st.column_config.NumberColumn(_("Place"), width="small"),
                    "item": _("Item"),
                    "both": st.column_config.CheckboxColumn(_("In both"), width="small"),
                },
            )
    st.caption(_("In both lists: {n} of {k}.", n=len(both), k=CARDS))
