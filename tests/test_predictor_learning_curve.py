"""The learning curve: nested sets of labels, models that see what they should, and gates in words."""

import numpy as np
import pyarrow as pa
import pytest

from core.errors import GateError
from core.predictor.learning_curve import SCHEMA, learning_curve
from core.predictor.matrix import Matrix


def world(users: int, seed: int, *, told_by: str, rate: float = 0.0) -> tuple[Matrix, np.ndarray]:
    """Shoppers whose act is told by a count or by a direction of their text profile alone."""
    rng = np.random.default_rng(seed)
    counts, text = rng.poisson(2.0, (users, 3)).astype(float), rng.normal(size=(users, 8)).astype(np.float32)
    signal = counts[:, 0] - 2 if told_by == "counts" else 2.0 * text[:, 0]
    labels = (rng.random(users) < 1 / (1 + np.exp(-1.5 * signal - rate))).astype(float)
    return Matrix([f"u{i:05d}" for i in range(users)], ["a", "b", "c"], counts, text), labels


def curve(told_by: str, positives: tuple[int, ...] = (20, 100)) -> pa.Table:
    train, labels = world(600, 1, told_by=told_by)
    test, truth = world(500, 2, told_by=told_by)
    return learning_curve(train, labels, test, truth, np.random.default_rng(0), positives=positives, draws=3)


@pytest.mark.parametrize(("told_by", "winner", "loser"), [("counts", "counts", "profiles"), ("text", "profiles", "counts")])
def test_the_side_that_carries_the_signal_wins_and_its_curve_rises(told_by: str, winner: str, loser: str) -> None:
    table = curve(told_by)
    assert table.schema.equals(SCHEMA)
    found = {(row["model"], row["positives"]): row for row in table.to_pylist()}
    assert found[winner, 100]["low"] > found[loser, 100]["high"]
    assert found[winner, 100]["auc"] > found[winner, 20]["auc"]
    if winner == "profiles":
        assert found["profiles", 100]["difference_low"] > 0
    assert found[loser, 100]["low"] < 0.5 < found[loser, 100]["high"]


def test_sizes_that_the_log_cannot_fill_are_left_out_and_the_same_seed_repeats() -> None:
    table = curve("counts", (20, 50, 100_000))
    assert sorted(set(table["positives"].to_pylist())) == [20, 50]
    assert table.equals(curve("counts", (20, 50, 100_000)))


def test_without_profiles_only_counts_compete() -> None:
    train, labels = world(300, 1, told_by="counts")
    test, truth = world(300, 2, told_by="counts")
    table = learning_curve(train.counts_alone(), labels, test.counts_alone(), truth, np.random.default_rng(0), positives=(30,), draws=2)
    assert table["model"].to_pylist() == ["counts", "lightgbm"]


def test_labels_that_were_not_drawn_are_not_seen() -> None:
    train, labels = world(600, 1, told_by="counts")
    test, truth = world(300, 2, told_by="counts")
    order = np.random.default_rng(0).permutation(600)  # the first draw's
    undrawn = order[int(np.searchsorted(np.cumsum(labels[order]), 30)) + 1 :]
    turned = labels.copy()
    turned[undrawn] = 1 - turned[undrawn]

    def once(known: np.ndarray) -> pa.Table:
        return learning_curve(train, known, test, truth, np.random.default_rng(0), positives=(30,), draws=1)

    assert once(turned).equals(once(labels))


@pytest.mark.parametrize(("rate", "test_class"), [(-9.0, None), (0.0, 1.0)])
def test_too_few_positives_or_a_test_of_one_class_is_refused_with_numbers(rate: float, test_class: float | None) -> None:
    train, labels = world(300, 1, told_by="text", rate=rate)
    test, truth = world(300, 2, told_by="text")
    truth = truth if test_class is None else np.full(300, test_class)
    with pytest.raises(GateError, match="at least 50"):
        learning_curve(train, labels, test, truth, np.random.default_rng(0), positives=(50,))
