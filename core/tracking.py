"""What a run learned, for the tools that people follow trainings with: TensorBoard event files, and Weights & Biases when asked for.

The event file is written here, without TensorBoard: records framed as TFRecord, each a serialised `tensorflow.Event` with one
scalar. Times in it are 0, so that the same run gives the same bytes.
"""

import math
import os
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.messages import Message, say

FOLDER = "tensorboard"
EVENT_FILE = "events.out.tfevents.0000000000.shopper_atlas"
"""TensorBoard looks for `tfevents` in the name."""
WANDB = "SHOPPER_ATLAS_WANDB"
"""Environment variable that asks for Weights & Biases: `offline` writes a folder without any network, `online` sends it."""
WANDB_MODES = ("offline", "online")
CURVES = ("model", "member", "epoch", "train", "validation")
"""Columns of a run's `curves.parquet`."""
LEFT_OUT = frozenset({"config", "inputs", "windows", "warnings", "files", "seconds", "cpu_seconds", "peak_mb", "rows"})
"""Keys of a record whose numbers are no figures of what was learned, or differ from one making to the next."""
MOST_SCALARS = 20_000
"""A run with more would be a table, not a curve."""

Scalar = tuple[str, int, float]
"""Tag, step, value."""


def track(folder: Path, name: str, record: Mapping[str, Any]) -> list[Message]:
    """Write the curves and figures of a run that is about to be published; returns what could not be done.

    Args:
        folder: Of the run; `curves.parquet` (model, member, epoch, train, validation) in it is read when it is there.
        name: Of the run, for people.
        record: Its manifest as far as it is known.
    """
    scalars = list(scalars_of(folder, record))
    if scalars:
        (folder / FOLDER).mkdir()
        write_events(folder / FOLDER / EVENT_FILE, scalars)
    mode = os.environ.get(WANDB, "").strip().lower()
    return _send(folder, name, record, scalars, mode) if scalars and mode not in ("", "off", "disabled") else []


def scalars_of(folder: Path, record: Mapping[str, Any]) -> Iterator[Scalar]:
    """List the curves, then the figures of a run; lists of records are curves by place, single numbers stand at step 0."""
    found: list[Scalar] = []
    curves = pq.read_table(folder / "curves.parquet") if (folder / "curves.parquet").is_file() else None
    if curves is not None and set(CURVES) <= set(curves.column_names):
        for row in curves.to_pylist():
            tag = f"curves/{row['model']}/member {row['member']}"
            found += [(f"{tag}/{part}", int(row["epoch"]), row[part]) for part in CURVES[3:] if row[part] is not None]
    for key, value in sorted(record.items()):
        found += _flat(str(key), value) if key not in LEFT_OUT else ()
    finite = (scalar for scalar in found if math.isfinite(scalar[2]))
    return (scalar for _place, scalar in zip(range(MOST_SCALARS), finite, strict=False))


def _flat(tag: str, value: Any, step: int = 0) -> Iterator[Scalar]:
    if isinstance(value, Mapping):
        for key, inner in sorted(value.items(), key=str):
            if key not in LEFT_OUT:
                yield from _flat(f"{tag}/{key}", inner, step)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            if isinstance(inner, Mapping):
                yield from _flat(tag, inner, place)
    elif hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        yield from _flat(tag, value.item(), step)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield tag, step, float(value)


def write_events(path: Path, scalars: list[Scalar]) -> None:
    """Write scalars as an event file that TensorBoard reads."""
    events = [_key(1, 1) + struct.pack("<d", 0.0) + _bytes(3, b"brain.Event:2")]
    for tag, step, value in scalars:
        scalar = _bytes(1, tag.encode()) + _key(2, 5) + struct.pack("<f", value)
        events.append(_key(1, 1) + struct.pack("<d", 0.0) + _key(2, 0) + _varint(step) + _bytes(5, _bytes(1, scalar)))
    with path.open("wb") as stream:
        for event in events:
            length = struct.pack("<Q", len(event))
            stream.write(length + _checksum(length) + event + _checksum(event))


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """A whole number, seven bits a byte; negative ones as 64-bit two's complement."""
    number &= 2**64 - 1
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _bit in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


def _checksum(content: bytes) -> bytes:
    """CRC-32C, masked as TFRecord wants it."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _send(folder: Path, name: str, record: Mapping[str, Any], scalars: list[Scalar], mode: str) -> list[Message]:
    """Hand a run to Weights & Biases; a training never fails because of it."""
    if mode not in WANDB_MODES:
        return [say("{variable} is {mode!r}; it may be {modes}. Nothing was written for Weights & Biases.",
                    variable=WANDB, mode=mode, modes=", ".join(WANDB_MODES))]  # fmt: skip
    try:
        import wandb
    except ImportError:
        return [say("Weights & Biases was asked for by {variable}, but the package wandb is not installed.", variable=WANDB)]
    place = folder.parents[3]  # the home folder: datasets/<name>/runs/<run>
    try:
        settings = wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True, x_disable_machine_info=True)
        with wandb.init(project="shopper-atlas", name=name, dir=str(place), mode=mode, settings=settings,
                        config=dict(record.get("config") or {})) as run:  # fmt: skip
            steps: dict[int, dict[str, float]] = {}
            for tag, step, value in scalars:
                steps.setdefault(step, {})[tag] = value
            for step in sorted(steps):
                run.log(steps[step], step=step)
    except Exception as error:  # noqa: BLE001 - a foreign service, of which no failure may end a training
        return [say("Weights & Biases took nothing of this run: {error}", error=str(error)[:200])]
    return []
