"""Saving and loading of tables and arrays, with checksums; no pickles.

Tables are Parquet (zstd), arrays safetensors, records JSON. `seal` lists the sha256 of every file of a folder in its
manifest, and reading through `read_*` checks it, because a flipped bit in Parquet is otherwise a silent wrong answer.
"""

import hashlib
import json
import math
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import StorageError
from core.messages import revived, with_messages

MANIFEST = "manifest.json"

Array = npt.NDArray[Any]


def sha256_of(path: Path, tick: Callable[[float], None] = lambda share: None) -> str:
    """Return the hex sha256 of a file, read in blocks of 1 MiB; `tick` is told the share of its bytes.

    Of a file that grows the bytes are taken that it had at first: who follows it may follow it for ever.
    """
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as stream:
        while block := stream.read(min(1 << 20, size - done)):
            digest.update(block)
            done += len(block)
            tick(done / size)
    return digest.hexdigest()


def write_json(path: Path, record: Any, *, lasting: bool = True) -> None:
    """Write a record by temporary file and rename, so that a reader never sees half of it.

    NaN and infinities become null: JSON has no word for them. What need not outlast a power cut is written without waiting
    for the disk, which takes seconds while large files are being written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as stream:  # a file name may hold bytes that are no text
            json.dump(_finite(record), stream, ensure_ascii=False, indent=1, sort_keys=True, default=_plain, allow_nan=False)
            stream.flush()
            if lasting:
                os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # a full disk leaves half a file


def read_json(path: Path) -> Any:
    """Read a record.

    Raises:
        StorageError: The file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StorageError("{path} is missing; the folder was changed by hand. Run the stage again.", path=path) from error
    except (ValueError, OSError, RecursionError) as error:
        raise StorageError(
            "{path} cannot be read ({error}); restore it, or ingest the log or run the stage again.", path=path, error=error
        ) from error


def write_table(path: Path, table: pa.Table, rows: int | None = None) -> None:
    """Write a table as Parquet, in groups of so many rows when only a few of them are read at once.

    Dictionaries of texts are read back as plain texts.
    """
    plain = not any(pa.types.is_dictionary(field.type) for field in table.schema)
    pq.write_table(table, path, compression="zstd", row_group_size=rows, store_schema=plain)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet table after checking it against the manifest of its folder.

    Raises:
        StorageError: The file is missing or differs from its recorded sha256.
    """
    _check(path)
    try:
        return pq.read_table(path, columns=columns)
    except pa.ArrowException as error:
        raise StorageError("{path} cannot be read as Parquet ({error}). Run the stage again.", path=path, error=str(error)[:160]) from error


def varying_columns(path: Path) -> list[str]:
    """Return the columns of a Parquet table that hold at least two values, empty ones aside, by its statistics: nothing is read."""
    found = pq.ParquetFile(path).metadata
    groups = [found.row_group(group) for group in range(found.num_row_groups)]
    names = []
    for place, name in enumerate(found.schema.names):
        told = [group.column(place).statistics for group in groups]
        known = [one for one in told if one is not None and one.has_min_max]
        ends = {end for one in known for end in (one.min, one.max)}
        if len(ends) > 1 or any(one is None for one in told):  # without statistics it may
            names.append(name)
    return names


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Write named arrays as safetensors."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def read_arrays(path: Path) -> dict[str, Array]:
    """Read named arrays after checking the file against the manifest of its folder.

    Raises:
        StorageError: The file is missing or differs from its recorded sha256.
    """
    from safetensors.numpy import load_file

    _check(path)
    return dict(load_file(path))


def read_rows(
    path: Path, name: str, begin: int = 0, end: int | None = None, *, most: int = 65_536, check: bool = True
) -> Iterator[tuple[int, Array]]:
    """Read rows `begin` to `end` of an array piece by piece, so that a large one is never whole in memory.

    Args:
        path: A file that `write_arrays` wrote.
        name: Of the array.
        begin: First row.
        end: Row after the last; None for all.
        most: Rows of a piece.
        check: False for a second look at a file that was checked a moment ago.

    Yields:
        The place of the first row, and at most `most` rows.

    Raises:
        StorageError: The file is missing or differs from its recorded sha256.
    """
    from safetensors import safe_open

    if check:
        _check(path)
    with safe_open(path, framework="numpy") as arrays:
        rows = arrays.get_slice(name)
        last = rows.get_shape()[0] if end is None else end
        for start in range(begin, last, most):
            yield start, rows[start : min(start + most, last)]


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a folder with size and sha256 of every file in it, and of the manifest itself as `seal`."""
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    record = json.loads(json.dumps(_finite(with_messages({**manifest, "files": files})), default=_plain))
    write_json(folder / MANIFEST, {**record, "seal": _seal_of(record)})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a sealed folder; its sentences carry their templates and values again.

    Raises:
        StorageError: It is missing, or was changed after it was sealed.
    """
    record = read_json(folder / MANIFEST)
    whole = isinstance(record, dict)
    if not whole or ("seal" in record and record["seal"] != _seal_of({key: value for key, value in record.items() if key != "seal"})):
        raise StorageError(
            "{path} was changed after it was written, by the disk or a person. Restore it, or ingest the log or run the stage again.",
            path=folder / MANIFEST,
        )
    return dict(revived(record))


def is_whole(folder: Path) -> bool:
    """Tell whether every file of a sealed folder is there with its recorded size and sha256."""
    try:
        files = read_manifest(folder).get("files", {})
        return all((folder / name).stat().st_size == f["bytes"] and sha256_of(folder / name) == f["sha256"] for name, f in files.items())
    except (StorageError, OSError, AttributeError, KeyError, TypeError):
        return False


def _seal_of(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


_checked: set[tuple[str, int, int]] = set()


def _check(path: Path) -> None:
    """Compare a file with its manifest, once per process and file state; files outside sealed folders pass."""
    if not path.is_file():
        raise StorageError("{path} is missing; the folder was changed by hand. Run the stage again.", path=path)
    manifest = path.parent / MANIFEST
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key in _checked or not manifest.is_file():
        return
    recorded = read_manifest(path.parent).get("files", {}).get(path.name)
    if recorded and recorded["sha256"] != sha256_of(path):
        raise StorageError(
            "{path} differs from the sha256 in its manifest: the disk or a person changed it. Run the stage again.", path=path
        )
    _checked.add(key)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
