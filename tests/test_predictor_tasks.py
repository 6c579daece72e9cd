"""One network for several tasks: what the tasks are, when they may be looked at, and what they are worth."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.features import Task, act_labels, choose_tasks, one_category_labels, task_labels
from core.predictor.calibration import Calibrator, RangeTable
from core.predictor.keeping import KeptModel, load_model, save_model
from core.predictor.matrix import Floats, stack
from core.predictor.models import TASKS, fit_models
from core.predictor.propensity import fit_propensity
from core.store import Log
from tests.test_predictor import OPTIONS, World
from tests.worlds import at, publish_world

WEEK = timedelta(days=7)


def event(user: str, day: float, kind: str, item: str | None) -> dict[str, Any]:
    return {"user_id": user, "event_time": at(day), "event_type": kind, "item_id": item}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    rng = np.random.default_rng(3)
    kinds = ["view", "cart", "purchase"]
    rows = [
        event(f"u{int(rng.integers(30)):02d}", float(day), kinds[int(rng.integers(3))], f"i{int(rng.integers(6))}")
        for day in np.sort(rng.uniform(0, 30, 400))
    ]
    items = [{"item_id": f"i{n}", "category": ("tea", "cake", None)[n % 3]} for n in range(6)]
    return publish_world(tmp_path_factory.mktemp("home"), rows, items)


def test_tasks_are_acts_by_horizons_and_the_act_by_categories_without_the_asked_one(log: Log) -> None:
    with log.history(at(15)) as connection:
        tasks = choose_tasks(connection, "purchase", WEEK)
        of_tea = choose_tasks(connection, "purchase", WEEK, "tea")
    assert len(tasks) == 3 * 3 - 1 + 2 and Task("purchase", WEEK) not in tasks
    assert {task.category for task in tasks} == {None, "tea", "cake"} and {task.act for task in tasks} == {"purchase", "cart", "view"}
    assert Task("purchase", WEEK) in of_tea and Task("purchase", WEEK, "tea") not in of_tea
    assert max(task.horizon for task in tasks) == WEEK


def test_labels_of_a_task_are_those_that_the_task_alone_would_have(log: Log) -> None:
    tasks = [Task("purchase", WEEK / 2), Task("cart", WEEK), Task("view", WEEK / 4)]
    tasks += [Task("purchase", WEEK, "tea"), Task("purchase", WEEK, "no such")]
    found = task_labels(log, at(15), tasks)
    for place, task in enumerate(tasks):
        alone = (
            act_labels(log, at(15), task.horizon, task.act)
            if task.category is None
            else one_category_labels(log, at(15), task.horizon, task.category, task.act)
        )
        assert found["user_id"].to_pylist() == alone["user_id"].to_pylist()
        assert found[f"t{place}"].to_pylist() == alone["label"].to_pylist(), task
    assert sum(found["t3"].to_pylist()) > 0 == sum(found["t4"].to_pylist())


class Teaching(World):
    """The asked act is rare; another, frequent one has the same cause."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.taught: list[datetime] = []

    def tasks_at(self, cutoff: datetime) -> Floats:
        self.taught.append(cutoff)
        values = self.matrix_at(cutoff).values
        rng = np.random.default_rng((cutoff - at(0)).days + 5000)
        chance = 1 / (1 + np.exp(-(1.2 * values[:, 2] - 0.12 * np.nan_to_num(values[:, 0], nan=30))))
        n = len(chance)
        return np.column_stack([rng.random(n) < chance, rng.random(n) < chance, np.zeros(n)]).astype(np.float64)


def rows_of(world: Teaching, days: tuple[int, ...]) -> tuple[Any, Floats, Floats]:
    labels = np.concatenate([world.labels_at(at(day))["label"].to_numpy().astype(float) for day in days])
    return stack([world.matrix_at(at(day)) for day in days]), labels, np.concatenate([world.tasks_at(at(day)) for day in days])


def test_without_tasks_it_is_the_network_and_a_task_nobody_does_is_left_out() -> None:
    world = Teaching()
    train, labels, tasks = rows_of(world, (20, 27))
    quiet = lambda share, message: None  # noqa: E731
    alone = fit_models(["mlp", TASKS], train, labels, OPTIONS, np.random.default_rng(0), quiet)
    assert (alone["mlp"].logits(train) == alone[TASKS].logits(train)).all()
    taught = fit_models([TASKS], train, labels, OPTIONS, np.random.default_rng(0), quiet, tasks=tasks)[TASKS]
    told: Any = getattr(taught, "tasks")  # noqa: B009  # the protocol of all models has no tasks
    assert [task["place"] for task in told] == [0, 1]
    assert all(0.65 < task["auc"] < 0.9 for task in told)
    assert taught.card()["tasks"] == 2


def test_a_frequent_task_with_the_same_cause_teaches_a_rare_one(tmp_path: Path) -> None:
    world = Teaching(users=500, rate=-4.0)
    train, labels, tasks = rows_of(world, (20,))
    assert labels.sum() < 60
    quiet = lambda share, message: None  # noqa: E731
    fitted = fit_models(["mlp_counts", TASKS], train, labels, OPTIONS, np.random.default_rng(0), quiet, tasks=tasks)
    later = world.matrix_at(at(40))
    cause = 1.2 * later.values[:, 2] - 0.12 * np.nan_to_num(later.values[:, 0], nan=30)
    found = {name: float(np.corrcoef(cause, model.logits(later))[0, 1]) for name, model in fitted.items()}
    assert found[TASKS] > found["mlp_counts"] + 0.05, found
    kept = KeptModel(TASKS, fitted[TASKS], Calibrator("none", 1.0, 0.0), RangeTable((), (0.01,), 1.0), train.columns)
    save_model(kept, tmp_path)
    assert (load_model(tmp_path).model.logits(train) == fitted[TASKS].logits(train)).all()


def test_tasks_are_looked_at_where_the_network_learns_and_nowhere_later() -> None:
    world = Teaching()
    options = OPTIONS.__class__(**{**vars(OPTIONS), "models": (TASKS,), "refit": False})
    result = fit_propensity(world.log, world.matrix_at, world.labels_at, options, np.random.default_rng(0), tasks_at=world.tasks_at)
    assert world.taught == list(result.windows["train"])
    assert result.windows["calibrate"] not in world.taught and result.windows["test"] not in world.taught
    assert TASKS in result.metrics["models"] and len(result.tasks) == 2
    assert isinstance(result.test, pa.Table) and TASKS in result.test.column_names
    unasked = Teaching()
    fit_propensity(unasked.log, unasked.matrix_at, unasked.labels_at, OPTIONS, np.random.default_rng(0), tasks_at=unasked.tasks_at)
    assert unasked.taught == []
