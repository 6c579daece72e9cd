"""Histories as blocks of acts that a network reads: users of like length together, segment after segment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from core.encoder.behaviour import GAP_BUCKETS, MASKED_PRICE, UNKNOWN_PRICE, Acts, Behaviour
from core.encoder.histories import Histories
from core.encoder.items import ItemVectors

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

TOKENS = 4096
"""Places for acts that a batch holds at once, padding among them."""
PADDING = 0.1
"""Of a batch's places, the share that may be empty because its users differ in length; without any, a small log has only tiny batches."""


@dataclass(frozen=True)
class Block:
    """One segment of some users."""

    acts: Acts
    items: Ints
    """Catalogue rows of the block's distinct items (K,)."""
    current: Tensor
    """Catalogue row of each act's item (B, S), -1 for none."""
    following: Tensor
    """The same of the act after it."""
    kind: Tensor
    """Kind of the act after it (B, S), -1 where there is none."""
    gap: Tensor
    """Bucket of the time until it (B, S)."""


class Source:
    """Turns histories into blocks for a network."""

    def __init__(
        self, histories: Histories, items: ItemVectors, network: Behaviour, frequent: list[str], price_edges: Floats, device: str
    ) -> None:
        self.histories, self.device = histories, device
        rows = {item: place for place, item in enumerate(frequent, 1)}
        self.own = torch.tensor([rows.get(item, 0) for item in items.item_ids], dtype=torch.long, device=self.device)
        self.text = None
        if network.shape.text_dim:
            texts = np.vstack([items.vectors, np.zeros((1, items.vectors.shape[1]), np.float32)])
            self.text, self.text_row = (
                torch.from_numpy(texts).to(self.device),
                torch.from_numpy(items.index.astype(np.int64)).to(self.device),
            )
        self.network = network
        h = histories
        price = np.searchsorted(price_edges, h.price, side="right")
        self.columns = {
            "item": h.item.astype(np.int64),
            "kind": h.kind.astype(np.int64),
            "price": np.where(np.isnan(h.price), UNKNOWN_PRICE, price).astype(np.int64),
            "gap": np.minimum(np.log2(1 + h.gap), GAP_BUCKETS - 1).astype(np.int64),
        }
        known = ~np.isnan(h.dwell)
        self.numbers = np.stack(
            [
                np.log1p(h.gap) / 10,
                np.log1p(np.where(known, np.maximum(h.dwell, 0), 0)) / 5,
                known.astype(np.float32),
                np.where(np.isnan(h.position), 0, 1 / np.maximum(np.nan_to_num(h.position, nan=1.0), 1)),
            ],
            axis=1,
        ).astype(np.float32)
        counts = np.bincount(h.item[h.item >= 0], minlength=max(1, len(items.item_ids)))
        self.log_share = torch.from_numpy(np.log((counts + 1) / (counts.sum() + len(counts))).astype(np.float32)).to(self.device)

    def vectors(self, rows: Ints) -> Tensor:
        """Vectors of catalogue rows (K, width)."""
        places = torch.from_numpy(rows).to(self.device)
        text = self.text[self.text_row[places]] if self.text is not None else None
        vectors: Tensor = self.network.items(text, self.own[places])
        return vectors

    def segments(self, users: Ints, pieces: int, width: int, masked: float, generator: torch.Generator | None) -> Iterator[Block]:
        """Yield the newest `pieces` · `width` acts of some users, `width` at a time, so that all end with the last segment."""
        starts, lengths = self.histories.starts[users], self.histories.lengths[users]
        kept = np.minimum(lengths, pieces * width)
        ends = starts + lengths
        for piece in range(pieces):
            place = np.arange(piece * width, (piece + 1) * width) - pieces * width  # -(pieces * width) … -1
            at = ends[:, None] + place[None, :]  # (B, S)
            there = place[None, :] >= -kept[:, None]
            has_next = there & (place[None, :] < -1)
            here, after = np.where(there, at, 0), np.where(has_next, at + 1, 0)
            item = np.where(there, self.columns["item"][here], -1)
            distinct = np.unique(item[item >= 0])
            local = np.where(item >= 0, np.searchsorted(distinct, np.maximum(item, 0)), len(distinct))
            hide = np.zeros(item.shape, bool)
            if masked and generator is not None:
                hide = (torch.rand(item.shape, generator=generator).numpy() < masked) & (item >= 0)
            price = np.where(hide, MASKED_PRICE, self.columns["price"][here])
            acts = Acts(
                item=self._tensor(local),
                masked=self._tensor(hide),
                kind=self._tensor(self.columns["kind"][here]),
                price=self._tensor(price),
                gap=self._tensor(self.columns["gap"][here]),
                numbers=self._tensor(self.numbers[here] * there[..., None].astype(np.float32)),
                is_there=self._tensor(there),
            )
            following = np.where(has_next, self.columns["item"][after], -1)
            kind = np.where(has_next, self.columns["kind"][after], -1)
            yield Block(
                acts, distinct, *(self._tensor(x) for x in (item, following, kind, np.where(has_next, self.columns["gap"][after], 0)))
            )

    def _tensor(self, values: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)


def batches_of(lengths: Ints, segment: int, least: int) -> list[tuple[Ints, int, int]]:
    """Group users of like length into (users, segments, acts in a segment), longest first.

    A group is sized by its longest history: what is read of it at once stays within TOKENS places (but one user), and at most PADDING
    of its places are there because others in it are longer.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] >= least].astype(np.int64)
    sizes = [_size(int(length), segment) for length in lengths[order]]
    own = np.concatenate([[0], np.cumsum([pieces * width for pieces, width in sizes])])
    batches: list[tuple[Ints, int, int]] = []
    at = 0
    while at < len(order):
        pieces, width = sizes[at]
        counts = np.arange(1, min(max(1, TOKENS // width), len(order) - at) + 1)
        fits = own[at + counts] - own[at] >= (1 - PADDING) * counts * pieces * width
        users = int(counts[fits].max())  # one user alone always fits
        batches.append((order[at : at + users], pieces, width))
        at += users
    return batches


def _size(length: int, segment: int) -> tuple[int, int]:
    """Segments of a history, and acts in a segment."""
    width = min(segment, _rounded(length))
    return -(-length // width), width


def _rounded(length: int) -> int:
    return max(4, -(-length // 4) * 4)


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Let torch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
