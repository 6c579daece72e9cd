"""The chance by category: own counts and alike baskets are found, gates hold, sums are right."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from core.errors import CutoffError, GateError
from core.metrics import auc
from core.predictor.calibration import coverage_of
from core.predictor.categories import CategoryResult, fit_category_propensity
from core.predictor.category_judging import MacroAuc
from core.predictor.category_keeping import baskets_of, load_categories, of_category, save_categories
from core.predictor.grid import Pairs, build_grid, category_affinity, category_texts, positive_pairs
from core.predictor.matrix import Matrix
from core.predictor.options import PooledOptions, PropensityOptions
from core.store import Log
from pages.parts import belief
from tests.worlds import at

NAMES = ["cups", "milk", "tea"]
OPTIONS = PropensityOptions(horizon=timedelta(days=7), pooled=PooledOptions(members=1, hidden=16, epochs=6, learning_rate=5e-3))
USERS = [f"u{i:03d}" for i in range(300)]
READ = np.random.default_rng(3).normal(size=(300, 3)).astype(np.float32)
READ /= np.linalg.norm(READ, axis=1, keepdims=True)
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


def reading(cutoff: datetime) -> Matrix:
    """The same shoppers, with texts."""
    return Matrix(USERS, ["orders_all", "tenure_days"], matrix_at(cutoff).values, READ)


def nothing(cutoff: datetime) -> pa.Table:
    """Counts of the first pair alone."""
    return counts_at(cutoff).slice(0, 1)


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


def test_ranges_are_measured_on_the_window_after_the_one_they_were_learned_on(fitted: CategoryResult) -> None:
    pairs, categories = fitted.metrics["range"], fitted.metrics["range_categories"]
    assert (pairs["stated"], pairs["groups"], categories["groups"]) == (0.9, 18, 3)
    assert pairs["measured"] >= 0.85 and categories["measured"] == 1.0  # each window of this world is drawn from the same chances


def test_a_range_holds_for_a_group_whose_rate_lies_inside_and_not_for_one_beyond() -> None:
    labels, chances = np.repeat([1.0, 0.0, 1.0, 0.0], [300, 700, 600, 400]), np.full(2000, 0.3)
    low, high, parts = np.full(2000, 0.25), np.full(2000, 0.35), [np.arange(1000), np.arange(1000, 2000)]
    assert coverage_of(labels, chances, low, high, parts)["measured"] == 0.5
    assert coverage_of(labels, chances, low, np.full(2000, 0.6), parts)["measured"] == 1.0


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


def test_the_kept_model_gives_one_shopper_alone_the_chance_that_she_has_among_all(
    tmp_path: Path, fitted: CategoryResult, readers: CategoryResult
) -> None:
    for name, result, people, counts in (("counted", fitted, matrix_at, counts_at), ("read", readers, reading, nothing)):
        (tmp_path / name).mkdir()
        save_categories(result.kept, tmp_path / name)
        kept = load_categories(tmp_path / name)
        assert kept is not None and kept.winner == result.metrics["winner"] and kept.categories == NAMES
        rows = {(row["user_id"], row["category"]): row["propensity"] for row in result.categories.to_pylist()}
        for user in ("u003", "u200"):
            own = counts(at(42)).filter(pc.equal(counts(at(42))["user_id"], user))
            grid = kept.pairs(people(at(42)).rows(np.array([USERS.index(user)])), own)
            found = [kept.log_odds(place, of_category(grid, place), baskets_of(grid))[0] for place in range(3)]
            assert 1 / (1 + np.exp(-np.array(found))) == pytest.approx([rows[user, category] for category in NAMES], abs=1e-6)
    assert load_categories(tmp_path) is None


def test_text_affinity_is_highest_for_the_category_a_user_reads_about() -> None:
    texts = category_texts(NAMES, NAMES, np.eye(3, dtype=np.float32))
    affinity = category_affinity(np.array([[0.1, 0.9, 0], [0, 0, 0]], dtype=np.float32), texts)
    assert affinity[0].argmax() == 1
    assert affinity[1].tolist() == [0, 0, 0]


def test_pairs_of_some_users_are_those_of_everyone() -> None:
    matrix, counts = matrix_at(at(20)), counts_at(at(20))
    rows = np.array([3, 4, 250])
    whole, some = build_grid(matrix, counts, NAMES), Pairs(matrix, counts, NAMES).grid(rows)
    assert some.user_ids == [USERS[row] for row in rows]
    assert np.array_equal(some.values, whole.values.reshape(300, 3, -1)[rows].reshape(9, -1), equal_nan=True)


def test_no_two_columns_of_a_grid_share_a_name() -> None:
    matrix = Matrix(["a"], ["orders_all", "days_since_purchase"], np.array([[2.0, 5.0]]))
    grid = build_grid(matrix, counts_at(at(20)), NAMES)
    assert len(set(grid.columns)) == len(grid.columns)
    assert grid.column("shopper_days_since_purchase").tolist() == [5, 5, 5]
    assert np.isnan(grid.column("days_since_purchase")).all()


def test_macro_auc_under_weights_is_the_mean_auc_of_repeated_users_with_ties_half() -> None:
    rng = np.random.default_rng(0)
    labels, scores = (rng.random((200, 4)) < 0.3).astype(float), rng.integers(0, 6, (200, 4)).astype(float)
    asked, weights = rng.random((200, 4)) < 0.7, rng.integers(0, 3, 200)
    rows = np.repeat(np.arange(200), weights)
    found = [auc(labels[rows, c][asked[rows, c]], scores[rows, c][asked[rows, c]]) for c in range(4)]
    assert MacroAuc(labels, scores, asked)(weights.astype(float)) == pytest.approx(np.mean(found), abs=1e-12)


@pytest.fixture(scope="module")
def readers() -> CategoryResult:
    """Shoppers who have bought nothing yet, and whose texts alone tell what they will buy."""

    def bought(cutoff: datetime) -> pa.Table:
        chance = 1 / (1 + np.exp(-5 * READ))
        hit = np.argwhere(np.random.default_rng(cutoff.toordinal()).random(chance.shape) < chance)
        return pa.table({"user_id": [USERS[u] for u, _ in hit], "category": [NAMES[c] for _, c in hit]})

    log = Log(path=Path("never opened"), start=at(0), until=at(42))
    texts = category_texts(NAMES, NAMES, np.eye(3, dtype=np.float32))
    return fit_category_propensity(log, reading, nothing, bought, NAMES, OPTIONS, np.random.default_rng(0), lambda _: texts)


def test_where_counts_know_nothing_texts_do_and_the_interval_says_so(readers: CategoryResult) -> None:
    found, won = readers.metrics["macro_auc_new"], readers.metrics["winner"]
    assert won in ("pooled", "lightgbm_text", "mean_text", "mean")
    assert found[won]["low"] > found["logistic"]["high"]
    assert readers.metrics["difference_new"]["low"] > 0
    assert "better" in readers.verdict[1] and "new to the shopper" in readers.verdict[1]
    assert sum(readers.by_category["new_users"].to_pylist()) == readers.metrics["new_pairs"] >= 899


def test_the_baseline_on_counts_sees_no_text(readers: CategoryResult) -> None:
    assert readers.metrics["macro_auc"]["lightgbm"]["high"] < readers.metrics["macro_auc"]["lightgbm_text"]["low"]


def test_the_winner_is_the_best_on_validation_and_means_compete_with_their_parts(fitted: CategoryResult) -> None:
    losses = fitted.metrics["validation"]
    assert set(losses) == {"lightgbm", "logistic", "pooled", "mean"}
    assert losses[fitted.metrics["winner"]] == min(losses.values())
    assert fitted.metrics["difference"]["against"] in ("personal count", "logistic", "lightgbm")


def test_beside_how_often_ranges_held_stands_what_ranges_of_no_width_would_hold() -> None:
    rng = np.random.default_rng(2)
    chances = np.full(4000, 0.3)
    parts = list(np.array_split(np.arange(4000), 20))
    true, off = rng.random(4000) < 0.3, rng.random(4000) < np.repeat(rng.choice([0.15, 0.45], 20), 200)
    wide = coverage_of(true.astype(float), chances, np.full(4000, 0.2), np.full(4000, 0.4), parts)
    none = coverage_of(true.astype(float), chances, chances, chances, parts)
    assert wide["measured"] == 1.0 and wide["without_width"] == none["measured"] == none["without_width"] >= 0.8
    assert coverage_of(off.astype(float), chances, np.full(4000, 0.1), np.full(4000, 0.5), parts)["without_width"] <= 0.1


@pytest.mark.parametrize(("without", "told"), [(0.9, "can hardly tell good ranges"), (0.4, "would have held in 8 of 20."), (None, "")])
def test_the_page_tells_what_ranges_of_no_width_would_hold(without: float | None, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(belief.st, "caption", said.append)
    figures = {"stated": 0.9, "measured": 0.95, "groups": 20.0} | ({} if without is None else {"without_width": without})
    belief.ranges(figures)
    assert told in said[0] and ("no width" in said[0]) == (without is not None)
