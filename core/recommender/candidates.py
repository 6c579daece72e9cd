"""The union of what the sources propose, block of users by block of users, with the features of each pair.

n candidates of a block, sorted by user then item. The recall of this union is the ceiling of any ranking, so it is deep:
hundreds of items for each user from each source, and every item that the user already has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from core.recommender.blocks import NO_OPINION, Block, DenseBlock, SparseBlock, lookup, rank_within
from core.recommender.content import Content
from core.recommender.interactions import Floats, Interactions, Ints, Pairs
from core.recommender.options import SOURCES
from core.recommender.sources import FittedSources
from core.schema import EVENT_TYPES

PAIRS = 100_000
"""Pairs whose text vectors are multiplied at once: 2 x 150 MB at 384 dimensions."""
CELLS = 6_000_000
"""Users x a third of the items of a block (few sources cover more): one source's dense scores take about 24 MB."""
AGAIN_DEPTH = 300
"""Items that the user already has the target act on, best by decayed count."""
NEW_DEPTH = {"interest": 200, "popularity": 150, "popular_ever": 50, "category": 150, "item_knn": 150, "ease": 150, "factors": 100,
             "content": 100, "crowd": 100, "paths": 100, "sequence": 150}  # fmt: skip
UNTOUCHED = 5
"""Items that nobody has touched, nearest by content: no other source can propose them."""
ALL_DEPTH = 20
"""Best of each source over all items, so that each source can be judged alone in full ranking."""

KEPT_PAIRS, LEAST_NEW = 15_000_000, 150
"""New items that are described and ordered, of all users together and of each, beside the first ALL_DEPTH of each source: from 20,000 users
on the last ones of the union are left out, which costs no nDCG (docs/decisions/0032) and most of the time."""

Bools = npt.NDArray[np.bool_]

FEATURES = (
    *(f"score_{name}" for name in SOURCES),
    *(f"rank_{name}" for name in SOURCES),
    "times", "last_days", "first_days", "gap_days", "due", "item_due", "touches", "touch_days", "touch_weight",
    "recent_buyers", "week_trend", "buyers", "item_repeat_share", "item_gap_days", "item_age_days", "price", "price_fit",
    "user_items", "user_events", "user_idle_days", "user_again_share", "user_recent",
    "taste", "category_taste", "brand_taste", "kind_times", "similarity", "appeal",
)  # fmt: skip
"""Columns of `Candidates.features`; `score_` and `rank_` per source, the rest said in docs/decisions/0004."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of one block of users."""

    user: Ints
    """Place among the users of the cutoff (n,)."""
    item: Ints
    again: Bools
    """Whether the user already has the target act on the item (n,)."""
    scores: Floats
    """(n, S) by SOURCES, -inf without opinion."""
    features: Floats
    """(n, F) by FEATURES, NaN where unknown."""


@dataclass(frozen=True)
class Context:
    """What the features need of a cutoff, computed once."""

    known: Interactions
    fitted: FittedSources
    pair_keys: Ints
    touch_keys: Ints
    item_columns: Floats
    """(I, 7) in the order of FEATURES from recent_buyers to price."""
    user_columns: Floats
    """(U, 5) in the order of FEATURES from user_items to user_recent."""
    kind_times: sp.csr_matrix
    """Target acts of the user on each kind in the last 28 days (U, C)."""
    mean_price: Floats
    """Mean log price of what each user took (U,)."""


