"""A small shop with a kept model, made in a second: chance rises with carts of the last days."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from core.artifacts import read_table, write_table
from core.features import act_labels, compute_features, price_levels
from core.predictor.calibration import Calibrator, fit_ranges
from core.predictor.keeping import JUDGED, KeptModel, save_background, save_model
from core.predictor.matrix import Matrix, matrix_of
from core.predictor.models import fit_models
from core.predictor.options import BoostingOptions, NetworkOptions, PropensityOptions
from core.store import Dataset, Home
from tests.worlds import at, publish_world

HORIZON = timedelta(days=7)
OPTIONS = PropensityOptions(
    horizon=HORIZON,
    network=NetworkOptions(members=2, epochs=8, hidden=(8,), patience=3),
    boosting=BoostingOptions(members=2, rounds=60, learning_rate=0.15, leaves=6, leaf_rows=20, feature_share=1.0),
)
ITEMS = [{"item_id": f"i{n}", "title": f"thing {n}", "category": "ab"[n % 2], "price": 1 + n} for n in range(12)]
TEST, END = at(28), at(35)


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


def matrix_at(dataset: Dataset, cutoff: Any) -> Matrix:
    """Counted features of everyone at a cutoff."""
    with dataset.log(END).history(cutoff) as connection:
        return matrix_of(compute_features(connection, cutoff))


def kept_shop(home: Path, winner: str = "lightgbm", calibrator: Calibrator | None = None) -> Dataset:
    """Publish the shop and a propensity run as of its end, whose model was fitted at two cutoffs before the test window."""
    publish_world(home, shop_events(), items=ITEMS)
    dataset = Home(home).dataset("tiny")
    log = dataset.log(END)
    seen = [matrix_at(dataset, cutoff) for cutoff in (at(14), at(21))]
    labels = [act_labels(log, cutoff, HORIZON, "purchase")["label"].to_numpy().astype(float) for cutoff in (at(14), at(21))]
    rows = Matrix([u for m in seen for u in m.user_ids], seen[0].columns, np.concatenate([m.values for m in seen]))
    truth = np.concatenate(labels)
    model = fit_models([winner], rows, truth, OPTIONS, np.random.default_rng(0), lambda share, message: None)[winner]
    kept = KeptModel(
        winner, model, calibrator or Calibrator("sigmoid", 0.9, -0.1), fit_ranges(truth, np.full(len(truth), 0.4)), rows.columns
    )
    config = {"act": "purchase", "horizon_hours": 168.0, "category": None, "seed": 0, "blocks": ["counts"], "model": "auto"}
    inputs = {"version": dataset.version_path().name}
    with dataset.new_run("propensity", inputs=inputs, config=config, cutoff=END) as draft:
        save_model(kept, draft.path)
        save_model(kept, draft.path, JUDGED)
        people = matrix_at(dataset, END)
        write_table(draft.path / "scores.parquet", kept.score(people))
        save_background(people, draft.path, np.random.default_rng(0))
        with log.history() as connection:
            write_table(draft.path / "item_levels.parquet", price_levels(connection, END))
        draft.record["windows"] = {"train": [at(14), at(21)], "test": TEST, "use": END, "horizon_days": 7.0, "plan": "full"}
        test = matrix_at(dataset, TEST)
        happened = act_labels(log, TEST, HORIZON, "purchase")["label"].to_pylist()
        scored = kept.score(test).append_column("label", [happened])
        write_table(draft.path / "test.parquet", scored)
    return dataset


def scores_of(dataset: Dataset) -> dict[str, float]:
    """The chance of each shopper in the current run."""
    table = read_table(dataset.run_path("propensity") / "scores.parquet")
    return dict(zip(table["user_id"].to_pylist(), table["propensity"].to_pylist(), strict=True))
