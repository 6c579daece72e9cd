"""A probe carried from one log to another: it needs no labels where both logs agree, and gives way where they do not."""

import numpy as np
import pytest

from core.encoder.transfer import Transferred, Window, transfer_probe


def shop(rows: int, seed: int, *, taste: float = 1.0, scale: float = 1.0) -> Window:
    """Shoppers who act by one counted value and one direction of their texts; counts of another shop are on another scale."""
    rng = np.random.default_rng(seed)
    counts, text = rng.standard_normal((rows, 6)), rng.standard_normal((rows, 8))
    labels = counts[:, 0] + taste * 1.5 * text[:, 0] + rng.standard_normal(rows) > 0.4
    return Window({"counts": 100 + scale * counts, "text": text}, labels)


def carried(taste: float) -> dict[tuple[str, int], Transferred]:
    windows = shop(800, 0), shop(600, 1, taste=taste, scale=30), shop(900, 2, taste=taste, scale=30)
    rows = transfer_probe(*windows, [("counts",), ("text",), ("counts", "text")], np.random.default_rng(0))
    return {(row.blocks, row.labelled): row for row in rows}


@pytest.fixture(scope="module")
def alike() -> dict[tuple[str, int], Transferred]:
    return carried(1.0)


def test_without_a_label_the_other_log_is_foretold_whatever_its_scale(alike: dict[tuple[str, int], Transferred]) -> None:
    for blocks, least in (("counts", 0.65), ("text", 0.75), ("counts + text", 0.85)):
        row = alike[blocks, 0]
        assert row.transferred is not None and row.low is not None and row.low > least - 0.05 and row.transferred > least
        assert row.alone is None and row.gain is None


def test_beside_few_labels_it_is_better_than_those_alone_and_beside_all_no_worse(alike: dict[tuple[str, int], Transferred]) -> None:
    few, everyone = alike["counts + text", 50], alike["counts + text", 600]
    assert few.gain is not None and few.gain_low is not None and few.gain_low > 0.02
    assert everyone.gain is not None and everyone.gain > -0.01
    assert [labelled for blocks, labelled in alike if blocks == "text"] == [0, 50, 200, 600]


def test_where_the_other_log_means_the_opposite_labels_win_it_back() -> None:
    found = carried(-1.0)
    none, everyone = found["text", 0], found["text", 600]
    assert none.transferred is not None and none.transferred < 0.3, "a text that drew shoppers there keeps them away here"
    assert everyone.transferred is not None and everyone.alone is not None and everyone.transferred > 0.75
    assert everyone.transferred == pytest.approx(everyone.alone, abs=0.02)


def test_labels_of_chance_teach_nothing() -> None:
    rng = np.random.default_rng(3)
    first, shown, test = (shop(400, seed) for seed in (4, 5, 6))
    noise = [Window(window.blocks, rng.random(len(window.labels)) < 0.4) for window in (first, shown, test)]
    row = transfer_probe(noise[0], noise[1], noise[2], [("counts", "text")], rng)[0]
    assert row.low is not None and row.high is not None and row.low < 0.5 < row.high


def test_the_judged_window_changes_no_score_but_its_own() -> None:
    first, shown, test = shop(300, 7), shop(300, 8), shop(300, 9)
    turned = Window(test.blocks, ~test.labels)
    rows, others = (transfer_probe(first, shown, window, [("text",)], np.random.default_rng(0)) for window in (test, turned))
    assert [row.transferred for row in rows] == pytest.approx([1 - float(row.transferred or 0) for row in others])
