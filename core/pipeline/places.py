"""Everyone on the map in one order: who is drawn, who lies inside a drawn shape, how dense the picture is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.errors import NotFoundError
from core.pipeline import screens
from core.pipeline.screens import Screen
from core.store import Connection, Log

MOST_POINTS = 20_000
"""More drawn points make a lasso wait for seconds; above, a stratified sample lies over a density of everyone …"""
SAMPLE_POINTS = 12_000
"""… of so many points: with ids of 36 characters the map then weighs less than a megabyte."""
WIDEST = 2.2
"""Width of the picture in its heights, on a screen 1920 wide; on a wider one the others beyond are thinned out."""
BORDER = 1.1
"""A picture shows a little more than the frame that it is given."""
DENSITY_CELLS = 200
"""Cells of the density image along each side."""
MAPS_KEPT = 2
"""Maps in memory at once: one of a million shoppers takes about 200 MB."""

Chosen = npt.NDArray[np.bool_]
Frame = tuple[float, float, float, float]
"""Left, right, bottom, top."""


@dataclass(frozen=True)
class Places:
    """Everyone on the map, in one order: U users."""

    user_ids: npt.NDArray[Any]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    segment_ids: npt.NDArray[np.int64]
    certainty: npt.NDArray[np.float64]
    propensity: npt.NDArray[np.float64]
    """NaN without a purchase chance."""
    subsegment_ids: npt.NDArray[np.int64] | None = None
    """None in maps drawn before segments were split."""

    @cached_property
    def fine_ids(self) -> npt.NDArray[np.int64]:
        """Subsegments, or the segments where they are not split (U,)."""
        return self.segment_ids if self.subsegment_ids is None else self.subsegment_ids

    @cached_property
    def _upwards(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        order = np.argsort(self.y, kind="stable")
        return order, self.x[order], self.y[order]

    @cached_property
    def _strata(self) -> npt.NDArray[np.int64]:
        return np.lexsort((self.y, self.x, self.fine_ids, self.segment_ids))

    def row_of(self, user_id: str) -> int | None:
        """Row of a user, None when she is not on the map."""
        found = np.flatnonzero(self.user_ids == user_id)
        return int(found[0]) if len(found) else None

    def drawn(self, within: Chosen | None = None, most: int = MOST_POINTS, sample: int = SAMPLE_POINTS) -> npt.NDArray[np.int64]:
        """Rows to draw: all of at most `most` users, else a sample of `sample` of them."""
        number = len(self.x) if within is None else int(within.sum())
        return self.sample(number if number <= most else sample, within)

    def sample(self, most: int, within: Chosen | None = None) -> npt.NDArray[np.int64]:
        """Rows of at most `most` users: every n-th in the order of segment and place, so that each segment keeps its share.

        Args:
            most: Most rows to return.
            within: Users to choose from (U,); everyone without it.
        """
        order = self._strata if within is None else self._strata[within[self._strata]]
        chosen = order if len(order) <= most else order[np.linspace(0, len(order) - 1, most).astype(np.int64)]
        return np.sort(chosen)

    def frame_of(self, chosen: Chosen, margin: float = 0.04) -> Frame:
        """Return a frame around chosen users (U,), with a margin in shares of its width."""
        x, y = self.x[chosen], self.y[chosen]
        pad_x, pad_y = max(float(np.ptp(x)), 1e-6) * margin, max(float(np.ptp(y)), 1e-6) * margin
        return float(x.min()) - pad_x, float(x.max()) + pad_x, float(y.min()) - pad_y, float(y.max()) + pad_y

    def drawn_around(self, within: Chosen, most: int = MOST_POINTS, sample: int = SAMPLE_POINTS) -> npt.NDArray[np.int64]:
        """Rows to draw of a part of the map and around it: those within as `drawn` has it, and with the points that are left, but no
        fewer than an eighth of them, a sample of all others; so nobody stands where the picture shows nothing.
        """
        rows = self.drawn(within, most, sample)
        return np.sort(np.concatenate([rows, self.sample(max(most - len(rows), most // 8), ~within)]))

    def framed(self, left: float, right: float, bottom: float, top: float) -> Chosen:
        """Which users lie in a frame (U,), its edges included."""
        return (self.x >= left) & (self.x <= right) & (self.y >= bottom) & (self.y <= top)

    def inside(self, polygon_x: list[float], polygon_y: list[float]) -> Chosen:
        """Which users lie in a polygon (U,), by the even-odd rule over everyone, drawn or not.

        Each edge looks only at the users between the heights of its ends, so the cost grows with what the shape crosses, not
        with its corners. A shape's left and lower borders belong to it, its right and upper ones do not.
        """
        order, x, y = self._upwards
        hit = np.zeros(len(y), dtype=bool)
        for x1, y1, x2, y2 in zip(polygon_x, polygon_y, np.roll(polygon_x, -1), np.roll(polygon_y, -1), strict=True):
            if y1 != y2:
                part = slice(*np.searchsorted(y, (min(y1, y2), max(y1, y2)), side="left"))
                hit[part] ^= x[part] < (x2 - x1) * (y[part] - y1) / (y2 - y1) + x1
        inside = np.empty(len(y), dtype=bool)
        inside[order] = hit
        return inside

    def around(self, user_id: str, number: int) -> Chosen:
        """The `number` users nearest to a user on the picture (U,), herself included; nobody when she is not on it."""
        near = np.zeros(len(self.x), dtype=bool)
        row = self.row_of(user_id)
        if row is not None:
            way = np.hypot(self.x - self.x[row], self.y - self.y[row])
            near[np.lexsort((np.arange(len(way)), way))[:number]] = True
        return near

    def density(self, within: Chosen | None = None) -> tuple[npt.NDArray[np.uint8], Frame]:
        """How many users stand where: a grid (DENSITY_CELLS, DENSITY_CELLS), rows upwards, and the frame it covers.

        0 where nobody stands, else 1-255 by the logarithm of the count, so that one byte tells a cell.
        """
        x, y = (self.x, self.y) if within is None else (self.x[within], self.y[within])
        frame = (float(x.min()), float(x.max()), float(y.min()), float(y.max()))
        cells = []
        for values, low, high in ((x, frame[0], frame[1]), (y, frame[2], frame[3])):
            step = max(high - low, 1e-9) / DENSITY_CELLS
            cells.append(np.minimum(((values - low) / step).astype(np.int64), DENSITY_CELLS - 1))
        counts = np.bincount(cells[1] * DENSITY_CELLS + cells[0], minlength=DENSITY_CELLS**2).reshape(DENSITY_CELLS, DENSITY_CELLS)
        depth = np.log1p(counts)
        return np.ceil(255 * depth / depth.max()).astype(np.uint8), frame


@lru_cache(maxsize=MAPS_KEPT)
def places(screen: Screen) -> Places:
    """Read the map with each user's purchase chance; the maps read last are remembered, for runs never change.

    Raises:
        NotFoundError: The map has not been drawn yet.
    """
    table = screens.run_table(screen, "atlas", "users")
    if table is None:
        raise NotFoundError("Dataset {dataset!r} has no map yet; draw it first.", dataset=screen.name)
    user_ids = table["user_id"].to_pandas().to_numpy(dtype=object)
    return Places(
        user_ids,
        table["x"].to_numpy().astype(np.float64),
        table["y"].to_numpy().astype(np.float64),
        table["segment_id"].to_numpy().astype(np.int64),
        table["certainty"].to_numpy().astype(np.float64),
        in_order(user_ids, screens.run_table(screen, "propensity", "scores", ["user_id", "propensity"]), "propensity"),
        table["subsegment_id"].to_numpy().astype(np.int64) if "subsegment_id" in table.column_names else None,
    )


def visible(frame: Frame) -> Frame:
    """What a picture of about twice its height shows around a frame: its axes are equal, so one side of it has room to spare."""
    left, right, bottom, top = frame
    half = max((right - left) / 2, WIDEST * (top - bottom) / 2) * BORDER, max((top - bottom) / 2, (right - left) / 2) * BORDER
    across, up = (left + right) / 2, (bottom + top) / 2
    return across - half[0], across + half[0], up - half[1], up + half[1]


def in_order(user_ids: npt.NDArray[Any], table: Any, column: str) -> npt.NDArray[np.float64]:
    """Values of a table with user_id in the order of the map (U,), NaN for users it lacks; all NaN without a table."""
    if table is None:
        return np.full(len(user_ids), np.nan)
    values = table[column].to_numpy(zero_copy_only=False).astype(np.float64)
    own = table["user_id"].to_pandas().to_numpy(dtype=object)
    if len(own) == len(user_ids) and bool((own == user_ids).all()):
        return np.asarray(values)
    return np.asarray(pd.Series(values, index=own).reindex(user_ids).to_numpy(np.float64))


def map_until(screen: Screen) -> datetime:
    """First instant that the map did not see."""
    return _map_reading(screen)[1]


@contextmanager
def map_log(screen: Screen) -> Iterator[Connection]:
    """Open the log as the map saw it: of the version it was drawn from, nothing from its cutoff on.

    When that version is no longer there, the one on screen is read up to the time that the map was drawn as of.

    Raises:
        NotFoundError: The map has not been drawn yet.
    """
    log, until = _map_reading(screen)
    with log.history(until) as connection:
        yield connection


def _map_reading(screen: Screen) -> tuple[Log, datetime]:
    record = screens.run_manifest(screen, "atlas")
    if record is None:
        raise NotFoundError("Dataset {dataset!r} has no map yet; draw it first.", dataset=screen.name)
    try:
        log = screen.dataset.log(version=record.get("inputs", {}).get("version", screen.version))
    except NotFoundError:
        log = screen.log
    return log, min(datetime.fromisoformat(record["as_of"]), log.until) if record.get("as_of") else log.until
