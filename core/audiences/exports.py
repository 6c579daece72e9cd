"""The file that goes to a mailing tool or an ad platform, and the manifest that says what it is."""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.artifacts import sha256_of, write_json
from core.audiences.rules import Rule, Tables, rule_sql, scope_of
from core.audiences.sizes import Value, as_record, consent_column, members, summarise
from core.audiences.words import Vocabulary, rule_sentence
from core.errors import RuleError, StorageError
from core.privacy import guard_cell, pseudonym
from core.store import Connection

FORMATS = ("csv", "parquet")


@dataclass(frozen=True)
class ExportOptions:
    """How a file is written."""

    format: str = "csv"
    """csv (UTF-8 with byte order mark, cells guarded against formulas) or parquet."""
    hash_salt: str | None = None
    """Given: user_id is replaced by `hashed_id` = SHA-256 of salt and id; "" hashes without salt, as ad platforms want it."""
    holdout_share: float = 0.1
    holdout_salt: str = "holdout"
    """Keep it for one test: with the same salt the same users stay out of every file."""
    value: Value = field(default_factory=Value)
    calibration_error: float = 0.0
    run_ids: tuple[tuple[str, str], ...] = ()
    """(kind, run id) of the results used, for the manifest."""


def export_audience(
    connection: Connection,
    tables: Tables,
    rule: Rule,
    path: Path,
    *,
    cutoff: datetime,
    options: ExportOptions | None = None,
    vocabulary: Vocabulary | None = None,
) -> dict[str, Any]:
    """Write an audience without its holdout and without users who did not consent, and a manifest beside it.

    Columns: user_id (or hashed_id), propensity, segment_id; ordered by that first column. Both files appear whole or not at all.

    Args:
        connection: The log as of the cutoff.
        tables: See `rules.Tables`.
        rule: See `rules`.
        path: File to write; the manifest is `<path>.manifest.json`.
        cutoff: End of the history.
        options: Format, hashing, holdout, money.
        vocabulary: For the sentence in the manifest.

    Returns:
        The manifest: rule, sentence, sql, cutoff, runs, size (everyone and exported), rows, sha256, guarded_cells.

    Raises:
        RuleError: The rule is malformed or the format unknown.
        StorageError: The file cannot be written; nothing is left half-way.
    """
    chosen = options or ExportOptions()
    if chosen.format not in FORMATS:
        raise RuleError("An audience is written as {formats}; got {format!r}.", formats=" or ".join(FORMATS), format=chosen.format)
    listed = members(connection, tables, rule, cutoff=cutoff, holdout_share=chosen.holdout_share, holdout_salt=chosen.holdout_salt)
    scope = scope_of(connection, tables, cutoff)
    size = summarise(listed, consent_column(scope.attributes), chosen.value, chosen.calibration_error, chosen.holdout_share)
    kept = listed.filter(pc.and_(pc.invert(listed["holdout"]), listed["consents"])).select(["user_id", "propensity", "segment_id"])
    if chosen.hash_salt is not None:
        hashed = pa.array([pseudonym(user_id, chosen.hash_salt) for user_id in kept["user_id"].to_pylist()], pa.string())
        kept = kept.set_column(0, "hashed_id", hashed).sort_by("hashed_id")
    with _whole(path) as partial:
        guarded = _write_csv(partial, kept) if chosen.format == "csv" else _write_parquet(partial, kept)
        manifest = {
            "rule": rule, "sentence": rule_sentence(rule, vocabulary), "sql": rule_sql(rule, scope), "cutoff": cutoff.isoformat(),
            "runs": dict(chosen.run_ids), "size": as_record(size), "rows": kept.num_rows, "columns": kept.column_names,
            "format": chosen.format, "ids": "plain" if chosen.hash_salt is None else "sha256(salt + user_id)",
            "holdout": {"share": chosen.holdout_share, "salt": chosen.holdout_salt, "users": size.holdout_users},
            "guarded_cells": guarded, "file": path.name, "sha256": sha256_of(partial),
        }  # fmt: skip
    try:
        write_json(path.with_name(f"{path.name}.manifest.json"), manifest)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StorageError(
            "The manifest of {path} cannot be written ({error}); the export was withdrawn. Free space or choose a folder.",
            path=path,
            error=error,
        ) from error
    return manifest


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Write beside the target and rename when done."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            "{path} cannot be written ({error}); nothing was exported. Free space or choose another folder.", path=path, error=error
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _write_csv(path: Path, table: pa.Table) -> int:
    """Write and return how many cells were guarded."""
    guarded = 0
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(table.column_names)
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            cells = [guard_cell(cell) if isinstance(cell, str) else cell for cell in row]
            guarded += sum(a is not b for a, b in zip(cells, row, strict=True))
            writer.writerow(cells)
    return guarded


def _write_parquet(path: Path, table: pa.Table) -> int:
    pq.write_table(table, path, compression="zstd")
    return 0
