"""What a fitted propensity hands over, and how it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.artifacts import write_json, write_table
from core.predictor.keeping import JUDGED, KeptModel, save_model


@dataclass(frozen=True)
class PropensityResult:
    """Scores, their test, and everything that pages say about them."""

    scores: pa.Table
    """user_id (ascending), propensity, low, high, percentile (0-100), band (cold 1 event, warm 2-4, hot 5 or more)."""
    test: pa.Table
    """user_id, label, propensity, one column per model, low, high, band: the test window."""
    reliability: pa.Table
    """model, bin (from 1), n, mean_propensity, rate, low, high, smallest, largest; `propensity` is the one on screen."""
    lift: pa.Table
    """depth, users, buyers, gain, rate, low, high, lift."""
    reasons: pa.Table
    """user_id, place (from 1), feature, contribution (log-odds), value."""
    curves: pa.Table
    """model, member, epoch, train, validation."""
    metrics: dict[str, Any]
    verdict: dict[str, Any]
    windows: dict[str, Any]
    card: dict[str, Any]
    warnings: list[str]
    kept: KeptModel | None = None
    """The model in use at the end of the log."""
    judged: KeptModel | None = None
    """The same as it was judged on the test window, which it had not seen."""
    tasks: tuple[dict[str, Any], ...] = ()
    """What one network learned beside the asked task, where that was asked for: place, positives, auc on held-out users."""
    categories: pa.Table | None = None
    """user_id, category, propensity, low, high."""


def save_result(result: PropensityResult, folder: Path) -> dict[str, Any]:
    """Write the files of a propensity run into a folder; returns what belongs into the manifest.

    Tables are Parquet, weights safetensors and LightGBM's own text form, the model card JSON.
    """
    tables = {
        "scores": result.scores,
        "test": result.test,
        "reliability": result.reliability,
        "lift": result.lift,
        "reasons": result.reasons,
        "curves": result.curves,
    }
    if result.categories is not None:
        tables["categories"] = result.categories
    for name, table in tables.items():
        write_table(folder / f"{name}.parquet", table)
    if result.kept is not None:
        save_model(result.kept, folder)
    if result.judged is not None:
        save_model(result.judged, folder, JUDGED)
    write_json(folder / "card.json", result.card)
    return {"metrics": result.metrics, "verdict": result.verdict, "windows": result.windows, "warnings": result.warnings}
