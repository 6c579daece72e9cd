"""One table as a Parquet or CSV file, beside its place and renamed."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from core.errors import StorageError
from core.privacy import guard_column
from core.small_cells import HIDDEN

BATCH_ROWS = 200_000


def write_rows(path: Path, table: pa.Table, head: Sequence[str] = ()) -> None:
    """Write one table as .parquet or .csv (byte order mark, guarded cells), beside its place and renamed.

    Args:
        path: The file.
        table: Its rows.
        head: Lines of a CSV file above the names of its columns.

    Raises:
        StorageError: The file cannot be written.
    """
    try:
        write_batches(path, path.suffix.removeprefix("."), table.schema, iter(table.to_batches(BATCH_ROWS)), head)
    except OSError as error:
        raise StorageError("{path} cannot be written ({error}). Free space or choose another place.", path=path, error=error) from error


def write_batches(target: Path, form: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch], head: Sequence[str] = ()) -> int:
    """Write batches as `parquet` or `csv` and return their rows."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    rows = 0
    try:
        if form == "parquet":
            schema = _plain_schema(schema)
            with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_table(pa.Table.from_batches([batch]).cast(schema))
                    rows += batch.num_rows
        else:
            with partial.open("wb") as stream:
                stream.write("\ufeff".encode() + "".join(f"{line}\n" for line in head).encode())
                guarded = pa.schema([pa.field(f.name, pa.string() if _is_text(f.type) else f.type) for f in schema])
                with pacsv.CSVWriter(stream, guarded) as writer:
                    for batch in batches:
                        columns = [guard_column(column.cast(pa.string())) if _is_text(column.type) else column for column in batch.columns]
                        writer.write_table(pa.table(columns, schema=guarded))
                        rows += batch.num_rows
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind) or pa.types.is_string_view(kind))


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    """Enumerations become plain text: other tools read dictionaries differently."""
    notes = {key: value for key, value in (schema.metadata or {}).items() if key != b"pandas"}  # that of pandas would name enumerations
    columns = [pa.field(f.name, pa.string() if _is_text(f.type) else f.type, metadata=_kept(f)) for f in schema]
    return pa.schema(columns, notes or None)


def _kept(column: pa.Field) -> dict[bytes, bytes] | None:
    """That a column hides small counts stays with it."""
    k = (column.metadata or {}).get(HIDDEN)
    return None if k is None else {HIDDEN: k}
