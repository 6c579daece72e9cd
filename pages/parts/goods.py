"""Categories, brands and items of a period: what is looked at, put into the cart, bought, and which items stand out."""

from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from core.pipeline import behaviour
from core.pipeline.behaviour import Filters, Period
from core.pipeline.screens import Screen
from core.small_cells import hidden_cells
from pages.parts import frame, state
from pages.parts.text import _, percent

LEVEL_WORDS = {"category": "Categories", "brand": "Brands", "item": "Items"}
NAME_WORDS = {"category": "Category", "brand": "Brand", "item": "Item"}
NONE_WORDS = {"category": "(no category)", "brand": "(no brand)", "item": "–"}
MISSING_WORDS = {
    "category": "This log has no categories; a catalogue with a category for each item would bring them.",
    "brand": "This log has no brands; a catalogue with a brand for each item would bring them.",
    "item": "This log has no items; a column that names the item of each event would bring them.",
}
COUNTS = ("users", "views", "carts", "purchases", "buyers")
"""Columns that count people or what they do."""
MOST_ROWS = 500
"""Rows on screen; files hold all of them."""
MOST_NOTABLE = 10


def draw(here: Screen, filters: Filters, period: Period) -> None:
    """Choose what goods are told by; the table, and of items those that stand out."""
    st.subheader(_("Goods"))
    level = (
        st.radio(_("By"), list(LEVEL_WORDS), format_func=lambda name: _(LEVEL_WORDS[name]), horizontal=True, key="goods-level")
        or "category"
    )
    answer = state.ask(behaviour.goods, here, filters, period, level)
    if not any(name for name in answer.table[level].to_pylist()):
        frame.gate(_(MISSING_WORDS[level]))
        return
    st.caption(
        _(
            "Conversion is the share of the active shoppers of a category, brand or item who bought in it, within the period; "
            "the cart rate is the share who put something of it into the cart."
        )
    )
    shown = answer.table.slice(0, MOST_ROWS)
    if answer.table.num_rows > MOST_ROWS:
        st.caption(_("The first {n} of {all:,} rows; the files hold all of them.", n=MOST_ROWS, all=answer.table.num_rows))
    frame.table(_named(here, shown, level), column_config=_columns(shown, level), height=380, key=f"goods-{level}", counts=COUNTS)
    frame.take_away(answer, _file(level))
    if level == "item":
        _notable(here, filters, period)


def _file(level: str) -> str:
    return {"category": "categories", "brand": "brands", "item": "items"}[level]


def _notable(here: Screen, filters: Filters, period: Period) -> None:
    """Both lists of items that stand out, each with its rule."""
    answer = state.ask(behaviour.notable_items, here, filters, period)
    rows = answer.table.to_pandas()
    st.caption(
        _(
            "Only items of {least} shoppers or more are compared: with the conversion of all pairs of a shopper and an item, {rate}, and "
            "only those stand here whose 95% interval lies on one side of it. Many items are compared, so a few stand here by chance.",
            least=behaviour.LEAST_RANKED,
            rate=percent(rows["all_rate"].iloc[0], 2) if len(rows) else "–",
        )
    )
    left, right = st.columns(2, gap="large")
    for place, name, heading, rule, none in (
        (
            left,
            "unsold",
            _("High views, low conversion"),
            _("The half of items with more shoppers; the most missing buyers first."),
            _("No item with many shoppers converts clearly below the others."),
        ),
        (
            right,
            "winner",
            _("Hidden winners"),
            _("The half of items with fewer shoppers; the most additional buyers first."),
            _("No item with few shoppers converts clearly above the others."),
        ),
    ):
        with place:
            st.markdown(f"**{heading}**")
            part = rows[rows["list"] == name].head(MOST_NOTABLE)
            if part.empty:
                st.caption(none)
                continue
            st.caption(rule)
            named = _named(here, pa.Table.from_pandas(part[["item", "users", "buyers", "buyer_rate"]], preserve_index=False), "item")
            named["range"] = [f"{percent(low)} – {percent(high)}" for low, high in zip(part["low"], part["high"], strict=True)]
            columns = {name: _all_columns("item")[name] for name in ("item", "title", "users", "buyers", "buyer_rate") if name in named}
            columns["range"] = st.column_config.TextColumn(_("95% interval"))
            frame.table(named, column_config=columns, key=f"notable-{name}", counts=COUNTS)
    frame.take_away(answer, "notable-items")


def _named(here: Screen, table: pa.Table, level: str) -> pd.DataFrame:
    """Rows with words for what has no name, and titles of items that have one."""
    rows = table.to_pandas()
    if level == "item":
        titles = state.ask(behaviour.titles, here, rows["item"].tolist())
        if titles:
            rows.insert(1, "title", [titles.get(item) for item in rows["item"]])
    return rows.assign(**{level: rows[level].replace("", _(NONE_WORDS[level]))})


def _all_columns(level: str) -> dict[str, Any]:
    number, share = st.column_config.NumberColumn, st.column_config.NumberColumn
    return {
        level: st.column_config.TextColumn(_(NAME_WORDS[level]), width="medium"),
        "title": st.column_config.TextColumn(_("Title"), width="medium"),
        "items": None if level == "item" else number(_("Items"), format="localized"),
        "users": number(_("Shoppers"), format="localized"),
        "views": number(_("Views"), format="localized"),
        "carts": number(_("Carts"), format="localized"),
        "carters": None,
        "cart_rate": share(_("Cart rate"), format="percent"),
        "purchases": number(_("Purchases"), format="localized"),
        "buyers": number(_("Buyers"), format="localized"),
        "buyer_rate": share(_("Conversion"), format="percent"),
        "revenue": number(_("Revenue"), format="localized"),
        "revenue_share": share(_("Share of revenue"), format="percent"),
    }


def _columns(table: pa.Table, level: str) -> dict[str, Any]:
    """Headings and formats of the table; columns that the log cannot fill are hidden."""
    columns, hidden = _all_columns(level), hidden_cells(table) > 0
    for name, counts in (
        ("views", "views"),
        ("carts", "carts"),
        ("cart_rate", "carts"),
        ("revenue", "revenue"),
        ("revenue_share", "revenue"),
    ):
        if not any(value or (hidden and value is None) for value in table[counts].to_pylist()):
            columns[name] = None
    return columns
