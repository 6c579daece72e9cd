"""What the mapping form asks of one column before a file of any kind is read in earnest: its words, the order of its dates."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.ingest.casting import DAY_MONTH
from core.ingest.date_order import DateOrder, weigh_date_order
from core.ingest.preview import FilePreview
from core.ingest.reading import inspect_files
from core.ingest.records import Accounting, read_table
from core.ingest.scratch import scratch_below


def count_words(preview: FilePreview, column: str, most: int) -> Counter[str]:
    """Count the values of a column that are not empty: in all of a Parquet file, in the first `most` rows of any other.

    Args:
        preview: What `inspect_file` said of the file.
        column: One of its columns.
        most: Rows to look at.

    Raises:
        FileError: The file cannot be read any more.
    """
    counts: Counter[str] = Counter()
    for values in _values(preview, column, most):
        for entry in pc.value_counts(values).to_pylist():
            counts[entry["values"]] += entry["counts"]
    counts.pop("", None)
    return counts


def open_dates(previews: list[FilePreview], columns: tuple[str, ...], most: int) -> DateOrder | None:
    """Tell what the dates of event files leave open between day-first and month-first; None when nothing is open.

    Args:
        previews: What `inspect_file` said of the files.
        columns: The columns that hold the time; dates are looked for in each.
        most: Rows to look at in each file that is no Parquet.

    Raises:
        FileError: A file cannot be read any more.
    """
    for column in columns:
        files = [preview for preview in previews if column in preview.columns]
        shown = list(chain.from_iterable(preview.values(column) for preview in files))
        if not shown or sum(bool(re.search(DAY_MONTH, value)) for value in shown) * 2 < len(shown):
            continue
        with duckdb.connect(":memory:") as connection:
            connection.execute("CREATE TABLE raw (source_file INTEGER, source_row BIGINT, event_time VARCHAR)")
            for place, preview in enumerate(files):
                row = 0
                for values in _values(preview, column, most):
                    connection.register("block", pa.table({"row": pa.array(range(row, row + len(values)), pa.int64()), "t": values}))
                    connection.execute("INSERT INTO raw SELECT ?, row, nullif(t, '') FROM block", [place])
                    connection.unregister("block")
                    row += len(values)
            weighed = weigh_date_order(connection, datetime.now(UTC).date())
        is_open = weighed.example and not (weighed.only_day_first or weighed.only_month_first or weighed.found)
        return weighed if is_open else None
    return None


def _values(preview: FilePreview, column: str, most: int) -> Iterator[pa.Array]:
    """Yield the values of a column as text, '' for none; all of a Parquet file, the first `most` rows of any other."""
    if column in dict(preview.folders):
        yield pa.array([dict(preview.folders)[column]])
        return
    preview = preview.stored
    if preview.path == preview.given:
        yield from _read(preview, column, most)
        return
    with scratch_below() as scratch:  # what the preview was made from is gone
        again = inspect_files(Path(preview.given), scratch=scratch, most=most)[0].stored
        yield from _read(again, column, most)


def _read(preview: FilePreview, column: str, most: int) -> Iterator[pa.Array]:
    if preview.kind == "parquet" or preview.is_converted:
        name = f"p{preview.columns.index(column)}" if preview.is_converted else column
        with pq.ParquetFile(preview.path) as file:
            for batch in file.iter_batches(columns=[name]):
                yield _text(batch.column(0))
        return
    seen = 0
    for batch in read_table(preview, [column], Accounting(), lambda share: None):
        yield _text(batch.column(1).slice(0, most - seen))
        seen += batch.num_rows
        if seen >= most:
            return


def _text(values: pa.Array) -> pa.Array:
    text = pa.array([None if v is None else str(v) for v in values.to_pylist()]) if pa.types.is_nested(values.type) else values
    return pc.fill_null(pc.utf8_trim_whitespace(pc.cast(text, pa.string())), "")
