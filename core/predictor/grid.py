"""User × category inputs: each shopper's own counts in a category, beside what the shopper and the category are like.

U users, C categories, R = U × C rows in the order of users, then categories.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.predictor.matrix import Floats, Indices, Matrix, Singles

CountsAt = Callable[[datetime], pa.Table]
"""user_id, category and counts of the pairs touched before a cutoff."""
TextsAt = Callable[[datetime], "CategoryTexts | None"]
"""What the items of each category are called, as known before a cutoff; None without texts."""

USER_COLUMNS = (
    "tenure_days", "days_since_event", "days_since_purchase", "events_28d", "events_all", "orders_28d", "orders_all", "orders_per_week",
    "order_gap_median_days", "order_overdue_ratio", "basket_lines_mean", "basket_value_mean", "revenue_28d", "revenue_all",
    "categories_all", "category_entropy", "repeat_share", "items_all", "carts_28d", "views_28d", "price_level_bought", "buying_weeks_of_8",
)  # fmt: skip
LATENT = 12
"""Rank of the smoothed user × category counts: what shoppers with alike baskets buy."""


@dataclass(frozen=True)
class CategoryTexts:
    """Mean text vectors of the items of each category."""

    centroids: Singles
    """(C, D), less the mean of all items, which says nothing of a taste; zero rows for categories without items."""
    overall: Singles
    """(D,) mean of all items."""

    @property
    def directions(self) -> Singles:
        """Centroids of unit length (C, D); zero rows stay."""
        lengths = np.linalg.norm(self.centroids, axis=1, keepdims=True)
        return np.asarray(self.centroids / np.maximum(lengths, 1e-9), dtype=np.float32)


@dataclass(frozen=True)
class Grid:
    """Inputs of all pairs of some users with all categories."""

    people: Matrix
    """The users, and all that is known of them (U, …)."""
    categories: list[str]
    columns: list[str]
    values: npt.NDArray[np.float32]
    """(R, F); NaN where empty."""
    pair_columns: list[str]
    """Those of `columns` that differ between categories."""
    about: Singles | None = None
    """Text direction of each category (C, D)."""

    @property
    def user_ids(self) -> list[str]:
        """Users, in the order of the rows."""
        return self.people.user_ids

    @property
    def is_new(self) -> npt.NDArray[np.bool_]:
        """Pairs that were never bought before the cutoff (R,)."""
        return np.asarray(self.column("days_bought") == 0)

    def without(self, *names: str) -> "Grid":
        """The same pairs without some columns."""
        kept = [place for place, name in enumerate(self.columns) if name not in names]
        columns = [self.columns[place] for place in kept]
        return replace(self, columns=columns, values=self.values[:, kept], pair_columns=[n for n in self.pair_columns if n in columns])

    def column(self, name: str) -> npt.NDArray[np.float32]:
        """One column (R,)."""
        return self.values[:, self.columns.index(name)]


@dataclass(frozen=True)
class Crowd:
    """What all users together say of each category (C): how many buy it, and what is bought together."""

    reach: Floats
    reach_recent: Floats
    """Share of users who ever bought it, and in 28 days (C,)."""
    alike: "Smoothing"
    alike_recent: "Smoothing"


class Pairs:
    """All pairs of a cutoff, laid out for some of the users at a time: everyone at once would not fit a large shop's memory."""

    def __init__(
        self, matrix: Matrix, counts: pa.Table, categories: Sequence[str], texts: CategoryTexts | None = None, crowd: Crowd | None = None
    ) -> None:
        """Read the counts and what all users together say of a category.

        Args:
            matrix: Users as of a cutoff (U, F).
            counts: Of the same cutoff; other columns than user_id and category are taken as they come.
            categories: Names (C).
            texts: Of the categories in the same order as of the same cutoff; users then need text profiles.
            crowd: Of everyone, where the matrix holds only some; default: the users of the matrix.
        """
        self.matrix, self.categories, self.texts = matrix, list(categories), texts
        self.names = [name for name in counts.column_names if name not in ("user_id", "category")]
        keys = pa.array(list(categories), pa.string())
        rows = pc.index_in(counts["user_id"].cast(pa.string()), pa.array(matrix.user_ids, pa.string()))
        columns = pc.index_in(counts["category"].cast(pa.string()), keys)
        usable = pc.and_(pc.is_valid(rows), pc.is_valid(columns)).to_numpy().astype(bool)
        self._row = pc.fill_null(rows, 0).to_numpy()[usable].astype(np.int64)
        self._column = pc.fill_null(columns, 0).to_numpy()[usable].astype(np.int64)
        order = np.argsort(self._row, kind="stable")
        self._row, self._column = self._row[order], self._column[order]
        self._counted = {name: counts[name].cast(pa.float64()).to_numpy()[usable][order].astype(np.float32) for name in self.names}
        if crowd is None:
            bought, recent = (self._dense(name) for name in ("days_bought", "days_bought_28d"))
            reach = ((bought > 0).mean(axis=0), (recent > 0).mean(axis=0))
            crowd = Crowd(*reach, Smoothing.fit(bought), Smoothing.fit(recent))
        self.crowd = crowd

    def grid(self, rows: Indices | None = None) -> Grid:
        """The pairs of some users (ascending indices), or of everyone."""
        chosen = np.arange(len(self.matrix.user_ids)) if rows is None else rows
        people = self.matrix if rows is None else self.matrix.rows(rows)
        start, end = np.searchsorted(self._row, chosen, "left"), np.searchsorted(self._row, chosen, "right")
        taken = np.concatenate([np.arange(a, b) for a, b in zip(start, end, strict=True)]) if len(chosen) else np.zeros(0, np.int64)
        width = len(self.categories)
        pair = np.repeat(np.arange(len(chosen)), end - start) * width + self._column[taken]
        own = np.zeros((len(chosen) * width, len(self.names)), dtype=np.float32)
        for column, name in enumerate(self.names):
            if name.endswith("_days") or name.startswith("days_since"):
                own[:, column] = np.nan
            own[pair, column] = self._counted[name][taken]
        square = {name: own[:, place].reshape(len(chosen), width).astype(np.float64) for place, name in enumerate(self.names)}
        bought, recent = square["days_bought"], square["days_bought_28d"]
        active = _known(people, "orders_all", bought.max(axis=1, initial=0))
        tenure = _known(people, "tenure_days", np.ones(len(chosen)))
        derived: dict[str, npt.NDArray[np.floating]] = {
            "share_of_orders": bought / np.maximum(active, 1)[:, None],
            "bought_per_week": bought / (tenure + 14)[:, None] * 7,
            "alike_baskets": self.crowd.alike(bought),
            "alike_baskets_28d": self.crowd.alike_recent(recent),
            "category_reach": np.broadcast_to(self.crowd.reach, bought.shape),
            "category_reach_28d": np.broadcast_to(self.crowd.reach_recent, bought.shape),
            "overdue_ratio": square["days_since_purchase"] / np.maximum(square["gap_mean_days"], 0.5),
            "category": np.broadcast_to(np.arange(width, dtype=np.float64), bought.shape),
        }
        if self.texts is not None and people.text is not None:
            derived["text_affinity"] = category_affinity(people.text, self.texts)
        shared = [i for i, name in enumerate(people.columns) if name in USER_COLUMNS]
        values = np.concatenate(
            [
                own,
                np.stack([part.reshape(-1) for part in derived.values()], axis=1).astype(np.float32),
                np.repeat(people.values[:, shared].astype(np.float32), width, axis=0),
            ],
            axis=1,
        )
        of_pair = [*self.names, *derived]
        about = self.texts.directions if self.texts is not None else None
        of_user = [f"shopper_{people.columns[i]}" for i in shared]  # some counts of a pair have the same name
        return Grid(people, self.categories, [*of_pair, *of_user], values, of_pair, about)

    def _dense(self, name: str) -> Floats:
        table = np.zeros((len(self.matrix.user_ids), len(self.categories)))
        table[self._row, self._column] = np.nan_to_num(self._counted[name])
        return table


