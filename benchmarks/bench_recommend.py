"""Quality and cost of recommendations on the test window of a log: every source, the blend, popularity, the personal counter.

    python -m benchmarks.bench_recommend --home HOME --dataset NAME [--until 2017-12-29] [--horizon 28d] [--texts tfidf|none]

`repeat` is the personal counter (decay 60 days, filled up with popularity). The published marks for Complete Journey are
taken with `--until 2017-12-29`: the test cutoff is then 2017-12-01. Full ranking, users with a purchase in the window.
"""

import argparse
import resource
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.recommender.options import ItemVectorsLike, RecommendOptions
from core.recommender.recommend import recommend
from core.store import Home, Log, fetch
from core.windows import parse_horizon, parse_time


@dataclass(frozen=True)
class Vectors:
    """Text vectors for a run without the encoder."""

    item_ids: list[str]
    index: npt.NDArray[np.int32]
    vectors: npt.NDArray[np.float32]


def tfidf_vectors(log: Log, width: int = 64) -> ItemVectorsLike | None:
    """Reduce word counts of the catalogue's texts to `width` columns; None for a catalogue without texts."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    with log.history() as connection:
        rows = fetch(
            connection, "SELECT item_id, concat_ws(' | ', title, category, brand, description) AS text FROM catalogue ORDER BY item_id"
        )
    texts = rows["text"].to_pylist()
    distinct = sorted({text for text in texts if text})
    if len(distinct) <= width:
        return None
    vectors = TruncatedSVD(width, random_state=0).fit_transform(TfidfVectorizer().fit_transform(distinct)).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    place = {text: number for number, text in enumerate(distinct)}
    return Vectors(rows["item_id"].to_pylist(), np.array([place.get(text, -1) for text in texts], np.int32), vectors)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--home", type=Path, default=Path("workspace"))
    arguments.add_argument("--dataset", required=True)
    arguments.add_argument("--until")
    arguments.add_argument("--horizon", default="28d")
    arguments.add_argument("--texts", choices=["tfidf", "none"], default="tfidf")
    chosen = arguments.parse_args()
    warnings.filterwarnings("ignore")
    log = Home(chosen.home).dataset(chosen.dataset).log(until=parse_time(chosen.until) if chosen.until else None)
    vectors = tfidf_vectors(log) if chosen.texts == "tfidf" else None
    began, cpu = time.time(), time.process_time()
    result = recommend(log, vectors, RecommendOptions(horizon=parse_horizon(chosen.horizon)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record = result.record
    print(f"{chosen.dataset}: {record['users']} users x {record['items']} items, target {record['target']}")
    print(f"windows {record['windows']}")
    print(f"{time.time() - began:.0f} s wall, {time.process_time() - cpu:.0f} CPU s, peak {peak:.0f} MB")
    print(f"candidate recall {record.get('candidate_recall')}, guard {record['guard']}")
    for ground, weights in record["weights"].items():
        print(f"weights {ground}: {weights}")
    for warning in record["warnings"]:
        print(f"warning: {warning}")
    figures = {(row["source"], row["ground"], row["measure"]): row for row in result.metrics.to_pylist() if row["band"] == "all"}
    print(f"{'source':12s} {'nDCG@10 all':>22s} {'recall@20':>9s} {'nDCG@10 new':>22s} {'recall@20':>9s} {'coverage':>9s} {'novelty':>8s}")
    for source in sorted({source for source, _, _ in figures}):
        line = f"{source:12s}"
        for ground in ("all", "new"):
            best, recall = figures[source, ground, "ndcg@10"], figures[source, ground, "recall@20"]
            line += f" {best['value']:.4f} [{best['low'] or 0:.4f}, {best['high'] or 0:.4f}] {recall['value']:9.4f}"
        print(line + f" {figures[source, 'all', 'coverage@20']['value']:9.4f} {figures[source, 'all', 'novelty@20']['value']:8.2f}")


if __name__ == "__main__":
    main()
