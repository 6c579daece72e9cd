"""Weights of blocks: chosen where they help, never worse there than any subset, and blind to what judges them."""

import numpy as np
import numpy.typing as npt
import pytest

from core.encoder.probe import PENALTIES, Blocks, aucs, equal, probe_blocks
from core.encoder.weighing import LEVELS, Weighing, choose_weights

Floats = npt.NDArray[np.float64]


def world(rows: int, seed: int) -> tuple[dict[str, Floats], npt.NDArray[np.bool_]]:
    """`strong` tells most, `weak` hides a little in forty columns of noise, `noise` tells nothing; four targets."""
    rng = np.random.default_rng(seed)
    strong, hint, noise = rng.standard_normal((rows, 4)), rng.standard_normal((rows, 4)), rng.standard_normal((rows, 30))
    labels = 1.5 * strong + 0.7 * hint + rng.standard_normal((rows, 4)) > 0
    weak = np.hstack([hint, rng.standard_normal((rows, 40))])
    return {"strong": strong, "weak": weak, "noise": noise}, labels


@pytest.fixture(scope="module")
def weighed() -> Weighing:
    (train, labels), (valid, valid_labels) = world(500, 0), world(500, 1)
    return choose_weights(train, valid, labels, valid_labels, np.random.default_rng(0))


def test_on_validation_the_weights_are_never_worse_than_any_subset(weighed: Weighing) -> None:
    assert len(weighed.subsets) == 7
    assert weighed.auc >= max(weighed.subsets.values()) == weighed.subsets[weighed.best_subset]


def test_the_block_that_tells_most_weighs_most_and_noise_little(weighed: Weighing) -> None:
    assert weighed.weights["strong"] == max(weighed.weights.values()) == 1
    assert 0 < weighed.weights["weak"] <= 1 and weighed.weights["noise"] <= min(weighed.weights["weak"], 0.25)


def test_a_window_later_the_weighed_blocks_beat_equal_ones(weighed: Weighing) -> None:
    (train, labels), (test, test_labels) = world(500, 1), world(1500, 2)
    sets = [equal("strong"), equal("strong", "weak", "noise"), weighed.weights]
    alone, even, chosen = probe_blocks(train, test, sets, labels, test_labels, np.random.default_rng(0))
    assert chosen.auc > even.auc and even.behind == pytest.approx(chosen.auc - even.auc) and even.behind_low > 0
    assert alone.behind_low > 0 and chosen.behind == chosen.behind_low == 0
    assert list(chosen.weights) == [name for name, weight in weighed.weights.items() if weight > 0]


def test_a_penalty_chosen_a_window_earlier_holds_in_check_what_time_turns() -> None:
    """What forty columns share tells the same always, what each has of its own is turned round at every cutoff."""

    def moment(seed: int, turn: int) -> tuple[dict[str, Floats], npt.NDArray[np.bool_]]:
        rng = np.random.default_rng(seed)
        shared, own = rng.standard_normal((600, 4)), rng.standard_normal((600, 40))
        return {"both": np.repeat(shared, 10, axis=1) + 0.3 * own}, shared + turn * own[:, ::10] + 0.5 * rng.standard_normal((600, 4)) > 0

    (first, first_labels), (train, labels), (test, test_labels) = moment(1, 1), moment(2, -1), moment(3, 1)
    asked = (train, test, [equal("both")], labels, test_labels)
    (folded,) = probe_blocks(*asked, np.random.default_rng(0))
    (foretold,) = probe_blocks(*asked, np.random.default_rng(0), earlier=(first, first_labels))
    assert foretold.penalty > folded.penalty and foretold.low > folded.high
    assert foretold.penalty in PENALTIES


def test_a_block_of_weight_zero_is_as_if_it_were_not_there() -> None:
    (train, labels), (test, test_labels) = world(300, 3), world(300, 4)
    one, other = probe_blocks(train, test, [{"strong": 1.0, "noise": 0.0}, equal("strong")], labels, test_labels, np.random.default_rng(0))
    assert one == other


def test_only_the_ratio_of_weights_matters() -> None:
    (train, labels), (test, test_labels) = world(300, 3), world(300, 4)
    one, other = probe_blocks(
        train, test, [{"strong": 1.0, "weak": 0.5}, {"strong": 4.0, "weak": 2.0}], labels, test_labels, np.random.default_rng(0)
    )
    assert one.auc == pytest.approx(other.auc, abs=1e-9)


def test_weights_come_from_the_levels_that_are_tried(weighed: Weighing) -> None:
    ratios = {a / b for a in LEVELS for b in LEVELS if b}
    assert set(weighed.weights.values()) <= ratios


def test_labels_of_chance_leave_an_auc_of_a_half_a_window_later() -> None:
    rng = np.random.default_rng(5)
    blocks: list[Blocks] = [world(400, seed)[0] for seed in (6, 7, 8)]
    labels = [rng.random((400, 4)) < 0.3 for _ in blocks]
    found = choose_weights(blocks[0], blocks[1], labels[0], labels[1], rng)
    row = probe_blocks(blocks[1], blocks[2], [found.weights], labels[1], labels[2], rng)[0]
    assert row.low < 0.5 < row.high


def test_a_rare_target_is_weighed_where_no_other_is_at_hand() -> None:
    (train, labels), (valid, valid_labels) = world(400, 9), world(400, 10)
    rare = [found & (np.cumsum(found, axis=0) <= 12) for found in (labels, valid_labels)]
    found = choose_weights(train, valid, *rare, np.random.default_rng(0))
    assert max(found.weights.values()) == 1 and 0.5 < found.auc <= max(found.subsets.values())  # of so few, one block must do


def faint(seed: int) -> tuple[dict[str, Floats], npt.NDArray[np.bool_]]:
    """`strong` tells a little, `noise` nothing."""
    rng = np.random.default_rng(seed)
    strong, noise = rng.standard_normal((200, 4)), rng.standard_normal((200, 12))
    return {"strong": strong, "noise": noise}, 0.5 * strong + rng.standard_normal((200, 4)) > 0


def test_a_block_that_helps_by_chance_alone_keeps_no_weight() -> None:
    kept = 0
    for seed in range(20, 40):
        (train, labels), (valid, valid_labels) = faint(seed), faint(seed + 100)
        found = choose_weights(train, valid, labels, valid_labels, np.random.default_rng(0))
        assert found.weights["strong"] == 1
        kept += found.weights["noise"] > 0
    assert kept <= 3, "without the rule it is ten of these twenty"


def test_the_area_is_that_of_the_ranks_with_ties_as_halves() -> None:
    scores, labels = np.array([[0.1], [0.4], [0.4], [0.9]]), np.array([[False], [True], [False], [True]])
    assert aucs(scores, labels).tolist() == [(1 + 0.5 + 1 + 1) / 4]
