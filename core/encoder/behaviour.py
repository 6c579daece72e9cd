"""The behaviour transformer: causal attention over a user's acts, with the segments before as memory.

Segments and memory after Dai et al. 2019, Transformer-XL (arXiv:1901.02860); a bias for each distance after Raffel et al.
2020 (arXiv:1910.10683) in place of its sinusoids.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.encoder.histories import KINDS

PRICE_LEVELS = 12
"""Ten deciles, unknown, and masked."""
UNKNOWN_PRICE, MASKED_PRICE = 10, 11
GAP_BUCKETS = 20
"""Doublings from one second to six days and more."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; all that is needed to build it again."""

    text_dim: int
    """Values of an item's text vector; 0 without texts."""
    frequent: int
    """Items with a vector of their own."""
    width: int = 64
    layers: int = 2
    heads: int = 4
    segment: int = 64
    """Events read at once."""
    dropout: float = 0.1
    memory: int = 1
    """Segments before that each layer keeps."""

    @property
    def reach(self) -> int:
        """Newest acts that can change a vector: a layer looks back over its memory, each one below it as far again."""
        return (self.layers * self.memory + 1) * self.segment


@dataclass(frozen=True)
class Acts:
    """A block of B users × S acts, padded on the left."""

    item: Tensor
    """Row among the block's distinct items (B, S)."""
    masked: Tensor
    """Whether the item is hidden (B, S), bool."""
    kind: Tensor
    price: Tensor
    """Level (B, S)."""
    gap: Tensor
    """Bucket (B, S)."""
    numbers: Tensor
    """log gap, log dwell, dwell known, 1 / position (B, S, 4)."""
    is_there: Tensor
    """False for padding (B, S)."""


@dataclass(frozen=True)
class Memory:
    """What stands before a segment: M acts of B users."""

    layers: list[Tensor]
    """What each layer read of them (B, M, width)."""
    is_there: Tensor
    """False for padding (B, M)."""


class Behaviour(nn.Module):  # type: ignore[misc]  # torch is read without types
    """Reads acts, gives one hidden state for each; its heads foresee the next act."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.text = nn.Linear(shape.text_dim, width, bias=False) if shape.text_dim else None
        self.own = nn.Embedding(shape.frequent + 1, width, padding_idx=0)
        self.hidden_item = nn.Parameter(torch.zeros(width))
        self.no_item = nn.Parameter(torch.zeros(width))
        self.kind = nn.Embedding(len(KINDS), width)
        self.price = nn.Embedding(PRICE_LEVELS, width)
        self.gap = nn.Embedding(GAP_BUCKETS, width)
        self.numbers = nn.Linear(4, width)
        self.start = nn.LayerNorm(width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.end = nn.LayerNorm(width)
        self.next_item = nn.Linear(width, width)
        self.same_item = nn.Linear(width, width)
        self.next_kind = nn.Linear(width, len(KINDS))
        self.next_gap = nn.Linear(width, GAP_BUCKETS)
        self.sharpness = nn.Parameter(torch.tensor(2.5))
        for module in (self.own, self.kind, self.price, self.gap):
            nn.init.normal_(module.weight, std=0.05)

    def items(self, text: Tensor | None, own: Tensor) -> Tensor:
        """Vectors of K items: their text's, and for frequent ones their own added (K, width)."""
        vectors: Tensor = self.own(own)
        return vectors if self.text is None or text is None else vectors + self.text(text)

    def forward(self, acts: Acts, items: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
        """Run one segment.

        Args:
            acts: The segment.
            items: Vectors of its distinct items (K, width); row K stands for no item and is added here.
            memory: From the segment before; None at the first.

        Returns:
            Hidden states (B, S, width), and the memory for the next segment.
        """
        known = torch.cat([items, self.no_item[None]])
        shown = torch.where(acts.masked[..., None], self.hidden_item, known[acts.item])
        x = self.start(shown + self.kind(acts.kind) + self.price(acts.price) + self.gap(acts.gap) + self.numbers(acts.numbers))
        size = acts.item.shape[1]
        before = 0 if memory is None else memory.is_there.shape[1]
        there = acts.is_there if memory is None else torch.cat([memory.is_there, acts.is_there], dim=1)  # (B, M + S)
        query, key = torch.arange(before, before + size, device=x.device), torch.arange(before + size, device=x.device)
        distance = query[:, None] - key[None, :]  # (S, M + S)
        seen = (distance >= 0)[None] & there[:, None, :] | (distance == 0)[None]  # padding sees itself, so that no row is empty
        kept, most = [], self.shape.memory * self.shape.segment
        for place, layer in enumerate(self.layers):
            former = None if memory is None else memory.layers[place]
            kept.append((x if former is None else torch.cat([former, x], dim=1))[:, -most:].detach())
            x = layer(x, former, distance.clamp(min=0), seen)
        return self.end(x), Memory(kept, there[:, -most:])


class _Layer(nn.Module):  # type: ignore[misc]  # torch is read without types
    """Attention and a feed-forward part, both normed before (Xiong et al. 2020, arXiv:2002.04745)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads, self.dropout = shape.heads, shape.dropout
        self.norm, self.norm_after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.pair, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.distance = nn.Embedding((shape.memory + 1) * shape.segment, shape.heads)
        self.forth, self.back = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.distance.weight)

    def forward(self, x: Tensor, memory: Tensor | None, distance: Tensor, seen: Tensor) -> Tensor:
        batch, size, width = x.shape
        normed = self.norm(x)
        context = normed if memory is None else torch.cat([self.norm(memory), normed], dim=1)  # (B, M + S, width)

        def split(part: Tensor) -> Tensor:
            return part.reshape(batch, -1, self.heads, width // self.heads).transpose(1, 2)  # (B, heads, ·, width / heads)

        key, value = self.pair(context).chunk(2, dim=-1)
        bias = self.distance(distance).permute(2, 0, 1)[None]  # (1, heads, S, M + S)
        mask = torch.where(seen[:, None], bias, float("-inf"))  # (B, heads, S, M + S)
        mixed = nn.functional.scaled_dot_product_attention(split(self.query(normed)), split(key), split(value), mask)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, size, width))
        forth = self.back(nn.functional.gelu(self.forth(self.norm_after(x))))
        return x + nn.functional.dropout(forth, self.dropout, self.training)
