"""CPU seconds, memory and quality of the map of synthetic shoppers with planted segments within segments.

    python -m benchmarks.bench_map [--users 20000 100000 1000000] [--dimensions 384] [--features 24] [--growth 0.1]

Each size runs from text profiles (users × dimensions) and counted features to places and segments on both levels, as the
`map` step does, but for traits, which are the log's. Then 10 % new shoppers come: once they are placed into the kept
picture, once the whole picture is drawn again. Columns: CPU seconds of the parts; adjusted Rand index to what was planted;
how far old shoppers moved, as a share of the picture's width. The worker is warm: UMAP has been compiled before.
"""

import argparse
import resource
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sklearn.metrics import adjusted_rand_score

from core.atlas import build
from core.atlas.landmarks import LANDMARKS, Former, find_distinct, former_of, part
from core.atlas.layout import WIDTH
from core.atlas.levels import FINE, split
from core.atlas.options import AtlasOptions, Previous
from core.atlas.segments import SegmentOptions
from core.atlas.space import Vectors, profile_space, stable_order

KINDS, PARTS = 8, 3


@dataclass
class World:
    """Shoppers of unequal kinds (geometric sizes), each of three close parts, on axes that few directions carry."""

    users: int
    dimensions: int
    features: int

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        weights = 0.85 ** np.arange(KINDS * PARTS)
        self.truth = rng.choice(KINDS * PARTS, size=self.users, p=weights / weights.sum())
        kinds = rng.normal(size=(KINDS, 24)) * 2.2
        centres = np.repeat(kinds, PARTS, axis=0) + rng.normal(size=(KINDS * PARTS, 24)) * 1.1
        turn = np.linalg.qr(rng.normal(size=(self.dimensions, 24)))[0].T.astype(np.float32)  # (24, D)
        own = np.random.default_rng(1)
        self.text = np.empty((self.users, self.dimensions), dtype=np.float32)
        for start in range(0, self.users, 50_000):
            rows = slice(start, start + 50_000)
            close = centres[self.truth[rows]] + own.normal(size=(len(self.truth[rows]), 24))
            self.text[rows] = close.astype(np.float32) @ turn
            self.text[rows] += own.normal(size=self.text[rows].shape).astype(np.float32) * 0.05
        self.counts = pa.table({"user_id": self.ids(), **{f"f{i}": own.poisson(3, self.users) for i in range(self.features)}})

    def ids(self) -> list[str]:
        return [f"u{number:07d}" for number in range(self.users)]


def space_of(world: World, users: int) -> Vectors:
    """The space of the first users, as the map step makes it."""
    return profile_space(world.counts.slice(0, users), {"text": world.text[:users]})


def peak_mb() -> float:
    """Largest resident size of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def map_once(
    ids: list[str], profile: Vectors, previous: Previous | None, *, redraw: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, float], build._Drawing]:
    """Segments on both levels and places; with the CPU seconds of each part."""
    seconds: dict[str, float] = {}
    last = time.process_time()

    def mark(name: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[name] = now - last
        last = now

    order, former = stable_order(ids), former_of(ids, previous.users if previous else None)
    found = find_distinct(profile)
    mark("ids and doubles")
    rng, minimum = np.random.default_rng(7), max(20, len(ids) // 100)
    parted = part(found, order, minimum, rng, SegmentOptions(), lambda share, message: mark("neighbours"))
    mark("segments")
    fine = split(found, parted, minimum, rng, FINE)
    mark("subsegments")
    options = AtlasOptions(redraw=redraw)
    drawing = build._draw_many(found, parted, ids, order, profile, 7, former, previous, options)
    mark("picture")
    if drawing.quality is None:
        drawing = build._Drawing(drawing.places, drawing.drawn_users, False, build.picture_quality(profile, drawing.places, order))
    mark("judging")
    return drawing.places, parted.labels[found.inverse], fine.labels[found.inverse], seconds, drawing


def moved(places: np.ndarray, former: Former | np.ndarray) -> tuple[float, float]:
    """Median and largest way of old shoppers, as a share of the width."""
    way = np.linalg.norm(places[: len(former)] - former, axis=1) / (2 * WIDTH)
    return float(np.median(way)), float(way.max())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--users", type=int, nargs="+", default=[20_000, 100_000])
    arguments.add_argument("--dimensions", type=int, default=384)
    arguments.add_argument("--features", type=int, default=24)
    arguments.add_argument("--growth", type=float, default=0.1)
    chosen = arguments.parse_args()
    warnings.filterwarnings("ignore")
    before = time.process_time()
    few = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    map_once([f"w{i}" for i in range(400)], few, None)
    print(f"cold start of a worker (UMAP compiled): {time.process_time() - before:.1f} CPU s, {peak_mb():,.0f} MB")
    totals: dict[int, float] = {}
    for users in chosen.users:
        old = round(users / (1 + chosen.growth))
        world = World(users, chosen.dimensions, chosen.features)
        inputs = peak_mb()
        begun = time.process_time()
        profile = space_of(world, users)
        spaced = time.process_time() - begun
        places, labels, fine, seconds, drawing = map_once(world.ids(), profile, None)
        totals[users] = spaced + sum(seconds.values())
        quality = drawing.quality or {}
        parts = ", ".join(f"{name} {value:.1f}" for name, value in {"space": spaced, **seconds}.items())
        print(
            f"{users:>9,} users × {chosen.dimensions} ({min(users, LANDMARKS):,} landmarks): {totals[users]:.1f} CPU s ({parts}); "
            f"peak {peak_mb():,.0f} MB, of which {inputs:,.0f} MB before it began"
        )
        print(
            f"          {labels.max() + 1} segments, adjusted Rand to the planted {adjusted_rand_score(world.truth // PARTS, labels):.3f}; "
            f"{fine.max() + 1} subsegments, {adjusted_rand_score(world.truth, fine):.3f}; "
            f"trustworthiness {quality['trustworthiness']:.3f}, neighbour recall {quality['neighbour_recall']:.3f}"
        )
        if chosen.growth > 0:
            del places, labels, fine
            first, *_, earlier = map_once(world.ids()[:old], space_of(world, old), None)
            table = pa.table({
                "user_id": world.ids()[:old], "x": first[:, 0], "y": first[:, 1], "segment_id": np.ones(old, dtype=np.int32),
                "subsegment_id": np.ones(old, dtype=np.int32),
            })  # fmt: skip
            previous = Previous(table, drawn_users=old, trustworthiness=(earlier.quality or {})["trustworthiness"])
            for redraw in (False, True):
                again, *_, seconds, now = map_once(world.ids(), profile, previous, redraw=redraw)
                middle, most = moved(again, first)
                print(
                    f"          {users - old:,} new: {'drawn again' if redraw else 'placed' if now.kept else 'NOT PLACED, drawn again'}, "
                    f"picture {seconds['picture']:.1f} CPU s; old shoppers moved {middle:.2%} of the width (median; most {most:.2%}); "
                    f"trustworthiness {(now.quality or {})['trustworthiness']:.3f}"
                )
    if len(totals) > 1:
        small, large = min(totals), max(totals)
        print(f"{large:,} users cost {totals[large] / totals[small]:.1f}× of {small:,}")


if __name__ == "__main__":
    main()