def build_grid(matrix: Matrix, counts: pa.Table, categories: Sequence[str], texts: CategoryTexts | None = None) -> Grid:
    """Lay out every pair of the matrix's users with the categories; see `Pairs`."""
    return Pairs(matrix, counts, categories, texts).grid()


def _known(people: Matrix, name: str, otherwise: Floats) -> Floats:
    return people.values[:, people.columns.index(name)] if name in people.columns else otherwise


@dataclass(frozen=True)
class Smoothing:
    """Rank-LATENT reconstruction of log counts (U, C) after centring its columns, from the eigenvectors of its C × C products.

    A pair that was never bought takes its value from shoppers with alike baskets.
    """

    mean: Floats
    kept: Floats
    """(C, LATENT)."""

    @classmethod
    def fit(cls, counts: Floats) -> "Smoothing":
        """Learn what is bought together from all users (U, C)."""
        logs = np.log1p(counts)
        mean = logs.mean(axis=0)
        logs -= mean
        _, vectors = np.linalg.eigh(logs.T @ logs)
        return cls(mean, vectors[:, -LATENT:])

    def __call__(self, counts: Floats) -> Floats:
        """Smoothed log counts of some users."""
        return np.asarray(np.round(((np.log1p(counts) - self.mean) @ self.kept) @ self.kept.T + self.mean, 9))


