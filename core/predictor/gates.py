"""Gates that look at the features: nothing that varies, a column that knows the label, models that this log cannot feed."""

import re

import numpy as np

from core.errors import GateError
from core.messages import Message, say
from core.metrics import auc
from core.predictor.matrix import Floats, Matrix
from core.predictor.models import missing_models
from core.predictor.options import PropensityOptions

NAMED = 5
"""Features that a sentence names."""
FEW_VARY = 3
"""Counted features that vary, below which a sentence says so; a log of one kind of act has dozens of constant ones, which is right."""
TELLS_ALL = 0.995
"""AUC of one column alone above which it is taken to know the outcome; honest columns of grocery logs reach .87."""
FEWEST = 50
"""Of each class, below which one column may separate them by chance."""
LABEL_NAMES = re.compile(
    r"(^|_)(label|target|y|outcome|ground_truth|churn(ed)?|convert(ed)?|conversion|purchased|bought|will_\w+|next_\w+|future\w*|"
    r"is_buyer|buyer|response|responded)($|_)"
)
"""Names that say that a column holds what is to be foretold."""


def check_features(matrix: Matrix) -> None:
    """Refuse rows whose counted features and profiles are all constant.

    Raises:
        GateError: Nothing varies between shoppers.
    """
    if len(varying(matrix)) or any(np.ptp(block, axis=0).any() for block in matrix.learned().values() if len(block)):
        return
    raise GateError(
        "All {n} features are the same for every shopper, so nothing can be told apart; add events of other kinds, or a longer log.",
        n=len(matrix.columns),
    )


def varying(matrix: Matrix) -> list[str]:
    """Counted features that are not the same for everyone; empty in some rows counts as varying."""
    values = matrix.values
    empty = np.isnan(values)
    filled = np.where(empty, np.inf, values)
    low, high = filled.min(axis=0, initial=np.inf), np.where(empty, -np.inf, values).max(axis=0, initial=-np.inf)
    moves = (high > low) | (empty.any(axis=0) & ~empty.all(axis=0))
    return [name for name, kept in zip(matrix.columns, moves.tolist(), strict=True) if kept]


def doubts(matrix: Matrix, labels: Floats, options: PropensityOptions) -> tuple[Message, ...]:
    """Say when hardly any feature varies, which one knows the outcome all but alone, and which models were left out."""
    said: list[Message] = []
    steady = sorted(set(matrix.columns) - set(varying(matrix)))
    if len(matrix.columns) - len(steady) < FEW_VARY and not matrix.learned():
        said.append(
            say(
                "{n} of {all} features are the same for every shopper and say nothing: {names}.",
                n=len(steady),
                all=len(matrix.columns),
                names=_named(steady),
            )
        )
    if found := telltales(matrix, labels):
        said.append(
            say(
                "{feature} alone tells who acts (AUC {auc}): look whether it knows something of the label window.",
                feature=found[0][0],
                auc=f"{found[0][1]:.3f}",
            )
        )
    if left := missing_models(matrix, options):
        said.append(say("The log cannot feed these models, which were left out: {models}.", models=", ".join(left)))
    return tuple(said)


def telltales(matrix: Matrix, labels: Floats) -> list[tuple[str, float]]:
    """Columns that alone separate who acts from who does not, with their AUC (or one less it), strongest first."""
    if min(labels.sum(), (1 - labels).sum()) < FEWEST:
        return []
    found = []
    for place, name in enumerate(matrix.columns):
        column = matrix.values[:, place]
        area = auc(labels, np.where(np.isnan(column), -1e18, column))
        if max(area, 1 - area) >= TELLS_ALL:
            found.append((name, max(area, 1 - area)))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def is_named_like_a_label(name: str) -> bool:
    """Tell whether a column's name says that it holds the outcome."""
    return LABEL_NAMES.search(name.lower()) is not None


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
