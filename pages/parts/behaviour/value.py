"""Buyers and value: RFM, stages of life, revenue of cohorts, and what buyers are expected to buy."""

from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from core.errors import CoreError
from core.pipeline import behaviour
from core.pipeline.behaviour import Filters, Forecast, Lifetime, Retention, Rfm
from core.pipeline.screens import Screen
from pages.parts import charts, downloads, frame, state
from pages.parts.behaviour.kinds import MOST_COHORTS, all_hidden, drawn_of, has_purchases, nothing_left
from pages.parts.text import _, amount, interval, number, people, percent, whole

GROUP_WORDS = {
    "champions": "Champions",
    "loyal": "Loyal buyers",
    "recent": "Recent buyers",
    "occasional": "Occasional buyers",
    "at_risk": "At risk",
    "asleep": "Asleep",
}
STAGE_WORDS = {"unseen": "not seen yet", "new": "new", "active": "active", "slipping": "slipping away", "away": "gone quiet"}

FAR = 0.15
"""Share by which the check may miss before it is said aloud."""


def draw(here: Screen, filters: Filters) -> None:
    """RFM, stages, cohorts, forecast."""
    buys = has_purchases(here)
    if buys:
        _rfm(here, filters)
    _stages(here, filters)
    if buys:
        _revenue(here, filters)
        _forecast(here, filters)


def _rfm(here: Screen, filters: Filters) -> None:
    st.subheader(_("Recency, frequency, money"))
    frequency = st.radio(
        _("Frequency counts"),
        ["orders", "days"],
        format_func=lambda f: _("orders") if f == "orders" else _("days with a purchase"),
        horizontal=True,
        key="frequency",
    )
    asked = Rfm(str(frequency), here.zone)
    answer = state.ask(behaviour.rfm_grid, here, filters, asked)
    if nothing_left(answer.table):
        return
    rows = answer.table.to_pandas()
    groups, cells = rows[rows["r"].isna()], rows[rows["r"].notna()]
    left, right = st.columns(2, gap="large")
    with left:
        users: dict[tuple[int, int], Any] = {(int(row.worth), int(row.r)): row for row in cells.itertuples()}
        values = [[users[w, r].users if (w, r) in users else None for r in range(1, 6)] for w in range(5, 0, -1)]
        notes = [
            [
                f"{_(GROUP_WORDS[users[w, r].rfm_group])} · {people(users[w, r].users)} · {percent(users[w, r].share)}"
                if (w, r) in users
                else ""
                for r in range(1, 6)
            ]
            for w in range(5, 0, -1)
        ]
        figure = charts.shares_grid(
            [f"FM {w}" for w in range(5, 0, -1)], [f"R {r}" for r in range(1, 6)], values, notes, _("Buyers"), state.look(), form=",.0f"
        )
        frame.chart(figure, answer, "rfm", _("Recency, frequency, money"))
    with right:
        shown = groups.assign(name=[_(GROUP_WORDS[group]) for group in groups["rfm_group"]])
        column = st.column_config
        frame.table(
            shown[["name", "users", "share", "frequency", "money", "recency_days"]],
            column_config={
                "name": column.TextColumn(_("Group")),
                "users": column.NumberColumn(_("Buyers"), format="localized"),
                "share": column.NumberColumn(_("Share"), format="percent"),
                "frequency": column.NumberColumn(_("Orders") if frequency == "orders" else _("Days"), format="localized"),
                "money": column.NumberColumn(_("Revenue"), format="localized") if shown["money"].any() else None,
                "recency_days": column.NumberColumn(_("Days since, median"), format="%.0f"),
            },
            key="rfm-groups",
            counts=("users", "frequency"),
        )
        _group_members(here, filters, asked, list(groups["rfm_group"]))
    cuts = state.ask(behaviour.rfm_cuts, here, filters, asked)
    with st.expander(_("Which values have which score")):
        st.caption(
            _(
                "Scores are given by cut values at the fifths of all buyers, so equal values share a score and a score may be empty. "
                "F and M are averaged on the grid, half points count down."
            )
        )
        _cut_table(cuts.table.to_pylist(), str(frequency))
        frame.take_away(cuts, "rfm-cuts")


