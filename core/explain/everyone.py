"""What a model looks at over all shoppers, and whether those it scores are like those it learned from.

N rows, F columns, G named features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from core.explain.named import Rows, name_groups
from core.explain.shapley import Floats
from core.metrics import auc, log_losses

PSI_SHIFTED = 0.25
"""Population stability index from which a feature is called shifted (the usual mark; below 0.1 is calm)."""
BINS = 10
SHUFFLES = 3
DRAWS = 200
AT = (0.01, *(tenth / 10 for tenth in range(1, 10)), 0.99)
"""Quantiles of a column at which partial dependence is told: beyond them lie single shoppers."""


@dataclass(frozen=True)
class Importance:
    """How much worse the log loss gets when a named feature says nothing."""

    names: list[str]
    loss: Floats
    """Mean rise in log loss (G,)."""
    low: Floats
    high: Floats
    """95 % interval over shoppers (G,)."""


def permutation_importance(
    chance: Callable[[Rows], Floats], columns: Sequence[str], rows: Rows, labels: Floats, rng: np.random.Generator
) -> Importance:
    """Shuffle each named feature among the shoppers of the test window, all its columns together (Breiman, 2001).

    Args:
        chance: The model as it was judged, which has not seen the window.
        columns: Names of the F columns.
        rows: (N, F), one row for each shopper.
        labels: 0/1 (N,).
        rng: Source of chance.

    Returns:
        By named feature and block, rise of log loss with a percentile interval of resampled shoppers.
    """
    groups = name_groups(columns)
    names = [*groups, *rows.blocks]
    n = len(labels)
    usual = log_losses(labels, chance(rows))
    rises = np.zeros((len(names), n))
    for place, name in enumerate(names):
        for _ in range(SHUFFLES):
            order = rng.permutation(n)
            if name in groups:
                values = rows.values.copy()
                values[:, groups[name]] = values[order][:, groups[name]]
                mixed = Rows(values, rows.blocks)
            else:
                mixed = Rows(rows.values, {**rows.blocks, name: rows.blocks[name][order]})
            rises[place] += (log_losses(labels, chance(mixed)) - usual) / SHUFFLES
    drawn = np.stack([rises[:, rng.integers(0, n, n)].mean(axis=1) for _ in range(DRAWS)])
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return Importance(names, rises.mean(axis=1), low, high)


def partial_dependence(
    chance: Callable[[Rows], Floats], columns: Sequence[str], rows: Rows, chosen: Sequence[str], rng: np.random.Generator
) -> pa.Table:
    """Mean chance when one column has the same value for everybody (Friedman, 2001), at quantiles of the column.

    Returns:
        feature, value, mean, low, high: the band is the 95 % interval of the mean over resampled shoppers.
    """
    told = []
    for name in chosen:
        place = list(columns).index(name)
        known = rows.values[np.isfinite(rows.values[:, place]), place]
        for value in np.unique(np.quantile(known, AT)) if len(known) else []:
            values = rows.values.copy()
            values[:, place] = value
            found = chance(Rows(values, rows.blocks))
            drawn = [found[rng.integers(0, len(found), len(found))].mean() for _ in range(DRAWS)]
            low, high = np.percentile(drawn, [2.5, 97.5])
            told.append({"feature": name, "value": float(value), "mean": float(found.mean()), "low": float(low), "high": float(high)})
    fields = [("feature", pa.string()), *((name, pa.float64()) for name in ("value", "mean", "low", "high"))]
    return pa.Table.from_pylist(told, schema=pa.schema(fields))


def feature_drift(columns: Sequence[str], trained: Floats, scored: Floats) -> pa.Table:
    """Compare each feature of the shoppers that were learned from with those that are scored.

    Args:
        columns: Names (F,).
        trained: (N, F), NaN where empty.
        scored: (M, F).

    Returns:
        feature, psi (bins at deciles of `trained`, empty values a bin of their own), ks (largest gap of the two distribution functions),
        outside (share of scored values beyond the smallest and largest that was learned from); largest psi first.
    """
    told = []
    for place, name in enumerate(columns):
        one, other = trained[:, place], scored[:, place]
        known, new = one[np.isfinite(one)], other[np.isfinite(other)]
        outside = float(((new < known.min()) | (new > known.max())).sum() / max(len(other), 1)) if len(known) else float(len(new) > 0)
        told.append({"feature": name, "psi": _psi(one, other), "ks": _ks(known, new), "outside": outside})
    told.sort(key=lambda row: (-float(str(row["psi"])), str(row["feature"])))
    fields = [("feature", pa.string()), *((column, pa.float64()) for column in ("psi", "ks", "outside"))]
    return pa.Table.from_pylist(told, schema=pa.schema(fields))


def told_apart(trained: Floats, scored: Floats, rng: np.random.Generator) -> float:
    """AUC of boosted trees that tell trained from scored shoppers, on halves that they did not see: 0.5 when they are alike."""
    import lightgbm

    values = np.concatenate([trained, scored])
    truth = np.repeat([0.0, 1.0], [len(trained), len(scored)])
    half = rng.random(len(truth)) < 0.5
    asked = {
        "objective": "binary",
        "num_leaves": 7,
        "learning_rate": 0.1,
        "verbose": -1,
        "num_threads": 1,
        "deterministic": True,
        "seed": 0,
    }
    areas = []
    for learned in (half, ~half):
        trees = lightgbm.train(asked, lightgbm.Dataset(values[learned], truth[learned], params=asked), num_boost_round=60)
        areas.append(auc(truth[~learned], trees.predict(values[~learned], num_threads=1)))
    return float(np.mean(areas))


def _psi(trained: Floats, scored: Floats) -> float:
    known = trained[np.isfinite(trained)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.zeros(0)

    def shares(values: Floats) -> Floats:
        places = np.where(np.isfinite(values), np.searchsorted(edges, np.nan_to_num(values), side="left"), len(edges) + 1)
        counts = np.bincount(places, minlength=len(edges) + 2).astype(np.float64)
        return np.asarray((counts + 0.5) / (len(values) + 0.5 * (len(edges) + 2)), dtype=np.float64)

    one, other = shares(trained), shares(scored)
    return float(np.sum((other - one) * np.log(other / one)))


def _ks(one: Floats, other: Floats) -> float:
    if not len(one) or not len(other):
        return float(bool(len(one)) != bool(len(other)))
    points = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(part), points, side="right") / len(part) for part in (one, other)]
    return float(np.abs(below[0] - below[1]).max())
