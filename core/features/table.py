"""The feature table: one row per user, computed in DuckDB from the views of one cutoff."""

from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.features.catalogue import FEATURES
from core.store import Connection, fetch

_TABLES = ("user_days", "orders", "user_items", "item_levels")
_BLOCKS = ("activity", "rhythm", "buying", "tastes")


LEVELS = pa.schema([("item_id", pa.string()), ("level", pa.decimal128(12, 6))])
"""Columns of item price levels: ln(price of an item / median price of its category), for items with a price."""


def compute_features(connection: Connection, cutoff: datetime, levels: pa.Table | None = None) -> pa.Table:
    """Count what each user did before the cutoff.

    Needs only user, act and time; items, categories, prices, dwell, positions and sessions add to it where the log
    has them. Sums are exact (decimals and integers), so the result does not depend on row order or threads.

    Args:
        connection: From `Log.history(cutoff)`.
        cutoff: The same cutoff; ages are counted back from it. A window of n days is `[cutoff - n days, cutoff)`.
        levels: LEVELS of the whole log as of the cutoff (see `price_levels`), where the connection holds only some of its
            shoppers; None has them counted from what the connection holds.

    Returns:
        user_id (VARCHAR, ascending, everyone with an event in history) and one column for each of FEATURES: int64 for
        counts, float64 for the rest; NULL only where FEATURES says that a value can be empty.
    """
    _make_tables(connection, cutoff, levels)
    blocks = [fetch(connection, *_statement(name, cutoff)) for name in _BLOCKS]
    found = {name: block.column(name) for block in blocks for name in block.column_names}
    columns = {"user_id": found["user_id"].cast(pa.string())}
    for feature in FEATURES:
        values = found[feature.name].cast(pa.float64(), safe=False)
        if feature.is_count:
            values = pc.fill_null(values, 0.0)
            if feature.unit not in ("money", "units"):
                values = values.cast(pa.int64())
        columns[feature.name] = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    for name in _TABLES:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    return pa.table(columns)


def price_levels(connection: Connection, cutoff: datetime) -> pa.Table:
    """LEVELS of all items with a price, as of the connection's cutoff, by item_id."""
    for name in ("user_items", "item_levels"):
        connection.execute(*_statement(name, cutoff))
    levels = fetch(connection, "SELECT item_id, level FROM item_levels ORDER BY item_id").cast(LEVELS)
    for name in ("user_items", "item_levels"):
        connection.execute(f"DROP TABLE IF EXISTS {name}")
    return levels


def nothing_known(columns: list[str]) -> npt.NDArray[np.float64]:
    """Features of a shopper of whom no event is known (F,): counts are 0, all else is empty."""
    counts = {feature.name for feature in FEATURES if feature.is_count}
    return np.array([0.0 if name in counts else np.nan for name in columns])


def _make_tables(connection: Connection, cutoff: datetime, levels: pa.Table | None) -> None:
    for name in _TABLES:
        if name == "item_levels" and levels is not None:
            connection.register("known_levels", levels)
            connection.execute("CREATE OR REPLACE TEMP TABLE item_levels AS SELECT item_id, level FROM known_levels")
            connection.unregister("known_levels")
        else:
            connection.execute(*_statement(name, cutoff))


def _statement(name: str, cutoff: datetime) -> tuple[str, dict[str, object] | None]:
    """A statement and its values; DuckDB refuses values that a statement does not name."""
    sql = Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
    return sql, {"cutoff": cutoff} if "$cutoff" in sql else None
