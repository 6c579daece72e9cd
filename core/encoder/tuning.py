"""A text model tuned to a question: few added weights or all of them, from the same start, on the same rows.

Every way begins with the linear head that is best for the model as it stands (linear probing, then tuning; Kumar et al. 2022,
arXiv:2202.10054), so what a way reaches beyond `head` is what tuning adds.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from core.encoder.encode import TextEncoder
from core.encoder.network import open_network, run_batch
from core.encoder.tokens import Tokens, tokenise
from core.messages import say
from core.schema import Progress, silent

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

METHODS = ("head", "lora", "adalora", "ia3", "full")
"""`head` trains no weight of the model. LoRA: Hu et al. 2021, arXiv:2106.09685; AdaLoRA: Zhang et al. 2023, arXiv:2303.10512; IA3,
three scales for each layer in place of a bottleneck: Liu et al. 2022, arXiv:2205.05638."""
RATES = {"lora": 1e-3, "adalora": 2e-3, "ia3": 5e-3, "full": 5e-5}
"""Largest step of each way: about what its paper uses for encoders of this size."""


@dataclass(frozen=True)
class TuningOptions:
    """How long and on what the model is tuned."""

    epochs: int = 2
    batch: int = 16
    rank: int = 8
    """Of LoRA's two factors; AdaLoRA begins with twice that and ends with it."""
    rate: float | None = None
    """Largest step; None takes that of RATES."""
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Tuned:
    """What one way reached."""

    method: str
    trainable: int
    """Weights that learn, the head's not counted."""
    parameters: int
    cpu_seconds: float
    """Of training."""
    losses: list[float]
    """Mean loss by epoch."""
    scores: Floats
    """Logits of the test rows (M,)."""


def tune(
    encoder: TextEncoder,
    texts: Sequence[str],
    labels: Bools,
    test_texts: Sequence[str],
    method: str,
    options: TuningOptions,
    progress: Progress = silent,
) -> Tuned:
    """Tune a fresh copy of the model to labels, and score other texts.

    Args:
        encoder: From `load_encoder`; its own weights stay as they are.
        texts: N texts, short enough for the model.
        labels: (N,), of both kinds.
        test_texts: M texts, scored once when training is over.
        method: One of METHODS.
        options: How.
        progress: Told along the way.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            return _tune(encoder, texts, labels, test_texts, method, options, progress)
    finally:
        torch.set_num_threads(before)


def _tune(
    encoder: TextEncoder,
    texts: Sequence[str],
    labels: Bools,
    test_texts: Sequence[str],
    method: str,
    options: TuningOptions,
    told: Progress,
) -> Tuned:
    network = open_network(encoder.checkpoint, encoder.device, "fp32")
    parameters = sum(weight.numel() for weight in network.parameters())
    tokens, test_tokens = (tokenise(encoder.tokenizer, encoder.checkpoint, rows) for rows in (texts, test_texts))
    head = _first_head(encode(network, encoder, tokens), labels).to(encoder.device)
    steps = options.epochs * -(-len(texts) // options.batch)
    network = _wrapped(network, method, options, steps)
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    losses: list[float] = []
    began = time.process_time()
    if learned:
        rate = options.rate or RATES[method]
        groups = [{"params": learned, "lr": rate}, {"params": list(head.parameters()), "lr": 1e-3}]
        optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [rate, 1e-3], total_steps=steps + 1, pct_start=0.1)
        rng, step = np.random.default_rng(options.seed), 0
        truth = torch.from_numpy(labels.astype(np.float32)).to(encoder.device)
        network.train()
        for _epoch in range(options.epochs):
            total = 0.0
            for rows in np.array_split(rng.permutation(len(texts)), -(-len(texts) // options.batch)):
                vectors = run_batch(network, *padded(tokens, rows), encoder.device, encoder.checkpoint.pooling)
                loss = nn.functional.binary_cross_entropy_with_logits(head(vectors).squeeze(1), truth[rows])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(learned, 1.0)
                optimiser.step()
                schedule.step()
                step += 1
                if method == "adalora":
                    network.base_model.update_and_allocate(step)
                total += float(loss.detach()) * len(rows)
                told(step / steps, say("tuning by {method}, step {step} of {steps}", method=method, step=step, steps=steps))
            losses.append(total / len(texts))
    seconds = time.process_time() - began
    network.eval()
    with torch.inference_mode():
        scores = head(encode(network, encoder, test_tokens)).squeeze(1).cpu().numpy().astype(np.float64)
    return Tuned(method, sum(weight.numel() for weight in learned), parameters, seconds, losses, scores)


def encode(network: Any, encoder: TextEncoder, tokens: Tokens, batch: int = 32) -> Tensor:
    """Unit vectors (N, D) of a network that may be a changed one, texts of like length together."""
    order = np.argsort(tokens.lengths, kind="stable")
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    with torch.inference_mode():
        vectors = torch.cat([run_batch(network, *padded(tokens, rows), encoder.device, encoder.checkpoint.pooling) for rows in batches])
    placed = torch.empty_like(vectors)
    placed[torch.from_numpy(order).to(vectors.device)] = vectors
    return placed.clone()


def padded(tokens: Tokens, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Token ids (B, W), padded on the right to the longest, and lengths (B,)."""
    lengths = tokens.lengths[rows]
    ids = np.zeros((len(rows), int(lengths.max())), np.int64)
    for place, text in enumerate(rows):
        ids[place, : lengths[place]] = tokens.ids[tokens.offsets[text] : tokens.offsets[text + 1]]
    return ids, lengths


def _first_head(vectors: Tensor, labels: Bools) -> nn.Linear:
    """Logistic regression on the vectors as they stand, as a layer."""
    x = vectors.cpu().numpy().astype(np.float64) * np.sqrt(vectors.shape[1])
    fitted = LogisticRegression(C=0.03, max_iter=1000).fit(x, labels)
    head = nn.Linear(vectors.shape[1], 1)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(fitted.coef_ * np.sqrt(vectors.shape[1])))
        head.bias.copy_(torch.from_numpy(fitted.intercept_))
    return head


def _wrapped(network: Any, method: str, options: TuningOptions, steps: int) -> Any:
    """The network with what the method adds; only what learns wants a gradient."""
    network.requires_grad_(method == "full")
    if method in ("head", "full"):
        return network
    from peft import AdaLoraConfig, IA3Config, LoraConfig, get_peft_model

    configs = {
        "lora": lambda: LoraConfig(r=options.rank, lora_alpha=2 * options.rank, lora_dropout=0.05, target_modules="all-linear"),
        "adalora": lambda: AdaLoraConfig(
            init_r=2 * options.rank,
            target_r=options.rank,
            lora_alpha=2 * options.rank,
            tinit=steps // 10,
            tfinal=steps // 3,
            deltaT=max(1, steps // 20),
            total_step=steps,
            target_modules="all-linear",
        ),
        "ia3": lambda: IA3Config(),
    }
    return get_peft_model(network, configs[method]())
