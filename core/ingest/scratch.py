"""A folder for what must be unpacked or converted before it can be read; made when it is first needed, gone afterwards."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import StorageError

RESERVE = 256 << 20
"""Bytes of the disk that stay free when a large file is read; a small one leaves as much as it takes."""


@dataclass
class Scratch:
    """Where unpacked files go."""

    parent: Path
    made: list[Path] = field(default_factory=list)
    """Paths handed out so far."""
    folder: Path | None = None

    def path(self, ending: str) -> Path:
        """Return a new path in the folder."""
        self.made.append(self._folder() / f"{len(self.made)}.{ending}")
        return self.made[-1]

    def named_path(self, name: str) -> Path:
        """Return a new path that ends as `name` does, so that messages show it; only its harmless signs are taken."""
        place = self.path("d")
        place.mkdir()
        return place / (re.sub(r"[^\w .()-]", "_", name.replace("\\", "/").rpartition("/")[2])[-80:].lstrip(". ") or "file")

    def _folder(self) -> Path:
        if self.folder is None:
            self.parent.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix=".unpacked.", dir=self.parent))
        return self.folder

    def check_room(self, needed: int, name: str) -> None:
        """Refuse to write so many bytes more when the disk has no room for them.

        Raises:
            StorageError: Less than that is free.
        """
        check_room(self.parent, needed, name)


def check_room(folder: Path, needed: int, name: str) -> None:
    """Refuse a file whose reading needs more room than the disk has.

    Raises:
        StorageError: Less than `needed` bytes and a reserve are free where `folder` lies or will lie.
    """
    place = next(p for p in (folder, *folder.parents, Path.cwd()) if p.is_dir())
    free = shutil.disk_usage(place).free
    needed += min(RESERVE, needed)
    if free < needed:
        raise StorageError(
            "Reading {file} needs about {needed:,} MiB on the disk of the home folder, which has {free:,} MiB free; "
            "nothing was published. Free space or choose another home.",
            file=name,
            needed=(needed >> 20) + 1,
            free=free >> 20,
        )


@contextmanager
def scratch_below(parent: Path | None = None) -> Iterator[Scratch]:
    """Yield a scratch folder below `parent` (default: the system's temporary folder) and remove it at the end."""
    scratch = Scratch(parent or Path(tempfile.gettempdir()))
    try:
        yield scratch
    finally:
        if scratch.folder is not None:
            shutil.rmtree(scratch.folder, ignore_errors=True)
