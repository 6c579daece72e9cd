"""Look at a file before it is read: kind, checksum, encoding, dialect, columns and a sample."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.artifacts import sha256_of
from core.errors import FileError
from core.ingest.decoding import SAMPLE, Scan, scan_text
from core.ingest.dialect import find_dialect, header_names, split_lines
from core.ingest.json_rows import find_layout, read_json_rows
from core.ingest.kinds import changed, file_kind
from core.ingest.scratch import Scratch, scratch_below
from core.ingest.sheets import read_sheets, sheet_checksum
from core.ingest.text_table import MAX_COLUMNS, Row, TextTable, too_wide, write_texts
from core.ingest.unpacking import unpack_zip
from core.messages import Message, say

SAMPLE_ROWS = 50

LOOK_ROWS = 20_000
"""Rows converted for a look at a file."""


@dataclass(frozen=True)
class FilePreview:
    """What can be said of a file without casting a value."""

    path: Path
    """What is read: the file itself, or what was unpacked or converted from it."""
    kind: str
    """csv, csv.gz, csv.zst, parquet, json, jsonl (also .gz, .zst) or workbook."""
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
    routes: tuple[tuple[int, ...], ...] = ()
    """Where each column lies in Parquet: its place, and its places inside structures."""
    is_converted: bool = False
    """Whether `path` is a text table (`text_table`) made of the file."""
    broken: int = 0
    """Rows of a converted file that are no rows."""
    blank: int = 0
    """Blank rows of a converted file."""
    origin: Path | None = None
    """The file that a person gave."""
    member: str = ""
    """Table inside the file: a path in an archive, a sheet of a workbook."""
    stamp: tuple[int, int] = (0, 0)
    """Size and time of the given file when it was looked at."""
    notes: tuple[Message, ...] = ()
    """What a person should know of how it was read."""

    @property
    def name(self) -> str:
        """File name for screens; the full path is nobody's business there."""
        given = (self.origin or self.path).name
        return f"{given}/{self.member}" if self.member else given

    @property
    def given(self) -> Path:
        """The file that a person gave."""
        return self.origin or self.path

    def check_unchanged(self) -> None:
        """Compare the given file with what it was when it was looked at.

        Raises:
            FileError: It changed or vanished.
        """
        if self.origin is not None:
            check_stamp(self.origin, self.stamp)

    def values(self, column: str) -> list[str]:
        """Sample values of a column that are not empty."""
        place = self.columns.index(column)
        return [row[place].strip() for row in self.sample if row[place].strip()]


def inspect_files(
    path: Path,
    *,
    scratch: Scratch,
    header: tuple[str, ...] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    tick: Callable[[float], None] = lambda share: None,
    most: int | None = None,
) -> tuple[FilePreview, ...]:
    """Look at a file once, front to back; an archive or workbook may hold several tables of the same columns.

    Args:
        path: CSV (any delimiter), JSON or JSON lines (each plain, gzip or Zstandard), Parquet, a workbook, or a ZIP of them.
        scratch: Where what must be unpacked or converted is written; it lasts as long as the previews are used.
        header: Names for a file that has none.
        delimiter: What the person says; else found by majority over lines of the whole file.
        encoding: What the person says; else by byte order mark, UTF-8 validity and statistics.
        tick: Told the share.
        most: Rows to convert at most (None: all); for looks.

    Raises:
        FileError: It is missing, empty, binary, has one column, or is damaged.
        StorageError: The disk has no room for what it unpacks to.
    """
    path = Path(path)
    kind = file_kind(path)
    stamp = stamp_of(path)
    try:
        inspect = _inspect_archive if kind == "zip" else _inspect
        previews = inspect(path, kind, scratch, header, delimiter, encoding, tick, most)
    except (FileError, FileNotFoundError):
        check_stamp(path, stamp)  # a file that is being written looks damaged
        raise
    check_stamp(path, stamp)
    return tuple(replace(preview, origin=path, stamp=stamp) for preview in previews)


def inspect_file(
    path: Path, *, header: tuple[str, ...] | None = None, delimiter: str | None = None, encoding: str | None = None
) -> FilePreview:
    """Look at a file (the first table of an archive or workbook) without keeping what was unpacked for it.

    Raises:
        FileError: It is missing, empty, binary, has one column, or is damaged.
    """
    with scratch_below() as scratch:
        return inspect_files(path, scratch=scratch, header=header, delimiter=delimiter, encoding=encoding, most=LOOK_ROWS)[0]


