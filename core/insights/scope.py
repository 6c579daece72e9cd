"""The part of a log that is looked at: whose events, and which of them. Every question can be asked of it.

A scope narrows the view `history` of a connection, so that no statement knows of it; shown statements begin with the same choice
as a table `events` of their own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from core.insights.statement import Answer, ask, fill, literal
from core.store import Connection, Log, identifier

NARROWED_SQL = "CREATE OR REPLACE TEMP VIEW history AS SELECT * FROM main.events WHERE {condition}"


@dataclass(frozen=True)
class Scope:
    """Choices that all hold at once; what is not chosen is everything."""

    since: datetime | None = None
    """UTC, inclusive."""
    until: datetime | None = None
    """UTC, exclusive."""
    event_types: tuple[str, ...] = ()
    category: str | None = None
    """Of the item acted on; `""` are items without one."""
    brand: str | None = None
    attribute: tuple[str, str] | None = None
    """A column of `users` and its value."""
    members: pa.Table | None = field(default=None, compare=False, repr=False)
    """Column user_id: only their events; None for everybody's."""
    members_sql: str = ""
    """Statement that lists the members from exported tables."""

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Scope() and self.members is None


EVERYTHING = Scope()


@contextmanager
def narrowed(log: Log, scope: Scope = EVERYTHING, tables: Mapping[str, pa.Table] | None = None) -> Iterator[Connection]:
    """Open a log whose view `history` holds only the events of a scope.

    Args:
        log: What to read.
        scope: What is looked at.
        tables: Further tables to register by name, such as `segments`.
    """
    with log.history() as connection:
        for name, table in (tables or {}).items():
            connection.register(name, table)
        if not scope.is_everything:
            if scope.members is not None:
                connection.register("members", scope.members)
            conditions = [f"event_time < {literal(log.until)}", *_conditions(scope, "SELECT user_id FROM members", "catalogue")]
            connection.execute(NARROWED_SQL.format(condition=" AND ".join(conditions)))
        yield connection


def answer(
    log: Log, sql: str, values: Mapping[str, object], scope: Scope = EVERYTHING, tables: Mapping[str, pa.Table] | None = None
) -> Answer:
    """Ask one statement of the events of a scope; the shown statement makes the same choice.

    Args:
        log: What to read.
        sql: One statement with named parameters.
        values: Its parameters.
        scope: What is looked at.
        tables: Further tables that the statement names.
    """
    with narrowed(log, scope, tables) as connection:
        found = ask(connection, sql, values)
    return found if scope.is_everything else Answer(found.table, shown(found.sql, scope))


def described(sql: str, values: Mapping[str, object], scope: Scope = EVERYTHING) -> str:
    """The statement that gives the rows of a question, with its values and the choice of its scope filled in."""
    filled = fill(sql, values)
    return filled if scope.is_everything else shown(filled, scope)


def shown(sql: str, scope: Scope) -> str:
    """Put the choice of a scope before a statement that reads `events`."""
    conditions = " AND ".join(_conditions(scope, scope.members_sql or "SELECT user_id FROM members", "items"))
    chosen = f"events AS (\n    SELECT * FROM main.events WHERE {conditions}\n)"  # noqa: S608 - literals are quoted
    for begin in ("WITH RECURSIVE ", "WITH "):
        if sql.startswith(begin):
            return f"{begin}{chosen}, {sql.removeprefix(begin)}"
    return f"WITH {chosen}\n{sql}"


def _conditions(scope: Scope, members: str, catalogue: str) -> list[str]:
    """Tests of an event; values are quoted literals, as a view holds no parameters."""
    found: list[str] = []
    if scope.since is not None:
        found.append(f"event_time >= {literal(scope.since)}")
    if scope.until is not None:
        found.append(f"event_time < {literal(scope.until)}")
    if scope.event_types:
        found.append(f"event_type::VARCHAR IN ({', '.join(literal(kind) for kind in scope.event_types)})")
    about = [("category", scope.category), ("brand", scope.brand)]
    for column, value in about:
        if value:
            found.append(f"item_id IN (SELECT item_id FROM {catalogue} WHERE {column} = {literal(value)})")  # noqa: S608 - quoted
        elif value is not None:
            found.append(f"item_id NOT IN (SELECT item_id FROM {catalogue} WHERE {column} IS NOT NULL)")  # noqa: S608
    if scope.attribute is not None:
        column, wanted = scope.attribute
        found.append(f"user_id IN (SELECT user_id FROM users WHERE {identifier(column)}::VARCHAR = {literal(wanted)})")  # noqa: S608
    if scope.members is not None:
        found.append(f"user_id IN ({members})")
    return found or ["TRUE"]


def rows_of(table: pa.Table, **columns: Any) -> pa.Table:
    """A table with further columns at its end."""
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return table
