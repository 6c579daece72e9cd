"""The recommender: every user k items, in an order that the past explains, judged on a future that it has not seen."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

from core.errors import EmptyLogError, RuleError
from core.metrics import ndcg_at_k, recall_at_k
from core.recommender.blend import FIXED, Mix, Policy, blend_values, mixed
from core.recommender.blocks import CommonBlock, DenseBlock, SparseBlock, lookup, places, rank_within, top_per_row
from core.recommender.candidates import FEATURES, Candidates, iterate_candidates, make_context
from core.recommender.evaluate import Judge
from core.recommender.interactions import read_interactions, read_with_labels, strongest_act
from core.recommender.options import SOURCES, RecommendOptions
from core.recommender.recommend import plan, recommend
from core.recommender.sources import fit_sources, open_interest
from core.schema import RECOMMENDATIONS
from core.store import Log
from tests.worlds import at

MakeLog = Callable[..., Log]


@dataclass(frozen=True)
class Vectors:
    """Item vectors as the encoder would hand them over."""

    item_ids: list[str]
    index: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float32]


def act(user: str, item: str | None, day: float, kind: str = "purchase") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(day)}


def together_world() -> list[dict[str, Any]]:
    """Ten buyers take A then B, ten take C then D; `ann` has only A, `cleo` only C."""
    rows = []
    for number in range(10):
        rows += [act(f"ab{number}", "A", 1 + number / 10), act(f"ab{number}", "B", 2 + number / 10)]
        rows += [act(f"cd{number}", "C", 1 + number / 10), act(f"cd{number}", "D", 2 + number / 10)]
    return [*rows, act("ann", "A", 3), act("cleo", "C", 3)]


def busy_world(users: int = 40, days: int = 150) -> list[dict[str, Any]]:
    """Two tastes of ten items each; everyone views and often buys within the own taste, week after week."""
    rng = np.random.default_rng(7)
    rows = []
    for user in range(users):
        day = float(rng.random() * 10)
        while day < days:
            item = f"{'xy'[user % 2]}{int(10 * rng.random() ** 2)}"
            rows.append(act(f"u{user:02d}", item, day, "view"))
            if rng.random() < 0.5:
                rows.append(act(f"u{user:02d}", item, day + 0.01))
            day += float(rng.exponential(6))
    return rows


def first_items(log: Log, source: str, user: str, **more: Any) -> list[str]:
    table = recommend(log, None, RecommendOptions(k=3, source=source, **more)).recommendations
    return [row["item_id"] for row in table.to_pylist() if row["user_id"] == user]


@pytest.mark.parametrize("source", ["item_knn", "ease", "factors", "blend"])
def test_what_is_always_bought_together_comes_first(make_log: MakeLog, source: str) -> None:
    log = make_log(together_world())
    assert first_items(log, source, "ann", new_only=True)[0] == "B"
    assert first_items(log, source, "cleo", new_only=True)[0] == "D"


def test_a_withheld_item_is_found_again(make_log: MakeLog) -> None:
    rows = [row for row in together_world() if (row["user_id"], row["item_id"]) != ("ab4", "B")]
    assert first_items(make_log(rows), "blend", "ab4", new_only=True)[0] == "B"


def test_the_personal_counter_puts_the_most_bought_item_first(make_log: MakeLog) -> None:
    rows = [*together_world(), act("ann", "D", 3.1), act("ann", "D", 3.2)]
    assert first_items(make_log(rows), "repeat", "ann")[:2] == ["D", "A"]


def test_what_was_carted_and_not_bought_leads_interest_and_bought_things_leave_it(make_log: MakeLog) -> None:
    rows = [
        *together_world(),
        act("ann", "D", 3.1, "view"),
        act("ann", "C", 3.2, "cart"),
        act("cleo", "A", 3.0, "cart"),
        act("cleo", "A", 3.3),
    ]
    log = make_log(rows)
    assert first_items(log, "interest", "ann")[:2] == ["C", "D"]
    known = read_interactions(log, log.until, "purchase")
    pairs = open_interest(known, 7.0)
    assert (known.user_ids.index("cleo"), known.item_ids.index("A")) not in set(zip(pairs.user.tolist(), pairs.item.tolist(), strict=True))


def test_taking_something_out_of_the_cart_lowers_its_interest(make_log: MakeLog) -> None:
    rows = [*together_world(), act("ann", "C", 3.1, "cart"), act("ann", "D", 3.1, "cart"), act("ann", "C", 3.2, "remove_from_cart")]
    assert first_items(make_log(rows), "interest", "ann")[0] == "D"


def test_nothing_bought_is_listed_when_only_new_items_are_wanted(make_log: MakeLog) -> None:
    log = make_log(busy_world())
    recs = recommend(log, None, RecommendOptions(k=5, new_only=True)).recommendations
    with log.history() as connection:
        bought = {
            tuple(row)
            for row in connection.execute("SELECT DISTINCT user_id, item_id FROM history WHERE event_type = 'purchase'").fetchall()
        }
    listed = set(zip(recs["user_id"].to_pylist(), recs["item_id"].to_pylist(), strict=True))
    assert listed and not listed & bought
    assert all(recs["is_new"].to_pylist())


def test_everyone_gets_k_items_ranked_without_gaps_or_duplicates(make_log: MakeLog) -> None:
    rows = [*busy_world(), act("zoe", None, 149, "search")]
    result = recommend(make_log(rows), None, RecommendOptions(k=7))
    recs = result.recommendations
    checked = (
        duckdb.connect()
        .register("recs", recs)
        .sql(
            "SELECT count(*), count(DISTINCT user_id), min(n), max(n), bool_and(ok) FROM (SELECT user_id, count(*) AS n,"
            " list_sort(list(rank)) = range(1, 8) AND count(DISTINCT item_id) = 7 AS ok FROM recs GROUP BY user_id)"
        )
        .fetchall()
    )
    assert recs.num_rows == 41 * 7
    assert checked == [(41, 41, 7, 7, True)]
    assert recs.column_names[:5] == list(RECOMMENDATIONS)
    assert recs["user_id"].to_pylist() == sorted(recs["user_id"].to_pylist())
    scores = recs["score"].to_numpy().reshape(41, 7)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert all(text.endswith(".") for text in recs["reason"].to_pylist())
    assert {f"source_{name}" for name in SOURCES} <= set(recs.column_names)


def test_a_catalogue_smaller_than_k_gives_what_there_is_and_says_so(make_log: MakeLog) -> None:
    result = recommend(make_log(together_world()), None, RecommendOptions(k=20))
    assert result.recommendations.num_rows == 22 * 4
    assert any("the catalogue holds 4 items" in warning for warning in result.record["warnings"])


def test_content_recommends_an_item_without_any_event_and_marks_it(make_log: MakeLog) -> None:
    items = [{"item_id": name, "title": title} for name, title in (("A", "red shoe"), ("C", "lamp"), ("N", "blue shoe"))]
    log = make_log([act("ann", "A", 1), act("bob", "C", 1)], items=items)
    vectors = Vectors(["A", "C", "N"], np.array([0, 1, 2], np.int32), np.array([[1, 0], [0, 1], [0.9, 0.436]], np.float32))
    rows = recommend(log, vectors, RecommendOptions(k=3, new_only=True, source="content")).recommendations.to_pylist()
    first = next(row for row in rows if row["user_id"] == "ann")
    assert (first["item_id"], first["reason_code"], first["reason_item"]) == ("N", "similar", "A")
    assert first["reason"] == "Similar to red shoe."
    assert first["source_content"] > 0


def test_reasons_carry_their_evidence(make_log: MakeLog) -> None:
    rows = [*together_world(), act("ann", "A", 3.5), act("ann", "C", 3.6, "favourite"), act("ann", "D", 15, "search")]
    recs = recommend(make_log(rows), None, RecommendOptions(k=4)).recommendations.to_pylist()
    reasons = {row["item_id"]: row["reason"] for row in recs if row["user_id"] == "ann"}
    assert reasons["A"] == "Bought twice, last 11 days ago."
    assert reasons["C"] == "Saved, last 11 days ago, and not yet bought."
    assert reasons["B"] == "Often bought with A."


def test_a_log_without_purchases_recommends_for_its_strongest_act(make_log: MakeLog) -> None:
    rows = [{**row, "event_type": "view"} for row in together_world()]
    result = recommend(make_log(rows), None, RecommendOptions(k=2))
    assert result.record["target"] == "view"
    assert any("no purchases" in warning for warning in result.record["warnings"])
    assert result.recommendations.num_rows == 22 * 2


def test_a_short_log_says_that_nothing_was_learned_and_invents_no_measure(make_log: MakeLog) -> None:
    result = recommend(make_log(together_world()), None, RecommendOptions(k=2))
    assert not result.record["learned"] and result.metrics.num_rows == 0
    assert any("too short" in warning for warning in result.record["warnings"])
    assert result.recommendations["chance"].null_count == result.recommendations.num_rows


def test_one_user_with_one_event_is_served(make_log: MakeLog) -> None:
    recs = recommend(make_log([act("用户", "商品", 1)]), None, RecommendOptions(k=5)).recommendations.to_pylist()
    assert [(row["user_id"], row["rank"], row["item_id"]) for row in recs] == [("用户", 1, "商品")]


def test_lists_are_bit_equal_whether_later_events_are_hidden_or_deleted(make_log: MakeLog, tmp_path: Any) -> None:
    rows = busy_world(30)
    full = make_log(rows)
    cut = make_log([row for row in rows if row["event_time"] < at(130)], dataset="cut")
    options = RecommendOptions(k=5, min_train_buyers=20)
    hidden, deleted = recommend(replace(full, until=at(130)), None, options), recommend(replace(cut, until=at(130)), None, options)
    assert hidden.record["learned"]
    assert hidden.recommendations.equals(deleted.recommendations)
    assert hidden.metrics.equals(deleted.metrics)
    again = recommend(replace(full, until=at(130)), None, options)
    assert again.recommendations.equals(hidden.recommendations) and again.record == hidden.record


def test_measures_equal_a_count_by_hand(make_log: MakeLog) -> None:
    rows = [act("ann", "A", 0), act("bob", "B", 0), act("ann", "B", 10), act("ann", "C", 10), act("bob", "B", 10)]
    log = make_log([*rows, act("bob", "A", 12)])
    known, labels = read_with_labels(log, at(5), timedelta(days=6), "purchase")
    assert known.item_ids == ["A", "B"]
    judge = Judge(known, labels)
    user, item = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    candidates = Candidates(
        user, item, np.array([True, False, False, True]), np.zeros((4, len(SOURCES)), np.float32), np.zeros((4, 0), np.float32)
    )
    judge.add(candidates, {"mine": np.array([2.0, 1.0, 1.0, 2.0])})
    found = {(r["ground"], r["measure"]): r["value"] for r in judge.table().to_pylist() if r["band"] == "all"}
    # ann: relevant B (rank 2) and C (not in the catalogue yet); bob: relevant B (rank 1)
    ann = (1 / np.log2(3)) / (1 + 1 / np.log2(3))
    assert found["all", "ndcg@10"] == pytest.approx((ann + 1) / 2)
    assert found["all", "recall@20"] == pytest.approx((0.5 + 1) / 2)
    assert found["new", "ndcg@10"] == pytest.approx(1 / (1 + 1 / np.log2(3)))  # ann alone: B is first among new items
    assert found["all", "coverage@20"] == 1.0
    assert found["all", "novelty@20"] == pytest.approx(-np.log2(2 / 3))
    assert judge.candidate_recall() == {"all": 2 / 3, "new": 1 / 2, "fresh": 0.0}
    assert found["all", "ndcg@10"] == pytest.approx(ndcg_at_k([{"B", "C"}, {"B"}], [["A", "B"], ["B", "A"]], 10).mean())
    assert found["all", "recall@20"] == pytest.approx(recall_at_k([{"B", "C"}, {"B"}], [["A", "B"], ["B", "A"]], 20).mean())


def test_the_blend_is_learned_judged_and_explained_on_a_longer_log(make_log: MakeLog) -> None:
    result = recommend(make_log(busy_world()), None, RecommendOptions(k=5))
    figures = {
        (r["source"], r["ground"]): r["value"] for r in result.metrics.to_pylist() if r["band"] == "all" and r["measure"] == "ndcg@10"
    }
    assert result.record["learned"]
    assert figures["blend", "all"] > figures["popularity", "all"]
    for ground in result.record["weights"].values():
        assert sum(ground.values()) == pytest.approx(1, abs=0.01)
    chance = result.recommendations["chance"].to_numpy()
    assert ((chance >= 0) & (chance <= 1)).all()
    assert all(r["low"] <= r["value"] <= r["high"] for r in result.metrics.to_pylist() if r["low"] is not None)


def test_windows_never_overlap_what_they_are_judged_on(make_log: MakeLog) -> None:
    log, options = make_log(busy_world(20)), RecommendOptions()
    windows = plan(log, options)
    cutoffs = [*windows.train, windows.validate, windows.test, log.until]
    assert all(later - earlier == options.horizon for earlier, later in pairwise(cutoffs))
    assert plan(replace(log, until=at(60)), options).train == ()


def test_features_do_not_see_the_label_window(make_log: MakeLog) -> None:
    rows = busy_world(20)
    full, cut = make_log(rows), make_log([row for row in rows if row["event_time"] < at(100)], dataset="cut")
    tables = []
    for log in (full, cut):
        known = read_interactions(replace(log, until=max(log.until, at(100))), at(100), "purchase")
        context = make_context(known, fit_sources(known, None, RecommendOptions()))
        tables.append(next(iterate_candidates(context, np.arange(known.shape[0]), 20)).features)
    assert tables[0].shape[1] == len(FEATURES)
    assert np.array_equal(tables[0], tables[1], equal_nan=True)


def test_blocks_agree_on_the_best_items_and_ties_go_to_the_smaller_item() -> None:
    scores = np.array([[3, 1, 3, 2], [0, 0, 0, 5]], np.float32)
    taken = sp.csr_matrix(np.array([[1, 0, 0, 0], [0, 0, 0, 0]], np.float32))
    every = np.arange(4)
    row, column = np.divmod(np.arange(8), 4)
    dense = DenseBlock(scores, every, places(every, 4))
    sparse = SparseBlock(np.arange(8), scores.ravel(), 4)
    assert sorted(dense.top(taken, 2).tolist()) == sorted(sparse.top(taken, 2).tolist()) == [2, 3, 4, 7]
    assert dense.at(row, column).tolist() == sparse.at(row, column).tolist() == scores.ravel().tolist()
    common = CommonBlock(np.array([2, 0, 1, 3]), np.array([0.7, 0.5, 1.0, 0.2], np.float32), 2)
    assert sorted(common.top(taken, 2).tolist()) == [1, 2, 4, 6]
    assert [pair.tolist() for pair in top_per_row(np.array([[1, 1, 1]], np.float32), 2)] == [[0, 0], [0, 1]]
    assert np.isinf(lookup(np.array([1]), np.array([1.0]), np.array([2]))).all()


def test_the_quick_search_for_the_best_equals_a_full_sort() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 300, (5, 4000)).astype(np.float32)
    scores[1, 40:] = -np.inf  # fewer opinions than asked for
    scores[2] = 7  # all equal
    scores[3] = np.arange(4000) % 16 == 0  # the sampled columns are the best
    row, column = top_per_row(scores, 60)
    for number in range(5):
        best = np.lexsort((np.arange(4000), -scores[number]))[: 40 if number == 1 else 60]
        assert sorted(column[row == number].tolist()) == sorted(best.tolist())


def test_ranks_count_from_zero_within_each_user() -> None:
    ranks = rank_within(np.array([0, 0, 0, 4, 4]), np.array([1.0, 3.0, 1.0, -np.inf, 0.0]))
    assert ranks.tolist() == [1, 0, 2, 1, 0]


def test_a_full_share_of_the_partner_gives_its_order_and_none_the_learned_one() -> None:
    user, learned, partner = np.array([0, 0, 0]), np.array([0.9, 0.5, 0.1]), np.array([1.0, 2.0, 3.0])
    assert np.argsort(-mixed(user, learned, partner, 1.0)).tolist() == [2, 1, 0]
    assert mixed(user, learned, partner, 1.0).tolist() == pytest.approx([0.1, 0.5, 0.9])
    scores = np.full((3, len(SOURCES)), -np.inf, np.float32)
    scores[:, SOURCES.index("popularity")] = [0.1, 0.2, 0.3]
    candidates = Candidates(user, np.arange(3), np.array([True, False, False]), scores, np.zeros((3, 0), np.float32))
    assert blend_values(candidates, learned, Policy()).tolist() == learned.tolist()
    assert np.argsort(-blend_values(candidates, learned, Policy(all=Mix("popularity", 1.0)))).tolist() == [2, 1, 0]
    assert Mix().partner == FIXED


def test_a_wrong_k_or_source_is_refused_in_a_sentence() -> None:
    with pytest.raises(RuleError, match="choose 1 to"):
        RecommendOptions(k=0)
    with pytest.raises(RuleError, match="no source 'magic'"):
        RecommendOptions(source="magic")


def test_the_strongest_act_ignores_events_without_an_item(make_log: MakeLog) -> None:
    assert strongest_act(make_log([act("ann", None, 1), act("ann", "A", 1, "cart"), act("ann", "A", 2, "view")])) == "cart"


def search(user: str, day: float) -> dict[str, Any]:
    return act(user, None, day, "search")


@pytest.mark.parametrize(
    ("rows", "items", "lists"),
    [
        ([act(f"u{n}", f"i{n % 3}", 1) for n in range(20)], [], 60),  # all at one time
        ([act("u", f"i{n % 9}", n / 2) for n in range(300)], [], 5),  # one user, long
        ([act(f"u{n % 40}", "i", n / 3) for n in range(450)], [], 40),  # one item, long
        ([act(f"u{n}", f"i{n % 3}", n, "impression") for n in range(20)], [], 60),  # nothing but impressions
        ([search("a", 1), search("b", 2)], [{"item_id": "X", "title": "x"}, {"item_id": "Y"}], 4),  # a catalogue without events
        ([search(f"u{n % 40}", n / 2) for n in range(200)] + [act(f"u{n % 40}", f"i{n % 7}", 100 + n / 10) for n in range(450)], [], 200),
    ],
)
def test_odd_logs_are_served(make_log: MakeLog, rows: list[dict[str, Any]], items: list[dict[str, Any]], lists: int) -> None:
    assert recommend(make_log(rows, items=items), None, RecommendOptions(k=5)).recommendations.num_rows == lists


def test_a_log_without_any_item_is_refused_in_a_sentence(make_log: MakeLog) -> None:
    with pytest.raises(EmptyLogError, match="No event names an item"):
        recommend(make_log([search("a", 1), search("b", 150)]), None, RecommendOptions())


def test_with_one_window_to_learn_from_half_of_the_buyers_judge(make_log: MakeLog) -> None:
    result = recommend(replace(make_log(busy_world()), until=at(90)), None, RecommendOptions(k=5))
    assert result.record["windows"]["train"] == [] and result.record["learned"]
    assert result.record["validation"]["all"]
