"""How well profiles foretell shoppers of whom the probe saw nothing, by how much is known of them: cold, warm, hot."""

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from core.encoder.probe import FOLDS, equal, score_unseen
from core.metrics import auc, bootstrap
from core.pipeline.blocks import Blocks
from core.predictor.judge import BANDS, bands

DRAWS = 200
Bools = npt.NDArray[np.bool_]


def judge_unseen(
    known: tuple[Blocks, Blocks],
    users: tuple[Sequence[str], Sequence[str]],
    labels: tuple[Bools, Bools],
    events: npt.NDArray[np.float64],
    weights: Mapping[str, float],
    seed: int,
) -> list[dict[str, Any]]:
    """Judge counts and the weighed blocks on shoppers held out, a fifth at a time, by their ids.

    The probe learns at the earlier cutoff and judges at the later one; nobody is judged by one that saw a label of hers. Blocks
    that learn from histories learned from those of everybody, without labels.

    Args:
        known: Blocks at the cutoff learned at, and at the judged one.
        users: Their rows.
        labels: Who acts (U, 1) after each.
        events: Events of each shopper before the judged cutoff (U,).
        weights: Of the blocks.
        seed: Of folds and intervals.

    Returns:
        A row for `all` and each band that has shoppers: band, users, positives, and for `counts` and `blocks` the AUC with its 95%
        interval; None where nobody acts or everybody does.
    """
    folds = tuple(np.array([crc32(f"unseen {user}".encode()) % FOLDS for user in ids], dtype=np.int64) for ids in users)
    truth, banded = labels[1][:, 0], np.array(bands(events))
    scores = {
        name: score_unseen(*known, chosen, labels[0], (folds[0], folds[1]), np.random.default_rng(seed))
        for name, chosen in (("counts", equal("counts")), ("blocks", weights))
    }
    rows: list[dict[str, Any]] = []
    for band in ("all", *BANDS):
        own = np.ones(len(truth), dtype=bool) if band == "all" else banded == band
        if not own.any():
            continue
        row: dict[str, Any] = {"band": band, "users": int(own.sum()), "positives": int(truth[own].sum())}
        for name, values in scores.items():
            row |= _area(name, truth[own], values[own], seed)
        rows.append(row)
    return rows


def _area(name: str, truth: Bools, scores: npt.NDArray[np.float64], seed: int) -> dict[str, Any]:
    if truth.all() or not truth.any():
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    found = bootstrap(lambda rows: auc(truth[rows], scores[rows]), len(truth), np.random.default_rng(seed), DRAWS)
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
