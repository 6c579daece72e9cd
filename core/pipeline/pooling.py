"""How acts are weighed in this log's text profiles: fixed, kept from an earlier version, or chosen on a window before the cutoff."""

import time
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import CutoffError
from core.messages import say
from core.pipeline.options import ProfileOptions
from core.pipeline.telling import fitting_horizon
from core.pipeline.updating import Earlier
from core.store import Log

if TYPE_CHECKING:
    from core.encoder.items import ItemVectors
    from core.encoder.pooling_choice import Pooling


def settle_pooling(log: Log, vectors: "ItemVectors", options: ProfileOptions, earlier: Earlier | None) -> tuple["Pooling", dict[str, Any]]:
    """Say how acts are weighed, and why; what an earlier version chose stays, so that nobody's profile moves but who acted.

    The choice learns two horizons before the end and is judged one horizon before it, so it sees nothing that a profile as of the end
    may not see. What judges profiles or predicts at earlier cutoffs must not rest on it, and pools as usual.

    Args:
        log: Whose end is the cutoff.
        vectors: Text vectors as of the cutoff; all rivals pool the same ones, so that no text is encoded for the choice.
        options: A half-life in it is taken as it is.
        earlier: The run of an earlier version, if there is one.

    Returns:
        The way, and a card: {"half_life_days", "weights", "why", "rivals", "judged_at", "users", "targets", "horizon_days"}.
    """
    from core.encoder.pooling_choice import Pooling

    if options.half_life is not None:
        fixed = Pooling(options.half_life)
        return fixed, {**asdict(fixed), "why": say("It was asked for."), "rivals": []}
    before = earlier.record.get("pooling") if earlier is not None and earlier.is_continued else None
    if before and before["rivals"]:  # a log that was too short for a choice makes it when it has grown
        kept = Pooling(float(before["half_life_days"]), str(before["weights"]))
        return kept, {**before, **asdict(kept), "why": say("It was kept from {version}.", version=earlier.version if earlier else "–")}
    return _chosen(log, vectors)


def _chosen(log: Log, vectors: "ItemVectors") -> tuple["Pooling", dict[str, Any]]:
    from core.encoder.pooling_choice import MOST_TARGETS, MOST_USERS, Pooling, choose_pooling, read_acts
    from core.encoder.probe import can_judge
    from core.features import compute_features
    from core.pipeline.judging import Targets
    from core.predictor.matrix import matrix_of

    usual, began = Pooling(), time.process_time()
    why_not = say("The log is too short, or too few shoppers act, to choose another way than the usual one.")
    too_little = {**asdict(usual), "why": why_not, "rivals": []}
    horizon: timedelta = fitting_horizon(log)
    cutoffs = [log.until - back * horizon for back in (2, 1)]
    try:
        targets = Targets(log, cutoffs, horizon)
    except CutoffError:
        return usual, too_little
    if not can_judge(*targets.labels).any():
        return usual, too_little
    acts, counts, labels = [], [], []
    for at, users, truth in zip(cutoffs, targets.users, targets.labels, strict=True):
        rows = np.sort(np.random.default_rng(0).permutation(len(users))[:MOST_USERS])
        with log.history(at) as connection:
            matrix = matrix_of(compute_features(connection, at))
            acts.append(read_acts(connection, vectors, [users[int(row)] for row in rows]))
        assert matrix.user_ids == users
        counts.append(np.sign(matrix.values[rows]) * np.log1p(np.abs(matrix.values[rows])))
        labels.append(truth[rows])
    if not can_judge(*labels).any():
        return usual, too_little
    best, rivals = choose_pooling(acts, vectors, counts, labels)
    why = (
        say("No other way foretells better on this log, with its interval, than the usual one.")
        if best == usual
        else say("On an earlier window of this log it foretells better than the usual way, with its interval.")
    )
    return best, {
        **asdict(best),
        "why": why,
        "rivals": [asdict(rival) for rival in rivals],
        "judged_at": cutoffs[1].isoformat(),
        "horizon_days": horizon / timedelta(days=1),
        "users": len(labels[1]),
        "targets": min(MOST_TARGETS, int(can_judge(*labels).sum())),
        "cpu_seconds": round(time.process_time() - began, 1),
    }
