"""Figures against values worked out by hand or by a library that defines the same thing."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from core import metrics


def test_auc_counts_ties_half() -> None:
    assert metrics.auc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8]) == pytest.approx(3.5 / 4)


def test_auc_and_average_precision_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    labels, scores = rng.random(500) < 0.3, rng.random(500).round(2)
    assert metrics.auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert metrics.average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_one_class_has_no_auc() -> None:
    assert math.isnan(metrics.auc([1, 1], [0.2, 0.3]))
    assert math.isnan(metrics.average_precision([0, 0], [0.2, 0.3]))


def test_log_loss_and_brier_by_hand() -> None:
    assert metrics.log_loss([1, 0], [0.8, 0.4]) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert metrics.brier([1, 0], [0.8, 0.4]) == pytest.approx((0.04 + 0.16) / 2)


def test_wilson_interval_of_five_in_fifty() -> None:
    low, high = metrics.wilson(5, 50)
    assert (round(100 * low, 1), round(100 * high, 1)) == (4.3, 21.4)
    assert metrics.wilson(0, 0) == (0.0, 1.0)


def test_reliability_bins_have_equal_counts_and_cover_everyone() -> None:
    rng = np.random.default_rng(2)
    chance = rng.random(105)
    bins = metrics.reliability(rng.random(105) < chance, chance, bins=10)
    assert sum(b.n for b in bins) == 105
    assert {b.n for b in bins} == {10, 11}
    assert all(b.low <= b.rate <= b.high for b in bins)


def test_a_true_probability_stays_near_the_calibration_floor() -> None:
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.05, 0.95, 4000)
    floor = metrics.calibration_floor(chance, np.random.default_rng(4), draws=50)
    assert metrics.calibration_error(rng.random(4000) < chance, chance) < 2 * floor
    assert metrics.calibration_error(rng.random(4000) < chance, np.sqrt(chance)) > 3 * floor


def test_lift_at_full_depth_is_one_and_ties_go_by_user() -> None:
    curve = metrics.lift_curve([1, 0, 0, 1], [0.9, 0.5, 0.5, 0.1], ["a", "c", "b", "d"], depths=4)
    assert curve[-1]["lift"] == pytest.approx(1.0)
    assert curve[0]["lift"] == pytest.approx(2.0)
    assert [row["buyers"] for row in curve] == [1, 1, 1, 2]


def test_ranking_measures_by_hand() -> None:
    relevant, lists = [{"a", "b"}, {"z"}], [["x", "a", "b"], ["x", "y", "q"]]
    gain = (1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    assert metrics.ndcg_at_k(relevant, lists, 3) == pytest.approx([gain, 0.0])
    assert metrics.recall_at_k(relevant, lists, 2) == pytest.approx([0.5, 0.0])


def test_bootstrap_covers_a_mean() -> None:
    sample = np.random.default_rng(5).normal(3, 1, 400)
    estimate = metrics.bootstrap(lambda index: float(sample[index].mean()), 400, np.random.default_rng(6))
    normal = metrics.mean_estimate(sample)
    assert estimate.low < 3 < estimate.high
    assert estimate.low == pytest.approx(normal.low, abs=0.03)


def test_calibration_by_group_sums_chances_and_measures_the_gap_in_deviations() -> None:
    labels, chance = np.array([1, 0, 1, 1, 0.0]), np.array([0.5, 0.5, 0.5, 0.5, 0.2])
    first, second = metrics.calibration_by_group(labels, chance, ["a", "a", "a", "a", "b"])
    assert (first["group"], first["users"], first["happened"], first["expected"]) == ("a", 4, 3, 2.0)
    assert first["gap"] == pytest.approx(1.0)  # one more than foretold, and the deviation of four fair coins is one
    assert (first["low"], first["high"]) == metrics.wilson(3, 4)
    assert second["rate"] == 0 and second["mean_propensity"] == 0.2


def test_the_interval_of_a_mean_of_few_windows_is_that_of_student() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(2000):
        found = metrics.mean_estimate(rng.normal(0.7, 0.03, 4))
        inside += found.low <= 0.7 <= found.high
    assert 0.93 <= inside / 2000 <= 0.97  # with 1.96 standard errors it is .85
    known = metrics.mean_estimate([1.0, 2.0, 3.0, 4.0])
    assert known.high - known.value == pytest.approx(3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2, rel=1e-6)


def test_an_auc_of_few_shoppers_is_not_told_and_its_interval_holds_as_often_as_it_says() -> None:
    assert np.isnan(metrics.auc_estimate([1, 0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4, 0.5]).value)
    rng, inside = np.random.default_rng(9), 0
    for _ in range(1000):
        truth = np.arange(90) < 30
        scores = rng.normal(size=90) + truth  # P(N(1, 2) > 0) = .7602
        found = metrics.auc_estimate(truth, np.round(scores, 1))
        assert found.value == pytest.approx(metrics.auc(truth, np.round(scores, 1))) and 0 <= found.low <= found.value <= found.high <= 1
        inside += found.low <= 0.7602 <= found.high
    assert 0.93 <= inside / 1000 <= 0.97
    apart = metrics.auc_estimate(np.arange(40) < 20, -np.arange(40.0))
    assert apart.value == 1.0 and apart.low < 0.99 and apart.high == 1.0


def test_figures_without_a_formula_have_intervals_and_draw_from_a_source_of_their_own() -> None:
    rng = np.random.default_rng(10)
    chance = rng.uniform(0.05, 0.6, 800)
    labels = rng.random(800) < chance
    found = metrics.resampled(labels, chance)
    assert found == metrics.resampled(labels, chance) and set(found) == {"average_precision", "brier", "calibration_error"}
    for name, figure in (("average_precision", metrics.average_precision), ("brier", metrics.brier)):
        low, high = found[name]
        assert low < figure(labels, chance) < high
    assert 0 < found["calibration_error"][0] < found["calibration_error"][1] < 0.2
