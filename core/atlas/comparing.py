"""Two sets of shoppers beside each other: what they did, with intervals, and which traits tell them apart.

U users. Light: numpy and Arrow only, so that a page can ask it of any selection.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.atlas.demographics import KNOWN, column_of
from core.atlas.leanings import Leanings
from core.atlas.traits import LEVELS, PRIOR_USERS, Z
from core.metrics import mean_estimate, wilson

Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MEANS = ("propensity", "orders", "revenue", "events", "recency_days", "price")
"""Figures compared by their means, in the order of the screen."""


def compare_figures(habits: pd.DataFrame, propensity: Floats, left: Booleans, right: Booleans) -> pd.DataFrame:
    """Compare what two sets of users did.

    Args:
        habits: events, orders, revenue, recency_days, price of everyone (U rows).
        propensity: (U,) NaN where there is none.
        left: (U,) users of the first set.
        right: (U,) users of the second, none of the first.

    Returns:
        A row per measure that the log knows: measure, left, left_low, left_high, left_n, the same of right, difference,
        difference_low, difference_high. `buyer_rate` is a share (Wilson; difference by Newcombe, 1998, method 10), the others are
        means over users who have the figure (normal interval; difference by Welch). Intervals are of 95 %.
    """
    rows = []
    orders = habits["orders"].to_numpy(np.float64)
    if np.nansum(orders) > 0:
        rows.append({"measure": "buyer_rate"} | _rates(orders > 0, left, right))
    for name in MEANS:
        values = propensity if name == "propensity" else habits[name].to_numpy(np.float64)
        if name == "orders":
            values = np.nan_to_num(values)
        if name == "revenue" and np.isfinite(values).any():
            values = np.nan_to_num(values)
        if np.isfinite(values).any() and (name not in ("orders", "revenue") or values.any()):
            rows.append({"measure": name} | _means(values, left, right))
    return pd.DataFrame(rows)


def compare_traits(leanings: Leanings, left: Booleans, right: Booleans, least: int) -> pd.DataFrame:
    """Find the traits that two sets of users differ by, those clearest for the left first.

    Args:
        leanings: What users lean to.
        left: (U,) users of the first set.
        right: (U,) users of the second, none of the first.
        least: Fewest users with a trait on the side that has it more often.

    Returns:
        kind, code, trait (row in leanings), left_n, left_share, right_n, right_share, ratio (left ÷ right) with low and high
        (95 %, on the logarithm; half a user is added where a side has none), strength: the 95 % bound of the log-odds ratio,
        shrunk towards both sides together, that lies nearer to 0; above 0 for traits of the left. Only traits whose strength has
        the sign of the ratio's logarithm and whose interval excludes 1; of the two ends of a level, a side has the clearer. Shares
        of a demographic are among those of whom its column is known.
    """
    index = np.where(left, 0, np.where(right, 1, -1)).astype(np.int64)
    carriers = leanings.carriers(index, 2).astype(np.float64)
    sizes = np.array([left.sum(), right.sum()], dtype=np.float64)
    if not sizes.all() or not len(carriers):
        return pd.DataFrame(columns=TRAIT_COLUMNS)
    n, m = carriers[:, 0], carriers[:, 1]
    among = _among(leanings, carriers, sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (n + m) / among.sum(axis=1)
        prior, rest = PRIOR_USERS * pooled, PRIOR_USERS * (1 - pooled)
        cells = np.stack([n + prior, among[:, 0] - n + rest, m + prior, among[:, 1] - m + rest])
        odds = np.log(cells[0]) - np.log(cells[1]) - np.log(cells[2]) + np.log(cells[3])
        strength = np.sign(odds) * (np.abs(odds) - Z * np.sqrt((1 / cells).sum(axis=0)))
        half = np.where((n == 0) | (m == 0), 0.5, 0.0)
        one, two = (n + half) / (among[:, 0] + 2 * half), (m + half) / (among[:, 1] + 2 * half)
        ratio = one / two
        error = Z * np.sqrt((1 - one) / (n + half) + (1 - two) / (m + half))
        low, high = ratio * np.exp(-error), ratio * np.exp(error)
        told = np.array([kind != KNOWN for kind in leanings.kinds]) & (among.min(axis=1) > 0)
        told &= (strength * odds > 0) & np.where(odds > 0, n >= least, m >= least) & ((low > 1) | (high < 1))
    frame = pd.DataFrame({
        "kind": leanings.kinds, "code": leanings.codes, "trait": np.arange(len(n)), "left_n": n.astype(np.int64),
        "left_share": n / np.maximum(among[:, 0], 1), "right_n": m.astype(np.int64), "right_share": m / np.maximum(among[:, 1], 1),
        "ratio": ratio, "low": low, "high": high, "strength": strength,
    })  # fmt: skip
    ordered: pd.DataFrame = _one_end(frame[told]).sort_values(["strength", "kind", "code"], ascending=[False, True, True], kind="stable")
    return ordered.reset_index(drop=True)


def _among(leanings: Leanings, carriers: Floats, sizes: Floats) -> Floats:
    """Of how many on each side (T, 2) the shares of each trait are: of all, or of those of whom a demographic's column is known."""
    known = {code: row for row, (kind, code) in enumerate(zip(leanings.kinds, leanings.codes, strict=True)) if kind == KNOWN}
    among = np.tile(sizes, (len(carriers), 1))
    for row, (kind, code) in enumerate(zip(leanings.kinds, leanings.codes, strict=True)):
        if kind == "demographic" and column_of(code) in known:
            among[row] = carriers[known[column_of(code)]]
    return among


