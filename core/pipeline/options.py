"""What a caller of the pipeline chooses; each field has the default of the product."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True)
class IngestOptions:
    """Files of a behaviour log and how to read them."""

    events: tuple[str, ...]
    """Files, folders or globs."""
    items: str | None = None
    users: str | None = None
    facts: str | None = None
    """Further facts of items: an item id and any other columns."""
    mapping: str | None = None
    """A JSON file; what it leaves out is guessed."""
    mapping_record: dict[str, Any] | None = None
    """The same, already read."""
    pseudonyms: tuple[str, ...] = ()
    """Canonical columns that are stored as pseudonyms, beside those that the mapping names."""
    append: bool = False
    time_zone: str = "UTC"
    """Zone of times that carry none."""
    session_gap_minutes: int = 30
    """A longer silence starts a new session (GA4's default)."""


CHOICES = ("model", "precision", "memory", "picture_model", "pictures", "user_facts", "half_life")
"""Of `ProfileOptions`, what later stages take over from the profiles on screen, beside the blocks."""


@dataclass(frozen=True)
class ProfileOptions:
    """What a profile holds and which model reads the item texts."""

    blocks: tuple[str, ...] = ("counts", "text")
    model: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    """Of the text model: auto, fp32, bf16 or int8 (see `core.encoder.encode.load_encoder`)."""
    retrain: float = 0.1
    """Share of new acts above which an append trains the behaviour transformer and makes the graph anew; up to it the earlier ones read
    on."""

    memory: int = 1
    """Segments that each layer of the behaviour transformer keeps: with N of them a vector tells of the newest (2N + 1) · 64 acts."""

    picture_model: str = "auto"
    """What reads pictures of items."""
    pictures: str | None = None
    """The folder that they may be read from; None is that of the catalogue."""

    user_facts: bool = False
    """Whether what is known of shoppers themselves (age, income …) is among the facts; off, because it decides by who people are."""

    half_life: float | None = None
    """Days after which an act counts half in text profiles; None lets the log choose, where profiles alone are made."""

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ProfileOptions":
        """Return the options that the configuration of a run tells of."""
        told = {name: config[name] for name in CHOICES if name in config}
        return cls(blocks=tuple(config["blocks"]), **told)

    @property
    def config(self) -> dict[str, Any]:
        """What a profiles run is found by."""
        kept = {"retrain": self.retrain} if {"sequence", "graph"} & set(self.blocks) else {}
        return {"blocks": list(self.blocks), "model": self.model, "device": self.device, **kept, **self.of_blocks}

    @property
    def of_texts(self) -> dict[str, Any]:
        """The precision that texts are read in, where it is not left to the machine."""
        return {} if self.precision == ProfileOptions.precision else {"precision": self.precision}

    def reading(self, blocks: tuple[str, ...]) -> "ProfileOptions":
        """Return options for other blocks whose texts are read in the same way; all else is as by default."""
        return ProfileOptions(blocks, self.model, self.device, self.precision)

    @property
    def of_blocks(self) -> dict[str, Any]:
        """What else single blocks are made by; nothing where they are not asked for, or, of what came later, where it is as by default."""
        image = {"picture_model": self.picture_model, "pictures": self.pictures} if "image" in self.blocks else {}
        text = {"half_life": self.half_life} if "text" in self.blocks else {}
        text |= self.of_texts if {"text", "narrative"} & set(self.blocks) else {}
        sequence = {"memory": self.memory} if "sequence" in self.blocks and self.memory != ProfileOptions.memory else {}
        return text | sequence | image | ({"user_facts": self.user_facts} if "facts" in self.blocks else {})


@dataclass(frozen=True)
class PredictOptions:
    """Which act is predicted, how far ahead."""

    act: str = "purchase"
    horizon: timedelta | None = None
    """None fits it to the length of the log."""
    category: str | None = None
    """A category, or `all`: the chance to buy in it."""
    seed: int = 0
    models: tuple[str, ...] = ()
    """Further models that compete: cnn, gru, transformer (over single acts), lightgbm_text."""
    optimizer: str = "adamw"
    """adamw, adam or sgd, of the networks."""
    look_back_days: float | None = None
    """Only shoppers with an event in so many days before a cutoff are learned from and scored; None: everyone with an event."""
    revenue: bool = False
    """Also what each shopper will spend within the horizon."""
    attributes: bool = False
    """Let models see the shopper attributes (age, region …); off, because chances would then differ by group."""


@dataclass(frozen=True)
class RecommendChoice:
    """Which lists are made."""

    k: int = 20
    source: str = "blend"
    new_only: bool = False
    horizon: timedelta | None = None
    seed: int = 0


@dataclass(frozen=True)
class AudienceOptions:
    """What an audience is worth and who is kept out of its file."""

    name: str = "audience"
    holdout_share: float = 0.1
    margin: float = 0.0
    cost: float = 0.0
    hashed: bool = False
    platform: str | None = None
    """google, meta or tiktok: the file is theirs; None for one of our own."""
    contacts: tuple[tuple[str, str], ...] = ()
    """(field, attribute column) for the file of a platform."""
    calling_code: str = ""
    least_users: int | None = None
    """Fewest users that the file may hold; None for what the dataset's setting says."""


FEWEST_SEGMENTS, MOST_SEGMENTS = 2, 12
"""Segments that people may ask for: one is everybody, and beyond twelve colours repeat."""


@dataclass(frozen=True)
class MapChoice:
    """What people decide about a map."""

    segments: int | None = None
    """Segments wanted; None lets stability decide."""
    demographics: bool = False
    """Whether traits tell what the users table says of people."""

    @property
    def config(self) -> dict[str, Any]:
        """What a run keeps of it: only what was decided, so that maps of earlier releases are found again."""
        return ({"segments": self.segments} if self.segments else {}) | ({"demographics": True} if self.demographics else {})
