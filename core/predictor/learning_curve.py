"""How good a chance gets with few labels: counts, profiles and both, learned from 50, 100, 500 … positives, judged on one later window.

N training rows (one a user), M test rows, D draws of labelled users, B resamples of the test users.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression

from core.errors import GateError
from core.messages import say
from core.metrics import auc, log_loss
from core.predictor.baselines import fit_boosting
from core.predictor.matrix import Floats, Indices, Matrix, Singles, fit_scaling, user_folds
from core.predictor.options import BoostingOptions
from core.schema import Progress, silent

POSITIVES = (50, 100, 200, 500, 1000, 2000)
DRAWS = 5
"""Sets of labelled users drawn for each size; their spread is part of the interval."""
RESAMPLES = 200
MOST_JUDGED = 20_000
"""Test users beyond are sampled: an interval over so many is narrow enough."""
BLOCK_DIM = 32
STRENGTHS = (0.003, 0.03, 0.3)
"""Values of C (inverse strength of the ridge) that three folds of the labelled users choose from."""

SCHEMA = pa.schema(
    [
        ("positives", pa.int64()), ("users", pa.int64()), ("model", pa.string()), ("auc", pa.float64()), ("low", pa.float64()),
        ("high", pa.float64()), ("log_loss", pa.float64()), ("difference", pa.float64()), ("difference_low", pa.float64()),
        ("difference_high", pa.float64()), ("draws", pa.int64()),
    ]
)  # fmt: skip


def learning_curve(
    train: Matrix,
    labels: Floats,
    test: Matrix,
    test_labels: Floats,
    rng: np.random.Generator,
    *,
    positives: Sequence[int] = POSITIVES,
    draws: int = DRAWS,
    progress: Progress = silent,
) -> pa.Table:
    """Learn from growing sets of labelled users and judge each on the same later window.

    Labelled users are drawn at the log's own share of positives until the set holds the wanted number of them; sets of one draw
    are nested. Scales and directions of profiles come from all training rows, whose labels stay unseen.

    Args:
        train: One row a user as of one training cutoff (N, F), with learned blocks where the log has them.
        labels: 0/1 (N,).
        test: As of a cutoff whose window lies after that of the labels (M, F).
        test_labels: 0/1 (M,).
        rng: Source of chance.
        positives: Sizes asked for, ascending; those that the log cannot fill are left out.
        draws: Sets for each size.
        progress: Told after each fit.

    Returns:
        One row for each size and model, ascending by (positives, model): positives, users (mean of labelled users), model
        (counts: ridge logistic regression on counted features · profiles: the same on directions of the learned blocks · both ·
        lightgbm: boosted trees on counts), auc (mean over draws) with its 95 % interval low/high over test users and draws,
        log_loss (mean over draws), difference (auc minus that of `counts` on the same sets) with its interval, draws.
        `profiles` and `both` are left out when no learned block is there.

    Raises:
        GateError: Fewer positives (or others) than the smallest size asked for, or a test window of one class.
    """
    kinds = int(test_labels.sum()), int((1 - test_labels).sum())
    have = int(min(labels.sum(), (1 - labels).sum()))
    sizes = [size for size in positives if size <= int(labels.sum())]
    if not sizes or have < 10 or not min(kinds):
        raise GateError(
            "A learning curve needs at least {need} shoppers with and without the act in training and both kinds in the test; "
            "there are {have} and {with_act} with, {without} without. A longer horizon or a more frequent act would pass.",
            need=max(10, min(positives)),
            have=have,
            with_act=kinds[0],
            without=kinds[1],
        )
    judged = np.arange(len(test_labels))
    if len(judged) > MOST_JUDGED:
        judged = np.sort(rng.choice(judged, MOST_JUDGED, replace=False))
    inputs, truth = _inputs(train, test.rows(judged)), test_labels[judged]
    names = sorted([*inputs, "lightgbm"])
    scores = {(name, size): np.empty((draws, len(truth))) for name in names for size in sizes}
    users = np.zeros(len(sizes))
    for draw in range(draws):
        order = rng.permutation(len(labels))
        found = np.cumsum(labels[order])
        for place, size in enumerate(sizes):
            chosen = order[: max(int(np.searchsorted(found, size)) + 1, 20)]
            if len(set(labels[chosen].tolist())) < 2:  # a rare "no": go on until there are some
                chosen = order[: int(np.flatnonzero(np.cumsum(1 - labels[order]) >= 5)[0]) + 1]
            users[place] += len(chosen) / draws
            for name, (learn, judge) in inputs.items():
                scores[name, size][draw] = _ridge(learn[chosen], labels[chosen], judge, rng)
            boosted = replace(BoostingOptions(), members=2, rounds=200, leaf_rows=20)
            trees = fit_boosting(train.rows(chosen).counts_alone(), labels[chosen], boosted, rng)
            scores["lightgbm", size][draw] = trees.logits(test.rows(judged).counts_alone())
            progress((draw + (place + 1) / len(sizes)) / draws, say("learning from {positives} positives", positives=size))
    return _table(sizes, users, names, scores, truth, rng)


def _inputs(train: Matrix, test: Matrix) -> dict[str, tuple[Singles, Singles]]:
    """Scaled training and test inputs of each ridge model."""
    scaling = fit_scaling(train, BLOCK_DIM)
    learn, judge = scaling.apply(train), scaling.apply(test)
    learned = np.array([name in scaling.directions for name in scaling.names()], dtype=bool)
    if not learned.any():
        return {"counts": (learn, judge)}
    return {"counts": (learn[:, ~learned], judge[:, ~learned]), "profiles": (learn[:, learned], judge[:, learned]), "both": (learn, judge)}


def _ridge(inputs: Singles, labels: Floats, judged: Singles, rng: np.random.Generator) -> Floats:
    """Logits of ridge logistic regression whose strength three folds of its own rows choose."""
    folds: Indices = user_folds([str(i) for i in range(len(labels))], 3, rng)

    def loss(strength: float) -> float:
        total = 0.0
        for fold in range(3):
            learned, held = folds != fold, folds == fold
            if len(set(labels[learned].tolist())) < 2:
                return float("inf")
            model = LogisticRegression(C=strength, max_iter=200).fit(inputs[learned], labels[learned])
            total += log_loss(labels[held], model.predict_proba(inputs[held])[:, 1]) * held.sum()
        return total

    best = min(STRENGTHS, key=lambda strength: (loss(strength), strength))
    return np.asarray(LogisticRegression(C=best, max_iter=400).fit(inputs, labels).decision_function(judged), dtype=np.float64)


def _table(
    sizes: list[int], users: Floats, names: list[str], scores: dict[tuple[str, int], Floats], truth: Floats, rng: np.random.Generator
) -> pa.Table:
    rows = []
    for place, size in enumerate(sizes):
        whole = {name: np.array([auc(truth, logits) for logits in scores[name, size]]) for name in names}
        drawn: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(RESAMPLES):  # users and draws are drawn again together
            rows_of, draw = rng.integers(0, len(truth), len(truth)), int(rng.integers(len(whole["counts"])))
            for name in names:
                drawn[name].append(auc(truth[rows_of], scores[name, size][draw][rows_of]))
        for name in names:
            resampled, counted = np.array(drawn[name]), np.array(drawn["counts"])
            low, high = np.nanpercentile(resampled, [2.5, 97.5])
            less, more = np.nanpercentile(resampled - counted, [2.5, 97.5])
            losses = [log_loss(truth, 1 / (1 + np.exp(-logits))) for logits in scores[name, size]]
            rows.append(
                {"positives": size, "users": round(users[place]), "model": name, "auc": float(whole[name].mean()), "low": float(low),
                 "high": float(high), "log_loss": float(np.mean(losses)), "difference": float((whole[name] - whole["counts"]).mean()),
                 "difference_low": float(less), "difference_high": float(more), "draws": len(whole[name])}
            )  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMA)
