"""The models that compete, under one shape, and their blend."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from core.predictor.baselines import fit_boosting, fit_logistic
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
    """The mean logit of several models."""

    parts: dict[str, Model]

    def member_logits(self, matrix: Matrix) -> Floats:
        """Logits of all members of all parts (K, N), centred on the blend: every part weighs the same."""
        return np.concatenate([part.member_logits(matrix) for part in self.parts.values()])

    def logits(self, matrix: Matrix) -> Floats:
        """Mean of the parts' logits (N,)."""
        return np.asarray(np.mean([part.logits(matrix) for part in self.parts.values()], axis=0))

    def contributions(self, matrix: Matrix) -> tuple[list[str], Floats]:
        """Mean of the parts' contributions by feature."""
        found = [part.contributions(matrix) for part in self.parts.values()]
        names = sorted({name for part_names, _ in found for name in part_names})
        place = {name: i for i, name in enumerate(names)}
        total = np.zeros((len(matrix.user_ids), len(names)))
        for part_names, shares in found:
            for column, name in enumerate(part_names):
                total[:, place[name]] += shares[:, column] / len(found)
        return names, total

    def card(self) -> dict[str, Any]:
        """Names of the parts."""
        return {"kind": "mean", "parts": list(self.parts)}


BLENDED = ("mlp", "lightgbm")
"""Parts of `mean`; logistic regression would only pull it towards its own, weaker ranking."""

Fit = Callable[[Matrix, Floats, PropensityOptions, np.random.Generator, Progress], Model]


def _mlp(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_network(matrix, labels, options.network, rng, progress)


def _mlp_counts(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_network(matrix.without_text(), labels, options.network, rng, progress)


def _lightgbm(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_boosting(matrix.without_text(), labels, options.boosting, rng, progress=progress)


def _lightgbm_text(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_boosting(matrix, labels, options.boosting, rng, text_dim=options.network.text_dim, progress=progress)


def _logistic(matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress) -> Model:
    return fit_logistic(matrix.without_text(), labels)


FITS: dict[str, Fit] = {
    "mlp": _mlp,
    "mlp_counts": _mlp_counts,
    "lightgbm": _lightgbm,
    "lightgbm_text": _lightgbm_text,
    "logistic": _logistic,
}
"""`mlp` sees counts and text (where there is text), `mlp_counts` counts alone; `lightgbm` counts, `lightgbm_text` both."""


def fit_models(
    names: list[str], matrix: Matrix, labels: Floats, options: PropensityOptions, rng: np.random.Generator, progress: Progress
) -> dict[str, Model]:
    """Fit the named models on the same rows; `mean` is put together from BLENDED."""
    single = [name for name in FITS if name in names or ("mean" in names and name in BLENDED)]
    seeds = dict(zip(FITS, rng.integers(2**31, size=len(FITS)).tolist(), strict=True))  # a model's chance does not depend on its rivals
    fitted: dict[str, Model] = {}
    for place, name in enumerate(single):

        def step(share: float, message: str, place: int = place) -> None:
            progress((place + share) / len(single), message)

        fitted[name] = FITS[name](matrix, labels, options, np.random.default_rng(seeds[name]), step)
    if "mean" in names:
        fitted["mean"] = Blend({name: fitted[name] for name in BLENDED})
    return {name: fitted[name] for name in [*single, "mean"] if name in names}
