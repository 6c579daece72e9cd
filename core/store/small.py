"""A log of a few shoppers in memory: the same views as a log on disk, for questions that must be answered at once."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from core.schema import EVENTS, ITEM_ATTRIBUTES
from core.store.connection import Connection
from core.store.log import CELLS_OF_HISTORY_SQL

CATALOGUE_FIELDS = pa.schema(
    [
        ("item_id", pa.string()),
        ("in_catalogue", pa.bool_()),
        *((name, pa.decimal128(18, 4) if name == "price" else pa.string()) for name in ITEM_ATTRIBUTES),
    ]
)
"""Columns of the view `catalogue`."""

TABLES_SQL = """
CREATE TYPE event_type AS ENUM ('impression', 'view', 'click', 'search', 'favourite', 'share', 'cart',
    'remove_from_cart', 'purchase', 'refund', 'other');
CREATE TABLE acts (
    user_id VARCHAR NOT NULL, item_id VARCHAR, event_type event_type NOT NULL, event_time TIMESTAMP NOT NULL,
    session_id VARCHAR, dwell_seconds DECIMAL(12, 3), position VARCHAR, quantity DECIMAL(18, 4),
    price DECIMAL(18, 4), revenue DECIMAL(18, 4), query VARCHAR, order_id VARCHAR,
    source_file INTEGER, source_row BIGINT, player INTEGER);
CREATE TABLE catalogue (item_id VARCHAR, in_catalogue BOOLEAN, title VARCHAR, category VARCHAR, brand VARCHAR,
    price DECIMAL(18, 4), description VARCHAR, image VARCHAR);
CREATE TABLE chosen (user_id VARCHAR, player INTEGER);
"""
HISTORY_SQL = "CREATE VIEW history AS SELECT * EXCLUDE (player) FROM acts"
CHOSEN_SQL = """
CREATE VIEW history AS
SELECT chosen.user_id, acts.* EXCLUDE (user_id, player) FROM acts JOIN chosen USING (player)
"""


@contextmanager
def small_log(events: pa.Table, catalogue: pa.Table, chosen: pa.Table | None = None) -> Iterator[Connection]:
    """Open a log in memory whose views `history`, `history_cells` and `catalogue` hold what is given.

    Nothing that is given may lie after the cutoff.

    Args:
        events: Columns of schema.EVENTS as far as they are known; with `chosen` also `player`.
        catalogue: Columns CATALOGUE_FIELDS of the items in the events.
        chosen: user_id and player: the history then holds, for each such invented user, the events of the chosen players.

    Yields:
        A connection; the outside is closed to it.
    """
    connection = duckdb.connect(":memory:", config={"enable_external_access": False, "python_enable_replacements": False})
    try:
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET threads = 1")  # a handful of rows: starting threads costs more than they save
        connection.execute(TABLES_SQL)
        for name, table in (("acts", events), ("catalogue", catalogue), ("chosen", chosen)):
            if table is not None and table.num_rows:
                connection.register("given", table)
                connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM given")  # noqa: S608 - one of three names
                connection.unregister("given")
        connection.execute(HISTORY_SQL if chosen is None else CHOSEN_SQL)
        connection.execute(CELLS_OF_HISTORY_SQL)
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


EVENT_FIELDS = pa.schema(
    [
        *((name, pa.string()) for name in ("user_id", "item_id", "event_type")),
        ("event_time", pa.timestamp("us")),
        ("session_id", pa.string()),
        ("dwell_seconds", pa.decimal128(12, 3)),
        ("position", pa.string()),
        *((name, pa.decimal128(18, 4)) for name in ("quantity", "price", "revenue")),
        ("query", pa.string()),
        ("order_id", pa.string()),
        ("source_file", pa.int32()),
        ("source_row", pa.int64()),
    ]
)
"""Arrow types of EVENTS, in their order."""
assert tuple(EVENT_FIELDS.names) == EVENTS
