"""How far the picture and the segments can be trusted, measured on a fixed sample."""

import numpy as np
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from core.atlas.layout import Points, nearest
from core.atlas.space import Indices, Vectors

SAMPLE = 2_000
"""Users judged: enough for two digits, cheap for any log."""
MOST_PAIRS, FEWEST = 200_000_000, 200
"""Users judged × all users whose distance is taken for the neighbour recall: beyond 100,000 users fewer are judged, 200 at least."""
K = 15


def picture_quality(profile: Vectors, places: Points, sample: Indices) -> dict[str, float]:
    """Measure what the picture keeps of the neighbourhoods in profile space.

    Args:
        profile: (N, P).
        places: (N, 2).
        sample: Rows to judge, the first SAMPLE are taken.

    Returns:
        trustworthiness: 1 when neighbours in the picture are neighbours in truth (Venna and Kaski, 2001), among the sample;
        neighbour_recall: share of the K true nearest users who are among the K nearest in the picture, among all N.
    """
    judged = sample[:SAMPLE]
    if len(judged) <= 2 * K + 2:
        return {}
    with threadpool_limits(1):
        trusted = float(trustworthiness(profile[judged], places[judged], n_neighbors=K))
    judged = judged[: max(FEWEST, MOST_PAIRS // len(profile))]
    truth = nearest(profile, profile[judged], K + 1).indices
    shown = nearest(np.ascontiguousarray(places.astype(np.float32)), np.ascontiguousarray(places[judged].astype(np.float32)), K + 1).indices
    kept = [min(1.0, len(set(a) & set(b) - {int(self)}) / K) for a, b, self in zip(truth.tolist(), shown.tolist(), judged, strict=True)]
    return {"trustworthiness": round(trusted, 4), "neighbour_recall": round(float(np.mean(kept)), 4)}


def silhouette(profile: Vectors, labels: Indices, sample: Indices) -> float | None:
    """Mean silhouette of the sample in profile space (never on the picture), None when it shows fewer than two segments."""
    judged = sample[:SAMPLE]
    shown = len(np.unique(labels[judged]))
    if shown < 2 or shown >= len(judged):
        return None
    with threadpool_limits(1):
        return round(float(silhouette_score(profile[judged], labels[judged])), 4)
