"""Distinct texts → unit vectors that do not depend on what else is encoded with them.

A matrix product may choose another order of sums for another shape, so a text's last bits would depend on its batch.
Here a text's width is a function of its own length, the rows of a batch are a function of that width (the last batch of
a width is filled up), and every batch runs on one thread, several batches side by side: the same text always meets the
same shapes. Measured, with the alternatives: docs/decisions/0002.
"""

import logging
import os
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from core.artifacts import read_json, write_json
from core.encoder.cache import VectorCache, text_keys
from core.encoder.models import AUTO, E5, MINILM, Checkpoint, count_parameters, find_checkpoint, weights_of
from core.encoder.network import PRECISIONS, choose_device, hidden_size, multiplies_bf16, open_network, run_batch
from core.encoder.tokens import Tokens, open_tokenizer, sample_of, tokenise
from core.errors import ModelError, StorageError
from core.messages import Message, say
from core.schema import Progress, silent

_log = logging.getLogger(__name__)

UNKNOWN_LIMIT = 0.05
"""Largest share of unknown tokens at which the small English model still reads the catalogue (MEASURED: Chinese is 100 % unknown to it)."""
BF16_COSINE = 0.999
"""bfloat16 is taken only where its vectors agree with float32 at least this well on the user's own texts."""
BF16_TEXTS = 32
CHECKPOINT_SECONDS = 20.0
CPU_BUDGET = 256
"""Tokens in a batch on a processor: larger ones lose (a batch leaves the cache), smaller ones pay overhead."""
GPU_BUDGET = 16_384
GPU_BUDGET_LIMIT = 131_072
"""On a GPU the budget doubles up to here while it fits in memory."""


@dataclass(frozen=True)
class TextEncoder:
    """A model at hand, with its tokenizer; the weights are read when the first text needs them."""

    checkpoint: Checkpoint
    tokenizer: Tokenizer
    device: str
    precision: str
    dim: int
    """Values in a vector."""
    threads: int
    """Batches that run side by side on a processor."""
    card: dict[str, Any] = field(repr=False)
    """What the screen says about the model on this catalogue."""

    @cached_property
    def network(self) -> Any:
        """The weights on their device."""
        return open_network(self.checkpoint, self.device, self.precision)

    @property
    def cache_name(self) -> str:
        """Folder name of its cached vectors: vectors of another model, precision or device never mix with these."""
        return f"{self.checkpoint.fingerprint[:32]}-{self.precision}-{self.device}"


def load_encoder(
    model: str = AUTO,
    texts: Sequence[str] = (),
    device: str = "auto",
    cache: Path | None = None,
    precision: str = "auto",
    threads: int | None = None,
    cut: Collection[str] = (),
) -> TextEncoder:
    """Choose a model for these texts and get it ready.

    Args:
        model: `auto` (all-MiniLM-L6-v2 while it knows at least 95 % of the tokens, else multilingual-e5-small), one of
            these names, a folder, or a Hugging Face name that is in the local cache.
        texts: Distinct texts that the choice and the card are about.
        device: auto, cuda, mps or cpu.
        cache: Folder for derived data (`Home.path / "cache"`): converted model, checked precision.
        precision: auto, fp32, bf16, or int8 (never chosen by auto: about 1.4 times the speed of fp32 at cosine .995).
        threads: Batches side by side on a processor; default: the processors this process may use.
        cut: Those of the texts that a part was cut of before (`texts.distinct_texts`); the card counts them as truncated, too.

    Raises:
        ModelError: The model or device is not at hand, or the files are not the pinned ones.
        StorageError: The converted model cannot be written.
    """
    if precision not in PRECISIONS:
        raise ModelError("The precision {precision!r} is not known; use one of {known}.", precision=precision, known=", ".join(PRECISIONS))
    folder = cache if cache is not None else Path.home() / ".cache" / "shopper-atlas"
    sample, where = sample_of(texts), choose_device(device)
    if precision == "int8" and where != "cpu":
        raise ModelError("The precision int8 is for processors; on {device} use bf16 or auto.", device=where)
    checkpoint, tokens, why = _choose_model(model, sample, folder)
    tokenizer = open_tokenizer(checkpoint)
    exact = precision if precision != "auto" else _choose_precision(checkpoint, tokenizer, where, sample, folder)
    dim = hidden_size(checkpoint.folder)
    truncated = sum(is_cut or text in cut for text, is_cut in zip(sample, tokens.is_cut.tolist(), strict=True))
    card: dict[str, Any] = {
        "model": checkpoint.name if model == AUTO else model,
        "checkpoint": checkpoint.name,
        "licence": checkpoint.licence,
        "why": why,
        "parameters": count_parameters(checkpoint.folder),
        "bytes": sum(path.stat().st_size for path in weights_of(checkpoint.folder)),
        "dim": dim,
        "max_tokens": checkpoint.max_tokens,
        "prefix": checkpoint.prefix,
        "pooling": checkpoint.pooling,
        "centred": checkpoint.centred,
        "device": where,
        "precision": exact,
        "fingerprint": checkpoint.fingerprint,
        "texts": len(texts),
        "tokens": len(tokens.ids),
        "unknown_share": tokens.unknown_share,
        "truncated_texts": truncated,
        "truncated_share": truncated / len(sample) if sample else 0.0,
        "texts_counted": len(sample),
    }
    return TextEncoder(checkpoint, tokenizer, where, exact, dim, threads or _processors(), card)


