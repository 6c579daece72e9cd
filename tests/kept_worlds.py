"""A small shop with a kept model, made in a second: chance rises with carts of the last days."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import read_table, write_table
from core.encoder.items import without_texts
from core.features import act_labels, compute_features, price_levels
from core.pipeline.knowing import read_acts
from core.predictor.calibration import Calibrator, fit_ranges
from core.predictor.held import save_held
from core.predictor.keeping import JUDGED, KeptModel, save_background, save_model
from core.predictor.matrix import Matrix, matrix_of, stack
from core.predictor.models import OVER_ACTS, fit_models
from core.predictor.options import BoostingOptions, HistoryOptions, NetworkOptions, PropensityOptions
from core.store import Dataset, Home
from tests.worlds import at, publish_world

HORIZON = timedelta(days=7)
OPTIONS = PropensityOptions(
    horizon=HORIZON,
    network=NetworkOptions(members=2, epochs=8, hidden=(8,), patience=3),
    history=HistoryOptions(members=1, width=16, layers=1, epochs=2, batch_size=64),
    boosting=BoostingOptions(members=2, rounds=60, learning_rate=0.15, leaves=6, leaf_rows=20, feature_share=1.0),
)
ITEMS = [{"item_id": f"i{n}", "title": f"thing {n}", "category": "ab"[n % 2], "price": 1 + n} for n in range(12)]
TEST, END = at(28), at(35)
AGES = ["age = 18-34", "age = 35-54"]


def shop_events(users: int = 260, days: int = 35, seed: int = 0) -> list[dict[str, Any]]:
    """Views and carts at random; after a week with carts a purchase is likely in the next."""
    rng = np.random.default_rng(seed)
    events = []
    for user in range(users):
        keen = rng.random() < 0.5
        for week in range(days // 7):
            carts = rng.poisson(1.5 if keen and rng.random() < 0.7 else 0.1)
            for kind, n in (("view", 1 + rng.poisson(2)), ("cart", carts)):
                for _ in range(n):
                    item = ITEMS[rng.integers(12)]
                    events.append((user, week * 7 + 7 * rng.random(), kind, item))
            if week + 1 < days // 7 and rng.random() < (0.85 if carts else 0.08):
                events.append((user, week * 7 + 7 + 7 * rng.random(), "purchase", ITEMS[rng.integers(12)]))
    events.sort(key=lambda event: event[1])
    return [
        {"user_id": f"u{user:03d}", "event_time": at(days_in), "event_type": kind, "item_id": item["item_id"], "price": item["price"]}
        | ({"revenue": item["price"], "quantity": 1} if kind == "purchase" else {})
        for user, days_in, kind, item in events
    ]  # fmt: skip


def matrix_at(dataset: Dataset, cutoff: Any, winner: str = "") -> Matrix:
    """Counted features of everyone at a cutoff, and what else a winner reads: single acts, or a block and an attribute."""
    with dataset.log(END).history(cutoff) as connection:
        matrix = matrix_of(compute_features(connection, cutoff))
        if winner in OVER_ACTS:
            return replace(matrix, acts=read_acts(connection, cutoff, without_texts(connection)))
    if not winner.endswith("_sequence"):
        return matrix
    keen = matrix.values[:, matrix.columns.index("carts_all")]
    block = np.column_stack([np.sin(keen), np.cos(keen)]).astype(np.float32)
    old = np.array([int(user[1:]) % 2 for user in matrix.user_ids], dtype=float)
    values = np.column_stack([matrix.values, old, 1 - old])
    return Matrix(matrix.user_ids, [*matrix.columns, *AGES], values, further={"graph": block})


def kept_shop(home: Path, winner: str = "lightgbm", calibrator: Calibrator | None = None, blocks: tuple[str, ...] = ("counts",)) -> Dataset:
    """Publish the shop and a propensity run as of its end, whose model was fitted at two cutoffs before the test window."""
    publish_world(home, shop_events(), items=ITEMS)
    dataset = Home(home).dataset("tiny")
    log = dataset.log(END)
    seen = [matrix_at(dataset, cutoff, winner) for cutoff in (at(14), at(21))]
    labels = [act_labels(log, cutoff, HORIZON, "purchase")["label"].to_numpy().astype(float) for cutoff in (at(14), at(21))]
    rows = stack(seen)
    truth = np.concatenate(labels)
    model = fit_models([winner], rows, truth, OPTIONS, np.random.default_rng(0), lambda share, message: None)[winner]
    kept = KeptModel(
        winner, model, calibrator or Calibrator("sigmoid", 0.9, -0.1), fit_ranges(truth, np.full(len(truth), 0.4)), rows.columns
    )
    config = {"act": "purchase", "horizon_hours": 168.0, "category": None, "seed": 0, "blocks": [*blocks], "model": "auto"}
    inputs = {"version": dataset.version_path().name}
    with dataset.new_run("propensity", inputs=inputs, config=config, cutoff=END) as draft:
        save_model(kept, draft.path)
        save_model(kept, draft.path, JUDGED)
        people = matrix_at(dataset, END, winner)
        write_table(draft.path / "scores.parquet", kept.score(people))
        save_background(people, draft.path, np.random.default_rng(0))
        save_held(people, kept, [name for name in AGES if name in people.columns], draft.path)
        with log.history() as connection:
            write_table(draft.path / "item_levels.parquet", price_levels(connection))
        draft.record["windows"] = {"train": [at(14), at(21)], "test": TEST, "use": END, "horizon_days": 7.0, "plan": "full"}
        test = matrix_at(dataset, TEST, winner)
        happened = act_labels(log, TEST, HORIZON, "purchase")["label"].to_pylist()
        scored = kept.score(test).append_column("label", [happened])
        write_table(draft.path / "test.parquet", scored)
    return dataset


def scores_of(dataset: Dataset) -> dict[str, float]:
    """The chance of each shopper in the current run."""
    table = read_table(dataset.run_path("propensity") / "scores.parquet")
    return dict(zip(table["user_id"].to_pylist(), table["propensity"].to_pylist(), strict=True))
