"""Tables of lists: the mixed one of each user with what ranks below it, and beside it what to take *again* and what is *new*."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.recommender.blend import Values
from core.recommender.blocks import Ints
from core.recommender.candidates import Candidates, rank_within
from core.recommender.interactions import Interactions
from core.recommender.options import SOURCES, RecommendOptions
from core.recommender.paths import KINDS, Paths
from core.recommender.reasons import Reason, explain
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
        depth: Candidates wanted of each user, half of them the best of all items and half the best new ones.

    Returns:
        RECOMMENDATIONS + chance, is_new, reason_code, reason_item, path, source_<name>, sorted by user_id and rank, which counts among all
        candidates that may be listed. `path` is the strongest way through the item graph, NULL without.
    """
    chosen = np.flatnonzero(~candidates.again) if options.new_only else np.arange(len(values))
    user, order, again = candidates.user[chosen], values[chosen], candidates.again[chosen]
    rank = rank_within(user, order)
    deeper = depth // 2 if depth > options.k else 0
    keep = rank < max(options.k, deeper)
    for ground, least in ((False, deeper), (True, 0)):
        part = np.flatnonzero(again == ground)
        keep[part[rank_within(user[part], order[part]) < max(min(options.k, MOST_OF_TWO), least)]] = True
    place, ranks = chosen[keep], rank[keep] + 1
    sorting = np.lexsort((ranks, candidates.user[place]))
    return _described(known, fitted, options, candidates, values, chance, place[sorting], ranks[sorting])


def two_lists(kept: pa.Table, k: int) -> pa.Table:
    """Part the kept candidates into what to take again and what is new, each from rank 1; at most MOST_OF_TWO rows of a user each.

    Returns:
        list (again, new) and the columns of `kept` without sources, sorted by list, user_id, rank.
    """
    names = [name for name in kept.column_names if not name.startswith("source_")]
    parts = []
    for name, is_new in ((AGAIN, False), (NEW, True)):
        part = kept.select(names).filter(pc.equal(kept["is_new"], is_new))
        codes = np.asarray(pc.dictionary_encode(part["user_id"].combine_chunks()).indices.to_numpy(), np.int64)
        starts = np.searchsorted(codes, codes)  # users stand in order
        rank = np.arange(len(codes)) - starts + 1
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
    reasons: list[Reason] = explain(known, fitted, shown, options.popular_days)
    scores = np.round(shown.scores.astype(np.float64), 6)
    missing = np.full(len(place), chance is None)
    columns: dict[str, Any] = {
        "user_id": pa.array(known.user_ids, pa.string()).take(shown.user),
        "rank": pa.array(ranks, pa.int32()),
        "item_id": pa.array(known.item_ids, pa.string()).take(shown.item),
        "score": pa.array(values[place], pa.float64()),
        "reason": pa.array([r.text for r in reasons], pa.string()),
        "chance": pa.array(np.zeros(len(place)) if chance is None else chance[place], pa.float64(), mask=missing),
        "is_new": pa.array(~shown.again, pa.bool_()),
        "reason_code": pa.array([r.code for r in reasons], pa.string()),
        "reason_item": pa.array([r.item for r in reasons], pa.string()),
        "path": pa.array(_paths(known, fitted, shown), pa.string()),
    }
    for column, name in enumerate(SOURCES):
        columns[f"source_{name}"] = pa.array(scores[:, column], pa.float64(), mask=np.isinf(scores[:, column]))
    return pa.table(columns)


def _paths(known: Interactions, fitted: FittedSources, shown: Candidates) -> list[str | None]:
    """The strongest way to each shown item through the graph, as ids and words: start > brand = x > item."""
    paths = fitted.sources.get("paths")
    if not isinstance(paths, Paths):
        return [None] * len(shown.user)
    start, kind = paths.best(shown.user, shown.item)
    words = (
        [known.titles[code] if code >= 0 else "" for code in known.title[shown.item].tolist()],
        [known.categories[code] if code >= 0 else "" for code in known.category[shown.item].tolist()],
        [known.brands[code] if code >= 0 else "" for code in known.brand[shown.item].tolist()],
    )
    told: list[str | None] = []
    for n, (first, by) in enumerate(zip(start.tolist(), kind.tolist(), strict=True)):
        if first < 0:
            told.append(None)
            continue
        parts = (f"brand = {words[2][n]}", f"category = {words[1][n]}") if by == 3 else (f"{KINDS[by]} = {words[by][n]}",)
        told.append(" > ".join((known.item_ids[first], *parts, known.item_ids[int(shown.item[n])])))
    return told
