"""Feature matrices as of a cutoff, and the scaling that a network needs, fitted on training history only.

N rows (users, or user × cutoff when stacked), F counted columns, D dimensions of a learned block (text, sequence, graph …).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.predictor.acts import Acts, stack_acts

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

CHUNK_ROWS = 16_384
"""Rows whose doubles are held at once."""
CLIP_SD = 5.0
"""Scaled values are cut at this many standard deviations: one wholesaler must not steer a network."""


@dataclass(frozen=True)
class Matrix:
    """What is known of each user as of one cutoff."""

    user_ids: list[str]
    """Ascending within one cutoff; repeated when cutoffs are stacked."""
    columns: list[str]
    values: Floats
    """(N, F); NaN where a feature is empty."""
    text: Singles | None = None
    """(N, D) unit text profiles, zero rows for users without texts; None when the log has no texts."""
    further: Mapping[str, Singles] = field(default_factory=dict)
    """Further blocks of the profile that were asked for, by name (`sequence`, `graph` …): (N, D), zero rows for users without."""
    acts: Acts | None = None
    """The newest acts one by one; None when no model asked for them."""

    def rows(self, chosen: npt.NDArray[Any]) -> "Matrix":
        """Keep some rows (indices or mask)."""
        index = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return Matrix(
            [self.user_ids[i] for i in index.tolist()],
            self.columns,
            self.values[index],
            None if self.text is None else self.text[index],
            {name: block[index] for name, block in self.further.items()},
            None if self.acts is None else self.acts.rows(index),
        )

    def counts_alone(self) -> "Matrix":
        """Without learned blocks."""
        return Matrix(self.user_ids, self.columns, self.values)

    def without_further(self) -> "Matrix":
        """Counts and text."""
        return Matrix(self.user_ids, self.columns, self.values, self.text, acts=self.acts)

    def learned(self) -> dict[str, Singles]:
        """The learned blocks that are there, by the name that reasons give them."""
        text = {} if self.text is None else {"text profile": self.text}
        return text | {f"{name} profile": block for name, block in self.further.items()}


def matrix_of(counts: pa.Table, text: tuple[Sequence[str], Singles] | None = None) -> Matrix:
    """Put a feature table and the text profiles of the same users side by side.

    Args:
        counts: user_id and numeric columns, NULL where empty.
        text: user ids and (U, D) profiles; users missing there get a zero row.
    """
    columns = [name for name in counts.column_names if name != "user_id"]
    users = [str(user) for user in counts["user_id"].to_pylist()]
    values = np.empty((len(users), len(columns)), dtype=np.float64)
    for place, name in enumerate(columns):
        values[:, place] = counts[name].cast(pa.float64()).to_numpy()
    return Matrix(users, columns, values, None if text is None else _aligned(users, *text))


def _aligned(users: list[str], block_users: Sequence[str], vectors: Singles) -> Singles:
    if list(block_users) == users:
        return np.asarray(vectors, dtype=np.float32)
    place = {user: row for row, user in enumerate(block_users)}
    aligned = np.zeros((len(users), vectors.shape[1]), dtype=np.float32)
    for row, user in enumerate(users):
        if user in place:
            aligned[row] = vectors[place[user]]
    return aligned


def stack(parts: Sequence[Matrix]) -> Matrix:
    """Put matrices of several cutoffs under each other; a learned block only when all have it."""
    text = [part.text for part in parts if part.text is not None]
    shared = [name for name in parts[0].further if all(name in part.further for part in parts)]
    return Matrix(
        [user for part in parts for user in part.user_ids],
        parts[0].columns,
        np.concatenate([part.values for part in parts]),
        np.concatenate(text) if len(text) == len(parts) else None,
        {name: np.concatenate([part.further[name] for part in parts]) for name in shared},
        stack_acts([part.acts for part in parts]),
    )


def user_folds(user_ids: Sequence[str], folds: int, rng: np.random.Generator) -> Indices:
    """Give every user one of `folds` numbers (N,): all rows of a user share it, so no user is learned from and judged at once."""
    _, inverse = np.unique(np.asarray(user_ids), return_inverse=True)
    users = int(inverse.max()) + 1 if len(inverse) else 0
    assigned = rng.permutation(users) % folds
    return np.asarray(assigned[inverse], dtype=np.int64)


@dataclass(frozen=True)
class Scaling:
    """sign(x) log(1 + |x|), z-score, 0 for empty plus a column that says so; fitted on training rows."""

    columns: list[str]
    """Input columns of the fit, in order."""
    kept: Indices
    """Places of columns that vary."""
    mean: Floats
    std: Floats
    missing: Indices
    """Places (in `columns`) whose emptiness is a column of its own."""
    directions: dict[str, "Directions"]
    """Of each learned block."""

    def names(self) -> list[str]:
        """The named feature behind each scaled column (T,): emptiness counts for its feature, a direction for its block."""
        learned = [name for name, found in self.directions.items() for _ in range(found.width)]
        return [self.columns[i] for i in self.kept] + [self.columns[i] for i in self.missing] + learned

    def apply(self, matrix: Matrix) -> Singles:
        """Scale a matrix to (N, T) float32."""
        spread = (squash(matrix.values[:, self.kept]) - self.mean) / self.std
        parts = [np.clip(np.nan_to_num(spread, nan=0.0), -CLIP_SD, CLIP_SD), np.isnan(matrix.values[:, self.missing]) - 0.5]
        parts += project(matrix, self.directions)
        return np.concatenate(parts, axis=1).astype(np.float32)

    def card(self) -> list[dict[str, Any]]:
        """Mean and standard deviation of each scaled feature, for the model card."""
        return [
            {"feature": self.columns[place], "mean": float(self.mean[i]), "std": float(self.std[i])}
            for i, place in enumerate(self.kept.tolist())
        ]


def squash(values: Floats) -> Floats:
    """sign(x) log(1 + |x|): counts and money have long right tails."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


