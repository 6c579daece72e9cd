"""Pictures that a catalogue names: which of them may be read, and how a hostile one is refused. Nothing is ever fetched."""

import hashlib
import io
import os
import re
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

FATES = ("read", "none", "address", "outside", "missing", "broken", "too_large")
"""`none`: the catalogue names no picture; `address`: it names a place on the network; `outside`: a place outside the folder."""
MOST_BYTES = 64 << 20
"""Of a picture's file; photographs of shops have a hundredth of it."""
MOST_PIXELS = 40_000_000
"""A picture's header may promise a million times its bytes; above this it is not unpacked (120 MB as RGB)."""
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "AVIF")
"""What shops show; forms that run programs of their own (EPS, PDF) or that nobody shows stay closed."""
SIDE = 512
"""Longest side that is kept of a picture: models read 224 to 448."""

_ADDRESS = re.compile(r"^\s*([a-z][a-z0-9+.\-]+:|//)", re.IGNORECASE)
"""`https:`, `data:`, `file:` and the like; one letter before the colon is a drive of Windows and no address."""


@dataclass(frozen=True)
class PictureFile:
    """What became of one picture that a catalogue names."""

    fate: str
    """One of FATES."""
    content: bytes = b""
    digest: bytes = b""
    """sha256 of the content (32 bytes)."""


def find_picture(folder: Path, named: str | None) -> PictureFile:
    """Read a picture's file when it lies inside the folder, links followed to where they lead.

    Args:
        folder: With all links resolved.
        named: What the catalogue says: a path from the folder, or a whole one.
    """
    if named is None or not named.strip():
        return PictureFile("none")
    if _ADDRESS.match(named):
        return PictureFile("address")
    try:
        path = (folder / named.strip().replace("\\", "/")).resolve()
        if not path.is_relative_to(folder):
            return PictureFile("outside")
        content = _content(path)
    except (OSError, ValueError, RuntimeError):  # not there, not ours to read, a zero sign in it, links in a circle
        return PictureFile("missing")
    if content is None:
        return PictureFile("missing")
    if len(content) > MOST_BYTES:
        return PictureFile("too_large")
    return PictureFile("read", content, hashlib.sha256(content).digest())


def _content(path: Path) -> bytes | None:
    """Up to a byte more than MOST_BYTES of a plain file; None for a folder, a pipe or a device."""
    # Without O_NONBLOCK a pipe would make us wait for ever; a link that came after the look at the path is not followed.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)


def open_picture(content: bytes) -> Image.Image | str:
    """Unpack a picture to RGB, upright, on white, its longest side at most SIDE; or say `broken` or `too_large`."""
    Image.init()  # else only the commonest forms are known
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of sizes that we refuse anyway
            with Image.open(io.BytesIO(content), formats=[form for form in FORMATS if form in Image.OPEN]) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    return "too_large"
                picture.draft("RGB", (2 * SIDE, 2 * SIDE))  # a large JPEG is unpacked at a fraction of its size
                picture.load()
                upright = ImageOps.exif_transpose(picture)
                upright.thumbnail((SIDE, SIDE))
                return _on_white(upright)
    except Image.DecompressionBombError:
        return "too_large"
    except Exception:  # noqa: BLE001 - whatever a decoder makes of foreign bytes, the picture is what is broken
        return "broken"


def squared(picture: Image.Image, side: int) -> Image.Image:
    """Fit a whole picture into a white square."""
    return ImageOps.pad(picture, (side, side), Image.Resampling.BICUBIC, color=(255, 255, 255))


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")
