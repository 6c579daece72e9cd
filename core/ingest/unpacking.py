"""Members of a ZIP archive, each unpacked to a file of ours: no nested archives, no odd paths, no bombs."""

import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.errors import FileError
from core.ingest.decoding import BLOCK, check_ratio
from core.ingest.kinds import damaged, file_kind
from core.ingest.scratch import Scratch

MAX_MEMBERS = 1000
"""More files than any export holds."""

_BESIDE = re.compile(
    r"(^|/)(__MACOSX/.*|\.[^/]*|readme[^/]*|licen[cs]e[^/]*|[^/]*\.(md|pdf|html?|png|jpe?g|gif|sql|py|docx?))$", re.IGNORECASE
)
"""Files that explain a log and hold none."""


@dataclass(frozen=True)
class Member:
    """One table of an archive."""

    path: Path
    name: str
    kind: str


def unpack_zip(path: Path, scratch: Scratch, tick: Callable[[float], None]) -> tuple[list[Member], list[str]]:
    """Unpack the tables of a ZIP archive, in the order of their names.

    Args:
        path: The archive.
        scratch: Where they go.
        tick: Told the share.

    Returns:
        Its tables, and the names of explaining files that were left out.

    Raises:
        FileError: It is damaged, cut, locked, nested, holds no table, or unpacks to more than logs do.
        StorageError: The disk has no room.
    """
    size = path.stat().st_size
    members: list[Member] = []
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            beside = sorted(entry.filename for entry in entries if _BESIDE.search(entry.filename))
            tables = sorted((entry for entry in entries if entry.filename not in beside), key=lambda entry: entry.filename)
            _check(path.name, entries, tables, size)
            total = sum(entry.file_size for entry in tables)
            scratch.check_room(total, path.name)
            done = 0
            for entry in tables:
                target = scratch.named_path(entry.filename)
                with archive.open(entry) as packed, target.open("wb") as out:
                    while block := packed.read(BLOCK):
                        done += len(block)
                        check_ratio(path.name, done, size)  # what the list of members promises may be wrong
                        out.write(block)
                        tick(min(1.0, done / max(1, total)))
                members.append(Member(target, entry.filename, _kind(path.name, entry.filename, target)))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise damaged(path, error) from error
    return members, [name for name in beside if not name.startswith("__MACOSX/")]


def _check(name: str, entries: list[zipfile.ZipInfo], tables: list[zipfile.ZipInfo], size: int) -> None:
    if not tables:
        raise FileError("{file} is an archive without a table in it; put the CSV, JSON, Excel or Parquet file inside.", file=name)
    if len(entries) > MAX_MEMBERS:
        raise FileError("{file} holds {n} files; at most {most} are read from one archive.", file=name, n=len(entries), most=MAX_MEMBERS)
    for entry in entries:
        inner = PurePosixPath(entry.filename.replace("\\", "/"))
        if inner.is_absolute() or ".." in inner.parts or re.match(r"^[A-Za-z]:", entry.filename):
            raise FileError(
                "{file} holds {member!r}, a path that leads out of the archive; it is not unpacked.", file=name, member=entry.filename[:120]
            )
        if entry.flag_bits & 1:
            raise FileError("{file} is protected by a password; unpack it and give the file inside.", file=name)
    check_ratio(name, sum(entry.file_size for entry in tables), size)


def _kind(archive: str, member: str, target: Path) -> str:
    kind = file_kind(target)
    if kind == "zip" or kind.endswith((".gz", ".zst")):
        raise FileError("{file} holds another archive, {member}; unpack it first and give what is inside.", file=archive, member=member)
    return kind
