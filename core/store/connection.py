"""The one door to DuckDB: files opened with every way out closed, statements with bound values."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from core.errors import StorageError
from core.schema import slug
from core.store.damage import storage_error

Connection = duckdb.DuckDBPyConnection
THREADS = min(os.cpu_count() or 1, 8)

_opening = threading.Lock()
"""Threads of the screen open files at the same time; only one may find an instance unlocked."""


def connect(path: Path, *, read_only: bool = True, memory_limit: str = "3GB", threads: int = THREADS) -> Connection:
    """Open a DuckDB file with every door to the outside closed (no files, network, extensions or Python variables).

    Connections of one process to one file share an instance: the first sets it up and locks it, and the others find it so.

    Raises:
        StorageError: The file is missing, damaged, or opened for writing by another process.
    """
    with _opening:
        return _open(path, read_only, memory_limit, threads)


def _open(path: Path, read_only: bool, memory_limit: str, threads: int) -> Connection:
    try:
        connection = duckdb.connect(
            str(path),
            read_only=read_only,
            config={"enable_external_access": False, "python_enable_replacements": False},
        )
        if not scalar(connection, "SELECT current_setting('lock_configuration')"):
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            connection.execute(f"SET threads = {int(threads)}")
            connection.execute("SET memory_limit = ?", [memory_limit])
            connection.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        raise StorageError("{path} cannot be opened ({error}). Restore it or ingest the log again.", path=path, error=error) from error
    return connection


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """Open a DuckDB file to read its tables, all of their rows; see `Log.history` for the rows before a cutoff.

    Raises:
        StorageError: The file is missing or damaged, however late DuckDB finds out.
    """
    connection = connect(path)
    try:
        yield connection
    except duckdb.Error as error:
        if (known := storage_error(error, path)) is not None:
            raise known from error
        raise
    finally:
        connection.close()


def fetch(connection: Connection, sql: str, parameters: Sequence[object] | dict[str, object] | None = None) -> pa.Table:
    """Run one statement with bound values and return its rows as an Arrow table."""
    return connection.sql(sql, params=parameters).to_arrow_table()


def scalar(connection: Connection, sql: str, parameters: Sequence[object] | dict[str, object] | None = None) -> Any:
    """Run one statement and return the first value of its first row, or None when it has no rows."""
    rows = connection.execute(sql, parameters).fetchall()  # all of them: a result left unfinished blocks the connection
    return rows[0][0] if rows else None


def identifier(name: str) -> str:
    """Quote a slugged name for use as an SQL identifier.

    Raises:
        ValueError: The name is not a slug; an identifier never comes from a person's text unslugged.
    """
    if slug(name) != name:
        raise ValueError(f"{name!r} is not a slug")
    return f'"{name}"'
