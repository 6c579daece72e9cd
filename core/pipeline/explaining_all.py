"""What a model looks at over all shoppers, how it does in groups, and whether those it scores are like those it learned from."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from core.artifacts import read_table, write_table
from core.errors import GateError
from core.explain.everyone import PSI_SHIFTED, feature_drift, partial_dependence, permutation_importance, told_apart
from core.explain.fairness import FIELDS, compare_groups
from core.explain.named import Block, Rows, name_groups
from core.explain.shapley import Floats
from core.features import FEATURES
from core.messages import Message, say
from core.pipeline.knowing import Known
from core.pipeline.options import PredictOptions, ProfileOptions
from core.pipeline.telling import Result, about
from core.schema import Progress, silent
from core.store import Began, Dataset, Home, Log, fetch, identifier

MOST_ROWS = 20_000
"""Shoppers of each window that are looked at; more are drawn."""
DEPENDENCES = 6
"""Counts whose partial dependence is drawn, the weightiest first."""
MOST_GROUPS = 12
"""An attribute with more values is no group."""
CLOCKS = ("tenure_days", "days_since_first_purchase")
"""Features that grow by a day a day for all: on Complete Journey trees told trained from scored with AUC .93, without these .55."""
DEPTH = 0.2
"""Share of shoppers contacted, for who is found in which group."""


def explain_all(
    home: Home, dataset: Dataset, *, run_id: str | None = None, groups: bool = False, seed: int = 0, progress: Progress = silent
) -> Result:
    """Explain a propensity run over all shoppers and publish the tables as a run.

    Args:
        home: Where the dataset lies.
        dataset: Whose run.
        run_id: A propensity run; default: the current one.
        groups: Whether to compare groups of people by their demographics.
        seed: Of all chance.
        progress: Told along the way.

    Raises:
        GateError: The run has no test window.
        StorageError: It keeps no model.
        NotFoundError: There is no such run.
    """
    from core.predictor.history_networks import HISTORY
    from core.predictor.keeping import JUDGED, load_model

    began, folder = Began.now(), dataset.run_path("propensity", run_id)
    record = dataset.run_manifest("propensity", folder.name)
    inputs, config = {"version": record["inputs"]["version"], "propensity": folder.name}, {"groups": groups, "seed": seed}
    if found := dataset.find_run("explanations", inputs=inputs, config=config, cutoff=_time(record["cutoff"])):
        dataset.point_to("explanations", found)
        return about(dataset, "explanations", found, reused=True)
    windows = record["windows"]
    if not windows.get("test"):
        raise GateError("The log is too short for a test window, so nothing can be said of the model over all shoppers. Add older events.")
    kept = load_model(folder, JUDGED)
    log = dataset.log(_time(record["cutoff"]), record["inputs"]["version"])
    asked = record["config"]
    horizon = timedelta(hours=asked["horizon_hours"])
    chosen = PredictOptions(
        look_back_days=asked.get("look_back_days"),
        attributes=bool(asked.get("attributes")),
        seed=asked["seed"],
        models=tuple(asked.get("models") or ()) if kept.reads_acts else (),
    )
    profile = ProfileOptions.of(asked)
    # learning a block takes hours on a large log, and what the model does not look at explains nothing of it
    looked = {"counts", "text"} | {name.removesuffix(" profile") for name in kept.blocks()}
    profile = replace(profile, blocks=tuple(name for name in profile.blocks if name in looked))
    known = Known(home, dataset, log, horizon, chosen, profile, silent)
    rng = np.random.default_rng(seed)
    progress(0.05, say("reading features as of the cutoffs"))
    if set(kept.blocks()) - {"text profile"}:
        known.matrix_at(datetime.fromisoformat(windows["train"][0]))  # what learns from the log learns at the first cutoff
    test = known.matrix_at(datetime.fromisoformat(windows["test"]))
    truth = read_table(folder / "test.parquet", ["user_id", "label", "propensity"])
    assert truth["user_id"].to_pylist() == test.user_ids, "the test window is another"
    labels, chances = (truth[name].to_numpy().astype(np.float64) for name in ("label", "propensity"))
    drawn = _drawn(len(labels), rng)
    blocks: dict[str, Block] = {name: block[drawn] for name, block in test.learned().items()}
    if kept.reads_acts:  # a block that says whose acts they are, so that they can be shuffled like any other
        blocks[HISTORY] = drawn[:, None].astype(np.float64)
    rows, some = Rows(test.values[drawn], blocks), labels[drawn]

    def chance(those: Rows) -> Floats:
        from core.predictor.matrix import Matrix

        further = {name.removesuffix(" profile"): b for name, b in those.blocks.items() if name not in ("text profile", HISTORY)}
        acts = test.acts.rows(those.blocks[HISTORY][:, 0].astype(np.int64)) if test.acts is not None and HISTORY in those.blocks else None
        people = [""] * len(those.values)
        return kept.propensities(Matrix(people, kept.columns, those.values, those.blocks.get("text profile"), further, acts))

    progress(0.3, say("shuffling one feature after the other"))
    importance = permutation_importance(chance, kept.columns, rows, some, rng)
    order = np.argsort(-importance.loss, kind="stable")
    progress(0.7, say("drawing how the chance depends on counts"))
    dependence = partial_dependence(chance, kept.columns, rows, _counts([importance.names[i] for i in order], kept.columns), rng)
    progress(0.85, say("comparing trained with scored shoppers"))
    counted = Known(home, dataset, log, horizon, chosen, ProfileOptions(blocks=("counts",)), silent)
    newest = datetime.fromisoformat(windows["train"][-1])
    trained, scored = _counted(counted, newest, rng), _counted(counted, log.until, rng)
    drift, calm = feature_drift(kept.columns, trained, scored), [name not in CLOCKS for name in kept.columns]
    area, usual = told_apart(trained[:, calm], scored[:, calm], rng), None
    if (pair := _earlier(log, newest, horizon)) is not None:
        usual = told_apart(_counted(counted, pair[0], rng)[:, calm], _counted(counted, pair[1], rng)[:, calm], rng)
    shifted = [row["feature"] for row in drift.to_pylist() if row["psi"] > PSI_SHIFTED and row["feature"] not in CLOCKS]
    compared = _groups(log, test.user_ids, labels, chances, rng) if groups else FIELDS.empty_table()
    with dataset.new_run("explanations", inputs=inputs, config=config, cutoff=_time(record["cutoff"]), began=began) as draft:
        ordered = {name: getattr(importance, name)[order] for name in ("loss", "low", "high")}
        write_table(draft.path / "importance.parquet", pa.table({"feature": [importance.names[i] for i in order], **ordered}))
        for name, table in (("dependence", dependence), ("drift", drift), ("groups", compared)):
            write_table(draft.path / f"{name}.parquet", table)
        draft.record |= {
            "users": len(labels),
            "looked_at": len(drawn),
            "trained_at": windows["train"][-1],
            "test": windows["test"],
            "drift": {"auc": area, "usual": usual, "shifted": shifted, "features": len(kept.columns)},
            "warnings": _warnings(shifted, len(kept.columns), area, usual, min(len(trained), len(scored))),
        }
    return about(dataset, "explanations", draft.run_id)


def _drawn(n: int, rng: np.random.Generator) -> Any:
    return np.sort(rng.choice(n, size=min(n, MOST_ROWS), replace=False))


def _counts(names: list[str], columns: list[str]) -> list[str]:
    """The widest window of each of the weightiest counts."""
    counted, groups = {feature.name for feature in FEATURES if feature.is_count}, name_groups(columns)
    found = [[columns[place] for place in groups[name] if columns[place] in counted] for name in names if name in groups]
    return [windows[-1] for windows in found if windows][:DEPENDENCES]


def _groups(log: Log, users: list[str], labels: Floats, chances: Floats, rng: np.random.Generator) -> pa.Table:
    with log.history() as connection:
        people = fetch(connection, "SELECT * FROM users")
    place = {user: row for row, user in enumerate(people["user_id"].to_pylist())}
    tables = []
    for name in people.column_names:
        values = people[name].to_pylist()
        if identifier(name) and name != "user_id" and 1 < len(set(values)) <= MOST_GROUPS:
            named = [values[place[user]] if user in place else None for user in users]
            tables.append(compare_groups(name, named, labels, chances, DEPTH, rng))
    return pa.concat_tables([FIELDS.empty_table(), *tables])


def _counted(known: Known, at: datetime, rng: np.random.Generator) -> Floats:
    values: Floats = known.matrix_at(at).values
    drawn: Floats = values[_drawn(len(values), rng)]
    return drawn


def _earlier(log: Log, trained: datetime, horizon: timedelta) -> tuple[datetime, datetime] | None:
    """Two cutoffs as far apart as the trained one and the end of the log, ending at the trained one where the log is long enough."""
    apart = log.until - trained
    for back in range(round(apart / horizon), 0, -1):
        later = log.until - back * horizon
        if later - apart >= log.start + horizon:
            return later - apart, later
    return None


def _warnings(shifted: list[str], features: int, area: float, usual: float | None, users: int) -> list[Message]:
    """What should be known of shoppers unlike those that were learned from; that they differ as time makes them is no news.

    Args:
        shifted: Features whose values moved.
        features: How many there are.
        area: AUC by which trees tell trained from scored.
        usual: The same of two earlier cutoffs as far apart.
        users: Fewest of the two windows.
    """
    if not shifted:
        if usual is None or area < usual + 2 * float(np.sqrt(usual * (1 - usual) / users)):
            return []
        return [
            say(
                "No single feature is shifted between the shoppers that were learned from and those that are scored, yet trees tell them "
                "apart with an AUC of {auc:.3f}, better than two earlier windows as far apart ({usual:.3f}): together the features differ "
                "more than time alone makes them. Take the chances with care.",
                auc=area,
                usual=usual,
            )
        ]
    return [
        say(
            "Outside the training range: {n} of {all} features are shifted between the shoppers that were learned from and those that are "
            "scored, and trees tell them apart with an AUC of {auc:.2f}. Take the chances with care, or train again.",
            n=len(shifted),
            all=features,
            auc=area,
        )
    ]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
