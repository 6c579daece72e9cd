"""What a file holds and how it is packed, told by its first bytes and never by its name."""

import codecs
import gzip
import zipfile
import zlib
from pathlib import Path

import zstandard

from core.errors import FileError
from core.messages import Message, say

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PARQUET, _ZIP, _OLE = b"PAR1", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEAD = 512
BITE = 4 << 10
"""Bytes of a Zstandard file unpacked at once: even a bomb makes no more than some 100 MiB of them."""

_FOREIGN = (
    (b"\x89PNG", say("a PNG image")),
    (b"\xff\xd8\xff", say("a JPEG image")),
    (b"GIF8", say("a GIF image")),
    (b"%PDF", say("a PDF document")),
    (b"7z\xbc\xaf", say("a 7z archive")),
    (b"Rar!", say("a RAR archive")),
    (b"\xfd7zXZ", say("an xz archive")),
    (b"BZh", say("a bzip2 archive")),
    (b"SQLite format 3", say("an SQLite database")),
    (b"ORC", say("an ORC file")),
    (b"Obj\x01", say("an Avro file")),
)


def file_kind(path: Path) -> str:
    """Tell what a file is: csv or json, each also with .gz or .zst; parquet, workbook, or zip.

    Raises:
        FileError: The path is no readable file, is empty, or holds something else.
    """
    if path.is_dir():
        raise FileError("{file} is a folder; give the files inside it.", file=path.name)
    if path.exists() and not path.is_file():  # a pipe or device: it cannot be read twice, and some never end
        raise FileError("{file} is a pipe or a device; save what comes out of it as a file and give that.", file=path.name)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            size = stream.seek(0, 2)
            stream.seek(max(0, size - 4))
            tail = stream.read(4)
    except FileNotFoundError as error:
        raise FileError("There is no file {file}; check the path.", file=path.name) from error
    except OSError as error:
        raise FileError("{file} cannot be read ({error}); check its permissions.", file=path.name, error=error.strerror) from error
    if not head.strip():
        raise FileError("{file} is empty ({size} B); export it again.", file=path.name, size=size)
    if head.startswith(_PARQUET):
        if tail != _PARQUET:
            raise FileError("{file} is a Parquet file that was cut off (its last bytes are missing); export it again.", file=path.name)
        return "parquet"
    if head.startswith(GZIP):
        return _text_kind(_inner_head(path), path, packed=True) + ".gz"
    if head.startswith(ZSTD):
        return _text_kind(_inner_head(path, zstd=True), path, packed=True) + ".zst"
    if head.startswith((_ZIP, b"PK\x05\x06")):
        return _zip_kind(path)
    return "workbook" if head.startswith(_OLE) else _text_kind(head, path)


def _text_kind(head: bytes, path: Path, *, packed: bool = False) -> str:
    if packed and not head.strip():
        raise FileError("{file} is empty ({size} B); export it again.", file=path.name, size=len(head))
    if packed and (head.startswith((GZIP, ZSTD, _ZIP, _OLE, _PARQUET)) or head[257:262] == b"ustar"):
        raise FileError("{file} packs another archive, workbook or Parquet file; unpack it first and give what is inside.", file=path.name)
    for magic, kind in _FOREIGN:
        if head.startswith(magic):
            raise foreign(path.name, kind)
    if head[257:262] == b"ustar":
        raise foreign(path.name, say("a tar archive"))
    start = _start(head)
    if start == "<":
        raise foreign(path.name, say("an XML or HTML document"))
    return "json" if start in ("{", "[") else "csv"


def foreign(name: str, kind: Message) -> FileError:
    """Return the refusal of a file that is of a kind we do not read."""
    return FileError("{file} is {kind}, not a table of events; export it as CSV, JSON, Excel or Parquet.", file=name, kind=kind)


def _start(head: bytes) -> str:
    """Return the first sign of a text that is no blank."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = head[: len(head) & ~1].decode("utf-16", errors="replace")
    else:
        text = head.removeprefix(codecs.BOM_UTF8).replace(b"\0", b"").decode("latin-1")
    return text.lstrip()[:1]


def _inner_head(path: Path, *, zstd: bool = False) -> bytes:
    try:
        if not zstd:
            with gzip.open(path) as stream:
                return stream.read(_HEAD)
        frame, head = zstandard.ZstdDecompressor().decompressobj(), b""
        with path.open("rb") as packed:
            while len(head) < _HEAD and not frame.eof and (bite := packed.read(BITE)):
                head += frame.decompress(bite)
        if not head and not frame.eof:
            raise EOFError("its first frame is not complete")
        return head[:_HEAD]
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise damaged(path, error) from error


def changed(name: str) -> FileError:
    """Return the refusal of a file that is still being written."""
    return FileError("{file} changed while it was read; wait until its export is complete and try again.", file=name)


def damaged(path: Path, error: object) -> FileError:
    """Return the error of an archive that cannot be unpacked to its end."""
    return FileError("{file} is a damaged or cut archive ({error}); copy or export it again.", file=path.name, error=str(error)[:120])


def _zip_kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            if names & {"xl/workbook.xml", "xl/workbook.bin"}:
                return "workbook"
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                meaning = archive.read("mimetype")
                if meaning.strip() == b"application/vnd.oasis.opendocument.spreadsheet":
                    return "workbook"
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise damaged(path, error) from error
    if names & {"word/document.xml", "ppt/presentation.xml"}:
        raise foreign(path.name, say("a Word or PowerPoint document"))
    return "zip"
