"""The transformer itself: where it runs, in which precision, and one batch through it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoConfig, AutoModel
from transformers.utils import logging as transformers_logging

from core.encoder.int8 import quantise
from core.encoder.models import Checkpoint
from core.errors import ModelError

_log = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "bf16", "int8")
DEVICES = ("auto", "cuda", "mps", "cpu")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.float32}
_NATIVE_BF16 = ("amx_bf16", "avx10_2", "bf16", "arm_bf16", "sve_bf16")
"""Processor features that multiply bfloat16 faster than float32; without one, bf16 is emulated and slower than fp32."""
_WIDE_BF16 = "avx512_bf16"
"""The same on AMD's processors. Intel's (where AMX is absent, or hidden by a virtual machine) take twice as long by it as in fp32."""
_NATIVE_INT8 = ("avx512_vnni", "avx_vnni", "amx_int8", "avx10_2", "dot", "i8mm")
"""The same for products of 8-bit integers."""

_WITH_POOLER = ("bert", "roberta", "xlm-roberta")


def choose_device(device: str) -> str:
    """Resolve `auto` to CUDA, Apple's MPS, or the processor.

    Raises:
        ModelError: The named device does not exist here.
    """
    at_hand = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if at_hand[name])
    if not at_hand.get(device, False):
        raise ModelError(
            "The device {device!r} is not at hand; use auto or one of {devices}.",
            device=device,
            devices=", ".join(n for n, there in at_hand.items() if there),
        )
    return device


def multiplies_bf16(device: str) -> bool:
    """Whether a device is faster in bfloat16 than in float32: a property of the chip, so that repeated runs decide alike."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    is_wide = bool(capabilities.get(_WIDE_BF16)) and not str(capabilities.get("cpu_name", "")).startswith("Intel")
    return device == "cpu" and (is_wide or any(capabilities.get(feature) for feature in _NATIVE_BF16))


def multiplies_int8(device: str) -> bool:
    """Whether a processor multiplies 8-bit integers in hardware."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device == "cpu" and any(capabilities.get(feature) for feature in _NATIVE_INT8)


def open_network(checkpoint: Checkpoint, device: str, precision: str) -> Any:
    """Load the weights for inference.

    Raises:
        ModelError: The folder does not hold a model that transformers can load without running foreign code.
    """
    options: dict[str, Any] = {"dtype": _DTYPES[precision], "attn_implementation": "sdpa"}
    try:
        config = AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True, trust_remote_code=False)
        if config.model_type in _WITH_POOLER:
            # We pool ourselves; a pooler that the folder lacks would be made up at random.
            options["add_pooling_layer"] = False
        with quiet():
            network = AutoModel.from_pretrained(
                checkpoint.folder, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True, **options
            )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise ModelError(
            "The model {name!r} in {folder} cannot be loaded ({reason}); name another.",
            name=checkpoint.name,
            folder=checkpoint.folder,
            reason=reason,
        ) from error
    if getattr(network.config, "is_encoder_decoder", False):
        raise ModelError("The model {name!r} is an encoder-decoder; name an encoder such as all-MiniLM-L6-v2.", name=checkpoint.name)
    return quantise(network).eval() if precision == "int8" else network.to(device).eval()


def hidden_size(folder: Path) -> int:
    """Return the number of values in a vector.

    Raises:
        ModelError: config.json names none.
    """
    try:
        return int(AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False).hidden_size)
    except (OSError, ValueError, AttributeError, KeyError) as error:
        reason = str(error).strip().split("\n", 1)[0]
        raise ModelError(
            "The model in {folder} is of a kind that cannot be used ({reason}); name a BERT-like encoder.", folder=folder, reason=reason
        ) from error


def run_batch(network: Any, ids: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], device: str, pooling: str) -> torch.Tensor:
    """Push one batch through the network and pool it to unit vectors.

    Args:
        network: From open_network.
        ids: Token ids (B, W), padded on the right.
        lengths: True tokens of each row (B,).
        device: Where the network lies.
        pooling: "mean" over true tokens or "cls".

    Returns:
        Unit vectors (B, D), float32, on the device.
    """
    tokens = torch.from_numpy(ids)
    mask = (torch.arange(ids.shape[1])[None, :] < torch.from_numpy(lengths)[:, None]).long()  # (B, W)
    if device == "cuda":
        tokens, mask = tokens.pin_memory(), mask.pin_memory()
    tokens, mask = tokens.to(device, non_blocking=True), mask.to(device, non_blocking=True)
    hidden = network(input_ids=tokens, attention_mask=mask).last_hidden_state.float()  # (B, W, D)
    if pooling == "cls":
        pooled = hidden[:, 0]  # (B, D)
    else:
        weight = mask.unsqueeze(-1).float()  # (B, W, 1)
        pooled = (hidden * weight).sum(1) / weight.sum(1)  # (B, D)
    return torch.nn.functional.normalize(pooled, dim=-1)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's progress bars, its list of left-out weights and what it tells its own authors off the screen."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
