"""The chance that a shopper acts in a category: models over all user × category pairs, judged beside counting alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit, logit

from core.errors import GateError
from core.messages import Message, say
from core.metrics import log_loss
from core.predictor.calibration import Calibrator, RangeTable, choose_calibration, coverage, coverage_of, fit_calibrator, fit_ranges
from core.predictor.category_judging import category_verdict, judge_categories
from core.predictor.category_keeping import KeptCategories
from core.predictor.category_models import MEANS, TEXT_COLUMN, FittedCategories, fit_category_models
from core.predictor.drift import drift_of_one, fit_shift
from core.predictor.grid import CountsAt, Grid, Pairs, TextsAt, positive_pairs
from core.predictor.keeping import BACKGROUND_ROWS
from core.predictor.matrix import Floats, Indices, user_folds
from core.predictor.options import PropensityOptions
from core.predictor.propensity import MatrixAt
from core.predictor.threads import one_thread
from core.schema import Progress, part_of, silent
from core.store import Log
from core.windows import plan_windows

PairsAt = Callable[[datetime], pa.Table]
"""user_id, category of the pairs with the act in the window that starts at a cutoff."""

MIN_POSITIVES = 100
"""Fewest positive pairs among training labels."""
MAX_PAIRS = 1_000_000
"""Pairs that models learn from, over all training cutoffs; users are sampled beyond. With 200,000 the network loses to the trees."""
MAX_JUDGED_USERS = 8_000
"""Users of the calibration and the test window; sampled beyond."""
CHUNK_USERS = 2_000


@dataclass(frozen=True)
class CategoryResult:
    """Scores of all pairs and what was measured."""

    categories: pa.Table
    """user_id, category, propensity, low, high; ascending by (user_id, category)."""
    metrics: dict[str, Any]
    by_category: pa.Table
    """category, users, positives, expected, auc of the winner in the test window; the same of pairs new to the shopper (new_…)."""
    models: FittedCategories
    """In use."""
    verdict: list[Message]
    kept: KeptCategories
    """In use, with all that one shopper's chance needs."""


def fit_category_propensity(
    log: Log,
    matrix_at: MatrixAt,
    counts_at: CountsAt,
    pairs_at: PairsAt,
    categories: Sequence[str],
    options: PropensityOptions,
    rng: np.random.Generator,
    texts_at: TextsAt | None = None,
    progress: Progress = silent,
) -> CategoryResult:
    """Fit, calibrate, judge and use the chance of the act in each of some categories.

    Args:
        log: Its start and end lay out the windows.
        matrix_at: What was known of each user at a cutoff.
        counts_at: What each user had done in each category by a cutoff.
        pairs_at: Who acted in which category in the window from a cutoff.
        categories: Names, distinct.
        options: Act and horizon; `max_train_rows` does not apply (MAX_PAIRS does).
        rng: Source of chance.
        texts_at: What the items of each category, in alphabetical order, are called, or None.
        progress: Told along the way.

    Raises:
        CutoffError: The log is shorter than four horizons.
        GateError: Too few positive pairs, or no category.
    """
    if not categories:
        raise GateError("The log has no categories, so there is no chance by category; give a catalogue with a category column.")
    names = sorted(set(categories))
    windows = plan_windows(options.laid_from(log.start), log.until, options.horizon)

    def pairs_of(cutoff: datetime) -> Pairs:
        return Pairs(matrix_at(cutoff), counts_at(cutoff), names, texts_at(cutoff) if texts_at else None)

    def labelled(cutoff: datetime, chosen: set[str] | None) -> tuple[Grid, Floats]:
        pairs = pairs_of(cutoff)
        grid = pairs.grid(None if chosen is None else _rows(pairs.matrix.user_ids, chosen))
        return grid, positive_pairs(pairs_at(cutoff), grid.user_ids, names)

    with one_thread():
        room = MAX_PAIRS // (len(names) * len(windows.train))
        learners = _sampled([matrix_at(cutoff).user_ids for cutoff in windows.train], max(room, 200), rng)
        judges = _sampled([matrix_at(cutoff).user_ids for cutoff in (windows.calibrate, windows.test)], MAX_JUDGED_USERS, rng)
        grids = [labelled(cutoff, learners) for cutoff in windows.train]
        positives = int(sum(labels.sum() for _, labels in grids))
        if positives < MIN_POSITIVES:
            raise GateError(
                "{found} to learn from, {need} are needed; take a longer horizon or broader categories.",
                found=say("1 purchase by category") if positives == 1 else say("{n} purchases by category", n=positives),
                need=MIN_POSITIVES,
            )
        contenders = ["lightgbm", "logistic", "pooled", "mean"]
        if TEXT_COLUMN in grids[0][0].columns:
            contenders += ["lightgbm_text", "mean_text"]
        fitted = fit_category_models(grids, contenders, options.pooled, rng, part_of(progress, 0.05, 0.45))
        held, held_labels = labelled(windows.calibrate, judges)
        folds = np.repeat(user_folds(held.user_ids, 5, rng), len(names))
        choices = {name: choose_calibration(logits, held_labels, folds) for name, logits in fitted.logits(held, contenders).items()}
        winner = min(contenders, key=lambda name: (log_loss(held_labels, choices[name].cross_fitted), contenders.index(name)))
        told = _ranges(held_labels, expit(fitted.logits(held, [winner])[winner]))
        del held
        progress(0.5, say("judging categories on the test window"))
        test, labels = labelled(windows.test, judges)
        chances = {name: choices[name].calibrator.apply(value) for name, value in fitted.logits(test, contenders).items()}
        metrics, table = judge_categories(test, labels, chances, winner, rng)
        metrics["validation"] = {name: log_loss(held_labels, choice.cross_fitted) for name, choice in choices.items()}
        metrics["calibration"] = {name: choice.calibrator.card() for name, choice in choices.items()}
        metrics |= _coverage(labels, chances[winner], told, len(names))
        metrics["windows"] = {"train": list(windows.train), "calibrate": windows.calibrate, "test": windows.test, "use": windows.use}
        metrics["models"] = fitted.card()
        progress(0.6, say("fitting categories again with the newest windows"))
        final, calibrator = fitted, choices[winner].calibrator
        if options.refit:
            grids = [labelled(cutoff, learners) for cutoff in (*windows.train, windows.calibrate)[-len(windows.train) :]]
            final = fit_category_models(grids, [winner], options.pooled, rng, part_of(progress, 0.6, 0.85))
            if calibrator.method != "none":
                calibrator = fit_calibrator(calibrator.method, final.logits(test, [winner])[winner], labels)
        del grids, test
        progress(0.9, say("scoring every shopper in every category"))
        everyone, ranges = pairs_of(windows.use), _ranges(labels, chances[winner])
        scores = _scored(everyone, final, winner, calibrator, ranges)
        usual = everyone.grid(_few(len(everyone.matrix.user_ids), options.seed))
    kept = KeptCategories(final, winner, calibrator, ranges, everyone.crowd, everyone.texts, usual)
    return CategoryResult(scores, metrics, table, final, category_verdict(metrics), kept)


