"""Fit, calibrate, judge and use: from matrices at cutoffs to a propensity for everyone.

1. Models learn from the stacked training cutoffs. 2. On the later calibration window each gets its calibration, and the
winner is chosen there, both by cross-fitting over users. 3. The test window, later still, is looked at once. 4. The
winner is fitted again with the newest windows and scores everyone at the end of the log.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from core.messages import Message, say
from core.metrics import auc, log_loss
from core.predictor.calibration import (
    CalibrationChoice,
    Calibrator,
    RangeTable,
    choose_calibration,
    coverage,
    damp,
    fit_calibrator,
    fit_ranges,
    learn_carried,
)
from core.predictor.judge import bands, compare, judge, lift_table, reliability_table, write_verdict
from core.predictor.keeping import KeptModel, spread
from core.predictor.matrix import Floats, Indices, Matrix, stack, user_folds
from core.predictor.models import BLENDS, FITS, SEQUENCE_MODELS, Blend, Model, fit_models
from core.predictor.options import PropensityOptions
from core.predictor.plan import Labels, Plan, make_plan
from core.predictor.reasons import list_reasons
from core.predictor.result import PropensityResult
from core.predictor.threads import one_thread
from core.schema import Progress, part_of, silent
from core.store import Log

_log = logging.getLogger(__name__)

MatrixAt = Callable[[datetime], Matrix]
BASELINES = ("lightgbm", "logistic")
CROSS_FOLDS = 3


@dataclass(frozen=True)
class _Judged:
    """Models fitted on training windows, and rows that they were not fitted on."""

    models: dict[str, Model]
    choices: dict[str, CalibrationChoice]
    winner: str
    test: Matrix
    test_labels: Floats
    test_chances: dict[str, Floats]
    test_spread: Floats
    ranges: RangeTable
    """Learned before the test window."""


def fit_propensity(
    log: Log,
    matrix_at: MatrixAt,
    labels_at: Labels,
    options: PropensityOptions,
    rng: np.random.Generator,
    progress: Progress = silent,
) -> PropensityResult:
    """Fit, judge and use the propensity of an act.

    Args:
        log: Its start and end lay out the windows.
        matrix_at: Gives what was known at a cutoff, one row per user with an event before it.
        labels_at: Gives user_id and label of the same users in the window that starts at a cutoff.
        options: Act, horizon, models.
        rng: Source of all chance; the same state gives the same bytes.
        progress: Told along the way; a CancelledError that it raises is let through.

    Returns:
        Scores of everyone with an event before the end of the log, and all that was measured.

    Raises:
        GateError: Too little data for an honest model.
    """
    with one_thread():
        plan = make_plan(log.start, log.until, labels_at, options)
        for warning in plan.warnings:
            _log.warning(warning)
        progress(0.02, say("reading features as of the cutoffs"))
        matrices = _Matrices(matrix_at)
        judged = _fit_and_judge(plan, matrices, options, rng, part_of(progress, 0.05, 0.6))
        progress(0.62, say("fitting again with the newest windows"))
        calibrator = judged.choices[judged.winner].calibrator
        model, calibrator, used = _refit(plan, matrices, judged, calibrator, options, rng, part_of(progress, 0.62, 0.9))
        people = matrices.at(plan.use)
        progress(0.9, say("scoring everyone"))
        ranges = fit_ranges(judged.test_labels, judged.test_chances["propensity"])
        kept = KeptModel(judged.winner, model, calibrator, ranges, people.columns)
        scores = _scores(kept, people)
        progress(0.93, say("writing down reasons"))
        reasons = list_reasons(model, people, calibrator.slope, options.reasons_per_user)
        result = _report(plan, judged, options, rng, scores, reasons, used, kept)
    progress(1.0, say("propensity done"))
    return result


class _Matrices:
    """Matrices by cutoff, each computed once."""

    def __init__(self, matrix_at: MatrixAt) -> None:
        self._matrix_at = matrix_at
        self._kept: dict[datetime, Matrix] = {}

    def at(self, cutoff: datetime) -> Matrix:
        if cutoff not in self._kept:
            self._kept[cutoff] = self._matrix_at(cutoff)
        return self._kept[cutoff]

    def stacked(self, plan: Plan, cutoffs: tuple[datetime, ...], limit: int, rng: np.random.Generator) -> tuple[Matrix, Floats]:
        """Training rows of several cutoffs, at most about `limit`, sampled by user alike at every cutoff."""
        total = sum(len(plan.labels[cutoff]) for cutoff in cutoffs)
        parts, labels = [], []
        if total > limit:
            everyone = sorted({user for cutoff in cutoffs for user in self.at(cutoff).user_ids})
            chosen = set(rng.choice(np.asarray(everyone, dtype=object), size=int(len(everyone) * limit / total), replace=False).tolist())
        for cutoff in cutoffs:
            matrix, truth = self.at(cutoff), plan.labels[cutoff]
            if total > limit:
                mask = np.array([user in chosen for user in matrix.user_ids], dtype=bool)
                matrix, truth = matrix.rows(mask), truth[mask]
            parts.append(matrix)
            labels.append(truth)
        return stack(parts), np.concatenate(labels)


def _fit_and_judge(plan: Plan, matrices: _Matrices, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> _Judged:
    train, labels = matrices.stacked(plan, plan.train, options.max_train_rows, rng)
    names = ["mlp", "lightgbm", "logistic", "mean"]
    if train.text is not None:
        names[1:1] = ["mlp_counts"]
    if train.further:
        names += SEQUENCE_MODELS
    if plan.calibrate is not None:
        models = fit_models(names, train, labels, options, rng, part_of(progress, 0.0, 0.85))
        held, held_labels = matrices.at(plan.calibrate), plan.labels[plan.calibrate]
        logits = {name: model.logits(held) for name, model in models.items()}
    else:
        held, held_labels = train, labels
        logits = _cross_fitted(names, train, labels, options, rng, part_of(progress, 0.0, 0.6))
        models = fit_models(names, train, labels, options, rng, part_of(progress, 0.6, 0.85))
    folds = user_folds(held.user_ids, 5, rng)
    choices = {name: choose_calibration(logits[name], held_labels, folds) for name in names}
    winner = _choose_winner(names, held_labels, choices)
    ranges = fit_ranges(held_labels, choices[winner].cross_fitted)
    if plan.calibrate is not None:
        windows = [(cutoff, matrices.at(cutoff)) for cutoff in (*plan.train, plan.calibrate)]
        for name, choice in choices.items():
            if choice.calibrator.method != "none":
                carried = learn_carried([(models[name].logits(matrix), plan.labels[cutoff]) for cutoff, matrix in windows])
                choices[name] = replace(choice, calibrator=damp(choice.calibrator, carried))
    ablated = _ablation(winner, train)
    if ablated and ablated[0] not in models:
        models |= fit_models([ablated[0]], train, labels, options, rng, part_of(progress, 0.85, 0.95))
        choices[ablated[0]] = choices[ablated[1]]
    if plan.test is None:
        chances = {name: choice.cross_fitted for name, choice in choices.items() if name in names}
        test, test_labels = train, labels
    else:
        test, test_labels = matrices.at(plan.test), plan.labels[plan.test]
        chances = {name: choices[name].calibrator.apply(model.logits(test)) for name, model in models.items()}
    chances = {"propensity": chances[winner], **chances}
    return _Judged(models, choices, winner, test, test_labels, chances, spread(models[winner], test), ranges)


def _choose_winner(names: list[str], labels: Floats, choices: dict[str, CalibrationChoice]) -> str:
    """The model with the lowest log loss on validation; one that needs further blocks only when its interval says that it is better."""

    def best(some: list[str]) -> str:
        return min(some, key=lambda name: (log_loss(labels, choices[name].cross_fitted), names.index(name)))

    winner = best([name for name in names if name not in SEQUENCE_MODELS])
    if challengers := [name for name in names if name in SEQUENCE_MODELS]:
        challenger = best(challengers)
        if compare(labels, choices[challenger].cross_fitted, choices[winner].cross_fitted)["high"] < 0:
            return challenger
    return winner


def _ablation(winner: str, train: Matrix) -> tuple[str, str] | None:
    """The winner's family with and without the text profile."""
    if train.text is None:
        return None
    return ("lightgbm_text", "lightgbm") if winner.startswith("lightgbm") else ("mlp", "mlp_counts")


