"""Words of one column for the mapping form, from a file of any kind, before it is read in earnest."""

from collections import Counter
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

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
    if preview.path == preview.given:
        return _count(preview, column, most)
    with scratch_below() as scratch:  # what the preview was made from is gone
        again = inspect_files(Path(preview.given), scratch=scratch, most=most)[0]
        return _count(again, column, most)


def _count(preview: FilePreview, column: str, most: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    if preview.kind == "parquet" or preview.is_converted:
        name = f"p{preview.columns.index(column)}" if preview.is_converted else column
        with pq.ParquetFile(preview.path) as file:
            for batch in file.iter_batches(columns=[name]):
                for entry in pc.value_counts(batch.column(0)).to_pylist():
                    if entry["values"] is not None:
                        counts[str(entry["values"]).strip()] += entry["counts"]
    else:
        seen = 0
        for batch in read_table(preview, [column], Accounting(), lambda share: None):
            for value in batch.column(1).slice(0, most - seen).to_pylist():
                counts[value.strip()] += 1
            seen += batch.num_rows
            if seen >= most:
                break
    counts.pop("", None)
    return counts