def make_context(known: Interactions, fitted: FittedSources) -> Context:
    """Compute the columns of items and users that features join."""
    users, items = known.shape
    bought = known.bought
    width = max(items, 1)
    again = bought.count >= 2
    gap = np.where(again, (bought.first_days - bought.last_days) / np.maximum(bought.count - 1, 1), np.nan)
    repeaters = np.bincount(bought.item[again], minlength=items)
    gap_sum = np.bincount(bought.item[again], weights=gap[again].astype(np.float64), minlength=items)
    age = np.full(items, np.nan)
    np.fmax.at(age, bought.item, bought.first_days.astype(np.float64))
    item_columns = np.column_stack([
        fitted.recent_buyers,
        fitted.week_buyers / np.maximum(fitted.recent_buyers / 4, 0.25),
        fitted.buyers,
        repeaters / (fitted.buyers + 5.0),
        np.where(repeaters > 0, gap_sum / np.maximum(repeaters, 1), np.nan),
        age,
        np.log1p(np.maximum(known.price, 0)),
    ]).astype(np.float32).reshape(items, 7)  # fmt: skip
    target = known.act == EVENT_TYPES.index(known.target)
    distinct = np.bincount(bought.user, minlength=users)
    times = np.bincount(bought.user, weights=bought.count, minlength=users)
    user_columns = np.column_stack([
        distinct,
        np.bincount(known.user, minlength=users),
        known.idle_days,
        (times - distinct) / np.maximum(times, 1),
        np.bincount(known.user[target & (known.age <= 28 * 1440)], minlength=users),
    ]).astype(np.float32).reshape(users, 5)  # fmt: skip
    price = item_columns[:, 6][bought.item]
    priced = ~np.isnan(price)
    paid = np.bincount(bought.user[priced], weights=price[priced].astype(np.float64), minlength=users)
    number = np.bincount(bought.user[priced], minlength=users)
    touch = fitted.interest
    kind = fitted.tastes[0][1]
    lately = target & (known.age <= 28 * 1440)
    lately &= kind[known.item] >= 0
    kind_times = sp.csr_matrix((np.ones(int(lately.sum()), np.float32), (known.user[lately], kind[known.item[lately]])),
                               shape=(users, fitted.tastes[0][0].shape[1]))  # fmt: skip
    return Context(
        known=known,
        fitted=fitted,
        pair_keys=bought.user * width + bought.item,
        touch_keys=touch.user * width + touch.item,
        item_columns=item_columns,
        kind_times=kind_times,
        user_columns=user_columns,
        mean_price=np.where(number > 0, paid / np.maximum(number, 1), np.nan).astype(np.float32),
    )


