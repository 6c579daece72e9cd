"""The same picture period by period: where shoppers were active, and how large a part of the active each segment was.

Segments and places are those of the map, so nothing after its cutoff is read; what changes is who was active.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from core.metrics import wilson
from core.pipeline.map_cells import ACTIVE, told_frame
from core.pipeline.places import Places, map_log, map_until, places
from core.pipeline.screens import Screen
from core.store import Connection, fetch

GRAINS = {"month": timedelta(days=84), "week": timedelta(days=18), "day": timedelta(days=2), "hour": timedelta(0)}
"""Grain → shortest log that it is used for."""
MOST_PERIODS = 12
"""Panels shown, the latest."""
MOST_CELLS = 56
"""Cells of a panel along each side, at most."""
USERS_PER_CELL = 8
"""Shoppers for each cell on average, so that the share of the active in it is more than chance."""
WHOLE = 0.95
"""A period is whole when the log covers this much of it: shops have quiet nights at both ends."""
LEAST_COVERED = 0.1
"""Periods of which the log covers less are left out."""

ACTIVE_SQL = """
SELECT date_trunc($grain, h.event_time AT TIME ZONE 'UTC' AT TIME ZONE $zone)::TIMESTAMP AS period, p.cell, p.segment_id,
       count(DISTINCT p.place) AS users