def _sequence_pair(judged: "_Judged") -> tuple[str, str] | None:
    """The model with further blocks that was best on validation, and the same model without them."""
    found = [name for name in SEQUENCE_MODELS if name in judged.choices]
    if not found:
        return None
    best = min(found, key=lambda name: min(judged.choices[name].losses.values()))
    return best, SEQUENCE_MODELS[best]


def _cross_fitted(
    names: list[str], matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress
) -> dict[str, Floats]:
    """Logits of each row from models that never saw its user."""
    folds: Indices = user_folds(matrix.user_ids, CROSS_FOLDS, rng)
    logits = {name: np.zeros(len(labels)) for name in names}
    for fold in range(CROSS_FOLDS):
        learned, judged = folds != fold, folds == fold
        share = part_of(progress, fold / CROSS_FOLDS, (fold + 1) / CROSS_FOLDS)
        models = fit_models(names, matrix.rows(learned), labels[learned], options, rng, share)
        unseen = matrix.rows(judged)
        for name in names:
            logits[name][judged] = models[name].logits(unseen)
    return logits


def _refit(
    plan: Plan, matrices: _Matrices, judged: _Judged, calibrator: Calibrator, options: PropensityOptions, rng: np.random.Generator,
    progress: Progress,
) -> tuple[Model, Calibrator, dict[str, Any]]:  # fmt: skip
    """The winner again, with the newest windows: all of them when no calibration is needed, else all but the one that calibrates."""
    cutoffs = tuple(c for c in (*plan.train, plan.calibrate, plan.test) if c is not None)
    if plan.test is None:
        return judged.models[judged.winner], calibrator, {"train": list(cutoffs), "calibrate": None}
    recalibrates = calibrator.method != "none" and plan.calibrate is not None
    newest = cutoffs[:-1] if recalibrates else cutoffs
    newest = newest[-max(len(plan.train), 4) :]
    train, labels = matrices.stacked(plan, newest, options.max_train_rows, rng)
    model = fit_models([judged.winner], train, labels, options, rng, progress)[judged.winner]
    if recalibrates:
        fresh = fit_calibrator(calibrator.method, model.logits(matrices.at(plan.test)), plan.labels[plan.test])
        calibrator = damp(fresh, calibrator.carried)
    return model, calibrator, {"train": list(newest), "calibrate": plan.test if recalibrates else None}


