"""What competes for the chance by category: logistic regression for each category, boosted trees over all pairs, their means."""

from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from core.messages import say
from core.predictor.grid import Grid
from core.predictor.matrix import Floats, Singles, squash, user_folds
from core.predictor.options import PooledOptions
from core.predictor.pooled import FittedPooled, fit_pooled
from core.schema import Progress, part_of

OWN_COLUMNS = (
    "purchases", "days_bought", "days_bought_28d", "days_bought_56d", "days_since_purchase", "gap_mean_days", "carts_28d",
    "touches_28d", "share_of_orders", "overdue_ratio", "shopper_orders_28d", "shopper_days_since_event",
)  # fmt: skip
TEXT_COLUMN = "text_affinity"
ROUNDS = 400
MEMBERS = 2
BASELINES = ("logistic", "lightgbm")
"""Counting alone: they see no text and no profile."""
MEANS = {"mean": ("pooled", "lightgbm"), "mean_text": ("pooled", "lightgbm_text")}
"""Parts of each mean of logits; it competes with its parts on validation."""

LabelledGrids = list[tuple[Grid, Floats]]


@dataclass(frozen=True)
class FittedCategories:
    """Every model over pairs that was asked for."""

    boosters: dict[str, list[lgb.Booster]] = field(default_factory=dict)
    """lightgbm (counts alone), lightgbm_text (counts and text affinity)."""
    logistic: list[tuple[Floats, Floats, Floats, float]] | None = None
    """Per category: mean, std, weights, intercept."""
    pooled: FittedPooled | None = None

    def logits(self, grid: Grid, names: list[str]) -> dict[str, Floats]:
        """Logits (R,) of some models."""
        wanted = {part for name in names for part in MEANS.get(name, (name,))}
        found = {name: _boosted(boosters, grid) for name, boosters in self.boosters.items() if name in wanted}
        if self.logistic is not None and "logistic" in wanted:
            found["logistic"] = _linear(self.logistic, grid)
        if self.pooled is not None and "pooled" in wanted:
            found["pooled"] = self.pooled.logits(grid)
        means = {name: np.mean([found[part] for part in MEANS[name]], axis=0) for name in names if name in MEANS}
        return {name: value for name, value in (found | means).items() if name in names}

    def logits_of(self, place: int, pair: Grid, baskets: Singles, name: str) -> Floats:
        """Logits (N,) of pairs of one category by one model; see `FittedPooled.of_category`."""
        found = []
        for part in MEANS.get(name, (name,)):
            if part in self.boosters:
                found.append(_boosted(self.boosters[part], pair))
            elif part == "pooled" and self.pooled is not None:
                found.append(self.pooled.of_category(place, pair, baskets))
            elif self.logistic is not None:
                found.append(_linear(self.logistic[place : place + 1], pair))
        return np.asarray(np.mean(found, axis=0))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Weights that are no trees, to be saved."""
        found = {f"pooled.{key}": value for key, value in self.pooled.arrays().items()} if self.pooled is not None else {}
        for place, (mean, std, weights, intercept) in enumerate(self.logistic or []):
            found[f"logistic.{place}"] = np.stack([mean, std, weights, np.full(len(mean), intercept)])
        return found

    def card(self) -> dict[str, Any]:
        """Size of each model, for the model card."""
        cards: dict[str, Any] = {
            name: {"kind": "lightgbm", "rounds": [b.num_trees() for b in found]} for name, found in self.boosters.items()
        }
        if self.logistic is not None:
            cards["logistic"] = {"kind": "logistic", "parameters": sum(len(weights) + 1 for _, _, weights, _ in self.logistic)}
        if self.pooled is not None:
            cards["pooled"] = self.pooled.card()
        return cards


def fit_category_models(
    grids: LabelledGrids, names: list[str], options: PooledOptions, rng: np.random.Generator, progress: Progress
) -> FittedCategories:
    """Fit the named models, and the parts of the named means, on the same pairs.

    A model's chance does not depend on its rivals: each has a source of its own.
    """
    wanted = {part for name in names for part in MEANS.get(name, (name,))}
    seeds = dict(zip(("lightgbm", "lightgbm_text", "logistic", "pooled"), rng.integers(2**31, size=4).tolist(), strict=True))
    plain = [(grid.without(TEXT_COLUMN), labels) for grid, labels in grids]
    trees: list[str] = [name for name in ("lightgbm", "lightgbm_text") if name in wanted]
    boosters: dict[str, list[lgb.Booster]] = {}
    for place, name in enumerate(trees):
        told = part_of(progress, 0.4 * place / len(trees), 0.4 * (place + 1) / len(trees))
        boosters[name] = _boost(plain if name == "lightgbm" else grids, np.random.default_rng(seeds[name]), told)
    logistic = _fit_logistic(grids) if "logistic" in wanted else None
    pooled = None
    if "pooled" in wanted:
        pooled = fit_pooled(grids, options, np.random.default_rng(seeds["pooled"]), part_of(progress, 0.45, 1.0))
    return FittedCategories(boosters, logistic, pooled)


def _boosted(boosters: list[lgb.Booster], grid: Grid) -> Floats:
    seen = grid if TEXT_COLUMN in boosters[0].feature_name() else grid.without(TEXT_COLUMN)
    return np.asarray(np.mean([b.predict(seen.values, raw_score=True, num_threads=1) for b in boosters], axis=0))


def _boost(grids: LabelledGrids, rng: np.random.Generator, progress: Progress) -> list[lgb.Booster]:
    values, labels = np.concatenate([grid.values for grid, _ in grids]), np.concatenate([truth for _, truth in grids])
    first = grids[0][0]
    folds = np.repeat(user_folds([user for grid, _ in grids for user in grid.user_ids], 5, rng), len(first.categories))
    boosters = []
    for member in range(MEMBERS):
        learned = folds != member
        parameters = {
            "objective": "binary", "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 100, "feature_fraction": 0.5,
            "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 10.0, "max_bin": 127, "seed": int(rng.integers(2**31)),
            "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbose": -1, "feature_pre_filter": False,
        }  # fmt: skip
        named: dict[str, Any] = {"feature_name": list(first.columns), "categorical_feature": [first.columns.index("category")]}
        train = lgb.Dataset(values[learned], labels[learned], params=parameters, **named)
        judged = lgb.Dataset(values[~learned], labels[~learned], reference=train)
        stop = [lgb.early_stopping(30, verbose=False)]
        booster = lgb.train(parameters, train, num_boost_round=ROUNDS, valid_sets=[judged], callbacks=stop)
        boosters.append(lgb.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration)))
        progress((member + 1) / MEMBERS, say("categories, member {member} of {members}", member=member + 1, members=MEMBERS))
    return boosters


def _fit_logistic(grids: LabelledGrids) -> list[tuple[Floats, Floats, Floats, float]]:
    own = [_own(grid) for grid, _ in grids]
    width = len(grids[0][0].categories)
    fitted = []
    for place in range(width):
        inputs = np.concatenate([part[place::width] for part in own])
        labels = np.concatenate([truth[place::width] for _, truth in grids])
        mean, std = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-6)
        rate = float(np.clip(labels.mean(), 0.5 / len(labels), 1 - 0.5 / len(labels)))
        if min(labels.sum(), (1 - labels).sum()) < 5:
            fitted.append((mean, std, np.zeros(inputs.shape[1]), float(np.log(rate / (1 - rate)))))
            continue
        model = LogisticRegression(C=0.3, max_iter=300).fit(np.clip((inputs - mean) / std, -6, 6), labels)
        fitted.append((mean, std, np.asarray(model.coef_[0]), float(model.intercept_[0])))
    return fitted


def _linear(fitted: list[tuple[Floats, Floats, Floats, float]], grid: Grid) -> Floats:
    own = _own(grid)
    logits = np.empty(len(own))
    for place, (mean, std, weights, intercept) in enumerate(fitted):
        rows = slice(place, None, len(grid.categories))
        logits[rows] = np.clip((own[rows] - mean) / std, -6, 6) @ weights + intercept
    return logits


def _own(grid: Grid) -> Floats:
    """A category's own columns (R, f), squashed; what never happened counts as 400 days ago."""
    chosen = [grid.columns.index(name) for name in OWN_COLUMNS if name in grid.columns]
    return squash(np.nan_to_num(grid.values[:, chosen].astype(np.float64), nan=400.0))
