"""What a model looks at over all shoppers, groups of people, drift: figures that can be worked out by hand, and an honest zero."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_table
from core.explain.everyone import feature_drift, partial_dependence, permutation_importance, told_apart
from core.explain.fairness import compare_groups
from core.explain.named import Rows
from core.explain.shapley import Floats
from core.metrics import wilson
from core.pipeline.blocks import BlocksAt
from core.pipeline.explaining_all import _warnings, explain_all
from core.store import Home
from tests.kept_worlds import kept_shop

COLUMNS = ["carts_7d", "carts_28d", "views_7d"]


def chance(rows: Rows) -> Floats:
    """Carts alone decide, and their two windows together."""
    return 1 / (1 + np.exp(-(rows.values[:, 0] + rows.values[:, 1] - 1)))


def world(n: int = 800) -> tuple[Rows, Floats]:
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(n, 3)), {})
    return rows, (rng.random(n) < chance(rows)).astype(float)


def test_what_is_not_looked_at_weighs_exactly_nothing_and_what_decides_has_an_interval_above_zero() -> None:
    rows, labels = world()
    found = permutation_importance(chance, COLUMNS, rows, labels, np.random.default_rng(1))
    assert found.names == ["carts", "views_7d"]
    assert found.loss[1] == found.low[1] == found.high[1] == 0
    assert 0 < found.low[0] < found.loss[0] < found.high[0]


def test_features_of_labels_of_chance_weigh_no_more_than_nothing() -> None:
    rows, _labels = world()
    labels = (np.random.default_rng(5).random(800) < 0.5).astype(float)
    assert permutation_importance(chance, COLUMNS, rows, labels, np.random.default_rng(1)).low[0] < 0.02


def test_the_chance_rises_along_what_raises_it_and_lies_in_its_band() -> None:
    rows, _labels = world()
    table = partial_dependence(chance, COLUMNS, rows, ["carts_28d", "views_7d"], np.random.default_rng(0)).to_pylist()
    carts, views = ([row for row in table if row["feature"] == name] for name in ("carts_28d", "views_7d"))
    assert [row["mean"] for row in carts] == sorted(row["mean"] for row in carts) and carts[-1]["mean"] > carts[0]["mean"] + 0.3
    assert len({round(row["mean"], 12) for row in views}) == 1
    assert all(row["low"] <= row["mean"] <= row["high"] for row in table)


def test_drift_is_zero_for_the_same_shoppers_and_names_what_moved() -> None:
    values = np.random.default_rng(0).normal(size=(2000, 3))
    values[::7, 2] = np.nan
    still = feature_drift(COLUMNS, values, values).to_pylist()
    assert max(row["psi"] for row in still) < 1e-9 and max(row["ks"] for row in still) == 0 and max(row["outside"] for row in still) == 0
    moved = values.copy()
    moved[:, 1] += 10
    first = feature_drift(COLUMNS, values, moved).to_pylist()[0]
    assert first["feature"] == "carts_28d" and first["psi"] > 1 and first["ks"] == pytest.approx(1) and first["outside"] > 0.99
    assert told_apart(values, moved, np.random.default_rng(0)) > 0.99
    assert abs(told_apart(values[:1000], values[1000:], np.random.default_rng(0)) - 0.5) < 0.06


def test_groups_have_their_size_rate_gap_and_who_is_found() -> None:
    labels = np.array([1.0, 0] * 50 + [1, 0, 0, 0] * 25)
    chances = np.array([0.5] * 100 + [0.6] * 100)
    table = compare_groups("sex", ["f"] * 100 + ["m"] * 100, labels, chances, 0.5, np.random.default_rng(0)).to_pylist()
    f, m = table
    assert (f["group"], f["users"], f["positives"], f["rate"]) == ("f", 100, 50, 0.5)
    assert (f["rate_low"], f["rate_high"]) == wilson(50, 100)
    assert f["gap"] == pytest.approx(0) and m["gap"] == pytest.approx(0.35) and m["gap_low"] > 0.2
    assert (f["taken"], m["taken"], f["recall"], m["recall"]) == (0, 1, 0, 1)
    assert compare_groups("sex", ["f"] * 190 + ["m"] * 10, labels, chances, 0.5, np.random.default_rng(0)).num_rows == 1


def test_the_verb_writes_tables_that_name_the_cart_and_twice_the_same_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = kept_shop(tmp_path / "home")
    verb = ["explain", "--home", str(tmp_path / "home"), "--dataset", "tiny", "--groups", "--json"]
    assert main(verb) == 0
    found = json.loads(capsys.readouterr().out)
    folder = dataset.run_path("explanations")
    importance = read_table(folder / "importance.parquet").to_pylist()
    assert importance[0]["feature"] in ("carts", "days_since_cart", "open_carts", "carts_per_view") and importance[0]["low"] > 0
    assert read_table(folder / "dependence.parquet").num_rows > 0
    assert found["looked_at"] == found["users"] and 0 <= found["drift"]["auc"] <= 1
    assert main(verb) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["reused"] and again["run"] == found["run"]


def test_blocks_that_the_model_does_not_look_at_are_not_learned_to_explain_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = kept_shop(tmp_path / "home", blocks=("counts", "text", "graph", "sequence"))

    def learned(_blocks: BlocksAt, *_at: object) -> None:
        raise AssertionError("no model looks at it")

    monkeypatch.setattr(BlocksAt, "further", learned)
    assert explain_all(Home(tmp_path / "home"), dataset)["looked_at"] > 0


def test_shoppers_that_differ_as_time_makes_them_are_no_news() -> None:
    assert _warnings([], 80, 0.947, 0.958, 2469) == [] == _warnings([], 80, 0.97, None, 2469)
    (told,) = _warnings([], 80, 0.97, 0.958, 2469)
    assert "AUC of 0.970, better than two earlier windows as far apart (0.958)" in told
    assert "1 of 80 features are shifted" in _warnings(["carts_7d"], 80, 0.947, 0.958, 2469)[0]