def _scores(kept: KeptModel, people: Matrix) -> pa.Table:
    scores = kept.score(people)
    chance = scores["propensity"].to_numpy()
    below = np.searchsorted(np.sort(chance), chance, side="left")
    percentile = 100.0 * below / max(len(chance) - 1, 1)
    return scores.append_column("percentile", pa.array(percentile)).append_column("band", pa.array(bands(_events(people)), pa.string()))


def _events(matrix: Matrix) -> Floats:
    return matrix.values[:, matrix.columns.index("events_all")] if "events_all" in matrix.columns else np.full(len(matrix.user_ids), 5.0)


def _report(
    plan: Plan, judged: _Judged, options: PropensityOptions, rng: np.random.Generator, scores: pa.Table, reasons: pa.Table,
    used: dict[str, Any], kept: KeptModel,
) -> PropensityResult:  # fmt: skip
    labels, chances, test = judged.test_labels, judged.test_chances, judged.test
    winning = judged.choices[judged.winner].calibrator
    low, high = judged.ranges.around(chances["propensity"], winning.slope * judged.test_spread)
    known = bands(_events(test))
    metrics = judge(labels, chances, known, rng)
    metrics["validation"] = {name: choice.losses for name, choice in judged.choices.items()}
    metrics["calibration"] = {name: choice.calibrator.card() for name, choice in judged.choices.items()}
    metrics["range"] = coverage(labels, chances["propensity"], low, high) | {
        "meaning": "the share of shoppers with this propensity who act, nine times in ten"
    }
    metrics["members"] = _member_figures(judged)
    text = _ablation(judged.winner, test)
    if plan.test is None:
        where = say("Cross-validated over users on the window from {start}", start=f"{plan.train[-1]:%Y-%m-%d}")
        text = text if text and text[0] in chances else None
    else:
        where = say("Test window {start} to {end}", start=f"{plan.test:%Y-%m-%d}", end=f"{plan.test + options.horizon:%Y-%m-%d}")
    competing = {name: chance for name, chance in chances.items() if name != "propensity"}
    verdict = write_verdict(
        options.act, labels, competing, judged.winner, [b for b in BASELINES if b in chances], text, where, _sequence_pair(judged)
    )
    test_table = {"user_id": pa.array(test.user_ids, pa.string()), "label": pa.array(labels.astype(np.int8)), **chances}
    curves = [{"model": name, **point} for name, fitted in judged.models.items() for point in getattr(fitted, "curves", [])]
    empty = pa.schema(
        [("model", pa.string()), ("member", pa.int64()), ("epoch", pa.int64()), ("train", pa.float64()), ("validation", pa.float64())]
    )
    return PropensityResult(
        scores=scores,
        test=pa.table(test_table | {"low": low, "high": high, "band": pa.array(known, pa.string())}),
        reliability=reliability_table(labels, chances),
        lift=lift_table(labels, chances["propensity"], test.user_ids),
        reasons=reasons,
        curves=pa.Table.from_pylist(curves, schema=empty),
        metrics=metrics,
        verdict=verdict,
        windows={
            "plan": plan.kind, "horizon_days": options.horizon.total_seconds() / 86400, "train": list(plan.train),
            "calibrate": plan.calibrate, "test": plan.test, "use": plan.use, "refit": used,
            "positives": {c.isoformat(): int(v.sum()) for c, v in sorted(plan.labels.items())},
            "users": {c.isoformat(): len(v) for c, v in sorted(plan.labels.items())},
        },
        card=_card(kept.model, judged, kept.calibrator, options),
        warnings=[*plan.warnings, *_drift_warnings(plan, labels, chances["propensity"])],
        kept=kept,
        judged=KeptModel(judged.winner, judged.models[judged.winner], winning, judged.ranges, test.columns),
    )  # fmt: skip


