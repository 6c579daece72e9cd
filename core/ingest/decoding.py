"""From the bytes of a file to UTF-8: unpacking within limits, and which encoding it uses."""

import codecs
import gzip
import hashlib
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import chardet
import zstandard

from core.errors import FileError
from core.ingest.kinds import BITE, changed, damaged
from core.ingest.names import is_known_name

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

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LIKELY = (
    *("utf-8", "gb18030", "big5", "cp932", "euc-jp", "cp949", "koi8-r", "windows-874"),
    *(f"windows-{page}" for page in range(1250, 1258)),
)
"""Encodings that exports are written in; with the mainframes' and the typewriters' among them, short words look like anything."""
_WESTERN = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ€£°«»–—‘’“”„…·•®©™²³¿¡´ª º§½¼¾×")
"""The signs of cp1252 that western European words, prices and measures are written with."""
_WORD = re.compile(r"[^\W\d_]+")
_ODD = re.compile(r"[^\s,;|\"']*[^\x00-\x7f][^\s,;|\"']*")
"""A field with a sign that is not ASCII, such as €12: an example where no word has one."""
_FOREIGN = re.compile(rb"(?:[A-Za-z ]*[\x80-\xff]+[A-Za-z@-~\x80-\xff ]*)+")


@dataclass(frozen=True)
class Scan:
    """What one pass over all bytes of a text file shows."""

    bytes: int
    """Size on disk."""
    unpacked: int
    """Size of the text."""
    sha256: str
    encoding: str
    """A name that Python's codecs know."""
    newlines: int
    """Physical line ends, before any quoting is understood."""
    sample: str
    """Text of the head, whole lines."""
    spread: str
    """Whole lines from later places of the file, to judge a dialect on more than its head."""
    example: str = ""
    """When the encoding is a guess: a word of the file whose letters depend on it."""


def raw_blocks(path: Path, kind: str) -> Iterator[tuple[bytes, float]]:
    """Yield a file's bytes, unpacked when its kind says that it is packed (.gz or .zst), with the share of the file that was read.

    Raises:
        FileError: The archive is damaged, cut, or unpacks to too much.
    """
    size = path.stat().st_size
    done = 0
    if not kind.endswith((".gz", ".zst")):
        with path.open("rb") as stream:
            while block := stream.read(BLOCK):
                done += len(block)
                if done > size:  # who follows a file that grows may follow it for ever
                    raise changed(path.name)
                yield block, done / size
        return
    try:
        for block, taken in _zstd_blocks(path) if kind.endswith(".zst") else _gzip_blocks(path):
            done += len(block)
            check_ratio(path.name, done, size)
            yield block, min(1.0, taken / size)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise damaged(path, error) from error


def check_ratio(name: str, unpacked: int, size: int) -> None:
    """Refuse an archive that unpacks to more than logs do.

    Raises:
        FileError: So many bytes come from so few.
    """
    if unpacked > _RATIO_FREE and (unpacked > size * MAX_RATIO or unpacked > MAX_UNPACKED):
        raise FileError(
            "{file} unpacks to more than {unpacked} MiB from {size} bytes; logs do not shrink that far. "
            "Unpack it yourself and give the file inside if you trust it.",
            file=name,
            unpacked=unpacked >> 20,
            size=size,
        )


def _gzip_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    with path.open("rb") as packed, gzip.open(packed, "rb") as stream:
        while block := stream.read(BLOCK):
            yield block, packed.tell()


def _zstd_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Unpack frame by frame in small bites: the library's own reader ends at a cut file as if it were whole."""
    with path.open("rb") as stream:
        frame, began, held = zstandard.ZstdDecompressor().decompressobj(), False, bytearray()
        while bite := stream.read(BITE):
            while bite:
                began = True
                held += frame.decompress(bite)
                bite = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame, began = zstandard.ZstdDecompressor().decompressobj(), False
            if len(held) >= BLOCK:
                yield bytes(held), stream.tell()
                held.clear()
        if began:
            raise EOFError("the last frame is not complete")
        if held:
            yield bytes(held), stream.tell()


def scan_text(path: Path, kind: str, encoding: str | None, tick: Callable[[float], None], *, in_lines: bool = True) -> Scan:
    """Read a text file once: checksum, encoding, line ends and samples.

    Args:
        path: The file.
        kind: What `file_kind` said.
        encoding: What a person said, or None.
        tick: Told the share.
        in_lines: Whether a first line without end is an error; without it the sample is the head as it stands.

    Raises:
        FileError: It is binary, unpacks to too much, or is not text in the encoding that was named.
    """
    digest = hashlib.sha256()
    is_packed = kind.endswith((".gz", ".zst"))
    if is_packed:
        with path.open("rb") as packed:
            while piece := packed.read(BLOCK):
                digest.update(piece)
    guessed = encoding
    decoder: codecs.IncrementalDecoder | None = None
    newlines, unpacked = 0, 0
    head = b""
    pieces: list[bytes] = []
    for place, (block, share) in enumerate(raw_blocks(path, kind)):
        tick(share)
        unpacked += len(block)
        if not is_packed:
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
        if decoder is not None and (decoder.getstate()[0] or not block.isascii()):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                decoder = None
                pieces.append(block[max(0, error.start - 2048) : error.start + 16384])
                guessed = ""
    name, example = (guessed if guessed is not None else "utf-8"), ""
    if not name:
        name, example = _foreign_encoding(head, pieces)
    try:
        codecs.lookup(name)
    except LookupError as error:
        raise FileError("There is no encoding {name!r}; common ones are utf-8, gb18030, utf-16 and latin-1.", name=name) from error
    sample = _whole_lines(head, name, complete=len(head) < SAMPLE or not in_lines, path=path)
    spread = "" if name.startswith("utf-16") else "\n".join(_middle_lines(piece, name) for piece in pieces)
    return Scan(path.stat().st_size, unpacked, digest.hexdigest(), name, newlines, sample, spread, example)


