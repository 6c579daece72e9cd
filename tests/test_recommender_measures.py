"""Measures of lists against counts by hand and against another way to count."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest

from core.metrics import ndcg_at_k, recall_at_k
from core.recommender.candidates import Candidates
from core.recommender.evaluate import Judge
from core.recommender.interactions import read_with_labels
from core.recommender.measures import diversity, gini, hit_at_k, map_at_k, mrr_at_k, plan_trial
from core.recommender.options import SOURCES
from core.store import Log
from tests.test_recommender import act
from tests.worlds import at

MakeLog = Callable[..., Log]


def test_measures_of_one_list_equal_a_count_by_hand() -> None:
    truth, lists = [{"a", "d", "z"}], [["b", "a", "c", "d"]]
    assert mrr_at_k(truth, lists, 10).tolist() == [1 / 2]
    assert map_at_k(truth, lists, 10).tolist() == pytest.approx([(1 / 2 + 2 / 4) / 3])
    assert map_at_k(truth, lists, 2).tolist() == pytest.approx([(1 / 2) / 3])
    assert hit_at_k(truth, lists, 1).tolist() == [0.0] and hit_at_k(truth, lists, 2).tolist() == [1.0]
    assert mrr_at_k(truth, [[]], 5).tolist() == map_at_k(truth, [[]], 5).tolist() == [0.0]
    assert diversity(np.array([1, 1, 2, -1])) == pytest.approx(2 / 3)
    assert np.isnan(diversity(np.array([1, -1])))
    assert gini(np.array([5, 5, 5, 5])) == pytest.approx(0.0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(0.75)
    assert np.isnan(gini(np.zeros(3, np.int64)))


def test_measures_equal_a_second_way_to_count_on_random_lists() -> None:
    """The oracle works on a matrix of hits, item by item and place by place, without any of the code under test."""
    rng = np.random.default_rng(11)
    items = np.array([f"i{n}" for n in range(60)])
    lists = [rng.permutation(items)[: rng.integers(1, 30)].tolist() for _ in range(200)]
    truth = [set(rng.permutation(items)[: rng.integers(1, 15)].tolist()) for _ in range(200)]
    k = 10
    hits = np.zeros((200, k))
    for user in range(200):
        for place, item in enumerate(lists[user][:k]):
            hits[user, place] = item in truth[user]
    sizes = np.array([len(t) for t in truth])
    best = np.arange(k)[None, :] < sizes[:, None]
    discount = np.log2(np.arange(k) + 2)
    found = hits.any(axis=1)
    assert ndcg_at_k(truth, lists, k) == pytest.approx((hits / discount).sum(1) / (best / discount).sum(1))
    assert recall_at_k(truth, lists, k) == pytest.approx(hits.sum(1) / sizes)
    assert hit_at_k(truth, lists, k) == pytest.approx(found.astype(float))
    assert mrr_at_k(truth, lists, k) == pytest.approx(np.where(found, 1 / (hits.argmax(1) + 1), 0))
    precision = np.stack([hits[:, : place + 1].mean(1) for place in range(k)], axis=1)
    assert map_at_k(truth, lists, k) == pytest.approx((precision * hits).sum(1) / sizes)
    exposure = rng.integers(0, 9, 25)
    apart = np.abs(exposure[:, None] - exposure[None, :]).sum() / (2 * 25 * exposure.sum())
    assert gini(exposure) == pytest.approx(apart)


RECTOOLS = {
    5: (0.07938647001146999, 0.22180555555555556, 0.05780772622439288, 0.3333333333333333, 0.11956592854858898),
    10: (0.12773418710918713, 0.24200396825396825, 0.06874310312703168, 0.49166666666666664, 0.1268856348028266),
    20: (0.23694111444111446, 0.25537692205455365, 0.08436438451027092, 0.6666666666666666, 0.17152492677293463),
}
"""Means that RecTools 0.19.0 gives for the lists below at each k: Recall, MRR, MAP, HitRate, NDCG(divide_by_achievable=True)."""


@pytest.mark.parametrize("k", sorted(RECTOOLS))
def test_measures_equal_those_of_rectools_on_the_same_lists(k: int) -> None:
    lists = [[f"i{(user * 7 + place * (user % 5 + 3)) % 97}" for place in range(25)] for user in range(120)]
    truth = [{f"i{(user * user + 3 * n * (user % 4 + 1)) % 97}" for n in range(1 + user % 13)} for user in range(120)]
    found = [float(measure(truth, lists, k).mean()) for measure in (recall_at_k, mrr_at_k, map_at_k, hit_at_k, ndcg_at_k)]
    assert found == pytest.approx(RECTOOLS[k], rel=1e-12)


def test_a_trial_is_as_large_as_the_book_says_and_grows_as_the_lift_shrinks() -> None:
    rows = plan_trial(0.5)
    sizes = {row["lift"]: row["users"] for row in rows}
    # 0.50 against 0.55 at 80 % power and 5 %: (1.959964 sqrt(2 x .525 x .475) + .841621 sqrt(.25 + .2475))^2 / .05^2 = 1564.7
    assert sizes[0.1] == 1565
    assert sizes[0.02] > sizes[0.05] > sizes[0.1] > sizes[0.2]
    assert plan_trial(0.0) == plan_trial(1.0) == []
    assert [row["lift"] for row in plan_trial(0.9)] == [0.02, 0.05, 0.1]


def test_two_sources_are_compared_over_the_same_users_and_fresh_items_are_a_ground(make_log: MakeLog) -> None:
    rows = [
        act("ann", "A", 0),
        act("bob", "B", 0),
        act("ann", "C", 0, "view"),
        act("ann", "C", 10),
        act("bob", "B", 10),
        act("bob", "B", 12),
    ]
    known, labels = read_with_labels(make_log(rows), at(5), timedelta(days=6), "purchase")
    assert known.item_ids == ["A", "B", "C"]
    user, item = np.repeat([0, 1], 3), np.tile([0, 1, 2], 2)
    again = np.array([True, False, False, False, True, False])
    candidates = Candidates(user, item, again, np.zeros((6, len(SOURCES)), np.float32), np.zeros((6, 0), np.float32))
    judge = Judge(known, labels)
    good, bad = np.array([1.0, 2, 3, 1, 3, 2]), np.array([3.0, 2, 1, 1, 3, 2])
    judge.add(candidates, {"good": good, "bad": bad})
    found = {(r["source"], r["ground"], r["measure"]): r["value"] for r in judge.table().to_pylist() if r["band"] == "all"}
    assert found["good", "all", "mrr@20"] == 1.0 and found["bad", "all", "mrr@20"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["good", "fresh", "recall@20"] == 1.0  # C: only viewed before, bought by ann
    rows = {(r["other"], r["ground"], r["measure"]): r for r in judge.comparisons("good")}
    row = rows["bad", "all", "mrr@20"]
    assert row["difference"] == pytest.approx(1 / 3) and row["n"] == 2
    assert row["low"] < row["difference"] < row["high"]
    assert judge.compare("good", "good", "all", "ndcg@10").value == 0.0
    assert judge.trial("bad") == []  # everyone found something among ten: no higher rate to look for
