"""Run one long statement while progress keeps moving and a cancel is heard."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import pyarrow as pa

from core.store import Connection, identifier

Tick = Callable[[float], None]

LOOK_SECONDS = 0.5
"""Between two looks at how far a statement is."""


def part_of(tick: Tick, place: int, parts: int) -> Tick:
    """Turn the share of one of several equal parts, counted from 0, into the share of the whole."""
    return lambda share: tick((place + share) / parts)


def execute_watched(
    connection: Connection,
    statement: str,
    parameters: Sequence[Any] | Mapping[str, Any] | None,
    tick: Tick,
    share: Callable[[], float] | None = None,
) -> None:
    """Execute a statement in a thread and tell its share; what `tick` raises, such as a cancel, interrupts the statement.

    Args:
        connection: Used by nobody else meanwhile.
        statement: One statement.
        parameters: Its bound values.
        tick: Told a share from 0 to 1 about twice a second; shares never go back.
        share: Tells how far the statement is, where DuckDB cannot: of one that scans an Arrow table it says nothing.

    Raises:
        duckdb.Error: The statement failed.
    """
    told = 0.0
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(connection.execute, statement, parameters)
        while True:
            try:
                future.result(timeout=LOOK_SECONDS)
                return
            except NotYet:
                if future.done():
                    raise
            told = max(told, min(1.0, share() if share else connection.query_progress() / 100))
            try:
                tick(told)
            except BaseException:  # a cancel is no Exception; the statement must end with it, and it goes on
                connection.interrupt()
                raise


def store_arrow(connection: Connection, name: str, table: pa.Table) -> None:
    """Make a table of the staging of a small Arrow table: a statement that scans Arrow itself cannot say how far it is."""
    connection.register("arrow_rows", table)
    connection.execute(f"CREATE TABLE {identifier(name)} AS FROM arrow_rows")
    connection.unregister("arrow_rows")
