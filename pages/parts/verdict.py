"""The verdict of a propensity run in sentences, from its numbers alone: what won, by how much, whether texts and further blocks help."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pages.parts.text import _, counted, day, number, part_of, percent, said, small_cells
from pages.parts.words import asked_word

BASELINES = ("lightgbm", "logistic", "bgnbd")
"""Models without a network or text, as core's verdict takes them."""
CONTENDER_WORDS = {
    "mlp": "the neural network",
    "mlp_counts": "the neural network on counts alone",
    "lightgbm": "LightGBM on counts",
    "lightgbm_text": "LightGBM on counts and text",
    "logistic": "logistic regression",
    "mean": "the mean of network and LightGBM",
    "ensemble": "the mean of network, LightGBM and logistic regression",
    "ensemble_orders": "the mean of network, LightGBM, logistic regression and BG/NBD",
    "mlp_sequence": "the neural network with further blocks",
    "lightgbm_sequence": "LightGBM on counts and further blocks",
    "mean_sequence": "the mean of network and LightGBM, both with further blocks",
    "bgnbd": "BG/NBD",
    "cnn": "the convolution over single acts",
    "gru": "the GRU over single acts",
    "transformer": "the transformer over single acts",
    "mlp_tasks": "the neural network with several tasks",
}
TEXT_WORDS = {"mlp": "the neural network", "lightgbm_text": "LightGBM"}
"""What gains or loses by the text, as the sentence names it."""


WHY_WORDS = {
    "": "chosen on validation",
    "best": "the best on validation",
    "usual": "the usual mean, which no other beat on validation beyond chance and by 1%",
    "clearly": "on validation better than the usual mean beyond chance and by 1%",
    "challenger": "on validation better than the others beyond chance",
    "worthless": "the best on validation, where the usual mean did worse than one chance for everybody",
}
"""Why a model is in use, as core's verdict has it; runs of earlier releases do not say."""


def sentences(manifest: Mapping[str, Any]) -> list[str]:
    """Tell the verdict of a run; a run whose figures are not all there is told in core's own words.

    Args:
        manifest: The run's manifest: verdict, metrics, windows, config.
    """
    verdict, metrics = manifest.get("verdict") or {}, manifest.get("metrics") or {}
    losses = verdict.get("log_losses") or {}
    if verdict.get("winner") not in losses or "difference" not in verdict:
        return [said(sentence) for sentence in verdict.get("sentences", [])]
    winner, best = verdict["winner"], verdict["best_baseline"]
    told = [
        _where(manifest.get("windows") or {})
        + _(
            "{users} shoppers, {rate} with the act {act}. In use: {winner}, {why}; log loss {loss} against {base} of the base rate alone.",
            users=counted(metrics.get("users")),
            rate=part_of(metrics.get("positives") or 0, metrics.get("users") or 0) if small_cells() else percent(metrics.get("base_rate")),
            act=asked_word(manifest.get("config") or {}),
            winner=_contender(winner),
            why=_(WHY_WORDS[verdict.get("why", "")]),
            loss=number(losses[winner], 4),
            base=number(metrics.get("base_log_loss"), 2 if small_cells() else 4),  # more digits would give the count of buyers away
        )
    ]
    difference = _difference(verdict["difference"])
    if winner == best:
        rival = min((name for name in losses if name not in BASELINES), key=lambda name: (losses[name], name), default=None)
        if rival:
            told.append(
                _("Counting wins here: beside it, {rival} is {difference} in log loss.", rival=_contender(rival), difference=difference)
            )
    else:
        told.append(_("Against the best baseline, {best}, it is {difference} in log loss.", best=_contender(best), difference=difference))
    if text := verdict.get("text"):
        model = _(TEXT_WORDS["lightgbm_text" if winner.startswith("lightgbm") else "mlp"])
        told.append(_text(text) + _("With it, {model} is {difference} in log loss.", model=model, difference=_difference(text)))
    else:
        told.append(_("No texts of items were looked at, so the chance rests on counts."))
    if sequence := verdict.get("sequence"):
        earned = winner == sequence["model"]
        told.append(
            (
                _("The further blocks earned their place on validation. ")
                if earned
                else _("The further blocks earned no place on validation. ")
            )
            + _(
                "Against {without}, {model} is {difference} in log loss.",
                without=_contender(sequence["without"]),
                model=_contender(sequence["model"]),
                difference=_difference(sequence),
            )
        )
    return told


def doubts(manifest: Mapping[str, Any]) -> list[str]:
    """Say why the chances of a run should not be acted on as they stand, from its test window; empty when nothing speaks against them.

    Args:
        manifest: The run's manifest: metrics, warnings.
    """
    metrics = manifest.get("metrics") or {}
    shown, base = (metrics.get("models") or {}).get("propensity") or {}, metrics.get("base_log_loss")
    told = []
    loss = (shown.get("log_loss") or {}).get("value")
    if loss is not None and base is not None and loss > base:
        told.append(
            _(
                "In the test window one chance for everybody, the base rate, would have been nearer than these (log loss {base} against "
                "{loss}).",
                base=number(base, 2 if small_cells() else 3),
                loss=number(loss, 3),
            )
        )
    area = shown.get("auc") or {}
    if (low := area.get("low")) is not None and low <= 0.5:
        told.append(
            _("They did not tell shoppers apart (AUC {auc} [{low}, {high}]; 0.5 is guessing).", auc=number(area["value"], 3),
              low=number(low, 3), high=number(area["high"], 3))
        )  # fmt: skip
    return told + [said(warning) for warning in manifest.get("warnings", []) if is_drift(warning)]


def is_drift(warning: str) -> bool:
    """Whether a note of a run says that its test window was unlike the windows before."""
    return str(warning).startswith("The log drifts")


def _where(windows: Mapping[str, Any]) -> str:
    test, days = windows.get("test"), windows.get("horizon_days")
    if test and days:
        end = (datetime.fromisoformat(test) + timedelta(days=days)).isoformat()
        return _("Test window {start} to {end}: ", start=day(test), end=day(end))
    train = windows.get("train") or [None]
    return _("Cross-validated over shoppers on the window from {start}: ", start=day(train[-1]))


def _text(difference: Mapping[str, float]) -> str:
    if difference["high"] < 0:
        return _("The profile text helps on this log. ")
    return _("The profile text hurts on this log. ") if difference["low"] > 0 else _("The profile text does not help on this log. ")


def _difference(record: Mapping[str, float]) -> str:
    span = f"{record['value']:+.4f} [{record['low']:+.4f}, {record['high']:+.4f}]"
    if record["high"] < 0:
        return _("better ({span})", span=span)
    if record["low"] > 0:
        return _("worse ({span})", span=span)
    return _("neither better nor worse within its interval ({span})", span=span)


def _contender(name: str) -> str:
    return _(CONTENDER_WORDS[name]) if name in CONTENDER_WORDS else name
