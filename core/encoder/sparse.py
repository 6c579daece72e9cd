"""Pruned weights in a file: the values that are left, and a bit for each place that says whether one is there."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.artifacts import read_arrays, write_arrays

Arrays = dict[str, npt.NDArray[Any]]

VALUES, MASK, SHAPE = ".values", ".mask", ".shape"
"""What stands in the file for a pruned matrix, after its name."""


def write_sparse(path: Path, weights: Mapping[str, npt.NDArray[Any]], pruned: Collection[str]) -> None:
    """Write weights as safetensors; of the pruned ones only what is not zero, with a mask of one bit a place.

    Args:
        path: Of the file.
        weights: By name.
        pruned: Names of those with many zeros; the file grows by a bit for each of their places and shrinks by every zero.
    """
    parts: Arrays = {}
    for name, weight in weights.items():
        if name not in pruned:
            parts[name] = weight
            continue
        is_there = weight.reshape(-1) != 0
        parts[name + VALUES] = weight.reshape(-1)[is_there]
        parts[name + MASK] = np.packbits(is_there)
        parts[name + SHAPE] = np.array(weight.shape, np.int64)
    write_arrays(path, parts)


def read_sparse(path: Path) -> Arrays:
    """Read what `write_sparse` wrote: every weight whole again, by name.

    Raises:
        StorageError: The file is missing or damaged.
    """
    parts, weights = read_arrays(path), {}
    for name, part in parts.items():
        if name.endswith(VALUES) and name.removesuffix(VALUES) + MASK in parts:
            whole = name.removesuffix(VALUES)
            shape = tuple(parts[whole + SHAPE].tolist())
            is_there = np.unpackbits(parts[whole + MASK], count=int(np.prod(shape))).astype(bool)
            flat = np.zeros(len(is_there), part.dtype)
            flat[is_there] = part
            weights[whole] = flat.reshape(shape)
        elif not (name.endswith((MASK, SHAPE)) and name.rpartition(".")[0] + VALUES in parts):
            weights[name] = part
    return weights