def decoded_blocks(path: Path, kind: str, encoding: str) -> Iterator[tuple[bytes, float]]:
    """Yield the file as UTF-8 with LF line ends, block by block, with the share that was read.

    Raises:
        FileError: The bytes are no text in that encoding.
    """
    plain = encoding in ("utf-8", "utf-8-sig", "utf_8", "ascii")
    decoder = codecs.getincrementaldecoder("utf-8" if plain else encoding)(errors="replace")
    first, held = True, b""
    for raw, share in raw_blocks(path, kind):
        block = decoder.decode(raw).encode("utf-8")
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
        yield block, share
    rest = held.replace(b"\r", b"\n") + decoder.decode(b"", final=True).encode("utf-8")
    if rest:
        yield rest, 1.0


def _wide(head: bytes) -> str | None:
    even, odd = head[::2].count(0), head[1::2].count(0)
    if odd > len(head) / 8 and even < odd / 8:
        return "utf-16-le"
    return "utf-16-be" if even > len(head) / 8 and odd < even / 8 else None


def _foreign_encoding(head: bytes, pieces: list[bytes]) -> tuple[str, str]:
    """Guess the encoding of text that is not UTF-8, and give a word that shows whether the guess is right."""
    text = b"\n".join(line for block in [head, *pieces] for line in block.splitlines()[1:-1] if not line.isascii())[:SAMPLE]
    header = next((line for line in head.splitlines() if line.strip()), b"")
    if not text and not _is_utf8(header):
        text = header  # nothing but names tells the encoding
    text = text or head
    name = _encoding_of_header(header)
    if name is None and _mostly_utf8(text):
        return "utf-8", ""
    name = name or _encoding_of(text)
    read = text.decode(name, errors="replace")
    words = [word[:40] for word in _WORD.findall(read)[:2000] if not word.isascii()] or [found[:40] for found in _ODD.findall(read)[:2000]]
    return name, max(words, key=len, default="")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _encoding_of_header(line: bytes) -> str | None:
    """Return the encoding in which a header holds names that exports use; a few short words are too few for statistics."""
    if _is_utf8(line):
        return None
    found: dict[str, int] = {}
    for name in ("gb18030", "big5", "cp932", "cp1252"):
        try:
            cells = re.split("[,;|\t]", line.decode(name))
        except UnicodeDecodeError:
            continue
        found[name] = sum(is_known_name(cell.strip(' "')) for cell in cells if not cell.isascii())
    best = max(found, key=lambda name: found[name], default=None)
    return best if best is not None and found[best] and list(found.values()).count(found[best]) == 1 else None


def _encoding_of(text: bytes) -> str:
    """Guess from the words alone that are not ASCII: the numbers and names around them would be most of the evidence."""
    seen = b" ".join(dict.fromkeys(_FOREIGN.findall(text))) or text
    name = codecs.lookup(chardet.detect(seen, include_encodings=_LIKELY)["encoding"] or "cp1252").name
    if name not in ("big5", "cp932", "euc_jp", "cp949") and _is_chinese(seen):
        return "gb18030"
    western = {c for c in seen.decode("cp1252", errors="replace") if not c.isascii()} <= _WESTERN
    words = [word for word in _WORD.findall(seen.decode(name, errors="replace")) if not word.isascii()]
    # A Cyrillic, Greek or Chinese letter between Latin ones is an accent of cp1252 read wrongly.
    mixed = [word for word in words if re.search("[A-Za-z]", word) and not all("LATIN" in unicodedata.name(c, "") for c in word)]
    hungarian = name == "cp1250" and {"ő", "ű"} & set("".join(words))
    if len(mixed) * 2 >= len(words) or (western and not hungarian and all("LATIN" in unicodedata.name(c, "") for c in "".join(words))):
        return "cp1252" if western else name
    return name


def _is_chinese(seen: bytes) -> bool:
    """Tell whether nearly all signs are among the 3,755 common ones of GB 2312, which sort together."""
    try:
        signs = [c.encode("gb18030") for c in seen.decode("gb18030") if not c.isascii()]
    except UnicodeDecodeError:
        return False
    return sum(len(sign) == 2 and 0xB0 <= sign[0] <= 0xD7 and sign[1] >= 0xA1 for sign in signs) > 0.9 * len(signs)


def _mostly_utf8(text: bytes) -> bool:
    """Tell UTF-8 with some damaged lines from another encoding, in which few lines read as UTF-8 by chance."""
    lines = text.split(b"\n")
    wrong = sum("\ufffd" in line.decode("utf-8", errors="replace") for line in lines)
    return len(lines) - wrong > 2 * wrong


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
