"""Picture vectors of items, and profiles pooled from them, as of any cutoff of one log."""

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.messages import Message, say
from core.pipeline.options import ProfileOptions
from core.schema import Progress, silent
from core.store import Home, Log, fetch

if TYPE_CHECKING:
    from core.encoder.items import ItemVectors
    from core.encoder.picture_models import PictureEncoder

NO_NAMES = say("the catalogue names no picture")
NO_FOLDER = say("the folder of the catalogue is not at hand; name that of its pictures with --pictures")
NONE_READ = say("no picture that the catalogue names could be read")


class PictureProfiles:
    """Reads and encodes each picture once, pools for each cutoff from the items known before it."""

    def __init__(self, home: Home, log: Log, options: ProfileOptions, folder: Path | None, progress: Progress = silent) -> None:
        self._home, self._log, self._options, self._folder, self._progress = home, log, options, folder, progress
        self._encoder: PictureEncoder | None = None
        self._vectors: dict[datetime, ItemVectors | None] = {}
        self.card: dict[str, Any] = {}
        """Of the newest cutoff: the model, and what became of the pictures."""
        self.missing: Message | None = None
        """Why there are none, after somebody asked."""

    def item_vectors(self, cutoff: datetime) -> "ItemVectors | None":
        """Picture vectors of the items known before the cutoff, or None, and `missing` says why.

        Raises:
            ModelError: The model is not at hand.
        """
        from core.encoder.picture_models import load_picture_encoder
        from core.encoder.pictures import encode_pictures

        if cutoff not in self._vectors:
            began = time.process_time()
            with self._log.history(cutoff) as connection:
                has_names = fetch(connection, "SELECT 1 FROM catalogue WHERE image IS NOT NULL LIMIT 1").num_rows > 0
                if not has_names or self._folder is None:
                    self.missing = NO_FOLDER if has_names else NO_NAMES
                    self._vectors[cutoff] = None
                    return None
                self._encoder = self._encoder or load_picture_encoder(self._options.picture_model, self._options.device)
                vectors, self.card = encode_pictures(connection, self._folder, self._encoder, self._home.path / "cache", self._progress)
            self.card["cpu_seconds"] = round(time.process_time() - began, 1)
            self.missing = None if vectors is not None else NONE_READ
            self._vectors[cutoff] = vectors
        return self._vectors[cutoff]

    def __call__(self, cutoff: datetime) -> npt.NDArray[np.float32] | None:
        """Unit vectors (U, D) of everyone in the history, pooled like texts; zeros for shoppers of items without a picture."""
        from core.encoder.pooling import pool_text_profiles

        vectors = self.item_vectors(cutoff)
        if vectors is None:
            return None
        with self._log.history(cutoff) as connection:
            return pool_text_profiles(connection, vectors)[1]
