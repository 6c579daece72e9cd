"""Figures of a test window, the paired comparison of models, and the verdict in words."""

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import xlogy

from core.messages import Message, say
from core.metrics import (
    auc,
    auc_estimate,
    average_precision,
    bootstrap,
    brier,
    calibration_error,
    calibration_floor,
    lift_curve,
    log_loss,
    log_losses,
    mean_estimate,
    reliability,
    resampled,
)  # fmt: skip
from core.predictor.matrix import Floats

BANDS = ("cold", "warm", "hot")
DRAWS = 400
NAMES = {
    "mlp": say("the neural network"), "mlp_counts": say("the neural network on counts alone"), "lightgbm": say("LightGBM on counts"),
    "lightgbm_text": say("LightGBM on counts and text"), "logistic": say("logistic regression"),
    "mean": say("the mean of network and LightGBM"),
    "ensemble": say("the mean of network, LightGBM and logistic regression"), "mlp_sequence": say("the neural network with further blocks"),
    "lightgbm_sequence": say("LightGBM on counts and further blocks"),
    "mean_sequence": say("the mean of network and LightGBM, both with further blocks"), "propensity": say("the propensity"),
    "ensemble_orders": say("the mean of network, LightGBM, logistic regression and BG/NBD"),
    "bgnbd": say("BG/NBD"), "cnn": say("the convolution over single acts"), "gru": say("the GRU over single acts"),
    "transformer": say("the transformer over single acts"), "mlp_tasks": say("the neural network with several tasks"),
}  # fmt: skip


WHY = {
    "best": say("the best on validation"),
    "usual": say("the usual mean, which no other beat on validation beyond chance and by 1%"),
    "clearly": say("on validation better than the usual mean beyond chance and by 1%"),
    "challenger": say("on validation better than the others beyond chance"),
    "worthless": say("the best on validation, where the usual mean did worse than one chance for everybody"),
}
"""Why a model is in use."""


def bands(events: Floats) -> list[str]:
    """Name how much is known of each user: cold 1 event, warm 2-4, hot 5 or more."""
    return [BANDS[0] if n <= 1 else BANDS[1] if n < 5 else BANDS[2] for n in events.tolist()]


def base_log_loss(labels: Floats) -> float:
    """Log loss of the best constant: the entropy of the share of positives."""
    rate = float(labels.mean())
    return float(-xlogy(rate, rate) - xlogy(1 - rate, 1 - rate))


def judge(labels: Floats, chances: dict[str, Floats], known: list[str], rng: np.random.Generator) -> dict[str, Any]:
    """Measure each model on the test window.

    Args:
        labels: 0/1 (N,).
        chances: Propensities (N,) by model name; `propensity` is the one on screen.
        known: Band of each user.
        rng: For bootstrap intervals and the floor of the calibration error.
    """
    return {
        "users": len(labels),
        "positives": int(labels.sum()),
        "base_rate": float(labels.mean()) if len(labels) else float("nan"),
        "base_log_loss": base_log_loss(labels),
        "models": {name: _figures(labels, chance, rng) for name, chance in chances.items()},
        "bands": {
            band: {"users": int(mask.sum()), "positives": int(labels[mask].sum()), "base_log_loss": base_log_loss(labels[mask]),
                   "auc": auc_estimate(labels[mask], chances["propensity"][mask]).as_dict(),
                   "log_loss": _loss(labels[mask], chances["propensity"][mask])}
            for band in BANDS
            if (mask := np.array([b == band for b in known], dtype=bool)).any()
        },
    }  # fmt: skip


def _loss(labels: Floats, chance: Floats) -> dict[str, float]:
    """Log loss of some shoppers; of few of them the interval would reach below what a log loss can be."""
    found = mean_estimate(log_losses(labels, chance))
    return {**found.as_dict(), "low": max(found.low, 0.0)}


def _figures(labels: Floats, chance: Floats, rng: np.random.Generator) -> dict[str, Any]:
    n = len(labels)
    draws = DRAWS if n <= 50_000 else 100
    return {
        "auc": bootstrap(lambda rows: auc(labels[rows], chance[rows]), n, rng, draws).as_dict(),
        "average_precision": average_precision(labels, chance),
        "log_loss": mean_estimate(log_losses(labels, chance)).as_dict(),
        "brier": brier(labels, chance),
        "calibration_error": calibration_error(labels, chance),
        "calibration_floor": calibration_floor(chance, rng, draws=100 if n > 50_000 else 200),
        "intervals": resampled(labels, chance, 200 if n <= 50_000 else 50),
        "expected": float(chance.sum()),
        "happened": int(labels.sum()),
    }


