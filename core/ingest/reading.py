"""Look at a file before it is read: kind, checksum, encoding, dialect, columns and a sample."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from core.artifacts import sha256_of
from core.errors import FileError
from core.ingest.decoding import SAMPLE, Scan, scan_text
from core.ingest.dialect import find_dialect, header_names, split_lines
from core.ingest.json_rows import find_layout, read_json_rows
from core.ingest.kinds import file_kind
from core.ingest.paths import folder_columns
from core.ingest.preview import SAMPLE_ROWS, FilePreview, check_stamp, one_column, stamp_of
from core.ingest.reading_parquet import inspect_parquet
from core.ingest.scratch import Scratch, scratch_below
from core.ingest.sheets import read_sheets, sheet_checksum
from core.ingest.text_table import MAX_COLUMNS, Row, TextTable, too_wide, write_texts
from core.ingest.unpacking import unpack_zip
from core.ingest.watching import Tick, part_of
from core.messages import Message, say

LOOK_ROWS = 20_000
"""Rows converted for a look at a file."""


def inspect_files(
    path: Path,
    *,
    scratch: Scratch,
    header: tuple[str, ...] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    tick: Tick = lambda share: None,
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
    folders = folder_columns(path)
    return tuple(replace(preview, origin=path, stamp=stamp).with_folders(folders) for preview in previews)


def inspect_file(
    path: Path, *, header: tuple[str, ...] | None = None, delimiter: str | None = None, encoding: str | None = None
) -> FilePreview:
    """Look at a file (the first table of an archive or workbook) without keeping what was unpacked for it.

    Raises:
        FileError: It is missing, empty, binary, has one column, or is damaged.
    """
    with scratch_below() as scratch:
        return inspect_files(path, scratch=scratch, header=header, delimiter=delimiter, encoding=encoding, most=LOOK_ROWS)[0]


def _inspect(
    path: Path,
    kind: str,
    scratch: Scratch,
    header: tuple[str, ...] | None,
    delimiter: str | None,
    encoding: str | None,
    tick: Tick,
    most: int | None,
) -> list[FilePreview]:
    if kind == "parquet":
        return [inspect_parquet(path, tick)]
    if kind == "workbook":
        return _inspect_workbook(path, scratch, header, most)
    if kind.startswith("json"):
        return [_inspect_json(path, kind, scratch, encoding, tick, most)]
    return [_inspect_text(path, kind, header, delimiter, encoding, tick)]


def _inspect_archive(
    path: Path,
    _kind: str,
    scratch: Scratch,
    header: tuple[str, ...] | None,
    delimiter: str | None,
    encoding: str | None,
    tick: Tick,
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


def _inspect_json(path: Path, kind: str, scratch: Scratch, encoding: str | None, tick: Tick, most: int | None) -> FilePreview:
    scan = scan_text(path, kind, encoding, part_of(tick, 0, 10), in_lines=False)
    layout = find_layout(scan.sample, complete=scan.unpacked <= SAMPLE)
    scratch.check_room(scan.unpacked // 2, path.name)
    spread = _Spread(read_json_rows(path, kind, scan.encoding, layout, lambda share: tick(0.1 + 0.9 * share)))
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
        raise one_column(member or path.name, table.columns)
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


def _listed(columns: list[str]) -> str:
    return ", ".join(columns[:12]) + (" …" if len(columns) > 12 else "")


def _inspect_text(
    path: Path, kind: str, header: tuple[str, ...] | None, delimiter: str | None, encoding: str | None, tick: Tick
) -> FilePreview:
    scan = scan_text(path, kind, encoding, tick)
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
