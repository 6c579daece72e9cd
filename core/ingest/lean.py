"""Staging tables that hold only what a log has; what it lacks is a NULL column of a view, which costs nothing."""

from collections.abc import Mapping
from typing import Any

from core.ingest.watching import Tick, execute_watched
from core.store import Connection, identifier


def create_lean(
    connection: Connection, name: str, select: str, parameters: Mapping[str, Any] | None, absent: Mapping[str, str], tick: Tick
) -> None:
    """Make the view `name` of a statement whose absent columns are not stored; the rest lies in the table `<name>_cells`.

    DuckDB keeps 16 bytes for each missing text in memory: a log of 5 columns in a table of 30 would take five times its size.

    Args:
        connection: Where to make them.
        name: One of our own names.
        select: A SELECT statement of our own.
        parameters: Its bound values.
        absent: Columns of the statement that are NULL in every row, with their types.
        tick: Told the share.
    """
    listed = ", ".join(identifier(column) for column in absent)
    kept = f"* EXCLUDE ({listed})" if absent else "*"
    execute_watched(
        connection,
        f"CREATE TABLE {identifier(name + '_cells')} AS SELECT {kept} FROM ({select})",  # noqa: S608 - statements and names of our own
        parameters,
        tick,
    )
    create_view(connection, name, absent)


def create_view(connection: Connection, name: str, absent: Mapping[str, str], *, place: bool = False) -> None:
    """Make the view `name` over the table `<name>_cells`, with the absent columns as NULL.

    Args:
        connection: Where the table lies.
        name: One of our own names.
        absent: Columns to add, with their types.
        place: Whether to add the row's number from 0 as `place`.
    """
    nulls = "".join(f", CAST(NULL AS {kind}) AS {identifier(column)}" for column, kind in absent.items())
    numbered = ", rowid AS place" if place else ""
    connection.execute(f"CREATE VIEW {identifier(name)} AS SELECT *{numbered}{nulls} FROM {identifier(name + '_cells')}")  # noqa: S608 - names of our own
