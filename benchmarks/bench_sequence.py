"""What training the behaviour transformer costs as a log grows: CPU seconds of one pass and of encoding everyone.

    python -m benchmarks.bench_sequence                                  # 0.1, 0.3, 1 and 3 million acts
    python -m benchmarks.bench_sequence --acts 1000000 10000000

Made-up shoppers of 20 to 1,000 acts each over 20,000 items with text vectors of 384 values; one thread. Linear cost shows as
level columns of CPU seconds for a million acts.
"""

import argparse
import resource
import time

import numpy as np

from core.encoder.histories import Histories
from core.encoder.items import ItemVectors
from core.encoder.sequence import SequenceOptions, sequence_profiles, train_sequence

ITEMS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acts", type=int, nargs="+", default=[100_000, 300_000, 1_000_000, 3_000_000])
    parser.add_argument("--epochs", type=int, default=1)
    arguments = parser.parse_args()
    heads = (
        ("acts", 12),
        ("shoppers", 10),
        ("training, CPU s", 18),
        ("a million", 12),
        ("encoding, CPU s", 18),
        ("a million", 12),
        ("peak MB", 9),
    )
    print("".join(f"{head:>{width}}" for head, width in heads))
    for acts in arguments.acts:
        histories, items = make_log(acts)
        began = time.process_time()
        encoder = train_sequence(histories, items, SequenceOptions(epochs=arguments.epochs, device="cpu"))
        trained = time.process_time()
        sequence_profiles(encoder, histories, items)
        train, encode, millions = trained - began, time.process_time() - trained, len(histories.item) / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{len(histories.item):>12,}{len(histories.user_ids):>10,}{train:>18.1f}{train / millions:>12.1f}{encode:>18.1f}"
            f"{encode / millions:>12.1f}{peak:>9,.0f}",
            flush=True,
        )


def make_log(acts: int) -> tuple[Histories, ItemVectors]:
    """Make histories of about so many acts, lengths spread as real ones are: many short, few long."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(4.0, 1.0, acts // 20), 20, 1000).astype(np.int64)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), acts)) + 1]
    n = int(lengths.sum())
    vectors = rng.standard_normal((ITEMS, 384)).astype(np.float32)
    names = [f"i{place:05d}" for place in range(ITEMS)]
    items = ItemVectors(names, np.arange(ITEMS, dtype=np.int32), vectors / np.linalg.norm(vectors, axis=1, keepdims=True), names)
    nothing = np.full(n, np.nan, np.float32)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    users = [f"u{place:07d}" for place in range(len(lengths))]
    item = (ITEMS * rng.random(n) ** 3).astype(np.int32)
    gap, kind = rng.exponential(3600, n).astype(np.float32), rng.integers(0, 3, n).astype(np.int8)
    return Histories(users, starts, item, kind, gap, nothing, nothing, rng.random(n).astype(np.float32), 0), items


if __name__ == "__main__":
    main()
