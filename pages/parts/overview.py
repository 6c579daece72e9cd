"""Tiles and columns of the Overview page."""

from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from core.insights.statement import Answer
from core.metrics import wilson
from core.small_cells import hidden_cells
from pages.parts import frame
from pages.parts.text import MISSING, _, amount, people, percent, short_people

CATEGORY_COUNTS = ("users", "views", "carts", "purchases", "buyers")
"""Columns of the category table that count people or what they do."""


def measures(answer: Answer) -> dict[str, str]:
    """Figures that the trend can show; revenue only when the log has prices."""
    words = {"users": _("Active shoppers"), "events": _("Events"), "buyers": _("Buyers"), "orders": _("Orders")}
    return words if answer.table["revenue"][0].as_py() is None else {**words, "revenue": _("Revenue")}


def figure_tiles(now: Answer, before: Answer | None) -> None:
    """Eight tiles: how many, how often they buy, how much; with the change against the period before."""
    row = now.table.to_pylist()[0]
    old = before.table.to_pylist()[0] if before else None
    frame.tiles(
        "figures",
        [
            (
                _("Shoppers"),
                short_people(row["users"]),
                _change(row, old, "users"),
                _("Distinct users with at least one event in the period: {n}.", n=people(row["users"])),
            ),
            (
                _("Sessions"),
                short_people(row["sessions"]),
                _change(row, old, "sessions"),
                _("Runs of events without a gap of more than 30 minutes: {n}.", n=people(row["sessions"])),
            ),
            _rate_tile(
                _("Conversion of shoppers"),
                row["buyers"],
                row["users"],
                _("Shoppers with a purchase ÷ active shoppers, within the period."),
            ),
            _rate_tile(
                _("Conversion of sessions"),
                row["buying_sessions"],
                row["sessions"],
                _("Sessions with a purchase ÷ sessions, within the period."),
            ),
            (
                _("Events"),
                short_people(row["events"]),
                _change(row, old, "events"),
                _("All kinds of events: {n}.", n=people(row["events"])),
            ),
            (
                _("Orders"),
                short_people(row["orders"]),
                _change(row, old, "orders"),
                _("Order ids; without them, purchases of one shopper at one instant: {n}.", n=people(row["orders"])),
            ),
            (
                _("Revenue"),
                amount(row["revenue"]),
                _change(row, old, "revenue") or _no_prices(row),
                _("Sum of purchases, before refunds, in the log's own currency."),
            ),
            (_("Average order value"), amount(_ratio(row)), _ratio_change(row, old) or _no_prices(row), _("Revenue ÷ orders.")),
        ],
    )


def category_rows(table: pa.Table, most: int = 500) -> pd.DataFrame:
    """The first rows of the category table; what has no category says so."""
    rows = table.slice(0, most).to_pandas()
    return rows.assign(category=rows["category"].replace("", _("(no category)")))


def category_columns(table: pa.Table) -> dict[str, Any]:
    """Headings and formats of the category table; columns that the log cannot fill are hidden."""
    number, share = st.column_config.NumberColumn, st.column_config.NumberColumn
    columns: dict[str, Any] = {
        "category": st.column_config.TextColumn(_("Category"), width="medium"),
        "items": number(_("Items"), format="localized"),
        "users": number(_("Shoppers"), format="localized"),
        "views": number(_("Views"), format="localized"),
        "carts": number(_("Carts"), format="localized"),
        "purchases": number(_("Purchases"), format="localized"),
        "buyers": number(_("Buyers"), format="localized"),
        "buyer_rate": share(_("Conversion"), format="percent"),
        "revenue": number(_("Revenue"), format="localized"),
        "revenue_share": share(_("Share of revenue"), format="percent"),
    }
    hidden = hidden_cells(table) > 0
    for name in ("views", "carts", "revenue", "revenue_share"):
        if not any(value or (hidden and value is None) for value in table[name].to_pylist()):
            columns[name] = None
    return columns


def _rate_tile(label: str, part: int | None, base: int | None, explanation: str) -> tuple[str, str, str | None, str | None]:
    if part is None or base is None:
        return label, MISSING, _("hidden with its counts"), explanation
    low, high = wilson(part, base)
    note = _("{part} of {base}, 95% interval {low} – {high}", part=people(part), base=people(base), low=percent(low), high=percent(high))
    return label, percent(part / base) if base else MISSING, note, explanation


def _change(row: dict[str, Any], old: dict[str, Any] | None, name: str) -> str | None:
    if old is None or not old[name] or row[name] is None:
        return None
    return _("{change:+.1f}% against the period before", change=100 * (row[name] / old[name] - 1))


def _ratio(row: dict[str, Any]) -> float | None:
    return row["revenue"] / row["orders"] if row["revenue"] is not None and row["orders"] else None


def _ratio_change(row: dict[str, Any], old: dict[str, Any] | None) -> str | None:
    now, then = _ratio(row), _ratio(old) if old else None
    return _("{change:+.1f}% against the period before", change=100 * (now / then - 1)) if now and then else None


def _no_prices(row: dict[str, Any]) -> str | None:
    if row["buyers"] is None:
        return _("hidden with its counts")
    return _("the log has no prices") if row["revenue"] is None else None
