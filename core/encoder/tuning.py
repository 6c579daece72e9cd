"""A text model tuned to a question: few added weights or all of them, from the same start, on the same rows.

Every way begins with the linear head that is best for the model as it stands (linear probing, then tuning; Kumar et al. 2022,
arXiv:2202.10054), so what a way reaches beyond `head` is what tuning adds.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from core.artifacts import write_json
from core.encoder.encode import TextEncoder
from core.encoder.models import TUNED_FILE
from core.encoder.network import open_network, quiet, run_batch
from core.encoder.tokens import Tokens, tokenise
from core.messages import say
from core.schema import Progress, silent

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

METHODS = ("head", "lora", "adalora", "ia3", "full")
"""`head` trains no weight of the model. LoRA: Hu et al. 2021, arXiv:2106.09685; AdaLoRA: Zhang et al. 2023, arXiv:2303.10512; IA3,
three scales for each layer in place of a bottleneck: Liu et al. 2022, arXiv:2205.05638."""
LABELS = ("acts", "contrastive")
"""What weights learn from: who acts, or which halves of histories belong together."""
RATES = {"lora": 1e-3, "adalora": 2e-3, "ia3": 5e-3, "full": 5e-5}
"""Largest step of each way: about what its paper uses for encoders of this size."""


@dataclass(frozen=True)
class TuningOptions:
    """How long and on what the model is tuned."""

    epochs: int = 2
    batch: int = 16
    rank: int = 8
    """Of LoRA's two factors in every layer; AdaLoRA begins with twice that and ends with it in the mean over layers, its budget."""
    rate: float | None = None
    """Largest step; None takes that of RATES."""
    temperature: float = 0.05
    """Of the contrast between halves of histories (SimCSE's, Gao et al. 2021, arXiv:2104.08821)."""
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
    ranks: dict[str, int]
    """Linear layer → rank of what was added to it, in the order of the network; empty for ways that add no factors."""
    network: Any = field(repr=False)
    """The tuned weights, what was added merged into them."""


@dataclass(frozen=True)
class Task:
    """What a model is tuned to and judged by, as texts."""

    texts: Sequence[str]
    """N histories that the head learns from."""
    labels: Bools
    """(N,), of both kinds."""
    test_texts: Sequence[str]
    """M histories, scored once when training is over."""
    pairs: tuple[Sequence[str], Sequence[str]] | None = None
    """Two halves of each of P histories: with them weights learn to tell whose halves belong together, and no label."""


