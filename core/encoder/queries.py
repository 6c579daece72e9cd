"""One short text → its vector without a model library, so that the screen answers a query in milliseconds.

The same BERT that encoded the catalogue, in NumPy: weights are read layer by layer from the mapped file and stay out of the
process's memory. Against the network in torch: cosine above 0.9999 (tests/test_encoder_queries.py).
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from tokenizers import Tokenizer

from core.encoder.models import Checkpoint, find_checkpoint, weights_of
from core.encoder.tokens import open_tokenizer
from core.errors import ModelError

VECTORS_FILE = "item_vectors.safetensors"
MOST_TOKENS = 64
"""Of a query or advertisement; attention over more costs more than it tells."""

Floats = npt.NDArray[np.float32]


def query_checkpoint(card: dict[str, Any], cache: Path) -> Checkpoint:
    """Find the model that made a run's item vectors.

    Args:
        card: Of the run (`ItemVectors.card`).
        cache: `Home.path / "cache"`.

    Raises:
        ModelError: It is not at hand, or another one than made them, or no BERT.
    """
    checkpoint = find_checkpoint(str(card["checkpoint"] if card.get("model") == card.get("checkpoint") else card["model"]), cache)
    if checkpoint.fingerprint != card.get("fingerprint"):
        raise ModelError("The model {name!r} is not the one that encoded the items; compute the profiles again.", name=checkpoint.name)
    config = _config(checkpoint)
    if config.get("model_type") != "bert" or config.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(
            "A query can only be read with a BERT, and {name!r} is a {kind}; items are found by their words alone.",
            name=checkpoint.name,
            kind=str(config.get("model_type")),
        )
    return checkpoint


def encode_query(checkpoint: Checkpoint, text: str, centre: Floats | None) -> Floats:
    """Encode one text as the catalogue's texts were encoded.

    Args:
        checkpoint: From `query_checkpoint`.
        text: Anything; the first MOST_TOKENS tokens are read.
        centre: What was taken out of the items' vectors (D,), None for nothing.

    Returns:
        Unit vector (D,); zeros for a text without tokens.

    Raises:
        ModelError: The weights cannot be read.
    """
    ids = np.asarray(_tokenizer(checkpoint).encode(checkpoint.prefix + text).ids, np.int64)
    try:
        hidden = _forward(checkpoint, ids)  # (L, D)
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(
            "{path} of the model cannot be read ({error}); fetch the model again.", path=checkpoint.folder, error=error
        ) from error
    pooled = hidden[0] if checkpoint.pooling == "cls" else hidden.mean(0)
    return _unit(_unit(pooled) - centre) if centre is not None else _unit(pooled)


@lru_cache(maxsize=1)
def _tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """Kept, because the multilingual one takes 2 s and 300 MB to open."""
    tokenizer = open_tokenizer(checkpoint)
    tokenizer.enable_truncation(min(MOST_TOKENS, checkpoint.max_tokens))
    return tokenizer


def _forward(checkpoint: Checkpoint, ids: npt.NDArray[np.int64]) -> Floats:
    """One text through a BERT (Devlin et al. 2019); no padding, so no mask."""
    config = _config(checkpoint)
    heads, eps = int(config["num_attention_heads"]), float(config.get("layer_norm_eps", 1e-12))
    with _Weights(checkpoint) as weights:
        embedded = weights.rows("embeddings.word_embeddings.weight", ids)
        embedded = embedded + weights["embeddings.position_embeddings.weight"][: len(ids)]
        embedded = embedded + weights["embeddings.token_type_embeddings.weight"][0]
        hidden = weights.normed("embeddings.LayerNorm", embedded, eps)  # (L, D)
        for number in range(int(config["num_hidden_layers"])):
            layer = f"encoder.layer.{number}"
            query, key, value = (
                _split(weights.linear(f"{layer}.attention.self.{part}", hidden), heads) for part in ("query", "key", "value")
            )  # (H, L, D / H)
            scores = query @ key.transpose(0, 2, 1) / np.sqrt(np.float32(query.shape[-1]))  # (H, L, L)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            attended = (scores / scores.sum(-1, keepdims=True)) @ value  # (H, L, D / H)
            attended = attended.transpose(1, 0, 2).reshape(hidden.shape)  # (L, D)
            attended = weights.linear(f"{layer}.attention.output.dense", attended)
            hidden = weights.normed(f"{layer}.attention.output.LayerNorm", hidden + attended, eps)
            wide = _gelu(weights.linear(f"{layer}.intermediate.dense", hidden))  # (L, F)
            hidden = weights.normed(f"{layer}.output.LayerNorm", hidden + weights.linear(f"{layer}.output.dense", wide), eps)
    return hidden


class _Weights:
    """The mapped weights of a checkpoint by name, with or without the prefix `bert.`."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._files: list[Any] = [safe_open(path, framework="numpy") for path in weights_of(checkpoint.folder)]
        self._place = {name.removeprefix("bert."): (file, name) for file in self._files for name in file.keys()}  # noqa: SIM118

    def __enter__(self) -> "_Weights":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.clear()
        self._place.clear()

    def __getitem__(self, name: str) -> Floats:
        file, key = self._place[name]
        return np.asarray(file.get_tensor(key), np.float32)

    def rows(self, name: str, ids: npt.NDArray[np.int64]) -> Floats:
        """Read only the rows that are asked for: a table of 250,000 words is never whole in memory."""
        file, key = self._place[name]
        table = file.get_slice(key)
        return np.concatenate([np.asarray(table[int(i) : int(i) + 1], np.float32) for i in ids])

    def linear(self, name: str, values: Floats) -> Floats:
        return values @ self[f"{name}.weight"].T + self[f"{name}.bias"]

    def normed(self, name: str, values: Floats, eps: float) -> Floats:
        centred = values - values.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(eps))
        return np.asarray(centred / spread * self[f"{name}.weight"] + self[f"{name}.bias"], np.float32)


def _split(values: Floats, heads: int) -> Floats:
    return values.reshape(len(values), heads, -1).transpose(1, 0, 2)


def _gelu(values: Floats) -> Floats:
    from scipy.special import erf

    return np.asarray(values * 0.5 * (1 + erf(values / np.sqrt(np.float32(2)))), np.float32)


def _unit(vector: Floats) -> Floats:
    norm = float(np.linalg.norm(vector))
    return np.asarray(vector / norm if norm > 1e-6 else np.zeros_like(vector), np.float32)


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    return dict(json.loads((checkpoint.folder / "config.json").read_text(encoding="utf-8")))
