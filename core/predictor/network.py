"""An ensemble of small neural networks, trained side by side as one batched product.

K members, B rows, F inputs, H hidden, T tasks. Each member has its own start, batch order and held-out fold of users, on which
it stops early; the ensemble's answer is the mean logit. One that learns several tasks has one head for each on a shared body
(Caruana, 1997); it stops by the asked one, and the heads of the others are taken off when it has learned.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.messages import say
from core.metrics import auc
from core.predictor.matrix import Floats, Indices, Matrix, Scaling, Singles, fit_scaling, user_folds
from core.predictor.options import NetworkOptions
from core.schema import Progress, silent

MAX_STEPS = 800
CHUNK_ROWS = 16_384
ATTRIBUTION_STEPS = 16
RARE_ROWS = 20
"""Fewest rows with, and without, its act for a task to be learned beside the asked one."""


class Members(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """K independent multilayer perceptrons as one module."""

    def __init__(
        self, members: int, inputs: int, hidden: tuple[int, ...], dropout: float, generator: torch.Generator, heads: int = 1
    ) -> None:
        super().__init__()
        widths = [inputs, *hidden, heads]
        self.weights = nn.ParameterList(
            [
                nn.Parameter(torch.randn(members, a, b, generator=generator) * (2.0 / a) ** 0.5 * (0.1 if at == len(hidden) else 1.0))
                for at, (a, b) in enumerate(pairwise(widths))
            ]
        )
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(members, 1, b)) for b in widths[1:]])
        self.dropout = dropout

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits of inputs (K, B, F), which are (K, B) with one head and else (K, B, T); units are dropped when a generator is given."""
        last = len(self.weights) - 1
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)  # (K, B, H)
            if place < last:
                x = torch.nn.functional.silu(x)
                if generator is not None and self.dropout:
                    keep = torch.rand(x.shape, generator=generator) >= self.dropout
                    x = x * keep / (1 - self.dropout)
        return x.squeeze(-1)

    def keep_first_head(self) -> None:
        """Take off all heads but the first."""
        self.weights[-1] = nn.Parameter(self.weights[-1].detach()[:, :, :1].clone())
        self.biases[-1] = nn.Parameter(self.biases[-1].detach()[:, :, :1].clone())


