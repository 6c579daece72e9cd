"""Rows of JSON or of a workbook, written once as a Parquet file of texts that the usual statements read.

Its columns are source_row (from 1), text (the original), fault (why the row is broken, else NULL) and p0 … pn.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import FileError
from core.ingest.scratch import Scratch

BATCH_ROWS = 20_000
MAX_COLUMNS = 2000
"""A wider table is a matrix, not a log."""

Row = tuple[dict[str, str | None], str, str | None]
"""Values by column, original text, and what is wrong with the row (None: nothing)."""


@dataclass(frozen=True)
class TextTable:
    """A table of texts on disk."""

    path: Path
    columns: tuple[str, ...]
    rows: int
    """Good rows."""
    broken: int
    sample: list[list[str]]
    """Some good rows of the first and of later batches, "" for null."""

    @property
    def places(self) -> dict[str, str]:
        """Names of the file's columns by their names in the table."""
        return {name: f"p{place}" for place, name in enumerate(self.columns)}


def write_texts(rows: Iterable[Row], name: str, scratch: Scratch, sample_rows: int = 50, most: int | None = None) -> TextTable:
    """Write rows whose columns become known only on the way.

    Args:
        rows: In the order of the file.
        name: Of the file, for messages.
        scratch: Where to write.
        sample_rows: Longest sample.
        most: Stop after so many rows (None: never); for looks.

    Raises:
        FileError: There are more columns than a log has.
        StorageError: The disk has no room.
    """
    columns: dict[str, None] = {}
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    width = good = seen = 0
    sample: list[dict[str, str | None]] = []
    try:
        for batch in _batched(rows, most):
            for values, _text, fault in batch:
                if fault is None:
                    columns.update(dict.fromkeys(values))
                    good += 1
            if len(columns) > MAX_COLUMNS:
                raise too_wide(name, len(columns))
            if writer is None or width < len(columns):  # a column turned up late: the next part is wider
                if writer is not None:
                    writer.close()
                scratch.check_room(1 << 20, name)
                parts.append(scratch.path("parquet"))
                width = len(columns)
                writer = pq.ParquetWriter(parts[-1], _schema(width), compression="zstd", compression_level=1)
            writer.write_table(_table(batch, list(columns), seen))
            sample += [values for values, _text, fault in batch[: sample_rows if not seen else 3] if fault is None]
            seen += len(batch)
    finally:
        if writer is not None:
            writer.close()
    path = parts[0] if len(parts) == 1 else _joined(parts, width, scratch)
    head, tail = sample[: sample_rows // 2], sample[sample_rows // 2 :]
    picked = head + tail[:: max(1, -(-len(tail) // (sample_rows - len(head) or 1)))]
    return TextTable(path, tuple(columns), good, seen - good, [[row.get(c) or "" for c in columns] for row in picked])


def too_wide(name: str, columns: int) -> FileError:
    """Return the refusal of a table with so many columns."""
    return FileError(
        "{file} has {n} columns; a log has fewer than {most}. This looks like a matrix.", file=name, n=columns, most=MAX_COLUMNS
    )


def _batched(rows: Iterable[Row], most: int | None) -> Iterable[list[Row]]:
    batch: list[Row] = []
    left = most
    for row in rows:
        batch.append(row)
        if left is not None and (left := left - 1) <= 0:
            break
        if len(batch) >= BATCH_ROWS:
            yield batch
            batch = []
    yield batch  # an empty table has its one empty part


def _schema(width: int) -> pa.Schema:
    texts = [(f"p{place}", pa.string()) for place in range(width)]
    return pa.schema([("source_row", pa.int64()), ("text", pa.string()), ("fault", pa.string()), *texts])


def _table(batch: list[Row], columns: list[str], before: int) -> pa.Table:
    arrays: list[Any] = [
        pa.array(range(before + 1, before + len(batch) + 1), pa.int64()),
        _texts([text for _values, text, _fault in batch]),
        pa.array([fault for _values, _text, fault in batch], pa.string()),
        *(_texts([values.get(column) for values, _text, _fault in batch]) for column in columns),
    ]
    return pa.table(arrays, schema=_schema(len(columns)))


def _texts(values: list[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # half of a pair of UTF-16 signs, "\ud83d", is no text
        return pa.array([v if v is None else v.encode("utf-8", errors="replace").decode() for v in values], pa.string())


def _joined(parts: list[Path], width: int, scratch: Scratch) -> Path:
    """Write parts of growing width into one file; what a part lacks is NULL."""
    path = scratch.path("parquet")
    schema = _schema(width)
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    missing = [pa.nulls(len(batch), pa.string())] * (width + 3 - batch.num_columns)
                    writer.write_batch(pa.record_batch([*batch.columns, *missing], schema=schema))
            part.unlink()
    return path