@dataclass(frozen=True)
class Directions:
    """Leading principal directions of a learned block."""

    mean: Singles
    """(D,)."""
    axes: Singles
    """(D, d), scaled so that the widest direction has unit spread."""

    @property
    def width(self) -> int:
        """Directions kept."""
        return int(self.axes.shape[1])


def project(matrix: Matrix, directions: dict[str, Directions]) -> list[Floats]:
    """Learned blocks along their directions, each (N, d); users without the block lie at 0."""
    blocks, projected = matrix.learned(), []
    for name, found in directions.items():
        if (block := blocks.get(name)) is None:
            projected.append(np.zeros((len(matrix.user_ids), found.width)))
        else:
            present = np.any(block != 0, axis=1)
            projected.append(np.asarray(((block - found.mean) @ found.axes) * present[:, None], dtype=np.float64))
    return projected


def fit_scaling(matrix: Matrix, block_dim: int) -> Scaling:
    """Learn scales from training rows; columns that do not vary are left out."""
    values = squash(matrix.values)
    empty = np.isnan(values)
    share = empty.mean(axis=0) if len(values) else np.ones(values.shape[1])
    filled = np.where(empty, 0.0, values)
    n = np.maximum((~empty).sum(axis=0), 1)
    mean = filled.sum(axis=0) / n
    std = np.sqrt((np.where(empty, 0.0, values - mean) ** 2).sum(axis=0) / n)
    kept = np.flatnonzero(std > 1e-9)
    missing: list[int] = []
    patterns: set[bytes] = set()
    for place in np.flatnonzero((share > 0.001) & (share < 0.999)).tolist():
        pattern = np.packbits(empty[:, place]).tobytes()
        if pattern not in patterns:
            patterns.add(pattern)
            missing.append(place)
    return Scaling(matrix.columns, kept, mean[kept], std[kept], np.array(missing, dtype=np.int64), fit_directions(matrix, block_dim))


def fit_directions(matrix: Matrix, dim: int) -> dict[str, Directions]:
    """Leading principal directions of each learned block, over the users that have it; blocks without any are left out."""
    found = {name: _directions(block, dim) for name, block in matrix.learned().items()} if dim else {}
    return {name: directions for name, directions in found.items() if directions is not None}


def _directions(block: Singles, dim: int) -> Directions | None:
    present = np.flatnonzero(np.any(block != 0, axis=1))
    if len(present) < 2:
        return None
    parts = [present[start : start + CHUNK_ROWS] for start in range(0, len(present), CHUNK_ROWS)]  # doubles of all rows would be gigabytes
    mean = sum(block[rows].sum(axis=0, dtype=np.float64) for rows in parts) / len(present)
    products = np.zeros((block.shape[1], block.shape[1]))
    for rows in parts:
        apart = block[rows] - mean
        products += apart.T @ apart
    spread, vectors = np.linalg.eigh(products / len(present))
    order = np.argsort(-spread, kind="stable")[: min(dim, int((spread > 1e-10).sum()))]
    if not len(order):
        return None
    chosen = vectors[:, order]
    chosen = chosen * np.where(chosen[np.abs(chosen).argmax(axis=0), np.arange(len(order))] < 0, -1.0, 1.0)  # sign is arbitrary: fix it
    return Directions(mean.astype(np.float32), (chosen / np.sqrt(spread[order[0]])).astype(np.float32))
