"""Whether treated and other shoppers were alike before the start, and whether each had somebody to be compared with.

N shoppers, F features.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from core.metrics import Estimate, auc, bootstrap
from core.uplift.learners import CLIPPED, Flags, Floats

FAR_APART = 0.1
"""Standardised mean difference from which a feature is called unbalanced (Austin, 2009)."""
BINS = 20
EDGE = 0.05
"""A chance of treatment below this, or above one minus this, leaves hardly anybody to be compared with (Crump et al., 2009, say 0.1)."""


def mean_differences(columns: Sequence[str], values: Floats, treated: Flags, propensity: Floats) -> pa.Table:
    """Compare each feature of both groups, as it is and after weighing by the inverse chance of treatment.

    Values are compared as sign(x) ln(1 + |x|), so that one wholesaler does not make a group.

    Args:
        columns: Names (F,).
        values: Features of before the start (N, F), NaN where empty.
        treated: (N,).
        propensity: Chance of being treated (N,), cross-fitted.

    Returns:
        feature, treated, others (means of the compared values), difference, weighed (both in standard deviations); largest first.
    """
    seen = np.sign(values) * np.log1p(np.abs(values))
    chance = np.clip(propensity, CLIPPED, 1 - CLIPPED)
    weights = np.where(treated, 1 / chance, 1 / (1 - chance))
    told = []
    for place, name in enumerate(columns):
        known = np.isfinite(seen[:, place])
        one, other = (seen[known & group, place] for group in (treated, ~treated))
        if len(one) < 2 or len(other) < 2:
            continue
        spread = float(np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2))
        heavy, light = (float(np.average(seen[known & g, place], weights=weights[known & g])) for g in (treated, ~treated))
        gaps = (0.0, 0.0) if spread == 0 else (float(one.mean() - other.mean()) / spread, (heavy - light) / spread)
        told.append(
            {"feature": name, "treated": float(one.mean()), "others": float(other.mean()), "difference": gaps[0], "weighed": gaps[1]}
        )
    told.sort(key=lambda row: (-abs(float(str(row["difference"]))), str(row["feature"])))
    fields = [("feature", pa.string()), *((name, pa.float64()) for name in ("treated", "others", "difference", "weighed"))]
    return pa.Table.from_pylist(told, schema=pa.schema(fields))


def randomisation(treated: Flags, propensity: Floats, rng: np.random.Generator) -> Estimate:
    """AUC with which features of before tell treated from others: 0.5 where treatment was drawn by lot."""
    truth = treated.astype(np.float64)
    return bootstrap(lambda rows: auc(truth[rows], propensity[rows]), len(truth), rng)


def overlap(treated: Flags, propensity: Floats) -> pa.Table:
    """Count both groups by chance of being treated, in equal steps: low, high, treated, others."""
    edges = np.linspace(0, 1, BINS + 1)
    counts = [np.histogram(propensity[group], bins=edges)[0] for group in (treated, ~treated)]
    return pa.table({"low": edges[:-1], "high": edges[1:], "treated": counts[0].astype(np.int64), "others": counts[1].astype(np.int64)})


def outside(propensity: Floats) -> float:
    """Share of shoppers whose chance of being treated is so near 0 or 1 that nobody alike is in the other group."""
    return float(((propensity < EDGE) | (propensity > 1 - EDGE)).mean())
