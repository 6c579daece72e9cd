"""What contacting those first who gain most would bring: uplift curve, AUUC and Qini with intervals, effect by tenth.

N shoppers. All figures rest on doubly robust signals, whose mean over a group is the group's effect; where treatment was drawn by lot
the curve is that of Radcliffe (2007) with less noise.
"""

import numpy as np
import pyarrow as pa

from core.metrics import Estimate, mean_estimate
from core.uplift.learners import Flags, Floats

DEPTHS = 20
DRAWS = 400
TENTHS_FROM = 2_000
"""Shoppers from which tenths are told; below them fifths."""


def areas(effect: Floats, order: np.ndarray, weights: Floats | None = None) -> tuple[Floats, float, float]:
    """Gain at each depth (DEPTHS + 1,), AUUC and Qini of an order, in outcomes for each shopper of all.

    AUUC is the mean gain over all depths; Qini is AUUC minus that of the random line.
    """
    w = np.ones(len(order)) if weights is None else weights[order]
    total = w.sum()
    depth = np.concatenate([[0.0], np.cumsum(w) / total])
    gain = np.concatenate([[0.0], np.cumsum(w * effect[order]) / total])
    area = float(np.sum(np.diff(depth) * (gain[1:] + gain[:-1]) / 2))
    return np.interp(np.linspace(0, 1, DEPTHS + 1), depth, gain), area, area - float(gain[-1]) / 2


def by_uplift(uplift: Floats) -> np.ndarray:
    """Shoppers from the largest uplift to the smallest; ties in the order of user_id."""
    return np.argsort(-uplift, kind="stable")


def measure_order(effect: Floats, uplift: Floats, rng: np.random.Generator) -> tuple[dict[str, Estimate], pa.Table]:
    """AUUC and Qini of an order of shoppers and its curve, with 95 % intervals over resampled shoppers.

    Returns:
        auuc and qini; and depth, gain, low, high, random: outcomes more for each shopper of all, when the best `depth` are contacted.
    """
    order, n = by_uplift(uplift), len(effect)
    gain, auuc, qini = areas(effect, order)
    drawn = [areas(effect, order, np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)) for _ in range(DRAWS)]
    low, high = np.percentile(np.stack([found[0] for found in drawn]), [2.5, 97.5], axis=0)
    depth = np.linspace(0, 1, DEPTHS + 1)
    curve = pa.table({"depth": depth, "gain": gain, "low": low, "high": high, "random": depth * gain[-1]})
    ends = {name: np.percentile([found[place] for found in drawn], [2.5, 97.5]) for place, name in ((1, "auuc"), (2, "qini"))}
    told = {"auuc": auuc, "qini": qini}
    return {name: Estimate(told[name], float(ends[name][0]), float(ends[name][1]), n) for name in told}, curve


def by_tenth(effect: Floats, uplift: Floats, treated: Flags, outcome: Floats) -> pa.Table:
    """Foretold against measured effect, from the tenth (or fifth) with the largest uplift to the one with the smallest.

    Returns:
        part from 1, users, treated, foretold, effect, low, high, outcome_treated, outcome_others (NaN where nobody is).
    """
    parts = np.array_split(by_uplift(uplift), 10 if len(effect) >= TENTHS_FROM else 5)
    rows = []
    for number, part in enumerate(parts, start=1):
        found, group = mean_estimate(effect[part]), treated[part]
        rates = [float(outcome[part][g].mean()) if g.any() else float("nan") for g in (group, ~group)]
        rows.append(
            {"part": number, "users": len(part), "treated": int(group.sum()), "foretold": float(uplift[part].mean()),
             "effect": found.value, "low": found.low, "high": found.high, "outcome_treated": rates[0], "outcome_others": rates[1]}
        )  # fmt: skip
    return pa.Table.from_pylist(rows)
