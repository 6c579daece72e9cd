"""Small cells: counts of fewer than k people are hidden, and every other figure is worked out from what is shown.

A count of people from 1 to k - 1 is hidden. Every other one is told by the middle of its step of k: with k = 20, 50 stands for 40 to 59;
0 stays 0. So the difference of any two counts, also of two questions, leaves every value from 1 to k - 1 open for a hidden one, and a
total of n parts that are not 0 leaves at least k - n of them open (proof: docs/decisions/0036). Rates, shares and their intervals are
functions of shown counts, so they tell nothing more. Sums of money are rounded to about what k people spend, medians to three digits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import floor, isfinite, log10
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.metrics import wilson

SMALL_CELL = 20
"""Usual k: fewer people can be recognised."""
HIDDEN = b"hidden_below"
"""Key of a column's metadata under which k stands; a cell of such a column that is NULL is hidden."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Derive = Callable[[pa.Table], Mapping[str, list[Any]]]


@dataclass(frozen=True)
class Rate:
    """A share of two counts, and the columns of its Wilson interval when the table has them."""

    part: str
    base: str
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class Cells:
    """What each column of a table tells of people; a table whose columns are not all named here is never shown."""

    labels: tuple[str, ...] = ()
    """Names, dates, edges: nothing about how many."""
    people: tuple[str, ...] = ()
    """Counts of people."""
    acts: Mapping[str, str] = field(default_factory=dict)
    """Counts of what people do (events, sessions, orders) → the column that counts those people."""
    amounts: Mapping[str, str] = field(default_factory=dict)
    """Sums of money → the column that counts the people who spent it."""
    typical: Mapping[str, str] = field(default_factory=dict)
    """Medians, means and limits of a group → the column that counts it."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """What is told only of groups that are not hidden → the column that counts them; its value stays."""
    rates: Mapping[str, Rate] = field(default_factory=dict)
    derived: tuple[str, ...] = ()
    """Columns that `derive` works out from the shown table."""
    derive: Derive | None = None

    @property
    def names(self) -> set[str]:
        """All columns."""
        bounds = {bound for rate in self.rates.values() for bound in (rate.low, rate.high) if bound}
        return {*self.labels, *self.people, *self.acts, *self.amounts, *self.typical, *self.beside, *self.rates, *bounds, *self.derived}


def middle(count: float, k: int) -> int | None:
    """What is shown of a count: 0, None below k, else the middle of its step."""
    if not count:
        return 0
    return None if count < k else int(count // k) * k + k // 2


def told_count(count: float | None, k: int) -> str:
    """Write a shown count: `0`, `< 20`, `1,230`."""
    return f"< {k}" if count is None or count != count else f"{round(count):,}"


class Few(int):
    """A hidden count within a sentence: it reads `< 20` there, whatever its form."""

    def __new__(cls, k: int) -> "Few":
        made = super().__new__(cls, 0)
        made.k = k
        return made

    k: int

    def __format__(self, _spec: str) -> str:
        return told_count(None, self.k)


def hide(table: pa.Table, cells: Cells, k: int) -> pa.Table:
    """Hide the small cells of a table.

    Args:
        table: Exact figures.
        cells: What its columns tell; every column is named, and it may name more than a table has.
        k: Smallest count that is told, or 0, which gives the table back as it is.

    Returns:
        The same columns and rows; hidden cells are NULL, and the columns of counts carry k in their metadata (HIDDEN).
    """
    if not k:
        return table
    there = set(table.column_names)
    assert there <= cells.names, sorted(there - cells.names)
    counts = {name: _numbers(table, name) for name in {*cells.people, *cells.acts} & there}
    covered = {name: (values > 0) & (values < k) for name, values in counts.items()}
    for name, people in cells.acts.items():
        if name in there:
            covered[name] |= covered[people]
    for name, values in counts.items():
        table = _put(table, name, _middles(values, k), covered[name] | np.isnan(values), k)
    known = {name: np.where(covered[name], np.nan, _middles(values, k)) for name, values in counts.items()}
    amounts, typical, beside = ({n: p for n, p in part.items() if n in there} for part in (cells.amounts, cells.typical, cells.beside))
    unit = max((money_unit(_numbers(table, name), known[people], k) for name, people in amounts.items()), default=1.0)
    for name, people in amounts.items():
        values = _numbers(table, name)
        table = _put(table, name, np.round(values / unit) * unit, covered[people] | np.isnan(values))
    for name, people in typical.items():
        values, few = _numbers(table, name), ~(counts[people] >= k)
        table = _put(table, name, _three_digits(values), few | np.isnan(values))
    for name, people in beside.items():
        table = _blank(table, name, covered[people])
    return _work_out(table, cells)


def rate(part: float | None, base: float | None) -> tuple[float | None, float | None, float | None]:
    """A share and its Wilson interval; None where a count is hidden or the base is 0."""
    if part is None or not base:
        return None, None, None
    part = min(part, base)
    return (part / base, *wilson(part, base))  # type: ignore[arg-type]  # shown counts are whole


def shares(values: list[float | None]) -> list[float | None]:
    """Shares of the sum of what is shown; None where a count is hidden."""
    total = sum(value for value in values if value is not None)
    return [None if value is None or not total else value / total for value in values]


def money_unit(values: Floats, people: Floats, k: int) -> float:
    """The largest of 1, 2, 5, 10, 20, … (and 0.1, 0.2 …) that is no more than what k people of a table spend on average."""
    known = np.isfinite(values) & (people > 0)
    spent, n = float(np.abs(values[known]).sum()), float(people[known].sum())
    mean = k * spent / n if n else 0.0
    if not mean or not isfinite(mean):
        return 1.0
    power = 10.0 ** floor(log10(mean))
    return next(step * power for step in (5, 2, 1) if step * power <= mean * (1 + 1e-12))


def worded(table: pa.Table) -> pa.Table:
    """A table for people to read: counts with a hidden cell become text, and the cell says `< 20`."""
    for place, column in enumerate(table.schema):
        k = (column.metadata or {}).get(HIDDEN)
        if k is None or not table.column(place).null_count:
            continue
        cells = [told_count(None, int(k)) if value is None else f"{value:.15g}" for value in table.column(place).to_pylist()]
        table = table.set_column(place, pa.field(column.name, pa.string(), metadata=column.metadata), pa.array(cells, pa.string()))
    return table


def marked(table: pa.Table, names: tuple[str, ...], k: int) -> pa.Table:
    """Mark columns of counts whose hidden cells are NULL already, as those that were summed up from shown ones."""
    for name in names if k else ():
        table = _replace(table, name, table[name], {HIDDEN: str(k).encode()})
    return table


def hidden_cells(table: pa.Table) -> int:
    """How many counts of a table are hidden."""
    marked = [place for place, column in enumerate(table.schema) if HIDDEN in (column.metadata or {})]
    return sum(int(table.column(place).null_count) for place in marked)


def _work_out(table: pa.Table, cells: Cells) -> pa.Table:
    """Work out shares and intervals from what is shown."""
    rates = {name: pair for name, pair in cells.rates.items() if name in table.column_names}
    shown = {name: table[name].to_pylist() for pair in rates.values() for name in (pair.part, pair.base)}
    for name, pair in rates.items():
        found = [rate(part, base) for part, base in zip(shown[pair.part], shown[pair.base], strict=True)]
        for column, values in zip((name, pair.low, pair.high), zip(*found, strict=True) if found else ((), (), ()), strict=True):
            if column:
                table = _replace(table, column, pa.array(list(values), pa.float64()))
    for name, worked_out in (cells.derive(table) if cells.derive else {}).items():
        if name in table.column_names:
            table = _replace(table, name, pa.array(worked_out, pa.float64()))
    return table


def _numbers(table: pa.Table, name: str) -> Floats:
    """A column as numbers (n,), NaN where it is NULL."""
    return np.asarray(table[name].cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _middles(values: Floats, k: int) -> Floats:
    return np.asarray(np.where(values == 0, 0.0, np.floor(values / k) * k + k // 2))


def _three_digits(values: Floats) -> Floats:
    return np.array([float(f"{value:.3g}") for value in values], dtype=np.float64)


def _put(table: pa.Table, name: str, values: Floats, blank: Mask, k: int = 0) -> pa.Table:
    kind = table.schema.field(name).type
    whole = pa.types.is_integer(kind)
    filled = np.where(blank, 0.0, values)
    array = pa.array(np.rint(filled).astype(np.int64) if whole else filled, mask=blank)
    return _replace(table, name, array if whole else array.cast(pa.float64()), {HIDDEN: str(k).encode()} if k else None)


def _blank(table: pa.Table, name: str, blank: Mask) -> pa.Table:
    values = [None if hidden else value for hidden, value in zip(blank, table[name].to_pylist(), strict=True)]
    return _replace(table, name, pa.array(values, table.schema.field(name).type))


def _replace(table: pa.Table, name: str, array: pa.Array, metadata: dict[bytes, bytes] | None = None) -> pa.Table:
    return table.set_column(table.column_names.index(name), pa.field(name, array.type, metadata=metadata), array)
