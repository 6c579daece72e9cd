"""Tables of lists: the mixed one of each user, and beside it what to take *again* and what is *new*."""

from typing import Any

import numpy as np
import pyarrow as pa

from core.recommender.blend import Values
from core.recommender.blocks import Ints
from core.recommender.candidates import Candidates
from core.recommender.evaluate import top_items
from core.recommender.interactions import Interactions
from core.recommender.options import SOURCES, RecommendOptions
from core.recommender.paths import KINDS, Paths
from core.recommender.reasons import Reason, explain
from core.recommender.sources import FittedSources

MOST_OF_TWO = 20
"""Longest of the two lists: they are for people, the mixed one is also for machines."""
AGAIN, NEW = "again", "new"


def block_tables(
    known: Interactions, fitted: FittedSources, options: RecommendOptions, candidates: Candidates, values: Values, chance: Values | None
) -> tuple[pa.Table, pa.Table]:
    """Write a block of users' lists.

    Args:
        known: Interactions of the cutoff.
        fitted: Its sources.
        options: k and which items may stand in the mixed list.
        candidates: Of the block, n pairs.
        values: Order values (n,).
        chance: Propensity of each pair (n,), None when nothing was learned.

    Returns:
        RECOMMENDATIONS + chance, is_new, reason_code, reason_item, path, source_<name>, sorted by user_id and rank; and the same but the
        sources with `list` (again, new), at most MOST_OF_TWO rows each. `path` is the strongest way through the item graph, NULL without.
    """
    everywhere = np.arange(len(values))
    new, again = np.flatnonzero(~candidates.again), np.flatnonzero(candidates.again)
    mixed_place, mixed_rank = _first(candidates, values, new if options.new_only else everywhere, options.k)
    short = min(options.k, MOST_OF_TWO)
    new_place, new_rank = _first(candidates, values, new, short)
    again_place, again_rank = _first(candidates, values, again[:0] if options.new_only else again, short)
    place, back = np.unique(np.concatenate([mixed_place, again_place, new_place]), return_inverse=True)
    table = _described(known, fitted, options, candidates, values, chance, place)
    cut = np.split(back, [len(mixed_place), len(mixed_place) + len(again_place)])
    mixed = _ranked(table.take(cut[0]), mixed_rank)
    two = _ranked(table.take(np.concatenate(cut[1:])), np.concatenate([again_rank, new_rank]))
    names = pa.array([AGAIN] * len(again_place) + [NEW] * len(new_place), pa.string())
    kept = [name for name in two.column_names if not name.startswith("source_")]
    return mixed, two.select(kept).add_column(0, "list", names)


def _first(candidates: Candidates, values: Values, chosen: Ints, k: int) -> tuple[Ints, Ints]:
    """Places of each user's first `k` among the chosen candidates, and their ranks."""
    if not len(chosen):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    wide = int(candidates.item.max()) + 1
    keys = candidates.user * wide + candidates.item
    wanted: list[int] = []
    ranks: list[int] = []
    for user, items in top_items(candidates.user[chosen], candidates.item[chosen], values[chosen], k):
        wanted.extend(user * wide + item for item in items)
        ranks.extend(range(1, len(items) + 1))
    return np.searchsorted(keys, np.array(wanted, np.int64)), np.array(ranks, np.int64)


def _ranked(table: pa.Table, ranks: Ints) -> pa.Table:
    return table.set_column(table.column_names.index("rank"), "rank", pa.array(ranks, pa.int32()))


def _described(
    known: Interactions, fitted: FittedSources, options: RecommendOptions, candidates: Candidates, values: Values, chance: Values | None,
    place: Ints,
) -> pa.Table:  # fmt: skip
    shown = Candidates(
        candidates.user[place], candidates.item[place], candidates.again[place], candidates.scores[place], candidates.features[:0]
    )
    reasons: list[Reason] = explain(known, fitted, shown, options.popular_days)
    scores = np.round(shown.scores.astype(np.float64), 6)
    missing = np.full(len(place), chance is None)
    columns: dict[str, Any] = {
        "user_id": pa.array(known.user_ids, pa.string()).take(shown.user),
        "rank": pa.nulls(len(place), pa.int32()),
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
