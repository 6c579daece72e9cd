"""Texts → token ids, once and without padding, and what a vocabulary fails to see of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from core.encoder.models import Checkpoint
from core.errors import ModelError

_CHUNK = 4096
"""Texts tokenised at a time: bounds the memory of the tokeniser's own records."""
SAMPLE = 200_000
"""At most so many distinct texts, evenly spaced, decide on shares of unknown tokens."""


@dataclass(frozen=True)
class Tokens:
    """Token ids of N texts laid end to end; text i owns ids[offsets[i] : offsets[i + 1]]."""

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    """(N + 1,)"""
    unknown: int
    """Tokens that the vocabulary does not know."""
    is_cut: npt.NDArray[np.bool_]
    """Whether a text is longer than the model takes (N,)."""
    special: int
    """Marks that the model adds to each text."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text (N,), special marks counted."""
        return np.diff(self.offsets)

    @property
    def unknown_share(self) -> float:
        """Unknown tokens among those that come from the texts themselves; 0 when there are none."""
        own = len(self.ids) - self.special * (len(self.offsets) - 1)
        return self.unknown / own if own else 0.0


def open_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """Open a model's tokenizer, set to cut at its limit and never to pad.

    Raises:
        ModelError: tokenizer.json is damaged.
    """
    return _open(checkpoint.folder / "tokenizer.json", checkpoint.max_tokens)


def _open(path: Path, max_tokens: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        raise ModelError("{path} cannot be read as a tokenizer ({error}); fetch the model again.", path=path, error=error) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def tokenise(tokenizer: Tokenizer, checkpoint: Checkpoint, texts: Sequence[str]) -> Tokens:
    """Tokenise texts, with the model's prefix, counting unknown tokens and cut texts."""
    unknown_id = _unknown_id(tokenizer)
    parts: list[npt.NDArray[np.int32]] = []
    lengths = np.zeros(len(texts) + 1, np.int64)
    is_cut, unknown = np.zeros(len(texts), bool), 0
    for start in range(0, len(texts), _CHUNK):
        encodings = tokenizer.encode_batch_fast([checkpoint.prefix + text for text in texts[start : start + _CHUNK]])
        is_cut[start : start + len(encodings)] = [bool(encoding.overflowing) for encoding in encodings]
        ids = [np.asarray(encoding.ids, np.int32) for encoding in encodings]
        lengths[start + 1 : start + 1 + len(ids)] = [len(row) for row in ids]
        joined = np.concatenate(ids)
        unknown += 0 if unknown_id is None else int((joined == unknown_id).sum())
        parts.append(joined)
    special = len(tokenizer.encode(checkpoint.prefix).ids) if checkpoint.prefix else tokenizer.num_special_tokens_to_add(False)
    return Tokens(np.concatenate(parts) if parts else np.zeros(0, np.int32), np.cumsum(lengths), unknown, is_cut, special)


def sample_of(texts: Sequence[str]) -> list[str]:
    """Return at most SAMPLE texts, evenly spaced in the given order."""
    if len(texts) <= SAMPLE:
        return list(texts)
    return [texts[int(place)] for place in np.linspace(0, len(texts) - 1, SAMPLE).astype(np.int64)]


def _unknown_id(tokenizer: Tokenizer) -> int | None:
    for token in ("[UNK]", "<unk>"):
        found = tokenizer.token_to_id(token)
        if found is not None:
            return int(found)
    return None