def stamp_of(path: Path) -> tuple[int, int]:
    """Return size and time of the last change, to notice a file that grows or is replaced.

    Raises:
        FileError: The file is gone.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise FileError("{file} vanished while it was read; put it back and try again.", file=path.name) from error
    return stat.st_size, stat.st_mtime_ns


def check_stamp(path: Path, stamp: tuple[int, int]) -> None:
    """Compare a file with its stamp of before.

    Raises:
        FileError: It changed or vanished.
    """
    if stamp_of(path) != stamp:
        raise changed(path.name)


def _inspect(
    path: Path,
    kind: str,
    scratch: Scratch,
    header: tuple[str, ...] | None,
    delimiter: str | None,
    encoding: str | None,
    tick: Callable[[float], None],
    most: int | None,
) -> list[FilePreview]:
    if kind == "parquet":
        return [_inspect_parquet(path)]
    if kind == "workbook":
        return _inspect_workbook(path, scratch, header, most)
    if kind.startswith("json"):
        return [_inspect_json(path, kind, scratch, encoding, tick, most)]
    return [_inspect_text(path, kind, header, delimiter, encoding)]


def _inspect_archive(
    path: Path,
    _kind: str,
    scratch: Scratch,
    header: tuple[str, ...] | None,
    delimiter: str | None,
    encoding: str | None,
    tick: Callable[[float], None],
    most: int | None,
) -> list[FilePreview]:
    members, beside = unpack_zip(path, scratch, lambda share: tick(0.5 * share))
    previews: list[FilePreview] = []
    for place, member in enumerate(members):

        def inner(share: float, place: int = place) -> None:
            tick(0.5 + 0.5 * (place + share) / len(members))

        for preview in _inspect(member.path, member.kind, scratch, header, delimiter, encoding, inner, most):
            name = f"{member.name}/{preview.member}" if preview.member else member.name
            previews.append(replace(preview, member=name))
    first = previews[0]
    for preview in previews:
        if sorted(preview.columns) != sorted(first.columns):
            raise FileError(
                "{file} holds tables of different columns, such as {first} ({columns}) and {second} ({others}); "
                "unpack it and give the file with the events.",
                file=path.name,
                first=first.member,
                columns=", ".join(first.columns[:12]),
                second=preview.member,
                others=", ".join(preview.columns[:12]),
            )
    if beside:
        note = say("{file} also holds {others}, which was not read.", file=path.name, others=", ".join(beside[:10]))
        previews[0] = replace(first, notes=(*first.notes, note))
    return previews


def _inspect_workbook(path: Path, scratch: Scratch, header: tuple[str, ...] | None, most: int | None) -> list[FilePreview]:
    sheets, others = read_sheets(path, scratch, header, most)
    digest = sha256_of(path)
    previews = []
    for sheet in sheets:
        notes = []
        if sheet is sheets[0] and (others or len(sheets) > 1):
            taken = ", ".join(sheet.name for sheet in sheets)
            notes.append(
                say("Of {file} the sheet {sheets} was read; not read: {others}.", file=path.name, sheets=taken, others=", ".join(others))
                if others
                else say("The sheets {sheets} of {file} have the same columns; all were read.", file=path.name, sheets=taken)
            )
        if n := sheet.skipped:
            notes.append(say("Rows above the table of sheet {sheet} that were skipped: {n}.", sheet=sheet.name, n=n))
        if n := sheet.rounded:
            notes.append(
                say(
                    "Numbers of sheet {sheet} with more than 15 digits, {n} of them, were rounded by Excel before; "
                    "format such ids as text and export again.",
                    sheet=sheet.name,
                    n=n,
                )
            )
        preview = _converted(sheet.table, path, "workbook", sheet_checksum(digest, sheet.name), sheet.name, tuple(notes))
        previews.append(replace(preview, has_header=sheet.has_header, blank=sheet.blank))
    return previews


def _inspect_json(
    path: Path, kind: str, scratch: Scratch, encoding: str | None, tick: Callable[[float], None], most: int | None
) -> FilePreview:
    scan = scan_text(path, kind, encoding, in_lines=False)
    layout = find_layout(scan.sample, complete=scan.unpacked <= SAMPLE)
    scratch.check_room(scan.unpacked // 2, path.name)
    spread = _Spread(read_json_rows(path, kind, scan.encoding, layout, tick))
    table = write_texts(spread, path.name, scratch, SAMPLE_ROWS, most)
    if not table.rows + table.broken:
        raise FileError("{file} holds no rows; export it again.", file=path.name)
    if not table.rows:
        raise FileError("No line of {file} is a JSON object; export it again.", file=path.name)
    notes = []
    if spread.objects < spread.rows:
        notes.append(
            say(
                "Lists of objects inside {file} were read element by element: objects {n}, rows {rows}.",
                n=spread.objects,
                file=path.name,
                rows=spread.rows,
            )
        )
    if dotted := [column for column in table.columns if "." in column]:
        notes.append(say("Inner objects of {file} became columns of their own: {columns}.", file=path.name, columns=_listed(dotted)))
    lists = [c for place, c in enumerate(table.columns) if any(row[place][:1] in ("[", "{") for row in table.sample)]
    if lists:
        notes.append(say("Lists inside {file} are kept as one text: {columns}.", file=path.name, columns=_listed(lists)))
    preview = _converted(table, path, kind if layout == "document" else kind.replace("json", "jsonl"), scan.sha256, "", tuple(notes))
    return replace(preview, encoding=scan.encoding, bytes=scan.bytes)


class _Spread:
    """Rows on their way, counted with the objects that they come from."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.rows = self.objects = 0

    def __iter__(self) -> Iterator[Row]:
        before: str | None = None
        for row in self._rows:
            self.rows += 1
            self.objects += row[1] is not before  # the rows of one object share its text
            before = row[1]
            yield row


