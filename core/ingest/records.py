"""Cut a text file into records without trusting anybody's quotes; every physical line is accounted for.

Blocks whose quotes and field counts are in order pass at the speed of numpy; a block with a fault is cut line by line,
so that one stray quote costs one line and never the rest of the file.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc

from core.errors import FileError
from core.ingest.decoding import decoded_blocks
from core.ingest.dialect import BLANKS, COLONS, split_lines
from core.ingest.preview import FilePreview
from core.ingest.signs import MARKS, count_controls, count_marked

MAX_LINE = 2 << 20
"""Bytes of one record; a longer line never ends."""

MAX_SPAN = 50
"""Physical lines that one quoted record may span; more is a quote that was never closed."""

_NEWLINE, _QUOTE = 10, 34
Numbers = npt.NDArray[np.int64]


@dataclass
class Accounting:
    """Physical lines of one file and what became of them."""

    lines: int = 0
    header: int = 0
    """Header and lines before it."""
    blank: int = 0
    records: int = 0
    """Records with the right number of fields."""
    broken: int = 0
    inside: int = 0
    """Line ends inside quoted fields."""
    unreadable: int = 0
    """Signs that were no text (NUL, or bytes outside the encoding), now U+FFFD."""
    short: int = 0
    """Broken records with too few fields."""
    controls: int = 0
    """Control signs such as form feeds, which stay in their values."""
    marked: int = 0
    """Lines that begin with # or //, where most do not."""
    unended: bool = False
    """Whether the last line lacks its line end."""
    literal_quotes: int = 0
    """Lines kept although a quote stands inside a plain field; it is read as a sign like any other."""
    backslashes: int = 0
    """Records whose values hold quotes that a backslash escapes."""
    broken_lines: list[tuple[int, int, str, str]] = field(default_factory=list)
    """(row number, physical line, reason, original text) since the last drain."""

    @property
    def closes(self) -> bool:
        """Whether lines = header + blank + records + broken + line ends inside fields."""
        return self.lines == self.header + self.blank + self.records + self.broken + self.inside


@dataclass(frozen=True)
class Batch:
    """Good records of one block: canonical CSV bytes, and of each its 1-based row number and the physical line it begins on."""

    data: bytes
    rows: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    share: float


def read_records(preview: FilePreview, account: Accounting) -> Iterator[Batch]:
    """Yield a text file's records block by block.

    Args:
        preview: The inspected file, kind csv or csv.gz.
        account: Filled while reading.

    Raises:
        FileError: A line is longer than 2 MiB, or the file changed its kind while it was read.
    """
    delimiter = preview.delimiter or ","
    tabbed = _TABBED.get(delimiter)
    cutter = _Cutter(preview, account, b"\t" if tabbed else delimiter.encode())
    rest = b""
    for block, share in decoded_blocks(preview.path, preview.kind, preview.encoding or "utf-8"):
        account.unreadable += block.count(b"\xef\xbf\xbd")
        data = rest + block
        account.controls += count_controls(np.frombuffer(block, dtype=np.uint8))
        if tabbed:
            end = data.rfind(b"\n") + 1
            data, rest = tabbed(data[:end]), data[end:]
            good, left = cutter.cut(data)
            rest = left + rest
        else:
            good, rest = cutter.cut(data)
        if len(rest) > MAX_LINE:
            raise FileError(
                "{file} has a line longer than {most} MiB near line {line}; this is no table.",
                file=preview.name,
                most=MAX_LINE >> 20,
                line=account.lines + 1,
            )
        if good is not None:
            yield Batch(*good, share)
    account.unended = bool(rest) and not rest.endswith(b"\n")
    if rest:
        data = rest if rest.endswith(b"\n") else rest + b"\n"
        good, left = cutter.cut(tabbed(data) if tabbed else data, last=True)
        if good is not None:
            yield Batch(*good, 1.0)
    if not account.closes:
        raise FileError(
            "{file} could not be accounted for line by line ({n} lines); save it again and retry.", file=preview.name, n=account.lines
        )


def read_table(preview: FilePreview, wanted: list[str], account: Accounting, tick: Callable[[float], None]) -> Iterator[pa.RecordBatch]:
    """Yield `source_row` and the wanted columns (as c0 … cn, text) of a text file.

    Raises:
        FileError: As `read_records`.
    """
    names = [f"f{i}" for i in range(len(preview.columns))]
    kept = [names[preview.columns.index(column)] for column in wanted]
    delimiter = "\t" if preview.delimiter in _TABBED else preview.delimiter
    parse = pc.ParseOptions(delimiter=delimiter, quote_char='"', double_quote=True, newlines_in_values=True, ignore_empty_lines=False)
    distinct = list(dict.fromkeys(kept))
    convert = pc.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, include_columns=distinct)
    schema = table_schema(len(wanted))
    for batch in read_records(preview, account):
        read = pc.ReadOptions(column_names=names, use_threads=False, block_size=len(batch.data) + 1)
        table = pc.read_csv(pa.py_buffer(batch.data), read_options=read, parse_options=parse, convert_options=convert)
        if table.num_rows != len(batch.rows):
            raise FileError(
                "{file} reads differently twice near row {row}; save it again with plain quotes and retry.",
                file=preview.name,
                row=int(batch.rows[0]),
            )
        yield from pa.table([pa.array(batch.rows), *(table[name] for name in kept)], schema=schema).to_batches()
        tick(batch.share)