def _group_members(here: Screen, filters: Filters, asked: Rfm, groups: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        group = st.selectbox(_("Group"), groups, format_func=lambda g: _(GROUP_WORDS[g]), key="rfm-group")

        def members() -> pa.Table:
            return behaviour.rfm_members(here, filters, asked, str(group)).table

        if here.small_cells:
            try:
                members()
            except CoreError as error:
                frame.gate(error)
                return
        if st.button(_("Save as audience"), key="rfm-save"):
            behaviour.save_members(here, _(GROUP_WORDS[str(group)]), [str(user) for user in members()["user_id"].to_pylist()])
            st.toast(_("Saved. It stands on the page Audiences."))
        downloads.csv_button(members, "rfm-members")


def _cut_table(rows: list[dict[str, Any]], frequency: str) -> None:
    def span(row: dict[str, Any], name: str, form: Any) -> str:
        low, high = row[f"{name}_from"], row[f"{name}_to"]
        return "–" if low is None else form(low) if low == high else f"{form(low)} – {form(high)}"

    shown = pd.DataFrame(
        {
            "score": [row["score"] for row in rows],
            "recency": [span(row, "recency", whole) for row in rows],
            "frequency": [span(row, "frequency", whole) for row in rows],
            "money": [span(row, "money", amount) for row in rows],
        }
    )
    column = st.column_config
    frame.table(
        shown,
        column_config={
            "score": column.NumberColumn(_("Score")),
            "recency": column.TextColumn(_("R: days since the last purchase")),
            "frequency": column.TextColumn(_("F: orders") if frequency == "orders" else _("F: days with a purchase")),
            "money": column.TextColumn(_("M: revenue")),
        },
        key="rfm-cuts",
    )


def _stages(here: Screen, filters: Filters) -> None:
    st.subheader(_("Stages of life"))
    back = int(st.number_input(_("Moves over so many days"), 1, 730, 28, key="back-days"))
    answer = state.ask(behaviour.stage_moves, here, filters, back)
    if nothing_left(answer.table):
        return
    rows = answer.table.to_pandas()
    cells = {(row.before, row.now): row.users for row in rows.itertuples()}
    befores, nows = ([s for s in STAGE_WORDS if s in set(rows[name])] for name in ("before", "now"))
    values = [[cells.get((b, n)) for n in nows] for b in befores]
    sums = rows.groupby("now")["users"].sum(min_count=1)
    notes = [
        [f"{_(STAGE_WORDS[b])} → {_(STAGE_WORDS[n])} · {whole(v) if v is None else people(v)}" for n, v in zip(nows, line, strict=True)]
        for b, line in zip(befores, values, strict=True)
    ]
    figure = charts.shares_grid(
        [_(STAGE_WORDS[b]) for b in befores],
        [f"{_(STAGE_WORDS[n])} · {people(sums[n])}" for n in nows],
        values,
        notes,
        _("Shoppers"),
        state.look(),
        form=",.0f",
    )
    st.caption(
        _(
            "Rows: the stage {n} days before the end; columns: now. New: first seen within 28 days. Active: last "
            "seen within two of her own "
            "median gaps, slipping away: within four, gone quiet: longer.",
            n=back,
        )
    )
    frame.chart(figure, answer, "stages", _("Stages of life"))


def _revenue(here: Screen, filters: Filters) -> None:
    st.subheader(_("Revenue of cohorts"))
    answer = state.ask(behaviour.cohort_revenue, here, filters, Retention(grain="month", zone=here.zone, most=24))
    rows = answer.table.to_pandas()
    if nothing_left(answer.table):
        return
    if all_hidden(rows["revenue"]):
        return
    if not rows["revenue"].any():
        frame.gate(_("This log has no prices, so there is no revenue. A column of prices or of line values would bring it."))
        return
    every, last = sorted(rows["cohort"].unique()), int(rows["number"].max())
    names = every[-MOST_COHORTS:]
    cells: dict[Any, Any] = {(row.cohort, row.number): row for row in rows.itertuples()}
    grid = [[cells.get((name, k)) for k in range(last + 1)] for name in names]
    figure = charts.shares_grid(
        [f"{pd.Timestamp(name):%Y-%m} · {people(cells[name, 0].users)}" for name in names],
        [str(k) for k in range(last + 1)],
        [[None if cell is None else cell.per_buyer_so_far for cell in line] for line in grid],
        [["" if cell is None else f"{amount(cell.per_buyer_so_far)} · {amount(cell.revenue)}" for cell in line] for line in grid],
        _("per buyer so far"),
        state.look(),
        pale=[[cell is not None and bool(cell.incomplete) for cell in line] for line in grid],
        form=",.0f",
    )
    st.caption(_("Revenue so far per buyer, by month of the first purchase. * The month is not over at the end of the log."))
    drawn_of(len(every))
    frame.chart(figure, answer, "cohort-revenue", _("Revenue of cohorts"))


def _forecast(here: Screen, filters: Filters) -> None:
    st.subheader(_("Expected purchases and value"))
    cells = st.columns(3)
    horizon = int(cells[0].number_input(_("Days ahead"), 7, 1825, 365, key="value-days"))
    margin = float(cells[1].number_input(_("Margin, percent of revenue"), 0.1, 100.0, 100.0, key="value-margin")) / 100
    discount = float(cells[2].number_input(_("Discount a month, percent"), 0.0, 20.0, 0.0, key="value-discount")) / 100
    try:
        found: Forecast = state.ask(behaviour.forecast, here, filters, Lifetime(horizon, margin, discount, here.zone))
    except CoreError as error:
        frame.gate(error)
        return
    frame.tiles(
        "forecast",
        [
            (
                _("Buyers still there"),
                whole(found.alive),
                _("of {n} buyers", n=whole(found.buyers)),
                _("Expected number who have not left for good."),
            ),
            (
                _("Expected purchases"),
                whole(found.expected),
                f"{_('95% interval')} {interval(found.expected_low, found.expected_high, 'whole')}",
                _(
                    "Days with a purchase in the next {n} days, by BG/NBD; the interval tells how far its parameters are uncertain.",
                    n=horizon,
                ),
            ),
            (
                _("Expected value"),
                amount(found.value),
                f"{_('95% interval')} {interval(found.value_low, found.value_high, 'amount')}" if found.value is not None else None,
                _("Expected purchases × expected value of each, by Gamma-Gamma, before refunds, margin and discount as chosen."),
            ),
            (
                _("Number and value related"),
                number(found.correlation, 2),
                _("correlation among repeat buyers"),
                _("Gamma-Gamma takes how often and how much for unrelated; far from 0 the value is off."),
            ),
        ],
    )
    if found.spend is None:
        st.caption(_("No value is expected: orders of this log have no prices, or prices that spread so wide that they have no mean."))
    everyone = next(iter(found.held_out.to_pylist()), None)
    if everyone is not None:
        st.markdown(
            _(
                "Check: fitted without the last {days} days, the model expected {expected} purchases of buyers known "
                "by then; **{happened}** happened.",
                days=found.held_out_days,
                expected=whole(everyone["expected"]),
                happened=whole(everyone["happened"]),
            )
        )
    missed = abs(everyone["happened"] / everyone["expected"] - 1) if everyone and everyone["happened"] and everyone["expected"] else 0.0
    if missed > FAR:
        st.warning(
            _(
                "The check is off by {share}. The intervals above tell how far the parameters are uncertain, not that buyers change; "
                "take these figures for an order of magnitude.",
                share=percent(missed),
            )
        )
    held = {row["from_x"]: row for row in found.held_out.to_pylist()}
    rows = found.bands.to_pandas()
    shown = pd.DataFrame(
        {
            "from_x": rows["from_x"],
            "buyers": rows["buyers"],
            "alive": rows["alive"] / rows["buyers"],
            "expected": rows["expected"],
            "value": rows["value"],
            "held_expected": [held.get(x, {}).get("expected") for x in rows["from_x"]],
            "held_happened": [held.get(x, {}).get("happened") for x in rows["from_x"]],
        }
    )
    column = st.column_config
    frame.table(
        shown,
        column_config={
            "from_x": column.NumberColumn(_("Repeat purchases from")),
            "buyers": column.NumberColumn(_("Buyers"), format="localized"),
            "alive": column.NumberColumn(_("Still there"), format="percent"),
            "expected": column.NumberColumn(_("Expected purchases"), format="localized"),
            "value": column.NumberColumn(_("Expected value"), format="localized"),
            "held_expected": column.NumberColumn(_("Check: expected"), format="localized"),
            "held_happened": column.NumberColumn(_("Check: happened"), format="localized"),
        },
        key="forecast",
        counts=("buyers", "expected", "held_expected", "held_happened"),
    )
    checked = shown[["from_x", "held_expected", "held_happened"]]
    frame.take_away(rows.merge(checked, on="from_x", how="left"), "expected-value")
    with st.popover(_("Show SQL")):
        st.caption(_("What the models are fitted on: one row for each buyer. Expected numbers are no answer of a statement."))
        st.code(found.sql, language="sql")
