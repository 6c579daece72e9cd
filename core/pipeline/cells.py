"""What each table of the pages tells of people, and the one way that tables take to screens and files: small cells are hidden on it.

A new table is declared in CELLS; one that is not, or that has a column more, is never shown while small cells are hidden.
"""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from core.errors import GateError
from core.insights import changes
from core.insights.changes import Change
from core.insights.drivers import odds_ratio
from core.insights.lifetime import Forecast
from core.insights.statement import Answer
from core.messages import Message, say
from core.pipeline.screens import Screen
from core.small_cells import Cells, Rate, hide, middle, money_unit, rate, shares


def _share_of_events(table: pa.Table) -> dict[str, list[Any]]:
    return {"share": shares(table["events"].to_pylist())}


def _share_of_revenue(table: pa.Table) -> dict[str, list[Any]]:
    return {"revenue_share": shares(table["revenue"].to_pylist())}


def _of_groups(table: pa.Table) -> dict[str, list[Any]]:
    """Share of all buyers, who are the sum of the groups (the rows without a score)."""
    rows = table.to_pylist()
    everyone = sum(row["users"] or 0 for row in rows if row["r"] is None)
    return {"share": [rate(row["users"], everyone)[0] for row in rows]}


def _step_rates(table: pa.Table) -> dict[str, list[Any]]:
    """Rates of the steps of a funnel, missing where they were missing."""
    rows = table.to_pylist()
    first = {row["name"]: row["users"] for row in rows if row["step"] == 1}
    before = {(row["name"], row["step"] + 1): row["users"] for row in rows}
    columns: dict[str, list[Any]] = {}
    for kind in ("overall", "from_previous"):
        for row in rows:
            base = first[row["name"]] if kind == "overall" else before.get((row["name"], row["step"]), row["users"])
            found = rate(row["users"], base) if row[kind] is not None else (None, None, None)
            for name, value in zip((kind, f"{kind}_low", f"{kind}_high"), found, strict=True):
                columns.setdefault(name, []).append(value)
    return columns


def _per_buyer(table: pa.Table) -> dict[str, list[Any]]:
    rows = table.to_pylist()
    known = [None not in (row["users"], row["revenue_so_far"]) and row["users"] for row in rows]
    return {"per_buyer_so_far": [row["revenue_so_far"] / row["users"] if there else None for row, there in zip(rows, known, strict=True)]}


def _of_all_gaps(table: pa.Table) -> dict[str, list[Any]]:
    """Quartiles of all gaps together, to three digits; missing where no bar is shown."""
    names = ("days_quarter", "days_median", "days_three_quarters")
    is_told = any(table["gaps"].to_pylist())
    return {name: [float(f"{days:.3g}") if is_told and days is not None else None for days in table[name].to_pylist()] for name in names}


def _pairs(table: pa.Table) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"support": [], "confidence": [], "lift": []}
    for row in table.to_pylist():
        confidence, share = rate(row["orders"], row["thing_orders"])[0], rate(row["with_orders"], row["all_orders"])[0]
        columns["support"].append(rate(row["orders"], row["all_orders"])[0])
        columns["confidence"].append(confidence)
        columns["lift"].append(None if confidence is None or not share else confidence / share)
    return columns


def _odds(table: pa.Table) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"odds_ratio": [], "low": [], "high": []}
    for row in table.to_pylist():
        cells = [row[name] for name in ("did_does", "did", "did_not_does", "did_not")]
        found = (None, None, None) if None in cells else odds_ratio(*cells)
        for name, value in zip(columns, found, strict=True):
            columns[name].append(value)
    return columns


