"""One network over all user × category pairs: own counts, what the shopper is like, what the category is about, and how both meet.

U users, C categories, B users of a batch, P inputs of a pair, S inputs of a user, D values of a category's text vector, H hidden.
The logit of a pair is the sum of a per-category linear model of the pair's own counts (as logistic regression for each category,
but pulled towards common slopes), a low-rank product of shopper and category (as factor models do, from profiles instead of ids,
so that it also speaks for shoppers and categories that never met), and a small network that sees all of them together.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from core.messages import say
from core.predictor.grid import Grid
from core.predictor.matrix import Floats, Scaling, Singles, fit_scaling, squash, stack, user_folds
from core.predictor.options import PooledOptions
from core.schema import Progress, silent

BATCH_USERS = 48
CHUNK_USERS = 512
BASKETS = ("days_bought", "days_bought_28d")
"""Columns of a pair whose row over all categories a user enters with."""
LONG_AGO = 400.0
"""Days that stand for never."""


class Pooled(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """The network of one member."""

    def __init__(self, pair: int, user: int, rates: Tensor, about: Tensor | None, options: PooledOptions) -> None:
        super().__init__()
        width, hidden, categories = options.category_dim, options.hidden, len(rates)
        self.register_buffer("about", about)
        self.people = nn.Sequential(nn.Linear(user, 2 * hidden), nn.SiLU(), nn.Dropout(options.dropout), nn.Linear(2 * hidden, hidden))
        self.category = nn.Parameter(torch.randn(categories, width) * 0.1)
        self.describe = nn.Linear(about.shape[1], width, bias=False) if about is not None else None
        self.slope, self.own_slope = nn.Parameter(torch.zeros(pair)), nn.Parameter(torch.zeros(categories, pair))
        self.bias = nn.Parameter(torch.log(rates / (1 - rates)))
        self.taste = nn.Linear(hidden, width)
        self.of_pair, self.of_user = nn.Linear(pair, hidden), nn.Linear(hidden, hidden, bias=False)
        self.of_category = nn.Linear(width, hidden, bias=False)
        self.meet = nn.Sequential(nn.SiLU(), nn.Dropout(options.dropout / 2), nn.Linear(hidden, hidden // 2), nn.SiLU())
        self.out = nn.Linear(hidden // 2, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, pair: Tensor, user: Tensor) -> Tensor:
        """Logits (B, C) of inputs (B, C, P) and (B, S)."""
        person = self.people(user)  # (B, H)
        category = self.category if self.describe is None else self.category + self.describe(self.about)  # (C, W)
        linear = pair @ self.slope + (pair * self.own_slope).sum(dim=-1) + self.bias  # (B, C)
        together = self.of_pair(pair) + self.of_user(person)[:, None] + self.of_category(category)  # (B, C, H)
        return linear + self.taste(person) @ category.T + self.out(self.meet(together)).squeeze(-1)  # (B, C)

    def only(self, place: int) -> "Pooled":
        """The same network for one category."""
        one: Pooled = copy.deepcopy(self)
        for name in ("category", "own_slope", "bias"):
            setattr(one, name, nn.Parameter(getattr(self, name)[place : place + 1].detach()))
        if self.about is not None:
            one.about = self.about[place : place + 1]
        one.eval()
        return one


@dataclass(frozen=True)
class FittedPooled:
    """The ensemble with the scales of its inputs."""

    modules: list[Pooled]
    scaling: Scaling
    """Of users."""
    columns: list[str]
    """Pair inputs, in order."""
    mean: Floats
    std: Floats
    curves: list[dict[str, Any]]
    best_epochs: list[int]

    def member_logits(self, grid: Grid) -> Floats:
        """Logits of each member (K, R)."""
        pair, user = pair_inputs(grid, self.columns, self.mean, self.std), user_inputs(grid, self.scaling)
        return np.stack([_logits(module, pair, user).reshape(-1) for module in self.modules])

    def logits(self, grid: Grid) -> Floats:
        """Mean logit (R,)."""
        return np.asarray(self.member_logits(grid).mean(axis=0))

    def of_category(self, place: int, pair: Grid, baskets: Singles) -> Floats:
        """Mean logit (N,) of pairs of one category.

        Args:
            place: Of the category.
            pair: A grid of that category alone, one row for each pair (N,).
            baskets: The rows of all categories that user_inputs would read of the pairs' users (N, 2 C).
        """
        known = np.concatenate([self.scaling.apply(pair.people), baskets], axis=1).astype(np.float32)
        inputs, user = pair_inputs(pair, self.columns, self.mean, self.std), torch.from_numpy(known)
        return np.asarray(np.mean([_logits(module.only(place), inputs, user)[:, 0] for module in self.modules], axis=0))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Weights and scales, to be saved."""
        found: dict[str, npt.NDArray[Any]] = {"pair_mean": self.mean, "pair_std": self.std}
        for place, module in enumerate(self.modules):
            found |= {f"{place}.{name}": value.detach().numpy() for name, value in module.state_dict().items()}
        return found

    def card(self) -> dict[str, Any]:
        """Size and stopping, for the model card."""
        return {
            "kind": "pooled",
            "members": len(self.modules),
            "inputs": len(self.columns) + int(self.modules[0].people[0].in_features),
            "parameters": sum(p.numel() for module in self.modules for p in module.parameters()),
            "best_epochs": self.best_epochs,
        }


