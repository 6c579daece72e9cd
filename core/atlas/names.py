"""Names and descriptions of segments, made from their traits alone: a name says what is over-represented."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from core.atlas.demographics import parts_of
from core.atlas.traits import LEVELS, Trait

TASTES = ("category", "brand", "word", "item")
HABITS = ("cadence", "hours", "days", "event")
NAMING = (*TASTES, *HABITS, *LEVELS, "feature")
"""Kinds of traits that may name a segment: what shoppers do, never who they are."""
LEAST_SHARE = 0.25
"""Of a segment, to be named by a taste: what fewer share is no name for all."""
NEARLY_ALL, CLEAR = 0.9, 2.0
"""A habit that so many share, at least so many times as often as all, comes first in a name: it is what sets the segment apart."""

WORDS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("cadence", "once"): ("One visit", "came on one day only"),
    ("cadence", "daily"): ("Almost daily", "come almost daily"),
    ("cadence", "weekly"): ("Weekly", "come about weekly"),
    ("cadence", "monthly"): ("Monthly", "come about monthly"),
    ("cadence", "rare"): ("Now and then", "come less than every six weeks"),
    ("hours", "night"): ("Nights", "act mostly at night"),
    ("hours", "morning"): ("Mornings", "act mostly in the morning"),
    ("hours", "afternoon"): ("Afternoons", "act mostly in the afternoon"),
    ("hours", "evening"): ("Evenings", "act mostly in the evening"),
    ("days", "weekend"): ("Weekends", "act mostly at weekends"),
    ("days", "weekdays"): ("Weekdays", "act mostly on weekdays"),
    ("event", "impression"): ("Passing by", "are mostly shown items without acting"),
    ("event", "view"): ("Browsing", "mostly look at items"),
    ("event", "click"): ("Clicking", "click more than their share"),
    ("event", "search"): ("Searching", "search more than their share"),
    ("event", "favourite"): ("Saving favourites", "save favourites more than their share"),
    ("event", "share"): ("Sharing", "share items more than their share"),
    ("event", "cart"): ("Filling carts", "put into the cart more than their share"),
    ("event", "remove_from_cart"): ("Emptying carts", "take out of the cart more than their share"),
    ("event", "purchase"): ("Buying directly", "buy with few other acts"),
    ("event", "refund"): ("Returning goods", "return more than their share"),
    ("event", "other"): ("Other acts", "do other things more than their share"),
    ("spend", "high"): ("High spend", "are in the top quarter by spend"),
    ("spend", "low"): ("Low spend", "are in the bottom quarter by spend"),
    ("orders", "high"): ("Many orders", "are in the top quarter by orders"),
    ("orders", "low"): ("Few orders", "are in the bottom quarter by orders"),
    ("orders", "none"): ("No purchase yet", "have not bought yet"),
    ("orders", "some"): ("Buyers", "have bought"),
    ("activity", "high"): ("Very active", "are in the top quarter by activity"),
    ("activity", "low"): ("Seldom active", "are in the bottom quarter by activity"),
    ("recency", "high"): ("Quiet lately", "are in the quarter away longest"),
    ("recency", "low"): ("Active lately", "are in the quarter seen last"),
    ("price", "high"): ("Premium prices", "are in the top quarter by price level"),
    ("price", "low"): ("Low prices", "are in the bottom quarter by price level"),
}
"""(kind, code) → word of a name, and the end of "… % of them <end>"."""

_JUNK = re.compile(
    r"^(misc\w*|others?|unknown|none|null|nan|n/?a|undefined|not set|no .*(description|category|brand)\b.*|.*\bmisc(ellaneous)? items?\b.*|"
    r".*\bcorp use only\b.*|default( category)?|uncategori[sz]ed|test|其他|其它|未知|-+)$",
    re.IGNORECASE,
)
_TELLING = {"spend": 1.3, "price": 1.3, "recency": 1.1}
_SMALL_WORDS = frozenset({"and", "or", "of", "for", "the", "in", "with", "to", "a", "an"})
_FILLER = frozenset(
    {"products", "product", "items", "item", "misc", "all", "other", "and", "or", "the", "of", "for", "with", "goods", "supplies", "prod"}
)
_SHORT_FORMS = {"frzn": "frozen", "froz": "frozen", "refrgratd": "refrigerated", "sft": "soft", "drnk": "drink", "drnks": "drink", "ss": ""}


def tidy(text: str) -> str:
    """Write a catalogue word as people do: the last step of a path, no underscores, Title Case where it was all capitals or all small.

    `FROZEN PIZZA` → `Frozen Pizza`; `electronics.audio.head_phones` → `Head Phones`; Chinese and mixed case stay as they are.
    """
    cleaned = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in unicodedata.normalize("NFC", text)).strip()
    steps = [step for step in re.split(r"\s*(?:>|\||›|::)\s*", cleaned) if step.strip()]
    word = steps[-1] if len(steps) > 1 else cleaned
    if re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", word):
        word = word.rsplit(".", 1)[1]
    word = re.sub(r"[\s_]+", " ", word).strip()
    if word and (word.upper() == word or word.lower() == word) and re.search(r"[A-Za-z]", word):
        word = re.sub(r"[^\W\d_]+(?:['’][^\W\d_]+)*", lambda m: _capital(m.group(), m.start()), word)
    word = re.sub(r"\s*[-,/:]\s*(?:all )?others?$", "", word, flags=re.IGNORECASE)  # `Vegetables - All Others`
    if word.count("(") > word.count(")"):  # cut off by the shop's own field width
        word = word[: word.rindex("(")].rstrip()
    return word[:60] or text[:60]


def is_junk(text: str) -> bool:
    """Say whether a catalogue word tells people nothing (`MISC`, `Unknown`, `NO COMMODITY DESCRIPTION`, `其他`)."""
    return not text.strip() or bool(_JUNK.match(text.strip()))


def trait_words(trait: Trait, titles: Mapping[str, str]) -> str:
    """Word a trait for a name or a table: `Frozen Pizza`, `Weekly`, `High spend`.

    Args:
        trait: The trait.
        titles: Titles of items by id, for traits of kind `item`.
    """
    if (trait.kind, trait.code) in WORDS:
        return WORDS[trait.kind, trait.code][0]
    if trait.kind == "item":
        return tidy(titles.get(trait.code) or f"Item {trait.code}")
    if trait.kind == "feature":
        return "High " + trait.code.replace("_", " ")
    if trait.kind == "word":
        return f"“{trait.code}”"
    if trait.kind == "demographic":
        return demographic_words(trait.code)
    word = tidy(trait.code)
    return f"{trait.kind.capitalize()} {word}" if re.fullmatch(r"[\d\s.]+", word) else word


def demographic_words(code: str) -> str:
    """Write `age=35-44` as `Age: 35-44`, the outer quarters of a number as `Age: ≤ 27`."""
    name, sign, value = parts_of(code)
    mark = {"<=": "≤ ", ">=": "≥ ", "=": ""}[sign]
    return f"{name.replace('_', ' ').capitalize()}: {mark}{value}"


BASE_WORDS = MappingProxyType({"buyers": "buyers", "priced": "shoppers with a known price", "known": "shoppers of whom this is known"})


def trait_sentence(trait: Trait, words: str, among: str = "all shoppers") -> str:
    """Tell a trait with its figures: `2.3× as often favour Frozen Pizza (41 % against 18 % of all shoppers; n = 312)`.

    Where quarters are taken among buyers, the shares are of buyers and the sentence says so; so it does where the users table
    is silent about some.
    """
    if trait.base:
        among = {"all shoppers": "all {base}", "the segment": "the {base} of the segment"}[among].format(base=BASE_WORDS[trait.base])
    if (trait.kind, trait.code) in WORDS:
        act = WORDS[trait.kind, trait.code][1]
    elif trait.kind == "item":
        act = f"choose {words} again and again"
    elif trait.kind == "feature":
        act = f"are in the top quarter by {trait.code.replace('_', ' ')}"
    elif trait.kind == "word":
        act = f"choose items whose text says {words}"
    elif trait.kind == "demographic":
        act = f"are told as {words}"
    else:
        act = f"favour {words}"
    return f"{trait.lift:.1f}× as often {act} ({trait.share_in:.0%} against {trait.share_all:.0%} of {among}; n = {trait.n:,})"


def choose_traits(traits: Sequence[Trait], titles: Mapping[str, str], tastes: int) -> list[Trait]:
    """Choose the traits that name a segment: what nearly all share, up to `tastes` tastes without near-synonyms, one habit, one level.

    A name must fit: the tastes are shared by at least LEAST_SHARE of the segment, habits and levels by four in ten. Demographics
    name nobody.
    """
    shared = [t for t in traits if t.kind in NAMING and t.kind not in TASTES and t.spread >= NEARLY_ALL and t.low >= CLEAR]
    chosen = sorted(shared, key=lambda t: (t.kind == "feature", -t.strength, t.code))[:1]
    known: set[frozenset[str]] = set()
    has_categories = any(trait.kind == "category" for trait in traits)
    for kind in TASTES:
        if kind == "word" and has_categories:
            continue  # a word out of its text (`lean`) says less than a habit where there are categories to lean to
        for trait in _by_worth([t for t in traits if t.kind == kind and t.spread >= LEAST_SHARE]):
            words = trait_words(trait, titles)
            meaning = _meaning(words)
            if len(known) < tastes and not is_junk(trait.code) and not is_junk(words) and meaning and not meaning & set().union(*known):
                chosen.append(trait)
                known.add(frozenset(meaning))
        if known:
            break  # a brand, a word or an item names a segment only where no category does
    for group in (HABITS, LEVELS):
        told = {trait.kind for trait in chosen}
        if not told & set(group):
            chosen += _by_worth([t for t in traits if t.kind in group and t.spread >= 0.4 and t.low >= 1.25])[:1]
    return chosen


@dataclass(frozen=True)
class Named:
    """How a segment of an earlier map was named."""

    name: str
    parts: tuple[tuple[str, str], ...]
    """(kind, code) of the traits that made the name."""


def name_segments(
    traits: Mapping[int, Sequence[Trait]], titles: Mapping[str, str], earlier: Mapping[int, Named] = MappingProxyType({})
) -> dict[int, list[Trait]]:
    """Choose naming traits for all segments so that no two names are equal, adding traits where they would be.

    A segment of an earlier map keeps its name while all traits of it still hold; no other segment takes a name of that map.

    Args:
        traits: Each segment's traits, strongest first; a segment without traits has an empty list.
        titles: Titles of items by id.
        earlier: How segments of the earlier map were named, by id.
    """
    held = {segment: kept for segment, found in traits.items() if (kept := _still(earlier.get(segment), found)) is not None}
    chosen = {segment: held[segment] if segment in held else choose_traits(found, titles, tastes=1) for segment, found in traits.items()}

    def unclear() -> list[int]:
        names = {segment: spell(parts, titles) for segment, parts in chosen.items()}
        given = Counter(names.values())
        barred = {segment: {named.name for other, named in earlier.items() if other != segment} for segment in chosen}
        return [s for s, parts in chosen.items() if s not in held and (not parts or given[names[s]] > 1 or names[s] in barred[s])]

    for tastes in (2, 3):
        for segment in unclear():
            chosen[segment] = choose_traits(traits[segment], titles, tastes)
    for _ in range(3):
        for segment in unclear():
            parts = chosen[segment]
            kinds = {part.kind for part in parts}
            further = [t for t in traits[segment] if t.kind in NAMING and t.kind not in kinds and t.spread >= LEAST_SHARE]
            further = [t for t in further if not is_junk(t.code)]
            chosen[segment] = [*parts, *_by_worth([t for t in further if t.kind != "feature"] or further)[:1]]
    return chosen


def _still(named: Named | None, traits: Sequence[Trait]) -> list[Trait] | None:
    """The traits of an earlier name with their figures of today; None where one no longer holds."""
    if named is None:
        return None
    today = {(trait.kind, trait.code): trait for trait in traits}
    parts = [today.get(part) for part in named.parts]
    if not parts:
        return [] if not traits else None
    return [t for t in parts if t is not None] if all(t is not None and t.spread >= LEAST_SHARE for t in parts) else None


def spell(parts: Sequence[Trait], titles: Mapping[str, str]) -> str:
    """Spell a name: tastes, then habit, then level, joined by a middle dot."""
    return " · ".join(trait_words(part, titles) for part in parts) or "Mixed shoppers"


def make_distinct(names: Mapping[int, str], earlier: Mapping[int, str] = MappingProxyType({})) -> dict[int, str]:
    """Number what is still equal: `Mixed shoppers`, `Mixed shoppers 2`; names of an earlier map stay with their segments."""
    kept = {s: earlier[s] for s, name in names.items() if s in earlier and re.fullmatch(re.escape(name) + r"( \d+)?", earlier[s])}
    seen = set(earlier.values())
    distinct = dict(kept)
    for segment, name in names.items():
        if segment in kept:
            continue
        number, candidate = 1, name
        while candidate in seen:
            number += 1
            candidate = f"{name} {number}"
        seen.add(candidate)
        distinct[segment] = candidate
    return {segment: distinct[segment] for segment in names}


def describe(parts: Sequence[Trait], titles: Mapping[str, str], size: int, share: float) -> str:
    """Describe a segment in one sentence with the figures behind its name."""
    who = f"{size:,} shoppers ({share:.1%})"
    if not parts:
        return f"{who} without a trait that sets them apart from all others."
    return f"{who} who " + "; ".join(trait_sentence(part, trait_words(part, titles)) for part in parts) + "."


def _by_worth(traits: Sequence[Trait]) -> list[Trait]:
    """Strong and wide-spread first; money is told before other measures of the same intensity."""
    return sorted(traits, key=lambda t: (-t.strength * t.share_in * _TELLING.get(t.kind, 1.0), t.code))


def _capital(word: str, start: int) -> str:
    lowered = word.lower()
    return lowered if start and lowered in _SMALL_WORDS else lowered[0].upper() + lowered[1:]


def _meaning(words: str) -> set[str]:
    """Words that carry the meaning, in one spelling, to tell near-synonyms."""
    found = set()
    for word in re.findall(r"[^\W\d_]+", words.lower()):
        plain = _SHORT_FORMS.get(word, word)
        if len(plain) > 1 and plain not in _FILLER:
            found.add(plain[:-1] if len(plain) > 3 and plain.endswith("s") else plain)
    return found or ({words} if re.search(r"\w", words) else set())
