"""The space in which shoppers are compared: blocks of a profile, each on one scale, side by side.

U users, F counted features, D text dimensions, P profile dimensions.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import ndtri
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

Vectors = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SpaceOptions:
    """How blocks become one space."""

    counts_weight: float = 1.0
    """Share of the counts block in squared distances, against the text block's."""
    text_weight: float = 1.5
    """What people buy names segments better than how much they buy, so taste counts somewhat more."""
    counts_dimensions: int = 16
    """Counted features are strongly correlated: 16 directions keep about nine tenths of their variance."""
    text_dimensions: int = 32
    """Pooled text profiles have few strong directions; the rest is noise that blurs neighbours."""
    sequence_weight: float = 1.0
    sequence_dimensions: int = 32


def profile_space(
    counts: pa.Table, text: Vectors | None = None, sequence: Vectors | None = None, options: SpaceOptions | None = None
) -> Vectors:
    """Join the blocks of every user's profile into one space for Euclidean and cosine comparison.

    Counts: each column is replaced by the normal score of its rank (ties share one, missing values stand in the
    middle), which tames the heavy tails of behaviour logs; then principal axes. Text and sequence: centred, principal
    axes; a user without them stands in the middle. Each block is scaled to its weight in mean squared length.
    The result does not depend on the number of threads.

    Args:
        counts: user_id and numeric columns, one row per user; other columns are ignored.
        text: (U, D) float32, in the order of `counts`, zero rows for users without texts; None without texts.
        sequence: (U, S) float32, the same for states of the behaviour transformer.
        options: Weights and dimensions.

    Returns:
        (U, P) float32, centred; P is at least 2.
    """
    chosen = options or SpaceOptions()
    with threadpool_limits(1):
        blocks = [_scaled(principal_axes(_normal_scores(counts), chosen.counts_dimensions), chosen.counts_weight)]
        if text is not None and text.shape[1]:
            blocks.append(_scaled(principal_axes(_centred(text), chosen.text_dimensions), chosen.text_weight))
        if sequence is not None:
            blocks.append(_scaled(principal_axes(_centred(sequence), chosen.sequence_dimensions), chosen.sequence_weight))
    joined = np.concatenate(blocks, axis=1)
    if joined.shape[1] < 2:
        joined = np.pad(joined, ((0, 0), (0, 2 - joined.shape[1])))
    return np.ascontiguousarray(joined.astype(np.float32))


def principal_axes(values: npt.NDArray[np.float64], dimensions: int) -> npt.NDArray[np.float64]:
    """Rotate centred values (U, F) onto their strongest `dimensions` axes; axes without variance are left out.

    Signs are fixed (the largest loading of an axis is positive), so that equal inputs give equal pictures.
    """
    if not values.shape[1] or len(values) < 2:
        return np.zeros((len(values), 0))
    strength, axes = np.linalg.eigh(values.T @ values / len(values))
    order = np.argsort(-strength, kind="stable")[:dimensions]
    order = order[strength[order] > 1e-9 * max(float(strength.max()), 1e-12)]
    chosen = axes[:, order]
    largest = np.argmax(np.abs(chosen), axis=0)
    signs = np.where(chosen[largest, np.arange(chosen.shape[1])] < 0, -1.0, 1.0)
    return np.asarray(values @ (chosen * signs))


def neighbours(profile: Vectors, user_index: int, k: int = 10) -> tuple[Indices, Vectors]:
    """Find the `k` shoppers most alike by cosine similarity, most alike first; the shopper herself is left out.

    Returns:
        Row indices (k,) and similarities (k,) in [-1, 1], descending; ties go to the smaller index. Fewer than `k`
        when there are fewer other users. A profile of zeros is like nobody (similarity 0).

    Raises:
        IndexError: `user_index` is no row of `profile`.
    """
    if not 0 <= user_index < len(profile):
        raise IndexError(f"There is no user at row {user_index} of {len(profile)} profiles.")
    lengths = np.linalg.norm(profile, axis=1)
    dots = profile @ profile[user_index]
    scale = lengths * lengths[user_index]
    similarity = np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
    similarity = np.clip(similarity, -1, 1)
    order = np.lexsort((np.arange(len(profile)), -similarity))
    order = order[order != user_index][:k]
    return order, similarity[order]


def stable_order(user_ids: list[str]) -> Indices:
    """Order users by a hash of their id: a sample from its front is as good as random and hardly changes when users are added."""
    keys = np.array([hashlib.blake2b(user_id.encode(), digest_size=8).digest() for user_id in user_ids], dtype="S8")
    return np.lexsort((np.arange(len(user_ids)), keys))


def _normal_scores(counts: pa.Table) -> npt.NDArray[np.float64]:
    columns = []
    for field in counts.schema:
        if field.name == "user_id" or not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            continue
        values = counts.column(field.name).cast(pa.float64()).to_numpy(zero_copy_only=False).copy()
        known = np.isfinite(values)
        if known.sum() < 2 or values[known].min() == values[known].max():
            continue
        scores = np.zeros(len(values))
        scores[known] = ndtri((rankdata(values[known]) - 0.5) / known.sum())
        scores[known] -= scores[known].mean()
        columns.append(scores / scores.std())
    return np.column_stack(columns) if columns else np.zeros((counts.num_rows, 0))


def _centred(text: Vectors) -> npt.NDArray[np.float64]:
    known = np.linalg.norm(text, axis=1) > 0
    centred = np.zeros(text.shape)
    if known.any():
        centred[known] = text[known].astype(np.float64) - text[known].mean(axis=0, dtype=np.float64)
    return centred


def _scaled(block: npt.NDArray[np.float64], weight: float) -> npt.NDArray[np.float64]:
    length = float(np.sqrt((block**2).sum(axis=1).mean())) if block.size else 0.0
    return block * (np.sqrt(weight) / length) if length > 0 else block
