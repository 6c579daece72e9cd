"""How a trained chance does when the log is worse than it was: the test window scored from damaged histories, as a run of its own."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from core.artifacts import read_table, write_table
from core.errors import GateError
from core.explain.damage import MIDDLE, STEPS, damage_history, keep_shoppers
from core.explain.robustness import CURVE, GROUPS, compare_chances, compare_groups_damaged
from core.explain.shapley import Floats
from core.features import compute_features, nothing_known, price_levels
from core.features.stages import life_stages, rfm_groups
from core.messages import say
from core.pipeline.options import ProfileOptions
from core.pipeline.telling import Result, about
from core.pipeline.texts import TextProfiles
from core.schema import RFM_GROUPS, STAGES, Progress, silent
from core.store import Began, Connection, Dataset, Home

if TYPE_CHECKING:
    from core.encoder.items import ItemVectors
    from core.predictor.keeping import KeptModel
    from core.predictor.matrix import Matrix

MOST_ROWS = 20_000
"""Shoppers of the test window that are looked at; more are drawn."""


def measure_robustness(home: Home, dataset: Dataset, *, run_id: str | None = None, seed: int = 0, progress: Progress = silent) -> Result:
    """Score the test window of a propensity run (default: the current one) from damaged histories; publishes tables as a run.

    The model is the one that was judged: it has not seen the window, and it is not trained on damaged logs.

    Raises:
        GateError: The run has no test window, or its model looks at what cannot be made anew from a changed history.
        StorageError: It keeps no model.
        NotFoundError: There is no such run.
    """
    from core.predictor.keeping import JUDGED, load_model

    began, folder = Began.now(), dataset.run_path("propensity", run_id)
    record = dataset.run_manifest("propensity", folder.name)
    inputs, config = {"version": record["inputs"]["version"], "propensity": folder.name}, {"seed": seed}
    if found := dataset.find_run("robustness", inputs=inputs, config=config, cutoff=_time(record["cutoff"])):
        dataset.point_to("robustness", found)
        return about(dataset, "robustness", found, reused=True)
    windows = record["windows"]
    if not windows.get("test"):
        raise GateError("The log is too short for a test window, so nothing can be said of a worse log. Add older events.")
    kept = load_model(folder, JUDGED)
    _refuse(kept, record, folder.name)
    log = dataset.log(_time(record["cutoff"]), record["inputs"]["version"])
    test = datetime.fromisoformat(windows["test"])
    texts = TextProfiles(home, log, ProfileOptions.of(record["config"]))
    vectors = texts.item_vectors(test) if "text profile" in kept.blocks() else None
    truth = read_table(folder / "test.parquet", ["user_id", "label", "propensity"])
    rng = np.random.default_rng(seed)
    drawn = np.sort(rng.permutation(truth.num_rows)[:MOST_ROWS])
    truth = truth.take(drawn)
    users, labels = truth["user_id"].to_pylist(), truth["label"].to_numpy().astype(np.float64)
    curve, groups = [], []
    with log.history(test) as connection:
        levels = price_levels(connection)
        keep_shoppers(connection, users)
        matrix = _seen(connection, test, users, kept, vectors, levels, texts.half_life)
        sound, partitions = kept.propensities(matrix), _partitions(matrix)
        steps = [(kind, place, strength) for kind, strengths in STEPS.items() for place, strength in enumerate(strengths)]
        for number, (kind, place, strength) in enumerate(steps):
            progress(0.1 + 0.9 * number / len(steps), say("scoring from a damaged log"))
            if place == 0:
                curve.append(compare_chances(kind, 0.0, labels, sound, sound, rng))
            damage_history(connection, kind, strength, test, seed)
            damaged = kept.propensities(_seen(connection, test, users, kept, vectors, levels, texts.half_life))
            curve.append(compare_chances(kind, strength, labels, sound, damaged, rng))
            if place == MIDDLE:
                groups += compare_groups_damaged(kind, strength, labels, sound, damaged, partitions)
    groups.sort(key=lambda row: -float(str(row["rise"])))
    as_kept = float(np.abs(sound - truth["propensity"].to_numpy()).max())
    with dataset.new_run("robustness", inputs=inputs, config=config, cutoff=_time(record["cutoff"]), began=began) as draft:
        write_table(draft.path / "robustness.parquet", pa.Table.from_pylist(curve, schema=CURVE))
        write_table(draft.path / "groups.parquet", pa.Table.from_pylist(groups, schema=GROUPS))
        draft.record |= {
            "users": len(users),
            "test": windows["test"],
            "model": kept.name,
            "unlike_the_kept": as_kept,
            "worst": groups[0] if groups else None,
            "metrics": _figures(curve),
            "warnings": [],
        }
    return about(dataset, "robustness", draft.run_id)


def _refuse(kept: "KeptModel", record: dict[str, Any], run: str) -> None:
    unread = [name for name in kept.blocks() if name.endswith(" profile") and name != "text profile"]
    if unread or kept.reads_acts or record["config"].get("attributes"):
        raise GateError(
            "The chances of run {run} look at more than counts and texts, which cannot be made anew from a damaged log. "
            "Train chances with blocks counts,text and without attributes.",
            run=run,
        )


def _seen(
    connection: Connection,
    cutoff: datetime,
    users: list[str],
    kept: "KeptModel",
    vectors: "ItemVectors | None",
    levels: pa.Table,
    half_life: float | None,
) -> "Matrix":
    """What the model sees of the shoppers in this order; of those who lost every event, nothing."""
    from core.encoder.pooling import HALF_LIFE_DAYS, pool_text_profiles
    from core.predictor.matrix import Matrix, matrix_of

    counts = compute_features(connection, cutoff, levels)
    found = matrix_of(counts, None if vectors is None else pool_text_profiles(connection, vectors, half_life or HALF_LIFE_DAYS))
    place = {user: row for row, user in enumerate(found.user_ids)}
    rows = np.array([place.get(user, -1) for user in users])
    values = np.where((rows >= 0)[:, None], found.values[rows], nothing_known(found.columns)[None, :])
    text = None if found.text is None else np.where((rows >= 0)[:, None], found.text[rows], np.float32(0))
    return Matrix(users, found.columns, values, text)


def _partitions(matrix: "Matrix") -> dict[str, list[str]]:
    """Stage of life and RFM group of each shopper, from her sound history."""

    def column(name: str) -> Floats:
        return matrix.values[:, matrix.columns.index(name)]

    stages = life_stages(column("tenure_days"), column("days_since_event"), column("active_gap_median_days"))
    buyers = rfm_groups(column("days_since_purchase"), column("orders_all"), column("revenue_all"))
    return {"stage": [STAGES[code] for code in stages.tolist()], "rfm": [RFM_GROUPS[code] for code in buyers.tolist()]}


def _figures(curve: list[dict[str, Any]]) -> dict[str, Any]:
    """AUC of the sound log, and what each damage costs at its strongest."""
    told: dict[str, Any] = {"auc sound": {"value": curve[0]["auc"], "low": curve[0]["auc_low"], "high": curve[0]["auc_high"]}}
    for kind, strengths in STEPS.items():
        row = next(row for row in curve if (row["damage"], row["strength"]) == (kind, strengths[-1]))
        told[f"auc lost {kind}"] = {"value": row["auc_loss"], "low": row["auc_loss_low"], "high": row["auc_loss_high"]}
    return told


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