def reliability_table(labels: Floats, chances: dict[str, Floats]) -> pa.Table:
    """Equal-count bins of every model with Wilson bands."""
    rows = [
        {"model": name, "bin": place, **vars(part)}
        for name, chance in chances.items()
        for place, part in enumerate(reliability(labels, chance), start=1)
    ]
    return pa.Table.from_pylist(rows)


def lift_table(labels: Floats, chance: Floats, user_ids: list[str]) -> pa.Table:
    """Gains and lift by depth."""
    return pa.Table.from_pylist(lift_curve(labels, chance, np.asarray(user_ids)))


def compare(labels: Floats, ours: Floats, theirs: Floats) -> dict[str, float]:
    """Paired difference of log loss over users, ours minus theirs, with its 95 % interval: below zero is better."""
    return mean_estimate(log_losses(labels, ours) - log_losses(labels, theirs)).as_dict()


def describe_difference(difference: dict[str, float]) -> Message:
    """An interval in words."""
    span = f"{difference['value']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"
    if difference["high"] < 0:
        return say("better ({span})", span=span)
    if difference["low"] > 0:
        return say("worse ({span})", span=span)
    return say("neither better nor worse within its interval ({span})", span=span)


def write_verdict(
    act: Message,
    labels: Floats,
    chances: dict[str, Floats],
    winner: str,
    baselines: list[str],
    text: tuple[str, str] | None,
    where: str,
    sequence: tuple[str, str] | None = None,
    why: str = "best",
) -> dict[str, Any]:
    """Say in words what won and by how much.

    Args:
        act: What is predicted, and in which category where in one alone.
        labels: 0/1 of the test rows (N,).
        chances: Calibrated propensities by model (N,).
        winner: Chosen on validation.
        baselines: Models without a network or text.
        text: Names of the same model with and without the text profile; None when the log has no texts.
        where: The test window in words.
        sequence: Names of the best model on validation that sees further blocks and of the same without them; None when no model does.
        why: Of the winner, a key of WHY.
    """
    losses = {name: log_loss(labels, chance) for name, chance in chances.items()}
    best = min(baselines, key=lambda name: (losses[name], name))
    sentences = [
        say(
            "{where}: {shoppers:,} shoppers, {share} with the act {act}. In use: {winner}, {why}; "
            "log loss {loss} against {base} of the base rate alone.",
            where=where,
            shoppers=len(labels),
            share=f"{labels.mean():.1%}",
            act=act,
            winner=NAMES[winner],
            why=WHY[why],
            loss=f"{losses[winner]:.4f}",
            base=f"{base_log_loss(labels):.4f}",
        )
    ]
    record: dict[str, Any] = {"winner": winner, "why": why, "best_baseline": best, "log_losses": losses}
    if winner == best:
        rival = min((n for n in losses if n not in baselines), key=lambda n: (losses[n], n), default=None)
        if rival:
            record["difference"] = compare(labels, chances[rival], chances[winner])
            sentences.append(
                say(
                    "Counting wins here: beside it, {rival} is {difference} in log loss.",
                    rival=NAMES[rival],
                    difference=describe_difference(record["difference"]),
                )
            )
    else:
        record["difference"] = compare(labels, chances[winner], chances[best])
        sentences.append(
            say(
                "Against the best baseline, {best}, it is {difference} in log loss.",
                best=NAMES[best],
                difference=describe_difference(record["difference"]),
            )
        )
    if text:
        record["text"] = compare(labels, chances[text[0]], chances[text[1]])
        model = say("LightGBM") if text[1] == "lightgbm" else say("the neural network")
        told = {"model": model, "difference": describe_difference(record["text"])}
        if record["text"]["high"] < 0:
            sentences.append(say("The profile text helps on this log: with it, {model} is {difference} in log loss.", **told))
        elif record["text"]["low"] > 0:
            sentences.append(say("The profile text hurts on this log: with it, {model} is {difference} in log loss.", **told))
        else:
            sentences.append(say("The profile text does not help on this log: with it, {model} is {difference} in log loss.", **told))
    else:
        sentences.append(say("No texts of items were looked at, so the propensity rests on counts."))
    if sequence:
        record["sequence"] = compare(labels, chances[sequence[0]], chances[sequence[1]]) | {"model": sequence[0], "without": sequence[1]}
        told = {"model": NAMES[sequence[0]], "difference": describe_difference(record["sequence"]), "without": NAMES[sequence[1]]}
        if winner == sequence[0]:
            sentences.append(
                say("The further blocks earned their place on validation. Against {without}, {model} is {difference} in log loss.", **told)
            )
        else:
            sentences.append(
                say("The further blocks earned no place on validation. Against {without}, {model} is {difference} in log loss.", **told)
            )
    return record | {"sentences": sentences}
