"""Sequence profiles: a behaviour transformer learns, without labels, to foresee the acts of this very log.

It learns four things at once: the next item, among those that the batch asks for, corrected for how often each is asked
for (Yi et al. 2019, Sampling-bias-corrected neural modeling); hidden items from what came before them and the rest of
their act; the kind of the next act; how long until it. Items are read by their text vectors and, when they are frequent, a vector of
their own, so a new item with a text is understood at once.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from core import __version__
from core.artifacts import read_arrays, read_json, write_arrays, write_json
from core.encoder.acts import Block, Source, batches_of, thread_limit
from core.encoder.behaviour import Behaviour, Shape
from core.encoder.foresight import judge_foresight
from core.encoder.histories import Histories
from core.encoder.items import ItemVectors
from core.encoder.network import choose_device
from core.encoder.resuming import Resumption, Training, key_of
from core.errors import GateError
from core.messages import say
from core.schema import Progress, silent

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

FREQUENT_FROM = 20
"""Acts from which an item gets a vector of its own; below, its text says more than its few acts."""
MOST_FREQUENT = 20_000
MOST_ASKED = 1024
"""Items that a batch's next-item question chooses among."""
FEWEST_STEPS = 11
"""Of the schedule: with 10 its tenth for warming up ends at step 0, and it divides by that."""
FEWEST_ACTS = 1_000
"""Acts that are followed by another, below which there is nothing to learn from."""


HELD_OUT = 20
"""One shopper in so many is kept out of learning, to judge what was learned."""


@dataclass(frozen=True)
class SequenceOptions:
    """How the transformer is trained."""

    epochs: int = 3
    rate: float = 3e-3
    """Largest step of AdamW (Loshchilov & Hutter 2019), warmed up and brought down along a cosine."""
    masked: float = 0.1
    """Share of items hidden from the input and asked for."""
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    """Of a processor. Small products on two threads cost three times the work of one when the machine is busy."""
    width: int = 64
    layers: int = 2
    memory: int = 1
    """Segments before that each layer keeps; more of them lengthen what reaches a vector (`Shape.reach`), and cost as much again each."""


@dataclass(frozen=True)
class SequenceEncoder:
    """A trained transformer and what it must know to read a log."""

    network: Behaviour = field(repr=False)
    frequent: list[str] = field(repr=False)
    """Items with a vector of their own, in the order of their rows from 1."""
    price_edges: Floats
    """Nine deciles of the prices that it learned from."""
    device: str
    card: dict[str, Any] = field(repr=False)


def train_sequence(
    histories: Histories,
    items: ItemVectors,
    options: SequenceOptions | None = None,
    progress: Progress = silent,
    checkpoints: Path | None = None,
) -> SequenceEncoder:
    """Train on every history given but one in HELD_OUT, on which the trained network is judged.

    None of them may reach past the cutoff of what the profiles are for.

    Args:
        histories: Read with `items.item_ids`.
        items: Text vectors as of the same cutoff; an item without text is read by its own vector alone.
        options: How.
        progress: Told the share of acts done.
        checkpoints: Folder where an interrupted training is kept and found again; on a processor it ends with the same bits.

    Raises:
        StorageError: A checkpoint cannot be written.
        GateError: Fewer than FEWEST_ACTS acts are followed by another.
    """
    options = options or SequenceOptions()
    held = held_out(histories.user_ids)
    learned = histories.only(~held)
    followed = int(np.maximum(learned.lengths - 1, 0).sum())
    if followed < FEWEST_ACTS:
        raise GateError(
            "There are {have} acts with one after them, {need} are needed to learn how acts follow one another.",
            have=followed,
            need=FEWEST_ACTS,
        )
    encoder = make_encoder(learned, items, options)
    network, source = encoder.network, source_of(encoder, learned, items)
    optimiser = torch.optim.AdamW(network.parameters(), lr=options.rate, weight_decay=0.01)
    batches = batches_of(learned.lengths, network.shape.segment, least=2)
    total = options.epochs * sum(len(users) * pieces * width for users, pieces, width in batches)
    planned = max(1, options.epochs * sum(pieces for _, pieces, _ in batches))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=max(planned + 1, FEWEST_STEPS), pct_start=0.1)
    rng, generator = np.random.default_rng(options.seed), torch.Generator().manual_seed(options.seed)
    training = Training(network, optimiser, schedule, rng, generator)
    resumption = Resumption(checkpoints, _key(histories, items, options) if checkpoints else "")
    with thread_limit(options.threads), torch.random.fork_rng():
        torch.manual_seed(options.seed)
        network.train()
        resumed = training.done if resumption.restore(training) else 0
        if resumption.was_damaged:
            progress(0.0, say("the checkpoint of an interrupted training is damaged; training starts again"))
        while training.epoch < options.epochs:
            if training.place == 0:
                training.order = [int(place) for place in rng.permutation(len(batches))]
            for place in training.order[training.place :]:
                _learn_batch(training, source, batches[place], options.masked, progress, total)
                resumption.save(training)
            items_told, kinds_told = max(training.told[1], 1), max(training.told[4], 1)
            told = training.told
            training.losses.append({"next_item": told[0] / items_told, "next_kind": told[2] / kinds_told, "gap": told[3] / kinds_told})
            training.epoch, training.place, training.told = training.epoch + 1, 0, [0.0] * 5
    network.eval()
    encoder.card["foresight"] = judge_foresight(source_of(encoder, histories, items), held, options.seed, options.threads)
    encoder.card.update({"losses": training.losses, "acts": len(histories.item), "left_out": histories.left_out, "epochs": options.epochs})
    encoder.card.update({"resumed_at_act": resumed, "checkpoint_damaged": resumption.was_damaged})
    resumption.finish()
    return encoder