FROM history AS h JOIN placed AS p USING (user_id)
WHERE $act = 'all' OR h.event_type::VARCHAR = $act
GROUP BY ALL ORDER BY ALL
"""
ACTS_SQL = "SELECT event_type::VARCHAR AS event_type FROM history GROUP BY ALL ORDER BY count(*) DESC, event_type"
SPAN_SQL = """
SELECT since, until, since AT TIME ZONE 'UTC' AT TIME ZONE $zone AS first_time, until AT TIME ZONE 'UTC' AT TIME ZONE $zone AS last_time
FROM (SELECT min(event_time) AS since, $until::TIMESTAMP - INTERVAL 1 MICROSECOND AS until FROM history)
"""


@dataclass(frozen=True)
class OverTime:
    """Who was active when, on the one picture."""

    grain: str
    """month, week, day or hour."""
    periods: list[pd.Timestamp]
    """First instants, in the time zone on screen, oldest first."""
    partial: list[bool]
    """Whether the log covers only a part of the period."""
    panels: npt.NDArray[np.int64]
    """Active users (periods, cells, cells), rows upwards."""
    everyone: npt.NDArray[np.int64]
    """All users of the map (cells, cells)."""
    shares: pd.DataFrame
    """period, partial, segment_id, users, active (all active users of the period), share with low and high (Wilson)."""


def acts(screen: Screen) -> list[str]:
    """Kinds of events of the log as the map saw it, most frequent first."""
    with map_log(screen) as connection:
        return [str(kind) for kind in fetch(connection, ACTS_SQL)["event_type"].to_pylist()]


def over_time(screen: Screen, act: str = "all", fine: bool = False) -> OverTime:
    """Count active shoppers by period, place and segment, as of the map.

    Args:
        screen: The dataset.
        act: A kind of event, or `all`.
        fine: Count by subsegment instead of segment.
    """
    everyone = places(screen)
    side = int(np.clip(np.sqrt(len(everyone.x) / USERS_PER_CELL), 4, MOST_CELLS))
    cell = _cells(everyone, side)
    segment_ids = everyone.fine_ids if fine else everyone.segment_ids
    placed = pa.table({
        "user_id": pa.array(everyone.user_ids, pa.string()), "place": np.arange(len(cell), dtype=np.int32), "cell": cell.astype(np.int32),
        "segment_id": segment_ids.astype(np.int32),
    })  # fmt: skip
    with map_log(screen) as connection:
        connection.register("placed", placed)
        span = fetch(connection, SPAN_SQL, {"zone": screen.zone, "until": map_until(screen)}).to_pylist()[0]
        grain = _grain(span["until"] - span["since"])
        counted = _count(connection, grain, screen.zone, act)
    covered = {period: _covered(period, grain, span) for period in _calendar(span["first_time"], span["last_time"], grain)}
    periods = [period for period, part in covered.items() if part >= LEAST_COVERED][-MOST_PERIODS:]
    place = {period: number for number, period in enumerate(periods)}
    counted = counted[counted["period"].isin(place)]
    rows = counted["period"].map(place).to_numpy(np.int64)
    panels = np.zeros((len(periods), side * side), dtype=np.int64)
    np.add.at(panels, (rows, counted["cell"].to_numpy(np.int64)), counted["users"].to_numpy(np.int64))
    partial = [covered[period] < WHOLE for period in periods]
    return OverTime(
        grain,
        periods,
        partial,
        panels.reshape(-1, side, side),
        np.bincount(cell, minlength=side * side).reshape(side, side),
        told_frame(screen, ACTIVE, _shares(counted, segment_ids, periods, partial)),
    )


def _count(connection: Connection, grain: str, zone: str, act: str) -> pd.DataFrame:
    frame: pd.DataFrame = fetch(connection, ACTIVE_SQL, {"grain": grain, "zone": zone, "act": act}).to_pandas()
    return frame


def _grain(length: timedelta) -> str:
    return next(grain for grain, least in GRAINS.items() if length >= least)


def _start(time: pd.Timestamp, grain: str) -> pd.Timestamp:
    code = {"month": "M", "week": "W-SUN", "day": "D", "hour": "h"}[grain]
    return pd.Timestamp(time).to_period(code).start_time


def _length(period: pd.Timestamp, grain: str) -> timedelta:
    after = period + {"month": pd.DateOffset(months=1), "week": pd.DateOffset(weeks=1), "day": pd.DateOffset(days=1)}.get(
        grain, pd.DateOffset(hours=1)
    )
    return (after - period).to_pytimedelta()


def _covered(period: pd.Timestamp, grain: str, span: dict[str, datetime]) -> float:
    """Share of a period that the log covers, 0 to 1."""
    length = _length(period, grain)
    inside = min(span["last_time"], (period + length).to_pydatetime()) - max(span["first_time"], period.to_pydatetime())
    return inside.total_seconds() / length.total_seconds()


def _calendar(first: pd.Timestamp, last: pd.Timestamp, grain: str) -> list[pd.Timestamp]:
    step = {"month": "MS", "week": "W-MON", "day": "D", "hour": "h"}[grain]
    return list(pd.date_range(_start(first, grain), _start(last, grain), freq=step))


def _cells(everyone: Places, side: int) -> npt.NDArray[np.int64]:
    cells = []
    for values in (everyone.x, everyone.y):
        low, high = np.quantile(values, [0.002, 0.998])
        cells.append(np.clip(((values - low) / max(high - low, 1e-9) * side).astype(np.int64), 0, side - 1))
    return np.asarray(cells[1] * side + cells[0], dtype=np.int64)


def _shares(counted: pd.DataFrame, segment_ids: npt.NDArray[np.int64], periods: list[pd.Timestamp], partial: list[bool]) -> pd.DataFrame:
    summed = counted.groupby(["period", "segment_id"])["users"].sum()
    active = counted.groupby("period")["users"].sum()
    rows = []
    for period, cut in zip(periods, partial, strict=True):
        of_all = int(active.get(period, 0))
        for segment in np.unique(segment_ids).tolist():
            users = int(summed.get((period, segment), 0))
            low, high = wilson(users, of_all)
            rows.append({
                "period": period, "partial": cut, "segment_id": segment, "users": users, "active": of_all,
                "share": users / of_all if of_all else np.nan, "low": low if of_all else np.nan, "high": high if of_all else np.nan,
            })  # fmt: skip
    return pd.DataFrame(rows)
