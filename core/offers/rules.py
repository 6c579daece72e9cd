"""A merchant's rule set: what a person writes as JSON, checked, and kept as a frozen record."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any

from core.errors import RuleError
from core.messages import say

BOUGHT = ("keep", "leave_out", "rebuyable")
"""What happens to items that the shopper bought: they stay, they go, they stay in categories that people buy again."""
MOST_VALUES = 1_000_000
"""Ids, words or names in one list."""
MOST_TEXT = 400
"""Characters of one id, word or name."""
MOST_WEIGHT = 10.0
MOST_PLACE = 200
BLEND = "blend"


@dataclass(frozen=True)
class Block:
    """What is never shown to anyone."""

    items: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """Whole words of title, category, brand or description, in any case; text of scripts without spaces is found anywhere."""


@dataclass(frozen=True)
class Price:
    """Price range; an item of unknown price stays unless a bound is given."""

    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Caps:
    """Most items of one category in a list."""

    each: int | None = None
    categories: Mapping[str, int] = field(default_factory=dict)
    """Goes before `each`; letters of any case."""

    @cached_property
    def folded(self) -> dict[str, int]:
        """Caps by the name of the category in small letters."""
        return {name.casefold(): most for name, most in self.categories.items()}


@dataclass(frozen=True)
class Pin:
    """An item that stands at a place of every list."""

    item: str
    place: int = 1


@dataclass(frozen=True)
class Frequency:
    """How often the same item may come to the same shopper; 0 asks nothing."""

    exports: int = 0
    """Items in the shopper's list of any of so many last exports go."""
    impressions: int = 0
    """Items shown so many times …"""
    days: int = 7
    """… in so many last days of the log go."""


