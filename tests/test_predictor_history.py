"""Networks over single acts: padding, what they read and what they do not, order, contributions."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from core.metrics import auc
from core.predictor.acts import BUCKETS, pad_acts, stack_acts
from core.predictor.history_networks import HISTORY, FittedHistory, fit_history
from core.predictor.matrix import Matrix, stack
from core.predictor.models import fit_models
from core.predictor.options import BoostingOptions, HistoryOptions, NetworkOptions, PropensityOptions

SMALL = HistoryOptions(members=1, width=16, layers=1, heads=2, epochs=8, patience=8, batch_size=64, learning_rate=5e-3)
VIEW, CART = 1, 5


def world(users: int = 500, seed: int = 0) -> tuple[Matrix, np.ndarray]:
    """Who acts is told by the newest act alone: a cart, not a view. Counts of both are the same for everyone."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 7, users)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    kind, labels = np.full(starts[-1], VIEW, np.int8), np.zeros(users)
    for user, (start, end) in enumerate(pairwise(starts.tolist())):
        cart = end - 1 if rng.random() < 0.5 else int(rng.integers(start, end - 1))
        kind[cart] = CART
        labels[user] = rng.random() < (0.9 if cart == end - 1 else 0.1)
    n = int(starts[-1])
    nothing, item = np.full(n, np.nan, np.float32), rng.integers(-1, 3, n).astype(np.int32)
    vectors = np.eye(3, 4, dtype=np.float32)
    acts = pad_acts(starts, item, kind, np.full(n, 60, np.float32), nothing, np.full(users, 60.0), ["a", "b", "c"], vectors, length=8)
    return Matrix([f"u{i:04d}" for i in range(users)], ["carts"], rng.normal(size=(users, 1)), acts=acts), labels.astype(float)


@pytest.fixture(scope="module", params=["cnn", "gru", "transformer"])
def fitted(request: pytest.FixtureRequest) -> FittedHistory:
    matrix, labels = world()
    return fit_history(request.param, matrix, labels, SMALL, np.random.default_rng(0))


def test_order_that_counts_cannot_tell_is_read(fitted: FittedHistory) -> None:
    matrix, labels = world(seed=1)
    assert auc(labels, fitted.logits(matrix)) > 0.8
    assert fitted.card()["parameters"] > 1000 and fitted.card()["best_epochs"][0] >= 1


def test_shuffled_acts_lower_it(fitted: FittedHistory) -> None:
    matrix, labels = world(seed=1)
    assert matrix.acts is not None
    kind = matrix.acts.kind.copy()
    rng = np.random.default_rng(0)
    for row in kind:
        row[row > 0] = rng.permutation(row[row > 0])
    mixed = replace(matrix, acts=replace(matrix.acts, kind=kind))
    assert auc(labels, fitted.logits(mixed)) < auc(labels, fitted.logits(matrix)) - 0.1


def test_neighbours_in_a_batch_change_nothing(fitted: FittedHistory) -> None:
    matrix, _ = world(seed=2)
    alone = fitted.logits(matrix.rows(np.array([7])))
    assert fitted.logits(matrix)[7] == pytest.approx(alone[0], abs=1e-5)


def test_users_without_acts_are_scored_and_contributions_name_the_history(fitted: FittedHistory) -> None:
    matrix, _ = world(60, seed=3)
    assert matrix.acts is not None
    nobody = replace(matrix, acts=replace(matrix.acts, kind=np.zeros_like(matrix.acts.kind), item=np.zeros_like(matrix.acts.item)))
    assert np.isfinite(fitted.logits(nobody)).all()
    names, shares = fitted.contributions(matrix)
    assert names == ["carts", HISTORY]
    spread = np.abs(shares).mean(axis=0)
    assert spread[1] > spread[0]


def test_acts_are_padded_in_front_and_aged_from_the_cutoff() -> None:
    starts, item, kind = np.array([0, 3, 3, 4]), np.array([0, -1, 1, 0], np.int32), np.array([1, 2, 5, 1], np.int8)
    gap, dwell = np.array([0, 86400, 86400, 0], np.float32), np.array([np.nan, 9, np.nan, 0], np.float32)
    ages = np.array([86400.0, np.nan, 0.0])
    acts = pad_acts(starts, item, kind, gap, dwell, ages, ["x", "y"], np.ones((2, 2), np.float32), length=2)
    assert acts.kind.tolist() == [[3, 6], [0, 0], [0, 2]]
    assert acts.item.tolist() == [[0, 2], [0, 0], [0, 1]]
    assert acts.numbers[0, :, 1] == pytest.approx(np.log1p([2, 1]))
    assert acts.numbers[0, 0, 2] == pytest.approx(np.log(10))
    assert acts.numbers[1].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert acts.bucket[0] == 0 and 0 < acts.bucket[1] < BUCKETS


def test_stacked_acts_keep_their_items_apart() -> None:
    matrix, _ = world(5)
    assert matrix.acts is not None
    both = stack([matrix, matrix]).acts
    assert both is not None
    assert np.array_equal(both.vectors[both.item[:5]], both.vectors[both.item[5:]])
    assert stack_acts([matrix.acts, None]) is None


def test_models_over_acts_are_fitted_when_asked_and_their_seconds_are_known() -> None:
    matrix, labels = world(200)
    options = PropensityOptions(
        horizon=timedelta(days=7), history=SMALL, network=NetworkOptions(members=2, epochs=2), boosting=BoostingOptions(members=2, rounds=5)
    )
    spent: dict[str, float] = {}
    found = fit_models(["gru", "logistic"], matrix, labels, options, np.random.default_rng(0), lambda share, message: None, spent)
    assert set(found) == {"gru", "logistic"} == set(spent)
