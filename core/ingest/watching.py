"""Run one long statement while progress keeps moving and a cancel is heard."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any

from core.store import Connection

Tick = Callable[[float], None]

LOOK_SECONDS = 0.5
"""Between two looks at how far a statement is."""


def part_of(tick: Tick, place: int, parts: int) -> Tick:
    """Turn the share of one of several equal parts, counted from 0, into the share of the whole."""
    return lambda share: tick((place + share) / parts)


def execute_watched(connection: Connection, statement: str, parameters: Sequence[Any] | Mapping[str, Any] | None, tick: Tick) -> None:
    """Execute a statement in a thread and tell its share; what `tick` raises, such as a cancel, interrupts the statement.

    Args:
        connection: Used by nobody else meanwhile.
        statement: One statement.
        parameters: Its bound values.
        tick: Told a share from 0 to 1 about twice a second; shares never go back.

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
            told = max(told, min(1.0, max(0.0, connection.query_progress() / 100)))
            try:
                tick(told)
            except BaseException:  # a cancel is no Exception; the statement must end with it, and it goes on
                connection.interrupt()
                raise
