"""How often, how lately, how regularly: features counted on the acts of each shopper alone. U shoppers, K kinds of acts."""

import numpy as np

from core.features.acts import DAY, MONEY, PLACES, SECONDS, UNITS, Acts
from core.features.grouping import NONE, Array, Floats, ratio, run_medians, run_starts, spread, sums_by
from core.schema import EVENT_TYPES

SPANS = ("7d", "14d", "28d", "56d", "all")
ALWAYS = {"views": "view", "clicks": "click", "favourites": "favourite", "carts": "cart", "purchases": "purchase"}
"""Kinds that are counted in all windows, by the name of their features."""
NOW_AND_ALL = {"impressions": "impression", "searches": "search", "shares": "share", "removals": "remove_from_cart", "refunds": "refund"}
LAST = ("view", "click", "search", "favourite", "cart", "purchase")


def activity(acts: Acts) -> dict[str, Array]:
    """Count acts, money and days in windows, shares of the day, and means of what acts carry, by name of the feature (U,)."""
    found: dict[str, Array] = {}
    counts = _in_windows(_cube(acts))  # (U, K, 5)
    every = counts.sum(axis=1)  # (U, 5)
    total = every[:, 4]
    by_kind = {name: counts[:, place] for place, name in enumerate(EVENT_TYPES)}
    for stem, windows in [("events", every), *((stem, by_kind[kind]) for stem, kind in ALWAYS.items())]:
        found |= {f"{stem}_{span}": windows[:, place] for place, span in enumerate(SPANS)}
    for stem, kind in NOW_AND_ALL.items():
        found |= {f"{stem}_28d": by_kind[kind][:, 2], f"{stem}_all": by_kind[kind][:, 4]}
    found["others_all"] = by_kind["other"][:, 4]
    found["events_trend"] = np.log((1 + every[:, 2]) / (1 + every[:, 3] - every[:, 2]))
    looks = by_kind["view"][:, 4] + by_kind["click"][:, 4]
    found["carts_per_view"] = ratio(by_kind["cart"][:, 4], looks)
    found["purchases_per_view"] = ratio(by_kind["purchase"][:, 4], looks)
    return found | _recency(acts) | _money(acts) | _days(acts) | _carried(acts) | _clock(acts, total)


def _cube(acts: Acts) -> Array:
    """Acts by shopper, kind and newness (U, K, 5)."""
    cell = (acts.user.astype(np.int64) * len(EVENT_TYPES) + acts.kind) * 5 + acts.newness
    return np.bincount(cell, minlength=acts.users * len(EVENT_TYPES) * 5).reshape(acts.users, len(EVENT_TYPES), 5)


def _in_windows(by_newness: Array) -> Array:
    """What each of SPANS holds, from what belongs to each newness: both on the last axis."""
    return np.cumsum(by_newness[..., ::-1], axis=-1)


def _recency(acts: Acts) -> dict[str, Array]:
    last = np.full((acts.users, len(EVENT_TYPES)), NONE)
    last[acts.user, acts.kind] = acts.time  # of several the last one stays, and times ascend
    first = acts.time[acts.starts]
    found: dict[str, Array] = {
        "tenure_days": (acts.cutoff - first) / DAY,
        "days_since_event": (acts.cutoff - last.max(axis=1)) / DAY,
    }
    for kind in LAST:
        when = last[:, EVENT_TYPES.index(kind)]
        found[f"days_since_{kind}"] = np.where(when == NONE, np.nan, (acts.cutoff - np.maximum(when, first)) / DAY)
    return found


def _money(acts: Acts) -> dict[str, Array]:
    bought = acts.of_kind("purchase")
    user, newness = acts.user[bought].astype(np.int64), acts.newness[bought]
    spent = _in_windows(sums_by(acts.revenue[bought], user * 5 + newness, acts.users * 5)[0].reshape(acts.users, 5))  # (U, 5)
    units, _ = sums_by(acts.quantity[bought], user, acts.users)
    now, before = (np.maximum(values, 0).astype(np.float64) / MONEY for values in (spent[:, 2], spent[:, 3] - spent[:, 2]))
    return {
        **{f"revenue_{span}": spent[:, place].astype(np.float64) / MONEY for place, span in enumerate(SPANS)},
        "units_all": units.astype(np.float64) / UNITS,
        "revenue_trend": np.log((1 + now) / (1 + before)),
    }


