"""Why a shopper's propensity is high or low: the features that move it most, in log-odds."""

import numpy as np
import pyarrow as pa

from core.predictor.matrix import Matrix
from core.predictor.models import Model

ROWS = 32_768
"""Shoppers that are explained together, at least: what a blend of models needs beside its inputs is eight times as much as these.
More than `baselines.MANY_ROWS`, so that all parts of many shoppers are explained alike."""


def list_reasons(model: Model, matrix: Matrix, slope: float, per_user: int) -> pa.Table:
    """List each user's strongest contributions.

    Args:
        model: The one in use.
        matrix: Users as of the cutoff (N, F).
        slope: Of the calibration, so that contributions are in log-odds of the propensity.
        per_user: Longest list.

    Returns:
        user_id (ascending), place (from 1, by size, ties by feature), feature, contribution (log-odds against the usual
        shopper of the training windows), value (of the counted feature; NULL when empty or for the text profile).
    """
    parts = np.array_split(np.arange(len(matrix.user_ids)), max(1, len(matrix.user_ids) // ROWS))
    return pa.concat_tables([_reasons_of(model, matrix if len(parts) == 1 else matrix.rows(rows), slope, per_user) for rows in parts])


def _reasons_of(model: Model, matrix: Matrix, slope: float, per_user: int) -> pa.Table:
    names, shares = model.contributions(matrix)
    order = np.argsort(np.asarray(names), kind="stable")
    names, shares = [names[i] for i in order], np.round(shares[:, order] * slope, 6)
    top = np.argsort(-np.abs(shares), axis=1, kind="stable")[:, :per_user]
    rows, places = np.repeat(np.arange(len(top)), top.shape[1]), np.tile(np.arange(1, top.shape[1] + 1), len(top))
    chosen = top.ravel()
    column = np.array([matrix.columns.index(name) if name in matrix.columns else -1 for name in names])
    values = np.where(column[chosen] >= 0, matrix.values[rows, column[chosen]], np.nan) if len(chosen) else np.zeros(0)
    contribution = shares[rows, chosen]
    moved = contribution != 0
    users = np.asarray(matrix.user_ids, dtype=object)
    return pa.table(
        {
            "user_id": pa.array(users[rows[moved]].tolist(), pa.string()),
            "place": pa.array(places[moved], pa.int64()),
            "feature": pa.array([names[i] for i in chosen[moved]], pa.string()),
            "contribution": pa.array(contribution[moved], pa.float64()),
            "value": pa.array(values[moved], pa.float64(), from_pandas=True),
        }
    )
