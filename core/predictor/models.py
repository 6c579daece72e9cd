"""The models that compete, under one shape, and their blend."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import numpy as np

from core.errors import GateError
from core.predictor.baselines import fit_boosting, fit_logistic
from core.predictor.bgnbd import COLUMNS as BGNBD_COLUMNS
from core.predictor.bgnbd import fit_bgnbd
from core.predictor.history_networks import fit_history
from core.predictor.matrix import Floats, Matrix
from core.predictor.network import fit_network
from core.predictor.options import PropensityOptions
from core.schema import Progress


class Model(Protocol):
    """Anything fitted that gives logits and says what they are made of."""

    def member_logits(self, matrix: Matrix) -> Floats: ...
    def logits(self, matrix: Matrix) -> Floats: ...
    def contributions(self, matrix: Matrix) -> tuple[list[str], Floats]: ...
    def card(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Blend:
    """The weighted mean logit of several models."""

    parts: dict[str, Model]
    weights: tuple[float, ...] = ()
    """Of the parts, in their order; none for equal ones."""

    @property
    def shares(self) -> Floats:
        """Of each part in the mean; they sum to 1."""
        weights = np.array(self.weights or [1.0] * len(self.parts))
        return np.asarray(weights / weights.sum())

    def member_logits(self, matrix: Matrix) -> Floats:
        """Logits of all members of all parts (K, N)."""
        return np.concatenate([part.member_logits(matrix) for part in self.parts.values()])

    def logits(self, matrix: Matrix) -> Floats:
        """Mean of the parts' logits (N,)."""
        return np.asarray(self.shares @ np.stack([part.logits(matrix) for part in self.parts.values()]))

    def contributions(self, matrix: Matrix) -> tuple[list[str], Floats]:
        """Mean of the parts' contributions by feature."""
        found = [part.contributions(matrix) for part in self.parts.values()]
        names = sorted({name for part_names, _ in found for name in part_names})
        place = {name: i for i, name in enumerate(names)}
        total = np.zeros((len(matrix.user_ids), len(names)))
        for (part_names, contributed), share in zip(found, self.shares.tolist(), strict=True):
            for column, name in enumerate(part_names):
                total[:, place[name]] += share * contributed[:, column]
        return names, total

    def card(self) -> dict[str, Any]:
        """Names of the parts."""
        return {"kind": "mean", "parts": list(self.parts), "shares": self.shares.tolist()}


BLENDS: dict[str, dict[str, float]] = {
    "mean": {"mlp": 1, "lightgbm": 1},
    "ensemble": {"mlp": 2, "lightgbm": 2, "logistic": 1},
    "ensemble_orders": {"mlp": 2, "lightgbm": 2, "logistic": 1, "bgnbd": 1},
    "mean_sequence": {"mlp_sequence": 1, "lightgbm_sequence": 1},
}
"""Parts of each mean and their weights. Logistic regression ranks worse than the others and is steadier where the level of a log jumps;
with half of their weight it costs nothing on steady logs. BG/NBD knows orders alone and errs in other ways than the rest: on logs of
purchases it is worth a sixth, on others it only hurts (docs/decisions/0021)."""

TASKS = "mlp_tasks"
"""The network that learns further tasks beside the asked one."""
Fit = Callable[[Matrix, Floats, PropensityOptions, np.random.Generator, Progress], Model]


