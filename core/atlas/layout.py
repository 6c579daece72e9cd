"""The picture: profiles laid out in two dimensions by UMAP (McInnes, Healy, Melville, 2018).

Distances and areas of the picture are no measures; segments are never computed on it. U users, P profile dimensions.
"""

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from core.atlas.space import Indices, Vectors, principal_axes

Points = npt.NDArray[np.float64]

WIDTH = 10.0
"""Half the width that every picture is scaled to, as its 99th percentile of |x| and |y|."""


@dataclass(frozen=True)
class Graph:
    """Nearest neighbours of N points, without the point itself, nearest first; distances are Euclidean."""

    indices: Indices
    distances: Vectors


def nearest(points: Vectors, queries: Vectors | None, k: int) -> Graph:
    """Find the `k` nearest of `points` for each query (None: for the points themselves, self left out).

    Exact: the atlas never indexes more points than its landmarks. One thread, so that equal inputs give equal bytes.
    """
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    if queries is not None:
        squared, found = index.search(np.ascontiguousarray(queries), min(k, len(points)))
    else:
        squared, found = _without_self(*index.search(points, min(k + 1, len(points))))
    return Graph(found.astype(np.int64), np.sqrt(np.maximum(squared, 0)).astype(np.float32))


def lay_out(points: Vectors, graph: Graph, seed: int, start: Points | None = None) -> Points:
    """Lay N points out in two dimensions; single-threaded, so equal inputs give equal bytes in any process.

    Args:
        points: (N, P).
        graph: Their nearest neighbours.
        seed: Of UMAP's negative sampling.
        start: (N, 2) places to start from; None for the two strongest principal axes.

    Returns:
        (N, 2), scaled to WIDTH.
    """
    import umap  # compiles for half a minute at import: only when a picture is really drawn

    begin = start if start is not None else plane(points)
    # UMAP's own nearest neighbour of a point is the point itself
    indices = np.column_stack([np.arange(len(points)), graph.indices]).astype(np.int32)
    distances = np.column_stack([np.zeros(len(points)), graph.distances]).astype(np.float32)
    with threadpool_limits(1):
        model = umap.UMAP(
            n_neighbors=indices.shape[1],
            min_dist=0.15,
            init=begin.astype(np.float32),
            random_state=seed,
            n_jobs=1,
            precomputed_knn=(indices, distances, None),
            verbose=False,
        )
        places = model.fit_transform(points)
    return scale(np.asarray(places, dtype=np.float64))


def plane(points: Vectors) -> Points:
    """Project onto the two strongest principal axes (N, 2), scaled to WIDTH; the picture of very small logs."""
    with threadpool_limits(1):
        flat = principal_axes(points.astype(np.float64) - points.mean(axis=0, dtype=np.float64), 2)
    return scale(np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))))


def scale(places: Points) -> Points:
    """Centre places by their median and scale them so that 99 % lie within WIDTH."""
    centred = places - np.median(places, axis=0)
    reach = float(np.quantile(np.abs(centred), 0.99, method="higher"))
    return centred * (WIDTH / reach) if reach > 0 else centred


def place_between(graph: Graph, places: Points) -> Points:
    """Place points at the mean of their neighbours' places, nearer ones counting more; nobody else moves."""
    weights = 1.0 / (graph.distances.astype(np.float64) + 1e-6)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray((places[graph.indices] * weights[:, :, None]).sum(axis=1))


def align(places: Points, earlier: Points, shared: npt.NDArray[np.bool_]) -> Points:
    """Turn, mirror, scale and shift places so that shared users lie nearest to where they were (Procrustes).

    Args:
        places: (N, 2) new places.
        earlier: (N, 2) former places, read where `shared`.
        shared: (N,) users known from the former picture.
    """
    if shared.sum() < 3:
        return places
    new_centre, old_centre = places[shared].mean(axis=0), earlier[shared].mean(axis=0)
    new, old = places[shared] - new_centre, earlier[shared] - old_centre
    if not (new**2).sum() or not (old**2).sum():
        return places
    left, strength, right = np.linalg.svd(new.T @ old)
    return np.asarray((places - new_centre) @ (left @ right) * (strength.sum() / (new**2).sum()) + old_centre)


def _without_self(squared: npt.NDArray[np.float32], found: Indices) -> tuple[npt.NDArray[np.float32], Indices]:
    """Drop each point from its own list; with ties it may stand anywhere in it, or have been pushed out."""
    rows = np.arange(len(found))
    is_self = found == rows[:, None]
    drop = np.where(is_self.any(axis=1), is_self.argmax(axis=1), found.shape[1] - 1)
    keep = np.ones(found.shape, dtype=bool)
    keep[rows, drop] = False
    shape = (len(found), found.shape[1] - 1)
    return squared[keep].reshape(shape), found[keep].reshape(shape)
