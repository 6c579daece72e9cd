"""Why an item is on a list: one English sentence with its evidence, and the same as a code and an item for other languages."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from core.recommender.blocks import SparseBlock, lookup
from core.recommender.candidates import Candidates, rank_within
from core.recommender.content import Content
from core.recommender.interactions import Floats, Interactions, Ints, Pairs
from core.recommender.options import SOURCES
from core.recommender.sources import FittedSources
from core.schema import EVENT_TYPES

PAST = {"purchase": "Bought", "cart": "Put in the cart", "favourite": "Saved", "share": "Shared", "click": "Clicked", "view": "Viewed"}
TOGETHER = {"purchase": "bought", "cart": "put in the cart", "favourite": "saved", "share": "shared", "click": "clicked", "view": "viewed"}
TASTE_SHARE = 0.02
"""A kind of item that makes up less of a history is no reason."""


@dataclass(frozen=True)
class Reason:
    """A sentence, its code and the item that it names (None when it names none)."""

    text: str
    code: str
    item: str | None = None


def explain(known: Interactions, fitted: FittedSources, shown: Candidates, popular_days: float) -> list[Reason]:
    """Give each shown pair (n) its strongest reason that has evidence.

    Order: what the user did with the item itself, then the source that ranks the pair best among those with evidence.
    """
    width = max(known.shape[1], 1)
    keys = shown.user * width + shown.item
    bought_at = _places(known.bought, width, keys)
    touched_at = _places(fitted.interest, width, keys)
    acts = _strongest_acts(known, shown)
    partner, strength = _partners(fitted, shown)
    alike, cosine = _alike(fitted, shown)
    ranks = {name: np.where(np.isinf(shown.scores[:, place]), np.inf, rank_within_any(shown, place)) for place, name in enumerate(SOURCES)}
    taste, kind = fitted.tastes[0]
    share = _shares(taste, kind, shown)
    kinds = known.titles if kind is known.title else known.categories
    reasons = []
    for n, item in enumerate(shown.item.tolist()):
        if bought_at[n] >= 0:
            count, last = int(known.bought.count[bought_at[n]]), known.bought.last_days[bought_at[n]]
            reasons.append(Reason(f"{PAST[known.target]} {_times(count)}, last {_ago(last)}.", "again"))
            continue
        if touched_at[n] >= 0 and acts[n]:
            last = fitted.interest.last_days[touched_at[n]]
            reasons.append(Reason(f"{PAST[acts[n]]}, last {_ago(last)}, and not yet {TOGETHER[known.target]}.", f"open_{acts[n]}"))
            continue
        options: list[tuple[float, int, Reason]] = []
        if strength[n] > 0:
            name = _name(known, int(partner[n]))
            best = min(ranks["item_knn"][n], ranks["ease"][n], ranks["factors"][n])
            options.append((best, 0, Reason(f"Often {TOGETHER[known.target]} with {name}.", "together", known.item_ids[partner[n]])))
        if cosine[n] > 0:
            name = _name(known, int(alike[n]))
            options.append((ranks["content"][n], 1, Reason(f"Similar to {name}.", "similar", known.item_ids[alike[n]])))
        if share[n] >= TASTE_SHARE:
            options.append((ranks["category"][n], 2, Reason(f"Popular in {kinds[kind[item]]}, a frequent choice of this shopper.", "kind")))
        takers = int(fitted.recent_buyers[item])
        if takers:
            shoppers = "1 shopper" if takers == 1 else f"{takers} shoppers"
            text = f"Popular in the last {popular_days:g} days: {TOGETHER[known.target]} by {shoppers}."
            options.append((ranks["popularity"][n], 3, Reason(text, "popular")))
        elif fitted.buyers[item]:
            options.append((np.inf, 4, Reason("Popular over the whole history of the log.", "popular_ever")))
        else:
            options.append((np.inf, 5, Reason("In the catalogue, and still without any history.", "catalogue")))
        reasons.append(min(options, key=lambda option: option[:2])[2])
    return reasons


def _shares(taste: sp.csr_matrix, kind: npt.NDArray[np.int32], shown: Candidates) -> Floats:
    """Share of the kind of each shown item in its user's history (n,), 0 without a kind."""
    codes = kind[shown.item]
    found = np.zeros(len(codes), np.float32)
    has = np.flatnonzero(codes >= 0)
    if len(has) and taste.shape[1]:
        users, row = np.unique(shown.user[has], return_inverse=True)
        known = SparseBlock.of(sp.csr_matrix(taste[users]))
        found[has] = np.maximum(known.at(row.astype(np.int64), codes[has].astype(np.int64)), 0)
    return found


