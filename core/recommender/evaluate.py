"""How good a list is: full ranking at a cutoff, users with at least one relevant item in the label window.

Grounds: `all` items; `new` items, which the user had no target act on before; `fresh` items, which nobody had. Bands by target
acts of the user before the cutoff: cold 0, warm 1-4, hot 5 and more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from core.metrics import Estimate, mean_estimate, ndcg_at_k, recall_at_k
from core.recommender.blend import Values
from core.recommender.blocks import Bools, Ints, rank_within
from core.recommender.candidates import Candidates
from core.recommender.interactions import Interactions, Labels
from core.recommender.measures import diversity, gini, hit_at_k, map_at_k, mrr_at_k, plan_trial

DEPTH = 20
"""Longest list that a measure looks at."""
GROUNDS = ("all", "new", "fresh")
BANDS = ("all", "cold", "warm", "hot")
HOT = 5

METRICS = pa.schema([
    ("source", pa.string()), ("ground", pa.string()), ("band", pa.string()), ("measure", pa.string()),
    ("value", pa.float64()), ("low", pa.float64()), ("high", pa.float64()), ("n", pa.int64()),
])  # fmt: skip


@dataclass
class Judge:
    """Collects lists by source and ground, block by block, and measures them at the end."""

    known: Interactions
    labels: Labels
    lists: dict[tuple[str, str], dict[int, list[int]]] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GROUNDS, 0))
    judged: set[int] = field(default_factory=set)
    """Users that were added, whether or not a source had anything for them."""
    _measured: dict[tuple[str, str], tuple[Ints, dict[str, Values]]] = field(default_factory=dict)

    def add(self, candidates: Candidates, values: Mapping[str, Values]) -> None:
        """Keep the first DEPTH items of each user by each source's order values (n,)."""
        keys = candidates.user * max(self.known.shape[1], 1) + candidates.item
        hit = np.isin(keys, self.label_keys())
        self.found["all"] += int(hit.sum())
        self.found["new"] += int((hit & ~candidates.again).sum())
        on_ground = {"all": np.ones(len(keys), bool), "new": ~candidates.again, "fresh": self._is_fresh[candidates.item]}
        self.found["fresh"] += int((hit & on_ground["fresh"]).sum())
        self.judged.update(np.unique(candidates.user).tolist())
        for ground in GROUNDS:
            chosen = np.flatnonzero(on_ground[ground])
            for source, value in values.items():
                shown = self.lists.setdefault((source, ground), {})
                for user, items in top_items(candidates.user[chosen], candidates.item[chosen], value[chosen], DEPTH):
                    shown[user] = items

    def label_keys(self) -> Ints:
        """Pairs of the label window within the catalogue."""
        inside = self.labels.item >= 0
        return self.labels.user[inside] * max(self.known.shape[1], 1) + self.labels.item[inside]

    def candidate_recall(self) -> dict[str, float]:
        """Share of the labels of the added users that were among the candidates: the ceiling of every recall."""
        mine = np.isin(self.labels.user, np.array(sorted(self.judged), np.int64))
        totals = {ground: int((mine & self._relevant(ground)).sum()) for ground in GROUNDS}
        return {ground: self.found[ground] / totals[ground] for ground in GROUNDS if totals[ground]}

    def table(self) -> pa.Table:
        """Measure every source (METRICS), sorted by source, ground, band, measure."""
        counts = np.bincount(self.known.bought.user, weights=self.known.bought.count, minlength=self.known.shape[0])
        band = np.where(counts == 0, "cold", np.where(counts < HOT, "warm", "hot"))
        rows = []
        for source, ground in sorted(self.lists):
            users, per_user = self.per_user(source, ground)
            if not len(users):
                continue
            shown = self.lists[source, ground]
            exposure = np.bincount(np.array([i for u in users.tolist() for i in shown.get(u, [])], np.int64), minlength=self.known.shape[1])
            for measure, value in (("coverage@20", float((exposure > 0).mean())), ("gini@20", gini(exposure))):
                rows.append(_row(source, ground, "all", measure, Estimate(value, float("nan"), float("nan"), len(users))))
            for name in BANDS:
                inside = np.ones(len(users), bool) if name == "all" else band[users] == name
                for measure, figures in per_user.items():
                    sample = figures[inside]
                    sample = sample[~np.isnan(sample)]
                    if len(sample):
                        rows.append(_row(source, ground, name, measure, mean_estimate(sample)))
        rows.sort(key=lambda row: (row["source"], row["ground"], row["band"], row["measure"]))
        return pa.Table.from_pylist(rows, METRICS)

    def per_user(self, source: str, ground: str) -> tuple[Ints, dict[str, Values]]:
        """Users with something relevant on a ground, and each measure of each of them (U,); NaN where a measure says nothing."""
        if (source, ground) not in self._measured:
            relevant, lists, users = self._pairs(source, ground)
            numbers = [[int(item) for item in shown] for shown in lists]
            surprise = self._surprise
            figures: dict[str, Values] = {} if not relevant else {
                "ndcg@10": ndcg_at_k(relevant, lists, 10),
                "recall@20": recall_at_k(relevant, lists, DEPTH),
                "mrr@20": mrr_at_k(relevant, lists, DEPTH),
                "map@20": map_at_k(relevant, lists, DEPTH),
                "hit@10": hit_at_k(relevant, lists, 10),
                "novelty@20": np.array([surprise[shown].mean() if shown else np.nan for shown in numbers]),
                "diversity@20": np.array([diversity(self._kind[shown]) for shown in numbers]),
            }  # fmt: skip
            self._measured[source, ground] = users, figures
        return self._measured[source, ground]

    def compare(self, first: str, second: str, ground: str, measure: str) -> Estimate:
        """Mean difference of two sources over the same users (first minus second), with its paired 95 % interval."""
        ours, theirs = self.per_user(first, ground)[1], self.per_user(second, ground)[1]
        if measure not in ours or measure not in theirs:
            return Estimate(float("nan"), float("nan"), float("nan"), 0)
        difference = ours[measure] - theirs[measure]
        return mean_estimate(difference[~np.isnan(difference)])

    def comparisons(self, first: str) -> list[dict[str, object]]:
        """One source beside every other one, on each ground, in the measures that depend on the label window."""
        others = sorted({source for source, _ in self.lists} - {first})
        rows: list[dict[str, object]] = []
        for ground in GROUNDS:
            for other in others:
                for measure in ("ndcg@10", "recall@20", "mrr@20", "map@20", "hit@10"):
                    found = self.compare(first, other, ground, measure)
                    if found.n:
                        low, high = (None if np.isnan(edge) else float(edge) for edge in (found.low, found.high))
                        rows.append({"source": first, "other": other, "ground": ground, "measure": measure, "difference": found.value,
                                     "low": low, "high": high, "n": found.n})  # fmt: skip
        return rows

    def trial(self, source: str) -> list[dict[str, float]]:
        """Shoppers that a trial of two lists needs in each arm, from how often this source's first ten hold a hit (all items)."""
        figures = self.per_user(source, "all")[1] if (source, "all") in self.lists else {}
        return plan_trial(float(figures["hit@10"].mean())) if figures else []

    @cached_property
    def _surprise(self) -> Values:
        takers = np.bincount(self.known.bought.item, minlength=self.known.shape[1])
        return np.asarray(-np.log2((takers + 1) / (self.known.shape[0] + 1)))

    @cached_property
    def _kind(self) -> Ints:
        kind = self.known.category if (self.known.category >= 0).any() else self.known.title
        return kind.astype(np.int64)

    def _relevant(self, ground: str) -> Bools:
        """Which labels count on a ground (L,)."""
        if ground == "new":
            return self.labels.is_new
        if ground == "fresh":
            return (self.labels.item < 0) | self._is_fresh[np.maximum(self.labels.item, 0)]
        return np.ones(len(self.labels.user), bool)

    @cached_property
    def _is_fresh(self) -> Bools:
        """Items without any target act before the cutoff (I,); one false place for a catalogue without items."""
        if not self.known.shape[1]:
            return np.zeros(1, bool)
        return np.asarray(np.bincount(self.known.bought.item, minlength=self.known.shape[1]) == 0)

    def _pairs(self, source: str, ground: str) -> tuple[list[set[str]], list[list[str]], Ints]:
        shown = self.lists.get((source, ground), {})
        chosen = self._relevant(ground)
        truth: dict[int, set[str]] = {}
        for user, item, item_id in zip(
            self.labels.user[chosen].tolist(), self.labels.item[chosen].tolist(),
            [self.labels.item_id[place] for place in np.flatnonzero(chosen)], strict=True):  # fmt: skip
            truth.setdefault(user, set()).add(str(item) if item >= 0 else f"outside {item_id}")
        users = sorted(u for u in truth if u in self.judged)
        return [truth[u] for u in users], [[str(i) for i in shown.get(u, [])] for u in users], np.array(users, np.int64)