def _drift_warnings(plan: Plan, labels: Floats, chance: Floats) -> list[Message]:
    """Say when the test window was unlike the windows before it."""
    expected, happened = float(chance.sum()), float(labels.sum())
    noise = float(np.sqrt((chance * (1 - chance)).sum()))
    if plan.test is None or abs(happened - expected) < max(4 * noise, 0.15 * max(happened, expected)):
        return []
    return [
        say(
            "The log drifts: in the window from {day} {happened:,.0f} shoppers acted where {expected:,.0f} were expected. "
            "A ranking may still hold; take the chances themselves with care.",
            day=f"{plan.test:%Y-%m-%d}",
            happened=happened,
            expected=expected,
        )
    ]


def _member_figures(judged: _Judged) -> dict[str, Any]:
    """Log loss of each member alone on the test window: how much the start of a network decides."""
    figures = {}
    for name, model in judged.models.items():
        if isinstance(model, Blend) or name not in judged.test_chances:
            continue
        calibrator = judged.choices[name].calibrator
        losses = [log_loss(judged.test_labels, calibrator.apply(logits)) for logits in model.member_logits(judged.test)]
        aucs = [auc(judged.test_labels, logits) for logits in model.member_logits(judged.test)]
        figures[name] = {"members": len(losses), "log_loss_mean": float(np.mean(losses)), "log_loss_sd": float(np.std(losses)),
                         "auc_mean": float(np.mean(aucs)), "auc_sd": float(np.std(aucs))}  # fmt: skip
    return figures


def _card(model: Model, judged: _Judged, calibrator: Calibrator, options: PropensityOptions) -> dict[str, Any]:
    parts: dict[str, Model] = model.parts if isinstance(model, Blend) else {judged.winner: model}
    scaling = next((part.scaling for part in parts.values() if hasattr(part, "scaling")), None)
    return {
        "act": options.act,
        "seed": options.seed,
        "loss": "binary cross-entropy with logits, no class weights",
        "winner": judged.winner,
        "in_use": {name: part.card() for name, part in parts.items()},
        "compared": {name: fitted.card() for name, fitted in judged.models.items()},
        "calibration": calibrator.card(),
        "optimizer": options.network.optimizer,
        "scaling": scaling.card() if scaling else [],
        "user_ids": "never a feature: a one-hot user id would only remember training users and say nothing of new ones",
        "blend": {name: list(parts) for name, parts in BLENDS.items()},
        "tried": list(FITS),
    }
