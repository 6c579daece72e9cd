"""Tables of runs that count people, as they may be shown while small cells are hidden; `screens.run_table` gives them out so.

A table of a run that is not here holds no counts of people (curves, vectors, figures of a model), or a row for each shopper, which is
never a count; docs/decisions/0036 lists them.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from core.small_cells import Cells, Rate, hide, marked, middle, rate

Row = dict[str, Any]


def _bins(row: Row, k: int) -> Row:
    """Of reliability: the share that acted anew from counts in steps; edges of the bin to three digits."""
    share, low, high = rate(middle(round(row["rate"] * row["n"]), k), middle(row["n"], k))
    told = {name: _digits(row[name], row["n"], k) for name in ("mean_propensity", "smallest", "largest")}
    return {**row, **told, "n": middle(row["n"], k), "rate": share, "low": low, "high": high}


def _group(row: Row, k: int) -> Row:
    """Of people beside each other: the gap follows the share that is shown."""
    share, low, high = rate(middle(row["positives"], k), middle(row["users"], k))
    moved = None if share is None or row["gap"] is None else row["rate"] - share
    gaps = {n: None if moved is None or row[n] is None else float(f"{row[n] + moved:.3g}") for n in ("gap", "gap_low", "gap_high")}
    found = None if row["recall"] is None else middle(round(row["recall"] * row["positives"]), k)
    recalls = dict(zip(("recall", "recall_low", "recall_high"), rate(found, middle(row["positives"], k)), strict=True))
    told = {name: _digits(row[name], row["users"], k) for name in ("mean_propensity", "taken") if name in row}
    counts = {name: middle(row[name], k) for name in ("users", "positives")}
    return {**row, **counts, **told, "rate": share, "rate_low": low, "rate_high": high, **gaps, **recalls}


def _digits(value: float | None, people: int, k: int) -> float | None:
    return None if value is None or people < k else float(f"{value:.3g}")


def _each(change: Callable[[Row, int], Row], *counts: str) -> Callable[[pa.Table, int], pa.Table]:
    def told(table: pa.Table, k: int) -> pa.Table:
        rows = [change(row, k) for row in table.to_pylist()]
        return marked(pa.Table.from_pylist(rows, schema=table.schema), counts, k)

    return told


def _gains(table: pa.Table) -> dict[str, list[Any]]:
    """Gain and lift of the buyers found by depth; the last row holds everyone."""
    rows = table.to_pylist()
    last = rows[-1] if rows else {}
    base = rate(last.get("buyers"), last.get("users"))[0]
    found = [rate(row["buyers"], row["users"])[0] for row in rows]
    return {
        "gain": [rate(row["buyers"], last["buyers"])[0] for row in rows],
        "lift": [None if share is None or not base else share / base for share in found],
    }


def _hide(cells: Cells) -> Callable[[pa.Table, int], pa.Table]:
    return lambda table, k: hide(table, cells, k)


RUN_CELLS: dict[tuple[str, str], Callable[[pa.Table, int], pa.Table]] = {
    ("propensity", "reliability"): _each(_bins, "n"),
    ("propensity", "lift"): _hide(
        Cells(
            labels=("depth",),
            people=("users", "buyers"),
            rates={"rate": Rate("buyers", "users", "low", "high")},
            derived=("gain", "lift"),
            derive=_gains,
        )
    ),
    ("propensity", "category_metrics"): _hide(
        Cells(
            labels=("category",),
            people=("users", "positives", "new_users", "new_positives"),
            typical={"expected": "positives", "auc": "positives", "new_expected": "new_positives", "new_auc": "new_positives"},
        )
    ),
    ("propensity", "revenue_tenths"): _hide(
        Cells(labels=("tenth",), people=("users",), typical=dict.fromkeys(("expected", "happened", "low", "high"), "users"))
    ),
    ("recommendations", "metrics"): _hide(
        Cells(labels=("source", "ground", "band", "measure"), people=("n",), typical=dict.fromkeys(("value", "low", "high"), "n"))
    ),
    ("explanations", "groups"): _each(_group, "users", "positives"),
    ("robustness", "groups"): lambda table, k: _people(table, ("users",), k),
    ("backtest", "backtest"): lambda table, k: _people(table, ("users", "happened", "trained_on"), k),
    ("uplift", "tenths"): lambda table, k: _people(table, ("users", "treated"), k),
    ("uplift", "overlap"): _hide(Cells(labels=("low", "high"), people=("treated", "others"))),
}
"""(kind of run, table) → what may be shown of it."""


def _people(table: pa.Table, counts: tuple[str, ...], k: int) -> pa.Table:
    """Counts in steps, every other number to three digits, and nothing else of a row where a count is hidden.

    The loss of a base rate is told to two decimals: with more of them it is as good as the count of those who acted.
    """
    numbers = [column.name for column in table.schema if pa.types.is_floating(column.type) and column.name not in counts]
    rows = []
    for row in table.to_pylist():
        few = any(0 < row[name] < k for name in counts)
        told = {name: None if few or row[name] is None else float(f"{row[name]:.3g}") for name in numbers}
        told |= {name: round(value, 2) for name, value in told.items() if name.startswith("base_") and value is not None}
        rows.append({**row, **told, **{name: middle(row[name], k) for name in counts}})
    return marked(pa.Table.from_pylist(rows, schema=table.schema), counts, k)


def told_run_table(kind: str, name: str, table: pa.Table, k: int) -> pa.Table:
    """A table of a run as it may be shown."""
    told = RUN_CELLS.get((kind, name))
    return table if told is None or not k else told(table, k)