def _mlp(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_network(matrix.without_further(), labels, options.network, rng, progress)


def _mlp_sequence(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_network(matrix, labels, options.network, rng, progress)


def _mlp_counts(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_network(matrix.counts_alone(), labels, options.network, rng, progress)


def _lightgbm(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_boosting(matrix.counts_alone(), labels, options.boosting, rng, progress=progress)


def _lightgbm_text(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    block_dim = options.network.block_dim
    return fit_boosting(matrix.without_further(), labels, options.boosting, rng, block_dim=block_dim, progress=progress)


def _lightgbm_sequence(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    without_text = Matrix(matrix.user_ids, matrix.columns, matrix.values, None, matrix.further)
    return fit_boosting(without_text, labels, options.boosting, rng, block_dim=options.network.block_dim, progress=progress)


def _logistic(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_logistic(matrix.counts_alone(), labels)


def _bgnbd(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_bgnbd(matrix, options.horizon / timedelta(days=1), rng)


def _over_acts(kind: str) -> Fit:
    def fit(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
        return fit_history(kind, matrix.without_further(), labels, options.history, rng, progress)

    return fit


FITS: dict[str, Fit] = {
    "mlp": _mlp,
    "mlp_counts": _mlp_counts,
    "lightgbm": _lightgbm,
    "lightgbm_text": _lightgbm_text,
    "logistic": _logistic,
    "mlp_sequence": _mlp_sequence,
    "lightgbm_sequence": _lightgbm_sequence,
    "bgnbd": _bgnbd,
    "cnn": _over_acts("cnn"),
    "gru": _over_acts("gru"),
    "transformer": _over_acts("transformer"),
}
"""`mlp` sees counts and text (where there is text), `mlp_counts` counts alone, `mlp_sequence` all there is; `lightgbm` counts,
`lightgbm_text` counts and text, `lightgbm_sequence` counts and the further blocks; `bgnbd` orders and their recency; `cnn`, `gru` and
`transformer` read the acts one by one, beside counts and text."""
EXTRA = ("cnn", "gru", "transformer", "lightgbm_text", TASKS)
"""Models that compete when somebody asks; those that read acts cost some minutes each."""
OVER_ACTS = ("cnn", "gru", "transformer")
BASELINES = ("lightgbm", "logistic", "bgnbd")
"""Models without a network, text or order of acts."""
SEQUENCE_MODELS = {"mlp_sequence": "mlp", "lightgbm_sequence": "lightgbm", "mean_sequence": "mean"}
"""Models that see the further blocks of the profile, and the same without them; `sequence` was the first of those, and runs on disk
know the models by these names."""


def contenders(matrix: Matrix, options: PropensityOptions) -> list[str]:
    """Name the models that compete on these rows: those that always do, and those asked for that the rows can feed.

    Raises:
        GateError: A model was asked for that does not exist.
    """
    if unknown := [name for name in options.models if name not in EXTRA]:
        raise GateError("There is no model {model!r}; there are: {models}.", model=unknown[0], models=", ".join(EXTRA))
    names = ["mlp", "lightgbm", "logistic", "mean", "ensemble"]
    if matrix.text is not None:
        names.insert(1, "mlp_counts")
    if matrix.further:
        names += SEQUENCE_MODELS
    if options.purchase_only and options.act == "purchase" and options.category is None and set(BGNBD_COLUMNS) <= set(matrix.columns):
        names += ["bgnbd", "ensemble_orders"]
    return names + [name for name in options.models if name not in missing_models(matrix, options)]


def missing_models(matrix: Matrix, options: PropensityOptions) -> list[str]:
    """Models asked for that the rows cannot feed: no acts to read, or no texts."""
    lacks = {"lightgbm_text": matrix.text is None} | dict.fromkeys(OVER_ACTS, matrix.acts is None)
    return [name for name in options.models if lacks.get(name, False)]


def fit_models(
    names: list[str],
    matrix: Matrix,
    labels: Floats,
    options: PropensityOptions,
    rng: np.random.Generator,
    progress: Progress,
    spent: dict[str, float] | None = None,
    tasks: Floats | None = None,
) -> dict[str, Model]:
    """Fit the named models on the same rows; means are put together from BLENDS. CPU seconds of each go into `spent`.

    `tasks` (N, T) are labels of the further tasks that TASKS learns; without any it learns what `mlp` learns.
    """
    blends = {name: parts for name, parts in BLENDS.items() if name in names}
    single = [name for name in (*FITS, TASKS) if name in names or any(name in parts for parts in blends.values())]
    seeds = dict(zip(FITS, rng.integers(2**31, size=len(FITS)).tolist(), strict=True))  # a model's chance does not depend on its rivals
    seeds[TASKS] = seeds["mlp"]  # the same start and folds: what differs is what the tasks teach
    fitted: dict[str, Model] = {}
    for place, name in enumerate(single):

        def step(share: float, message: str, place: int = place) -> None:
            progress((place + share) / len(single), message)

        began = time.process_time()
        chance = np.random.default_rng(seeds[name])
        if name == TASKS:
            fitted[name] = fit_network(matrix.without_further(), labels, options.network, chance, step, tasks)
        else:
            fitted[name] = FITS[name](matrix, labels, options, chance, step)
        if spent is not None:
            spent[name] = round(time.process_time() - began, 2)
    for name, parts in blends.items():
        fitted[name] = Blend({part: fitted[part] for part in parts}, tuple(parts.values()))
        if spent is not None:
            spent[name] = round(sum(spent[part] for part in parts), 2)
    return {name: fitted[name] for name in [*single, *blends] if name in names}
