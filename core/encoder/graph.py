"""Graph profiles: users, items, categories and brands as one graph, read by the walks between them.

A walk from a user goes to an item, and on to its category or brand. The normalised matrix of such walks is factored into few
directions (a truncated SVD keeps what every longer walk over the same edges keeps: powers of a matrix share its singular
vectors; Qiu et al. 2018, arXiv:1710.02971). A user of any later cutoff is folded in by the items she touched, an item that
came later by its category and brand.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_matrix, diags, hstack
from sklearn.utils.extmath import randomized_svd

from core.artifacts import read_arrays, read_table, write_arrays, write_table
from core.encoder.items import ItemVectors
from core.encoder.pooling import pool_text_profiles, touched_items
from core.errors import GateError
from core.store import Connection, fetch

Floats = npt.NDArray[np.float32]

DIRECTIONS = 128
FEWEST_USERS = 3
"""Users below which an item, category or brand is no node: it joins hardly anyone. An item still counts for its category."""
FEWEST_NODES = 3
"""Users, and nodes beside them, below which there is no graph to speak of."""
KINDS = ("item", "category", "brand")

_ITEMS_SQL = "SELECT item_id, category, brand FROM catalogue ORDER BY item_id"


@dataclass(frozen=True)
class Graph:
    """Directions of the nodes beside users, as of the cutoff it was read at."""

    names: dict[str, list[str]] = field(repr=False)
    """Kind of node → its names, sorted."""
    vectors: dict[str, Floats] = field(repr=False)
    """Kind of node → what a touch of it adds to a user (N, D)."""
    card: dict[str, Any]


def fit_graph(connection: Connection, directions: int = DIRECTIONS, seed: int = 0) -> Graph:
    """Read the graph of a history.

    Args:
        connection: From Log.history(cutoff); acts fade as in `pool_text_profiles`.
        directions: Most values of a profile.
        seed: Of the randomised SVD (Halko et al. 2011); the same seed gives the same bytes.

    Raises:
        GateError: Fewer than FEWEST_NODES users, or than so many nodes beside them.
    """
    catalogue = fetch(connection, _ITEMS_SQL)
    item_ids: list[str] = catalogue["item_id"].to_pylist()
    users, touched = touched_items(connection, item_ids)
    every = {"item": (item_ids, touched)}
    for kind in KINDS[1:]:
        named, belongs = _membership(catalogue[kind])
        every[kind] = (named, (touched @ belongs).tocsr())
    names, walks, edges = {}, [], {}
    shrink: dict[str, Floats] = {}
    for kind, (named, matrix) in every.items():
        kept = np.flatnonzero(np.asarray((matrix > 0).sum(0)).ravel() >= FEWEST_USERS)
        if len(kept):
            names[kind], edges[kind] = [named[node] for node in kept.tolist()], int(matrix[:, kept].nnz)
            walk, shrink[kind] = _normalised(matrix, kept)
            walks.append(walk)
    joined = hstack(walks, format="csr") if walks else csr_matrix((len(users), 0))
    joined = joined[np.flatnonzero(np.diff(joined.indptr))]
    if min(joined.shape) < FEWEST_NODES:
        raise GateError(
            "{users} shoppers share {nodes} items, categories and brands; a graph needs {need} of each.",
            users=joined.shape[0],
            nodes=joined.shape[1],
            need=FEWEST_NODES,
        )
    rank = min(directions, *(size - 1 for size in joined.shape))
    _left, strength, right = randomized_svd(joined, rank, n_iter=4, random_state=seed)
    order = right * np.where(right[np.arange(rank), np.abs(right).argmax(1)] < 0, -1.0, 1.0)[:, None]
    vectors, at = {}, 0
    for kind in names:
        size = len(names[kind])
        vectors[kind] = (order[:, at : at + size].T * shrink[kind][:, None]).astype(np.float32)  # (N, D)
        at += size
    card = {
        "users": int(joined.shape[0]),
        "nodes": {kind: len(known) for kind, known in names.items()},
        "edges": edges,
        "values": int(rank),
        "kept_share": float((strength**2).sum() / max(float(joined.multiply(joined).sum()), 1e-12)),
    }
    return Graph(names, vectors, card)


def graph_profiles(graph: Graph, connection: Connection) -> tuple[list[str], Floats]:
    """Fold every user of a history into the graph.

    Args:
        graph: From `fit_graph` at this cutoff or an earlier one.
        connection: From Log.history(cutoff).

    Returns:
        All users of the history, sorted, and unit vectors (U, D); zeros for users whose items the graph does not know.
    """
    return pool_text_profiles(connection, graph_items(graph, connection))


def graph_items(graph: Graph, connection: Connection) -> ItemVectors:
    """Vectors of the items of a history: their own, their category's and their brand's together, as far as the graph knows them."""
    catalogue = fetch(connection, _ITEMS_SQL)
    item_ids: list[str] = catalogue["item_id"].to_pylist()
    vectors = np.zeros((len(item_ids), graph.card["values"]), np.float32)
    for kind, known in graph.names.items():
        rows = {name: row for row, name in enumerate(known)}
        found = np.array([rows.get(name, -1) for name in catalogue[f"{kind}_id" if kind == "item" else kind].to_pylist()], np.int64)
        vectors[found >= 0] += graph.vectors[kind][found[found >= 0]]
    index = np.where(vectors.any(1), np.arange(len(item_ids)), -1).astype(np.int32)
    return ItemVectors(item_ids, index, vectors, [])


def save_graph(folder: Path, graph: Graph) -> None:
    """Write graph_nodes.parquet and graph_model.safetensors; the card goes into the manifest."""
    kinds = [kind for kind, names in graph.names.items() for _ in names]
    names = [name for known in graph.names.values() for name in known]
    write_table(folder / "graph_nodes.parquet", pa.table({"kind": kinds, "name": pa.array(names, pa.string())}))
    write_arrays(folder / "graph_model.safetensors", graph.vectors)


def load_graph(folder: Path, card: dict[str, Any]) -> Graph:
    """Read what `save_graph` wrote.

    Raises:
        StorageError: A file is missing or damaged.
    """
    table, vectors = read_table(folder / "graph_nodes.parquet"), read_arrays(folder / "graph_model.safetensors")
    names: dict[str, list[str]] = {}
    for kind, name in zip(table["kind"].to_pylist(), table["name"].to_pylist(), strict=True):
        names.setdefault(kind, []).append(name)
    return Graph(names, {kind: vectors[kind] for kind in names}, card)


def _membership(column: pa.ChunkedArray) -> tuple[list[str], csr_matrix]:
    """Names of a column, sorted, and which item belongs to which (I, N)."""
    values: list[str | None] = column.to_pylist()
    names = sorted({value for value in values if value is not None})
    rows = {name: row for row, name in enumerate(names)}
    items = [place for place, value in enumerate(values) if value is not None]
    columns = [rows[value] for value in values if value is not None]
    return names, csr_matrix((np.ones(len(items), np.float32), (items, columns)), shape=(len(values), len(names)))


def _normalised(edges: csr_matrix, kept: npt.NDArray[np.int64]) -> tuple[csr_matrix, Floats]:
    """Divide each edge by the roots of both degrees, so that a node that everyone touches says little; every kind is as long as any
    other, because else many thin items drown a few telling categories. Returns the walks to the nodes kept, and the nodes' part."""
    users, nodes = (np.asarray(edges.sum(axis)).ravel() for axis in (1, 0))
    by_user, by_node = (np.where(degree > 0, np.maximum(degree, 1e-9) ** -0.5, 0.0) for degree in (users, nodes[kept]))
    walk = (diags(by_user) @ edges[:, kept] @ diags(by_node)).tocsr()
    length = max(float(np.sqrt(walk.multiply(walk).sum())), 1e-12)
    return walk / length, (by_node / length).astype(np.float32)
