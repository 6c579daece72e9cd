"""Sheets of a workbook (xlsx, xlsm, xlsb, xls, ods) that are tables, as text tables.

A workbook of a few KiB may ask for all memory there is (one cell at the end of an empty sheet), and the reader then ends
its process. So it is read in a process of its own with a memory limit: `python -m core.ingest.sheets`.
"""

import csv
import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from core.errors import CoreError, FileError
from core.ingest.decoding import check_ratio
from core.ingest.dialect import header_names, is_header
from core.ingest.names import is_known_name
from core.ingest.scratch import Scratch
from core.ingest.text_table import MAX_COLUMNS, Row, TextTable, too_wide, write_texts
from core.messages import revived, with_messages

MEMORY_BYTES = 5 << 30
"""Address space of the reading process: a full sheet of a million rows and 20 columns takes 3 GiB."""

SECONDS = 900
"""Longest reading of one workbook."""

_HEAD_ROWS = 200
_EXACT = 2.0**53


@dataclass(frozen=True)
class Sheet:
    """One sheet as a table."""

    name: str
    table: TextTable
    skipped: int
    """Rows before the header or the first record."""
    blank: int
    has_header: bool
    rounded: int
    """Numbers with more digits than Excel keeps."""


def read_sheets(path: Path, scratch: Scratch, header: tuple[str, ...] | None, most: int | None = None) -> tuple[list[Sheet], list[str]]:
    """Read the sheets of a workbook that hold the log.

    Args:
        path: The workbook.
        scratch: Where tables are written.
        header: Names a person gave to sheets that have none.
        most: Rows of each sheet to read at most (None: all); for looks.

    Returns:
        The best sheet and all others with the same columns, in the order of the workbook; and names of the others.

    Raises:
        FileError: It is damaged, protected, needs too much memory, or no sheet is a table.
    """
    _check_packing(path)
    out = scratch.path("json")
    asked = {"path": str(path.resolve()), "folder": str(out.parent.resolve()), "out": str(out.resolve()), "header": header, "most": most}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "core.ingest.sheets", json.dumps(asked)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FileError("{file} takes longer than {n} minutes to read; export it as CSV.", file=path.name, n=SECONDS // 60) from error
    if ended.returncode or not out.is_file():
        raise FileError(
            "{file} cannot be read as a workbook (it is damaged, or asks for more than {most} GiB of memory); export it as CSV.",
            file=path.name,
            most=MEMORY_BYTES >> 30,
        )
    told = revived(json.loads(out.read_text(encoding="utf-8")))
    if "error" in told:
        raise FileError(told["error"])
    sheets = []
    for place, record in enumerate(told["sheets"]):
        moved = scratch.path("parquet")
        (out.parent / f"sheet{place}-of-{out.stem}.parquet").rename(moved)
        table = TextTable(moved, tuple(record["columns"]), record["rows"], record["broken"], record["sample"])
        sheets.append(Sheet(record["name"], table, record["skipped"], record["blank"], record["has_header"], record["rounded"]))
    return sheets, told["others"]


def sheet_checksum(sha256: str, sheet: str) -> str:
    """Return a checksum that tells the sheets of one file apart."""
    return hashlib.sha256(f"{sha256}/{sheet}".encode()).hexdigest()


def _check_packing(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        check_ratio(path.name, sum(info.file_size for info in archive.infolist()), path.stat().st_size)


def _pick(path: Path, folder: Path, stem: str, header: tuple[str, ...] | None, most: int | None) -> dict[str, Any]:
    import python_calamine as calamine

    try:
        book = calamine.load_workbook(str(path))
    except calamine.PasswordError as error:
        raise FileError("{file} is protected by a password; save it without one.", file=path.name) from error
    except calamine.CalamineError as error:
        raise FileError(
            "{file} cannot be read as a workbook ({error}); export it as CSV.", file=path.name, error=str(error)[:120]
        ) from error
    found: list[tuple[int, int, str, tuple[str, ...]]] = []
    names = [meta.name for meta in book.sheets_metadata if meta.visible == calamine.SheetVisibleEnum.Visible] or book.sheet_names
    for name in names:
        try:
            sheet = book.get_sheet_by_name(name)
        except calamine.CalamineError:  # a sheet of charts
            continue
        if sheet.width > MAX_COLUMNS:
            raise too_wide(f"{path.name}/{name}", sheet.width)
        if (look := _look(sheet, header)) is not None:
            known = min(3, sum(is_known_name(column) for column in look.columns))
            found.append((known, sheet.height - look.start, name, look.columns))
    if not found:
        raise FileError(
            "No sheet of {file} is a table with at least two columns and a row below its header; its sheets are {sheets}.",
            file=path.name,
            sheets=", ".join(book.sheet_names),
        )
    columns = max(found, key=lambda entry: entry[:2])[3]
    records = []
    taken = [entry[2] for entry in found if entry[3] == columns]
    for place, name in enumerate(taken):
        made = _write(book.get_sheet_by_name(name), name, header, most, _Fixed(folder / f"sheet{place}-of-{stem}.parquet"))
        table = made.table
        records.append(
            {
                "name": name,
                "columns": list(table.columns),
                "rows": table.rows,
                "broken": table.broken,
                "sample": table.sample,
                "skipped": made.skipped,
                "blank": made.blank,
                "has_header": made.has_header,
                "rounded": made.rounded,
            }
        )
    return {"sheets": records, "others": [name for name in book.sheet_names if name not in taken]}


@dataclass
class _Fixed(Scratch):
    """A scratch that writes to one path; parts of a table whose columns are known from the start are never more."""

    def __init__(self, target: Path) -> None:
        super().__init__(target.parent)
        self.target = target

    def path(self, ending: str) -> Path:
        return self.target


@dataclass(frozen=True)
class _Look:
    columns: tuple[str, ...]
    start: int
    """Place of the first record."""
    has_header: bool


def _look(sheet: Any, header: tuple[str, ...] | None) -> _Look | None:
    """Find the table in a sheet; None when it is no table."""
    rows = [[_text(cell, clock=False) for cell in row] for _, row in zip(range(_HEAD_ROWS), sheet.iter_rows(), strict=False)]
    filled = [sum(bool(cell) for cell in row) for row in rows]
    wide = [count for count in filled if count >= 2]
    if not wide:
        return None
    usual = Counter(wide).most_common(1)[0][0]
    first = next(place for place, count in enumerate(filled) if count >= 2 and count * 2 >= usual)
    body = [row for row, count in zip(rows[first:], filled[first:], strict=True) if count]
    while body and body[0] and not any(row[-1] for row in body):  # formats reach further than values
        body = [row[:-1] for row in body]
    stands = [c.strip() for c in body[0]] == [n.strip() for n in header] if header is not None else is_header(body)
    if len(body) <= stands or (header is not None and len(header) != len(body[0])):
        return None
    numbered = tuple(f"column_{place}" for place in range(1, len(body[0]) + 1))
    return _Look(header or (header_names(body[0]) if stands else numbered), first + stands, stands)


def _write(sheet: Any, name: str, header: tuple[str, ...] | None, most: int | None, scratch: Scratch) -> Sheet:
    look = _look(sheet, header)
    assert look is not None
    counts = {"blank": 0, "rounded": 0}
    table = write_texts(_rows(sheet, look, counts), name, scratch, most=most)
    return Sheet(name, table, look.start - look.has_header, counts["blank"], look.has_header, counts["rounded"])


def _rows(sheet: Any, look: _Look, counts: dict[str, int]) -> Iterator[Row]:
    width = len(look.columns)
    clocks = _clocks(sheet.iter_rows(), width) + [False] * (sheet.width - width)
    for place, row in enumerate(sheet.iter_rows()):
        if place < look.start:
            continue
        texts = [_text(cell, clock=clock) for cell, clock in zip(row, clocks, strict=True)]
        if not any(texts):
            counts["blank"] += 1
            continue
        counts["rounded"] += sum(isinstance(cell, float) and abs(cell) >= _EXACT for cell in row)
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(texts if any(texts[width:]) else texts[:width])
        fault = "values stand right of the last column" if any(texts[width:]) else None
        yield {column: text or None for column, text in zip(look.columns, texts, strict=False)}, line.getvalue(), fault


def _clocks(rows: Iterable[list[Any]], width: int) -> list[bool]:
    """Tell for each column whether its days carry a clock: Excel shows midnight as a day alone."""
    found = [False] * width
    for row in rows:
        for place in range(width):
            if type(row[place]) is datetime:
                found[place] = True
    return found


def _text(cell: Any, *, clock: bool) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e18 else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return f"{cell.isoformat()} 00:00:00" if clock else cell.isoformat()
    if isinstance(cell, time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return f"{cell.total_seconds():g}"
    return "" if cell is None else str(cell)


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(asked: dict[str, Any]) -> None:
    """Read one workbook and write what was found beside it; runs in its own process."""
    out = Path(asked["out"])
    try:
        header = tuple(asked["header"]) if asked["header"] else None
        told = _pick(Path(asked["path"]), Path(asked["folder"]), out.stem, header, asked["most"])
    except CoreError as error:
        told = {"error": error.message}
    out.write_text(json.dumps(with_messages(told), ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    _limit_memory()
    _answer(json.loads(sys.argv[1]))