def rank_within_any(shown: Candidates, place: int) -> Ints:
    """Rank of each shown pair by one source within its user's list; the list itself may be in any order."""
    order = np.lexsort((shown.item, shown.user))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = rank_within(shown.user[order], shown.scores[order, place])
    return ranks


def _places(pairs: Pairs, width: int, keys: Ints) -> Ints:
    held = pairs.user * width + pairs.item
    found = lookup(held, np.arange(len(held), dtype=np.float64), keys)
    return np.where(np.isinf(found), -1, found).astype(np.int64)


def _strongest_acts(known: Interactions, shown: Candidates) -> list[str]:
    """The strongest act of each shown pair short of the target, empty when there is none."""
    width = max(known.shape[1], 1)
    keys = known.user * width + known.item
    wanted = np.isin(keys, shown.user * width + shown.item)
    best: dict[int, int] = {}
    for key, act in zip(keys[wanted].tolist(), known.act[wanted].tolist(), strict=True):
        if EVENT_TYPES[act] in PAST and EVENT_TYPES[act] != known.target:
            best[key] = max(best.get(key, -1), act)
    return [EVENT_TYPES[best[key]] if key in best else "" for key in (shown.user * width + shown.item).tolist()]


def _partners(fitted: FittedSources, shown: Candidates) -> tuple[Ints, np.ndarray]:
    """The item of the user's history that speaks most for each shown item, and how much; 0 when none does."""
    towards = fitted.neighbours.towards[shown.item]  # row n: which items point at the shown one
    evidence = towards.multiply(fitted.neighbours.history[shown.user]).tocsr()
    evidence.sort_indices()
    row = np.repeat(np.arange(evidence.shape[0]), np.diff(evidence.indptr))
    order = np.lexsort((evidence.indices, -evidence.data, row))
    first = order[np.flatnonzero(np.r_[True, np.diff(row[order]) > 0])] if len(order) else order
    partner, strength = np.zeros(len(shown.user), np.int64), np.zeros(len(shown.user))
    partner[row[first]], strength[row[first]] = evidence.indices[first], evidence.data[first]
    return partner, strength


def _alike(fitted: FittedSources, shown: Candidates) -> tuple[Ints, np.ndarray]:
    """The liked item whose text is nearest to each shown item, and its cosine; -1 when there is none."""
    alike, cosine = np.zeros(len(shown.user), np.int64), np.full(len(shown.user), -1.0)
    content = fitted.sources.get("content")
    if not isinstance(content, Content):
        return alike, cosine
    item, starts = fitted.most_liked
    for n, (user, target) in enumerate(zip(shown.user.tolist(), shown.item.tolist(), strict=True)):
        mine = item[starts[user] : starts[user + 1]]
        mine = mine[mine != target]
        if len(mine):
            values = content.cosine(mine, np.full(len(mine), target))
            best = int(np.argmax(values))
            alike[n], cosine[n] = mine[best], values[best]
    return alike, cosine


def _name(known: Interactions, item: int) -> str:
    code = int(known.title[item])
    return known.titles[code] if code >= 0 else known.item_ids[item]


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def _ago(days: float) -> str:
    whole = int(days)
    return "today" if whole == 0 else "yesterday" if whole == 1 else f"{whole} days ago"
