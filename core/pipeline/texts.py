"""Item vectors and text profiles as of any cutoff of one log."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.artifacts import read_json
from core.encoder.models import TUNED_FILE, find_checkpoint, picture_fingerprint, text_fingerprint
from core.errors import ModelError
from core.messages import Message, say
from core.pipeline.options import ProfileOptions
from core.schema import Progress, silent
from core.store import Connection, Dataset, Home, Log
from core.windows import newest_learned

if TYPE_CHECKING:
    from core.encoder.encode import TextEncoder
    from core.encoder.items import ItemVectors
    from core.encoder.texts import PricePoints

OUR_MODELS = ("all-MiniLM-L6-v2", "multilingual-e5-small")
"""Models that came with the installation; they are checked when they are loaded."""
TEXT_SPACE = ("fingerprint", "precision", "device")
"""What of a text model's card must be equal for two vectors to lie in one space."""
Profiles = tuple[list[str], npt.NDArray[np.float32]]
"""user ids and (U, D) text profiles in that order."""


@dataclass(frozen=True)
class Kept:
    """What the texts of an earlier version were read with."""

    fingerprint: str = ""
    """Of the text model."""
    centre: npt.NDArray[np.float32] | None = None
    """What was taken out of its vectors (D,)."""
    price_points: tuple[float, ...] | None = None
    """Where the words for a price changed."""


def tuned_until(model: str) -> datetime | None:
    """Until when a model folder that was tuned to a log learned; None for a model that was not."""
    path = Path(model).expanduser() / TUNED_FILE
    if not path.is_file():
        return None
    return datetime.fromisoformat(str(read_json(path)["learned_until"]))


def untuned(options: ProfileOptions) -> ProfileOptions:
    """The same with the model `auto` in place of one that was tuned: what judges must not rest on what learned from the judged window."""
    return replace(options, model="auto") if tuned_until(options.model) else options


def models_now(home: Home, options: ProfileOptions) -> dict[str, str]:
    """What a run rests on besides a version: the weights of models that others can change, as they are now; empty for ours.

    A folder keeps its name when another model is put into it, and so does a model that is fetched again; neither may be taken
    for the one that a run was made with.

    Raises:
        ModelError: A model is not at hand.
    """
    found: dict[str, str | None] = {}
    if {"text", "narrative"} & set(options.blocks):
        found["model"] = text_fingerprint(options.model, home.path / "cache")
    if "image" in options.blocks:
        found["picture_model"] = picture_fingerprint(options.picture_model)
    return {name: fingerprint[:32] for name, fingerprint in found.items() if fingerprint is not None}


def tuned_in_time(
    dataset: Dataset, log: Log, options: ProfileOptions, horizon: timedelta, *, inherited: bool
) -> tuple[ProfileOptions, datetime | None, list[Message]]:
    """Settle whether chances may rest on a model that was tuned to the log: all that is learned from and judged must come after it.

    Args:
        dataset: Named in the way out.
        log: Windows are laid back from its end.
        options: What was chosen.
        horizon: Of the windows.
        inherited: Nobody named the model: one that is too young gives way to `auto`, and a sentence says so.

    Returns:
        What to read texts with; until when it learned from this log, None where it did not; what a reader of the run should know.

    Raises:
        ModelError: The model was named, and learned from windows that are to be judged.
    """
    learned = tuned_until(options.model)
    if learned is None or not {"text", "narrative"} & set(options.blocks):
        return options, None, []
    newest = newest_learned(log.start, log.until, horizon)
    if learned <= newest:
        return options, learned, []
    asked: dict[str, Any] = {
        "model": Path(options.model).name, "learned": f"{learned:%Y-%m-%d %H:%M}", "newest": f"{newest:%Y-%m-%d %H:%M}",
        "days": horizon / timedelta(days=1),
    }  # fmt: skip
    if inherited:
        told = say(
            "The profiles on screen are read by {model}, tuned on events until {learned}; chances are learned from and judged on windows "
            "that start at {newest}, so here the model `auto` reads the texts.",
            **asked,
        )
        return replace(options, model="auto"), None, [told]
    raise ModelError(
        "The model {model} was tuned on events until {learned}, and chances over {days:g} days are learned from and judged on windows that "
        "start at {newest}: figures would tell what it has seen. Tune it on less (tune --dataset {dataset} --cutoff {cutoff} --keep "
        "{method}), then ask again; or choose a shorter horizon, or another model.",
        dataset=dataset.name,
        cutoff=f"{newest.replace(microsecond=0):%Y-%m-%dT%H:%M:%S}",
        method=str(read_json(Path(options.model).expanduser() / TUNED_FILE).get("method", "lora")),
        **asked,
    )


