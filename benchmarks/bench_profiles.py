"""What each block of a profile adds on a log: a linear probe of who buys in which category, with intervals.

    python -m benchmarks.bench_profiles --home HOME --dataset cj --cutoff 2017-12-01 --horizon 28

The probe learns from the cutoff one horizon earlier and is judged at the cutoff. The behaviour transformer learns from events
before the earlier cutoff alone. `untaught` is the same network with random weights, `shuffled` the trained one on histories in random
order: what it reads is the same, only the order is gone.
"""

import argparse
import resource
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.encoder.encode import load_encoder
from core.encoder.histories import Histories, read_histories
from core.encoder.items import encode_items, without_texts
from core.encoder.pooling import pool_text_profiles
from core.encoder.probe import probe_blocks
from core.encoder.sequence import SequenceOptions, make_encoder, sequence_profiles, train_sequence
from core.encoder.texts import item_texts
from core.features import category_labels, compute_features, top_categories
from core.predictor.matrix import matrix_of
from core.store import Home

SETS = (
    ("counts",),
    ("text",),
    ("sequence",),
    ("untaught",),
    ("shuffled",),
    ("counts", "text"),
    ("counts", "sequence"),
    ("counts", "untaught"),
    ("counts", "text", "sequence"),
)


def shuffled(histories: Histories, rng: np.random.Generator) -> Histories:
    """The same acts of each user in another order; gaps stay where they are."""
    users = np.repeat(np.arange(len(histories.user_ids)), histories.lengths)
    order = np.lexsort((rng.random(len(users)), users))
    moved = {name: getattr(histories, name)[order] for name in ("item", "kind", "dwell", "position", "price")}
    return replace(histories, **moved)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--cutoff", required=True)
    parser.add_argument("--horizon", type=float, default=28, help="days")
    parser.add_argument("--categories", type=int, default=40)
    parser.add_argument("--act", default="purchase")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    horizon, cutoff = timedelta(days=arguments.horizon), datetime.fromisoformat(arguments.cutoff)
    log, cache = Home(arguments.home).dataset(arguments.dataset).log(), arguments.home / "cache"
    rng = np.random.default_rng(arguments.seed)
    with log.history() as connection:
        texts = sorted(set(item_texts(connection)["text"].drop_null().to_pylist()))
    model = load_encoder("auto", texts, "auto", cache) if texts else None
    options = SequenceOptions(epochs=arguments.epochs, seed=arguments.seed)
    earlier = cutoff - horizon
    with log.history(earlier) as connection:
        categories = top_categories(connection, arguments.categories)
    encoder = twin = None
    blocks: list[dict[str, npt.NDArray[np.floating]]] = []
    labels = []
    for at in (earlier, cutoff):
        with log.history(at) as connection:
            counts = matrix_of(compute_features(connection, at))
            described = encode_items(connection, cache, encoder=model) if model else None
            items = described or without_texts(connection)
            text = pool_text_profiles(connection, at, described)[1] if described else None
            histories = read_histories(connection, items.item_ids)
        if encoder is None or twin is None:
            began = time.process_time()
            encoder, twin = train_sequence(histories, items, options), make_encoder(histories, items, options)
            spent = time.process_time() - began
            print(f"trained on {encoder.card['acts']:,} acts ({encoder.card['left_out']:,} older left out): {spent:.0f} CPU s")
            for epoch, losses in enumerate(encoder.card["losses"], 1):
                print(f"  epoch {epoch}: " + ", ".join(f"{name} {value:.3f}" for name, value in losses.items()))
        began = time.process_time()
        sequence = sequence_profiles(encoder, histories, items)
        print(f"encoded {len(histories.item):,} acts of {len(histories.user_ids):,} users: {time.process_time() - began:.0f} CPU s")
        values = np.sign(counts.values) * np.log1p(np.abs(counts.values))
        users = histories.user_ids
        assert counts.user_ids == users
        blocks.append(
            {
                "counts": values,
                **({"text": text} if text is not None else {}),
                "sequence": sequence,
                "untaught": sequence_profiles(twin, histories, items),
                "shuffled": sequence_profiles(encoder, shuffled(histories, rng), items),
            }
        )
        table = category_labels(log, at, horizon, categories, arguments.act)
        rows, columns = ({name: place for place, name in enumerate(names)} for names in (users, categories))
        found = np.zeros((len(users), len(categories)), bool)
        for user, category in zip(table["user_id"].to_pylist(), table["category"].to_pylist(), strict=True):
            found[rows[user], columns[category]] = True
        labels.append(found)
    sets = [names for names in SETS if set(names) <= blocks[0].keys()]
    for row in probe_blocks(blocks[0], blocks[1], sets, labels[0], labels[1], rng):
        gain = f"{row.gain:+.4f} [{row.gain_low:+.4f}, {row.gain_high:+.4f}]"
        auc = f"AUC {row.auc:.4f} [{row.low:.4f}, {row.high:.4f}]"
        print(f"{' + '.join(row.blocks):28s} {auc}  against {SETS[0][0]} {gain}  ({row.targets} targets)")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
