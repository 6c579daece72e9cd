"""What a model sees of a shopper that is not made anew for another history: blocks that learned from the whole log, and attributes.

They are kept with the run as they were at its cutoff. N rows (histories, real or invented), H parts, U users of the run.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.artifacts import read_arrays, read_json, read_table, write_arrays, write_json
from core.predictor.keeping import Arrays, KeptModel
from core.predictor.matrix import Floats, Matrix, Singles

ATTRIBUTES = "attributes"
"""Name of all shopper attributes together."""
TEXT = "text profile"
"""The one block that is made anew for every history."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Held:
    """Parts that stay as they are, whatever is asked of a history."""

    users: dict[str, int] = field(default_factory=dict)
    """Row of each user."""
    blocks: dict[str, Singles] = field(default_factory=dict)
    """By the names of `Matrix.learned`, each (U, D)."""
    columns: tuple[str, ...] = ()
    """Of attributes."""
    attributes: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """(U, A)."""

    @property
    def names(self) -> list[str]:
        """Of the parts (H,)."""
        return [*self.blocks, *([ATTRIBUTES] if self.columns else [])]

    def added_to(self, matrix: Matrix, user_id: str, shown: Bools | None = None) -> Matrix:
        """Put the parts of one user beside every row of a matrix.

        Args:
            matrix: Counts, and text where there is text (N, …).
            user_id: Whose parts; a user that the run does not know has none of them.
            shown: Which parts each row has (N, H); default: all.
        """
        if not self.names:
            return matrix
        n, row = len(matrix.user_ids), self.users.get(user_id)
        there = np.full((n, len(self.names)), row is not None) & (True if shown is None else shown)
        row = row or 0
        further = {
            name.removesuffix(" profile"): np.where(there[:, [place]], block[row], 0).astype(np.float32)
            for place, (name, block) in enumerate(self.blocks.items())
        }
        matrix = replace(matrix, further=further)
        if not self.columns:
            return matrix
        added = np.where(there[:, [-1]], self.attributes[row], np.nan)
        return replace(matrix, columns=[*matrix.columns, *self.columns], values=np.concatenate([matrix.values, added], axis=1))


def held_parts(kept: KeptModel, attributes: Sequence[str]) -> list[str]:
    """Names of the parts that a model looks at and that are held."""
    return [*sorted(kept.blocks() - {TEXT}), *([ATTRIBUTES] if attributes else [])]


def save_held(matrix: Matrix, kept: KeptModel, attributes: Sequence[str], folder: Path, further: Collection[str] = frozenset()) -> None:
    """Write the held parts of everyone scored into the draft of a run; no file where its models look at none.

    Args:
        matrix: Of everyone scored, in the order of `scores.parquet`.
        kept: The model in use.
        attributes: Columns of the matrix that are shopper attributes.
        folder: Of the draft.
        further: Learned blocks that another model of the run looks at, by the names of `Matrix.learned`.
    """
    names = list(dict.fromkeys([*held_parts(kept, attributes), *sorted(set(further) - {TEXT})]))
    if not names:
        return
    learned = matrix.learned()
    blocks = [name for name in names if name != ATTRIBUTES]
    arrays: Arrays = {f"block{place}": np.asarray(learned[name], dtype=np.float32) for place, name in enumerate(blocks)}
    if attributes:
        arrays["attributes"] = matrix.values[:, [matrix.columns.index(name) for name in attributes]]
    write_json(folder / "held.json", {"blocks": blocks, "attributes": list(attributes)})
    write_arrays(folder / "held.safetensors", arrays)


def load_held(folder: Path, looked_at: Collection[str] | None = None) -> Held:
    """Read what save_held wrote; nothing where the run has none.

    Args:
        folder: Of the run.
        looked_at: Blocks that are wanted; None are all.

    Raises:
        StorageError: A file is damaged.
    """
    if not (folder / "held.json").is_file():
        return Held()
    record, arrays = read_json(folder / "held.json"), read_arrays(folder / "held.safetensors")
    users = {user: row for row, user in enumerate(read_table(folder / "scores.parquet", ["user_id"])["user_id"].to_pylist())}
    blocks = {name: arrays[f"block{place}"] for place, name in enumerate(record["blocks"]) if looked_at is None or name in looked_at}
    return Held(users, blocks, tuple(record["attributes"]), arrays.get("attributes", np.zeros((0, 0))))
