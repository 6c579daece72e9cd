"""How good a list is: full ranking at a cutoff, users with at least one relevant item in the label window.

Grounds: `all` items; `new` items, which the user had no target act on before. Bands by target acts before the cutoff:
cold 0, warm 1-4, hot 5 and more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from core.metrics import Estimate, mean_estimate, ndcg_at_k, recall_at_k
from core.recommender.blend import Values
from core.recommender.blocks import Ints
from core.recommender.candidates import Candidates, rank_within
from core.recommender.interactions import Interactions, Labels

DEPTH = 20
"""Longest list that a measure looks at."""
GROUNDS = ("all", "new")
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
    found: dict[str, int] = field(default_factory=lambda: {"all": 0, "new": 0})

    def add(self, candidates: Candidates, values: Mapping[str, Values]) -> None:
        """Keep the first DEPTH items of each user by each source's order values (n,)."""
        keys = candidates.user * max(self.known.shape[1], 1) + candidates.item
        hit = np.isin(keys, self.label_keys())
        self.found["all"] += int(hit.sum())
        self.found["new"] += int((hit & ~candidates.again).sum())
        for ground in GROUNDS:
            chosen = np.arange(len(keys)) if ground == "all" else np.flatnonzero(~candidates.again)
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
        users = np.array(sorted({u for shown in self.lists.values() for u in shown}), np.int64)
        mine = np.isin(self.labels.user, users)
        totals = {"all": int(mine.sum()), "new": int((mine & self.labels.is_new).sum())}
        return {ground: self.found[ground] / totals[ground] for ground in GROUNDS if totals[ground]}

    def table(self) -> pa.Table:
        """Measure every source (METRICS), sorted by source, ground, band, measure."""
        counts = np.bincount(self.known.bought.user, weights=self.known.bought.count, minlength=self.known.shape[0])
        band = np.where(counts == 0, "cold", np.where(counts < HOT, "warm", "hot"))
        takers = np.bincount(self.known.bought.item, minlength=self.known.shape[1])
        surprise = -np.log2((takers + 1) / (self.known.shape[0] + 1))
        rows = []
        for source, ground in sorted(self.lists):
            relevant, lists, users = self._pairs(source, ground)
            if not relevant:
                continue
            numbers = [[int(item) for item in shown] for shown in lists]
            per_user = {
                "ndcg@10": ndcg_at_k(relevant, lists, 10),
                "recall@20": recall_at_k(relevant, lists, DEPTH),
                "novelty@20": np.array([surprise[shown].mean() if shown else np.nan for shown in numbers]),
            }
            distinct = len({item for shown in numbers for item in shown})
            rows.append(_row(source, ground, "all", "coverage@20",
                             Estimate(distinct / max(self.known.shape[1], 1), float("nan"), float("nan"), len(users))))  # fmt: skip
            for name in BANDS:
                inside = np.ones(len(users), bool) if name == "all" else band[users] == name
                for measure, figures in per_user.items():
                    sample = figures[inside]
                    if len(sample):
                        rows.append(_row(source, ground, name, measure, mean_estimate(sample[~np.isnan(sample)])))
        rows.sort(key=lambda row: (row["source"], row["ground"], row["band"], row["measure"]))
        return pa.Table.from_pylist(rows, METRICS)

    def _pairs(self, source: str, ground: str) -> tuple[list[set[str]], list[list[str]], Ints]:
        shown = self.lists.get((source, ground), {})
        everyone = {u for lists in self.lists.values() for u in lists}
        chosen = self.labels.is_new if ground == "new" else np.ones(len(self.labels.user), bool)
        truth: dict[int, set[str]] = {}
        for user, item, item_id in zip(
            self.labels.user[chosen].tolist(), self.labels.item[chosen].tolist(),
            [self.labels.item_id[place] for place in np.flatnonzero(chosen)], strict=True):  # fmt: skip
            truth.setdefault(user, set()).add(str(item) if item >= 0 else f"outside {item_id}")
        users = sorted(u for u in truth if u in everyone)
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
