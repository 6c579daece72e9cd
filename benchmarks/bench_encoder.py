"""What the text encoder is worth: ratios of interleaved runs over the same texts, with the same weights and threads.

    python -m benchmarks.bench_encoder --home H --dataset D          the item texts of a dataset, all parts
    python -m benchmarks.bench_encoder                               made-up titles, without the parts that need histories

Parts: `ways` (batches against what simple code and sentence-transformers do), `order` (the same vectors in any company),
`cache` (fresh processes: the first run, a second one, a run after 1 % new texts; peak memory), `naive` (the text block against
encoding each user's history as text, one by one; estimated from a random sample of users, scaled by tokens).

Ratios are of CPU seconds, medians over the rounds: wall times on a shared machine are noise. sentence-transformers is
installed with the package of the English model; where it is missing, its row is left out with a sentence.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.encoder.encode import CPU_BUDGET, TextEncoder, batch_width, encode_texts, load_encoder, plan_batches
from core.encoder.items import encode_items
from core.encoder.network import multiplies_bf16, multiplies_int8, run_batch
from core.encoder.pooling import pool_text_profiles
from core.encoder.texts import item_texts
from core.encoder.tokens import tokenise
from core.store import Home, Log, fetch

WORDS = (
    "organic fresh ground whole dark light roast coffee tea green red blue summer cotton dress shirt phone case charger cable kids "
    "baby soft wheat bread milk low fat free range eggs cheese cheddar sliced frozen pizza beef chicken salad dressing natural shampoo "
    "hair care dog food dry cat litter paper towels kitchen garden set of 12 oz 500 g pack large small premium value"
)
PARTS = ("ways", "order", "cache", "naive")
FAITHFUL = 0.999
"""Least cosine to float32 of a precision that `auto` may choose; others are not judged against the slow ways."""
SLOW = 300
"""Texts that the slow ways are timed on; drawn at random, scaled by tokens."""


def made_up(count: int) -> list[str]:
    """Distinct titles of 4 to 24 words."""
    rng, words = np.random.default_rng(7), WORDS.split()
    return sorted({" ".join(rng.choice(words, int(rng.integers(4, 25)))) for _ in range(count)})


def texts_of(log: Log) -> list[str]:
    """The distinct item texts of a log."""
    with log.history() as connection:
        return sorted(set(item_texts(connection)["text"].drop_null().to_pylist()))


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
        print("sentence-transformers is not installed; its row is left out (pip install sentence-transformers==6.2.0)")
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


def goal(name: str, value: float, limit: float, unit: str = "", *, at_least: bool = True) -> None:
    """Print a figure beside what was aimed at."""
    met = value >= limit if at_least else value <= limit
    print(f"    {'met ' if met else 'MISSED'} {name}: {value:,.4g}{unit} (goal {'>=' if at_least else '<='} {limit:,.4g}{unit})")


def time_ways(texts: list[str], chosen: argparse.Namespace) -> None:
    """Every way over the same texts, one round after another."""
    options = (chosen.model, texts, chosen.device, chosen.cache)
    exact = load_encoder(*options, "fp32", chosen.threads)
    reduced = {"bf16": multiplies_bf16(exact.device), "int8": multiplies_int8(exact.device)}
    fast = {name: load_encoder(*options, name, chosen.threads) for name, pays in reduced.items() if pays}
    print(f"the chip multiplies in hardware: {', '.join(fast) or 'neither bf16 nor int8'}")
    few = texts[:: max(1, len(texts) // SLOW)]
    ways: dict[str, tuple[Callable[[list[str]], Any], list[str]]] = {
        "32 in arrival order": (lambda t: fixed_batches(exact, t, 32), texts),
        "one by one": (lambda t: fixed_batches(exact, t, 1), few),
        "32 padded to 128": (lambda t: fixed_batches(exact, t, 32, 128), few),
        "ours, fp32": (lambda t: encode_texts(exact, t), texts),
    }
    for name, encoder in fast.items():
        ways[f"ours, {name}"] = (lambda t, e=encoder: encode_texts(e, t), texts)  # type: ignore[misc]
    if other := sentence_transformers_way(exact):
        ways["sentence-transformers"] = (other, texts)
    size = {id(some): int(tokenise(exact.tokenizer, exact.checkpoint, some).lengths.sum()) for some in (texts, few)}
    cpus: dict[str, list[float]] = {name: [] for name in ways}
    walls: dict[str, list[float]] = {name: [] for name in ways}
    for run, _ in ways.values():
        run(texts[:32])
    for _ in range(chosen.rounds):
        for name, (run, some) in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(some)
            scale = size[id(texts)] / size[id(some)]
            walls[name].append((time.perf_counter() - wall) * scale)
            cpus[name].append((time.process_time() - cpu) * scale)
    reference, tokens = fixed_batches(exact, few, 1), size[id(texts)]
    inside, filling = padding_share(exact, texts)
    print(f"{len(texts):,} distinct texts, {tokens:,} tokens, {exact.checkpoint.name}, {exact.device}, {chosen.threads} thread(s)")
    print(f"padding inside rows {inside:.1%}, rows that fill up last batches {filling:.1%}")
    print(f"{'way':24} {'wall s':>8} {'CPU s':>8} {'tokens/CPU s':>12} {'ratio':>6} {'least cosine to fp32':>20}")
    middle = {name: statistics.median(spent) for name, spent in cpus.items()}
    cosine = {name: float((np.asarray(run(few), np.float32) * reference).sum(1).min()) for name, (run, _) in ways.items()}
    for name, cpu in middle.items():
        ratio = middle["32 in arrival order"] / cpu
        print(f"{name:24} {min(walls[name]):8.2f} {cpu:8.2f} {tokens / cpu:12,.0f} {ratio:6.2f} {cosine[name]:20.6f}")
    ours = middle["ours, fp32"]
    if other:
        goal("fp32 against sentence-transformers", middle["sentence-transformers"] / ours, 1.2, "x")
        for name, limit in (("bf16", 1.5), ("int8", 1.5)):
            if f"ours, {name}" in middle:
                goal(f"{name} against sentence-transformers", middle["sentence-transformers"] / middle[f"ours, {name}"], limit, "x")
    faithful = [(cpu, name) for name, cpu in middle.items() if name.startswith("ours") and cosine[name] >= FAITHFUL]
    for name, cpu in dict.fromkeys([("ours, fp32", ours), *((name, cpu) for cpu, name in faithful)]):
        for slow, limit in (("one by one", 4.0), ("32 padded to 128", 10.0)):
            goal(f"{name.removeprefix('ours, ')} against {slow}", middle[slow] / cpu, limit, "x")
        goal(f"cosine of {name.removeprefix('ours, ')} to fp32 one by one", cosine[name], FAITHFUL)


def check_order(texts: list[str], chosen: argparse.Namespace) -> None:
    """The same texts in other orders and companies."""
    encoder = load_encoder(chosen.model, texts, chosen.device, chosen.cache, "fp32", chosen.threads)
    whole, rng = encode_texts(encoder, texts), np.random.default_rng(1)
    worst = 0.0
    for size in (len(texts), len(texts) // 3, 7):
        some = rng.permutation(len(texts))[:size]
        worst = max(worst, float(np.abs(encode_texts(encoder, [texts[i] for i in some]) - whole[some]).max()))
    goal("difference in other orders and companies", worst, 1e-5, at_least=False)


def _encode_alone(texts: list[str], cache: Path, model: str, threads: int) -> dict[str, float]:
    """Load and encode in this fresh process; what it took without the imports of libraries."""
    import transformers.models.bert.modeling_bert  # noqa: F401 - AutoModel would import it while the clock runs

    wall, cpu = time.perf_counter(), time.process_time()
    encoder = load_encoder(model, texts, "cpu", cache, "fp32", threads)
    encode_texts(encoder, texts, cache)
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "tokens": float(encoder.card["tokens"])}
    return spent | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)}


def time_cache(texts: list[str], chosen: argparse.Namespace) -> None:
    """A first run, a run after an append of 1 % new texts, a second run: each in a process of its own."""
    texts = texts[: chosen.titles]
    first = texts[: round(len(texts) / 1.01)]
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, some in (("first", first), ("after 1 % new texts", texts), ("second", texts)):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                runs[name] = pool.apply(_encode_alone, (some, Path(folder), chosen.model, chosen.threads))
            told = runs[name]
            print(
                f"{name:20} {len(some):,} texts, {told['tokens']:,.0f} tokens: {told['wall']:.2f} s wall, {told['cpu']:.2f} CPU s,"
                f" {told['tokens'] / told['cpu']:,.0f} tokens/CPU s, peak {told['peak_mb']:,.0f} MB"
            )
    inside, filling = padding_share(load_encoder(chosen.model, texts, "cpu", chosen.cache, "fp32"), texts)
    goal("padding in all", 1 - (1 - inside) * (1 - filling), 0.1, at_least=False)
    goal(f"peak memory of {len(first):,} titles", runs["first"]["peak_mb"], 1024, " MB", at_least=False)
    goal("second run", runs["second"]["cpu"], 2.0, " CPU s", at_least=False)
    goal("after 1 % new texts, share of the first", runs["after 1 % new texts"]["cpu"] / runs["first"]["cpu"], 0.05, at_least=False)


def time_naive(log: Log, chosen: argparse.Namespace) -> None:
    """The text block of everyone against every history as text, one piece of the model's length at a time."""
    with log.history() as connection:
        table = item_texts(connection)
        acts = fetch(
            connection, "SELECT user_id, item_id, count(*) AS acts FROM history WHERE item_id IS NOT NULL GROUP BY ALL ORDER BY ALL"
        )
    text_of = {item: text for item, text in zip(table["item_id"].to_pylist(), table["text"].to_pylist(), strict=True) if text}
    texts = sorted(set(text_of.values()))
    encoder = load_encoder(chosen.model, texts, "cpu", chosen.cache, "fp32", chosen.threads)
    special = tokenise(encoder.tokenizer, encoder.checkpoint, texts[:1]).special
    own = dict(zip(texts, tokenise(encoder.tokenizer, encoder.checkpoint, texts).lengths - special, strict=True))
    history: dict[str, list[tuple[str, int]]] = {}
    for user, item, times in zip(*(acts[name].to_pylist() for name in ("user_id", "item_id", "acts")), strict=True):
        if item in text_of:
            history.setdefault(user, []).append((text_of[item], times))
    total = sum(own[text] * times for rows in history.values() for text, times in rows)
    piece = encoder.checkpoint.max_tokens - special
    users = np.random.default_rng(chosen.seed).permutation(sorted(history))[: chosen.users]
    pieces = [_pieces([text for text, times in history[user] for _ in range(times)], own, piece) for user in users]
    halves, naive, read = np.array_split(np.arange(len(users)), 2), 0.0, 0

    def read_histories(part: np.ndarray) -> None:
        nonlocal naive, read
        for place in part:
            cpu = time.process_time()
            fixed_batches(encoder, pieces[int(place)], 1)
            naive += time.process_time() - cpu
            read += sum(own[text] * times for text, times in history[str(users[int(place)])])

    fixed_batches(encoder, texts[:8], 1)
    read_histories(halves[0])
    cpu = time.process_time()
    with log.history() as connection:
        vectors = encode_items(connection, encoder=encoder)
        assert vectors is not None
        pool_text_profiles(connection, vectors)
    ours = time.process_time() - cpu
    read_histories(halves[1])
    estimated = naive * total / read
    distinct = sum(own.values())
    print(
        f"{len(history):,} histories hold {total:,} tokens, their {len(texts):,} distinct texts {distinct:,}:"
        f" {total / distinct:.1f} times fewer"
    )
    print(
        f"naive, estimated from {len(users)} users drawn at random (seed {chosen.seed}; {read:,} tokens in {naive:.1f} CPU s,"
        f" scaled by tokens): {estimated:,.0f} CPU s; text block with pooling: {ours:.1f} CPU s"
    )
    goal("text block against each history as text, one by one", estimated / ours, 50, "x")
    seen = sum(min(piece, sum(own[text] * times for text, times in rows)) for rows in history.values())
    print(f"    (one pass of {piece} tokens a user would see {seen / total:.1%} of the acts' texts)")


