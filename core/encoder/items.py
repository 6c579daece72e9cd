"""The vectors of a catalogue as of a cutoff, and how they are kept in a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.artifacts import read_arrays, read_table, write_arrays, write_table
from core.encoder.encode import TextEncoder, encode_counted, load_encoder
from core.encoder.queries import VECTORS_FILE
from core.encoder.texts import PricePoints, distinct_texts, item_texts, price_points
from core.schema import Progress, silent
from core.store import Connection

ITEMS_FILE = "items.parquet"
CENTRE_DRIFT = 0.02
"""How far a catalogue's centre may move, against its length, before all vectors are moved after it."""
CENTRE_FROM = 32
"""A mean of fewer texts than this is no centre of a language, only noise; such catalogues stay as they are."""


@dataclass(frozen=True)
class ItemVectors:
    """Vectors of the T distinct texts of a catalogue of I items."""

    item_ids: list[str]
    """Sorted."""
    index: npt.NDArray[np.int32]
    """Row of each item in `vectors` (I,), -1 for an item without text."""
    vectors: npt.NDArray[np.float32]
    """Unit vectors (T, D), ready for use (already centred where the model asks for it)."""
    texts: list[str] = field(repr=False)
    """The T distinct texts, sorted."""
    centre: npt.NDArray[np.float32] | None = field(default=None, repr=False)
    """What was taken out of every vector before it was made unit again (D,); do the same to a query's vector."""
    card: dict[str, Any] = field(default_factory=dict, repr=False)
    """The encoder's card for this catalogue."""
    encoded: int = 0
    """Texts that the cache did not hold."""


def encode_items(
    connection: Connection,
    cache: Path | None = None,
    *,
    model: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    encoder: TextEncoder | None = None,
    kept_centre: npt.NDArray[np.float32] | None = None,
    points: PricePoints | None = None,
    progress: Progress = silent,
) -> ItemVectors | None:
    """Encode the catalogue's distinct texts as of the connection's cutoff.

    Args:
        connection: From Log.history.
        cache: `Home.path / "cache"`; None keeps nothing (except a converted model).
        model: See load_encoder.
        device: See load_encoder.
        precision: See load_encoder.
        encoder: One that was loaded before, so that several cutoffs of one run share one model.
        kept_centre: Centre of an earlier catalogue of this log and model: it serves while the new one is within CENTRE_DRIFT of
            it, so that a few new items do not move the vectors of all others.
        points: Where the words for a price change, from `price_points`; None takes the catalogue's own.
        progress: Told the share of tokens done.

    Returns:
        Vectors by item; None, and no model is loaded, when the catalogue has no text at all.

    Raises:
        ModelError: The model is not at hand.
        StorageError: The cache cannot be written.
    """
    points = points or price_points(connection)
    table = item_texts(connection, points)
    item_ids: list[str] = table["item_id"].to_pylist()
    per_item: list[str | None] = table["text"].to_pylist()
    texts, cut = distinct_texts(table)
    if not texts:
        return None
    chosen = encoder or load_encoder(model, texts, device, cache, precision, cut=cut)
    place = {text: row for row, text in enumerate(texts)}
    index = np.array([-1 if text is None else place[text] for text in per_item], np.int32)
    raw, encoded = encode_counted(chosen, texts, cache, progress)
    centre = raw.mean(0, dtype=np.float64).astype(np.float32) if chosen.checkpoint.centred and len(texts) >= CENTRE_FROM else None
    if centre is not None and kept_centre is not None and np.linalg.norm(centre - kept_centre) <= CENTRE_DRIFT * np.linalg.norm(centre):
        centre = kept_centre
    counts = {"items": len(item_ids), "items_without_text": int((index < 0).sum()), "distinct_texts": len(texts)}
    card = {**chosen.card, **counts, "centred": centre is not None, "price_points": list(points.points)}
    return ItemVectors(item_ids, index, centred(raw, centre), texts, centre, card, encoded)


def without_texts(connection: Connection) -> ItemVectors:
    """The items of a catalogue that no text describes, or whose texts nobody asked for."""
    item_ids: list[str] = item_texts(connection)["item_id"].to_pylist()
    return ItemVectors(item_ids, np.full(len(item_ids), -1, np.int32), np.zeros((0, 0), np.float32), [])


def centred(vectors: npt.NDArray[np.float32], centre: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
    """Take a centre (D,) out of unit vectors (N, D) and make them unit again; without one, return them as they are."""
    if centre is None:
        return vectors
    moved = vectors - centre
    norms = np.linalg.norm(moved, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = np.divide(moved, norms, out=np.zeros_like(moved), where=norms > 1e-6)
    return unit


def save_item_vectors(folder: Path, items: ItemVectors) -> None:
    """Write items.parquet (item_id, text, text_index) and item_vectors.safetensors into a run's draft; the card goes into its manifest."""
    texts: Sequence[str | None] = [*items.texts, None]
    write_table(
        folder / ITEMS_FILE,
        pa.table(
            {
                "item_id": pa.array(items.item_ids, pa.string()),
                "text": pa.array(texts, pa.string()).take(pa.array(np.where(items.index < 0, len(items.texts), items.index))),
                "text_index": pa.array(items.index, pa.int32()),
            }
        ),
    )
    write_arrays(folder / VECTORS_FILE, {"vectors": items.vectors, **({} if items.centre is None else {"centre": items.centre})})


def read_item_vectors(folder: Path, card: dict[str, Any]) -> ItemVectors:
    """Read what save_item_vectors wrote.

    Raises:
        StorageError: A file is missing or damaged.
    """
    table = read_table(folder / ITEMS_FILE)
    arrays = read_arrays(folder / VECTORS_FILE)
    index = table["text_index"].to_numpy().astype(np.int32)
    texts = sorted({text for text in table["text"].to_pylist() if text is not None})
    return ItemVectors(table["item_id"].to_pylist(), index, arrays["vectors"], texts, arrays.get("centre"), card)
