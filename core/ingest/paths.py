"""Paths as people and DuckDB spell them."""

import glob
import re
from pathlib import Path

from core.errors import FileError

WILD = re.compile(r"[\[*?]")


def literal_path(path: Path) -> str:
    """Spell a path so that DuckDB does not take its brackets and stars for a pattern."""
    return WILD.sub(r"[\g<0>]", str(path))


def files_of(pattern: str) -> list[Path]:
    """Expand a file, a folder (without those below it) or a glob into files, sorted by name.

    Raises:
        FileError: Nothing is there.
    """
    path = Path(pattern)
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
        if not found:
            raise FileError("The folder {path!r} holds no file; name a folder with event files.", path=pattern)
        return found
    if path.exists():
        return [path]
    found = sorted(p for p in map(Path, glob.glob(pattern)) if p.is_file())  # noqa: PTH207 - absolute patterns, which Path.glob refuses
    if not found:
        raise FileError("No file matches {pattern!r}; check the path.", pattern=pattern)
    return found