def _days(acts: Acts) -> dict[str, Array]:
    """Active days and weeks, and the gaps between active days."""
    begins = np.zeros(len(acts.day), dtype=bool)
    begins[run_starts(acts.user, acts.day)] = True
    found: dict[str, Array] = {}
    for span, newest in (("7d", 4), ("28d", 2), ("56d", 1)):
        inside = acts.newness >= newest
        entered = inside.copy()
        entered[1:] &= begins[1:] | ~inside[:-1]  # a day that the window cuts counts by its later part
        found[f"active_days_{span}"] = np.bincount(acts.user[entered], minlength=acts.users)
    user, day = acts.user[begins], acts.day[begins]
    found["active_days_all"] = np.bincount(user, minlength=acts.users)
    for name, places in (("active", slice(None)), ("buying", acts.of_kind("purchase"))):
        recent = acts.newness[places] >= 1
        who, when = acts.user[places][recent], acts.time[places][recent]
        weeks = run_starts(who, (acts.cutoff - 1 - when) // (7 * DAY))
        found[f"{name}_weeks_of_8"] = np.bincount(who[weeks], minlength=acts.users)
    follows = user[1:] == user[:-1]
    who, gap = user[1:][follows], (day[1:] - day[:-1])[follows].astype(np.int64)
    return found | _gaps(who, gap, acts)


def _gaps(user: Array, gap: Array, acts: Acts) -> dict[str, Array]:
    """Figures of the gaps between active days, in whole days, by ascending shopper."""
    total, n = sums_by(gap, user, acts.users)
    squares, _ = sums_by(gap * gap, user, acts.users)
    middle, starts = run_medians(gap, user, acts.users), run_starts(user)
    longest = np.full(acts.users, np.nan)
    if len(gap):
        longest[user[starts]] = np.maximum.reduceat(gap, starts)
    last = np.append(acts.starts[1:], len(acts.time)) - 1
    return {
        "active_gap_mean_days": ratio(total, n),
        "active_gap_median_days": middle,
        "active_gap_sd_days": spread(squares, total, n),
        "active_gap_longest_days": longest,
        "active_overdue_ratio": ratio((acts.cutoff - acts.time[last]) / DAY, middle),
    }


def _carried(acts: Acts) -> dict[str, Array]:
    """Means of prices, dwell and positions over the acts that have them."""

    def mean(values: Array, places: slice | Array, parts: int) -> Floats:
        sums, n = sums_by(values[places], acts.user[places], acts.users)
        return ratio(sums.astype(np.float64) / parts, n)

    everywhere = slice(None)
    return {
        "price_mean": mean(acts.price, everywhere, MONEY),
        "price_paid_mean": mean(acts.price, acts.of_kind("purchase"), MONEY),
        "dwell_seconds_mean": mean(acts.dwell, everywhere, SECONDS),
        "dwell_seconds_mean_28d": mean(acts.dwell, acts.newness >= 2, SECONDS),
        "position_mean": mean(acts.position, everywhere, PLACES),
    }


def _clock(acts: Acts, total: Array) -> dict[str, Array]:
    """Shares of the quarters of the day and of the weekend."""
    quarter = (acts.time - acts.day.astype(np.int64) * DAY) // (DAY // 4)
    weekend = np.isin(acts.day % 7, (2, 3))  # day 0 (1970-01-01) was a Thursday: days 2 and 3 of each week from it are Saturday and Sunday
    cell = acts.user.astype(np.int64) * 8 + quarter * 2 + weekend
    by_quarter = np.bincount(cell, minlength=acts.users * 8).reshape(acts.users, 4, 2)  # (U, 4, 2)
    quarters = by_quarter.sum(axis=2)
    return {
        "night_share": quarters[:, 0] / total,
        "morning_share": quarters[:, 1] / total,
        "afternoon_share": quarters[:, 2] / total,
        "weekend_share": by_quarter[:, :, 1].sum(axis=1) / total,
    }