def logit_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy with logits, mean over the last axis; its gradient in a logit is (propensity - label) / B."""
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(dim=-1)


@dataclass(frozen=True)
class FittedNetwork:
    """The ensemble with its scaling."""

    scaling: Scaling
    module: Members
    curves: list[dict[str, Any]]
    """member, epoch, train, validation."""
    best_epochs: list[int]
    tasks: tuple[dict[str, Any], ...] = ()
    """Of each task learned beside the asked one: its place among those given, positives, and AUC on rows of held-out users."""

    def member_logits(self, matrix: Matrix) -> Floats:
        """Logits of each member (K, N)."""
        return _logits(self.module, self.scaling.apply(matrix))

    def logits(self, matrix: Matrix) -> Floats:
        """Mean logit (N,)."""
        return np.asarray(self.member_logits(matrix).mean(axis=0))

    def contributions(self, matrix: Matrix) -> tuple[list[str], Floats]:
        """Integrated gradients (Sundararajan et al., 2017) from the mean user, summed by named feature.

        Returns:
            Names (G,) and contributions in log-odds (N, G); a row sums to its logit minus the logit of the mean user.
        """
        inputs = self.scaling.apply(matrix)
        names = self.scaling.names()
        groups = sorted(set(names))
        member = np.zeros((len(names), len(groups)), dtype=np.float32)
        member[np.arange(len(names)), [groups.index(name) for name in names]] = 1.0
        parts = []
        members = self.module.weights[0].shape[0]
        for start in range(0, len(inputs), CHUNK_ROWS):
            x = torch.from_numpy(inputs[start : start + CHUNK_ROWS])
            total = torch.zeros_like(x)
            for step in range(ATTRIBUTION_STEPS):
                point = (x * ((step + 0.5) / ATTRIBUTION_STEPS)).requires_grad_(True)
                self.module(point.expand(members, *point.shape)).mean(dim=0).sum().backward()
                assert point.grad is not None
                total += point.grad
            parts.append((total * x / ATTRIBUTION_STEPS).numpy() @ member)
        self.module.zero_grad(set_to_none=True)
        return groups, np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, len(groups)))

    def card(self) -> dict[str, Any]:
        """Size and stopping, for the model card."""
        return {
            "kind": "mlp",
            "members": int(self.module.weights[0].shape[0]),
            "inputs": int(self.module.weights[0].shape[1]),
            "parameters": sum(p.numel() for p in self.module.parameters()),
            "best_epochs": self.best_epochs,
            "directions": {name: found.width for name, found in self.scaling.directions.items()},
        } | ({"tasks": len(self.tasks)} if self.tasks else {})


def fit_network(
    matrix: Matrix,
    labels: Floats,
    options: NetworkOptions,
    rng: np.random.Generator,
    progress: Progress = silent,
    tasks: Floats | None = None,
) -> FittedNetwork:
    """Train the ensemble; member k learns from all users but fold k and keeps the weights that are best on fold k.

    Args:
        matrix: Stacked training rows (N, F).
        labels: 0/1 (N,).
        options: Size and training.
        rng: Source of chance.
        progress: Told after each epoch; a CancelledError that it raises is let through.
        tasks: 0/1 labels of further tasks (N, T), which weigh together as much as the asked one; those too rare, or nearly always
            1, are left out.
    """
    scaling = fit_scaling(matrix, options.block_dim)
    beside = _learnable(tasks) if tasks is not None else np.zeros(0, dtype=np.int64)
    every = labels[:, None] if tasks is None else np.column_stack([labels, tasks[:, beside]])  # (N, 1 + T)
    inputs = torch.from_numpy(scaling.apply(matrix))
    truth = torch.from_numpy(every.astype(np.float32).squeeze(1) if every.shape[1] == 1 else every.astype(np.float32))
    folds = user_folds(matrix.user_ids, max(options.members, 3), rng)
    learned = [np.flatnonzero(folds != k) for k in range(options.members)]
    judged = [np.flatnonzero(folds == k) for k in range(options.members)]
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    module = Members(options.members, inputs.shape[1], options.hidden, options.dropout, generator, every.shape[1])
    rates = np.clip(every.mean(axis=0), 1e-4, 1 - 1e-4)
    with torch.no_grad():
        module.biases[-1].copy_(torch.from_numpy(np.log(rates / (1 - rates)).astype(np.float32)))
    optimizer = _optimizer(module, options)
    rows = min(len(part) for part in learned)
    batch = max(options.batch_size, -(-rows // MAX_STEPS))
    best_loss = np.full(options.members, np.inf)
    best_epoch = np.zeros(options.members, dtype=int)
    best = [p.detach().clone() for p in module.parameters()]
    curves: list[dict[str, Any]] = []
    for epoch in range(1, options.epochs + 1):
        order = torch.from_numpy(np.stack([rng.permutation(part)[:rows] for part in learned]))  # (K, rows)
        seen = np.zeros(options.members)
        for start in range(0, rows, batch):
            chosen = order[:, start : start + batch]  # (K, B)
            losses, others = _task_losses(module(inputs[chosen], generator), truth[chosen])  # (K,), (K,)
            optimizer.zero_grad(set_to_none=True)
            (losses + others).sum().backward()
            optimizer.step()
            seen += losses.detach().numpy() * chosen.shape[1]
        held = _held_losses(module, inputs, truth, judged)
        curves += [
            {"member": k, "epoch": epoch, "train": float(seen[k] / rows), "validation": float(held[k])} for k in range(options.members)
        ]
        with torch.no_grad():
            for k in np.flatnonzero(held < best_loss - 1e-5).tolist():
                best_loss[k], best_epoch[k] = held[k], epoch
                for kept, current in zip(best, module.parameters(), strict=True):
                    kept[k] = current[k]
        progress(epoch / options.epochs, say("network, epoch {epoch}: held-out loss {loss}", epoch=epoch, loss=f"{held.mean():.4f}"))
        if (epoch - best_epoch >= options.patience).all():
            break
    with torch.no_grad():
        for current, kept in zip(module.parameters(), best, strict=True):
            current.copy_(kept)
    told = _told_tasks(module, inputs, every, judged, beside)
    if len(beside):
        module.keep_first_head()
    return FittedNetwork(scaling, module.eval(), curves, best_epoch.tolist(), told)


def _learnable(tasks: Floats) -> Indices:
    """Places of the tasks with enough rows of either kind."""
    with_it = tasks.sum(axis=0)
    return np.flatnonzero(np.minimum(with_it, len(tasks) - with_it) >= RARE_ROWS)


def _task_losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | float]:
    """Loss of the asked task, and the mean loss of the others, for each member (K,); logits (K, B) or (K, B, T)."""
    if logits.dim() == 2:
        return logit_loss(logits, labels), 0.0
    losses = logit_loss(logits.transpose(1, 2), labels.transpose(1, 2))  # (K, T)
    return losses[:, 0], losses[:, 1:].mean(dim=1)


def _told_tasks(module: Members, inputs: Tensor, every: Floats, judged: list[Indices], beside: Indices) -> tuple[dict[str, Any], ...]:
    """What each further head is worth on users that its member never learned from."""
    if not len(beside):
        return ()
    with torch.no_grad():
        held = np.concatenate([module(inputs[rows].expand(len(judged), -1, -1))[k].numpy() for k, rows in enumerate(judged)])
    truth = np.concatenate([every[rows] for rows in judged])
    return tuple(
        {"place": int(place), "positives": int(every[:, at].sum()), "auc": auc(truth[:, at], held[:, at].astype(np.float64))}
        for at, place in enumerate(beside.tolist(), start=1)
    )


def _optimizer(module: Members, options: NetworkOptions) -> torch.optim.Optimizer:
    decayed = [{"params": list(module.weights), "weight_decay": options.weight_decay}, {"params": list(module.biases), "weight_decay": 0.0}]
    if options.optimizer == "sgd":
        return torch.optim.SGD(decayed, lr=options.learning_rate * 20, momentum=0.9)
    kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
    return kind(decayed, lr=options.learning_rate)


def _held_losses(module: Members, inputs: Tensor, truth: Tensor, judged: list[Indices]) -> Floats:
    rows = max(len(part) for part in judged)
    chosen = torch.from_numpy(np.stack([np.resize(part, rows) for part in judged]))  # (K, rows); short folds repeat a few rows
    total = np.zeros(len(judged))
    with torch.no_grad():
        for start in range(0, rows, CHUNK_ROWS):
            part = chosen[:, start : start + CHUNK_ROWS]
            total += _task_losses(module(inputs[part]), truth[part])[0].numpy() * part.shape[1]
    return np.asarray(total / rows)


def _logits(module: Members, inputs: Singles) -> Floats:
    members = module.weights[0].shape[0]
    parts = []
    with torch.no_grad():
        for start in range(0, len(inputs), CHUNK_ROWS):
            x = torch.from_numpy(inputs[start : start + CHUNK_ROWS])
            parts.append(module(x.expand(members, *x.shape)).numpy().astype(np.float64))
    return np.concatenate(parts, axis=1) if parts else np.zeros((members, 0))
