"""Quality and cost of recommendations on the last windows of a log: every source, the blend, popularity, the personal counter.

    python -m benchmarks.bench_recommend --home HOME --dataset NAME [--until 2017-12-29] [--cutoffs 3] [--horizon 28d]
        [--texts tfidf|none] [--sequence] [--epochs 3]

`repeat` is the personal counter (decay 60 days, filled up with popularity). The published marks for Complete Journey are
taken with `--until 2017-12-29`: the last test cutoff is then 2017-12-01, the others lie a horizon earlier each. Full ranking,
users with a purchase in the window; differences are paired over users. `--sequence` trains the behaviour transformer once,
before the earliest cutoff of all, and adds its source.
"""

import argparse
import json
import resource
import time
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.recommender.options import Foresight, ItemVectorsLike, NextItems, RecommendOptions
from core.recommender.recommend import judge, plan
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


def trained_foresight(log: Log, learned_until: datetime, epochs: int) -> Foresight:
    """Train the behaviour transformer on the history before a cutoff, items read by vectors of their own."""
    from core.encoder.foreseeing import foresee_items
    from core.encoder.histories import read_histories
    from core.encoder.items import without_texts
    from core.encoder.sequence import SequenceOptions, train_sequence

    with log.history(learned_until) as connection:
        items = without_texts(connection)
        histories = read_histories(connection, items.item_ids)
    network = train_sequence(histories, items, SequenceOptions(device="cpu", epochs=epochs))
    print(f"transformer learned until {learned_until:%Y-%m-%d}: {json.dumps(network.card['foresight'])}", flush=True)

    def foresee(cutoff: datetime) -> NextItems | None:
        if learned_until > cutoff:
            return None
        with log.history(cutoff) as connection:
            now = without_texts(connection)
            states, vectors = foresee_items(network, read := read_histories(connection, now.item_ids), now)
        return NextItems(learned_until, read.user_ids, states, now.item_ids, vectors)

    return foresee


def report(log: Log, vectors: ItemVectorsLike | None, options: RecommendOptions, foresight: Foresight | None) -> dict[str, float]:
    """Print what one test window says; return the ratio and differences that the goal is about."""
    began, cpu = time.time(), time.process_time()
    metrics, record = judge(log, vectors, options, foresight=foresight)
    print(f"\n== test cutoff {record['windows']['test']}, target {record['target']}")
    print(f"{time.time() - began:.0f} s wall, {time.process_time() - cpu:.0f} CPU s")
    print(f"candidate recall {record.get('candidate_recall')}, guard {record['guard']}")
    for ground, weights in record["weights"].items():
        print(f"weights {ground}: {weights}")
    for warning in record["warnings"]:
        print(f"warning: {warning}")
    figures = {(row["source"], row["ground"], row["band"], row["measure"]): row for row in metrics.to_pylist()}
    sources = sorted({source for source, *_ in figures})
    for ground in ("all", "new", "fresh"):
        measures = ("recall@20", "mrr@20", "map@20", "hit@10", "coverage@20", "gini@20", "novelty@20", "diversity@20")
        print(f"{ground:12s} {'nDCG@10':>23s} " + " ".join(f"{name:>12s}" for name in measures))
        for source in sources:
            if (best := figures.get((source, ground, "all", "ndcg@10"))) is None:
                continue
            line = f"{source:12s} {best['value']:.4f} [{best['low'] or 0:.4f}, {best['high'] or 0:.4f}]"
            for name in measures:
                row = figures.get((source, ground, "all", name))
                line += f" {row['value']:12.4f}" if row else f" {'':>12s}"
            print(line)
    for band in ("cold", "warm", "hot"):
        rows = [(figures[s, "all", band, "ndcg@10"], s) for s in sources if (s, "all", band, "ndcg@10") in figures]
        print(f"{band}: " + ", ".join(f"{s} {row['value']:.4f}" for row, s in sorted(rows, key=lambda r: -r[0]["value"])[:4]))
    told: dict[str, float] = {}
    for ground in ("all", "new"):
        alone = {s: figures[s, ground, "all", "ndcg@10"]["value"] for s in sources if s != "blend"}
        best_name = max(alone, key=lambda s: alone[s])
        value = figures["blend", ground, "all", "ndcg@10"]["value"]
        told[f"{ground} ratio"] = value / alone[best_name]
        for other in dict.fromkeys((best_name, "repeat", "popularity")):
            row = next(r for r in record["comparisons"] if (r["other"], r["ground"], r["measure"]) == (other, ground, "ndcg@10"))
            ratio = f", {value / alone[other]:.3f} x" if alone[other] >= 0.001 else ""
            reach = f"[{row['low'] or 0:+.4f}, {row['high'] or 0:+.4f}], n {row['n']}"
            print(f"blend - {other}, {ground}: {row['difference']:+.4f} {reach}{ratio}")
            told[f"{ground} - {other}"] = row["difference"]
    for row in record["trial"]:
        print(f"trial: {row['rate']:.3f} -> {row['expected']:.3f} (lift {row['lift']:.0%}) needs {row['users']:,.0f} shoppers in each arm")
    return told


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--home", type=Path, default=Path("workspace"))
    arguments.add_argument("--dataset", required=True)
    arguments.add_argument("--until")
    arguments.add_argument("--horizon", default="28d")
    arguments.add_argument("--cutoffs", type=int, default=3)
    arguments.add_argument("--texts", choices=["tfidf", "none"], default="tfidf")
    arguments.add_argument("--sequence", action="store_true")
    arguments.add_argument("--epochs", type=int, default=3, help="passes of the transformer's training")
    chosen = arguments.parse_args()
    warnings.filterwarnings("ignore")
    dataset, options = Home(chosen.home).dataset(chosen.dataset), RecommendOptions(horizon=parse_horizon(chosen.horizon))
    log = dataset.log(until=parse_time(chosen.until) if chosen.until else None)
    vectors = tfidf_vectors(log) if chosen.texts == "tfidf" else None
    ends = [log.until - place * options.horizon for place in range(chosen.cutoffs)]
    foresight = None
    if chosen.sequence:
        first = plan(dataset.log(until=ends[-1]), options)
        foresight = trained_foresight(log, min([*first.train, first.validate or ends[-1]]), chosen.epochs)
    cpu = time.process_time()
    told = [report(dataset.log(until=end), vectors, options, foresight) for end in ends]
    print(f"\n{chosen.dataset}, {len(ends)} cutoffs: {time.process_time() - cpu:.0f} CPU s, "
          f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")  # fmt: skip
    for ground in ("all", "new"):
        ratios = [row[f"{ground} ratio"] for row in told]
        print(f"blend / best single source, {ground}: " + ", ".join(f"{r:.3f}" for r in ratios) + f"; mean {np.mean(ratios):.3f}")


if __name__ == "__main__":
    main()
