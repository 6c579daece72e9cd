"""The folder that holds everything."""

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import MANIFEST, read_json, write_json
from core.errors import NotFoundError, RuleError, StorageError
from core.messages import say
from core.schema import slug
from core.store.dataset import CURRENT, Dataset

SETTINGS = "settings.json"
"""What holds for all datasets of a home."""
LEAST_K, MOST_K = 2, 1_000_000
"""Bounds of the smallest count of people that is shown: below 2 nothing would be hidden."""
STALE_SECONDS = 3600
"""Temporary folders older than this belong to writers that died."""


@dataclass(frozen=True)
class Home:
    """The folder that holds everything: datasets, jobs, caches."""

    path: Path

    def datasets(self) -> list[str]:
        """List datasets that hold at least one version, by name."""
        folder = self.path / "datasets"
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if (p / CURRENT).is_file())

    def dataset(self, name: str, *, create: bool = False) -> Dataset:
        """Open a dataset by name.

        Raises:
            NotFoundError: It does not exist (and `create` is false), or the name is no valid folder name.
        """
        if not name or slug(name) != name:
            raise NotFoundError(
                "{name!r} cannot name a dataset; use lower-case letters, digits and _, such as {fitting!r}.",
                name=name[:60],
                fitting=slug(name),
            )
        dataset = Dataset(self.path / "datasets" / name)
        if create:
            try:
                dataset.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError("{path} cannot be made ({error}); choose another home.", path=dataset.path, error=error) from error
        elif not (dataset.path / CURRENT).is_file():
            if any(dataset.path.glob(f"versions/*/{MANIFEST}")):
                raise StorageError(
                    "Dataset {dataset!r} has lost {path}; restore it or ingest the log again.", dataset=name, path=dataset.path / CURRENT
                )
            raise NotFoundError(
                "There is no dataset {dataset!r}; there are: {datasets}.",
                dataset=name,
                datasets=", ".join(self.datasets()) or say("none yet, ingest a log first"),
            )
        return dataset

    def sweep(self, older_than: float = STALE_SECONDS) -> None:
        """Remove what writers that died left behind: temporary folders older than so many seconds.

        Whoever holds the lock for heavy work is the only writer and may pass 0.
        """
        for leftover in self.path.glob("datasets/*/*/.*.????????"):
            with suppress(OSError):
                if leftover.is_dir() and time.time() - leftover.stat().st_mtime >= older_than:
                    shutil.rmtree(leftover, ignore_errors=True)

    def cache(self, name: str) -> Path:
        """Return (and make) a folder for derived data that may be deleted at any time."""
        folder = self.path / "cache" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def small_cells(self) -> int:
        """Smallest count of people that is shown from this home; 0 when nothing is hidden, as in a new home."""
        path = self.path / SETTINGS
        return int(read_json(path).get("small_cells", 0)) if path.is_file() else 0

    def save_small_cells(self, k: int) -> None:
        """Keep the smallest count of people that is shown, 0 to hide nothing, and note it in the audit trail.

        Raises:
            RuleError: `k` is 1, negative, or more than anybody has shoppers.
        """
        if k and not LEAST_K <= k <= MOST_K:
            raise RuleError("Small cells are hidden below a count from {least} to {most:,}; got {k}.", least=LEAST_K, most=MOST_K, k=k)
        path = self.path / SETTINGS
        before = self.small_cells()
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(path, {**(read_json(path) if path.is_file() else {}), "small_cells": k})
        self.append_audit({"act": "small cells", "before": before, "hidden_below": k})

    def append_audit(self, record: dict[str, Any]) -> None:
        """Add one line to the audit trail (who did what: ingest, export, erase)."""
        self.path.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **record}, ensure_ascii=False, default=str)
        with (self.path / "audit.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def audit_trail(self) -> list[dict[str, Any]]:
        """Return the lines of the audit trail, oldest first.

        Raises:
            StorageError: A line cannot be read; whoever adds something up over the trail must not pass it over.
        """
        path = self.path / "audit.jsonl"
        entries = []
        for number, line in enumerate(path.read_bytes().splitlines() if path.is_file() else [], start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
                raise StorageError("Line {number} of {path} cannot be read; restore the audit trail.", number=number, path=path)
            entries.append(entry)
        return entries
