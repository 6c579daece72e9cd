"""The sorted copy of a version: when a log is large enough to want one, and making it."""

from typing import Any

from core.messages import say
from core.pipeline.screens import Screen, manifest
from core.schema import Progress, silent
from core.store import Dataset, drop_old_copies, sort_events, sorted_events

LARGE = 1_000_000
"""Events from which a question without the copy takes more than a second or two of work (docs/decisions/0034)."""


def wants_sorting(screen: Screen) -> bool:
    """Whether the log on screen is large and its sorted copy is not made yet."""
    return int(manifest(screen).get("rows_kept", 0)) >= LARGE and sorted_events(screen.log.sorted_path) is None


def sort(dataset: Dataset, progress: Progress = silent) -> dict[str, Any]:
    """Make the sorted copy of the current version, unless it is there, and remove those of other versions.

    Raises:
        NotFoundError: The dataset has no version.
        StorageError: It cannot be written.
    """
    progress(0.0, say("sorting the log by shopper"))
    target = dataset.sorted_path()
    sort_events(dataset.log().path, target)
    removed = drop_old_copies(target.parent, {target.name})
    progress(1.0, say("sorting the log by shopper"))
    return {"dataset": dataset.name, "version": target.name, "removed": removed, "warnings": []}
