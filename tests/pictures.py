"""Drawn pictures of three kinds of things, no two of a kind alike, and hostile files beside them."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("cup", "dress", "phone")


def draw(kind: str, seed: int) -> Image.Image:
    """A thing on white with its own place, size and shade: a red disc, a green wedge, or a dark blue box."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (160, 120), "white")
    brush = ImageDraw.Draw(picture)
    left, top, size = (int(rng.integers(low, high)) for low, high in ((10, 50), (5, 25), (60, 85)))
    shade = int(rng.integers(0, 60))
    if kind == "cup":
        brush.ellipse((left, top, left + size, top + size), fill=(195 + shade, shade, shade // 2))
    elif kind == "dress":
        brush.polygon(((left + size // 2, top), (left, top + size), (left + size, top + size)), fill=(shade, 150 + shade, shade))
    else:
        brush.rectangle((left, top, left + size // 2, top + size), fill=(shade // 2, shade // 2, 110 + shade))
    return picture


def shop(folder: Path, of_each: int = 12) -> list[dict[str, str]]:
    """Draw `of_each` pictures of each kind into a folder; returns the items, which have nothing but their picture."""
    (folder / "img").mkdir(parents=True)
    items = []
    for kind in KINDS:
        for number in range(of_each):
            name = f"img/{kind}{number:02d}.{'jpg' if number % 2 else 'png'}"
            draw(kind, 100 * KINDS.index(kind) + number).save(folder / name)
            items.append({"item_id": f"{kind}{number:02d}", "image": name})
    return items


def bomb(path: Path, side: int = 30_000) -> None:
    """A PNG of some kilobytes that promises nine hundred million pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b""))


def hostile(folder: Path) -> dict[str, str]:
    """Files that nobody should open, beside the pictures; what the catalogue names → what must become of it."""
    secret = folder.parent / "secret.png"
    draw("cup", 1).save(secret)
    (folder / "link.png").symlink_to(secret)
    (folder / "inside.png").symlink_to(folder / "img" / "cup00.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    os.mkfifo(folder / "pipe.png")
    bomb(folder / "bomb.png")
    (folder / "cut.jpg").write_bytes((folder / "img" / "cup01.jpg").read_bytes()[:400])
    (folder / "page.png").write_text("<html>not a picture</html>")
    (folder / "script.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    return {
        "https://shop.example/a.png": "address",
        "//shop.example/a.png": "address",
        "file:///etc/hostname": "address",
        "data:image/png;base64,iVBORw0KGgo=": "address",
        "../secret.png": "outside",
        str(secret): "outside",
        "link.png": "outside",
        "inside.png": "read",
        "img\\cup02.png": "read",
        "loop.png": "missing",
        "pipe.png": "missing",
        "img": "missing",
        "nobody.png": "missing",
        "a\0b.png": "missing",
        "x" * 5000: "missing",
        "bomb.png": "too_large",
        "cut.jpg": "broken",
        "page.png": "broken",
        "script.eps": "broken",
        " ": "none",
    }
