"""Groups that marketers know: RFM groups of buyers and stages of a shopper's life, from counted features alone. U users."""

import numpy as np
import numpy.typing as npt

from core.schema import RFM_GROUPS

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

NEW_DAYS = 28.0
"""A shopper first seen within so many days is new …"""
LEAST_GAP_DAYS = 3.5
"""… and a gap is taken to be at least this long, so that daily visitors are not given up after a weekend."""


def scores(values: Floats, cuts: int = 5) -> Codes:
    """Score known values 1 to `cuts` by cut values at their quantiles, so that equal values share a score; 0 where unknown."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values), dtype=np.int64)
    edges = np.quantile(values[known], np.arange(1, cuts) / cuts)
    return np.where(known, 1 + np.searchsorted(edges, values, side="left"), 0)  # edges below the value


def _middle_scores(values: Floats, cuts: int = 5) -> Codes:
    """Score as `scores`, but values on several cuts have the middle of the scores between, the better of two."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values), dtype=np.int64)
    edges = np.quantile(values[known], np.arange(1, cuts) / cuts)
    below, up_to = (np.searchsorted(edges, values, side=side) for side in ("left", "right"))
    return np.where(known, 1 + (1 + below + up_to) // 2, 0)


def rfm_groups(recency_days: Floats, orders: Floats, revenue: Floats) -> Codes:
    """Group shoppers by whole days since the last purchase (R), orders (F) and revenue (M), as `core.insights.rfm` does by SQL.

    Each is scored 1 to 5 among buyers, R reversed (on several cuts at once the middle of their scores); F and M are averaged, F alone
    counts in a log without revenue. From R ≥ 4: champions (F and M ≥ 4), else loyal from 3 on, else recent; R = 3: loyal from 3 on,
    else occasional; below: at_risk from 3 on, else asleep.

    Args:
        recency_days: (U,) days from the last purchase to the cutoff, parts of a day are cut off; NaN for those who never bought.
        orders: (U,).
        revenue: (U,) 0 or NaN everywhere in a log without revenue.

    Returns:
        (U,) row of RFM_GROUPS.
    """
    buys = np.isfinite(recency_days)
    recency = _middle_scores(np.where(buys, -np.floor(recency_days), np.nan))
    frequency = scores(np.where(buys, orders, np.nan))
    money = scores(np.where(buys, np.nan_to_num(revenue), np.nan))
    worth = (frequency + money) / 2 if np.nan_to_num(revenue).any() else frequency.astype(np.float64)
    group = np.where(
        recency >= 3,
        np.where(worth >= 3, np.where((worth >= 4) & (recency >= 4), 0, 1), np.where(recency >= 4, 2, 3)),
        np.where(worth >= 3, 4, 5),
    )
    return np.where(buys, group, len(RFM_GROUPS) - 1).astype(np.int64)


def life_stages(tenure_days: Floats, silent_days: Floats, gap_days: Floats) -> Codes:
    """Tell the stage of each shopper by her own rhythm.

    new: first seen within NEW_DAYS. Others: active up to two of their gaps after the last event, slipping up to four, then away.

    Args:
        tenure_days: (U,) days from the first event to the cutoff.
        silent_days: (U,) days from the last one.
        gap_days: (U,) median gap between active days, NaN below two; the median of all others stands for it.

    Returns:
        (U,) row of STAGES.
    """
    known = np.isfinite(gap_days)
    usual = float(np.median(gap_days[known])) if known.any() else NEW_DAYS
    gap = np.maximum(np.where(known, gap_days, usual), LEAST_GAP_DAYS)
    stage = 1 + (silent_days > 2 * gap).astype(np.int64) + (silent_days > 4 * gap)
    return np.where((tenure_days <= NEW_DAYS) & (stage < 3), 0, stage)
