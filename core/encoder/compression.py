"""Smaller forms of a text model: what each saves in bytes and time, and what it still says."""

import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.utils import prune

from core.encoder.encode import TextEncoder
from core.encoder.int8 import quantise
from core.encoder.network import multiplies_bf16, open_network, run_batch
from core.encoder.sparse import read_sparse, write_sparse
from core.encoder.tokens import Tokens, tokenise
from core.encoder.tuning import encode, padded
from core.messages import say
from core.schema import Progress, part_of, silent

Floats = npt.NDArray[np.float64]

NEIGHBOURS = 10
ROUNDS = 2
"""Times that each form is timed, in turn with the others; its fastest counts."""
DRAWS = 300


@dataclass(frozen=True)
class CompressionOptions:
    """What is pruned away, and how the student learns."""

    pruned: float = 0.5
    """Share of each matrix's smallest weights that become zero (Han et al. 2015, arXiv:1506.02626)."""
    layers: int = 2
    """Of the student, taken evenly from the teacher's (Sanh et al. 2019, arXiv:1910.01108)."""
    epochs: int = 2
    rate: float = 5e-4
    batch: int = 32
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Form:
    """One form of the model on texts that nothing was learned from."""

    form: str
    megabytes: float
    """Of the weights in a file; of pruned matrices only what is not zero is written."""
    tokens_per_cpu_second: float
    cosine: float
    """Mean cosine with the full model's vectors."""
    neighbours: float
    """Share of the NEIGHBOURS nearest texts that are the full model's."""
    low: float
    high: float
    """95 % bootstrap interval over texts."""
    cpu_seconds: float
    """To make it."""


def compress(
    encoder: TextEncoder, texts: Sequence[str], test_texts: Sequence[str], options: CompressionOptions, progress: Progress = silent
) -> list[Form]:
    """Make each smaller form and measure it beside the full model.

    Args:
        encoder: From `load_encoder`, on the processor.
        texts: What the student learns from.
        test_texts: Other texts, more than NEIGHBOURS.
        options: How.
        progress: Told along the way.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            return _compress(encoder, texts, test_texts, options, progress)
    finally:
        torch.set_num_threads(before)


def _compress(
    encoder: TextEncoder, texts: Sequence[str], test_texts: Sequence[str], options: CompressionOptions, progress: Progress
) -> list[Form]:
    full = open_network(encoder.checkpoint, encoder.device, "fp32")
    tokens, test_tokens = (tokenise(encoder.tokenizer, encoder.checkpoint, rows) for rows in (texts, test_texts))
    makers: dict[str, Callable[[], Any]] = {"fp32": lambda: full}
    if multiplies_bf16(encoder.device):
        makers["bf16"] = lambda: copy.deepcopy(full).to(torch.bfloat16)
    if encoder.device == "cpu":
        makers["int8"] = lambda: quantise(copy.deepcopy(full))
    makers["pruned"] = lambda: _pruned(full, options.pruned)
    makers["fewer layers"] = lambda: _fewer_layers(full, options.layers)
    makers["student"] = lambda: _student(full, encoder, tokens, options, part_of(progress, 0.1, 0.7))
    networks, costs = {}, {}
    for name, make in makers.items():
        began = time.process_time()
        networks[name] = make().eval()
        costs[name] = time.process_time() - began
    vectors = {}
    fastest = dict.fromkeys(networks, np.inf)
    for turn in range(ROUNDS):
        for place, (name, network) in enumerate(networks.items()):
            began = time.process_time()
            vectors[name] = encode(network, encoder, test_tokens).cpu().numpy().astype(np.float64)
            fastest[name] = min(fastest[name], time.process_time() - began)
            done = (turn * len(networks) + place + 1) / (ROUNDS * len(networks))
            progress(0.7 + 0.3 * done, say("timing {form}", form=name))
    draws = np.random.default_rng(options.seed).integers(0, len(test_texts), (DRAWS, len(test_texts)))
    wanted = _nearest(vectors["fp32"])
    forms = []
    for name, network in networks.items():
        shared = np.array([len(np.intersect1d(a, b)) for a, b in zip(wanted, _nearest(vectors[name]), strict=True)]) / NEIGHBOURS
        low, high = np.quantile(shared[draws].mean(1), (0.025, 0.975))
        cosine = float((vectors["fp32"] * vectors[name]).sum(1).mean())
        rate = len(test_tokens.ids) / max(fastest[name], 1e-9)
        size = _sparse_megabytes(network) if name == "pruned" else _megabytes(network)
        forms.append(Form(name, size, rate, cosine, float(shared.mean()), float(low), float(high), costs[name]))
    return forms


def _nearest(vectors: Floats) -> npt.NDArray[np.int64]:
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    return np.argsort(-likeness, axis=1, kind="stable")[:, :NEIGHBOURS]


def _pruned(full: Any, share: float) -> Any:
    network = copy.deepcopy(full)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            prune.l1_unstructured(module, "weight", amount=share)
            prune.remove(module, "weight")
    return network


def _fewer_layers(full: Any, layers: int) -> Any:
    """A copy with some of its layers, evenly spaced, the last one among them."""
    network = copy.deepcopy(full)
    kept = np.unique(np.linspace(0, len(network.encoder.layer) - 1, layers).round().astype(int))
    network.encoder.layer = nn.ModuleList(network.encoder.layer[int(place)] for place in kept)
    network.config.num_hidden_layers = len(kept)
    return network


def _student(full: Any, encoder: TextEncoder, tokens: Tokens, options: CompressionOptions, progress: Progress) -> Any:
    """Fewer layers, taught to give the full model's vectors."""
    network = _fewer_layers(full, options.layers)
    aims = encode(full, encoder, tokens)
    network.embeddings.requires_grad_(False)
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=options.rate, weight_decay=0.01)
    count = len(tokens.lengths)
    steps, step, rng = options.epochs * -(-count // options.batch), 0, np.random.default_rng(options.seed)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=steps + 1, pct_start=0.1)
    network.train()
    for _epoch in range(options.epochs):
        for rows in np.array_split(rng.permutation(count), -(-count // options.batch)):
            vectors = run_batch(network, *padded(tokens, rows), encoder.device, encoder.checkpoint.pooling)
            loss = (1 - (vectors * aims[torch.from_numpy(rows).to(aims.device)]).sum(1)).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
            progress(step / steps, say("teaching the student, step {step} of {steps}", step=step, steps=steps))
    return network


def _megabytes(network: Any) -> float:
    """Of the weights as they would be stored."""
    return float(sum(value.numel() * value.element_size() for value in network.state_dict().values()) / 1e6)


def _sparse_megabytes(network: Any) -> float:
    """Of the file that holds a pruned network without its zeros, once it was read back and every weight was the same."""
    weights = {name: value.cpu().numpy() for name, value in network.state_dict().items()}
    pruned = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pruned.safetensors"
        write_sparse(path, weights, pruned)
        back = read_sparse(path)
        assert back.keys() == weights.keys()
        assert all(np.array_equal(back[name], weight) for name, weight in weights.items())
        return path.stat().st_size / 1e6
