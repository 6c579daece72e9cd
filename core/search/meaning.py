"""Items by meaning: cosine of a query's vector with the vectors of item texts."""

import numpy as np
import numpy.typing as npt

MOST_MATCHES = 100
"""Items that one query finds by meaning."""
LEAST_APART = 3.0
"""A match lies at least so many standard deviations above the mean similarity of the catalogue's texts: every text has *some* nearest
ones, and the scale of cosines differs from model to model."""


def find_meaning(vectors: npt.NDArray[np.float32], index: npt.NDArray[np.int32], query: npt.NDArray[np.float32]) -> list[tuple[int, float]]:
    """Find items whose text means what a query means.

    I items, T texts, D dimensions.

    Args:
        vectors: Unit vectors of the distinct texts (T, D).
        index: Row of each item in `vectors` (I,), -1 without one.
        query: Unit vector (D,), centred as the texts are.

    Returns:
        (row of `index`, cosine), best first, at most MOST_MATCHES; equal cosines by row.
    """
    if not len(vectors) or not query.any():
        return []
    cosines = vectors @ query
    least = float(cosines.mean() + LEAST_APART * cosines.std())
    rows = np.flatnonzero(index >= 0)
    own = cosines[index[rows]]
    kept = own > least
    rows, own = rows[kept], own[kept]
    order = np.lexsort((rows, -own))[:MOST_MATCHES]
    return [(int(rows[i]), round(float(own[i]), 4)) for i in order]
