"""Figures of the chance by category: macro AUC over all pairs and over new ones, paired differences, a table by category.

U users, C categories, B draws. A pair is new when this shopper never bought in that category before: counts of the pair know nothing there.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.messages import Message, say
from core.metrics import auc, log_loss, log_losses, mean_estimate
from core.predictor.category_models import BASELINES
from core.predictor.grid import Grid
from core.predictor.judge import base_log_loss
from core.predictor.matrix import Floats

DRAWS = 100
FEWEST = 5
"""Positives, and others, below which a category has no AUC."""
COUNT = "personal count"
NAMES = {
    COUNT: say("the personal count"), "logistic": say("logistic regression for each category"),
    "lightgbm": say("LightGBM on user × category counts"), "lightgbm_text": say("LightGBM on counts and text affinity"),
    "pooled": say("the pooled network"), "mean": say("the mean of pooled network and LightGBM"),
    "mean_text": say("the mean of pooled network and LightGBM with text affinity"),
}  # fmt: skip


class MacroAuc:
    """Mean over categories of the AUC over users, for one score, under any weights of users; ties count half."""

    def __init__(self, labels: Floats, scores: Floats, asked: npt.NDArray[np.bool_]) -> None:
        """Labels, scores and asked-for pairs, each (U, C)."""
        # ties in two orders, positives first and positives last: the mean of both is what counting ties half gives
        first = np.lexsort((-labels, scores), axis=0)
        last = np.lexsort((labels, scores), axis=0)
        self._views = [
            (order, np.take_along_axis(labels * asked, order, axis=0), np.take_along_axis((1 - labels) * asked, order, axis=0))
            for order in (first, last)
        ]
        self._counts = [np.asarray((part * asked).sum(axis=0)) for part in (labels, 1 - labels)]

    def __call__(self, weights: Floats) -> float:
        """Macro AUC when user u stands for weights[u] users (U,)."""
        kept = (self._counts[0] >= FEWEST) & (self._counts[1] >= FEWEST)
        if not kept.any():
            return float("nan")
        total = np.zeros(len(kept))
        for order, positive, negative in self._views:
            weighed = weights[order]
            below = np.cumsum(weighed * negative, axis=0)
            hit = weighed * positive
            with np.errstate(invalid="ignore", divide="ignore"):
                total += 0.5 * (hit * below).sum(axis=0) / (hit.sum(axis=0) * below[-1])
        return float(np.nanmean(total[kept])) if np.isfinite(total[kept]).any() else float("nan")


def judge_categories(
    grid: Grid, labels: Floats, chances: dict[str, Floats], winner: str, rng: np.random.Generator
) -> tuple[dict[str, Any], pa.Table]:
    """Measure every model on the test window.

    Args:
        grid: Pairs as of the test cutoff (R = U × C).
        labels: 0/1 (R,).
        chances: Calibrated chances (R,) by model.
        winner: Chosen on validation.
        rng: For bootstrap intervals over users.

    Returns:
        Metrics (macro_auc and macro_auc_new by model with intervals; difference and difference_new: the winner less the best
        baseline, paired over users; difference_text the same of the winner against LightGBM with text affinity; log_loss,
        log_loss_difference) and a table: category, users, positives, expected, auc, new_users, new_positives, new_auc.
    """
    users, width = len(grid.user_ids), len(grid.categories)
    truth, is_new = labels.reshape(users, width), grid.is_new.reshape(users, width)
    scores = {COUNT: grid.column("days_bought").astype(np.float64)} | chances
    weights = [np.bincount(rng.integers(0, users, users), minlength=users).astype(np.float64) for _ in range(DRAWS)]
    metrics: dict[str, Any] = {
        "winner": winner,
        "pairs": len(labels),
        "positives": int(labels.sum()),
        "new_pairs": int(is_new.sum()),
        "new_positives": int(truth[is_new].sum()),
        "base_log_loss": base_log_loss(labels),
        "log_loss": {name: log_loss(labels, chance) for name, chance in chances.items()},
        "log_loss_new": {name: log_loss(truth[is_new], chance.reshape(users, width)[is_new]) for name, chance in chances.items()}
        if is_new.any()
        else {},
        "expected": float(chances[winner].sum()),
    }
    for suffix, asked in (("", np.ones_like(is_new)), ("_new", is_new)):
        values, drawn = {}, {}
        for name, score in scores.items():
            macro = MacroAuc(truth, score.reshape(users, width), asked)
            values[name], drawn[name] = macro(np.ones(users)), np.array([macro(weight) for weight in weights])
        metrics[f"macro_auc{suffix}"] = {
            name: {"value": values[name], "low": _percentile(found, 2.5), "high": _percentile(found, 97.5), "n": users}
            for name, found in drawn.items()
        }
        rivals = [name for name in (COUNT, *BASELINES) if name in values and name != winner] or [COUNT]
        best = rivals[int(np.argmax([np.nan_to_num(values[name], nan=-1.0) for name in rivals]))]
        metrics[f"difference{suffix}"] = {"against": best} | _difference(values, drawn, winner, best)
        if "lightgbm_text" in values and winner != "lightgbm_text":
            metrics[f"difference_text{suffix}"] = {"against": "lightgbm_text"} | _difference(values, drawn, winner, "lightgbm_text")
    rivals = [name for name in BASELINES if name in chances and name != winner]
    if rivals:
        best = min(rivals, key=lambda name: (metrics["log_loss"][name], name))
        gap = (log_losses(labels, chances[winner]) - log_losses(labels, chances[best])).reshape(users, width).mean(axis=1)
        metrics["log_loss_difference"] = {"against": best} | mean_estimate(gap).as_dict()
    return metrics, _by_category(grid, truth, chances[winner].reshape(users, width), is_new)


def _difference(values: dict[str, float], drawn: dict[str, Floats], ours: str, theirs: str) -> dict[str, float]:
    gap = drawn[ours] - drawn[theirs]
    return {"macro_auc": values[ours] - values[theirs], "low": _percentile(gap, 2.5), "high": _percentile(gap, 97.5)}


def _percentile(values: Floats, share: float) -> float:
    return float(np.nanpercentile(values, share)) if np.isfinite(values).any() else float("nan")


def _by_category(grid: Grid, truth: Floats, chance: Floats, is_new: npt.NDArray[np.bool_]) -> pa.Table:
    rows = []
    for place, category in enumerate(grid.categories):
        new = is_new[:, place]
        rows.append(
            {
                "category": category,
                "users": len(truth),
                "positives": int(truth[:, place].sum()),
                "expected": float(chance[:, place].sum()),
                "auc": auc(truth[:, place], chance[:, place]),
                "new_users": int(new.sum()),
                "new_positives": int(truth[new, place].sum()),
                "new_expected": float(chance[new, place].sum()),
                "new_auc": auc(truth[new, place], chance[new, place]),
            }
        )
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, kinds[type(value)]) for name, value in rows[0].items()])
    without = [{name: None if isinstance(v, float) and np.isnan(v) else v for name, v in row.items()} for row in rows]
    return pa.Table.from_pylist(without, schema=schema)


def category_verdict(metrics: dict[str, Any]) -> list[Message]:
    """Say in words whether the winner beats counting, everywhere and where counts know nothing."""
    winner = NAMES[metrics["winner"]]
    told = [
        say(
            "By category, chosen on validation: {winner}. Against {best}, the best that counts alone, its mean AUC over categories is "
            "{difference}.",
            winner=winner,
            best=NAMES[metrics["difference"]["against"]],
            difference=_described(metrics["difference"]),
        )
    ]
    if np.isfinite(metrics["difference_new"]["macro_auc"]):
        told.append(
            say(
                "In categories that are new to the shopper it is {difference} against {best}.",
                best=NAMES[metrics["difference_new"]["against"]],
                difference=_described(metrics["difference_new"]),
            )
        )
    return told


def _described(difference: dict[str, float]) -> Message:
    """A difference of AUC with its interval in words: above zero is better."""
    span = f"{difference['macro_auc']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"
    if difference["low"] > 0:
        return say("better ({span})", span=span)
    if difference["high"] < 0:
        return say("worse ({span})", span=span)
    return say("neither better nor worse within its interval ({span})", span=span)
