"""Communities of the graph of nearest neighbours: found by Leiden, gone on from, and told for points outside the graph.

N points, U queries (Traag, Waltman, van Eck, 2019, *From Louvain to Leiden*; measured: docs/decisions/0003).
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from graspologic_native import leiden_csr
from scipy import sparse

from core.atlas.layout import Graph
from core.atlas.space import Indices

Adjacency: TypeAlias = "sparse.csr_matrix"

TIED_MORE = 2.0
"""Times as strongly as to its own community that a point is tied to another before it goes over to that, when a partition is kept."""


def shared_neighbours(graph: Graph) -> Adjacency:
    """Neighbour graph (N, N) weighted by the share of neighbours that two points have in common (Jaccard)."""
    n, k = graph.indices.shape
    near = sparse.csr_matrix((np.ones(n * k), (np.repeat(np.arange(n), k), graph.indices.ravel())), shape=(n, n)) + sparse.identity(
        n, format="csr"
    )
    shared = (near @ near.T).multiply((near + near.T) > 0).tocsr()
    shared.data = shared.data / (2 * (k + 1) - shared.data)
    shared.setdiag(0)
    shared.eliminate_zeros()
    shared.sort_indices()
    return sparse.csr_matrix(shared)


def communities(adjacency: Adjacency, resolution: float, rounds: int = 2, seed: int = 0) -> Indices:
    """Find communities of a weighted graph by Leiden: each is connected, equal graphs and seeds give equal ones.

    Args:
        adjacency: (N, N), symmetric; a point without edges is a community of its own.
        resolution: Above 0; higher ones give more communities.
        rounds: Runs of Leiden, each from the partition before.
        seed: Of the order in which points are looked at.

    Returns:
        (N,) 0-based.
    """
    points = adjacency.shape[0]
    if not adjacency.nnz:
        return np.arange(points, dtype=np.int64)
    graph = (adjacency.indptr.astype(np.int64), adjacency.indices.astype(np.int32), adjacency.data.astype(np.float64))
    found = leiden_csr(*graph, points, resolution=resolution, iterations=rounds, seed=seed)[1]
    return np.fromiter((found[point] for point in range(points)), np.int64, points)


def settle(adjacency: Adjacency, start: Indices, sweeps: int = 20) -> Indices:
    """Let points go over to the community that they are tied to far more than to their own, until none would, or for some sweeps.

    No community is made or split, so that a partition found earlier goes on. By gain of modularity instead, points leave
    communities that small ones were merged into in crowds (measured: docs/decisions/0003).

    Args:
        adjacency: (N, N), symmetric.
        start: (N,) 0-based, -1 for points without a community; they join the one they are tied to most.
        sweeps: Each moves every second point, even and odd ones in turn: two that are tied do not change places for ever.

    Returns:
        (N,) 0-based.
    """
    count, points = int(start.max()) + 1, np.arange(len(start))
    labels = start.copy()
    for sweep in range(sweeps):
        known = np.flatnonzero(labels >= 0)
        members = sparse.csr_matrix((np.ones(len(known)), (known, labels[known])), shape=(len(labels), count))
        ties = np.asarray((adjacency @ members).todense())
        best = ties.argmax(axis=1)
        moves = (labels < 0) | (ties[points, best] > TIED_MORE * ties[points, np.maximum(labels, 0)])
        if not moves.any():
            break
        moves &= (labels < 0) | (points % 2 == sweep % 2)
        labels[moves] = best[moves]
    return labels


def vote(graph: Graph, labels: Indices) -> tuple[Indices, npt.NDArray[np.float64]]:
    """Let each query's neighbours decide its segment.

    Args:
        graph: Neighbours of U queries among N labelled points.
        labels: (N,) 0-based.

    Returns:
        Segment of each query (U,), ties to the smaller label, and each segment's share of its neighbours (U, segments).
    """
    count = int(labels.max()) + 1
    cells = np.arange(len(graph.indices))[:, None] * count + labels[graph.indices]
    shares = np.bincount(cells.ravel(), minlength=len(graph.indices) * count).reshape(-1, count) / max(graph.indices.shape[1], 1)
    return shares.argmax(axis=1).astype(np.int64), shares
