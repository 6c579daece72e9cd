"""How a chance grows with its labels on this log: counts against profiles, labels that nobody gave, labels asked for cleverly."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from core.artifacts import write_table
from core.messages import say
from core.pipeline.options import ProfileOptions
from core.pipeline.seeing import labels_of, seen_at
from core.pipeline.telling import Result, about_rows, fitting_horizon
from core.pipeline.texts import models_now
from core.schema import Progress, part_of, silent
from core.store import Began, Dataset, Home

MOST_LEARNED = 60_000
"""Shoppers of the training window looked at; more are sampled."""
MOST_JUDGED = 20_000
FEW_ROWS = 10_000
"""Of them, for what costs a round of questions each."""


def learn_curve(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    act: str = "purchase",
    horizon: timedelta | None = None,
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Learn from growing numbers of labels of one window, and judge on the next.

    Labels are of the window two horizons before the end of the log; the one after it judges. Both are looked at once.

    Raises:
        CutoffError: The log is shorter than two horizons and some history.
        GateError: Too few shoppers act, or do not.
    """
    from core.predictor.few_labels import few_labels
    from core.predictor.learning_curve import POSITIVES, learning_curve
    from core.predictor.plan import TRAIN_USERS
    from core.predictor.threads import one_thread

    options, began, log = options or ProfileOptions(), Began.now(), dataset.log(cutoff)
    horizon = horizon or fitting_horizon(log)
    blocks = tuple(block for block in options.blocks if block in ("counts", "text"))
    profile = options.reading(blocks)
    inputs = {"version": dataset.version_path().name, **models_now(home, profile)}
    config = {
        "act": act,
        "horizon_hours": horizon / timedelta(hours=1),
        "blocks": list(blocks),
        "model": options.model,
        "seed": seed,
        **options.of_texts,
    }
    if found := dataset.find_run("learning", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("learning", found)
        return about_rows(dataset, "learning", found, reused=True)
    rng = np.random.default_rng(seed)
    learned_at, judged_at = log.until - 2 * horizon, log.until - horizon
    matrix_at = seen_at(home, log, profile, part_of(progress, 0.0, 0.2))
    labels_at = labels_of(log, act, horizon)
    windows = []
    for at, most in ((learned_at, MOST_LEARNED), (judged_at, MOST_JUDGED)):
        matrix, labels = matrix_at(at), labels_at(at)["label"].to_numpy().astype(float)
        drawn = np.sort(rng.permutation(len(labels))[:most])
        windows.append((matrix.rows(drawn), labels[drawn]))
    (train, labels), (test, truth) = windows
    every = int(labels.sum())
    sizes = (*(size for size in POSITIVES if size < every), every)
    with one_thread():
        curve = learning_curve(train, labels, test, truth, rng, positives=sizes, progress=part_of(progress, 0.2, 0.6))
        kept = np.sort(rng.permutation(len(labels))[:FEW_ROWS])
        few = few_labels(train.rows(kept), labels[kept], test, truth, rng, progress=part_of(progress, 0.6, 1.0))
    with dataset.new_run("learning", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        write_table(draft.path / "learning.parquet", curve)
        write_table(draft.path / "few.parquet", few)
        draft.record |= {
            "act": act,
            "gate": TRAIN_USERS,
            "learned_at": learned_at.isoformat(),
            "judged_at": judged_at.isoformat(),
            "shoppers": [len(labels), len(truth)],
            "acted": [every, int(truth.sum())],
            "metrics": _figures(curve),
            "warnings": [] if train.text is not None else [say("The log has no item texts, so there are no profiles to learn from.")],
        }
    return about_rows(dataset, "learning", draft.run_id)


def _figures(curve: pa.Table) -> dict[str, object]:
    """The AUC of each model with the fewest and with all labels."""
    rows = curve.to_pylist()
    ends = {"few": min(row["positives"] for row in rows), "all": max(row["positives"] for row in rows)}
    return {
        f"{row['model']} {word}": {"value": row["auc"], "low": row["low"], "high": row["high"], "n": row["positives"]}
        for row in rows
        for word, size in ends.items()
        if row["positives"] == size
    }