_BANDS = Cells(
    labels=("from_x",),
    people=("buyers",),
    acts={"alive": "buyers", "expected": "buyers"},
    amounts={"value": "buyers"},
)
CELLS: dict[str, Cells] = {
    "figures": Cells(
        people=("users", "buyers", "repeat_buyers"),
        acts={"events": "users", "sessions": "users", "buying_sessions": "buyers", "orders": "buyers"},
        amounts={"revenue": "buyers"},
    ),
    "trend": Cells(
        labels=("period", "partial"),
        people=("users", "buyers", "repeat_buyers"),
        acts={"events": "users", "sessions": "users", "buying_sessions": "buyers", "orders": "buyers"},
        amounts={"revenue": "buyers"},
    ),
    "event_mix": Cells(labels=("event_type",), people=("users",), acts={"events": "users"}, derived=("share",), derive=_share_of_events),
    "goods": Cells(
        labels=("category", "brand", "item"),
        people=("users", "carters", "buyers"),
        acts={"views": "users", "carts": "carters", "purchases": "buyers"},
        amounts={"revenue": "buyers"},
        beside={"items": "users"},
        rates={"cart_rate": Rate("carters", "users"), "buyer_rate": Rate("buyers", "users")},
        derived=("revenue_share",),
        derive=_share_of_revenue,
    ),
    "notable_items": Cells(
        labels=("list", "item"),
        people=("users", "carters", "buyers", "all_users", "all_buyers"),
        acts={"views": "users", "purchases": "buyers"},
        rates={"buyer_rate": Rate("buyers", "users", "low", "high"), "all_rate": Rate("all_buyers", "all_users")},
    ),
    "hours": Cells(labels=("weekday", "hour"), people=("users",), acts={"events": "users"}),
    "what_changed": Cells(
        labels=("part",),
        people=("users_before", "users", "buyers_before", "buyers"),
        amounts={"revenue_before": "buyers_before", "revenue": "buyers"},
    ),
    "funnel": Cells(
        labels=("name", "step"),
        people=("users",),
        typical=dict.fromkeys(("seconds_quarter", "seconds_median", "seconds_three_quarters"), "users"),
        derived=("overall", "overall_low", "overall_high", "from_previous", "from_previous_low", "from_previous_high"),
        derive=_step_rates,
    ),
    "funnel_times": Cells(labels=("bar", "from_seconds", "to_seconds"), people=("users",)),
    "retained": Cells(
        labels=("cohort", "number", "incomplete"),
        people=("users", "on_users", "later_users"),
        rates={
            "on": Rate("on_users", "users", "on_low", "on_high"),
            "on_or_after": Rate("later_users", "users", "on_or_after_low", "on_or_after_high"),
        },
    ),
    "cohort_revenue": Cells(
        labels=("cohort", "number", "incomplete"),
        people=("users",),
        amounts={"revenue": "users", "revenue_so_far": "users"},
        derived=("per_buyer_so_far",),
        derive=_per_buyer,
    ),
    "rfm_grid": Cells(
        labels=("rfm_group", "r", "worth"),
        people=("users",),
        acts={"frequency": "users"},
        amounts={"money": "users"},
        typical={"recency_days": "users"},
        derived=("share",),
        derive=_of_groups,
    ),
    "rfm_cuts": Cells(
        labels=("score",),
        people=("recency_users", "frequency_users", "money_users"),
        typical={f"{name}_{end}": f"{name}_users" for name in ("recency", "frequency", "money") for end in ("from", "to")},
    ),
    "stage_moves": Cells(labels=("before", "now"), people=("users",)),
    "bands": _BANDS,
    "held_out": Cells(labels=("from_x",), people=("buyers",), acts={"expected": "buyers", "happened": "buyers"}),
    "paths": Cells(labels=("step", "source", "target"), people=("users",), acts={"sessions": "users"}),
    "order_gaps": Cells(
        labels=("bar", "from_days", "to_days"),
        people=("users",),
        acts={"gaps": "users"},
        derived=("days_quarter", "days_median", "days_three_quarters"),
        derive=_of_all_gaps,
    ),
    "repeat_rates": Cells(
        labels=("cohort",), people=("buyers", "again", "all_buyers"), rates={"rate": Rate("again", "buyers", "low", "high")}
    ),
    "bought_together": Cells(
        labels=("thing", "with_thing"),
        people=("users", "thing_users", "with_users", "all_users"),
        acts={"orders": "users", "thing_orders": "thing_users", "with_orders": "with_users", "all_orders": "all_users"},
        derived=("support", "confidence", "lift"),
        derive=_pairs,
    ),
    "by_position": Cells(
        labels=("position",),
        people=("users", "followed_users"),
        acts={"acts": "users", "followed": "followed_users"},
        rates={"rate": Rate("followed", "acts", "low", "high")},
    ),
    "dwell": Cells(
        labels=("event_type", "follows"),
        people=("users",),
        acts={"acts": "users", "without": "users"},
        typical=dict.fromkeys(("tenth", "quarter", "median", "three_quarters", "nine_tenths"), "users"),
    ),
    "drivers": Cells(
        labels=("driver",),
        people=("did", "did_does", "did_not", "did_not_does"),
        rates={"rate": Rate("did_does", "did", "rate_low", "rate_high"), "other_rate": Rate("did_not_does", "did_not")},
        derived=("odds_ratio", "low", "high"),
        derive=_odds,
    ),
}
"""Name of a table → what its columns tell; the names are those of the functions of `pipeline.behaviour`."""