def iterate_candidates(context: Context, users: Ints, least: int, *, features: bool = True) -> Iterator[Candidates]:
    """Propose and describe candidates for the given users (places, sorted), a block at a time.

    Args:
        context: Of the cutoff.
        users: Places of users.
        least: Fewest new items to propose for each user, as far as the catalogue goes.
        features: Whether to compute `features` (else an empty (n, 0) array).
    """
    size = max(1, min(2000, CELLS // max(context.known.shape[1] // 3, 1)))
    for start in range(0, len(users), size):
        yield _block(context, users[start : start + size], least, features)


def _block(context: Context, users: Ints, least: int, features: bool) -> Candidates:
    known, items = context.known, context.known.shape[1]
    blocks = {name: source.block(users) for name, source in context.fitted.sources.items()}
    taken = sp.csr_matrix(known.bought_matrix[users])
    bought = SparseBlock.of(taken)
    keys = _union(blocks, taken, bought, least)
    content, block = context.fitted.sources.get("content"), blocks.get("content")
    untouched = np.zeros(0, np.int64)
    if isinstance(content, Content) and isinstance(block, DenseBlock):
        untouched = content.top_untouched(block, UNTOUCHED)
        keys = np.union1d(keys, untouched)
    row, item = keys // items, keys % items
    scores = np.full((len(keys), len(SOURCES)), NO_OPINION, order="F")
    for column, name in enumerate(SOURCES):
        if name in blocks:
            scores[:, column] = blocks[name].at(row, item)
    again = lookup(bought.keys, bought.values, keys) > NO_OPINION
    ranks = _ranks(row, again, scores)
    most = max(least, LEAST_NEW, KEPT_PAIRS // max(known.shape[0], 1))
    kept = _worthwhile(row, again | np.isin(keys, untouched), ranks, most)
    row, item, again, scores, ranks = row[kept], item[kept], again[kept], scores[kept], ranks[kept]
    table = _features(context, users, row, item, scores, ranks) if features else np.zeros((len(row), 0), np.float32)
    return Candidates(users[row], item, again, scores, table)


def _union(blocks: Mapping[str, Block], taken: sp.csr_matrix, bought: SparseBlock, least: int) -> Ints:
    """Keys row * I + item of all that is proposed, ascending."""
    items = taken.shape[1]
    nothing = sp.csr_matrix(taken.shape, dtype=np.float32)
    proposed = [blocks["repeat"].top(nothing, AGAIN_DEPTH)]
    every_bought_item_is_in = int(np.diff(taken.indptr).max(initial=0)) <= AGAIN_DEPTH
    for name in sorted(blocks):
        if name in ("repeat", "due"):
            continue
        depth = max(NEW_DEPTH[name], least) if name == "popularity" else NEW_DEPTH[name]
        proposed.append(blocks[name].top(taken, depth))
        if not every_bought_item_is_in:
            of_bought = blocks[name].at(bought.keys // items, bought.keys % items)
            has = of_bought > NO_OPINION
            proposed.append(SparseBlock(bought.keys[has], of_bought[has], items).top(nothing, ALL_DEPTH))
    keys = np.sort(np.concatenate(proposed))
    return np.asarray(keys[np.r_[True, keys[1:] != keys[:-1]][: len(keys)]])


def _ranks(row: Ints, again: Bools, scores: Floats) -> Floats:
    """Rank from 0 by each source among the user's candidates of the same ground (again, new), NaN without opinion (n, S)."""
    ground = row * 2 + again
    by_ground = np.argsort(ground, kind="stable")
    ground = ground[by_ground]
    ranks = np.full(scores.shape, np.nan, np.float32, order="F")
    for column in range(scores.shape[1]):
        own = scores[by_ground, column]
        has = np.flatnonzero(own > NO_OPINION)
        ranks[by_ground[has], column] = rank_within(ground[has], own[has])
    return ranks


def _worthwhile(row: Ints, wanted: Bools, ranks: Floats, most: int) -> Ints:
    """Places of the candidates that are described and ordered: the wanted ones, the first of each source, the best others of all."""
    value = np.zeros(len(row), np.float32)
    first = wanted.copy()
    for column in range(ranks.shape[1]):
        rank = ranks[:, column]
        value += np.nan_to_num(np.float32(1) / (rank + np.float32(10)))
        first |= rank < ALL_DEPTH
    new = np.flatnonzero(~wanted)
    first[new[rank_within(row[new], value[new]) < most]] = True
    return np.flatnonzero(first)


def _features(context: Context, users: Ints, row: Ints, item: Ints, scores: Floats, ranks: Floats) -> Floats:
    known, fitted = context.known, context.fitted
    user = users[row]
    key = user * max(known.shape[1], 1) + item
    pair = _join(context.pair_keys, known.bought, key, ("count", "last_days", "first_days"))
    gap = np.where(pair[:, 0] >= 2, (pair[:, 2] - pair[:, 1]) / np.maximum(pair[:, 0] - 1, 1), np.nan)
    touch = _join(context.touch_keys, fitted.interest, key, ("count", "last_days", "weight"))
    goods = context.item_columns[item]
    table = np.empty((len(row), len(FEATURES)), np.float32, order="F")  # filled and read by columns
    parts: list[npt.NDArray[Any]] = [
        np.where(np.isinf(scores), np.nan, scores),
        np.log1p(ranks),
        pair,
        gap,
        pair[:, 1] / np.maximum(gap, 0.5),
        pair[:, 1] / np.maximum(goods[:, 4], 0.5),
        touch,
        goods,
        np.abs(goods[:, 6] - context.mean_price[user]),
        context.user_columns[user],
        *(_affinity(taste, kind, users, row, item) for taste, kind in fitted.tastes),
        _affinity(context.kind_times, fitted.tastes[0][1], users, row, item),
        _similarity(fitted, user, item),
        known.appeal[item],
    ]
    filled = 0
    for part in parts:
        width = 1 if part.ndim == 1 else part.shape[1]
        table[:, filled : filled + width] = part.reshape(len(row), width)
        filled += width
    assert filled == len(FEATURES)
    return table


def _affinity(taste: sp.csr_matrix, kind: npt.NDArray[np.int32], users: Ints, row: Ints, item: Ints) -> Floats:
    if not taste.shape[1]:
        return np.full(len(row), np.nan, np.float32)
    codes = kind[item]
    return np.where(codes >= 0, taste[users].toarray()[row, np.maximum(codes, 0)], np.nan).astype(np.float32)


def _similarity(fitted: FittedSources, user: Ints, item: Ints) -> Floats:
    content = fitted.sources.get("content")
    if not isinstance(content, Content):
        return np.full(len(user), np.nan, np.float32)
    cosine = np.empty(len(user), np.float32)
    for start in range(0, len(user), PAIRS):
        part = slice(start, start + PAIRS)
        cosine[part] = np.einsum("nd,nd->n", content.profiles[user[part]], content.vectors[content.index[item[part]]])
    return np.where(content.index[item] >= 0, cosine, np.float32(np.nan))


def _join(keys: Ints, pairs: Pairs, wanted: Ints, columns: tuple[str, ...]) -> Floats:
    place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    found = keys[place] == wanted if len(keys) else np.zeros(len(wanted), bool)
    table = np.full((len(wanted), len(columns)), np.nan, np.float32)
    for number, name in enumerate(columns):
        table[found, number] = getattr(pairs, name)[place[found]]
    return table
