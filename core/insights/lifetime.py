"""What buyers are expected to buy within a stated time: BG/NBD for how often, Gamma-Gamma for how much, checked on time held out.

A purchase is a day of the display zone with at least one; its value is that day's revenue before refunds. Times are days.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core import purchasing
from core.errors import GateError
from core.insights.bought import answer_of_purchases
from core.insights.overview import last_instant
from core.insights.scope import EVERYTHING, Scope
from core.insights.statement import Answer
from core.store import Log

LEAST_BUYERS, LEAST_DAYS, LATE_DAYS, LEAST_ORDERS = 500, 180, 30, 3
"""Below 500 buyers or 180 days, without an order in the last 30 days or anybody with three orders nothing is told."""
BANDS = (0, 1, 2, 3, 5, 10)
"""Smallest number of repeat purchases of each row of the tables."""
MONTH_DAYS = 30.0

BUYERS_SQL = """
WITH days AS (
    SELECT user_id, (event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone)::DATE AS day, sum(revenue) AS value
    FROM history WHERE event_type = 'purchase' GROUP BY user_id, day
), firsts AS (
    SELECT *, min(day) OVER (PARTITION BY user_id) AS first_day FROM days
), buyers AS (
    SELECT user_id, count(*) FILTER (day <= $last_day::DATE) - 1 AS x,
           (max(day) FILTER (day <= $last_day::DATE) - first_day)::DOUBLE AS recency, ($last_day::DATE - first_day)::DOUBLE AS age,
           avg(value) FILTER (day > first_day AND day <= $last_day::DATE) AS mean_value, count(*) FILTER (day > $last_day::DATE) AS later
    FROM firsts WHERE first_day <= $last_day::DATE GROUP BY user_id, first_day
)
SELECT x, recency, age, mean_value, later FROM buyers ORDER BY x, recency, age, mean_value, later
"""
"""One row per buyer, no event and no id among them."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lifetime:
    """What is asked."""

    horizon_days: int = 365
    margin: float = 1.0
    """Share of revenue that is earned; 1 tells revenue."""
    monthly_discount: float = 0.0
    zone: str = "UTC"
    scope: Scope = field(default=EVERYTHING)


@dataclass(frozen=True)
class Forecast:
    """What is expected of all buyers together."""

    purchases: purchasing.PurchaseModel
    spend: purchasing.SpendModel | None
    """None in a log without values of repeat purchases, or where values spread so wide that they have no mean."""
    buyers: int
    alive: float
    """Buyers expected to be still there."""
    expected: float
    """Purchases within the horizon; `expected_low` and `expected_high` tell how far the parameters are uncertain."""
    expected_low: float
    expected_high: float
    value: float | None
    value_low: float | None
    value_high: float | None
    correlation: float | None
    """Of number and mean value of repeat purchases; Gamma-Gamma takes them for unrelated."""
    bands: pa.Table
    """from_x, buyers, alive, expected, value: by repeat purchases."""
    held_out: pa.Table
    """from_x, buyers, expected, happened: fitted without the last `held_out_days`, from_x NULL for all."""
    held_out_days: int
    sql: str


def forecast(log: Log, asked: Lifetime) -> Forecast:
    """Fit both models at the end of the scope, and once more without the last quarter of the time to compare with what happened.

    Raises:
        GateError: Too few buyers, too short a log, no late order, or nobody with three orders.
    """
    last = (asked.scope.until or last_instant(log)) - timedelta(microseconds=1)
    first = asked.scope.since or log.start
    span = (last - first) / timedelta(days=1)
    found = _buyers(log, asked, last)
    table = found.table
    x, recency, age = (_floats(table, name) for name in ("x", "recency", "age"))
    _gate(x, recency, age, span)
    held_days = int(span // 4)
    before = _buyers(log, asked, last - timedelta(days=held_days)).table
    purchases = _fit(x, recency, age)
    mean_value, repeats = _floats(table, "mean_value"), x > 0
    spend = purchasing.fit_spend(x, mean_value) if (np.nan_to_num(mean_value) > 0).any() else None
    spend = spend if spend is not None and spend.q > 1 else None
    expected, alive = _expected(purchases.logs, x, recency, age, asked), purchasing.chance_alive(purchases.logs, x, recency, age)
    horizon = float(asked.horizon_days)

    def total(logs: Floats) -> float:
        return float(purchasing.expected_purchases(logs, x, recency, age, horizon).sum())

    def worth(logs: Floats) -> float:
        each = purchasing.expected_value(logs[4:], x, mean_value)
        return float((_expected(logs[:4], x, recency, age, asked) * each).sum() * asked.margin)

    value: float | None = None
    limits: tuple[float | None, float | None] = (None, None)
    each: Floats | None = None
    if spend is not None:
        each = expected * purchasing.expected_value(spend.logs, x, mean_value) * asked.margin
        value = float(each.sum())
        both = np.zeros((7, 7))
        both[:4, :4], both[4:, 4:] = purchases.covariance, spend.covariance
        limits = purchasing.delta_interval(worth, np.concatenate([purchases.logs, spend.logs]), both)
    low, high = purchasing.delta_interval(total, purchases.logs, purchases.covariance)
    known = repeats & (np.nan_to_num(mean_value) > 0)
    varied = known.sum() > 2 and np.ptp(x[known]) > 0 and np.ptp(mean_value[known]) > 0
    together = float(np.corrcoef(x[known], mean_value[known])[0, 1]) if varied else None
    return Forecast(
        purchases, spend, len(x), float(alive.sum()), total(purchases.logs), low, high, value, limits[0], limits[1], together,
        _bands(x, alive=alive, expected=expected, value=each), _held_out(before, held_days), held_days, found.sql,
    )  # fmt: skip


def _buyers(log: Log, asked: Lifetime, last: datetime) -> Answer:
    """One row per buyer as of the day of `last`, inclusive; the last day itself is of the display zone."""
    local = last.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(asked.zone)).date()
    return answer_of_purchases(log, BUYERS_SQL, {"zone": asked.zone, "last_day": local}, asked.scope)


