"""Look at a file before it is read: kind, checksum, encoding, dialect, columns and a sample."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from core.artifacts import sha256_of
from core.errors import FileError
from core.ingest.decoding import file_kind, scan_text
from core.ingest.dialect import find_dialect, split_lines

SAMPLE_ROWS = 50

MAX_COLUMNS = 2000
"""A wider table is a matrix, not a log."""


@dataclass(frozen=True)
class FilePreview:
    """What can be said of a file without casting a value."""

    path: Path
    kind: Literal["csv", "csv.gz", "parquet"]
    bytes: int
    sha256: str
    delimiter: str | None
    """None for Parquet; " " stands for runs of blanks."""
    encoding: str | None
    has_header: bool
    columns: tuple[str, ...]
    """Names from the file, from the mapping's header, or column_1 … column_n."""
    sample: list[list[str]]
    """At most 50 rows as text, "" for null."""
    row_estimate: int
    """Exact for Parquet; physical lines without header for text."""
    skip: int = 0
    """Physical lines before the header or first record."""
    types: tuple[str, ...] = ()
    """Parquet's own types."""

    @property
    def name(self) -> str:
        """File name for screens; the full path is nobody's business there."""
        return self.path.name

    def values(self, column: str) -> list[str]:
        """Sample values of a column that are not empty."""
        place = self.columns.index(column)
        return [row[place].strip() for row in self.sample if row[place].strip()]


def inspect_file(
    path: Path, *, header: tuple[str, ...] | None = None, delimiter: str | None = None, encoding: str | None = None
) -> FilePreview:
    """Look at a file once, front to back.

    Args:
        path: CSV (any delimiter, plain or gzip) or Parquet.
        header: Names for a file that has none.
        delimiter: What the person says; else found by majority over lines of the whole file.
        encoding: What the person says; else by byte order mark, UTF-8 validity and statistics.

    Raises:
        FileError: It is missing, empty, binary, has one column, or is damaged.
    """
    path = Path(path)
    kind = file_kind(path)
    return _inspect_parquet(path) if kind == "parquet" else _inspect_text(path, kind, header, delimiter, encoding)


def _inspect_text(path: Path, kind: str, header: tuple[str, ...] | None, delimiter: str | None, encoding: str | None) -> FilePreview:
    scan = scan_text(path, kind, encoding)
    dialect = find_dialect(path.name, scan.sample, scan.spread, delimiter, header)
    if dialect.columns > MAX_COLUMNS:
        raise FileError(
            "{file} has {n} columns; a log has fewer than {most}. This looks like a matrix.",
            file=path.name,
            n=dialect.columns,
            most=MAX_COLUMNS,
        )
    lines = scan.sample.split("\n")[dialect.skip :]
    records = [r for r in split_lines(lines[:400], dialect.delimiter) if len(r) == dialect.columns and any(r)]
    spread = [r for r in split_lines(scan.spread.split("\n")[:2000], dialect.delimiter) if len(r) == dialect.columns]
    rows = records[1 if dialect.has_header else 0 :]
    step = max(1, len(spread) // 25)
    sample = rows[: SAMPLE_ROWS - min(25, len(spread))] + spread[::step][: min(25, len(spread))]
    return FilePreview(
        path=path,
        kind="csv.gz" if kind == "csv.gz" else "csv",
        bytes=scan.bytes,
        sha256=scan.sha256,
        delimiter=dialect.delimiter,
        encoding=scan.encoding,
        has_header=dialect.has_header,
        columns=dialect.names,
        sample=sample[:SAMPLE_ROWS],
        row_estimate=max(len(rows), scan.newlines - int(dialect.has_header) - dialect.skip),
        skip=dialect.skip,
    )


def _inspect_parquet(path: Path) -> FilePreview:
    try:
        with pq.ParquetFile(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
            groups = file.num_row_groups
            picks = sorted({0, groups // 2, groups - 1}) if groups else []
            tables = [next(file.iter_batches(batch_size=SAMPLE_ROWS, row_groups=[g]), None) for g in picks]
    except (pa.ArrowException, OSError) as error:
        raise FileError("{file} is a damaged Parquet file ({error}); export it again.", file=path.name, error=str(error)[:120]) from error
    if count == 0:
        raise FileError("{file} holds no rows; export it again.", file=path.name)
    if len(schema.names) < 2:
        raise FileError(
            "{file} has only the column {column}; an event log needs at least user and time.",
            file=path.name,
            column=", ".join(schema.names),
        )
    sample: list[list[str]] = []
    for batch in tables:
        if batch is not None:
            rows = [[_shown(value) for value in row.values()] for row in batch.to_pylist()]
            sample.extend(rows[: max(1, SAMPLE_ROWS // len(tables))])
    names: list[str] = []
    for place, name in enumerate(schema.names, start=1):
        names.append(name if name and name not in names else f"{name or 'column'}_{place}")
    return FilePreview(
        path=path,
        kind="parquet",
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        delimiter=None,
        encoding=None,
        has_header=True,
        columns=tuple(names),
        sample=sample[:SAMPLE_ROWS],
        row_estimate=count,
        types=tuple(str(kind) for kind in schema.types),
    )


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