def table_schema(columns: int) -> pa.Schema:
    """Return the schema of `read_table`'s batches."""
    return pa.schema([("source_row", pa.int64()), *((f"c{i}", pa.string()) for i in range(columns))])


def _tabs(data: bytes) -> bytes:
    data = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", data)
    return re.sub(rb"[ \t]+", b"\t", data)


_TABBED: dict[str, Callable[[bytes], bytes]] = {BLANKS: _tabs, COLONS: lambda data: data.replace(b"::", b"\t")}
"""How whole lines of delimiters that are no single sign are cut at tabs instead."""


class _Cutter:
    """Cuts blocks; keeps the row counter and whether the header is still to come."""

    def __init__(self, preview: FilePreview, account: Accounting, delimiter: bytes) -> None:
        self.account = account
        self.delimiter = delimiter[0]
        self.width = len(preview.columns)
        self.skip = preview.skip
        self.header_due = preview.has_header
        self.row = 0
        self.text_delimiter = delimiter.decode()

    def cut(self, data: bytes, last: bool = False) -> tuple[tuple[bytes, Numbers, Numbers] | None, bytes]:
        """Return the good records of a block and the bytes of an unfinished last record."""
        while self.skip and (end := data.find(b"\n")) >= 0:
            data, self.skip = data[end + 1 :], self.skip - 1
            self.account.lines += 1
            self.account.header += 1
        if self.skip:
            return None, data
        if self.header_due:
            data = self._drop_header(data)
            if self.header_due:
                return None, data
        if not data:
            return None, b""
        fast = self._fast(data, last)
        return fast if fast is not None else self._slow(data, last)

    def _drop_header(self, data: bytes) -> bytes:
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = data[start:end]
            self.account.lines += 1
            if line.strip():
                stop, lines = end, 1
                while data.count(b'"', start, stop) % 2 and (following := data.find(b"\n", stop + 1)) >= 0 and lines <= MAX_SPAN:
                    stop, lines = following, lines + 1
                if lines > 1 and self._width(data[start:stop]) != self.width:
                    stop, lines = end, 1  # a quote in a name opens nothing; what follows are rows
                self.account.lines += lines - 1
                self.account.header += lines
                self.header_due = False
                return data[stop + 1 :]
            self.account.blank += 1
            start = end + 1
        return data[start:]

    def _width(self, record: bytes) -> int:
        """How many fields a record has that may span lines."""
        lines = record.decode("utf-8", "replace").split("\n")
        cut = split_lines(lines, self.text_delimiter)
        return len(cut[0]) if len(cut) == 1 else 0

    def _fast(self, data: bytes, last: bool) -> tuple[tuple[bytes, Numbers, Numbers] | None, bytes] | None:
        array = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(array == _NEWLINE)
        cuts = np.flatnonzero(array == self.delimiter)
        if b'"' in data:
            quotes = np.flatnonzero(array == _QUOTE)
            if not self._sound(array, quotes):
                return None
            # A position is inside a quoted field when an odd number of quotes stands before it.
            ends_inside = np.searchsorted(quotes, ends) & 1 == 1
            spans = np.diff(np.flatnonzero(np.concatenate([[True], ~ends_inside, [True]])))
            if len(spans) and spans.max() > MAX_SPAN:
                return None
            inside = np.flatnonzero(ends_inside)
            ends, hidden = ends[~ends_inside], ends[inside]
            cuts = cuts[np.searchsorted(quotes, cuts) & 1 == 0]
        else:
            hidden = np.empty(0, dtype=np.int64)
        if not len(ends):
            return (None, data) if not last else None
        stop = int(ends[-1]) + 1
        if last and stop < len(data):
            return None
        hidden_before = int(np.searchsorted(hidden, stop))
        starts = np.concatenate([[0], ends[:-1] + 1])
        lengths = ends - starts
        fields = np.searchsorted(cuts, ends) - np.searchsorted(cuts, starts) + 1
        if int(lengths.max()) > MAX_LINE:
            return None
        if not bool(np.all((fields == self.width) & (lengths > 0))):
            return None
        self.account.marked += count_marked(data, starts)
        count = len(ends)
        lines = self.account.lines + 1 + np.arange(count, dtype=np.int64) + np.searchsorted(hidden, starts)
        self.account.lines += count + hidden_before
        self.account.inside += hidden_before
        self.account.records += count
        rows = np.arange(self.row + 1, self.row + count + 1, dtype=np.int64)
        self.row += count
        return (data[:stop], rows, lines), data[stop:]

    def _sound(self, array: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64]) -> bool:
        """Tell whether every quote opens a field, closes one, or is doubled inside one."""
        padded = np.concatenate([[_NEWLINE], array, [_NEWLINE]]).astype(np.uint8)
        opening, closing = quotes[0::2], quotes[1::2]
        before, after = padded[opening], padded[closing + 2]
        opened = (before == self.delimiter) | (before == _NEWLINE) | (before == _QUOTE)
        closed = (after == self.delimiter) | (after == _NEWLINE) | (after == _QUOTE)
        return bool(opened.all() and closed.all())

    def _slow(self, data: bytes, last: bool) -> tuple[tuple[bytes, Numbers, Numbers] | None, bytes]:
        lines = data.split(b"\n")
        rest = lines.pop()
        good: list[bytes] = []
        rows: list[int] = []
        starts: list[int] = []
        account, place = self.account, 0
        while place < len(lines):
            line = lines[place]
            if not line.strip():
                account.lines, account.blank, place = account.lines + 1, account.blank + 1, place + 1
                continue
            taken, record = self._record(lines, place, last)
            if taken == 0:
                # The quote may close in the next block: give back everything from here.
                rest = b"\n".join([*lines[place:], rest])
                break
            account.lines += taken
            account.marked += line.startswith(MARKS)
            self.row += 1
            if record is not None:
                good.append(record)
                rows.append(self.row)
                starts.append(account.lines - taken + 1)
                account.records += 1
                account.inside += taken - 1
            else:
                found = line.count(bytes([self.delimiter])) + 1
                reason = (
                    f"line {account.lines}: {found} fields instead of {self.width}"
                    if found != self.width
                    else f"line {account.lines}: quotes that do not close"
                )
                account.broken += 1
                account.short += found < self.width
                account.broken_lines.append((self.row, account.lines, reason, line.decode("utf-8", errors="replace")))
            place += taken
        if not good:
            return None, rest
        return (b"\n".join(good) + b"\n", np.asarray(rows, dtype=np.int64), np.asarray(starts, dtype=np.int64)), rest

    def _record(self, lines: list[bytes], place: int, last: bool) -> tuple[int, bytes | None]:
        """Return how many lines the record takes (0: needs the next block) and its canonical form, or None when broken."""
        line = lines[place]
        if len(line) > MAX_LINE:
            raise FileError(
                "A line longer than {most} MiB stands near line {line}; this is no table.", most=MAX_LINE >> 20, line=self.account.lines + 1
            )
        if b'"' not in line:
            return 1, line if line.count(bytes([self.delimiter])) + 1 == self.width else None
        joined = line
        for extra in range(MAX_SPAN):
            fields = self._fields(joined)
            if fields is not None and len(fields) == self.width:
                return extra + 1, joined
            mended = _doubled(joined) if b'\\"' in joined else None
            if mended is not None and (escaped := self._fields(mended)) is not None and len(escaped) == self.width:
                self.account.backslashes += 1
                return extra + 1, mended
            if fields is not None or not (self._open(joined) or (mended is not None and self._open(mended))):
                break
            if place + extra + 1 >= len(lines):
                if not last and len(joined) < MAX_LINE // 8:
                    return 0, None
                break
            joined += b"\n" + lines[place + extra + 1]
        pieces = [piece.strip() for piece in line.split(bytes([self.delimiter]))]
        if len(pieces) == self.width and not any(
            piece.startswith(b'"') and len(piece) > 1 and not piece.endswith(b'"') for piece in pieces
        ):
            self.account.literal_quotes += 1
            quoted = [piece if _whole(piece) or b'"' not in piece else b'"' + piece.replace(b'"', b'""') + b'"' for piece in pieces]
            return 1, bytes([self.delimiter]).join(quoted)
        return 1, None

    def _fields(self, record: bytes) -> list[str] | None:
        array = np.frombuffer(record, dtype=np.uint8)
        quotes = np.flatnonzero(array == _QUOTE)
        if len(quotes) % 2 or not self._sound(array, quotes):
            return None
        try:
            return next(csv.reader(io.StringIO(record.decode("utf-8", errors="replace"), newline=""), delimiter=self.text_delimiter), None)
        except csv.Error:
            return None

    def _open(self, record: bytes) -> bool:
        """Tell whether the record ends inside a quoted field that began rightly."""
        array = np.frombuffer(record, dtype=np.uint8)
        quotes = np.flatnonzero(array == _QUOTE)
        return len(quotes) % 2 == 1 and self._sound(array, quotes)


def _doubled(record: bytes) -> bytes:
    r"""Write quotes and backslashes that a backslash escapes, as Spark and MySQL do, the usual way: `\"` → `""`, `\\\\` → `\\`."""
    return re.sub(rb'\\(["\\])', lambda found: b'""' if found[1] == b'"' else b"\\", record)


def _whole(piece: bytes) -> bool:
    return len(piece) >= 2 and piece.startswith(b'"') and piece.endswith(b'"') and b'"' not in piece[1:-1].replace(b'""', b"")
