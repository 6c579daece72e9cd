"""What a report holds before it becomes a file: sections, figures with table, definition and statement, and charts as plain values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import pyarrow as pa

from core.messages import Message, say

Tell = Callable[[str], str]
"""Says a sentence in the reader's language; `str` leaves it English."""
Form = Literal["text", "whole", "percent", "amount", "number", "day"]
NOTHING = "–"
"""What is written for a value that is not there."""
SHOWN_ROWS = 20
"""Rows of a table that are printed; all of them are in the ZIP."""


@dataclass(frozen=True)
class Column:
    """A column that is printed."""

    name: str
    title: Message
    form: Form
    words: Mapping[Any, str] = field(default_factory=dict)
    """What codes are called; a code without a word stands as it is."""


@dataclass(frozen=True)
class Chart:
    """A picture as plain values: bars from left to right, a line over periods, a grid, or points in groups."""

    kind: Literal["bars", "line", "grid", "points"]
    labels: tuple[str, ...]
    """Of bars, periods, rows of the grid, or groups of points."""
    values: tuple[Any, ...]
    """A number or None each; rows of numbers for a grid; for points x, y and the place of the group."""
    axis: Message
    form: Form = "whole"
    columns: tuple[str, ...] = ()
    """Of a grid."""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    hollow: tuple[bool, ...] = ()
    """Periods that the log covers in part."""
    nothing: str = NOTHING
    """What is written for a value of None."""

    def told(self, value: Any) -> str:
        """A value as it stands in the picture."""
        return self.nothing if value is None else shown(value, self.form)


@dataclass(frozen=True)
class Exhibit:
    """A figure: what it is, how it is counted, its rows and the statement that gives them."""

    id: str
    """Stable: `section.name`; the file of the ZIP is called so."""
    title: Message
    definition: Message
    """With its denominator."""
    columns: tuple[Column, ...]
    table: pa.Table
    sql: str
    chart: Chart | None = None
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Section:
    """A chapter; one without exhibits says why in `notes`."""

    id: str
    title: Message
    question: Message
    exhibits: tuple[Exhibit, ...]
    tiles: tuple[tuple[Message, str, Message | None], ...] = ()
    """Label, value, note below."""
    notes: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Report:
    """All of it; `title` is what a person wrote, or empty."""

    title: str
    dataset: str
    facts: tuple[Message, ...]
    """Of the data set: rows, dates, zone, version."""
    filters: tuple[Message, ...]
    """What is looked at; empty for the whole log."""
    made: str
    sections: tuple[Section, ...]
    paged: bool = False
    """Whether each section begins a page of its own."""


APPENDIX = say(
    "Each runs as it stands in DuckDB on the exported tables, and on this version's events.duckdb where it asks for none of a run. "
    "A table may hold a part of its rows, and rates and intervals that are worked out from its counts."
)
"""What is said of the statements of a report."""


def shown(value: Any, form: Form) -> str:
    """A value as it is printed; text stands as it is."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and value != value):
        return NOTHING
    if form == "whole":
        return f"{round(value):,}"
    if form == "percent":
        return f"{100 * value:.1f}%"
    if form == "amount":
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"
    if form == "number":
        return f"{value:,.2f}"
    if form == "day":
        return f"{value:%Y-%m-%d}" if isinstance(value, date | datetime) else str(value)
    return str(value)


def printed(exhibit: Exhibit, tell: Tell) -> list[list[str]]:
    """The first rows of a figure's table as text."""
    rows = exhibit.table.select([column.name for column in exhibit.columns]).slice(0, SHOWN_ROWS).to_pylist()
    return [[_cell(row[column.name], column, tell) for column in exhibit.columns] for row in rows]


def _cell(value: Any, column: Column, tell: Tell) -> str:
    word = column.words.get(value)
    return shown(value, column.form) if word is None else tell(word)
