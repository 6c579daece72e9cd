"""What a propensity run says of itself: scores, figures of the test window, model card, warnings."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from core.messages import Message, say
from core.metrics import auc, log_loss
from core.predictor.calibration import CalibrationChoice, Calibrator, RangeTable, coverage
from core.predictor.drift import Drift
from core.predictor.gates import varying
from core.predictor.judge import bands, judge, lift_table, reliability_table, write_verdict
from core.predictor.keeping import KeptModel, can_keep
from core.predictor.matrix import Floats, Matrix
from core.predictor.models import BASELINES, BLENDS, FITS, SEQUENCE_MODELS, TASKS, Blend, Model
from core.predictor.options import PropensityOptions
from core.predictor.plan import Plan
from core.predictor.result import PropensityResult

DRIFT_SD, DRIFT_SHARE = 4, 0.05
"""A test window that strays from its expected sum by so many standard deviations of pure chance, and by such a share, is told."""


@dataclass(frozen=True)
class Judged:
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
    drift: Drift
    """The same."""
    seconds: dict[str, float] = field(default_factory=dict)
    """CPU seconds that fitting each model took."""
    warnings: tuple[Message, ...] = ()
    why: str = "best"
    """Of the winner, a key of judge.WHY."""


def ablation(winner: str, train: Matrix) -> tuple[str, str] | None:
    """The winner's family with and without the text profile."""
    if train.text is None:
        return None
    return ("lightgbm_text", "lightgbm") if winner.startswith("lightgbm") else ("mlp", "mlp_counts")


def sequence_pair(judged: Judged) -> tuple[str, str] | None:
    """The model with the sequence block that was best on validation, and the same model without it."""
    found = [name for name in SEQUENCE_MODELS if name in judged.choices]
    if not found:
        return None
    best = min(found, key=lambda name: min(judged.choices[name].losses.values()))
    return best, SEQUENCE_MODELS[best]


def score_table(kept: KeptModel, people: Matrix) -> pa.Table:
    """Scores of everyone, with the percentile among them and how much is known of each."""
    scores = kept.score(people)
    chance = scores["propensity"].to_numpy()
    below = np.searchsorted(np.sort(chance), chance, side="left")
    percentile = 100.0 * below / max(len(chance) - 1, 1)
    return scores.append_column("percentile", pa.array(percentile)).append_column("band", pa.array(bands(_events(people)), pa.string()))


def _events(matrix: Matrix) -> Floats:
    return matrix.values[:, matrix.columns.index("events_all")] if "events_all" in matrix.columns else np.full(len(matrix.user_ids), 5.0)


def write_report(
    plan: Plan, judged: Judged, options: PropensityOptions, rng: np.random.Generator, scores: pa.Table, reasons: pa.Table,
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
    metrics["drift"] = {"carried": judged.drift.carried, "between": judged.drift.between, "windows": len(judged.drift.shifts)}
    metrics["members"] = _member_figures(judged)
    text = ablation(judged.winner, test)
    if plan.test is None:
        where = say("Cross-validated over users on the window from {start}", start=f"{plan.train[-1]:%Y-%m-%d}")
        text = text if text and text[0] in chances else None
    else:
        where = say("Test window {start} to {end}", start=f"{plan.test:%Y-%m-%d}", end=f"{plan.test + options.horizon:%Y-%m-%d}")
    competing = {name: chance for name, chance in chances.items() if name != "propensity"}
    act = say(options.act)
    if options.category:
        act = say("{act} in category “{category}”", act=act, category=options.category)
    verdict = write_verdict(
        act, labels, competing, judged.winner, [b for b in BASELINES if b in chances], text, where, sequence_pair(judged), judged.why
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
        warnings=[*plan.warnings, *judged.warnings, *_drift_warnings(plan, labels, chances["propensity"])],
        tasks=getattr(judged.models.get(TASKS), "tasks", ()),
        kept=kept if can_keep(kept.model) else None,
        judged=KeptModel(judged.winner, judged.models[judged.winner], winning, judged.ranges, test.columns)
        if can_keep(judged.models[judged.winner])
        else None,
    )  # fmt: skip


def _drift_warnings(plan: Plan, labels: Floats, chance: Floats) -> list[Message]:
    """Say when the test window was unlike the windows before it."""
    expected, happened = float(chance.sum()), float(labels.sum())
    noise = float(np.sqrt((chance * (1 - chance)).sum()))
    if plan.test is None or abs(happened - expected) < max(DRIFT_SD * noise, DRIFT_SHARE * max(happened, expected)):
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


def _member_figures(judged: Judged) -> dict[str, Any]:
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


def _card(model: Model, judged: Judged, calibrator: Calibrator, options: PropensityOptions) -> dict[str, Any]:
    parts: dict[str, Model] = model.parts if isinstance(model, Blend) else {judged.winner: model}
    scaling = next((part.scaling for part in parts.values() if hasattr(part, "scaling")), None)
    return {
        "act": options.act,
        "category": options.category,
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
        "tried": [name for name in (*FITS, TASKS, *BLENDS) if name in judged.models],
        "seconds": judged.seconds,
        "features": judged.test.columns,
        "constant_features": sorted(set(judged.test.columns) - set(varying(judged.test))),
    }