def _pieces(texts: list[str], own: dict[str, Any], most: int) -> list[str]:
    """Join texts until a pass of the model is full."""
    pieces, held, size = [], [], 0
    for text in texts:
        if held and size + own[text] > most:
            pieces.append(" ; ".join(held))
            held, size = [], 0
        held.append(text)
        size += int(own[text]) + 1
    return [*pieces, " ; ".join(held)] if held else pieces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("workspace"))
    parser.add_argument("--dataset", help="whose item texts and histories; without it titles are made up")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--sample", type=int, default=4000, help="distinct texts of `ways` and `order`")
    parser.add_argument("--titles", type=int, default=17_675, help="distinct texts of `cache`, a hundredth of them new: 17,500 and 175")
    parser.add_argument("--users", type=int, default=16, help="whose histories the naive way reads")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    chosen.cache = chosen.home / "cache"
    log = Home(chosen.home).dataset(chosen.dataset).log() if chosen.dataset else None
    texts = texts_of(log) if log else made_up(chosen.sample)
    # Arrival order is no order; a sorted catalogue would make batches in arrival order look better than they are.
    texts = [texts[i] for i in np.random.default_rng(chosen.seed).permutation(len(texts))]
    torch.set_num_threads(chosen.threads)
    for part in chosen.parts.split(","):
        print(f"\n{part}")
        if part == "ways":
            time_ways(texts[: chosen.sample], chosen)
        elif part == "order":
            check_order(texts[: chosen.sample], chosen)
        elif part == "cache":
            time_cache(texts, chosen)
        elif part == "naive" and log:
            time_naive(log, chosen)
        elif part == "naive":
            print("needs a dataset")


if __name__ == "__main__":
    main()
