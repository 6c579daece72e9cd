"""From the bytes of a file to UTF-8: what kind of file it is, how it is packed and which encoding it uses."""

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import charset_normalizer

from core.errors import FileError
from core.messages import say

BLOCK = 4 << 20
"""Bytes read at once: large enough for the vectorised checks, small enough to hold many times."""

SAMPLE = 256 << 10
"""Bytes of the head that dialect and header are judged on; smaller pieces of the rest join them."""

MAX_RATIO = 250
"""Compressed event logs unpack to 5-20 times their size, bombs to a thousand."""

MAX_UNPACKED = 200 << 30
"""More than any log one machine should read at once."""

_RATIO_FREE = 64 << 20
"""Small files of one repeated line are harmless, whatever their ratio."""

_FOREIGN = (
    (b"\x89PNG", say("a PNG image")),
    (b"\xff\xd8\xff", say("a JPEG image")),
    (b"GIF8", say("a GIF image")),
    (b"%PDF", say("a PDF document")),
    (b"PK\x03\x04", say("a ZIP archive or an Excel workbook")),
    (b"\xd0\xcf\x11\xe0", say("an old Excel or Word file")),
    (b"7z\xbc\xaf", say("a 7z archive")),
    (b"\x28\xb5\x2f\xfd", say("a Zstandard archive")),
    (b"BZh", say("a bzip2 archive")),
    (b"SQLite format 3", say("an SQLite database")),
    (b"ORC", say("an ORC file")),
    (b"Obj\x01", say("an Avro file")),
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LIKELY = ["gb18030", "big5", "shift_jis", "euc_kr", "cp1252", "latin_1", "cp1251", "cp1250"]


@dataclass(frozen=True)
class Scan:
    """What one pass over all bytes of a text file shows."""

    bytes: int
    """Size on disk."""
    sha256: str
    encoding: str
    """A name that Python's codecs know."""
    newlines: int
    """Physical line ends, before any quoting is understood."""
    sample: str
    """Text of the head, whole lines."""
    spread: str
    """Whole lines from later places of the file, to judge a dialect on more than its head."""


def file_kind(path: Path) -> str:
    """Tell "csv", "csv.gz" or "parquet" by the first bytes, never by the name.

    Raises:
        FileError: The path is no readable file, is empty, or holds something else.
    """
    if path.is_dir():
        raise FileError("{file} is a folder; give the files inside it.", file=path.name)
    if path.exists() and not path.is_file():  # a pipe or device: it cannot be read twice, and some never end
        raise FileError("{file} is a pipe or a device; save what comes out of it as a file and give that.", file=path.name)
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
            size = stream.seek(0, 2)
            stream.seek(max(0, size - 4))
            tail = stream.read(4)
    except FileNotFoundError as error:
        raise FileError("There is no file {file}; check the path.", file=path.name) from error
    except OSError as error:
        raise FileError("{file} cannot be read ({error}); check its permissions.", file=path.name, error=error.strerror) from error
    if not head.strip():
        raise FileError("{file} is empty ({size} B); export it again.", file=path.name, size=size)
    if head.startswith(b"PAR1"):
        if tail != b"PAR1":
            raise FileError("{file} is a Parquet file that was cut off (its last bytes are missing); export it again.", file=path.name)
        return "parquet"
    if head.startswith(b"\x1f\x8b"):
        return "csv.gz"
    for magic, kind in _FOREIGN:
        if head.startswith(magic):
            raise FileError("{file} is {kind}, not a table of events; export it as CSV or Parquet.", file=path.name, kind=kind)
    if head.lstrip()[:1] in (b"{", b"[") or head.lstrip()[:1] == b"<":
        raise FileError("{file} holds JSON, XML or HTML, not a table; export it as CSV or Parquet.", file=path.name)
    return "csv"


@contextmanager
def open_bytes(path: Path, kind: str) -> Iterator[IO[bytes]]:
    """Open a text file for reading bytes, unpacked when it is gzip."""
    with gzip.open(path, "rb") if kind == "csv.gz" else path.open("rb") as stream:
        yield stream  # type: ignore[misc]


def raw_blocks(path: Path, kind: str) -> Iterator[bytes]:
    """Yield a text file's bytes, unpacked when it is gzip.

    Raises:
        FileError: The gzip file is damaged, cut, or unpacks to too much.
    """
    size = path.stat().st_size
    done = 0
    try:
        with open_bytes(path, kind) as stream:
            while block := stream.read(BLOCK):
                done += len(block)
                if kind == "csv.gz" and done > _RATIO_FREE and (done > size * MAX_RATIO or done > MAX_UNPACKED):
                    raise FileError(
                        "{file} unpacks to more than {unpacked} MiB from {size} bytes; logs do not shrink that far. "
                        "Unpack it yourself and give the CSV file if you trust it.",
                        file=path.name,
                        unpacked=done >> 20,
                        size=size,
                    )
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError("{file} is a damaged or cut gzip file ({error}); copy or export it again.", file=path.name, error=error) from error


def scan_text(path: Path, kind: str, encoding: str | None = None) -> Scan:
    """Read a text file once: checksum, encoding, line ends and samples.

    Raises:
        FileError: It is binary, unpacks to too much, or is not text in the encoding that was named.
    """
    digest = hashlib.sha256()
    if kind == "csv.gz":
        with path.open("rb") as packed:
            while piece := packed.read(BLOCK):
                digest.update(piece)
    guessed = encoding
    decoder: codecs.IncrementalDecoder | None = None
    newlines = 0
    head = b""
    pieces: list[bytes] = []
    for place, block in enumerate(raw_blocks(path, kind)):
        if kind != "csv.gz":
            digest.update(block)
        if not head:
            head = block[:SAMPLE]
            mark = next((name for magic, name in _MARKS if block.startswith(magic)), None)
            guessed = guessed or mark or _wide(block[:4096])
            if guessed is None:
                decoder = codecs.getincrementaldecoder("utf-8")()
            if guessed is None and block.count(b"\0", 0, 4096) > 8:
                raise FileError("{file} is a binary file, not text; export it as CSV or Parquet.", file=path.name)
        elif place % 4 == 0 and len(pieces) < 64:
            pieces.append(block[: 32 << 10])
        newlines += block.count(b"\n") or block.count(b"\r")
        if decoder is not None:
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                decoder = None
                pieces.append(block[max(0, error.start - 2048) : error.start + 16384])
                guessed = ""
    name = (guessed if guessed is not None else "utf-8") or _foreign_encoding(head, pieces)
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise FileError("There is no encoding {name!r}; common ones are utf-8, gb18030, utf-16 and latin-1.", name=name) from error
    sample = _whole_lines(head, name, complete=len(head) < SAMPLE, path=path)
    spread = "" if name.startswith("utf-16") else "\n".join(_middle_lines(piece, name) for piece in pieces)
    return Scan(path.stat().st_size, digest.hexdigest(), name, newlines, sample, spread)


def decoded_blocks(path: Path, kind: str, encoding: str) -> Iterator[tuple[bytes, float]]:
    """Yield the file as UTF-8 with LF line ends, block by block, with the share that was read.

    Raises:
        FileError: The bytes are no text in that encoding.
    """
    size = max(path.stat().st_size, 1)
    plain = encoding in ("utf-8", "utf-8-sig", "utf_8", "ascii")
    decoder = None if plain else codecs.getincrementaldecoder(encoding)(errors="replace")
    done, first, held = 0, True, b""
    for raw in raw_blocks(path, kind):
        done += len(raw)
        block = raw if decoder is None else decoder.decode(raw).encode("utf-8")
        if first and block.startswith(codecs.BOM_UTF8):
            block = block[3:]
        first = False
        block = held + block
        held = b""
        if b"\r" in block:
            if block.endswith(b"\r"):
                block, held = block[:-1], b"\r"
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\0" in block:
            block = block.replace(b"\0", b"\xef\xbf\xbd")
        yield block, min(1.0, done / size)
    rest = held.replace(b"\r", b"\n") + (decoder.decode(b"", final=True).encode("utf-8") if decoder else b"")
    if rest:
        yield rest, 1.0


def _wide(head: bytes) -> str | None:
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > len(head) / 8 and even < odd / 8:
        return "utf-16-le"
    return "utf-16-be" if even > len(head) / 8 and odd < even / 8 else None


def _foreign_encoding(head: bytes, pieces: list[bytes]) -> str:
    text = b"\n".join(line for block in [head, *pieces] for line in block.splitlines()[1:-1] if not line.isascii())[:SAMPLE]
    text = text or head
    try:
        text.decode("gb18030")
        chinese = sum("\u4e00" <= c <= "\u9fff" for c in text.decode("gb18030"))
        if chinese > len(text) / 12:
            return "gb18030"
    except UnicodeDecodeError:
        pass
    best = charset_normalizer.from_bytes(text, cp_isolation=_LIKELY).best()
    return best.encoding if best is not None else "latin-1"


def _whole_lines(head: bytes, encoding: str, *, complete: bool, path: Path) -> str:
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(head, final=False)
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if complete:
        return text
    if "\n" not in text:
        raise FileError(
            "The first line of {file} is longer than {most} KiB; this is no table of events.", file=path.name, most=SAMPLE >> 10
        )
    return text[: text.rindex("\n") + 1]


def _middle_lines(piece: bytes, encoding: str) -> str:
    lines = piece.decode(encoding, errors="replace").replace("\r\n", "\n").split("\n")
    return "\n".join(lines[1:-1])
