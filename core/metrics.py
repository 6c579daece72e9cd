"""Measures of quality, each with its interval; definitions as in docs/glossary.md.

Labels are 0/1, propensities lie in (0, 1). U users, n observations.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
CLIP = 1e-6
"""Propensities are clipped to [CLIP, 1 - CLIP] in log loss: a probability is never 0 or 1."""


FEWEST_RANKED = 10
"""Positives, and negatives, below which an AUC is told of nobody: with five its interval spans nearly everything."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval and the number of observations behind it."""

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Chance that a random positive outranks a random negative, ties count half; NaN when one class is missing."""
    truth = np.asarray(labels, dtype=bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return float("nan")
    from scipy.stats import rankdata  # a second of loading, which no other figure here needs

    ranks = rankdata(np.asarray(scores, dtype=np.float64))
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the precision-recall curve as a sum of steps over distinct scores; NaN without positives."""
    truth, values = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not truth.sum():
        return float("nan")
    order = np.argsort(-values, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    hits = np.cumsum(truth[order])[ends]
    return float(np.sum(np.diff(np.concatenate([[0.0], hits])) * hits / (ends + 1)) / truth.sum())


def log_losses(labels: npt.ArrayLike, propensities: npt.ArrayLike) -> Floats:
    """Log loss of each observation (n,), natural logarithm."""
    truth = np.asarray(labels, dtype=np.float64)
    chance = np.clip(np.asarray(propensities, dtype=np.float64), CLIP, 1 - CLIP)
    return np.asarray(-(truth * np.log(chance) + (1 - truth) * np.log1p(-chance)))


def log_loss(labels: npt.ArrayLike, propensities: npt.ArrayLike) -> float:
    """Mean log loss, natural logarithm."""
    return float(log_losses(labels, propensities).mean())


def brier(labels: npt.ArrayLike, propensities: npt.ArrayLike) -> float:
    """Mean squared difference of label and propensity (Brier, 1950)."""
    return float(np.mean((np.asarray(labels, dtype=np.float64) - np.asarray(propensities, dtype=np.float64)) ** 2))


def wilson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a rate (Wilson, 1927); (0, 1) when n is 0."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


@dataclass(frozen=True)
class ReliabilityBin:
    """One equal-count bin of propensities against what happened."""

    n: int
    mean_propensity: float
    rate: float
    low: float
    high: float
    smallest: float
    largest: float


def reliability(labels: npt.ArrayLike, propensities: npt.ArrayLike, bins: int = 10) -> list[ReliabilityBin]:
    """Split observations into equal-count bins by propensity, as SQL's ntile does, with Wilson bands for the rate."""
    truth, chance = np.asarray(labels, dtype=np.float64), np.asarray(propensities, dtype=np.float64)
    order = np.argsort(chance, kind="stable")
    table = []
    for part in np.array_split(order, min(bins, len(order)) or 1):
        if not len(part):
            continue
        low, high = wilson(float(truth[part].sum()), len(part))
        table.append(
            ReliabilityBin(
                len(part),
                float(chance[part].mean()),
                float(truth[part].mean()),
                low,
                high,
                float(chance[part].min()),
                float(chance[part].max()),
            )
        )
    return table


def calibration_error(labels: npt.ArrayLike, propensities: npt.ArrayLike, bins: int = 10) -> float:
    """Expected calibration error over equal-count bins: the count-weighted mean of |rate - mean propensity|."""
    table = reliability(labels, propensities, bins)
    total = sum(b.n for b in table)
    return sum(b.n * abs(b.rate - b.mean_propensity) for b in table) / total if total else float("nan")


def calibration_floor(propensities: npt.ArrayLike, rng: np.random.Generator, bins: int = 10, draws: int = 200) -> float:
    """Calibration error that a perfect model of these propensities would show by chance: the mean over simulated labels."""
    chance = np.asarray(propensities, dtype=np.float64)
    return float(np.mean([calibration_error(rng.random(len(chance)) < chance, chance, bins) for _ in range(draws)]))


def calibration_by_group(labels: npt.ArrayLike, propensities: npt.ArrayLike, groups: npt.ArrayLike) -> list[dict[str, object]]:
    """Sum of propensities against what happened in each group, largest group first, ties by name.

    Returns:
        group, users, expected (sum of propensities), happened, mean_propensity, rate with its Wilson interval low/high, and gap: the
        difference happened - expected in standard deviations of a perfect model, sqrt(sum p (1 - p)).
    """
    truth, chance = np.asarray(labels, dtype=np.float64), np.asarray(propensities, dtype=np.float64)
    names, place = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    table: list[dict[str, object]] = []
    for number, name in enumerate(names.tolist()):
        inside = place == number
        users, expected, happened = int(inside.sum()), float(chance[inside].sum()), float(truth[inside].sum())
        low, high = wilson(happened, users)
        noise = float(np.sqrt((chance[inside] * (1 - chance[inside])).sum()))
        table.append(
            {"group": name, "users": users, "expected": expected, "happened": int(happened), "mean_propensity": expected / users,
             "rate": happened / users, "low": low, "high": high, "gap": (happened - expected) / noise if noise else float("nan")}
        )  # fmt: skip
    return sorted(table, key=lambda row: (-int(str(row["users"])), str(row["group"])))


def bootstrap(measure: Callable[[npt.NDArray[np.int64]], float], n: int, rng: np.random.Generator, draws: int = 400) -> Estimate:
    """Estimate a measure and its 95 % percentile interval by resampling observations (users).

    Args:
        measure: Takes the indices of a resample (n,) and returns the figure; `arange(n)` gives the estimate.
        n: Number of observations.
        rng: Source of chance.
        draws: Resamples.
    """
    value = measure(np.arange(n))
    if n < 2:
        return Estimate(value, float("nan"), float("nan"), n)
    drawn = np.array([measure(rng.integers(0, n, n)) for _ in range(draws)])
    low, high = np.nanpercentile(drawn, [2.5, 97.5]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return Estimate(value, float(low), float(high), n)


def mean_estimate(values: npt.ArrayLike) -> Estimate:
    """Mean of one value per user (or window) with its 95 % interval by Student's t; also right for paired differences."""
    sample = np.asarray(values, dtype=np.float64)
    n = len(sample)
    if n == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    half = _student(n) * float(sample.std(ddof=1)) / np.sqrt(n) if n > 1 else float("nan")
    return Estimate(float(sample.mean()), float(sample.mean() - half), float(sample.mean() + half), n)


def _student(n: int) -> float:
    """Half width of the 95 % interval of a mean of n values, in standard errors."""
    if n > 10_000:  # as wide as the normal one to four digits, and needs nothing loaded
        return 1.959964
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.975))


