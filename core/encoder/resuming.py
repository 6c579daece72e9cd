"""A training's state on disk: one that was cancelled or killed goes on where it was and ends with the same bits.

A checkpoint is one safetensors file with the network, the optimiser and every random state, and a record of the position in
its header; it appears by rename, is named by the hash of all that the training was made from, carries a sha256 of its own
content, and is removed when the training has ended. Nothing in it is ever run.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from core.errors import StorageError

_log = logging.getLogger(__name__)

EVERY_SECONDS = 20.0
"""Work lost by a kill, at most (beside one batch)."""
KEPT_SECONDS = 7 * 24 * 3600
"""How long a checkpoint waits for somebody to ask for the same training again."""


@dataclass
class Training:
    """What changes while a network learns."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: Any
    rng: np.random.Generator
    """Order of batches."""
    generator: torch.Generator
    """What is hidden and chosen inside a batch; dropout draws from torch's own state."""
    epoch: int = 0
    order: list[int] = field(default_factory=list)
    """Batches of this epoch."""
    place: int = 0
    """Batches of this epoch that are done."""
    done: int = 0
    """Acts that are done."""
    told: list[float] = field(default_factory=lambda: [0.0] * 5)
    """Sums of this epoch's losses."""
    losses: list[dict[str, float]] = field(default_factory=list)
    """Of the epochs before."""


class Resumption:
    """The checkpoint file of one training."""

    def __init__(self, folder: Path | None, key: str) -> None:
        """Look for it; without a folder nothing is kept."""
        self.path = folder / f"{key}.safetensors" if folder else None
        self.was_damaged = False
        self._saved_at = time.monotonic()
        if folder and folder.is_dir():
            for path in folder.iterdir():
                with suppress(OSError):  # another process removes it at the same time
                    if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                        path.unlink()

    def restore(self, training: Training) -> bool:
        """Put a training back to where its checkpoint was taken; a damaged one is removed, told and passed over."""
        if self.path is None or not self.path.is_file():
            return False
        try:
            tensors, record = _read(self.path)
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("the checkpoint %s is damaged (%s); training starts again", self.path.name, error)
            self.was_damaged = True
            self.path.unlink(missing_ok=True)
            return False
        training.network.load_state_dict({n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")})
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, row, part = name.split(".")
                state.setdefault(int(row), {})[part] = tensor
        training.optimiser.load_state_dict({"state": state, "param_groups": record["groups"]})
        for group in training.optimiser.param_groups:
            group["betas"] = tuple(group["betas"])
        training.schedule.last_epoch = record["steps"]
        training.rng.bit_generator.state = record["rng"]
        training.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["torch"])
        if "cuda" in tensors:
            torch.cuda.set_rng_state(tensors["cuda"])
        for name in ("epoch", "order", "place", "done", "told", "losses"):
            setattr(training, name, record[name])
        return True

    def save(self, training: Training, *, now: bool = False) -> None:
        """Keep the state when the last one is EVERY_SECONDS old, or now.

        Raises:
            StorageError: The disk is full or the folder may not be written.
        """
        if self.path is None or (not now and time.monotonic() - self._saved_at < EVERY_SECONDS):
            return
        tensors = {f"network.{name}": value for name, value in training.network.state_dict().items()}
        kept = training.optimiser.state_dict()
        tensors |= {f"optimiser.{row}.{part}": value for row, parts in kept["state"].items() for part, value in parts.items()}
        tensors |= {"generator": training.generator.get_state(), "torch": torch.get_rng_state()}
        if any(value.is_cuda for value in tensors.values()):
            tensors["cuda"] = torch.cuda.get_rng_state()
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        names = ("epoch", "order", "place", "done", "told", "losses")
        record = json.dumps(
            {name: getattr(training, name) for name in names}
            | {"groups": kept["param_groups"], "steps": training.schedule.last_epoch, "rng": training.rng.bit_generator.state}
        )
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as stream:
                stream.write(save(tensors, {"record": record, "sha256": _digest(tensors, record)}))
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(self.path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StorageError(
                "The checkpoint {path} cannot be written ({error}); free space or choose another home.", path=self.path, error=error
            ) from error
        self._saved_at = time.monotonic()

    def finish(self) -> None:
        """Remove the checkpoint: its training has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def key_of(arrays: Iterable[npt.NDArray[Any]], *words: str) -> str:
    """Hash all that a training is made from: arrays with their shapes and types, and words."""
    digest = hashlib.sha256(json.dumps([*words, torch.__version__]).encode())
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as stream:
        header = stream.metadata() or {}
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - it is no dictionary
    if header["sha256"] != _digest(tensors, header["record"]):
        raise ValueError("its sha256 differs")
    return tensors, json.loads(header["record"])


def _digest(tensors: dict[str, Tensor], record: str) -> str:
    digest = hashlib.sha256(record.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