def _one_end(found: pd.DataFrame) -> pd.DataFrame:
    """Leave each side one end of a level: more buyers at both ends say that more buy, not that they spend much and little."""
    clearest = found.iloc[found["strength"].abs().argsort(kind="stable")[::-1]]
    again = clearest.assign(side=clearest["strength"] > 0).duplicated(["kind", "side"]) & clearest["kind"].isin(LEVELS)
    return clearest[~again]


TRAIT_COLUMNS = ["kind", "code", "trait", "left_n", "left_share", "right_n", "right_share", "ratio", "low", "high", "strength"]


def _rates(has: Booleans, left: Booleans, right: Booleans) -> dict[str, float]:
    shares, bounds, sizes = [], [], []
    for side in (left, right):
        n, hits = int(side.sum()), int(has[side].sum())
        shares.append(hits / n if n else np.nan)
        bounds.append(wilson(hits, n))
        sizes.append(n)
    (p, q), ((p_low, p_high), (q_low, q_high)) = shares, bounds
    low = p - q - np.hypot(p - p_low, q_high - q)
    high = p - q + np.hypot(p_high - p, q - q_low)
    return _row((p, p_low, p_high, sizes[0]), (q, q_low, q_high, sizes[1]), (p - q, low, high))


def _means(values: Floats, left: Booleans, right: Booleans) -> dict[str, float]:
    sides = []
    for side in (left, right):
        known = values[side]
        sides.append(mean_estimate(known[np.isfinite(known)]))
    one, two = sides
    gap = one.value - two.value
    half = float(np.hypot((one.high - one.low) / 2, (two.high - two.low) / 2))
    return _row((one.value, one.low, one.high, one.n), (two.value, two.low, two.high, two.n), (gap, gap - half, gap + half))


def _row(left: tuple[float, ...], right: tuple[float, ...], gap: tuple[float, ...]) -> dict[str, float]:
    sides = {
        f"{side}{part}": value
        for side, figures in (("left", left), ("right", right))
        for part, value in zip(("", "_low", "_high", "_n"), figures, strict=True)
    }
    return sides | dict(zip(("difference", "difference_low", "difference_high"), gap, strict=True))
