"""A question asked of a log: its rows, and the very statement that gives them, ready to be pasted into DuckDB."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from core.store import Connection, fetch

_PARAMETER = re.compile(r"\$([a-z_]+)")
_TABLES = {"history": "events", "catalogue": "items"}
"""At the end of the log the views of a reading and the exported tables hold the same rows."""


@dataclass(frozen=True)
class Answer:
    """Rows of one statement and the statement with its values filled in."""

    table: pa.Table
    sql: str


def ask(connection: Connection, sql: str, parameters: Mapping[str, object]) -> Answer:
    """Run one statement with bound values.

    Args:
        connection: Has the views `history` and `catalogue` (see `store.Log.history`).
        sql: One SELECT with named parameters, `$since`.
        parameters: Values; names that the statement does not use are left out.
    """
    used = {name: parameters[name] for name in set(_PARAMETER.findall(sql))}
    return Answer(fetch(connection, sql, used), fill(sql, used))


def fill(sql: str, parameters: Mapping[str, object]) -> str:
    """Write values into a statement and name the exported tables, so that it runs on `events.duckdb` or on an export."""
    filled = _PARAMETER.sub(lambda found: literal(parameters[found.group(1)]), sql)
    for view, table in _TABLES.items():
        filled = re.sub(rf"\b(FROM|JOIN) {view}\b", rf"\1 {table}", filled)
    return filled.strip()


def literal(value: object) -> str:
    """Write a value as SQL does, quoted."""
    if value is None:
        return "NULL"
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    return "'" + str(value).replace("'", "''") + "'"