def positive_pairs(table: pa.Table, user_ids: Sequence[str], categories: Sequence[str]) -> Floats:
    """0/1 label of each pair (R,) from a list of positive ones."""
    rows = pc.index_in(table["user_id"].cast(pa.string()), pa.array(list(user_ids), pa.string()))
    columns = pc.index_in(table["category"].cast(pa.string()), pa.array(list(categories), pa.string()))
    usable = pc.and_(pc.is_valid(rows), pc.is_valid(columns))
    labels = np.zeros(len(user_ids) * len(categories))
    found = rows.filter(usable).to_numpy().astype(np.int64) * len(categories) + columns.filter(usable).to_numpy()
    labels[found] = 1.0
    return labels


def category_texts(categories: Sequence[str], item_categories: Sequence[str | None], item_vectors: Singles) -> CategoryTexts:
    """Average the text vectors of each category's items.

    Args:
        categories: Names (C).
        item_categories: Category of each item (I,), as the catalogue knew it at the cutoff.
        item_vectors: (I, D) unit vectors in the same order.
    """
    place = {category: i for i, category in enumerate(categories)}
    group = np.array([place.get(category, -1) if category is not None else -1 for category in item_categories], dtype=np.int64)
    overall = item_vectors.mean(axis=0, dtype=np.float64)
    centroids = np.zeros((len(categories), item_vectors.shape[1]))
    for column in range(len(categories)):
        if (group == column).any():
            centroids[column] = item_vectors[group == column].mean(axis=0, dtype=np.float64) - overall
    return CategoryTexts(centroids.astype(np.float32), overall.astype(np.float32))


def category_affinity(text: Singles, texts: CategoryTexts) -> Singles:
    """Cosine of each user's text profile with the mean text vector of each category's items, both less the mean of all items.

    Args:
        text: (U, D) profiles; zero rows give 0.
        texts: Of C categories.

    Returns:
        (U, C) float32 in [-1, 1]; 0 for categories without items.
    """
    people = np.where(np.any(text != 0, axis=1, keepdims=True), text - texts.overall, 0.0)
    unit = people / np.maximum(np.linalg.norm(people, axis=1, keepdims=True), 1e-9)
    return np.asarray(unit @ texts.directions.T, dtype=np.float32)