def encode_texts(
    encoder: TextEncoder, texts: Sequence[str], cache: Path | None = None, progress: Progress = silent
) -> npt.NDArray[np.float32]:
    """Encode texts to unit vectors; each distinct text once, and only those that the cache does not hold.

    A call that is killed resumes from its last checkpoint, at most 20 s of work lost.

    Args:
        encoder: From load_encoder.
        texts: N texts; repeated ones cost nothing.
        cache: Folder for derived data (`Home.path / "cache"`); None keeps nothing.
        progress: Told the share of tokens done.

    Returns:
        Unit vectors (N, D), float32, in the order of `texts`.

    Raises:
        ModelError: One text alone does not fit in memory.
        StorageError: The cache cannot be written.
    """
    return encode_counted(encoder, texts, cache, progress)[0]


def encode_counted(
    encoder: TextEncoder, texts: Sequence[str], cache: Path | None = None, progress: Progress = silent
) -> tuple[npt.NDArray[np.float32], int]:
    """Do as `encode_texts`, and tell how many distinct texts the cache did not hold."""
    distinct = list(dict.fromkeys(texts))
    keys = text_keys(distinct)
    store = VectorCache(cache / "vectors" / encoder.cache_name) if cache is not None else None
    vectors, found = (
        store.load(keys, encoder.dim) if store else (np.zeros((len(distinct), encoder.dim), np.float32), np.zeros(len(distinct), bool))
    )
    missing = np.flatnonzero(~found)
    if len(missing):
        shards: list[Path] = []
        unsaved: list[npt.NDArray[np.int64]] = []
        saved_at = time.monotonic()
        tokens = tokenise(encoder.tokenizer, encoder.checkpoint, [distinct[i] for i in missing])
        done = 0
        for rows, block in _encode_tokens(encoder, tokens):
            vectors[missing[rows]] = block
            unsaved.append(missing[rows])
            done += int(tokens.lengths[rows].sum())
            progress(done / len(tokens.ids), say("{done:,} of {total:,} tokens encoded", done=done, total=len(tokens.ids)))
            if store and time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                places = np.concatenate(unsaved)
                shards.append(store.add(keys[places], vectors[places]))
                unsaved, saved_at = [], time.monotonic()
        if store:
            store.merge(shards, keys[missing], vectors[missing])
    known = say("1 distinct text") if len(distinct) == 1 else say("{n:,} distinct texts", n=len(distinct))
    progress(1.0, say("{texts}, {new:,} of them new", texts=known, new=len(missing)))
    if len(distinct) == len(texts):
        return vectors, len(missing)
    place = {text: row for row, text in enumerate(distinct)}
    return vectors[[place[text] for text in texts]], len(missing)


def _choose_model(model: str, texts: list[str], cache: Path) -> tuple[Checkpoint, Tokens, Message]:
    if model != AUTO:
        checkpoint = find_checkpoint(model, cache)
        return checkpoint, tokenise(open_tokenizer(checkpoint), checkpoint, texts), say("{model} was asked for.", model=checkpoint.name)
    english = find_checkpoint(MINILM, cache)
    tokens = tokenise(open_tokenizer(english), english, texts)
    share = say("{share:.1%} of the catalogue's tokens are unknown to {model}", share=tokens.unknown_share, model=MINILM)
    if tokens.unknown_share <= UNKNOWN_LIMIT:
        why = say("{unknown}, at most {limit:.0%}: the small English model reads this catalogue.", unknown=share, limit=UNKNOWN_LIMIT)
        return english, tokens, why
    checkpoint = find_checkpoint(E5, cache)
    tokens = tokenise(open_tokenizer(checkpoint), checkpoint, texts)
    why = say(
        "{unknown}, more than {limit:.0%}: {model} reads 100 languages ({left:.1%} unknown).",
        unknown=share,
        limit=UNKNOWN_LIMIT,
        model=E5,
        left=tokens.unknown_share,
    )
    return checkpoint, tokens, why


