"""Look at a Parquet file: columns, also those inside structures, their types, and a sample."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.artifacts import sha256_of
from core.errors import FileError
from core.ingest.preview import SAMPLE_ROWS, FilePreview, one_column
from core.ingest.text_table import MAX_COLUMNS, too_wide
from core.ingest.watching import Tick


def inspect_parquet(path: Path, tick: Tick) -> FilePreview:
    """Look at a Parquet file; columns inside structures become columns of their own, rows of the first, middle and last group the sample.

    `tick` is told the share of its bytes, all of which are read for the checksum.

    Raises:
        FileError: It is damaged, has no rows, or one column.
    """
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
        raise one_column(path.name, tuple(schema.names))
    if len(schema.names) > MAX_COLUMNS:
        raise too_wide(path.name, len(schema.names))
    sample_rows: list[dict[str, Any]] = []
    for batch in tables:
        if batch is not None:
            sample_rows.extend(batch.to_pylist()[: max(1, SAMPLE_ROWS // len(tables))])
    leaves = [leaf for place, field in enumerate(schema) for leaf in _leaves(field, (place,))]
    if len(leaves) > MAX_COLUMNS:
        raise too_wide(path.name, len(leaves))
    sample = [[_shown(_inner(row, schema, route)) for _name, _kind, route in leaves] for row in sample_rows]
    names: list[str] = []
    for place, (name, _kind, _route) in enumerate(leaves, start=1):
        names.append(name if name and name not in names else f"{name or 'column'}_{place}")
    return FilePreview(
        path=path,
        kind="parquet",
        bytes=path.stat().st_size,
        sha256=sha256_of(path, tick),
        delimiter=None,
        encoding=None,
        has_header=True,
        columns=tuple(names),
        sample=sample[:SAMPLE_ROWS],
        row_estimate=count,
        types=tuple(kind for _name, kind, _route in leaves),
        routes=tuple(route for _name, _kind, route in leaves),
    )


def _leaves(field: pa.Field, route: tuple[int, ...]) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return name, type and place of a column, or of each column of a structure, named as `user.id`."""
    if not pa.types.is_struct(field.type) or len(route) > 4:
        return [(field.name, str(field.type), route)]
    inner = [leaf for place in range(field.type.num_fields) for leaf in _leaves(field.type.field(place), (*route, place))]
    return [(f"{field.name}.{name}", kind, way) for name, kind, way in inner]


def _inner(row: dict[str, Any], schema: pa.Schema, route: tuple[int, ...]) -> Any:
    field, value = schema.field(route[0]), row[schema.names[route[0]]]
    for place in route[1:]:
        field = field.type.field(place)
        value = None if value is None else value.get(field.name)
    return value


def _shown(value: Any) -> str:
    return "" if value is None else str(value)
