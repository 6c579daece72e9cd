"""The feature table: one row per user, computed in DuckDB from the views of one cutoff."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from core.features.catalogue import FEATURES
from core.store import Connection, fetch

_TABLES = ("user_days", "orders", "user_items")
_BLOCKS = ("activity", "rhythm", "buying", "tastes")


def compute_features(connection: Connection, cutoff: datetime) -> pa.Table:
    """Count what each user did before the cutoff.

    Needs only user, act and time; items, categories, prices, dwell, positions and sessions add to it where the log
    has them. Sums are exact (decimals and integers), so the result does not depend on row order or threads.

    Args:
        connection: From `Log.history(cutoff)`.
        cutoff: The same cutoff; ages are counted back from it. A window of n days is `[cutoff - n days, cutoff)`.

    Returns:
        user_id (VARCHAR, ascending, everyone with an event in history) and one column for each of FEATURES: int64 for
        counts, float64 for the rest; NULL only where FEATURES says that a value can be empty.
    """
    for name in _TABLES:
        connection.execute(*_statement(name, cutoff))
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


def _statement(name: str, cutoff: datetime) -> tuple[str, dict[str, object] | None]:
    """A statement and its values; DuckDB refuses values that a statement does not name."""
    sql = Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")
    return sql, {"cutoff": cutoff} if "$cutoff" in sql else None
