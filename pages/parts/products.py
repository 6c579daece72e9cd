"""Categories, brands and items: how each does, and which stand out."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from core.insights.products import NAMES
from core.insights.statement import Answer
from core.pipeline import behaviour
from core.pipeline.behaviour import Filters, Period
from core.pipeline.screens import Screen
from core.small_cells import hidden_cells
from pages.parts import frame, state
from pages.parts.behaviour.kinds import kinds_of
from pages.parts.text import _, percent

LEVEL_WORDS = {"category": "Categories", "brand": "Brands", "item": "Items"}
NAMELESS_WORDS = {"category": "(no category)", "brand": "(no brand)"}
COUNTS = ("users", "viewers", "carters", "buyers", "viewing_buyers", "views", "carts", "purchases")
"""Columns that count people or what they do."""
MOST_ROWS = 500
MOST_APART = 10


def draw(here: Screen, chosen: Filters, period: Period) -> None:
    """Draw the table of the chosen level, and below it what stands out."""
    st.subheader(_("Categories, brands and items"))
    level = (
        st.segmented_control(
            _("Table by"),
            list(NAMES),
            default="category",
            format_func=lambda name: _(LEVEL_WORDS[name]),
            key="products-level",
            required=True,
        )
        or "category"
    )
    found, apart = state.ask(behaviour.judged, here, chosen, period, level)
    if not any(found.table[NAMES[level]].to_pylist()):
        column = {"category": _("Category"), "brand": _("Brand"), "item": _("Item id")}[level]
        frame.gate(_("No event of the part that is looked at names one; the column “{column}” of the item catalogue would.", column=column))
        return
    st.caption(_("Conversion and cart rate are shares of the shoppers who acted on it within the period."))
    is_bought = "purchase" in kinds_of(here)
    rows = _named(found.table.slice(0, MOST_ROWS), level)
    frame.table(rows, column_config=_columns(found.table, is_bought), height=380, key=f"products-{level}", counts=COUNTS)
    if found.table.num_rows > MOST_ROWS:
        st.caption(_("The first {n} of {all}; the files hold all.", n=MOST_ROWS, all=f"{found.table.num_rows:,}"))
    frame.take_away(found, f"products-{level}")
    _standing_out(apart, level, is_judged=is_bought and _any_people(found.table, "viewers"))


def _standing_out(found: Answer, level: str, *, is_judged: bool) -> None:
    if not is_judged:
        st.caption(_("What is viewed much and bought little, or the other way round, can be told of a log with views and purchases."))
        return
    lists = {
        "low_conversion": (
            _("High views, low conversion"),
            _("Viewed by more shoppers than three quarters of all; fewer of them buy than usual. The most missing buyers first."),
        ),
        "hidden_winner": (
            _("Hidden winners"),
            _("Viewed by fewer shoppers than half of all; more of them buy than usual. The surest first."),
        ),
    }
    for place, (standing, (title, caption)) in zip(st.columns(2, gap="large"), lists.items(), strict=True):
        with place:
            st.markdown(f"**{title}**")
            rows = found.table.filter(pc.equal(found.table["standing"], standing))
            if not rows.num_rows:
                st.caption(_("None: no difference is beyond chance."))
                continue
            st.caption(caption)
            shown = _named(rows.slice(0, MOST_APART), level)
            shown["between"] = [f"{percent(low)} – {percent(high)}" for low, high in zip(shown["low"], shown["high"], strict=True)]
            frame.table(shown, column_config=_apart_columns(rows), height=380, key=standing, counts=COUNTS)
    if found.table.num_rows:
        st.caption(
            _(
                "Conversion here is the share of viewers who bought it in the period, with its 95% interval; "
                "that of all viewers together is {overall:.2%}. By chance alone less than one of {n} would stand in either list.",
                n=f"{found.table['products'][0].as_py():,}",
                overall=found.table["overall"][0].as_py(),
            )
        )
        frame.take_away(found, f"standing-out-{level}")


def _named(table: pa.Table, level: str) -> pd.DataFrame:
    """Rows whose first column says what each is called: a title where there is one, and words for what has no name."""
    rows = table.to_pandas()
    if level == "item":
        rows["item_id"] = rows["title"].fillna(rows["item_id"])
    else:
        rows[NAMES[level]] = rows[NAMES[level]].replace("", _(NAMELESS_WORDS[level]))
    return rows


def _columns(table: pa.Table, is_bought: bool) -> dict[str, Any]:
    """Headings and formats; columns that the log cannot fill are not shown."""
    number = st.column_config.NumberColumn
    is_item = "item_id" in table.column_names
    columns: dict[str, Any] = _names(table) | {
        "items": number(_("Items"), format="localized"),
        "users": number(_("Shoppers"), format="localized"),
        "viewers": number(_("Viewers"), format="localized"),
        "carters": number(_("Put into the cart by"), format="localized"),
        "buyers": number(_("Buyers"), format="localized"),
        "viewing_buyers": None,
        "views": number(_("Views"), format="localized") if not is_item else None,
        "carts": None,
        "purchases": number(_("Purchases"), format="localized"),
        "cart_rate": number(_("Cart rate"), format="percent"),
        "buyer_rate": number(_("Conversion"), format="percent"),
        "revenue": number(_("Revenue"), format="localized"),
        "revenue_share": number(_("Share of revenue"), format="percent"),
    }
    for name, needed in (("viewers", "viewers"), ("views", "viewers"), ("carters", "carters"), ("cart_rate", "carters")):
        if not _any_people(table, needed):
            columns[name] = None
    if not is_bought:
        columns |= dict.fromkeys(("buyers", "purchases", "buyer_rate"))
    for name in ("revenue", "revenue_share"):
        if not any(table[name].to_pylist()):
            columns[name] = None
    return columns


def _apart_columns(table: pa.Table) -> dict[str, Any]:
    number = st.column_config.NumberColumn
    shown: dict[str, Any] = {**_names(table), **({"category": None} if "item_id" in table.column_names else {})} | {
        "viewers": number(_("Viewers"), format="localized"),
        "viewing_buyers": number(_("Of them bought"), format="localized"),
        "rate": number(_("Conversion"), format="percent"),
        "between": st.column_config.TextColumn(_("95% interval")),
    }
    return {**dict.fromkeys(table.column_names), **shown}


def _names(table: pa.Table) -> dict[str, Any]:
    text = st.column_config.TextColumn
    if "item_id" in table.column_names:
        return {"item_id": text(_("Item"), width="medium"), "title": None, "category": text(_("Category"))}
    return (
        {"category": text(_("Category"), width="medium")}
        if "category" in table.column_names
        else {"brand": text(_("Brand"), width="medium")}
    )


def _any_people(table: pa.Table, name: str) -> bool:
    """Whether a count is above zero somewhere, shown or hidden."""
    return any(value or (value is None and hidden_cells(table) > 0) for value in table[name].to_pylist())
