"""How well a trained transformer foresees acts of shoppers it never learned from, beside always naming the most frequent ones.

A masked item is asked for from the acts before it and the rest of its own act (Devlin et al. 2019, BERT, arXiv:1810.04805, read
left to right); the next one from the acts before. Every item of the catalogue is ranked, none is sampled.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from core.encoder.acts import Ints, Source, batches_of, thread_limit
from core.encoder.behaviour import Behaviour
from core.encoder.histories import Histories
from core.metrics import bootstrap

FIRST = 10
"""An item is found when it stands among so many."""
MASKED = 0.15
MOST_ASKED = 4_000
"""Questions of a kind that are ranked; of more, every n-th."""
CHUNK = 256

Hits = npt.NDArray[np.bool_]


def judge_foresight(source: Source, held: npt.NDArray[np.bool_], seed: int = 0, threads: int = 1) -> dict[str, dict[str, Any]]:
    """Ask for items and kinds of held-out shoppers.

    Args:
        source: Histories as the network reads them.
        held: Users that it did not learn from (U,).
        seed: Of what is masked and of the intervals.
        threads: Of a processor.

    Returns:
        For `masked_item`, `next_item` (share found among the first FIRST of the catalogue) and `next_kind` (share foreseen): value with
        `low` and `high` (95 %, by resampling shoppers), `frequent` (the same share for always naming what the other shoppers did most),
        `n` questions and `users`. A question that nobody's history holds is left out.
    """
    network, histories = source.network, source.histories
    frequent_items, frequent_kind = _frequent(histories, ~held)
    lengths = np.where(held, histories.lengths, 0)
    generator = torch.Generator().manual_seed(seed)
    asked: dict[str, list[tuple[Ints, Tensor, Tensor]]] = {"masked_item": [], "next_item": [], "next_kind": []}
    with thread_limit(threads), torch.inference_mode():
        for users, pieces, width in batches_of(lengths, network.shape.segment, least=2):
            memory = None
            for block in source.segments(users, pieces, width, MASKED, generator):
                hidden, memory = network(block.acts, source.vectors(block.items), memory)
                for name, mask, states, wanted in (
                    ("masked_item", block.acts.masked, network.same_item, block.current),
                    ("next_item", block.following >= 0, network.next_item, block.following),
                    ("next_kind", block.kind >= 0, network.next_kind, block.kind),
                ):
                    rows = users[torch.nonzero(mask)[:, 0].cpu().numpy()]
                    if len(rows):
                        asked[name].append((rows, states(hidden[mask]), wanted[mask]))
        every = _catalogue(source)
        told = {}
        for name, parts in asked.items():
            if not parts:
                continue
            users = np.concatenate([part[0] for part in parts])
            states, wanted = torch.cat([part[1] for part in parts]), torch.cat([part[2] for part in parts])
            if name == "next_kind":
                hits = (states.argmax(1) == wanted).cpu().numpy()
                plain = wanted.cpu().numpy() == frequent_kind
            else:
                kept = torch.arange(0, len(wanted), max(1, -(-len(wanted) // MOST_ASKED)))
                users, states, wanted = users[kept.numpy()], states[kept], wanted[kept]
                hits = _found(network, states, wanted, every)
                plain = np.isin(wanted.cpu().numpy(), frequent_items)
            told[name] = _told(users, hits, plain, seed)
    return told


def _frequent(histories: Histories, learned: npt.NDArray[np.bool_]) -> tuple[Ints, int]:
    """The FIRST items, and the kind of act, that the shoppers who were learned from did most."""
    acts = np.repeat(learned, histories.lengths)
    items = histories.item[acts & (histories.item >= 0)]
    counts = np.bincount(items) if len(items) else np.zeros(1, np.int64)
    kinds = np.bincount(histories.kind[acts]) if acts.any() else np.zeros(1, np.int64)
    best = np.argsort(-counts, kind="stable")[:FIRST].astype(np.int64)
    return best[counts[best] > 0], int(kinds.argmax())


def _catalogue(source: Source) -> Tensor:
    """Vectors of all items, of length 1 (I, width)."""
    size = len(source.own)
    parts = [source.vectors(np.arange(start, min(start + 8192, size))) for start in range(0, size, 8192)]
    return nn.functional.normalize(torch.cat(parts), dim=-1) if parts else torch.zeros(0, source.network.shape.width)


def _found(network: Behaviour, states: Tensor, wanted: Tensor, every: Tensor) -> Hits:
    """Whether fewer than FIRST items stand above the wanted one; those that score the same count half as above it."""
    hits = []
    for start in range(0, len(wanted), CHUNK):
        scores = nn.functional.normalize(states[start : start + CHUNK], dim=-1) @ every.T
        own = scores.gather(1, wanted[start : start + CHUNK, None])
        above, same = (scores > own).sum(1), (scores == own).sum(1) - 1
        hits.append((above + same / 2 < FIRST).cpu().numpy())
    return np.concatenate(hits)


def _told(users: Ints, hits: Hits, plain: Hits, seed: int) -> dict[str, Any]:
    """Shares with an interval by resampling users."""
    _, row = np.unique(users, return_inverse=True)
    n = np.bincount(row)
    right = np.bincount(row, weights=hits)
    found = bootstrap(lambda rows: float(right[rows].sum() / n[rows].sum()), len(n), np.random.default_rng(seed))
    return {
        "value": float(hits.mean()),
        "low": found.low if len(n) > 1 else None,
        "high": found.high if len(n) > 1 else None,
        "frequent": float(plain.mean()),
        "n": len(hits),
        "users": len(n),
    }
