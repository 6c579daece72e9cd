"""CPU seconds and quality of the map for 5,000, 20,000 and 100,000 synthetic shoppers of 12 planted kinds.

    python -m benchmarks.bench_map [--users 5000 20000 100000] [--dimensions 48]

The first line is the cost of importing (compiling) UMAP, paid once in each worker process.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.metrics import adjusted_rand_score

from core.atlas.build import LANDMARKS, AtlasOptions, _distinct, _map
from core.atlas.quality import picture_quality
from core.atlas.space import stable_order


def planted(users: int, dimensions: int, kinds: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shoppers of unequal kinds (geometric sizes), overlapping a little, float32."""
    weights = 0.85 ** np.arange(kinds)
    truth = rng.choice(kinds, size=users, p=weights / weights.sum())
    centres = rng.normal(size=(kinds, dimensions))
    return (centres[truth] + rng.normal(size=(users, dimensions))).astype(np.float32), truth


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--users", type=int, nargs="+", default=[5_000, 20_000, 100_000])
    arguments.add_argument("--dimensions", type=int, default=48)
    chosen = arguments.parse_args()
    warnings.filterwarnings("ignore")
    before = time.process_time()
    import umap  # noqa: F401

    print(f"import umap: {time.process_time() - before:.1f} CPU s")
    for users in chosen.users:
        profile, truth = planted(users, chosen.dimensions, 12, np.random.default_rng(0))
        ids = [f"u{number}" for number in range(users)]
        order = stable_order(ids)
        marks: dict[str, float] = {}
        before = time.process_time()

        def progress(share: float, message: str, marks: dict[str, float] = marks) -> None:
            marks[message] = time.process_time()

        points, first, inverse, weights = _distinct(profile)
        minimum = max(20, users // 100)
        places, labels, _, partition = _map(
            points, order, first, inverse, weights, minimum, np.random.default_rng(7), 7, None, AtlasOptions(), progress
        )  # fmt: skip
        total = time.process_time() - before
        parted = marks["Drawing the picture"] - marks["Looking for segments"]
        drawn = before + total - marks["Drawing the picture"]
        quality = picture_quality(profile, places, order)
        print(
            f"{users:>7,} users × {chosen.dimensions}: {total:5.1f} CPU s "
            f"(neighbours {total - parted - drawn:.1f}, segments {parted:.1f}, picture {drawn:.1f}); "
            f"{labels.max() + 1} segments by {partition.method}, adjusted Rand to the truth {adjusted_rand_score(truth, labels):.3f}, "
            f"stability {np.mean(partition.stability):.3f}; trustworthiness {quality['trustworthiness']:.3f}, "
            f"neighbour recall {quality['neighbour_recall']:.3f}; landmarks {min(users, LANDMARKS):,}"
        )


if __name__ == "__main__":
    main()
