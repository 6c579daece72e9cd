"""The behaviour transformer of a kept profile as a source of recommendations, wherever it learned nothing after the cutoff."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.artifacts import is_whole
from core.errors import NotFoundError, StorageError
from core.pipeline.texts import TextProfiles
from core.store import Dataset, Log

if TYPE_CHECKING:
    from core.encoder.sequence import SequenceEncoder
    from core.recommender.options import NextItems

MODEL_FILE = "sequence_model.safetensors"


@dataclass(frozen=True)
class KeptNetwork:
    """A run of profiles that holds a transformer."""

    run: str
    folder: Path
    learned_until: datetime
    texts: str | None
    """Fingerprint of the text model that it read items with, None without texts."""


def kept_network(dataset: Dataset, until: datetime) -> KeptNetwork | None:
    """Find the newest whole run of profiles of this version whose transformer learned nothing from `until` on.

    Args:
        dataset: Whose runs.
        until: The earliest cutoff at which the network is to foresee.
    """
    version, found = dataset.version_path().name, None
    end = dataset.log().until
    for run in dataset.runs("profiles"):
        try:
            record, folder = dataset.run_manifest("profiles", run), dataset.run_path("profiles", run)
            cutoff = record.get("cutoff")
            learned = datetime.fromisoformat(str(cutoff)) if cutoff else end
            if str(record["inputs"]["version"]) != version or not (folder / MODEL_FILE).is_file() or not is_whole(folder):
                continue
            if learned <= until and (found is None or learned >= found.learned_until):
                found = KeptNetwork(run, folder, learned, (record.get("card") or {}).get("fingerprint"))
        except (StorageError, NotFoundError, KeyError):  # damaged, or of a version that is no longer there
            continue
    return found


def open_network(log: Log, texts: TextProfiles, kept: KeptNetwork) -> "Foreseer | None":
    """Load a kept transformer; None when it read items with another text model than the one in use."""
    from core.encoder.sequence import load_sequence

    vectors = texts.item_vectors(log.until)
    if (vectors.card["fingerprint"] if vectors else None) != kept.texts:
        return None
    return Foreseer(log, texts, load_sequence(kept.folder, "cpu"), kept.learned_until)


class Foreseer:
    """Gives what a network foresees at each cutoff of one log."""

    def __init__(self, log: Log, texts: TextProfiles, network: "SequenceEncoder", learned_until: datetime) -> None:
        self._log, self._texts, self._network, self._learned_until = log, texts, network, learned_until

    def __call__(self, cutoff: datetime) -> "NextItems | None":
        """States and vectors; None at a cutoff before the end of what the network learned from."""
        from core.encoder.foreseeing import foresee_items
        from core.encoder.histories import read_histories
        from core.encoder.items import without_texts
        from core.recommender.options import NextItems

        if self._learned_until > cutoff:
            return None
        with self._log.history(cutoff) as connection:
            items = self._texts.item_vectors(cutoff) or without_texts(connection)
            histories = read_histories(connection, items.item_ids)
        states, vectors = foresee_items(self._network, histories, items)
        return NextItems(self._learned_until, histories.user_ids, states, items.item_ids, vectors)