def top_items(user: Ints, item: Ints, values: Values, k: int) -> list[tuple[int, list[int]]]:
    """Each user's first `k` items by value, ties to the smaller item; candidates sorted by user, item."""
    if not len(user):
        return []
    rank = rank_within(user, values)
    keep = np.flatnonzero(rank < k)
    keep = keep[np.lexsort((rank[keep], user[keep]))]
    users, starts = np.unique(user[keep], return_index=True)
    parts = np.split(item[keep], starts[1:])
    return [(u, part.tolist()) for u, part in zip(users.tolist(), parts, strict=True)]


def empty_metrics() -> pa.Table:
    """METRICS without rows: nothing could be measured."""
    return METRICS.empty_table()


def _row(source: str, ground: str, band: str, measure: str, estimate: Estimate) -> dict[str, object]:
    low, high = (None if np.isnan(edge) else float(edge) for edge in (estimate.low, estimate.high))
    if not measure.startswith("novelty"):  # a normal interval of a share near 0 or 1 would reach past it
        low, high = (None if edge is None else min(max(edge, 0.0), 1.0) for edge in (low, high))
    return {"source": source, "ground": ground, "band": band, "measure": measure, "value": estimate.value, "low": low, "high": high,
            "n": estimate.n}  # fmt: skip
