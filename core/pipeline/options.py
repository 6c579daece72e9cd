"""What a caller of the pipeline chooses; each field has the default of the product."""

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
    mapping: str | None = None
    """A JSON file; what it leaves out is guessed."""
    mapping_record: dict[str, Any] | None = None
    """The same, already read."""
    append: bool = False
    time_zone: str = "UTC"
    """Zone of times that carry none."""
    session_gap_minutes: int = 30
    """A longer silence starts a new session (GA4's default)."""


@dataclass(frozen=True)
class ProfileOptions:
    """What a profile holds and which model reads the item texts."""

    blocks: tuple[str, ...] = ("counts", "text")
    model: str = "auto"
    device: str = "auto"
    retrain: float = 0.1
    """Share of new acts above which an append trains the behaviour transformer anew; up to it the earlier one reads on."""

    @property
    def config(self) -> dict[str, Any]:
        """What a profiles run is found by."""
        kept = {"retrain": self.retrain} if "sequence" in self.blocks else {}
        return {"blocks": list(self.blocks), "model": self.model, "device": self.device, **kept}


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
