"""What models see of shoppers at any cutoff, and what happened after it: for measurements beside the chance on screen."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa

from core.pipeline.options import ProfileOptions
from core.pipeline.texts import TextProfiles
from core.schema import Progress, silent
from core.store import Home, Log

if TYPE_CHECKING:
    from core.predictor.matrix import Matrix

KEPT = 8
"""Cutoffs in memory at once."""


def seen_at(home: Home, log: Log, profile: ProfileOptions, progress: Progress = silent) -> "Callable[[datetime], Matrix]":
    """Give counts and texts of everyone with an event before a cutoff; texts only where the blocks ask for them."""
    from core.features import compute_features
    from core.predictor.matrix import Matrix, matrix_of

    texts = TextProfiles(home, log, profile, progress)

    @lru_cache(maxsize=KEPT)
    def matrix_at(at: datetime) -> Matrix:
        with log.history(at) as connection:
            counts = compute_features(connection, at)
        return matrix_of(counts, texts(at))

    return matrix_at


def labels_of(log: Log, act: str, horizon: timedelta) -> Callable[[datetime], pa.Table]:
    """Give user_id and label of who does an act within the horizon after a cutoff."""
    from core.features import act_labels

    return lambda at: act_labels(log, at, horizon, act)