def fit_pooled(
    grids: list[tuple[Grid, Floats]], options: PooledOptions, rng: np.random.Generator, progress: Progress = silent
) -> FittedPooled:
    """Train the ensemble; each member stops on users of its own held-out fold.

    Args:
        grids: Of each training cutoff, with labels (R,).
        options: Size and training.
        rng: Source of chance.
        progress: Told after each epoch.
    """
    first = grids[0][0]
    columns = [name for name in first.columns if name in first.pair_columns and name != "category"]
    width = len(first.categories)
    raw = np.concatenate([_raw(grid, columns) for grid, _ in grids])
    mean, std = raw.mean(axis=(0, 1)), raw.std(axis=(0, 1))
    del raw
    std = np.where(std > 1e-6, std, 1.0)
    scaling = fit_scaling(stack([grid.people for grid, _ in grids]), options.block_dim)
    pair = torch.cat([pair_inputs(grid, columns, mean, std) for grid, _ in grids])
    user = torch.cat([user_inputs(grid, scaling) for grid, _ in grids])
    truth = torch.from_numpy(np.concatenate([labels.reshape(-1, width) for _, labels in grids]).astype(np.float32))
    folds = user_folds([name for grid, _ in grids for name in grid.user_ids], max(options.members, 5), rng)
    newest = grids[-1][0].about
    about = None if newest is None else torch.from_numpy(newest)
    modules, curves, best_epochs = [], [], []
    for member in range(options.members):
        torch.manual_seed(int(rng.integers(2**31)))
        learned, held = (torch.from_numpy(np.flatnonzero(part)) for part in (folds != member, folds == member))
        rates = (truth[learned].sum(dim=0) + 0.5) / (len(learned) + 1)
        module = Pooled(len(columns), user.shape[1], rates, about, options)
        optimizer = _optimizer(module, options)
        kept, least, best = {k: v.clone() for k, v in module.state_dict().items()}, float("inf"), 0
        for epoch in range(1, options.epochs + 1):
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * (1 - (epoch - 1) / options.epochs)
            module.train()
            order, total = learned[torch.from_numpy(rng.permutation(len(learned)))], 0.0
            for start in range(0, len(order), BATCH_USERS):
                rows = order[start : start + BATCH_USERS]
                loss = nn.functional.binary_cross_entropy_with_logits(module(pair[rows], user[rows]), truth[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(rows)
            judged = torch.from_numpy(_logits(module, pair[held], user[held]))
            validation = float(nn.functional.binary_cross_entropy_with_logits(judged, truth[held].double()))
            curves.append({"member": member, "epoch": epoch, "train": total / len(learned), "validation": validation})
            if validation < least - 1e-5:
                kept, least, best = {k: v.clone() for k, v in module.state_dict().items()}, validation, epoch
            done = (member + epoch / options.epochs) / options.members
            progress(done, say("categories, network {member}, epoch {epoch}", member=member + 1, epoch=epoch))
            if epoch - best >= options.patience:
                break
        module.load_state_dict(kept)
        modules.append(module.eval())
        best_epochs.append(best)
    return FittedPooled(modules, scaling, columns, mean, std, curves, best_epochs)


def _raw(grid: Grid, columns: list[str]) -> Floats:
    values = grid.values[:, [grid.columns.index(name) for name in columns]].astype(np.float64)
    return squash(np.nan_to_num(values, nan=LONG_AGO)).reshape(len(grid.user_ids), len(grid.categories), -1)


def pair_inputs(grid: Grid, columns: list[str], mean: Floats, std: Floats) -> Tensor:
    """Scaled own counts of each pair (U, C, P); what never happened counts as LONG_AGO."""
    return torch.from_numpy(np.clip((_raw(grid, columns) - mean) / std, -6, 6).astype(np.float32))


def user_inputs(grid: Grid, scaling: Scaling) -> Tensor:
    """What is known of each user (U, S): scaled counts, directions of profiles, and the row of all categories bought, then and lately."""
    shape = len(grid.user_ids), len(grid.categories)
    baskets = [np.log1p(np.nan_to_num(grid.column(name).reshape(shape))) for name in BASKETS]
    found: Singles = np.concatenate([scaling.apply(grid.people), *baskets], axis=1).astype(np.float32)
    return torch.from_numpy(found)


def _optimizer(module: Pooled, options: PooledOptions) -> torch.optim.Optimizer:
    """Slopes of single categories are pulled hard towards the common ones; biases are free."""
    free = [module.bias, module.slope, *(p for name, p in module.named_parameters() if name.endswith(".bias"))]
    taken = {id(p) for p in (*free, module.own_slope)}
    groups = [
        {"params": [p for p in module.parameters() if id(p) not in taken], "weight_decay": options.weight_decay},
        {"params": [module.own_slope], "weight_decay": 10 * options.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate)


def _logits(module: Pooled, pair: Tensor, user: Tensor) -> Floats:
    module.eval()
    with torch.no_grad():
        parts = [module(pair[s : s + CHUNK_USERS], user[s : s + CHUNK_USERS]).double().numpy() for s in range(0, len(user), CHUNK_USERS)]
    return np.concatenate(parts) if parts else np.zeros((0, len(module.bias)))