def auc_estimate(labels: npt.ArrayLike, scores: npt.ArrayLike) -> Estimate:
    """AUC with its 95 % interval by DeLong (1988) on the logit scale; NaN below FEWEST_RANKED of either kind.

    It draws nothing, so that what is drawn elsewhere stays as it is.
    """
    truth, values = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    m, n = int(truth.sum()), int((~truth).sum())
    if min(m, n) < FEWEST_RANKED:
        return Estimate(float("nan"), float("nan"), float("nan"), m + n)
    from scipy.special import expit, logit
    from scipy.stats import rankdata

    ranks = rankdata(values)
    above = (ranks[truth] - rankdata(values[truth])) / n  # share of negatives below each positive (m,)
    below = 1 - (ranks[~truth] - rankdata(values[~truth])) / m  # share of positives above each negative (n,)
    area = float(above.mean())
    edge = min(max(area, 0.5 / (m * n)), 1 - 0.5 / (m * n))
    sd = max(float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)), 0.5 / min(m, n))
    low, high = expit(logit(edge) + np.array([-1.959964, 1.959964]) * sd / (edge * (1 - edge)))
    return Estimate(area, min(float(low), area), max(float(high), area), m + n)


def resampled(labels: npt.ArrayLike, propensities: npt.ArrayLike, draws: int = 200) -> dict[str, list[float]]:
    """95 % intervals [low, high] of figures that have no formula of their own, by resampling users from a source of their own.

    Returns:
        average_precision and calibration_error by quantiles of the resamples (a calibration error is never below what chance alone
        gives, so its interval lies above the figure of a perfect model); brier by the spread of squared differences.
    """
    truth, chance = np.asarray(labels, dtype=np.float64), np.asarray(propensities, dtype=np.float64)
    rng, found = np.random.default_rng(len(truth)), []
    for _draw in range(draws if len(truth) > 1 else 0):
        rows = rng.integers(0, len(truth), len(truth))
        found.append((average_precision(truth[rows], chance[rows]), calibration_error(truth[rows], chance[rows])))
    squared = mean_estimate((truth - chance) ** 2)
    told = {"brier": [squared.low, squared.high]}
    for name, drawn in zip(("average_precision", "calibration_error"), np.array(found).reshape(-1, 2).T, strict=True):
        told[name] = np.nanquantile(drawn, [0.025, 0.975]).tolist() if np.isfinite(drawn).any() else [float("nan")] * 2
    return told


def lift_curve(labels: npt.ArrayLike, scores: npt.ArrayLike, user_ids: npt.ArrayLike, depths: int = 100) -> list[dict[str, float]]:
    """Gains and lift when the best `depth` share of users is taken, ties by user id; lift at depth 1 is 1."""
    truth = np.asarray(labels, dtype=np.float64)
    order = np.lexsort((np.asarray(user_ids), -np.asarray(scores, dtype=np.float64)))
    hits, n = np.cumsum(truth[order]), len(truth)
    curve = []
    for step in range(1, depths + 1):
        taken = max(1, round(n * step / depths))
        found = float(hits[taken - 1])
        low, high = wilson(found, taken)
        base = float(hits[-1]) / n
        curve.append(
            {"depth": step / depths, "users": taken, "buyers": found, "gain": found / hits[-1] if hits[-1] else float("nan"),
             "rate": found / taken, "low": low, "high": high, "lift": found / taken / base if base else float("nan")}
        )  # fmt: skip
    return curve


def recall_at_k(relevant: list[set[str]], lists: list[list[str]], k: int) -> Floats:
    """Share of each user's relevant items among the first `k` (U,); users without relevant items must be left out before."""
    return np.array([len(truth.intersection(shown[:k])) / len(truth) for truth, shown in zip(relevant, lists, strict=True)])


def ndcg_at_k(relevant: list[set[str]], lists: list[list[str]], k: int) -> Floats:
    """Normalised discounted cumulative gain of each user, binary relevance (Järvelin and Kekäläinen, 2002) (U,)."""
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)
    return np.array(
        [
            sum(discounts[place] for place, item in enumerate(shown[:k]) if item in truth) / ideal[min(len(truth), k) - 1]
            for truth, shown in zip(relevant, lists, strict=True)
        ]
    )
