"""The file that goes to a mailing tool or an ad platform, and the manifest that says what it is."""

import csv
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.artifacts import sha256_of, write_json
from core.audiences.hidden import told_size
from core.audiences.leaves import Scope
from core.audiences.platforms import CONTACT_FIELDS, PLATFORMS, platform_rows
from core.audiences.rules import Rule, Tables, rule_sql, scope_of
from core.audiences.sizes import Value, as_record, consent_column, list_warnings, members, summarise
from core.audiences.words import Vocabulary, rule_sentence
from core.errors import RuleError, StorageError
from core.messages import say
from core.privacy import guard_cell, pseudonym
from core.small_cells import Few
from core.store import Connection, fetch, identifier

FILES = ("csv", "parquet", "json")
FORMATS = (*FILES, *PLATFORMS)


@dataclass(frozen=True)
class ExportOptions:
    """How a file is written."""

    format: str = "csv"
    """csv (UTF-8 with byte order mark, cells guarded against formulas), parquet, json (lines), google, meta or tiktok (their CSV)."""
    hash_salt: str | None = None
    """Given: user_id is replaced by `hashed_id` = SHA-256 of salt and id; "" hashes without salt, as ad platforms want it."""
    holdout_share: float = 0.1
    holdout_salt: str = "holdout"
    """Keep it for one test: with the same salt the same users stay out of every file."""
    value: Value = field(default_factory=Value)
    calibration_error: float = 0.0
    run_ids: tuple[tuple[str, str], ...] = ()
    """(kind, run id) of the results used, for the manifest."""
    contacts: Mapping[str, str] = field(default_factory=dict)
    """Field of `platforms.CONTACT_FIELDS` → attribute column that holds it, for the files of ad platforms."""
    calling_code: str = ""
    """Of the country whose national phone numbers stand in the column; "" takes international ones alone."""
    least_users: int = 0
    """k-anonymity: a file of fewer users is refused, and a segment that fewer of its users share is left blank."""
    small_cells: int = 0
    """Smallest count that the manifest tells."""


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

    Columns: user_id (or hashed_id), propensity, segment_id; ordered by that first column. The file of an ad platform holds its columns of
    hashed contacts instead; what was left out stands in `<path>.rejected.csv` (user_id, field, reason). Files appear whole or
    not at all.

    Args:
        connection: The log as of the cutoff.
        tables: See `rules.Tables`.
        rule: See `rules`.
        path: File to write; the manifest is `<path>.manifest.json`.
        cutoff: End of the history.
        options: Format, hashing, holdout, money.
        vocabulary: For the sentence in the manifest.

    Returns:
        The manifest: rule, sentence, sql, cutoff, runs, size (everyone and exported), rows, sha256, guarded_cells; for a
        platform also rejected, contacts, and warnings about the length of the list.

    Raises:
        RuleError: The rule is malformed, the format or a contact column unknown, or the file too small for `least_users`.
        StorageError: The file cannot be written; nothing is left half-way.
    """
    chosen = options or ExportOptions()
    if chosen.format not in FORMATS:
        raise RuleError("An audience is written as {formats}; got {format!r}.", formats=" or ".join(FORMATS), format=chosen.format)
    listed = members(connection, tables, rule, cutoff=cutoff, holdout_share=chosen.holdout_share, holdout_salt=chosen.holdout_salt)
    scope = scope_of(connection, tables, cutoff)
    size = summarise(listed, consent_column(scope.attributes), chosen.value, chosen.calibration_error, chosen.holdout_share)
    told = told_size(size, chosen.small_cells)
    inside = pc.and_(pc.invert(listed["holdout"]), listed["consents"])
    kept = listed.filter(inside).select(["user_id", "propensity", "segment_id"])
    if kept.num_rows < chosen.least_users:
        raise RuleError(
            "The file would hold {users:,} users, fewer than the {least:,} that this shop lets out at once; widen the rule.",
            users=Few(chosen.small_cells) if 0 < kept.num_rows < chosen.small_cells else kept.num_rows,
            least=chosen.least_users,
        )
    rejected = None
    if chosen.format in PLATFORMS:
        contacts, barred = (_contacts(connection, scope, part, chosen.contacts) for part in (kept, listed.filter(pc.invert(inside))))
        written, rejected = platform_rows(chosen.format, contacts, chosen.calling_code, barred)
        ids = say("SHA-256 of each contact as {platform} wants it, no user_id", platform=chosen.format)
    else:
        written, ids = _anonymous(kept, chosen.least_users), say("plain")
        if chosen.hash_salt is not None:
            hashed = pa.array([pseudonym(user_id, chosen.hash_salt) for user_id in kept["user_id"].to_pylist()], pa.string())
            written, ids = written.set_column(0, "hashed_id", hashed).sort_by("hashed_id"), say("sha256(salt + user_id)")
    with _whole(path) as partial:
        guarded = _write(partial, written, chosen.format)
        manifest = {
            "rule": rule, "sentence": rule_sentence(rule, vocabulary), "sql": rule_sql(rule, scope), "cutoff": cutoff.isoformat(),
            "runs": dict(chosen.run_ids), "size": as_record(told), "rows": written.num_rows, "columns": written.column_names,
            "format": chosen.format, "ids": ids, "least_users": chosen.least_users,
            "holdout": {"share": chosen.holdout_share, "salt": chosen.holdout_salt, "users": told.holdout_users},
            "guarded_cells": guarded, "file": path.name, "sha256": sha256_of(partial),
        }  # fmt: skip
        if rejected is not None:
            manifest["rejected"] = _counted(rejected)
            manifest["contacts"] = dict(chosen.contacts)
            manifest["warnings"] = list_warnings(written.num_rows, PLATFORMS[chosen.format].least)
    if rejected is not None:
        with _whole(path.with_name(f"{path.name}.rejected.csv")) as partial:
            _write_csv(partial, rejected, mark=True)
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


def _contacts(connection: Connection, scope: Scope, kept: pa.Table, chosen: Mapping[str, str]) -> pa.Table:
    """The chosen attribute columns of the exported users: user_id and the fields, sorted by user_id."""
    for name, column in chosen.items():
        if name not in CONTACT_FIELDS:
            raise RuleError("There is no contact field {name}; there are {known}.", name=name, known=", ".join(CONTACT_FIELDS))
        if column not in scope.attributes:
            raise RuleError(
                "The users table has no column {column}; it has {known}.", column=column, known=", ".join(sorted(scope.attributes))
            )
    parts = "".join(f", u.{identifier(column)}::VARCHAR AS {name}" for name, column in sorted(chosen.items()))
    connection.register("exported", kept.select(["user_id"]))
    try:  # names of columns stand in the schema, names of fields in a list of ours
        return fetch(connection, f"SELECT e.user_id{parts} FROM exported AS e LEFT JOIN users AS u USING (user_id) ORDER BY e.user_id")  # noqa: S608
    finally:
        connection.unregister("exported")


def _anonymous(kept: pa.Table, least: int) -> pa.Table:
    """Blank the segments that fewer than `least` of the users share."""
    segments = kept["segment_id"]
    counts = {row["values"]: row["counts"] for row in pc.value_counts(segments.combine_chunks()).to_pylist()} if least else {}
    rare = pa.array([value for value, count in counts.items() if value is not None and count < least], segments.type)
    if not len(rare):
        return kept
    return kept.set_column(2, "segment_id", pc.if_else(pc.is_in(segments, value_set=rare), pa.scalar(None, segments.type), segments))


def _counted(rejected: pa.Table) -> dict[str, Any]:
    """How many values were rejected, by field and reason."""
    counts: dict[str, int] = {}
    for row in rejected.select(["field", "reason"]).to_pylist():
        key = f"{row['field']}: {row['reason']}"
        counts[key] = counts.get(key, 0) + 1
    return {"users": len(set(rejected["user_id"].to_pylist())), "values": rejected.num_rows, "reasons": dict(sorted(counts.items()))}


def _write(path: Path, table: pa.Table, form: str) -> int:
    """Write a table and return how many cells were guarded."""
    if form == "parquet":
        pq.write_table(table, path, compression="zstd")
        return 0
    if form == "json":
        with path.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in table.to_pylist())
        return 0
    return _write_csv(path, table, mark=form not in PLATFORMS)


def _write_csv(path: Path, table: pa.Table, *, mark: bool) -> int:
    """Write and return how many cells were guarded; `mark` puts the byte order mark that spreadsheets want and platforms do not."""
    guarded = 0
    with path.open("w", encoding="utf-8-sig" if mark else "utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(table.column_names)
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            cells = [guard_cell(cell) if isinstance(cell, str) else cell for cell in row]
            guarded += sum(a is not b for a, b in zip(cells, row, strict=True))
            writer.writerow(cells)
    return guarded