@dataclass(frozen=True)
class Boost:
    """Factors on the score; 0 hides, 1 changes nothing."""

    items: Mapping[str, float] = field(default_factory=dict)
    brands: Mapping[str, float] = field(default_factory=dict)
    categories: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RuleSet:
    """Everything a merchant may ask of the lists; the empty set changes nothing."""

    name: str = ""
    bought: str = "keep"
    """One of BOUGHT."""
    stock: tuple[str, ...] | None = None
    """The only items that may be shown; None for all."""
    price: Price = field(default_factory=Price)
    caps: Caps = field(default_factory=Caps)
    pins: tuple[Pin, ...] = ()
    block: Block = field(default_factory=Block)
    frequency: Frequency = field(default_factory=Frequency)
    boost: Boost = field(default_factory=Boost)
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of `blend` and of sources; empty for the blend alone."""
    diversity: float = 0.0
    """0: the order as it is; 1: as unlike each other as possible."""
    popularity: float = 0.0
    """-1: what few buy, 0: as it is, 1: what many buy."""


def rules_from(record: Any) -> RuleSet:
    """Check what a person wrote and make a rule set of it; see docs/offer-rules.md for the form.

    Raises:
        RuleError: A name is unknown, or a value is of the wrong kind or out of range.
    """
    found = _object(record, "the rule set", RuleSet)
    stock = found.get("stock")
    return RuleSet(
        name=_text(found.get("name", ""), "name", empty=True)[:80],
        bought=_one_of(found.get("bought", "keep"), "bought", BOUGHT),
        stock=None if stock is None else _texts(stock, "stock"),
        price=_price(found.get("price") or {}),
        caps=_caps(found.get("caps") or {}),
        pins=_pins(found.get("pins") or []),
        block=Block(
            **{name: _texts(values, f"block.{name}") for name, values in _object(found.get("block") or {}, "block", Block).items()}
        ),
        frequency=Frequency(
            **{
                name: _whole(value, f"frequency.{name}", 0, 3650)
                for name, value in _object(found.get("frequency") or {}, "frequency", Frequency).items()
            }
        ),
        boost=Boost(
            **{name: _factors(values, f"boost.{name}") for name, values in _object(found.get("boost") or {}, "boost", Boost).items()}
        ),
        weights=_factors(found.get("weights") or {}, "weights"),
        diversity=_number(found.get("diversity", 0.0), "diversity", 0, 1),
        popularity=_number(found.get("popularity", 0.0), "popularity", -1, 1),
    )


def record_of(rules: RuleSet) -> dict[str, Any]:
    """Return a rule set as JSON holds it, without what asks nothing; `rules_from` reads it back as the same set."""
    whole, usual = asdict(rules), asdict(RuleSet())
    kept = {name: value for name, value in whole.items() if value != usual[name]}
    for name in ("price", "caps", "block", "frequency", "boost"):
        if name in kept:
            kept[name] = {key: _listed(value) for key, value in kept[name].items() if value != usual[name][key]}
    return {name: _listed(value) for name, value in kept.items()}


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _object(value: Any, where: str, form: type) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise RuleError("{where} is {value}; write an object with names and values.", where=where, value=_short(value))
    names = [f.name for f in fields(form)]
    for name in value:
        if name not in names:
            raise RuleError("{where} knows no {name}; choose among {names}.", where=where, name=_short(name), names=", ".join(names))
    return dict(value)


def _price(value: Any) -> Price:
    found = _object(value, "price", Price)
    least, most = (None if found.get(n) is None else _number(found[n], f"price.{n}", 0, 1e12) for n in ("least", "most"))
    if least is not None and most is not None and least > most:
        raise RuleError("The price range begins at {least} and ends at {most}; swap them.", least=least, most=most)
    return Price(least, most)


def _caps(value: Any) -> Caps:
    found = _object(value, "caps", Caps)
    each = None if found.get("each") is None else _whole(found["each"], "caps.each", 1, MOST_PLACE)
    named = found.get("categories") or {}
    if not isinstance(named, Mapping):
        raise RuleError("{where} is {value}; write an object with names and values.", where="caps.categories", value=_short(named))
    return Caps(each, {_text(k, "caps.categories"): _whole(v, "caps.categories", 0, MOST_PLACE) for k, v in named.items()})


def _pins(value: Any) -> tuple[Pin, ...]:
    if not isinstance(value, list | tuple):
        raise RuleError("{where} is {value}; write a list.", where="pins", value=_short(value))
    pins = []
    for one in value:
        found = _object(one, "pins", Pin)
        pins.append(Pin(_text(found.get("item"), "pins.item"), _whole(found.get("place", 1), "pins.place", 1, MOST_PLACE)))
    for what, named in ((say("place"), [p.place for p in pins]), (say("item"), [p.item for p in pins])):
        if len(set(named)) < len(named):
            raise RuleError("Two pins name the same {what}; keep one of them.", what=what)
    return tuple(sorted(pins, key=lambda pin: pin.place))


def _factors(value: Any, where: str) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise RuleError("{where} is {value}; write an object with names and values.", where=where, value=_short(value))
    return {_text(name, where): _number(factor, where, 0, MOST_WEIGHT) for name, factor in value.items()}


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MOST_VALUES:
        raise RuleError("{where} is {value}; write a list of at most {most:,} texts.", where=where, value=_short(value), most=MOST_VALUES)
    return tuple(dict.fromkeys(_text(one, where) for one in value))


def _text(value: Any, where: str, *, empty: bool = False) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # ids of digits, as JSON people write them
    if not isinstance(value, str) or not (empty or value.strip()) or len(value) > MOST_TEXT:
        raise RuleError("{where} holds {value}; write a text of 1 to {most} characters.", where=where, value=_short(value), most=MOST_TEXT)
    return value.strip()


def _one_of(value: Any, where: str, names: tuple[str, ...]) -> str:
    if value not in names:
        raise RuleError("{where} is {value}; choose among {names}.", where=where, value=_short(value), names=", ".join(names))
    return str(value)


def _whole(value: Any, where: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RuleError(
            "{where} is {value}; write a whole number from {least} to {most}.", where=where, value=_short(value), least=least, most=most
        )
    return value


def _number(value: Any, where: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not least <= value <= most:
        raise RuleError(
            "{where} is {value}; write a number from {least:g} to {most:g}.", where=where, value=_short(value), least=least, most=most
        )
    return float(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
