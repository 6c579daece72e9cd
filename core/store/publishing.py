"""Publishing is all or nothing: write into a temporary sibling, fsync, rename."""

import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import __version__
from core.artifacts import seal
from core.errors import StorageError


@dataclass
class RunDraft:
    """A run while it is being written; becomes immutable when its `with` block ends."""

    path: Path
    run_id: str
    record: dict[str, Any] = field(default_factory=dict)
    """Whatever the manifest shall say besides kind, inputs, cutoff and config: metrics, timings, device, warnings."""


@contextmanager
def publish(parent: Path, name: str) -> Iterator[RunDraft]:
    """Yield a draft folder; when the block ends without an error, seal it and give it its name below `parent`.

    Raises:
        StorageError: It cannot be written; nothing is left half-way.
    """
    draft = RunDraft(path=parent / f".{name}.{uuid.uuid4().hex[:8]}", run_id=name)
    try:
        draft.path.mkdir()
        yield draft
        seal(draft.path, {"id": name, "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "core": __version__, **draft.record})
        for path in draft.path.rglob("*"):
            _fsync(path)
        draft.path.rename(parent / name)
        _fsync(parent)
    except OSError as error:
        raise StorageError(
            "{path} cannot be written ({error}); nothing was published. Free space or check permissions.", path=parent / name, error=error
        ) from error
    finally:
        shutil.rmtree(draft.path, ignore_errors=True)


def _fsync(path: Path) -> None:
    if path.is_dir() and sys.platform == "win32":
        return  # Windows cannot open a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