def _choose_precision(checkpoint: Checkpoint, tokenizer: Tokenizer, device: str, texts: list[str], cache: Path) -> str:
    """bf16 where the chip multiplies it and the user's own texts keep their direction; remembered per model and device."""
    if not texts or not multiplies_bf16(device):
        return "fp32"
    remembered = cache / "vectors" / f"precision-{checkpoint.fingerprint[:32]}-{device}.json"
    if remembered.is_file():
        try:
            return "bf16" if read_json(remembered)["cosine"] >= BF16_COSINE else "fp32"
        except (StorageError, KeyError, TypeError):
            _log.warning("%s is damaged and is made again", remembered)
    probe = [texts[int(place)] for place in np.unique(np.linspace(0, len(texts) - 1, BF16_TEXTS).astype(np.int64))]
    dim = hidden_size(checkpoint.folder)
    exact, fast = (
        encode_texts(TextEncoder(checkpoint, tokenizer, device, precision, dim, _processors(), {}), probe) for precision in ("fp32", "bf16")
    )
    cosine = float((exact * fast).sum(1).min())
    try:
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_json(remembered, {"cosine": cosine, "texts": len(probe), "model": checkpoint.name})
    except OSError as error:
        raise StorageError(
            "{path} cannot be written ({error}); free space or choose another home.", path=remembered, error=error
        ) from error
    return "bf16" if cosine >= BF16_COSINE else "fp32"


def batch_width(length: int, device: str) -> int:
    """Return the padded width of a text: its own length up to 32 tokens, then the next multiple of 4, from 64 on of 8."""
    step = 8 if device != "cpu" or length > 64 else 4 if length > 32 else 1
    return -(-length // step) * step


def plan_batches(lengths: npt.NDArray[np.int64], budget: int, device: str) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """Group texts into batches of (width, rows), longest first, each of at most `budget` padded tokens (but one text)."""
    widths = np.array([batch_width(int(n), device) for n in range(int(lengths.max(initial=0)) + 1)])[lengths]
    order = np.argsort(-widths, kind="stable")
    starts = np.flatnonzero(np.diff(widths[order], prepend=-1))
    batches: list[tuple[int, npt.NDArray[np.int64]]] = []
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        width = int(widths[order[start]])
        rows = max(1, budget // width)
        batches += [(width, order[at : min(at + rows, end)]) for at in range(int(start), int(end), rows)]
    return batches


def _encode_tokens(encoder: TextEncoder, tokens: Tokens) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Yield (rows, vectors) until every text is done; halve the budget when memory runs out, double it on a GPU that copes."""
    on_gpu = encoder.device != "cpu"
    budget = GPU_BUDGET if on_gpu else CPU_BUDGET
    limit = GPU_BUDGET_LIMIT if on_gpu else CPU_BUDGET
    left = np.arange(len(tokens.offsets) - 1)
    while len(left):
        done: list[npt.NDArray[np.int64]] = []
        batches = [(width, left[rows]) for width, rows in plan_batches(tokens.lengths[left], budget, encoder.device)]
        try:
            for rows, block in _run_side_by_side(encoder, tokens, batches, budget):
                done.append(rows)
                yield rows, block
                if budget < limit and len(done) >= 4:
                    break
            budget = min(limit, budget * 2)
        except (torch.OutOfMemoryError, MemoryError) as error:
            longest = max(width for width, _ in batches)
            if budget <= longest:
                raise ModelError(
                    "One text of {tokens} tokens does not fit in memory with {model}; free memory or name a smaller model.",
                    tokens=longest,
                    model=encoder.checkpoint.name,
                ) from error
            budget = limit = max(longest, budget // 2)
            if encoder.device == "cuda":
                torch.cuda.empty_cache()
            _log.warning("out of memory; going on with batches of %d tokens", budget)
        if done:
            left = np.setdiff1d(left, np.concatenate(done))


def _run_side_by_side(
    encoder: TextEncoder, tokens: Tokens, batches: list[tuple[int, npt.NDArray[np.int64]]], budget: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Run batches, on a processor several at a time with one thread each: threads that share one product stall each other."""
    network = encoder.network
    workers = encoder.threads if encoder.device == "cpu" else 1
    before = torch.get_num_threads()

    def work(width: int, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            ids, lengths = _padded(tokens, rows, width, max(1, budget // width))
            vectors: npt.NDArray[np.float32] = run_batch(network, ids, lengths, encoder.device, encoder.checkpoint.pooling).cpu().numpy()
        return vectors[: len(rows)]

    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="encode", initializer=torch.set_num_threads, initargs=(1,))
    try:
        waiting: list[tuple[npt.NDArray[np.int64], Future[npt.NDArray[np.float32]]]] = []
        for width, rows in batches:
            waiting.append((rows, pool.submit(work, width, rows)))
            if len(waiting) > 2 * workers:
                first, future = waiting.pop(0)
                yield first, future.result()
        for rows, future in waiting:
            yield rows, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)


def _padded(tokens: Tokens, rows: npt.NDArray[np.int64], width: int, height: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lay texts into a block (height, width); a last, smaller batch is filled up with its first text."""
    filled = np.concatenate([rows, np.repeat(rows[:1], height - len(rows))])
    lengths = tokens.lengths[filled]
    ids = np.zeros((height, width), np.int64)
    for row, text in enumerate(filled):
        ids[row, : lengths[row]] = tokens.ids[tokens.offsets[text] : tokens.offsets[text + 1]]
    return ids, lengths


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
