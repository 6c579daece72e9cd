"""Vectors kept by the hash of their text, so that an append or a second dataset pays only for new texts.

One folder per (model, precision, device); in it shards of safetensors {"keys": (n, 32) uint8, "vectors": (n, D)
float32}, each named by its own sha256. A shard appears by rename, so writers need no lock; one that does not match its
name is damaged and is removed, and its texts are encoded again.
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.errors import StorageError

_log = logging.getLogger(__name__)

KEY_BYTES = 32
STALE_SECONDS = 3600
"""Drafts older than this belong to writers that died."""


def text_keys(texts: Sequence[str]) -> npt.NDArray[Any]:
    """Return the sha256 of each text as fixed 32-byte values (N,), dtype V32."""
    joined = b"".join(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts)
    return np.frombuffer(joined, dtype=f"V{KEY_BYTES}")


class VectorCache:
    """The shards of one model in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, keys: npt.NDArray[Any], dim: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Return vectors (N, dim) for distinct keys (N,) and which of them were found (N,); the others are zero."""
        vectors = np.zeros((len(keys), dim), np.float32)
        found = np.zeros(len(keys), bool)
        place = {key.tobytes(): row for row, key in enumerate(keys)}
        for path in self._shards():
            shard = _read(path, dim)
            if shard is None:
                continue
            stored, values = shard
            pairs = [(row, place[key]) for row, key in enumerate(stored) if key in place and not found[place[key]]]
            if pairs:
                rows, places = np.array(pairs).T
                vectors[places] = values[rows]
                found[places] = True
        return vectors, found

    def add(self, keys: npt.NDArray[Any], vectors: npt.NDArray[np.float32]) -> Path:
        """Publish one shard and return its path.

        Raises:
            StorageError: The disk is full or the folder may not be written.
        """
        payload = save({"keys": np.frombuffer(keys.tobytes(), np.uint8).reshape(-1, KEY_BYTES), "vectors": np.ascontiguousarray(vectors)})
        path = self._folder / f"{hashlib.sha256(payload).hexdigest()}.safetensors"
        draft = self._folder / f".{uuid.uuid4().hex}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(payload)
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StorageError(
                "Vectors cannot be kept in {folder} ({error}); free space or choose another home.", folder=self._folder, error=error
            ) from error
        return path

    def merge(self, shards: Sequence[Path], keys: npt.NDArray[Any], vectors: npt.NDArray[np.float32]) -> None:
        """Replace the checkpoints of one finished call by a single shard that holds the same vectors."""
        whole = self.add(keys, vectors)
        for path in shards:
            if path != whole:
                path.unlink(missing_ok=True)
        for draft in self._folder.glob(".*"):  # of writers that were killed
            with suppress(OSError):
                if time.time() - draft.stat().st_mtime > STALE_SECONDS:
                    draft.unlink()

    def _shards(self) -> list[Path]:
        return sorted(self._folder.glob("*.safetensors")) if self._folder.is_dir() else []


def _read(path: Path, dim: int) -> tuple[list[bytes], npt.NDArray[np.float32]] | None:
    try:
        payload = path.read_bytes()
    except OSError:
        # Another process merged it into a larger shard meanwhile; its texts are found there or encoded again.
        return None
    if hashlib.sha256(payload).hexdigest() == path.stem:
        try:
            arrays = load(payload)
        except SafetensorError:
            arrays = {}
        if set(arrays) == {"keys", "vectors"} and arrays["vectors"].shape[1:] == (dim,):
            return [row.tobytes() for row in arrays["keys"]], arrays["vectors"]
    _log.warning("removed the damaged shard %s; its texts are encoded again", path.name)
    path.unlink(missing_ok=True)
    return None
