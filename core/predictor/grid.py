"""User × category inputs: each shopper's own counts in a category, beside what the shopper and the category are like.

U users, C categories, R = U × C rows in the order of users, then categories.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.predictor.matrix import Floats, Matrix, Singles

CountsAt = Callable[[datetime], pa.Table]
"""user_id, category and counts of the pairs touched before a cutoff."""
AffinityAt = Callable[[datetime], tuple[Sequence[str], Singles] | None]
"""user ids and the cosine of their text profile with each category's centroid (U, C); None without texts."""

USER_COLUMNS = (
    "tenure_days", "days_since_event", "days_since_purchase", "events_28d", "events_all", "orders_28d", "orders_all", "orders_per_week",
    "order_gap_median_days", "order_overdue_ratio", "basket_lines_mean", "basket_value_mean", "revenue_28d", "revenue_all",
    "categories_all", "category_entropy", "repeat_share", "items_all", "carts_28d", "views_28d", "price_level_bought", "buying_weeks_of_8",
)  # fmt: skip
LATENT = 12
"""Rank of the smoothed user × category counts: what shoppers with alike baskets buy."""


@dataclass(frozen=True)
class Grid:
    """Inputs of all pairs of some users with all categories."""

    user_ids: list[str]
    categories: list[str]
    columns: list[str]
    values: npt.NDArray[np.float32]
    """(R, F); NaN where empty."""

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """One column (R,)."""
        return self.values[:, self.columns.index(name)]


def build_grid(matrix: Matrix, counts: pa.Table, categories: Sequence[str], affinity: tuple[Sequence[str], Singles] | None) -> Grid:
    """Lay out every pair of the matrix's users with the categories.

    Args:
        matrix: Users as of a cutoff (U, F).
        counts: Of the same cutoff; other columns than user_id and category are taken as they come.
        categories: Names (C).
        affinity: (U, C) cosines of the same cutoff, or None.
    """
    users, size = matrix.user_ids, len(matrix.user_ids) * len(categories)
    names = [name for name in counts.column_names if name not in ("user_id", "category")]
    row_of, column_of = {user: i for i, user in enumerate(users)}, {category: i for i, category in enumerate(categories)}
    rows = np.array([row_of.get(u, -1) for u in counts["user_id"].to_pylist()], dtype=np.int64)
    places = np.array([column_of.get(c, -1) for c in counts["category"].to_pylist()], dtype=np.int64)
    usable = (rows >= 0) & (places >= 0)
    pair = rows[usable] * len(categories) + places[usable]
    own = np.zeros((size, len(names)), dtype=np.float32)
    for column, name in enumerate(names):
        if name.endswith("_days") or name.startswith("days_since"):
            own[:, column] = np.nan
        own[pair, column] = counts[name].cast(pa.float64()).to_numpy()[usable]
    shared = [i for i, name in enumerate(matrix.columns) if name in USER_COLUMNS]
    bought = own[:, names.index("days_bought")].reshape(len(users), len(categories)).astype(np.float64)
    recent = own[:, names.index("days_bought_28d")].reshape(len(users), len(categories)).astype(np.float64)
    active = matrix.values[:, matrix.columns.index("orders_all")] if "orders_all" in matrix.columns else bought.max(axis=1)
    tenure = matrix.values[:, matrix.columns.index("tenure_days")] if "tenure_days" in matrix.columns else np.ones(len(users))
    since = own[:, names.index("days_since_purchase")]
    gap = own[:, names.index("gap_mean_days")]
    derived = {
        "share_of_orders": bought / np.maximum(active, 1)[:, None],
        "bought_per_week": bought / (tenure + 14)[:, None] * 7,
        "alike_baskets": smoothed(np.log1p(bought)),
        "alike_baskets_28d": smoothed(np.log1p(recent)),
        "category_reach": np.broadcast_to((bought > 0).mean(axis=0), bought.shape),
        "category_reach_28d": np.broadcast_to((recent > 0).mean(axis=0), bought.shape),
        "overdue_ratio": (since / np.maximum(gap, 0.5)).reshape(bought.shape),
        "category": np.broadcast_to(np.arange(len(categories), dtype=np.float64), bought.shape),
    }
    if affinity is not None:
        position = {user: i for i, user in enumerate(affinity[0])}
        cosine = np.full(bought.shape, np.nan)
        for i, user in enumerate(users):
            if user in position:
                cosine[i] = affinity[1][position[user]]
        derived["text_affinity"] = cosine
    values = np.concatenate(
        [
            own,
            np.stack([part.reshape(-1) for part in derived.values()], axis=1).astype(np.float32),
            np.repeat(matrix.values[:, shared].astype(np.float32), len(categories), axis=0),
        ],
        axis=1,
    )
    return Grid(users, list(categories), [*names, *derived, *(matrix.columns[i] for i in shared)], values)


def smoothed(counts: Floats) -> Floats:
    """Rank-LATENT reconstruction of a (U, C) table after centring its columns, from the eigenvectors of its C × C products.

    A pair that was never bought takes its value from shoppers with alike baskets.
    """
    mean = counts.mean(axis=0)
    centred = counts - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)
    kept = vectors[:, -LATENT:]
    return np.asarray(np.round((centred @ kept) @ kept.T + mean, 9))


def positive_pairs(table: pa.Table, user_ids: Sequence[str], categories: Sequence[str]) -> Floats:
    """0/1 label of each pair (R,) from a list of positive ones."""
    row_of, column_of = {user: i for i, user in enumerate(user_ids)}, {category: i for i, category in enumerate(categories)}
    labels = np.zeros(len(user_ids) * len(categories))
    for user, category in zip(table["user_id"].to_pylist(), table["category"].to_pylist(), strict=True):
        if user in row_of and category in column_of:
            labels[row_of[user] * len(categories) + column_of[category]] = 1.0
    return labels


def category_affinity(text: Singles, categories: Sequence[str], item_categories: Sequence[str | None], item_vectors: Singles) -> Singles:
    """Cosine of each user's text profile with the mean text vector of each category's items.

    Args:
        text: (U, D) profiles; zero rows give 0.
        categories: Names (C).
        item_categories: Category of each item (I,), as the catalogue knew it at the cutoff.
        item_vectors: (I, D) unit vectors in the same order.

    Returns:
        (U, C) float32 in [-1, 1]; 0 for categories without items.
    """
    place = {category: i for i, category in enumerate(categories)}
    group = np.array([place.get(category, -1) if category is not None else -1 for category in item_categories], dtype=np.int64)
    centroids = np.zeros((len(categories), text.shape[1]))
    for column in range(len(categories)):
        if (group == column).any():
            centroids[column] = item_vectors[group == column].mean(axis=0, dtype=np.float64)
    overall = item_vectors.mean(axis=0, dtype=np.float64)  # what all items share says nothing of a taste
    centroids = np.where(np.any(centroids != 0, axis=1, keepdims=True), centroids - overall, 0.0)
    people = np.where(np.any(text != 0, axis=1, keepdims=True), text - overall, 0.0)
    lengths = np.linalg.norm(people, axis=1)[:, None] * np.linalg.norm(centroids, axis=1)[None, :]
    return np.asarray((people @ centroids.T) / np.maximum(lengths, 1e-9), dtype=np.float32)
