"""What a fitted propensity hands over, and how it is written."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.artifacts import write_arrays, write_json, write_table
from core.predictor.baselines import FittedBoosting
from core.predictor.history_networks import FittedHistory
from core.predictor.models import Blend, Model
from core.predictor.network import FittedNetwork


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
    models: dict[str, Model] = field(default_factory=dict)
    """The models in use at the end of the log."""
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
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, model in _flat(result.models).items():
        if isinstance(model, FittedNetwork | FittedHistory):
            arrays |= {f"{name}.{key}": value for key, value in model.arrays().items()}
        if isinstance(model, FittedBoosting):
            for member, booster in enumerate(model.boosters):
                (folder / f"{name}_{member}.lightgbm.txt").write_text(booster.model_to_string(), encoding="utf-8")
    if arrays:
        write_arrays(folder / "models.safetensors", {name: np.asarray(value) for name, value in arrays.items()})
    write_json(folder / "card.json", result.card)
    return {"metrics": result.metrics, "verdict": result.verdict, "windows": result.windows, "warnings": result.warnings}


def _flat(models: dict[str, Model]) -> dict[str, Model]:
    flat: dict[str, Model] = {}
    for name, model in models.items():
        flat |= _flat(model.parts) if isinstance(model, Blend) else {name: model}
    return flat