def _converted(table: TextTable, path: Path, kind: str, sha256: str, member: str, notes: tuple[Message, ...]) -> FilePreview:
    if len(table.columns) < 2:
        raise _one_column(member or path.name, table.columns)
    if not table.rows:
        raise FileError("{file} holds no rows; export it again.", file=member or path.name)
    columns = header_names(list(table.columns))
    return FilePreview(
        path=table.path,
        kind=kind,
        bytes=path.stat().st_size,
        sha256=sha256,
        delimiter=None,
        encoding=None,
        has_header=True,
        columns=columns,
        sample=table.sample[:SAMPLE_ROWS],
        row_estimate=table.rows + table.broken,
        is_converted=True,
        broken=table.broken,
        member=member,
        notes=notes,
    )


def _one_column(name: str, columns: tuple[str, ...]) -> FileError:
    return FileError(
        "{file} has only the column {column}; an event log needs at least user and time.", file=name, column=", ".join(columns)
    )


def _listed(columns: list[str]) -> str:
    return ", ".join(columns[:12]) + (" …" if len(columns) > 12 else "")


def _inspect_text(path: Path, kind: str, header: tuple[str, ...] | None, delimiter: str | None, encoding: str | None) -> FilePreview:
    scan = scan_text(path, kind, encoding)
    dialect = find_dialect(path.name, scan.sample, scan.spread, delimiter, header)
    if dialect.columns > MAX_COLUMNS:
        raise too_wide(path.name, dialect.columns)
    lines = scan.sample.split("\n")[dialect.skip :]
    records = [r for r in split_lines(lines[:400], dialect.delimiter) if len(r) == dialect.columns and any(r)]
    spread = [r for r in split_lines(scan.spread.split("\n")[:2000], dialect.delimiter) if len(r) == dialect.columns]
    rows = records[1 if dialect.has_header else 0 :]
    step = max(1, len(spread) // 25)
    sample = rows[: SAMPLE_ROWS - min(25, len(spread))] + spread[::step][: min(25, len(spread))]
    return FilePreview(
        path=path,
        kind=kind,
        bytes=scan.bytes,
        sha256=scan.sha256,
        delimiter=dialect.delimiter,
        encoding=scan.encoding,
        has_header=dialect.has_header,
        columns=dialect.names,
        sample=sample[:SAMPLE_ROWS],
        row_estimate=max(len(rows), scan.newlines - int(dialect.has_header) - dialect.skip),
        skip=dialect.skip,
        notes=guessed_encoding(path.name, scan),
    )


def guessed_encoding(name: str, scan: Scan) -> tuple[Message, ...]:
    """Say which encoding was guessed, with a word that shows whether the guess is right."""
    if not scan.example:
        return ()
    return (
        say(
            "{file} is not UTF-8; it was read as {encoding}, which spells {example!r}. "
            "Name its `encoding` in the mapping if that is wrong.",
            file=name,
            encoding=scan.encoding,
            example=scan.example,
        ),
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
        raise _one_column(path.name, tuple(schema.names))
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
        sha256=sha256_of(path),
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
