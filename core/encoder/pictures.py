"""Vectors of a catalogue's pictures as of a cutoff, cached by what is in the files, and what looks like what."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from core.artifacts import read_arrays, read_table, write_arrays, write_table
from core.encoder.cache import KEY_BYTES, VectorCache
from core.encoder.items import CENTRE_FROM, ItemVectors, centred
from core.encoder.picture_files import FATES, find_picture, open_picture
from core.encoder.picture_models import PictureEncoder, encode
from core.messages import say
from core.schema import Progress, silent
from core.store import Connection, fetch

PICTURES_FILE = "pictures.parquet"
PICTURE_VECTORS_FILE = "picture_vectors.safetensors"
CHUNK = 64
"""Pictures that are unpacked at a time."""


def encode_pictures(
    connection: Connection, folder: Path, encoder: PictureEncoder, cache: Path | None = None, progress: Progress = silent
) -> tuple[ItemVectors | None, dict[str, Any]]:
    """Encode the pictures that the catalogue names, each content once.

    Vectors are centred on the mean of the catalogue's pictures, because networks see so much alike in any two pictures.

    Args:
        connection: From Log.history(cutoff).
        folder: Where pictures may be read; paths of the catalogue begin there.
        encoder: From load_picture_encoder.
        cache: `Home.path / "cache"`; None keeps nothing.
        progress: Told the share of items done.

    Returns:
        Vectors by item, None when no picture could be read; and a card that counts every fate.

    Raises:
        StorageError: The cache cannot be written.
    """
    catalogue = fetch(connection, "SELECT item_id, image FROM catalogue ORDER BY item_id")
    item_ids: list[str] = catalogue["item_id"].to_pylist()
    store = VectorCache(cache / "vectors" / encoder.cache_name) if cache is not None else None
    root, counts = folder.resolve(), dict.fromkeys(FATES, 0)
    known: dict[bytes, npt.NDArray[np.float32] | str] = {}
    """By content: its vector, or why it has none."""
    digest_of: list[bytes | None] = []
    encoded = 0
    for start in range(0, len(item_ids), CHUNK):
        found = [find_picture(root, named) for named in catalogue["image"].slice(start, CHUNK).to_pylist()]
        fresh = {file.digest: file.content for file in found if file.fate == "read" and file.digest not in known}
        encoded += _learn(fresh, known, encoder, store)
        for file in found:
            vector = known[file.digest] if file.fate == "read" else file.fate
            counts[vector if isinstance(vector, str) else "read"] += 1
            digest_of.append(None if isinstance(vector, str) else file.digest)
        progress(
            min(1.0, (start + CHUNK) / len(item_ids)), say("{n:,} of {total:,} items looked at", n=len(digest_of), total=len(item_ids))
        )
    distinct = sorted({digest for digest in digest_of if digest is not None})
    card: dict[str, Any] = {**encoder.card(), "items": len(item_ids), "fates": counts, "distinct": len(distinct), "encoded": encoded}
    if not distinct:
        return None, card
    place = {digest: row for row, digest in enumerate(distinct)}
    index = np.array([-1 if digest is None else place[digest] for digest in digest_of], np.int32)
    raw = np.stack([vector for vector in (known[digest] for digest in distinct) if not isinstance(vector, str)])
    centre = raw.mean(0, dtype=np.float64).astype(np.float32) if len(distinct) >= CENTRE_FROM else None
    card["centred"] = centre is not None
    return ItemVectors(item_ids, index, centred(raw, centre), [], centre, card, encoded), card


def _learn(
    fresh: dict[bytes, bytes], known: dict[bytes, npt.NDArray[np.float32] | str], encoder: PictureEncoder, store: VectorCache | None
) -> int:
    """Find vectors of contents in the cache, else unpack and encode them; returns how many were encoded."""
    digests = list(fresh)
    if not digests:
        return 0
    keys = np.frombuffer(b"".join(digests), dtype=f"V{KEY_BYTES}")
    vectors, is_kept = (
        store.load(keys, encoder.dim) if store else (np.zeros((len(digests), encoder.dim), np.float32), np.zeros(len(digests), bool))
    )
    pictures: list[Image.Image] = []
    rows: list[int] = []
    for row, digest in enumerate(digests):
        if is_kept[row]:
            known[digest] = vectors[row]
            continue
        picture = open_picture(fresh[digest])
        if isinstance(picture, str):
            known[digest] = picture
        else:
            pictures.append(picture)
            rows.append(row)
    for row, vector in zip(rows, encode(encoder, pictures), strict=True):
        known[digests[row]] = vectors[row] = vector
    if store and rows:
        store.add(keys[rows], vectors[rows])
    return len(rows)


def look_alikes(items: ItemVectors, item_id: str, k: int = 10) -> list[tuple[str, float]]:
    """The `k` other items whose vectors point most alike, most alike first, with cosines; ties go to the smaller id.

    An item without a vector is like nothing, so its list is empty.
    """
    row = items.item_ids.index(item_id)
    if items.index[row] < 0:
        return []
    others = np.flatnonzero((items.index >= 0) & (np.arange(len(items.item_ids)) != row))
    cosines = items.vectors[items.index[others]] @ items.vectors[items.index[row]]
    order = np.argsort(-cosines, kind="stable")[:k]
    return [(items.item_ids[int(others[place])], float(cosines[place])) for place in order]


def fused(text: ItemVectors | None, pictures: ItemVectors | None) -> ItemVectors | None:
    """Texts and pictures of the same catalogue side by side as one unit vector an item; what an item lacks is 0.

    Two items that both have both are as like as their texts and pictures are on average; an item with a picture alone is compared
    by pictures alone, at 0.71 of their likeness when the other has a text as well.
    """
    if text is None or pictures is None:
        return text or pictures
    if text.item_ids != pictures.item_ids:
        raise ValueError("texts and pictures must be of one catalogue")
    pairs, index = np.unique(np.stack([text.index, pictures.index], axis=1), axis=0, return_inverse=True)
    halves = [np.where(pairs[:, [side]] >= 0, items.vectors[pairs[:, side]], 0) for side, items in enumerate((text, pictures))]
    joined = np.concatenate(halves, axis=1).astype(np.float32)
    length = np.linalg.norm(joined, axis=1, keepdims=True)
    vectors = np.divide(joined, length, out=np.zeros_like(joined), where=length > 1e-12)
    known: npt.NDArray[np.bool_] = np.any(pairs >= 0, axis=1)
    return ItemVectors(text.item_ids, np.where(known[index], index, -1).astype(np.int32), vectors, [], None, text.card)


def save_picture_vectors(folder: Path, items: ItemVectors) -> None:
    """Write pictures.parquet (item_id, vector_index: -1 without a picture) and picture_vectors.safetensors."""
    write_table(folder / PICTURES_FILE, pa.table({"item_id": pa.array(items.item_ids, pa.string()), "vector_index": items.index}))
    write_arrays(folder / PICTURE_VECTORS_FILE, {"vectors": items.vectors})


def read_picture_vectors(folder: Path) -> ItemVectors:
    """Read what `save_picture_vectors` wrote.

    Raises:
        StorageError: A file is missing or damaged.
    """
    table = read_table(folder / PICTURES_FILE)
    vectors = read_arrays(folder / PICTURE_VECTORS_FILE)["vectors"]
    return ItemVectors(table["item_id"].to_pylist(), table["vector_index"].to_numpy().astype(np.int32), vectors, [])
