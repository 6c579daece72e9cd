"""The space in which shoppers are compared: blocks of a profile, each on one scale, side by side.

U users, F counted features, D dimensions of a learned block, P profile dimensions.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

Vectors = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

AXES_USERS = 100_000
"""Users that principal axes are sought on, spread evenly; more of them turn the axes by less than people would see."""
BLOCK_ROWS = 16_384
"""Rows worked on at once: a copy of a block in double precision stays below 50 MB."""


USUAL_SHARES: Mapping[str, float] = MappingProxyType({"counts": 1.0, "text": 1.5})
"""What people buy names segments better than how much they buy, so taste counts somewhat more."""


@dataclass(frozen=True)
class SpaceOptions:
    """How blocks become one space."""

    shares: Mapping[str, float] = field(default_factory=lambda: USUAL_SHARES)
    """Share of each block in squared distances, against each other; a block that is not named has 1, one of 0 is left out."""
    counts_dimensions: int = 16
    """Counted features are strongly correlated: 16 directions keep about nine tenths of their variance."""
    block_dimensions: int = 32
    """Learned blocks have few strong directions; the rest is noise that blurs neighbours."""


def profile_space(counts: pa.Table, blocks: Mapping[str, Vectors] | None = None, options: SpaceOptions | None = None) -> Vectors:
    """Join the blocks of every user's profile into one space for Euclidean and cosine comparison.

    Counts: each column is replaced by the normal score of its rank (ties share one, missing values stand in the
    middle), which tames the heavy tails of behaviour logs; then principal axes. Learned blocks: centred, principal
    axes; a user without one stands in its middle. Each block is scaled to its share in mean squared length.
    The result does not depend on the number of threads.

    Args:
        counts: user_id and numeric columns, one row per user; other columns are ignored.
        blocks: By name (U, D) float32, in the order of `counts`, zero rows for users of whom a block says nothing.
        options: Shares and dimensions.

    Returns:
        (U, P) float32, centred; P is at least 2.
    """
    chosen = options or SpaceOptions()
    share = {name: chosen.shares.get(name, 1.0) for name in ("counts", *(blocks or {}))}
    parts = [np.zeros((counts.num_rows, 0), np.float32)]
    with threadpool_limits(1):
        if share["counts"] > 0:
            parts.append(_scaled(_strongest(_normal_scores(counts), chosen.counts_dimensions), share["counts"]))
        for name, vectors in (blocks or {}).items():
            if vectors.shape[1] and share[name] > 0:
                parts.append(_scaled(_strongest(vectors, chosen.block_dimensions, empty_rows=True), share[name]))
    joined = np.concatenate(parts, axis=1)
    return np.pad(joined, ((0, 0), (0, 2 - joined.shape[1]))) if joined.shape[1] < 2 else joined


def principal_axes(values: npt.NDArray[np.float64], dimensions: int) -> npt.NDArray[np.float64]:
    """Rotate centred values (U, F) onto their strongest `dimensions` axes; axes without variance are left out.

    Signs are fixed (the largest loading of an axis is positive), so that equal inputs give equal pictures.
    """
    if not values.shape[1] or len(values) < 2:
        return np.zeros((len(values), 0))
    return np.asarray(values @ _axes(values.T @ values / len(values), dimensions))


def _axes(covariance: npt.NDArray[np.float64], dimensions: int) -> npt.NDArray[np.float64]:
    """Return the strongest eigenvectors of a covariance (F, F) as columns, signs fixed, those without variance left out."""
    strength, axes = np.linalg.eigh(covariance)
    order = np.argsort(-strength, kind="stable")[:dimensions]
    order = order[strength[order] > 1e-9 * max(float(strength.max()), 1e-12)]
    chosen = axes[:, order]
    largest = np.argmax(np.abs(chosen), axis=0)
    return np.asarray(chosen * np.where(chosen[largest, np.arange(chosen.shape[1])] < 0, -1.0, 1.0))


def _strongest(values: Vectors, dimensions: int, *, empty_rows: bool = False) -> Vectors:
    """Centre values (U, F) and rotate them onto their strongest axes, block by block, so that no second copy of them is held.

    With `empty_rows`, rows of zeros know nothing: they count for no mean and no axis, and stay at 0, in the middle.
    """
    users, width = values.shape
    if not width or users < 2:
        return np.zeros((users, 0), dtype=np.float32)

    def block(rows: slice | Indices, mean: npt.NDArray[np.float64] | float = 0.0) -> npt.NDArray[np.float64]:
        part = values[rows].astype(np.float64)
        centred = part - mean
        if empty_rows:
            centred[~np.any(part, axis=1)] = 0.0
        return np.asarray(centred)

    parts = [slice(start, start + BLOCK_ROWS) for start in range(0, users, BLOCK_ROWS)]
    told = int(values.any(axis=1).sum()) if empty_rows else users
    mean = sum((block(rows).sum(axis=0) for rows in parts), np.zeros(width)) / max(told, 1)
    judged = np.arange(users) if users <= AXES_USERS else np.linspace(0, users - 1, AXES_USERS).astype(np.int64)
    covariance = np.zeros((width, width))
    for start in range(0, len(judged), BLOCK_ROWS):
        centred = block(judged[start : start + BLOCK_ROWS], mean)
        covariance += centred.T @ centred
    axes = _axes(covariance / len(judged), dimensions)
    rotated = np.empty((users, axes.shape[1]), dtype=np.float32)
    for rows in parts:
        rotated[rows] = block(rows, mean) @ axes
    return rotated


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


def _normal_scores(counts: pa.Table) -> Vectors:
    """Normal scores of the ranks of every numeric column that varies (U, F), of mean 0 and variance 1."""
    fields = [f.name for f in counts.schema if f.name != "user_id" and (pa.types.is_integer(f.type) or pa.types.is_floating(f.type))]
    scores = np.empty((len(fields), counts.num_rows), dtype=np.float32)  # a feature a row: filled in one go each
    told = 0
    for name in fields:
        values = counts.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)
        known = np.isfinite(values)
        if known.sum() < 2 or values[known].min() == values[known].max():
            continue
        column = np.zeros(len(values))
        column[known] = _normal_of_rank(values[known])
        column[known] -= column[known].mean()
        scores[told] = column / column.std()
        told += 1
    return scores[:told].T


def _normal_of_rank(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Normal score of each value's mean rank; counts repeat, so scores are looked up by distinct value."""
    _, which, sizes = np.unique(values, return_inverse=True, return_counts=True)
    rank = np.cumsum(sizes) - (sizes - 1) / 2
    return np.asarray(ndtri((rank - 0.5) / len(values))[which])


def _scaled(block: Vectors, weight: float) -> Vectors:
    length = float(np.sqrt(np.square(block, dtype=np.float64).sum(axis=1).mean())) if block.size else 0.0
    return block * np.float32(np.sqrt(weight) / length) if length > 0 else block
