"""Features of orders: how many, how large, how regularly. U shoppers, O orders."""

import numpy as np

from core.features.acts import DAY, MONEY, Acts
from core.features.grouping import Array, order_by, ratio, run_lengths, run_medians, run_starts, spread, sums_by

SPANS_DAYS = {"7d": 7, "14d": 14, "28d": 28, "56d": 56}
SECOND = 1_000_000
DAY_SECONDS = 86_400.0


def buying(acts: Acts) -> dict[str, Array]:
    """Count the orders of each shopper: purchases that share an order id, or without one the moment; by name of the feature (U,)."""
    user, time, lines, revenue = _orders(acts)
    age, users = acts.cutoff - time, acts.users
    orders = np.bincount(user, minlength=users)
    recent = {span: np.bincount(user[age <= days * DAY], minlength=users) for span, days in SPANS_DAYS.items()}
    is_new = age <= 28 * DAY
    (all_lines, _), (new_lines, _) = sums_by(lines, user, users), sums_by(lines[is_new], user[is_new], users)
    (spent, _), (new_spent, _) = sums_by(revenue, user, users), sums_by(revenue[is_new], user[is_new], users)
    starts = run_starts(user)
    last = starts + run_lengths(starts, len(user)) - 1

    def of_buyers(values: Array) -> Array:
        """A figure of each buyer, NaN for all others (U,)."""
        spread_out = np.full(users, np.nan)
        spread_out[user[starts]] = values
        return spread_out

    empty = not len(user)
    first_age = of_buyers(age[:0] if empty else np.maximum.reduceat(age, starts) / DAY)
    last_age = of_buyers(age[:0] if empty else np.minimum.reduceat(age, starts) / DAY)
    several = last > starts
    return {
        **{f"orders_{span}": n for span, n in recent.items()},
        "orders_all": orders,
        "orders_per_week": ratio(orders, first_age + 7) * 7,
        "orders_trend": np.log((1 + recent["28d"]) / (1 + recent["56d"] - recent["28d"])),
        "days_since_first_purchase": first_age,
        "days_since_previous_order": of_buyers(np.where(several, age[last - several] / DAY, np.nan)),
        "basket_lines_mean": ratio(all_lines, orders),
        "basket_value_mean": ratio(spent.astype(np.float64) / MONEY, orders),
        "basket_lines_mean_28d": ratio(new_lines, recent["28d"]),
        "basket_value_mean_28d": ratio(new_spent.astype(np.float64) / MONEY, recent["28d"]),
        "last_basket_lines": of_buyers(lines[last]),
        "last_basket_value": of_buyers(revenue[last].astype(np.float64) / MONEY),
        **_gaps(user, time // SECOND, last_age, users),
    }


def _orders(acts: Acts) -> tuple[Array, Array, Array, Array]:
    """Shopper, time of the first line, lines and revenue of each order (O,), by shopper, second, lines and revenue."""
    bought = acts.of_kind("purchase")
    user, time, code = acts.user[bought].astype(np.int64), acts.time[bought], acts.order[bought].astype(np.int64)
    nameless = np.flatnonzero(code < 0)
    moments = np.zeros(len(nameless), dtype=np.int64)
    moments[run_starts(user[nameless], time[nameless])] = 1
    code[nameless] = code.max(initial=-1) + np.cumsum(moments)
    key = user * (code.max(initial=0) + 1) + code
    revenue, places = acts.revenue[bought], order_by(key)
    if places is not None:
        user, time, key, revenue = user[places], time[places], key[places], revenue[places]
    starts = run_starts(key)
    lines = run_lengths(starts, len(key))
    spent, _ = sums_by(revenue, np.repeat(np.arange(len(starts)), lines), len(starts))
    user, time = user[starts], time[starts]
    order = np.lexsort((time, spent.astype(np.float64), lines, time // SECOND, user))
    return user[order], time[order], lines[order], spent[order]


def _gaps(user: Array, second: Array, last_age: Array, users: int) -> dict[str, Array]:
    """Figures of the time between orders; `user` and `second` of each order (O,), ascending; `last_age` in days (U,)."""
    follows = user[1:] == user[:-1]
    who, gap = user[1:][follows], (second[1:] - second[:-1])[follows]
    total, n = sums_by(gap, who, users)
    wide = gap.astype(object) if len(gap) and gap.max() >= 1 << 31 else gap  # squares beyond 64 bits
    squares, _ = sums_by(wide * wide, who, users)
    middle = run_medians(gap, who, users) / DAY_SECONDS
    starts = run_starts(who)
    newest, longest = np.full(users, np.nan), np.full(users, np.nan)
    if len(gap):
        newest[who[starts]] = gap[starts + run_lengths(starts, len(gap)) - 1] / DAY_SECONDS
        longest[who[starts]] = np.maximum.reduceat(gap, starts) / DAY_SECONDS
    return {
        "order_gap_mean_days": ratio(total, n) / DAY_SECONDS,
        "order_gap_median_days": middle,
        "order_gap_sd_days": spread(squares, total, n) / DAY_SECONDS,
        "order_gap_last_days": newest,
        "order_gap_longest_days": longest,
        "order_overdue_ratio": ratio(last_age, middle),
        "order_silence_ratio": ratio(last_age, longest),
    }
