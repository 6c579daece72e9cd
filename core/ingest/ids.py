"""Ids that are numbers: `17850.0` where the shop wrote 17850, and ids that can be stored as whole numbers without a loss."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.ingest.watching import Tick
from core.store import Connection, identifier, scalar


def are_whole(connection: Connection, table: str, column: str) -> str | None:
    """Return an example when every id of a column is a whole number with .0, which a look at the first id most often denies.

    Args:
        connection: Staging.
        table: One of our own tables or views.
        column: One of our own columns, text.
    """
    name, source = identifier(column), identifier(table)
    first = scalar(connection, f"SELECT {name} FROM {source} WHERE {name} IS NOT NULL LIMIT 1")  # noqa: S608 - names of our own
    if first is None or not str(first).endswith(".0"):
        return None
    others = scalar(connection, f"SELECT count(*) FILTER (NOT regexp_full_match({name}, '[0-9]+\\.0')) FROM {source}")  # noqa: S608 - names of our own
    return None if others else str(first)


def make_whole(connection: Connection, table: str, column: str, wanted: bool | None) -> None:
    """Cut .0 off the ids of a table, where all end so and nobody wants them as they stand."""
    if wanted is not False and are_whole(connection, table, column):
        name = identifier(column)
        connection.execute(f"UPDATE {identifier(table)} SET {name} = left({name}, -2)")  # noqa: S608 - names of our own


def are_numbers(connection: Connection, table: str, column: str) -> bool:
    """Tell whether each id of a column, text, is a whole number of 64 bits spelled as DuckDB spells it: never `007`, `+7` or `7.0`.

    Only then does the number give back the same text.
    """
    name, source = identifier(column), identifier(table)
    other = f"{name} IS NOT NULL AND CAST(TRY_CAST({name} AS BIGINT) AS VARCHAR) IS DISTINCT FROM {name}"
    head = f"SELECT count(*) FILTER ({other}), count({name}) FROM (SELECT {name} FROM {source} LIMIT 1000)"  # noqa: S608 - names of our own
    others, known = connection.execute(head).fetchall()[0]
    if others or not known:
        return False
    return not scalar(connection, f"SELECT count(*) FROM {source} WHERE {other}")  # noqa: S608 - names of our own


def numbers_of(column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], pa.Array | None]:
    """Return a number for each id, equal for equal ids (N), and the ids by number, or None where the numbers are the ids themselves."""
    if column.type == pa.int64():
        return column.to_numpy(), None
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def parts_by_user(connection: Connection, columns: str, table: str, part_rows: int, tick: Tick) -> Iterator[pa.Table]:
    """Yield columns of a table in parts of about `part_rows` rows, each with all rows of its users; a part may be empty.

    Rows of a part stand in the order of the table. `columns` and `table` are fixed words, and `tick` is told the share.
    """
    parts = max(1, -(-int(scalar(connection, f"SELECT count(*) FROM {table}")) // part_rows))  # noqa: S608 - fixed names only
    # Beside a signed number a hash is taken modulo in 128 bits, at twenty times the cost.
    sql = f"SELECT {columns} FROM {table} WHERE $parts = 1 OR hash(user_id) % CAST($parts AS UBIGINT) = $part"  # noqa: S608 - fixed names only
    for part in range(parts):
        found = connection.sql(sql, params={"parts": parts, "part": part}).to_arrow_table()
        tick((part + 1) / parts)
        yield found