def held_out(user_ids: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whom the transformer never learns from (U,): the same shoppers in every version and at every cutoff."""
    return np.array([crc32(user_id.encode()) % HELD_OUT == 0 for user_id in user_ids], dtype=bool)


def _learn_batch(training: Training, source: "Source", batch: tuple[Ints, int, int], masked: float, progress: Progress, total: int) -> None:
    """Read some users segment by segment, with one step of the optimiser after each."""
    users, pieces, width = batch
    network, generator = source.network, training.generator
    memory = None
    for block in source.segments(users, pieces, width, masked, generator):
        hidden, memory = network(block.acts, source.vectors(block.items), memory)
        loss, parts = _loss(network, source, block, hidden, generator)
        training.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        training.optimiser.step()
        training.schedule.step()
        training.told = [float(before + part) for before, part in zip(training.told, parts, strict=True)]
        training.done += len(users) * width
        progress(training.done / total, say("learning how acts follow one another, {done:,} of {total:,}", done=training.done, total=total))
    training.place += 1


def _key(histories: Histories, items: ItemVectors, options: SequenceOptions) -> str:
    """All that a training is made from."""
    arrays = [getattr(histories, name) for name in ("starts", "item", "kind", "gap", "dwell", "position", "price")]
    words = [json.dumps(asdict(options), sort_keys=True), choose_device(options.device), __version__, *items.item_ids]
    return key_of([*arrays, items.index, items.vectors], *words)


def make_encoder(histories: Histories, items: ItemVectors, options: SequenceOptions) -> SequenceEncoder:
    """Build the network for a log with random weights; `train_sequence` teaches it, and it is the twin that a trained one must beat."""
    counts = np.bincount(histories.item[histories.item >= 0], minlength=len(items.item_ids))
    often = np.flatnonzero(counts >= FREQUENT_FROM)
    often = often[np.argsort(-counts[often], kind="stable")][:MOST_FREQUENT]
    known = histories.price[~np.isnan(histories.price)]
    edges = np.quantile(known, np.linspace(0.1, 0.9, 9)).astype(np.float32) if len(known) else np.zeros(9, np.float32)
    dim = items.vectors.shape[1] if len(items.vectors) else 0
    shape = Shape(text_dim=dim, frequent=len(often), width=options.width, layers=options.layers, memory=options.memory)
    device = choose_device(options.device)
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        network = Behaviour(shape).to(device)
    parameters = sum(p.numel() for p in network.parameters())
    card = {"shape": asdict(shape), "parameters": parameters, "frequent": len(often), "device": device, "values": 2 * shape.width}
    card["reach"] = shape.reach
    return SequenceEncoder(network.eval(), [items.item_ids[int(row)] for row in often], edges, device, card)


def beyond_reach(network: Behaviour, histories: Histories) -> dict[str, int]:
    """Count what no vector tells of: `acts_beyond` the network's reach, of `users_beyond`."""
    beyond = np.maximum(histories.lengths - network.shape.reach, 0)
    return {"acts_beyond": int(beyond.sum()) + histories.left_out, "users_beyond": int((beyond > 0).sum())}


def source_of(encoder: SequenceEncoder, histories: Histories, items: ItemVectors) -> Source:
    """Read histories as an encoder reads them."""
    return Source(histories, items, encoder.network, encoder.frequent, encoder.price_edges, encoder.device)


def sequence_profiles(
    encoder: SequenceEncoder, histories: Histories, items: ItemVectors, threads: int = 1, progress: Progress = silent
) -> Floats:
    """Encode each user: the state after the newest act, and the mean of the newest segment's states, each of length 1.

    What lies beyond the network's reach is not read: it could change a vector only by rounding, where users fall into other batches.

    Args:
        encoder: From `train_sequence`.
        histories: Of any cutoff not before the one that it learned from.
        items: Text vectors as of the same cutoff, of the model that it learned with.
        threads: Of a processor.
        progress: Told the share of acts done.

    Returns:
        (U, 2 · width) float32; zeros for a user without an act.
    """
    network = encoder.network
    width = network.shape.width
    profiles = np.zeros((len(histories.user_ids), 2 * width), np.float32)
    source = source_of(encoder, histories, items)
    batches = batches_of(np.minimum(histories.lengths, network.shape.reach), network.shape.segment, least=1)
    total, done = max(1, sum(len(users) * pieces * size for users, pieces, size in batches)), 0
    with thread_limit(threads), torch.inference_mode():
        for users, pieces, size in batches:
            memory, hidden, there = None, None, None
            for block in source.segments(users, pieces, size, 0.0, None):
                hidden, memory = network(block.acts, source.vectors(block.items), memory)
                there = block.acts.is_there
                done += len(users) * size
            assert hidden is not None
            assert there is not None
            share = there[..., None].float()
            mean = (hidden * share).sum(1) / share.sum(1)
            both = torch.cat([nn.functional.normalize(hidden[:, -1], dim=-1), nn.functional.normalize(mean, dim=-1)], dim=1)
            profiles[users] = both.float().cpu().numpy()
            progress(done / total, say("reading histories, {done:,} of {total:,} acts", done=done, total=total))
    return profiles


def _loss(
    network: Behaviour, source: Source, block: Block, hidden: Tensor, generator: torch.Generator
) -> tuple[Tensor, npt.NDArray[np.float64]]:
    """Loss of a block; beside it the sums of the item, kind and gap losses with how many acts each is of."""
    asks, hides = block.following >= 0, block.acts.masked
    states = torch.cat([network.next_item(hidden[asks]), network.same_item(hidden[hides])])
    wanted = torch.cat([block.following[asks], block.current[hides]])
    if len(wanted) > 2 * MOST_ASKED:
        chosen = torch.randperm(len(wanted), generator=generator)[: 2 * MOST_ASKED].to(wanted.device)
        states, wanted = states[chosen], wanted[chosen]
    told = np.zeros(5)
    loss = hidden.sum() * 0
    if len(wanted):
        choices, right = torch.unique(wanted, return_inverse=True)
        among = nn.functional.normalize(source.vectors(choices.cpu().numpy()), dim=-1)
        scores = nn.functional.normalize(states, dim=-1) @ among.T * network.sharpness.exp()  # (asked, choices)
        item_loss = nn.functional.cross_entropy(scores - source.log_share[choices][None], right)
        loss = loss + item_loss
        told[:2] = float(item_loss.detach()) * len(wanted), len(wanted)
    follows = block.kind >= 0
    if bool(follows.any()):
        after = hidden[follows]
        kind_loss = nn.functional.cross_entropy(network.next_kind(after), block.kind[follows])
        gap_loss = nn.functional.cross_entropy(network.next_gap(after), block.gap[follows])
        loss = loss + 0.3 * kind_loss + 0.3 * gap_loss
        told[2:] = float(kind_loss.detach()) * len(after), float(gap_loss.detach()) * len(after), len(after)
    return loss, told


def save_sequence(folder: Path, encoder: SequenceEncoder) -> None:
    """Write sequence_model.safetensors and sequence_model.json."""
    weights = {name: value.detach().cpu().numpy() for name, value in encoder.network.state_dict().items()}
    write_arrays(folder / "sequence_model.safetensors", weights | {"price_edges": encoder.price_edges})
    write_json(folder / "sequence_model.json", {"shape": asdict(encoder.network.shape), "frequent": encoder.frequent, "card": encoder.card})


def load_sequence(folder: Path, device: str = "auto") -> SequenceEncoder:
    """Read what `save_sequence` wrote.

    Raises:
        StorageError: A file is missing or damaged.
    """
    arrays = read_arrays(folder / "sequence_model.safetensors")
    record = read_json(folder / "sequence_model.json")
    where = choose_device(device)
    network = Behaviour(Shape(**record["shape"]))
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items() if name != "price_edges"})
    return SequenceEncoder(network.to(where).eval(), record["frequent"], arrays["price_edges"], where, record["card"])
