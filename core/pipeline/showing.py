"""What a page may show of the pictures that a catalogue names: files inside its folder, and addresses where a person asked for them."""

import io
import re
from functools import lru_cache
from pathlib import Path

from core.errors import FileError
from core.pipeline import screens
from core.pipeline.offering import goods
from core.pipeline.options import ProfileOptions
from core.pipeline.screens import Screen
from core.store import Dataset

SIDE = 256
"""Longest side that is shown, pixels."""
KEPT = 256
"""Pictures in memory, about 10 kB each."""
LONGEST_ADDRESS = 2_000
ADDRESS = re.compile(r"https?://[^\s\"'<>\\@]+\.(?:jpe?g|png|webp|gif|avif)(?:\?[^\s\"'<>\\]*)?", re.IGNORECASE)
"""Of a picture by its ending; without a name and password in it."""


def picture_folder(dataset: Dataset, options: ProfileOptions) -> Path | None:
    """The folder whose pictures may be read: the one that was named, else that of the newest catalogue; None when it is gone.

    Raises:
        FileError: The named one is no folder.
    """
    if options.pictures is not None:
        folder = Path(options.pictures).expanduser()
        if not folder.is_dir():
            raise FileError("{path!r} is no folder; name the folder that holds the catalogue's pictures.", path=options.pictures)
        return folder.resolve()
    for source in reversed(dataset.manifest().get("sources", [])):
        if source.get("role") == "items" and source.get("path"):
            folder = Path(str(source["path"])).parent
            return folder.resolve() if folder.is_dir() else None
    return None


def pictures_there(screen: Screen) -> tuple[bool, bool]:
    """Whether the catalogue names files, and whether it names addresses."""
    named = [text for text in goods(screen).images if text]
    addresses = sum(is_address(text) for text in named)
    return len(named) > addresses, addresses > 0


def is_address(named: str) -> bool:
    """Whether a text is the http(s) address of a picture."""
    return len(named) <= LONGEST_ADDRESS and ADDRESS.fullmatch(named.strip()) is not None


def picture_of(screen: Screen, named: str | None, *, addresses: bool) -> bytes | str | None:
    """Return a picture's bytes (PNG, made anew), its address where those are wanted, or None.

    Nothing is fetched here: an address goes to the browser, whose request tells that site who looks at which item.
    """
    if not named:
        return None
    if is_address(named):
        return named.strip() if addresses else None
    folder = _folder(screen)
    return _shrunk(folder, named) if folder is not None else None


@lru_cache(maxsize=4)
def _folder(screen: Screen) -> Path | None:
    config = (screens.run_manifest(screen, "profiles") or {}).get("config") or {}
    named = config.get("pictures")
    if named is not None and not Path(str(named)).expanduser().is_dir():
        return None
    return picture_folder(screen.dataset, ProfileOptions(pictures=named))


@lru_cache(maxsize=KEPT)
def _shrunk(folder: Path, named: str) -> bytes | None:
    from core.encoder.picture_files import find_picture, open_picture

    found = find_picture(folder, named)
    picture = open_picture(found.content) if found.fate == "read" else None
    if picture is None or isinstance(picture, str):
        return None
    picture.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
