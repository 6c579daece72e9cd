"""Networks over the acts themselves: a 1-D convolution, a GRU, a transformer; the state of the history joins the counted features.

B rows of a batch, L acts, W width, F scaled inputs of a user. Each member starts anew and stops early on its own held-out users.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.messages import say
from core.predictor.acts import BUCKETS, Acts
from core.predictor.matrix import Directions, Floats, Indices, Matrix, Scaling, Singles, fit_directions, fit_scaling, user_folds
from core.predictor.network import logit_loss
from core.predictor.options import HistoryOptions
from core.schema import EVENT_TYPES, Progress, silent

KINDS = ("cnn", "gru", "transformer")
ID_DIM = 8
CHUNK_ROWS = 1024
ATTRIBUTION_STEPS = 8
HISTORY = "order of acts"
"""The name that reasons give what the acts say."""


class HistoryNetwork(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """Acts → a state; state and counted features → a logit."""

    def __init__(self, kind: str, text: int, inputs: int, length: int, options: HistoryOptions) -> None:
        super().__init__()
        width = options.width
        self.kind = kind
        self.of_kind = nn.Embedding(len(EVENT_TYPES) + 1, 8, padding_idx=0)
        self.of_id = nn.Embedding(BUCKETS, ID_DIM, padding_idx=0)
        self.enter = nn.Linear(8 + ID_DIM + text + 3, width)
        self.dropout = nn.Dropout(options.dropout)
        if kind == "cnn":
            self.filters = nn.ModuleList(
                nn.Conv1d(width, width, options.kernel, padding=options.kernel // 2) for _ in range(options.layers)
            )
        elif kind == "gru":
            self.recurrent = nn.GRU(width, width, batch_first=True)
        else:
            self.place = nn.Parameter(torch.randn(length, width) * 0.02)
            layer = nn.TransformerEncoderLayer(
                width, options.heads, 2 * width, options.dropout, activation="gelu", batch_first=True, norm_first=True
            )
            self.attend = nn.TransformerEncoder(layer, options.layers, enable_nested_tensor=False)
        self.counts = nn.Linear(inputs, width)
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Dropout(options.dropout), nn.Linear(width, 1))

    def states(self, acts: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """State of each history (B, W); zero without acts."""
        kind, bucket, numbers, text = acts
        there = (kind > 0).unsqueeze(-1).to(numbers.dtype)  # (B, L, 1)
        x = torch.cat([self.of_kind(kind), self.of_id(bucket), numbers, text], dim=-1)  # (B, L, 8 + ID + 3 + D)
        x = self.dropout(nn.functional.silu(self.enter(x))) * there  # (B, L, W)
        if self.kind == "gru":
            x = self.recurrent(x)[0]  # (B, L, W); padding stands in front, so that the last place has read everything
            return x[:, -1] * there.amax(dim=1)  # (B, W)
        if self.kind == "cnn":
            for layer in self.filters:
                x = x + nn.functional.silu(layer(x.transpose(1, 2)).transpose(1, 2)) * there  # (B, L, W)
        else:
            hidden = kind == 0
            hidden = hidden & ~hidden.all(dim=1, keepdim=True)  # attention over nothing is not a number
            x = self.attend(x + self.place, src_key_padding_mask=hidden) * there  # (B, L, W)
        mean = x.sum(dim=1) / there.sum(dim=1).clamp(min=1)  # (B, W)
        return 0.5 * (mean + x[:, -1])

    def forward(self, acts: tuple[Tensor, Tensor, Tensor, Tensor], counts: Tensor) -> Tensor:
        """Logits (B,)."""
        return self.decide(self.states(acts), counts)

    def decide(self, states: Tensor, counts: Tensor) -> Tensor:
        """Logits (B,) of states (B, W) and scaled inputs (B, F)."""
        known = self.dropout(nn.functional.silu(self.counts(counts)))  # (B, W)
        return self.head(torch.cat([states, known], dim=1)).squeeze(-1)  # (B,)


@dataclass(frozen=True)
class FittedHistory:
    """The ensemble with the scales of its inputs."""

    kind: str
    modules: list[HistoryNetwork]
    scaling: Scaling
    text: Directions | None
    """Principal directions of item texts."""
    curves: list[dict[str, Any]]
    best_epochs: list[int]
    rows: int
    """Learned from."""
    options: HistoryOptions
    length: int
    """Acts that are read."""

    def member_logits(self, matrix: Matrix) -> Floats:
        """Logits of each member (K, N)."""
        counts = torch.from_numpy(self.scaling.apply(matrix))
        return np.stack([_logits(module, _acts_of(matrix), self.text, counts) for module in self.modules])

    def logits(self, matrix: Matrix) -> Floats:
        """Mean logit (N,)."""
        return np.asarray(self.member_logits(matrix).mean(axis=0))

    def contributions(self, matrix: Matrix) -> tuple[list[str], Floats]:
        """Integrated gradients from the mean user without acts, summed by named feature; all acts together are one of them."""
        inputs, names = torch.from_numpy(self.scaling.apply(matrix)), [*self.scaling.names(), HISTORY]
        groups = sorted(set(names))
        member = np.zeros((len(names), len(groups)), dtype=np.float32)
        member[np.arange(len(names)), [groups.index(name) for name in names]] = 1.0
        acts, total = _acts_of(matrix), np.zeros((len(inputs), len(groups)))
        for module in self.modules:
            for start in range(0, len(inputs), CHUNK_ROWS):
                rows = np.arange(start, min(start + CHUNK_ROWS, len(inputs)))
                with torch.no_grad():
                    states = module.states(_tensors(acts, self.text, rows))
                counts = inputs[rows]
                moved = [torch.zeros_like(counts), torch.zeros_like(states)]
                for step in range(ATTRIBUTION_STEPS):
                    share = (step + 0.5) / ATTRIBUTION_STEPS
                    point, state = (counts * share).requires_grad_(True), (states * share).requires_grad_(True)
                    found = torch.autograd.grad(module.decide(state, point).sum(), [point, state])
                    moved = [a + b for a, b in zip(moved, found, strict=True)]
                shares = [(counts * moved[0] / ATTRIBUTION_STEPS).numpy(), (states * moved[1]).sum(dim=1, keepdim=True).numpy()]
                shares[1] = shares[1] / ATTRIBUTION_STEPS
                total[rows] += np.concatenate(shares, axis=1) @ member / len(self.modules)
        return groups, total

    def card(self) -> dict[str, Any]:
        """Size and stopping, for the model card."""
        return {
            "kind": self.kind,
            "members": len(self.modules),
            "acts": int(self.modules[0].place.shape[0]) if self.kind == "transformer" else None,
            "rows": self.rows,
            "parameters": sum(p.numel() for module in self.modules for p in module.parameters()),
            "best_epochs": self.best_epochs,
        }


def fit_history(
    kind: str, matrix: Matrix, labels: Floats, options: HistoryOptions, rng: np.random.Generator, progress: Progress = silent
) -> FittedHistory:
    """Train the ensemble of one kind; member k learns from all users but fold k and keeps the weights that are best on fold k.

    Args:
        kind: One of KINDS.
        matrix: Stacked training rows with acts (N, F); at most `options.max_rows` of them are used, whole users at a time.
        labels: 0/1 (N,).
        options: Size and training.
        rng: Source of chance.
        progress: Told after each epoch.
    """
    if len(labels) > options.max_rows:
        users = sorted(set(matrix.user_ids))
        most = max(1, int(len(users) * options.max_rows / len(labels)))
        chosen = set(rng.choice(np.asarray(users, dtype=object), most, replace=False).tolist())
        kept = np.array([user in chosen for user in matrix.user_ids], dtype=bool)
        matrix, labels = matrix.rows(kept), labels[kept]
    scaling, acts = fit_scaling(matrix, options.item_dim), _acts_of(matrix)
    text = _text_directions(acts, options.item_dim)
    counts, truth = torch.from_numpy(scaling.apply(matrix)), torch.from_numpy(labels.astype(np.float32))
    folds = user_folds(matrix.user_ids, max(options.members, 4), rng)
    modules, curves, best_epochs = [], [], []
    for member in range(options.members):
        torch.manual_seed(int(rng.integers(2**31)))
        module = HistoryNetwork(kind, text.width if text is not None else 0, counts.shape[1], acts.kind.shape[1], options)
        rate = float(np.clip(labels.mean(), 1e-4, 1 - 1e-4))
        nn.init.constant_(module.head[-1].bias, float(np.log(rate / (1 - rate))))
        optimizer = torch.optim.AdamW(module.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
        learned, held = np.flatnonzero(folds != member), np.flatnonzero(folds == member)
        kept_state, least, best = {k: v.clone() for k, v in module.state_dict().items()}, float("inf"), 0
        for epoch in range(1, options.epochs + 1):
            module.train()
            order, total = rng.permutation(learned), 0.0
            for start in range(0, len(order), options.batch_size):
                rows = order[start : start + options.batch_size]
                loss = logit_loss(module(_tensors(acts, text, rows), counts[rows]), truth[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(module.parameters(), 1.0)
                optimizer.step()
                total += float(loss.detach()) * len(rows)
            judged = torch.from_numpy(_logits(module, acts.rows(held), text, counts[held]))
            validation = float(logit_loss(judged, truth[held].double()))
            curves.append({"member": member, "epoch": epoch, "train": total / len(order), "validation": validation})
            if validation < least - 1e-5:
                kept_state, least, best = {k: v.clone() for k, v in module.state_dict().items()}, validation, epoch
            done = (member + epoch / options.epochs) / options.members
            progress(done, say("{kind}, member {member}, epoch {epoch}", kind=kind, member=member + 1, epoch=epoch))
            if epoch - best >= options.patience:
                break
        module.load_state_dict(kept_state)
        modules.append(module.eval())
        best_epochs.append(best)
    return FittedHistory(kind, modules, scaling, text, curves, best_epochs, len(labels), options, acts.kind.shape[1])


def _acts_of(matrix: Matrix) -> Acts:
    assert matrix.acts is not None, "a network over the history needs acts"
    return matrix.acts


def _text_directions(acts: Acts, dim: int) -> Directions | None:
    if not acts.vectors.shape[1]:
        return None
    found = fit_directions(Matrix([""] * len(acts.vectors), [], np.zeros((len(acts.vectors), 0)), acts.vectors), dim)
    return found.get("text profile")


def _tensors(acts: Acts, text: Directions | None, rows: Indices) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Kind (B, L), bucket (B, L), numbers (B, L, 3) and item texts along their directions (B, L, D) of some rows."""
    item = acts.item[rows]
    if text is None:
        directed: Singles = np.zeros((*item.shape, 0), np.float32)
    else:
        used, back = np.unique(item, return_inverse=True)
        vectors = acts.vectors[used]
        there = np.any(vectors != 0, axis=1, keepdims=True)
        directed = (((vectors - text.mean) @ text.axes) * there).astype(np.float32)[back].reshape(*item.shape, -1)
    return (
        torch.from_numpy(acts.kind[rows].astype(np.int64)),
        torch.from_numpy(acts.bucket[item].astype(np.int64)),
        torch.from_numpy(acts.numbers[rows]),
        torch.from_numpy(directed),
    )


def _logits(module: HistoryNetwork, acts: Acts, text: Directions | None, counts: Tensor) -> Floats:
    module.eval()
    parts = []
    with torch.no_grad():
        for start in range(0, len(counts), CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, len(counts)))
            parts.append(module(_tensors(acts, text, rows), counts[rows]).double().numpy())
    return np.concatenate(parts) if parts else np.zeros(0)
