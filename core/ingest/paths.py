"""Paths as people and DuckDB spell them."""

import glob
import re
from pathlib import Path
from urllib.parse import unquote

from core.errors import FileError

_STRAY = frozenset(
    {
        ".md",
        ".rst",
        ".crc",
        ".md5",
        ".sha256",
        ".pdf",
        ".doc",
        ".docx",
        ".ppt",
        ".pptx",
        ".htm",
        ".html",
        ".xml",
        ".yaml",
        ".yml",
        ".toml",
        ".ini",
        ".cfg",
        ".py",
        ".ipynb",
        ".r",
        ".sql",
        ".sh",
        ".bat",
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".svg",
        ".webp",
        ".log",
        ".lock",
        ".tmp",
        ".part",
        ".bak",
    }
)
"""Endings that no table of events has. A .log may be one, and is read when it is named itself."""
_FOLDER = re.compile(r"([^\W\d]\w*)=(.*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
WILD = re.compile(r"[\[*?]")


def literal_path(path: Path) -> str:
    """Spell a path so that DuckDB does not take its brackets and stars for a pattern."""
    return WILD.sub(r"[\g<0>]", str(path))


def files_of(pattern: str) -> list[Path]:
    """Expand a file, a folder (with those below it) or a glob into files, in the order of their paths.

    In a folder, files that are no tables by their name are passed over: what begins with a dot or an underscore, as the marks
    of other tools do, and notes, pictures and programs.

    Raises:
        FileError: Nothing is there.
    """
    path = Path(pattern)
    if path.is_dir():
        found = [p for p in sorted(path.rglob("*")) if p.is_file() and not is_stray(p.relative_to(path))]
        if not found:
            raise FileError("The folder {path!r} holds no file; name a folder with event files.", path=pattern)
        return found
    if path.exists():
        return [path]
    found = sorted(p for p in map(Path, glob.glob(pattern)) if p.is_file())  # noqa: PTH207 - absolute patterns, which Path.glob refuses
    if not found:
        raise FileError("No file matches {pattern!r}; check the path.", pattern=pattern)
    return found


def folder_columns(path: Path) -> tuple[tuple[str, str], ...]:
    """Return the columns that the names of a file's folders give, as Spark and Hive write them: `dt=2024-01-31/country=FR`.

    The word for no value, `__HIVE_DEFAULT_PARTITION__`, becomes ''.
    """
    found = {}
    for part in path.parts[:-1]:
        if named := _FOLDER.fullmatch(part):
            found[named[1]] = "" if named[2] == _NO_VALUE else unquote(named[2])
    return tuple(found.items())


def strays_of(pattern: str) -> list[str]:
    """Name the visible files of a folder that `files_of` passes over."""
    path = Path(pattern)
    inner = [p.relative_to(path) for p in sorted(path.rglob("*")) if p.is_file()] if path.is_dir() else []
    return [str(p) for p in inner if is_stray(p) and not any(part.startswith((".", "_")) for part in p.parts)]


def is_stray(path: Path) -> bool:
    """Tell a file that is no table by its name."""
    hidden = any(part.startswith((".", "_")) for part in path.parts)
    return hidden or path.suffix.lower() in _STRAY or path.stem.lower() in ("readme", "notes", "license", "licence", "changelog")