class TextProfiles:
    """Encodes once, pools for each cutoff from the item texts known before it.

    The model is chosen once, on the catalogue at the end of the log, so that vectors of all cutoffs share one space.
    """

    def __init__(
        self,
        home: Home,
        log: Log,
        options: ProfileOptions,
        progress: Progress = silent,
        kept: "Kept | None" = None,
    ) -> None:
        """Check that a named model is at hand, before anything is counted or torch is loaded.

        Args:
            home: Whose cache holds vectors.
            log: Whose texts are read.
            options: Which model reads them.
            progress: Told the share of tokens done.
            kept: What of an earlier version stays while this catalogue's own is near it.

        Raises:
            ModelError: It is not.
        """
        if {"text", "narrative"} & set(options.blocks) and options.model not in ("auto", *OUR_MODELS):
            find_checkpoint(options.model, home.path / "cache")
        self._home, self._log, self._options, self._progress = home, log, options, progress
        self._kept = kept or Kept()
        self._points: dict[datetime, PricePoints] = {}
        self._vectors: dict[datetime, ItemVectors | None] = {}
        self._encoder: TextEncoder | None = None
        self.half_life: float | None = options.half_life
        """Days; None is the usual one."""
        self.weights: Mapping[str, float] | None = None
        """By event type; None are the usual ones."""

    def encoder(self) -> "TextEncoder | None":
        """The text model that reads this log, or None when no item has a text."""
        from core.encoder.encode import load_encoder
        from core.encoder.texts import distinct_texts, item_texts

        if self._encoder is None:
            with self._log.history() as connection:
                texts, cut = distinct_texts(item_texts(connection, self._points_of(connection, self._log.until)))
            if texts:
                self._progress(0.0, say("loading the text model"))
                cache = self._home.path / "cache"
                self._encoder = load_encoder(self._options.model, texts, self._options.device, cache, self._options.precision, cut=cut)
        return self._encoder

    def item_vectors(self, cutoff: datetime) -> "ItemVectors | None":
        """Return text vectors of the items known before the cutoff, or None when no item has a text."""
        from core.encoder.items import encode_items

        if "text" not in self._options.blocks or (encoder := self.encoder()) is None:
            return None
        self._check_time(cutoff)
        if cutoff not in self._vectors:
            with self._log.history(cutoff) as connection:
                points = self._points_of(connection, cutoff)
                vectors = encode_items(
                    connection,
                    self._home.path / "cache",
                    encoder=encoder,
                    kept_centre=self._centre(),
                    points=points,
                    progress=self._progress,
                )
            self._vectors[cutoff] = vectors if vectors is not None and len(vectors.vectors) else None
        return self._vectors[cutoff]

    @property
    def trainings(self) -> Path:
        """Where an interrupted training is kept and found again."""
        return self._home.path / "cache" / "trainings"

    def _check_time(self, cutoff: datetime) -> None:
        until = tuned_until(self._options.model)
        if until is not None and cutoff < until:
            raise ModelError(
                "The model {model} was tuned on events until {until}, so it may read nothing as of {cutoff}; choose a later cutoff, or "
                "another model with --model.",
                model=Path(self._options.model).name,
                until=f"{until:%Y-%m-%d %H:%M}",
                cutoff=f"{cutoff:%Y-%m-%d %H:%M}",
            )

    def _centre(self) -> npt.NDArray[np.float32] | None:
        is_same = self._encoder is not None and self._encoder.card["fingerprint"] == self._kept.fingerprint
        return self._kept.centre if is_same else None

    def _points_of(self, connection: Connection, cutoff: datetime) -> "PricePoints":
        from core.encoder.texts import price_points

        if cutoff not in self._points:
            self._points[cutoff] = price_points(connection, self._kept.price_points)
        return self._points[cutoff]

    def points(self, cutoff: datetime) -> "PricePoints | None":
        """Where the words for a price changed in the texts read as of a cutoff; None where none were read."""
        return self._points.get(cutoff)

    def narratives(self, cutoff: datetime) -> tuple[Profiles, dict[str, Any]] | None:
        """Return vectors of every shopper's history told as a text, and what was cut; None when no item has a text."""
        from core.encoder.encode import encode_texts
        from core.encoder.narrative import TOKENS, cut_to, narratives

        if (encoder := self.encoder()) is None:
            return None
        self._check_time(cutoff)
        with self._log.history(cutoff) as connection:
            users, told = narratives(connection)
        texts, cut = cut_to(encoder.tokenizer, told, TOKENS)
        vectors = encode_texts(encoder, texts, self._home.path / "cache", self._progress)
        card = {"users": len(users), "tokens": TOKENS, "cut_texts": cut, "values": int(vectors.shape[1])}
        return (users, vectors), card | {name: encoder.card[name] for name in TEXT_SPACE}

    def __call__(self, cutoff: datetime) -> Profiles | None:
        from core.encoder.pooling import HALF_LIFE_DAYS, pool_text_profiles

        vectors = self.item_vectors(cutoff)
        if vectors is None:
            return None
        with self._log.history(cutoff) as connection:
            return pool_text_profiles(connection, vectors, self.half_life or HALF_LIFE_DAYS, self.weights)
