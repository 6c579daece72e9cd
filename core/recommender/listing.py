"""Tables of lists: the mixed one of each user with what ranks below it, and beside it what to take *again* and what is *new*."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.recommender.blend import Values
from core.recommender.blocks import Ints, rank_within, runs_of
from core.recommender.candidates import UNTOUCHED, Candidates
from core.recommender.interactions import Interactions
from core.recommender.options import SOURCES, RecommendOptions
from core.recommender.paths import KINDS, Paths
from core.recommender.reasons import explain
from core.recommender.relations import walked
from core.recommender.sources import FittedSources

MOST_OF_TWO = 20
"""Longest of the two lists: they are for people, the mixed one is also for machines."""
AGAIN, NEW = "again", "new"


def block_table(
    known: Interactions,
    fitted: FittedSources,
    options: RecommendOptions,
    candidates: Candidates,
    values: Values,
    chance: Values | None,
    depth: int,
) -> pa.Table:
    """Describe what is kept of a block's candidates.

    Args:
        known: Interactions of the cutoff.
        fitted: Its sources.
        options: k and which items may be listed.
        candidates: Of the block, n pairs.
        values: Order values (n,).
        chance: Propensity of each pair (n,), None when nothing was learned.
        depth: Candidates wanted of each user, half of them the best of all items and half the best new ones; UNTOUCHED more, so that
            sliders and rules can show what nobody has touched yet.

    Returns:
        RECOMMENDATIONS + chance, is_new, reason_code, reason_item, path, source_<name>, sorted by user_id and rank, which counts among all
        candidates that may be listed. `path` is the strongest way through the item graph, NULL without. Texts are dictionaries:
        one hundred rows for each of 100,000 users would else hold every sentence a million times.
    """
    chosen = np.flatnonzero(~candidates.again) if options.new_only else np.arange(len(values))
    user, order, again = candidates.user[chosen], values[chosen], candidates.again[chosen]
    rank = rank_within(user, order)
    deeper = depth // 2 if depth > options.k else 0
    keep = rank < max(options.k, deeper)
    for ground, least in ((False, deeper), (True, 0)):
        part = np.flatnonzero(again == ground)
        keep[part[rank_within(user[part], order[part]) < max(min(options.k, MOST_OF_TWO), least)]] = True
    if deeper:
        part = np.flatnonzero(known.is_untouched[candidates.item[chosen]])
        keep[part[rank_within(user[part], order[part]) < UNTOUCHED]] = True
    place, ranks = chosen[keep], rank[keep] + 1
    sorting = np.lexsort((ranks, candidates.user[place]))
    return _described(known, fitted, options, candidates, values, chance, place[sorting], ranks[sorting])


def two_lists(blocks: Sequence[pa.Table], k: int) -> pa.Table:
    """Part the kept candidates into what to take again and what is new, each from rank 1; at most MOST_OF_TWO rows of a user each.

    Args:
        blocks: Of whole users, as `block_table` made them.
        k: Longest list.

    Returns:
        list (again, new) and the columns of the blocks without sources, sorted by list, user_id, rank.
    """
    names = [name for name in blocks[0].column_names if not name.startswith("source_")]
    parts = []
    for name, kept in product((AGAIN, NEW), blocks):
        part = kept.select(names).filter(pc.equal(kept["is_new"], name == NEW))
        codes = np.asarray(part["user_id"].unify_dictionaries().combine_chunks().indices.to_numpy(), np.int64)
        rank = runs_of(codes)[2] + 1  # users stand in order
        near = rank <= min(k, MOST_OF_TWO)
        part = part.filter(pa.array(near)).set_column(names.index("rank"), "rank", pa.array(rank[near], pa.int32()))
        parts.append(part.add_column(0, "list", pa.array([name] * part.num_rows, pa.string())))
    return pa.concat_tables(parts)


def _described(
    known: Interactions, fitted: FittedSources, options: RecommendOptions, candidates: Candidates, values: Values, chance: Values | None,
    place: Ints, ranks: Ints,
) -> pa.Table:  # fmt: skip
    shown = Candidates(
        candidates.user[place], candidates.item[place], candidates.again[place], candidates.scores[place], candidates.features[:0]
    )
    reasons = explain(known, fitted, shown, options.popular_days)
    scores = np.round(shown.scores, 6)
    missing = np.full(len(place), chance is None)
    items = pa.array(known.item_ids, pa.string())
    begin = int(shown.user.min(initial=0))
    users = pa.array(known.user_ids[begin : int(shown.user.max(initial=-1)) + 1], pa.string())
    columns: dict[str, Any] = {
        "user_id": _named(users, shown.user - begin),
        "rank": pa.array(ranks, pa.int32()),
        "item_id": _named(items, shown.item),
        "score": pa.array(values[place], pa.float64()),
        "reason": reasons.text,
        "chance": pa.array(np.zeros(len(place)) if chance is None else chance[place], pa.float64(), mask=missing),
        "is_new": pa.array(~shown.again, pa.bool_()),
        "reason_code": reasons.code,
        "reason_item": _named(items, reasons.item),
        "path": _paths(known, fitted, shown),
    }
    for column, name in enumerate(SOURCES):
        columns[f"source_{name}"] = pa.array(scores[:, column], pa.float32(), mask=np.isinf(scores[:, column]))
    return pa.table(columns)


def _named(words: pa.Array, place: Ints) -> pa.DictionaryArray:
    """Words by their place, NULL at -1."""
    return pa.DictionaryArray.from_arrays(pa.array(place, pa.int32(), mask=place < 0), words)


def _paths(known: Interactions, fitted: FittedSources, shown: Candidates) -> pa.DictionaryArray:
    """The strongest way to each shown item through the graph, as ids and words: start > brand = x > item."""
    told = np.full(len(shown.user), -1, np.int64)
    sentences: list[str] = []
    paths = fitted.sources.get("paths")
    if isinstance(paths, Paths):
        start, kind = paths.best(shown.user, shown.item)
        has = np.flatnonzero(start >= 0)
        goal = shown.item[has]
        keys = (start[has] * (len(KINDS) + len(paths.relations)) + kind[has]) * known.shape[1] + goal
        _different, first, told[has] = np.unique(keys, return_index=True, return_inverse=True)
        words = {0: (known.title, known.titles), 1: (known.category, known.categories), 2: (known.brand, known.brands)}
        for item, begin, by in zip(goal[first].tolist(), start[has][first].tolist(), kind[has][first].tolist(), strict=True):
            if by >= len(KINDS):
                steps = walked(paths.relations[by - len(KINDS)])
            else:
                steps = [f"{KINDS[n]} = {words[n][1][words[n][0][item]]}" for n in ((2, 1) if by == 3 else (by,))]
            sentences.append(" > ".join((known.item_ids[begin], *steps, known.item_ids[item])))
    return _named(pa.array(sentences, pa.string()), told)