def _gate(x: Floats, recency: Floats, age: Floats, span: float) -> None:
    late = int((age - recency <= LATE_DAYS).sum())
    most = int(x.max()) + 1 if len(x) else 0
    if len(x) < LEAST_BUYERS or span < LEAST_DAYS or not late or most < LEAST_ORDERS:
        raise GateError(
            "Expected purchases need {buyers} buyers over {days} days, one of them with an order in the last {late} days and one with "
            "orders on {orders} days; this log has {have:,} buyers over {span:,.0f} days, {recent:,} of them lately, and none with orders "
            "on more than {most:,}. A longer log would help.",
            buyers=LEAST_BUYERS, days=LEAST_DAYS, late=LATE_DAYS, orders=LEAST_ORDERS, have=len(x), span=span, recent=late,
            most=most,
        )  # fmt: skip


def _fit(x: Floats, recency: Floats, age: Floats) -> purchasing.PurchaseModel:
    """Fit on distinct buyers with their counts."""
    rows, counts = np.unique(np.column_stack([x, recency, age]), axis=0, return_counts=True)
    return purchasing.fit_purchases(rows[:, 0], rows[:, 1], rows[:, 2], counts)


def _expected(logs: Floats, x: Floats, recency: Floats, age: Floats, asked: Lifetime) -> Floats:
    """Purchases of each buyer within the horizon (B,), those of each later month worth less by the discount."""
    if not asked.monthly_discount:
        return purchasing.expected_purchases(logs, x, recency, age, float(asked.horizon_days))
    found, before, month = np.zeros(len(x)), np.zeros(len(x)), 0
    while month * MONTH_DAYS < asked.horizon_days:
        month += 1
        so_far = purchasing.expected_purchases(logs, x, recency, age, min(month * MONTH_DAYS, float(asked.horizon_days)))
        found, before = found + (so_far - before) / (1 + asked.monthly_discount) ** month, so_far
    return found


def _held_out(table: pa.Table, days: int) -> pa.Table:
    x, recency, age, later = (_floats(table, name) for name in ("x", "recency", "age", "later"))
    if not len(x) or not days or not x.any():
        return pa.table({"from_x": pa.array([], pa.int64()), "buyers": pa.array([], pa.int64()),
                         "expected": pa.array([], pa.float64()), "happened": pa.array([], pa.float64())})  # fmt: skip
    expected = purchasing.expected_purchases(_fit(x, recency, age).logs, x, recency, age, float(days))
    bands = _bands(x, expected=expected, happened=later)
    everyone = pa.table({"from_x": pa.array([None], pa.int64()), "buyers": [len(x)], "expected": [float(expected.sum())],
                         "happened": [float(later.sum())]})  # fmt: skip
    return pa.concat_tables([everyone, bands])


def _bands(x: Floats, **sums: Floats | None) -> pa.Table:
    """Buyers and sums by repeat purchases."""
    band = np.searchsorted(BANDS, x, side="right") - 1
    used = [place for place in range(len(BANDS)) if (band == place).any()]
    columns: dict[str, object] = {
        "from_x": pa.array([BANDS[place] for place in used], pa.int64()),
        "buyers": pa.array([int((band == place).sum()) for place in used], pa.int64()),
    }
    for name, values in sums.items():
        columns[name] = pa.array([None if values is None else float(values[band == place].sum()) for place in used], pa.float64())
    return pa.table(columns)


def _floats(table: pa.Table, name: str) -> Floats:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)
