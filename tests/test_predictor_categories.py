"""The chance by category: own counts and alike baskets are found, gates hold, sums are right."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.errors import CutoffError, GateError
from core.predictor.categories import CategoryResult, fit_category_propensity
from core.predictor.grid import build_grid, category_affinity, positive_pairs
from core.predictor.matrix import Matrix
from core.predictor.options import PropensityOptions
from core.store import Log
from tests.worlds import at

NAMES = ["cups", "milk", "tea"]
OPTIONS = PropensityOptions(horizon=timedelta(days=7))
USERS = [f"u{i:03d}" for i in range(300)]
TASTE = np.random.default_rng(5).beta(0.6, 0.9, (300, 3))


def matrix_at(cutoff: datetime) -> Matrix:
    return Matrix(USERS, ["orders_all", "tenure_days"], np.column_stack([np.full(300, 9.0), np.full(300, 60.0)]))


def counts_at(cutoff: datetime) -> pa.Table:
    drawn = np.random.default_rng(cutoff.toordinal()).binomial(9, TASTE)
    rows = [(u, c) for u in range(300) for c in range(3) if drawn[u, c]]
    days = [int(drawn[pair]) for pair in rows]
    return pa.table(
        {
            "user_id": [USERS[u] for u, _ in rows],
            "category": [NAMES[c] for _, c in rows],
            "purchases": days,
            "days_bought": days,
            "days_bought_28d": days,
            "days_since_purchase": [60.0 / d for d in days],
            "gap_mean_days": [60.0 / d for d in days],
        }
    )


def pairs_at(cutoff: datetime) -> pa.Table:
    hit = np.random.default_rng(cutoff.toordinal() + 1).random(TASTE.shape) < TASTE
    return pa.table({"user_id": [USERS[u] for u, _ in np.argwhere(hit)], "category": [NAMES[c] for _, c in np.argwhere(hit)]})


def fit(days: float = 42, names: list[str] = NAMES) -> CategoryResult:
    log = Log(path=Path("never opened"), start=at(0), until=at(days))
    return fit_category_propensity(log, matrix_at, counts_at, pairs_at, names, OPTIONS, np.random.default_rng(0))


@pytest.fixture(scope="module")
def fitted() -> CategoryResult:
    return fit()


def test_every_pair_gets_a_chance_inside_its_range(fitted: CategoryResult) -> None:
    table = fitted.categories
    assert table.num_rows == 900
    assert table["category"].to_pylist()[:3] == NAMES
    chance, low, high = (table[name].to_numpy() for name in ("propensity", "low", "high"))
    assert ((low > 0) & (low <= chance) & (chance <= high) & (high < 1)).all()


def test_tastes_are_found_and_sums_near_what_happened(fitted: CategoryResult) -> None:
    assert fitted.metrics["macro_auc"][fitted.metrics["winner"]]["value"] > 0.75
    for row in fitted.by_category.to_pylist():
        assert row["expected"] == pytest.approx(row["positives"], rel=0.2)


def test_the_same_seed_gives_the_same_chances(fitted: CategoryResult) -> None:
    assert fit().categories.equals(fitted.categories)


def test_without_categories_or_time_it_is_refused_in_a_sentence() -> None:
    with pytest.raises(GateError, match="no categories"):
        fit(names=[])
    with pytest.raises(CutoffError, match="needs 28"):
        fit(days=20)


def test_a_grid_has_the_pairs_of_every_user_in_order() -> None:
    matrix = Matrix(["a", "b"], ["orders_all"], np.array([[2.0], [4.0]]))
    counts = pa.table(
        {
            "user_id": ["b"],
            "category": ["tea"],
            "days_bought": [2],
            "days_bought_28d": [1],
            "days_since_purchase": [3.0],
            "gap_mean_days": [6.0],
        }
    )
    grid = build_grid(matrix, counts, NAMES, None)
    assert grid.column("days_bought").tolist() == [0, 0, 0, 0, 0, 2]
    assert grid.column("share_of_orders").tolist() == [0, 0, 0, 0, 0, 0.5]
    assert grid.column("overdue_ratio")[5] == 0.5 and np.isnan(grid.column("overdue_ratio")[0])
    labels = positive_pairs(pa.table({"user_id": ["a", "z"], "category": ["cups", "tea"]}), grid.user_ids, NAMES)
    assert labels.tolist() == [1, 0, 0, 0, 0, 0]


def test_text_affinity_is_highest_for_the_category_a_user_reads_about() -> None:
    items = np.eye(3, dtype=np.float32)
    affinity = category_affinity(np.array([[0.1, 0.9, 0], [0, 0, 0]], dtype=np.float32), NAMES, NAMES, items)
    assert affinity[0].argmax() == 1
    assert affinity[1].tolist() == [0, 0, 0]