def hidden_below(k: int) -> Message:
    """The sentence that files and the command line carry while small cells are hidden."""
    return say("Counts of fewer than {k} shoppers are hidden; all others are told by the middle of their step of {k}.", k=k)


def list_too_short(k: int) -> Message:
    """Why a list is not given."""
    return say(
        "Fewer than {k} shoppers: while small cells are hidden, so short a list is neither shown nor written (see the page Data).", k=k
    )


def told(screen: Screen, name: str, answer: Answer) -> Answer:
    """An answer as it may be shown: its small cells hidden when the home says so."""
    return Answer(hide(answer.table, CELLS[name], screen.small_cells), answer.sql) if screen.small_cells else answer


def told_table(screen: Screen, name: str, table: pa.Table) -> pa.Table:
    """As `told`, of a table without a statement."""
    return hide(table, CELLS[name], screen.small_cells)


def told_list(screen: Screen, answer: Answer) -> Answer:
    """A list of shoppers as it may be shown.

    Raises:
        GateError: Small cells are hidden and the list is shorter.
    """
    enough(screen, answer.table.num_rows)
    return answer


def enough(screen: Screen, people: int) -> None:
    """Refuse to tell of so few people one by one.

    Raises:
        GateError: Small cells are hidden and there are fewer, but not none.
    """
    if 0 < people < screen.small_cells:
        raise GateError(list_too_short(screen.small_cells))


def told_change(screen: Screen, change: Change | None) -> Change | None:
    """What changed, worked out anew from what is shown."""
    if change is None or not screen.small_cells:
        return change
    counts = change.answer.table.select([name for name in change.answer.table.column_names if name in CELLS["what_changed"].names])
    return changes.decomposed(Answer(hide(counts, CELLS["what_changed"], screen.small_cells), change.answer.sql), screen.small_cells)


def told_forecast(screen: Screen, found: Forecast) -> Forecast:
    """What buyers are expected to buy, in steps of k and of money."""
    k = screen.small_cells
    if not k:
        return found

    def step(count: float) -> float:
        return float(middle(count, k) or 0)

    def money(value: float | None) -> float | None:
        return None if value is None else round(value / unit) * unit

    bands = hide(found.bands, CELLS["bands"], k)
    worth, buyers = (found.bands[name].to_numpy(zero_copy_only=False).astype(float) for name in ("value", "buyers"))
    unit = money_unit(worth, buyers, k)
    return replace(
        found,
        buyers=int(step(found.buyers)),
        alive=step(found.alive),
        expected=step(found.expected),
        expected_low=step(found.expected_low),
        expected_high=step(found.expected_high),
        value=money(found.value),
        value_low=money(found.value_low),
        value_high=money(found.value_high),
        bands=bands,
        held_out=hide(found.held_out, CELLS["held_out"], k),
    )
