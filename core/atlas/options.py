"""What a map is asked for, and the earlier map that it goes on from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from core.atlas.levels import FINE
from core.atlas.segments import SegmentOptions
from core.atlas.vocabulary import Tokens


@dataclass(frozen=True)
class AtlasOptions:
    """What people may choose about a map."""

    segments: SegmentOptions = field(default_factory=SegmentOptions)
    subsegments: SegmentOptions = FINE
    time_zone: str = "UTC"
    """In which hours and weekdays of traits are told."""
    tokens: Tokens | None = None
    """Splits texts of items into words for traits of kind `word`; None tells none."""
    demographics: bool = False
    """Whether what the users table says of people is told of segments; it never names them."""
    picture: bool = True
    """False draws principal axes instead of UMAP: instant, for tests and very small machines."""
    redraw: bool = False
    """True lays the whole picture out again, from where it was; False keeps known shoppers where they are while the picture fits."""


@dataclass(frozen=True)
class Previous:
    """An earlier map of the log, as published."""

    users: pa.Table
    segments: pa.Table | None = None
    """Their colours stay."""
    subsegments: pa.Table | None = None
    """Their shades stay."""
    drawn_users: int | None = None
    """Users its picture was laid out for; later ones were placed between them. None: all of its users."""
    trustworthiness: float | None = None
    """Of the picture when it was laid out."""
    method: str | None = None
    """How its segments were found (`metrics.method`): they are gone on from; None looks for segments anew."""
    asked: int | None = None
    """Number of segments that was asked for."""
    split_methods: Mapping[int, str] = field(default_factory=dict)
    """segment_id → how it was split."""
    sought_users: int | None = None
    """Users among whom its segments were last looked for. None: all of its users."""
