"""What every network is measured against: boosted trees on the counts, and logistic regression on recency, frequency, money."""

from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from core.messages import say
from core.predictor.matrix import Directions, Floats, Matrix, Scaling, fit_directions, fit_scaling, project, user_folds
from core.predictor.options import BoostingOptions
from core.schema import Progress, silent

RFM_COLUMNS = (
    "tenure_days", "days_since_event", "days_since_purchase", "days_since_cart", "events_28d", "events_all", "views_28d", "carts_28d",
    "favourites_28d", "orders_28d", "orders_all", "revenue_28d", "revenue_all", "active_days_28d", "active_days_all",
)  # fmt: skip

MANY_ROWS = 20_000


@dataclass(frozen=True)
class FittedBoosting:
    """LightGBM boosters, one per held-out fold; the answer is their mean logit."""

    boosters: list[lgb.Booster]
    columns: list[str]
    directions: dict[str, Directions]
    """Of each learned block that the trees see."""
    curves: list[dict[str, Any]]

    def member_logits(self, matrix: Matrix) -> Floats:
        """Logits of each booster (K, N)."""
        values = self._values(matrix)
        return np.stack([np.asarray(b.predict(values, raw_score=True, num_threads=1), dtype=np.float64) for b in self.boosters])

    def logits(self, matrix: Matrix) -> Floats:
        """Mean logit (N,)."""
        return np.asarray(self.member_logits(matrix).mean(axis=0))

    def contributions(self, matrix: Matrix) -> tuple[list[str], Floats]:
        """Tree Shapley values (Lundberg et al., 2018), mean over boosters: names (G,) and log-odds (N, G).

        Above MANY_ROWS rows those of the first booster stand for all: they cost more than everything else together.
        """
        values = self._values(matrix)
        explained = self.boosters if len(values) <= MANY_ROWS else self.boosters[:1]
        shares = np.mean([b.predict(values, pred_contrib=True, num_threads=1)[:, :-1] for b in explained], axis=0)
        counted = len(self.columns)
        widths = [found.width for found in self.directions.values()]
        ends = counted + np.cumsum(widths, dtype=int)
        learned = [shares[:, end - width : end].sum(axis=1) for end, width in zip(ends, widths, strict=True)]
        return [*self.columns, *self.directions], np.column_stack([shares[:, :counted], *learned])

    def card(self) -> dict[str, Any]:
        """Size and stopping, for the model card."""
        return {
            "kind": "lightgbm",
            "members": len(self.boosters),
            "rounds": [b.current_iteration() for b in self.boosters],
            "directions": {name: found.width for name, found in self.directions.items()},
        }

    def _values(self, matrix: Matrix) -> npt.NDArray[Any]:
        return np.column_stack([matrix.values, *project(matrix, self.directions)])


def fit_boosting(
    matrix: Matrix, labels: Floats, options: BoostingOptions, rng: np.random.Generator, *, block_dim: int = 0, progress: Progress = silent
) -> FittedBoosting:
    """Boost trees on counts (and on `block_dim` directions of each learned block), one booster per held-out fold of users.

    Deterministic: one thread, row-wise histograms, seeded sampling.
    """
    directions = fit_directions(matrix, block_dim)
    values = np.column_stack([matrix.values, *project(matrix, directions)])
    folds = user_folds(matrix.user_ids, max(options.members, 3), rng)
    leaf_rows = max(5, min(options.leaf_rows, len(labels) // 40))
    boosters, curves = [], []
    for member in range(options.members):
        learned, judged = folds != member, folds == member
        parameters = {
            "objective": "binary",
            "learning_rate": options.learning_rate,
            "num_leaves": options.leaves,
            "min_data_in_leaf": leaf_rows,
            "feature_fraction": options.feature_share,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "max_bin": 127,
            "seed": int(rng.integers(2**31)),
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbose": -1,
            "feature_pre_filter": False,
        }
        train = lgb.Dataset(values[learned], labels[learned], params=parameters)
        held = lgb.Dataset(values[judged], labels[judged], reference=train)
        history: dict[str, Any] = {}
        booster = lgb.train(
            parameters,
            train,
            num_boost_round=options.rounds,
            valid_sets=[train, held],
            valid_names=["train", "validation"],
            callbacks=[lgb.early_stopping(options.patience, verbose=False), lgb.record_evaluation(history)],
        )
        kept = lgb.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))
        boosters.append(kept)
        losses = zip(history["train"]["binary_logloss"], history["validation"]["binary_logloss"], strict=True)
        curves += [
            {"member": member, "epoch": place, "train": float(a), "validation": float(b)}
            for place, (a, b) in enumerate(losses, start=1)
            if place % 10 == 0 or place == booster.best_iteration
        ]
        progress((member + 1) / options.members, say("boosting, member {member} of {members}", member=member + 1, members=options.members))
    return FittedBoosting(boosters, matrix.columns, directions, curves)


@dataclass(frozen=True)
class FittedLogistic:
    """Logistic regression on a dozen recency, frequency and money columns."""

    scaling: Scaling
    weights: Floats
    intercept: float

    def member_logits(self, matrix: Matrix) -> Floats:
        """Logits as a single member (1, N)."""
        return self.logits(matrix)[None, :]

    def logits(self, matrix: Matrix) -> Floats:
        """Logits (N,)."""
        return np.asarray(self.scaling.apply(_chosen(matrix)).astype(np.float64) @ self.weights + self.intercept)

    def contributions(self, matrix: Matrix) -> tuple[list[str], Floats]:
        """Weight × scaled value, by named feature: names (G,) and log-odds (N, G)."""
        names = self.scaling.names()
        groups = sorted(set(names))
        shares = self.scaling.apply(_chosen(matrix)).astype(np.float64) * self.weights
        return groups, np.column_stack([shares[:, [n == group for n in names]].sum(axis=1) for group in groups])

    def card(self) -> dict[str, Any]:
        """Weights by scaled column, for the model card."""
        named = zip(self.scaling.names(), self.weights.tolist(), strict=True)
        weights = [{"feature": name, "weight": weight} for name, weight in named]
        return {"kind": "logistic", "parameters": len(weights) + 1, "intercept": self.intercept, "weights": weights}


def fit_logistic(matrix: Matrix, labels: Floats) -> FittedLogistic:
    """Fit logistic regression on RFM columns (those the matrix has; all of them when it has none), L2, C = 1."""
    chosen = _chosen(matrix)
    scaling = fit_scaling(chosen, 0)
    inputs = scaling.apply(chosen).astype(np.float64)
    if not inputs.shape[1]:
        rate = float(np.clip(labels.mean(), 1e-6, 1 - 1e-6))
        return FittedLogistic(scaling, np.zeros(0), float(np.log(rate / (1 - rate))))
    model = LogisticRegression(C=1.0, max_iter=1000).fit(inputs, labels)
    return FittedLogistic(scaling, np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0]))


def _chosen(matrix: Matrix) -> Matrix:
    places = [i for i, name in enumerate(matrix.columns) if name in RFM_COLUMNS] or list(range(len(matrix.columns)))
    return Matrix(matrix.user_ids, [matrix.columns[i] for i in places], matrix.values[:, places])
