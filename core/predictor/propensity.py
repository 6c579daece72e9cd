"""Fit, calibrate, judge and use: from matrices at cutoffs to a propensity for everyone.

1. Models learn from the stacked training cutoffs. 2. On the later calibration window each gets its calibration, and the
winner is chosen there, both by cross-fitting over users; what of a correction is carried on, and how wide ranges must be, tells
the walk through all windows so far. 3. The test window, later still, is looked at once. 4. The winner is fitted again with the
newest windows and scores everyone at the end of the log.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from scipy.special import expit

from core.messages import Message, say
from core.metrics import log_loss
from core.predictor.calibration import (
    IN_PLACE,
    IN_TIME,
    CalibrationChoice,
    Calibrator,
    choose_calibration,
    damp,
    fit_ranges,
)
from core.predictor.drift import Drift, fit_shift, learn_drift
from core.predictor.gates import check_features, doubts
from core.predictor.judge import compare
from core.predictor.keeping import KeptModel, spread
from core.predictor.matrix import Floats, Indices, Matrix, stack, user_folds
from core.predictor.models import OVER_ACTS, SEQUENCE_MODELS, TASKS, Model, contenders, fit_models
from core.predictor.options import PropensityOptions
from core.predictor.plan import Labels, Plan, make_plan
from core.predictor.reasons import list_reasons
from core.predictor.reporting import Judged, ablation, score_table, write_report
from core.predictor.result import PropensityResult
from core.predictor.threads import one_thread
from core.schema import Progress, part_of, silent
from core.store import Log

_log = logging.getLogger(__name__)

MatrixAt = Callable[[datetime], Matrix]
TasksAt = Callable[[datetime], Floats]
"""Labels (N, T) of further tasks in the window that starts at a cutoff, in the order of the labels of the asked one; the cutoffs that are
learned from are asked for, oldest first, and no other."""
CROSS_FOLDS = 3
CHALLENGERS = (*SEQUENCE_MODELS, *OVER_ACTS)
"""They cost most and are the least steady, so they must be better beyond chance."""
USUAL = ("ensemble_orders", "ensemble")
"""The first of them that competes wins unless another is clearly better: which of its parts was best on one window says little of the
next."""
CLEARLY = 0.01
"""Share of its log loss by which another must be better, beyond chance, to win in its stead."""


def fit_propensity(
    log: Log,
    matrix_at: MatrixAt,
    labels_at: Labels,
    options: PropensityOptions,
    rng: np.random.Generator,
    progress: Progress = silent,
    tasks_at: TasksAt | None = None,
    what_would_pass: Callable[[], Message] | None = None,
) -> PropensityResult:
    """Fit, judge and use the propensity of an act.

    Args:
        log: Its start and end lay out the windows.
        matrix_at: Gives what was known at a cutoff, one row per user with an event before it.
        labels_at: Gives user_id and label of the same users in the window that starts at a cutoff.
        options: Act, horizon, models.
        rng: Source of all chance; the same state gives the same bytes.
        progress: Told along the way; a CancelledError that it raises is let through.
        tasks_at: Gives labels of further tasks; asked only where the model that learns them competes.
        what_would_pass: Asked where there is too little data: what else of the log would pass.

    Returns:
        Scores of everyone with an event before the end of the log, and all that was measured.

    Raises:
        GateError: Too little data for an honest model.
    """
    with one_thread():
        plan = make_plan(options.laid_from(log.start), log.until, labels_at, options, what_would_pass)
        for warning in plan.warnings:
            _log.warning(warning)
        progress(0.02, say("reading features as of the cutoffs"))
        matrices = _Matrices(matrix_at, tasks_at if TASKS in options.models else None)
        judged = _fit_and_judge(plan, matrices, options, rng, part_of(progress, 0.05, 0.6))
        progress(0.62, say("fitting again with the newest windows"))
        drift = _drift_until(plan, matrices, rng, plan.test)
        model, calibrator, used = _refit(plan, matrices, judged, drift, options, rng, part_of(progress, 0.62, 0.9))
        people = matrices.at(plan.use)
        progress(0.9, say("scoring everyone"))
        ranges = fit_ranges(judged.test_labels, judged.test_chances["propensity"], drift)
        kept = KeptModel(judged.winner, model, calibrator, ranges, people.columns)
        scores = score_table(kept, people)
        progress(0.93, say("writing down reasons"))
        reasons = list_reasons(model, people, calibrator.slope, options.reasons_per_user)
        result = write_report(plan, judged, options, rng, scores, reasons, used, kept)
    progress(1.0, say("propensity done"))
    return result


class _Matrices:
    """Matrices by cutoff, each computed once, and what is learned from them."""

    def __init__(self, matrix_at: MatrixAt, tasks_at: TasksAt | None = None) -> None:
        self._matrix_at, self._tasks_at = matrix_at, tasks_at
        self._kept: dict[datetime, Matrix] = {}

    def at(self, cutoff: datetime) -> Matrix:
        if cutoff not in self._kept:
            self._kept[cutoff] = self._matrix_at(cutoff)
        return self._kept[cutoff]

    def stacked(
        self, plan: Plan, cutoffs: tuple[datetime, ...], limit: int, rng: np.random.Generator
    ) -> tuple[Matrix, Floats, Floats | None]:
        """Training rows of several cutoffs, at most about `limit`, sampled by user alike at every cutoff; their labels and tasks."""
        total = sum(len(plan.labels[cutoff]) for cutoff in cutoffs)
        parts, labels, tasks = [], [], []
        if total > limit:
            everyone = sorted({user for cutoff in cutoffs for user in self.at(cutoff).user_ids})
            chosen = set(rng.choice(np.asarray(everyone, dtype=object), size=int(len(everyone) * limit / total), replace=False).tolist())
        for cutoff in cutoffs:
            matrix, truth = self.at(cutoff), plan.labels[cutoff]
            further = self._tasks_at(cutoff) if self._tasks_at else None
            if total > limit:
                mask = np.array([user in chosen for user in matrix.user_ids], dtype=bool)
                matrix, truth, further = matrix.rows(mask), truth[mask], None if further is None else further[mask]
            parts.append(matrix)
            labels.append(truth)
            if further is not None:
                tasks.append(further)
        return stack(parts), np.concatenate(labels), np.concatenate(tasks) if tasks else None


def _fit_and_judge(plan: Plan, matrices: _Matrices, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Judged:
    train, labels, tasks = matrices.stacked(plan, plan.train, options.max_train_rows, rng)
    names = contenders(train, options)
    spent: dict[str, float] = {}
    check_features(train)
    warnings = doubts(train, labels, options)
    if plan.calibrate is not None:
        models = fit_models(names, train, labels, options, rng, part_of(progress, 0.0, 0.85), spent, tasks)
        held, held_labels = matrices.at(plan.calibrate), plan.labels[plan.calibrate]
        logits = {name: model.logits(held) for name, model in models.items()}
    else:
        held, held_labels = train, labels
        logits = _cross_fitted(names, train, labels, options, rng, part_of(progress, 0.0, 0.6), tasks)
        models = fit_models(names, train, labels, options, rng, part_of(progress, 0.6, 0.85), spent, tasks)
    folds = user_folds(held.user_ids, 5, rng)
    methods = IN_PLACE if plan.calibrate is None else IN_TIME
    choices = {name: choose_calibration(logits[name], held_labels, folds, methods) for name in names}
    drift = _drift_until(plan, matrices, rng, plan.calibrate)
    carried = 1.0 if plan.calibrate is None else drift.carried
    as_used = {name: _as_used(logits[name], held_labels, choices[name], carried) for name in USUAL if name in names}
    winner, why = _choose_winner(names, held_labels, choices, as_used)
    ranges = fit_ranges(held_labels, choices[winner].cross_fitted, drift if plan.test is not None else None)
    if plan.calibrate is not None:
        choices = {name: replace(choice, calibrator=damp(choice.calibrator, drift.carried)) for name, choice in choices.items()}
    ablated = ablation(winner, train)
    if ablated and ablated[0] not in models:
        models |= fit_models([ablated[0]], train, labels, options, rng, part_of(progress, 0.85, 0.95), spent)
        choices[ablated[0]] = choices[ablated[1]]
    if plan.test is None:
        chances = {name: choice.cross_fitted for name, choice in choices.items() if name in names}
        test, test_labels = train, labels
    else:
        test, test_labels = matrices.at(plan.test), plan.labels[plan.test]
        chances = {name: choices[name].calibrator.apply(model.logits(test)) for name, model in models.items()}
    chances = {"propensity": chances[winner], **chances}
    return Judged(models, choices, winner, test, test_labels, chances, spread(models[winner], test), ranges, drift, spent, warnings, why)


def _as_used(logits: Floats, labels: Floats, choice: CalibrationChoice, carried: float) -> Floats:
    """Chances of the validation rows as later windows get them, with what is carried on of a slope, at the level that is known here."""
    if choice.calibrator.method == "isotonic":
        return choice.cross_fitted
    scaled = damp(choice.calibrator, carried).slope * logits
    return np.asarray(expit(scaled + fit_shift(scaled, labels)))


def _choose_winner(
    names: list[str], labels: Floats, choices: dict[str, CalibrationChoice], as_used: Mapping[str, Floats]
) -> tuple[str, str]:
    """The model in use and why (a key of judge.WHY), both from validation.

    The usual mean, unless another is clearly better; where one chance for everybody is nearer, the next usual mean or the best model
    stands in its place. A slope near nothing saves any mean on validation and is carried on only in part, so that a mean is judged
    as it will be used: where labels hold no signal BG/NBD is far off. One that needs further blocks when its interval says so.

    Args:
        names: Who competes.
        labels: 0/1 of the validation rows (N,).
        choices: Their calibration, with cross-fitted chances of the same rows.
        as_used: Chances of the usual means as later windows get them (N,).
    """

    def best(some: list[str]) -> str:
        return min(some, key=lambda name: (log_loss(labels, choices[name].cross_fitted), names.index(name)))

    one_for_all = log_loss(labels, np.full(len(labels), float(labels.mean())))
    plain = [name for name in names if name not in CHALLENGERS]
    means = [name for name in USUAL if name in names]
    kept = [name for name in means if log_loss(labels, as_used[name]) <= one_for_all + 1e-9]
    winner, why = best(plain), "worthless" if means and not kept else "best"
    if kept and winner == kept[0]:
        why = "best"
    elif kept:
        usual = kept[0]
        expected = choices[usual].cross_fitted
        gain = compare(labels, choices[winner].cross_fitted, expected)
        why = "clearly"
        if gain["high"] >= 0 or -gain["value"] < CLEARLY * log_loss(labels, expected):
            winner, why = usual, "usual"
    if challengers := [name for name in names if name in CHALLENGERS]:
        challenger = best(challengers)
        if compare(labels, choices[challenger].cross_fitted, choices[winner].cross_fitted)["high"] < 0:
            return challenger, "challenger"
    return winner, why


def _drift_until(plan: Plan, matrices: _Matrices, rng: np.random.Generator, last: datetime | None) -> Drift:
    """What the windows of the plan up to `last` tell of the next; the training windows alone where that is None."""
    cutoffs = [c for c in (*plan.train, plan.calibrate, plan.test) if c is not None and (c in plan.train or (last and c <= last))]
    return learn_drift([(matrices.at(cutoff), plan.labels[cutoff]) for cutoff in cutoffs], rng)


def _cross_fitted(
    names: list[str], matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress,
    tasks: Floats | None,
) -> dict[str, Floats]:  # fmt: skip
    """Logits of each row from models that never saw its user."""
    folds: Indices = user_folds(matrix.user_ids, CROSS_FOLDS, rng)
    logits = {name: np.zeros(len(labels)) for name in names}
    for fold in range(CROSS_FOLDS):
        learned, judged = folds != fold, folds == fold
        share = part_of(progress, fold / CROSS_FOLDS, (fold + 1) / CROSS_FOLDS)
        beside = None if tasks is None else tasks[learned]
        models = fit_models(names, matrix.rows(learned), labels[learned], options, rng, share, tasks=beside)
        unseen = matrix.rows(judged)
        for name in names:
            logits[name][judged] = models[name].logits(unseen)
    return logits


def _refit(
    plan: Plan, matrices: _Matrices, judged: Judged, drift: Drift, options: PropensityOptions, rng: np.random.Generator,
    progress: Progress,
) -> tuple[Model, Calibrator, dict[str, Any]]:  # fmt: skip
    """The winner again, with the newest windows; by what share of its distance to the level of the newest one it is shifted, `drift` says.

    The model has learned the mean level of its windows. On Complete Journey this loses half as much to the level of a window that
    nobody knows as a model that leaves the newest window out and is corrected on it (docs/decisions/0021).
    """
    calibrator = judged.choices[judged.winner].calibrator
    if plan.test is None or not options.refit:
        return judged.models[judged.winner], calibrator, {"train": list(plan.train), "calibrate": None}
    cutoffs = tuple(c for c in (*plan.train, plan.calibrate, plan.test) if c is not None)
    newest = cutoffs[-max(len(plan.train), 4) :]
    train, labels, tasks = matrices.stacked(plan, newest, options.max_train_rows, rng)
    model = fit_models([judged.winner], train, labels, options, rng, progress, tasks=tasks)[judged.winner]
    if plan.calibrate is not None:
        shift = fit_shift(calibrator.slope * model.logits(matrices.at(plan.test)), plan.labels[plan.test])
        method = "shift" if calibrator.slope == 1 else "sigmoid"
        calibrator = Calibrator(method, calibrator.slope, drift.carried * shift, carried=drift.carried)
    return model, calibrator, {"train": list(newest), "calibrate": plan.test if plan.calibrate is not None else None}
