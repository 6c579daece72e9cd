"""What the text encoder's batches are worth: ratios of interleaved runs over the same texts, on the same threads.

    python benchmarks/bench_encoder.py                      titles made up from the words of a shop
    python benchmarks/bench_encoder.py --texts FILE.parquet --sample 1500   column `text` of a Parquet file

Every way encodes the same distinct texts with the same weights. Runs are interleaved (one round after another), the
best time of each way counts, and ratios are taken to `32 in arrival order`. Wall times on a shared machine are noise;
CPU seconds are printed beside them.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.encoder.encode import CPU_BUDGET, TextEncoder, batch_width, encode_texts, load_encoder, plan_batches
from core.encoder.network import run_batch
from core.encoder.tokens import tokenise

WORDS = (
    "organic fresh ground whole dark light roast coffee tea green red blue summer cotton dress shirt phone case charger cable kids "
    "baby soft wheat bread milk low fat free range eggs cheese cheddar sliced frozen pizza beef chicken salad dressing natural shampoo "
    "hair care dog food dry cat litter paper towels kitchen garden set of 12 oz 500 g pack large small premium value"
)


def made_up(count: int) -> list[str]:
    """Distinct titles of 4 to 24 words."""
    rng, words = np.random.default_rng(7), WORDS.split()
    return sorted({" ".join(rng.choice(words, int(rng.integers(4, 25)))) for _ in range(count)})


def fixed_batches(encoder: TextEncoder, texts: list[str], size: int, width: int | None = None) -> np.ndarray:
    """Batches of `size` in arrival order, padded to the longest or to `width`: what simple code does."""
    tokens = tokenise(encoder.tokenizer, encoder.checkpoint, texts)
    vectors = np.zeros((len(texts), encoder.dim), np.float32)
    with torch.inference_mode():
        for start in range(0, len(texts), size):
            rows = np.arange(start, min(start + size, len(texts)))
            ids = np.zeros((len(rows), width or int(tokens.lengths[rows].max())), np.int64)
            for row, text in enumerate(rows):
                ids[row, : tokens.lengths[text]] = tokens.ids[tokens.offsets[text] : tokens.offsets[text + 1]]
            vectors[rows] = run_batch(encoder.network, ids, tokens.lengths[rows], encoder.device, encoder.checkpoint.pooling).cpu().numpy()
    return vectors


def sentence_transformers_way(encoder: TextEncoder) -> Callable[[list[str]], np.ndarray] | None:
    """The encode() most people call, on the same folder; None where it is not installed."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return None
    model = SentenceTransformer(str(encoder.checkpoint.folder), device=encoder.device, local_files_only=True)
    prefix = encoder.checkpoint.prefix
    return lambda texts: model.encode([prefix + t for t in texts], batch_size=32, normalize_embeddings=True, show_progress_bar=False)


def padding_share(encoder: TextEncoder, texts: list[str]) -> tuple[float, float]:
    """Shares of padded places inside rows, and of rows that only fill up a last batch."""
    lengths = tokenise(encoder.tokenizer, encoder.checkpoint, texts).lengths
    padded = sum(batch_width(int(n), encoder.device) for n in lengths)
    placed = sum(max(1, CPU_BUDGET // width) * width for width, _ in plan_batches(lengths, CPU_BUDGET, encoder.device))
    return 1 - lengths.sum() / padded, 1 - padded / placed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, help="Parquet file with a column `text`")
    parser.add_argument("--sample", type=int, default=1000, help="distinct texts to encode")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("workspace/cache"))
    chosen = parser.parse_args()
    if chosen.texts:
        column = pq.read_table(chosen.texts, columns=["text"])["text"].to_pylist()
        texts = sorted({text for text in column if text})
    else:
        texts = made_up(chosen.sample)
    # Arrival order is no order; a sorted catalogue would make batches in arrival order look better than they are.
    texts = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))[: chosen.sample]]
    torch.set_num_threads(chosen.threads)
    exact = load_encoder(chosen.model, texts, chosen.device, chosen.cache, "fp32", chosen.threads)
    fast = load_encoder(chosen.model, texts, chosen.device, chosen.cache, "bf16", chosen.threads)
    tokens = exact.card["tokens"]
    one_by_one_texts = texts[:: max(1, len(texts) // 300)]
    reference = fixed_batches(exact, one_by_one_texts, 1)
    ways: dict[str, tuple[Callable[[list[str]], Any], list[str]]] = {
        "32 in arrival order": (lambda t: fixed_batches(exact, t, 32), texts),
        "one by one": (lambda t: fixed_batches(exact, t, 1), one_by_one_texts),
        "32 padded to 128": (lambda t: fixed_batches(exact, t, 32, 128), texts[:: max(1, len(texts) // 300)]),
        "ours, fp32": (lambda t: encode_texts(exact, t), texts),
        "ours, bf16": (lambda t: encode_texts(fast, t), texts),
    }
    if other := sentence_transformers_way(exact):
        ways["sentence-transformers"] = (other, texts)
    walls: dict[str, list[float]] = {name: [] for name in ways}
    cpus: dict[str, list[float]] = {name: [] for name in ways}
    for encoder in (exact, fast):
        encode_texts(encoder, texts[:32])
    for _ in range(chosen.rounds):
        for name, (run, some) in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(some)
            # Ways that run on fewer texts are scaled by texts, which were drawn at random.
            scale = len(texts) / len(some)
            walls[name].append((time.perf_counter() - wall) * scale)
            cpus[name].append((time.process_time() - cpu) * scale)
    print(f"{len(texts):,} distinct texts, {tokens:,} tokens, {exact.checkpoint.name}, {exact.device}, {chosen.threads} thread(s)")
    inside, filling = padding_share(exact, texts)
    print(f"padding inside rows {inside:.1%}, rows that fill up last batches {filling:.1%}")
    print(f"{'way':24} {'wall s':>8} {'CPU s':>8} {'tokens/s':>9} {'ratio':>6} {'cosine to fp32':>14}")
    base = statistics.median(cpus["32 in arrival order"])
    for name, (run, _) in ways.items():
        vectors = np.asarray(run(one_by_one_texts), np.float32)
        cosine = float((vectors * reference).sum(1).min())
        cpu = statistics.median(cpus[name])
        print(f"{name:24} {min(walls[name]):8.2f} {cpu:8.2f} {tokens / min(walls[name]):9,.0f} {base / cpu:6.2f} {cosine:14.6f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"peak memory {peak:,.0f} MB (all ways in one process)")


if __name__ == "__main__":
    main()
