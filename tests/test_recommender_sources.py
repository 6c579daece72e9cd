"""Sources that learn what is due, what a crowd takes, what the item graph joins and what comes next; and clicks without places."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.errors import CutoffError, NotFoundError
from core.recommender.blocks import NO_OPINION
from core.recommender.candidates import UNTOUCHED
from core.recommender.crowds import Crowds
from core.recommender.due import due_scores
from core.recommender.examination import fit_appeal
from core.recommender.interactions import read_interactions
from core.recommender.next_items import fit_next_items
from core.recommender.options import NextItems, RecommendOptions
from core.recommender.paths import Paths
from core.recommender.recommend import prepare, preview, recommend
from core.recommender.sources import fit_sources
from core.store import Log
from tests.test_recommender import Vectors, act, busy_world, together_world
from tests.worlds import at

MakeLog = Callable[..., Log]


def shop() -> list[dict[str, Any]]:
    return [
        {"item_id": "milk", "title": "milk", "category": "dairy", "brand": "Alm"},
        {"item_id": "yoghurt", "title": "yoghurt", "category": "dairy", "brand": "Alm"},
        {"item_id": "cheese", "title": "cheese", "category": "dairy", "brand": "Hof"},
        {"item_id": "hammer", "title": "hammer", "category": "tools", "brand": "Stahl"},
        {"item_id": "saw", "title": "saw", "category": "tools", "brand": "Stahl"},
    ]


def test_a_path_goes_by_what_items_share_and_names_where_it_starts(make_log: MakeLog) -> None:
    rows = [act("ann", "milk", 1), act("bob", "hammer", 1), *(act(f"u{n}", item["item_id"], 2) for n, item in enumerate(shop()))]
    log = make_log(rows, items=shop())
    recs = recommend(log, None, RecommendOptions(k=5, source="paths", new_only=True)).recommendations.to_pylist()
    first = {row["user_id"]: row for row in reversed(recs)}
    assert first["ann"]["item_id"] == "yoghurt" and first["bob"]["item_id"] == "saw"
    assert first["ann"]["path"] in ("milk > brand = Alm > yoghurt", "milk > brand = Alm > category = dairy > yoghurt")
    silent = next(row for row in recs if row["user_id"] == "ann" and row["item_id"] == "saw")
    assert silent["path"] is None and silent["source_paths"] is None


def test_a_path_never_starts_from_the_item_that_it_leads_to(make_log: MakeLog) -> None:
    rows = [act("ann", "milk", 1), act("ann", "yoghurt", 1, "view"), act("bob", "cheese", 1)]
    log = make_log(rows, items=shop())
    known = read_interactions(log, log.until, "purchase")
    paths = fit_sources(known, None, RecommendOptions()).sources["paths"]
    assert isinstance(paths, Paths)
    pairs = [(u, i) for u in range(2) for i in range(len(known.item_ids))]
    user, item = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
    start, kind = paths.best(user, item)
    assert (start != item).all() and (start >= 0).any()
    assert ((start >= 0) == (kind >= 0)).all()
    milk, ann = known.item_ids.index("milk"), known.user_ids.index("ann")
    assert start[pairs.index((ann, known.item_ids.index("yoghurt")))] == milk


def test_what_is_bought_every_week_is_due_and_what_ended_long_ago_is_not(make_log: MakeLog) -> None:
    rows = [act("ann", "A", 7 * week) for week in range(20)]  # the last 7 days before the end
    rows += [act("ann", "B", week) for week in range(6)]  # as often, and silent for 134 days
    rows += [act("ann", "C", 100), act("bob", "B", 140)]
    known = read_interactions(make_log(rows), at(140), "purchase")
    scores = due_scores(known, 28.0).toarray()[known.user_ids.index("ann")]
    a, b, c = (scores[known.item_ids.index(name)] for name in "ABC")
    assert 0.7 < a < 1 and b < 0.01 and c < a
    assert due_scores(known, 1.0).toarray()[0].max() < a  # a shorter horizon holds fewer purchases


def test_two_crowds_see_two_lists_of_bestsellers(make_log: MakeLog) -> None:
    log = make_log(busy_world(60, 60))
    known = read_interactions(log, log.until, "purchase")
    crowds = fit_sources(known, None, RecommendOptions()).sources["crowd"]
    assert isinstance(crowds, Crowds)
    best = [known.item_ids[int(crowds.covered[np.argmax(row)])] for row in crowds.block(np.arange(60)).values]
    own = [item[0] == "xy"[int(user[1:]) % 2] for user, item in zip(known.user_ids, best, strict=True)]
    assert np.mean(own) > 0.9


def next_items(known_users: list[str], items: list[str], until: float) -> NextItems:
    states = np.eye(len(known_users), len(items), dtype=np.float32)
    return NextItems(at(until), known_users, states, items, np.eye(len(items), dtype=np.float32))


def test_the_sequence_source_ranks_by_the_foreseen_and_refuses_a_network_that_saw_the_future(make_log: MakeLog) -> None:
    log = make_log(together_world())
    known = read_interactions(log, log.until, "purchase")
    source = fit_next_items(known, next_items(["cleo", "ann"], ["D", "B"], 1))
    assert source is not None
    scores = source.block(np.array([known.user_ids.index(name) for name in ("ann", "ab0", "cleo")]))
    row, item = np.array([0, 1, 2, 0]), np.array([known.item_ids.index(name) for name in "BBDA"])
    assert scores.at(row, item).tolist() == [1.0, NO_OPINION, 1.0, NO_OPINION]
    with pytest.raises(CutoffError, match="after the cutoff"):
        fit_next_items(known, next_items(["ann"], ["B"], 400))


def test_foresight_is_asked_for_each_cutoff_and_may_have_nothing_to_say(make_log: MakeLog) -> None:
    asked = []
    log = make_log(busy_world(20))
    users, items = sorted({f"u{n:02d}" for n in range(20)}), [f"x{n}" for n in range(10)]

    def foresight(cutoff: Any) -> NextItems | None:
        asked.append(cutoff)
        return next_items(users, items, 0) if cutoff >= at(100) else None

    result = recommend(log, None, RecommendOptions(k=3, min_train_buyers=10), foresight=foresight)
    assert max(asked) == log.until and len(set(asked)) == len(asked) >= 3
    assert result.recommendations["source_sequence"].null_count < result.recommendations.num_rows
    assert all(later - earlier == timedelta(days=28) for earlier, later in pairwise(asked))


def shown(rows: list[tuple[int, int, int, int]]) -> pa.Table:
    return pa.table({name: [row[place] for row in rows] for place, name in enumerate(("i", "position", "shown", "clicked"))})


def test_an_item_that_always_stood_last_is_not_thought_worse_for_it() -> None:
    # place 2 is looked at half as often; item 0 and item 1 appeal the same, item 1 stood mostly in place 2; item 2 appeals twice as much
    rows = [
        (0, 1, 90_000, 9_000),
        (0, 2, 10_000, 500),
        (1, 1, 10_000, 1_000),
        (1, 2, 90_000, 4_500),
        (2, 1, 50_000, 10_000),
        (2, 2, 50_000, 5_000),
    ]
    appeal = fit_appeal(shown(rows), 4)
    assert appeal.examined.tolist() == pytest.approx([1.0, 0.5], rel=0.02)
    assert appeal.of_item[:3].tolist() == pytest.approx([0.1, 0.1, 0.2], rel=0.02)
    assert np.isnan(appeal.of_item[3])
    plain = [sum(r[3] for r in rows if r[0] == i) / sum(r[2] for r in rows if r[0] == i) for i in (0, 1)]
    assert plain[0] > 1.7 * plain[1]  # what a rate without places says


def test_a_log_without_places_or_clicks_has_no_appeal(make_log: MakeLog) -> None:
    assert np.isnan(fit_appeal(shown([]), 2).of_item).all()
    log = make_log(together_world())
    assert np.isnan(read_interactions(log, log.until, "purchase").appeal).all()


def test_appeal_reads_places_from_the_log_and_only_before_the_cutoff(make_log: MakeLog) -> None:
    rows = [act("ann", "A", 1), act("ann", "B", 1), act("ann", "A", 7)]
    for n in range(200):
        for place, item in ((1, "A"), (2, "B")):
            rows.append({**act(f"u{n}", item, 2 + n / 1000, "impression"), "position": str(place)})
            if n % (5 * place) == 0:
                rows.append({**act(f"u{n}", item, 2.5 + n / 1000, "click"), "position": str(place)})
    before = read_interactions(make_log(rows), at(5), "purchase").appeal
    later = [{**act(f"v{n}", "B", 6, kind), "position": "1"} for n in range(50) for kind in ("impression", "click")]
    after = read_interactions(make_log([*rows, *later], dataset="more"), at(5), "purchase").appeal
    assert np.isfinite(before).all() and np.array_equal(before, after)


def test_again_and_new_are_lists_of_their_own_beside_the_mixed_one(make_log: MakeLog) -> None:
    result = recommend(make_log(busy_world(30)), None, RecommendOptions(k=4, min_train_buyers=10))
    two, kept = result.two_lists, result.candidates
    assert two is not None and kept is not None
    lists: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in two.to_pylist():
        lists.setdefault((row["list"], row["user_id"]), []).append(row)
    assert {name for name, _ in lists} == {"again", "new"}
    for (name, _), rows in lists.items():
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1)) and len(rows) <= 4
        assert all(row["is_new"] == (name == "new") for row in rows)
        assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert len([1 for name, _ in lists if name == "new"]) == 30
    mixed = result.recommendations
    assert kept.filter(pa.array([rank <= 4 for rank in kept["rank"].to_pylist()])).equals(mixed)


def test_a_preview_is_what_the_lists_hold(make_log: MakeLog) -> None:
    log, options = make_log(busy_world(30)), RecommendOptions(k=4, min_train_buyers=10)
    whole = recommend(log, None, options).candidates
    assert whole is not None
    ready = prepare(log, None, options)
    alone = preview(ready, ["u07", "u03"])
    wanted = whole.filter(pa.array([user in ("u03", "u07") for user in whole["user_id"].to_pylist()]))
    exact = ["user_id", "rank", "item_id", "is_new", "reason"]
    assert alone.select(exact).to_pylist() == wanted.select(exact).to_pylist()
    assert alone["chance"].to_pylist() == pytest.approx(wanted["chance"].to_pylist())
    with pytest.raises(NotFoundError, match="no shopper 'nobody'"):
        preview(ready, ["nobody"])


def test_items_that_nobody_touched_are_kept_for_sliders_however_many_are_ranked_above(make_log: MakeLog) -> None:
    rng = np.random.default_rng(5)
    sold, fresh = [f"s{n:03d}" for n in range(400)], [f"new{n}" for n in range(8)]
    rows = [act(f"u{rng.integers(0, 30)}", sold[int(400 * rng.random() ** 1.5)], float(rng.integers(0, 150))) for _ in range(6000)]
    names = [*sold, *fresh]
    vectors = rng.normal(size=(408, 4)).astype(np.float32)
    log = make_log(rows, items=[{"item_id": name, "title": name} for name in names])
    order = np.argsort(names)
    texts = Vectors([names[n] for n in order], np.arange(408, dtype=np.int32), vectors[order])
    kept = recommend(log, texts, RecommendOptions(k=5, min_train_buyers=10)).candidates.to_pandas()
    untouched = kept[kept["item_id"].isin(fresh)]
    assert (untouched.groupby("user_id").size() == UNTOUCHED).all() and untouched["user_id"].nunique() == kept["user_id"].nunique()
    assert untouched["source_content"].notna().all()
    assert (untouched["rank"] > 5).all() and set(untouched["reason_code"]) <= {"similar", "kind", "catalogue"}
