"""Shopper attributes (age, region …) as features, only when somebody asks; columns that hold the outcome are refused.

Attributes carry no time: a column that was written after the fact would leak the label, so names and values are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from core.messages import Message, say
from core.metrics import auc
from core.predictor.gates import FEWEST, TELLS_ALL, is_named_like_a_label
from core.predictor.matrix import Floats, Matrix

MOST_VALUES = 12
"""Values of a column that get a feature of their own, most frequent first."""
FEWEST_USERS = 20
"""Shoppers below which a value is not told apart."""
NUMERIC_SHARE = 0.95
MOST_KINDS = 20
"""Distinct numbers up to which a column of numbers is taken for kinds."""


@dataclass(frozen=True)
class Attributes:
    """How the attributes of a log become columns."""

    columns: list[str]
    """Names of the features, `age = 35-44` for a value and `age` for a number."""
    of_column: list[str]
    """The attribute behind each."""
    values: dict[str, Floats]
    """By user (A,)."""
    said: tuple[Message, ...]

    def added_to(self, matrix: Matrix) -> Matrix:
        """The matrix with the attributes of its users; NaN for users that the table does not know."""
        if not self.columns:
            return matrix
        unknown = np.full(len(self.columns), np.nan)
        added = np.array([self.values.get(user, unknown) for user in matrix.user_ids]).reshape(len(matrix.user_ids), -1)
        return replace(matrix, columns=[*matrix.columns, *self.columns], values=np.concatenate([matrix.values, added], axis=1))


def read_attributes(table: pa.Table, windows: Sequence[tuple[Sequence[str], Floats]]) -> Attributes:
    """Encode the attributes of a users table and refuse what knows the outcome.

    Args:
        table: user_id and text columns, NULL where unknown.
        windows: Users with a label and their labels 0/1 (N,) of every window that is learned from or judged on; a column that alone
            separates them in any of these is refused, for nobody knows when it was written.
    """
    users = [str(user) for user in table["user_id"].to_pylist()]
    row_of = {user: row for row, user in enumerate(users)}
    known = [(np.array([row_of.get(user, -1) for user in some], dtype=np.int64), labels) for some, labels in windows]
    columns, of_column, blocks, named, telling = [], [], [], [], []
    for name in table.column_names:
        if name == "user_id":
            continue
        if is_named_like_a_label(name):
            named.append(name)
            continue
        encoded = _encode(name, table[name].to_pylist())
        if not encoded:
            continue
        area = max((_separates(block[at[at >= 0]], labels[at >= 0]) for _, block in encoded for at, labels in known), default=0.5)
        if area >= TELLS_ALL:
            telling.append((name, area))
            continue
        for column, block in encoded:
            columns.append(column)
            of_column.append(name)
            blocks.append(block)
    values = dict(zip(users, np.column_stack(blocks), strict=True)) if blocks else {}
    return Attributes(columns, of_column, values, _said(named, telling, of_column))


def _encode(name: str, texts: list[str | None]) -> list[tuple[str, Floats]]:
    known = np.array([text is not None and str(text).strip() != "" for text in texts], dtype=bool)
    if known.sum() < FEWEST_USERS:
        return []
    numbers = np.array([_number(text) for text in texts])
    if np.isfinite(numbers[known]).mean() >= NUMERIC_SHARE and len(np.unique(numbers[np.isfinite(numbers)])) > MOST_KINDS:
        return [(name, numbers)]
    plain = np.array([str(text).strip() if text is not None else "" for text in texts], dtype=object)
    kinds, counts = np.unique(plain[known], return_counts=True)
    order = sorted(range(len(kinds)), key=lambda i: (-counts[i], kinds[i]))[:MOST_VALUES]
    chosen = [str(kinds[i]) for i in order if counts[i] >= FEWEST_USERS]
    return [(f"{name} = {kind}", np.where(known, (plain == kind).astype(np.float64), np.nan)) for kind in chosen]


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else float("nan")
    except ValueError:
        return float("nan")


def _separates(column: Floats, labels: Floats) -> float:
    if min(labels.sum(), (1 - labels).sum()) < FEWEST:
        return 0.5
    area = auc(labels, np.where(np.isnan(column), -1e18, column))
    return max(area, 1 - area)


def _said(named: list[str], telling: list[tuple[str, float]], kept: list[str]) -> tuple[Message, ...]:
    said = []
    if named:
        said.append(say("{columns}: refused as a feature, because the name says that it holds the outcome.", columns=", ".join(named)))
    for name, area in telling:
        said.append(
            say(
                "{columns}: refused as a feature, because it alone tells who acts (AUC {auc}), as only the label window can.",
                columns=name,
                auc=f"{area:.3f}",
            )
        )
    if kept:
        said.append(
            say(
                "Models see these shopper attributes: {columns}. Chances may now differ by group alone; look at them by group before use.",
                columns=", ".join(dict.fromkeys(kept)),
            )
        )
    else:
        said.append(say("The log has no shopper attributes that models could see."))
    return tuple(said)