def tune(encoder: TextEncoder, task: Task, method: str, options: TuningOptions, progress: Progress = silent) -> Tuned:
    """Tune a fresh copy of the model, and score other texts.

    With labels, weights and head learn together by cross-entropy. With pairs, weights alone learn by contrast (InfoNCE: van den Oord et
    al. 2018, arXiv:1807.03748, eq. 4; the other shoppers of a batch are the wrong answers, asked both ways), and the head that is best for
    them is found afterwards, as it is for the model as it stands.

    Args:
        encoder: From `load_encoder`; its own weights stay as they are.
        task: Texts, short enough for the model.
        method: One of METHODS.
        options: How.
        progress: Told along the way.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(options.threads)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            return _tune(encoder, task, method, options, progress)
    finally:
        torch.set_num_threads(before)


def _tune(encoder: TextEncoder, task: Task, method: str, options: TuningOptions, told: Progress) -> Tuned:
    network = open_network(encoder.checkpoint, encoder.device, "fp32")
    parameters = sum(weight.numel() for weight in network.parameters())
    tokens, test_tokens = (tokenise(encoder.tokenizer, encoder.checkpoint, rows) for rows in (task.texts, task.test_texts))
    head = _first_head(encode(network, encoder, tokens), task.labels).to(encoder.device)
    rows = len(task.texts) if task.pairs is None else len(task.pairs[0])
    steps = options.epochs * -(-rows // options.batch)
    network = _wrapped(network, method, options, steps)
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    loss = _label_loss(encoder, head, tokens, task.labels) if task.pairs is None else _contrast(encoder, task.pairs, options.temperature)
    began = time.process_time()
    losses = _learn(network, head if task.pairs is None else None, learned, loss, rows, steps, method, options, told) if learned else []
    seconds = time.process_time() - began
    network.eval()
    if task.pairs is not None and learned:
        head = _first_head(encode(network, encoder, tokens), task.labels).to(encoder.device)
    with torch.inference_mode():
        scores = head(encode(network, encoder, test_tokens)).squeeze(1).cpu().numpy().astype(np.float64)
    trainable, ranks = sum(weight.numel() for weight in learned), _ranks(network)
    merged = network.merge_and_unload() if hasattr(network, "merge_and_unload") else network
    return Tuned(method, trainable, parameters, seconds, losses, scores, ranks, merged)


Loss = Callable[[Any, npt.NDArray[np.int64]], Tensor]
"""A network and rows → the mean loss of these rows."""


def _label_loss(encoder: TextEncoder, head: nn.Module, tokens: Tokens, labels: Bools) -> Loss:
    truth = torch.from_numpy(labels.astype(np.float32)).to(encoder.device)

    def loss(network: Any, rows: npt.NDArray[np.int64]) -> Tensor:
        vectors = run_batch(network, *padded(tokens, rows), encoder.device, encoder.checkpoint.pooling)
        return nn.functional.binary_cross_entropy_with_logits(head(vectors).squeeze(1), truth[rows])

    return loss


def _contrast(encoder: TextEncoder, pairs: tuple[Sequence[str], Sequence[str]], temperature: float) -> Loss:
    newer, older = (tokenise(encoder.tokenizer, encoder.checkpoint, texts) for texts in pairs)

    def loss(network: Any, rows: npt.NDArray[np.int64]) -> Tensor:
        one, other = (run_batch(network, *padded(half, rows), encoder.device, encoder.checkpoint.pooling) for half in (newer, older))
        likeness = one @ other.T / temperature  # (B, B), the right answers on the diagonal
        right = torch.arange(len(rows), device=likeness.device)
        return (nn.functional.cross_entropy(likeness, right) + nn.functional.cross_entropy(likeness.T, right)) / 2

    return loss


def _learn(
    network: Any,
    head: nn.Module | None,
    learned: list[Tensor],
    loss_of: Loss,
    rows: int,
    steps: int,
    method: str,
    options: TuningOptions,
    told: Progress,
) -> list[float]:
    """Train in place; returns the mean loss by epoch."""
    rate = options.rate or RATES[method]
    groups = [{"params": learned, "lr": rate}, *([{"params": list(head.parameters()), "lr": 1e-3}] if head is not None else [])]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [group["lr"] for group in groups], total_steps=steps + 1, pct_start=0.1)
    rng, step, losses = np.random.default_rng(options.seed), 0, []
    network.train()
    for _epoch in range(options.epochs):
        total = 0.0
        for batch in np.array_split(rng.permutation(rows), -(-rows // options.batch)):
            loss = loss_of(network, batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(learned, 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            if method == "adalora":
                network.base_model.update_and_allocate(step)
            total += float(loss.detach()) * len(batch)
            told(step / steps, say("tuning by {method}, step {step} of {steps}", method=method, step=step, steps=steps))
        losses.append(total / rows)
    return losses


def _ranks(network: nn.Module) -> dict[str, int]:
    """Rank that each adapted layer is left with: AdaLoRA's singular values that are not masked, else the height of LoRA's first factor."""
    found = {}
    for name, module in network.named_modules():
        factors = getattr(module, "lora_A", None)
        if not factors:
            continue
        ((adapter, first),) = factors.items()
        layer = name.removeprefix("base_model.model.")
        values = getattr(module, "lora_E", {})
        found[layer] = int((values[adapter] != 0).sum()) if values else int(first.weight.shape[0])
    return found


def save_tuned(folder: Path, encoder: TextEncoder, tuned: Tuned, about: Mapping[str, Any]) -> None:
    """Write tuned weights as a model folder that `find_checkpoint` takes: safetensors, tokenizer, how to pool and cut, and TUNED_FILE.

    Args:
        folder: Made; its name is what the model is called. A name with `e5` among its parts keeps that family's prefix and centring.
        encoder: The model that was tuned.
        tuned: From `tune`.
        about: What TUNED_FILE says; `learned_until` (ISO) is the first instant that it knows nothing of.
    """
    checkpoint = encoder.checkpoint
    folder.mkdir(parents=True)
    network = tuned.network.to("cpu")
    network.requires_grad_(True)
    with quiet():
        network.save_pretrained(folder, safe_serialization=True)
    shutil.copyfile(checkpoint.folder / "tokenizer.json", folder / "tokenizer.json")
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": checkpoint.max_tokens})
    write_json(folder / "config_sentence_transformers.json", {"prompts": {"text": checkpoint.prefix}, "default_prompt_name": "text"})
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_cls_token": checkpoint.pooling == "cls"})
    (folder / "README.md").write_text(
        f"---\nlicense: {checkpoint.licence}\n---\n{checkpoint.name}, tuned by {tuned.method}.\n", encoding="utf-8"
    )
    write_json(folder / TUNED_FILE, dict(about))


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
    with quiet():
        return get_peft_model(network, configs[method]())