def _ranges(labels: Floats, chances: Floats) -> RangeTable:
    """Of the test window: how its level moved is one more window beside what is thought beforehand."""
    return fit_ranges(labels, chances, drift_of_one(fit_shift(logit(chances), labels)))


def _coverage(labels: Floats, chances: Floats, ranges: RangeTable, width: int) -> dict[str, dict[str, float]]:
    """How often ranges held on the test window that knew only the window before it: of pairs of like chance, and of categories.

    Args:
        labels: 0/1 of all pairs, by user and category (U × C).
        chances: Of the same.
        ranges: Learned on the calibration window as those in use are on the test window.
        width: C.
    """
    low, high = ranges.around(chances, np.zeros(len(chances)))
    categories = [np.arange(place, len(chances), width) for place in range(width)]
    return {
        "range": coverage(labels, chances, low, high),
        "range_categories": coverage_of(labels, chances, low, high, categories),
    }


def _few(users: int, seed: int) -> Indices:
    """Shoppers that stand in for whatever is left out, when a chance is explained."""
    return np.sort(np.random.default_rng(seed).choice(users, min(BACKGROUND_ROWS, users), replace=False))


def _rows(user_ids: list[str], chosen: set[str]) -> Indices:
    return np.flatnonzero(np.array([user in chosen for user in user_ids], dtype=bool))


def _sampled(known: list[list[str]], most: int, rng: np.random.Generator) -> set[str] | None:
    """At most so many of the users, the same at every cutoff; None for everyone."""
    users = sorted({user for some in known for user in some})
    return None if len(users) <= most else set(rng.choice(np.asarray(users, dtype=object), size=most, replace=False).tolist())


def _scored(pairs: Pairs, models: FittedCategories, winner: str, calibrator: Calibrator, ranges: RangeTable) -> pa.Table:
    """Everyone's chance in every category, some users at a time."""
    users, width = pairs.matrix.user_ids, len(pairs.categories)
    parts = []
    for start in range(0, len(users), CHUNK_USERS):
        grid = pairs.grid(np.arange(start, min(start + CHUNK_USERS, len(users))))
        chance = calibrator.apply(models.logits(grid, [winner])[winner])
        parts.append((chance, *ranges.around(chance, np.zeros(len(chance)))))
    chance, low, high = (np.concatenate(part) for part in zip(*parts, strict=True))
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()).take(pa.array(np.repeat(np.arange(len(users)), width))),
            "category": pa.array(pairs.categories, pa.string()).take(pa.array(np.tile(np.arange(width), len(users)))),
            "propensity": chance,
            "low": low,
            "high": high,
        }
    )


__all__ = ["MEANS", "CategoryResult", "fit_category_propensity"]
