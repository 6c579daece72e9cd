"""Names and descriptions of segments, made from their traits alone: a name says what is over-represented."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from core.atlas.traits import LEVELS, Trait

TASTES = ("category", "brand", "item")
HABITS = ("cadence", "hours", "days", "event")

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
    word = tidy(trait.code)
    return f"{trait.kind.capitalize()} {word}" if re.fullmatch(r"[\d\s.]+", word) else word


def trait_sentence(trait: Trait, words: str, among: str = "all shoppers") -> str:
    """Tell a trait with its figures: `2.3× as often favour Frozen Pizza (41 % against 18 % of all shoppers; n = 312)`."""
    if (trait.kind, trait.code) in WORDS:
        act = WORDS[trait.kind, trait.code][1]
    elif trait.kind == "item":
        act = f"choose {words} again and again"
    elif trait.kind == "feature":
        act = f"are in the top quarter by {trait.code.replace('_', ' ')}"
    else:
        act = f"favour {words}"
    return f"{trait.lift:.1f}× as often {act} ({trait.share_in:.0%} against {trait.share_all:.0%} of {among}; n = {trait.n:,})"


def choose_traits(traits: Sequence[Trait], titles: Mapping[str, str], tastes: int, least_share: float = 0.25) -> list[Trait]:
    """Choose the traits that name a segment: up to `tastes` tastes without near-synonyms, one habit, one level.

    A name must fit: the tastes are shared by at least `least_share` of the segment, habits and levels by four in ten.
    """
    chosen: list[Trait] = []
    known: set[str] = set()
    for kind in TASTES:
        for trait in _by_worth([t for t in traits if t.kind == kind and t.share_in >= least_share]):
            words = trait_words(trait, titles)
            meaning = _meaning(words)
            if len(chosen) < tastes and not is_junk(trait.code) and not is_junk(words) and meaning and not meaning & known:
                chosen.append(trait)
                known |= meaning
        if chosen:
            break  # a brand or an item names a segment only where no category does
    for group in (HABITS, LEVELS):
        chosen += _by_worth([t for t in traits if t.kind in group and t.share_in >= 0.4 and t.low >= 1.25])[:1]
    return chosen


def name_segments(traits: Mapping[int, Sequence[Trait]], titles: Mapping[str, str]) -> dict[int, list[Trait]]:
    """Choose naming traits for all segments so that no two names are equal, adding tastes where they would be.

    Args:
        traits: Each segment's traits, strongest first; a segment without traits has an empty list.
        titles: Titles of items by id.
    """
    chosen = {segment: choose_traits(found, titles, tastes=1) for segment, found in traits.items()}
    for tastes, least_share in ((2, 0.25), (2, 0.15), (3, 0.1)):
        names = [spell(parts, titles) for parts in chosen.values()]
        for segment, parts in chosen.items():
            if not parts or names.count(spell(parts, titles)) > 1:
                chosen[segment] = choose_traits(traits[segment], titles, tastes, least_share)
    for _ in range(3):
        names = [spell(parts, titles) for parts in chosen.values()]
        for segment, parts in chosen.items():
            if not parts or names.count(spell(parts, titles)) > 1:
                kinds = {part.kind for part in parts}
                further = [t for t in traits[segment] if t.kind not in kinds and t.share_in >= 0.15 and not is_junk(t.code)]
                chosen[segment] = [*parts, *_by_worth([t for t in further if t.kind != "feature"] or further)[:1]]
    return chosen


def spell(parts: Sequence[Trait], titles: Mapping[str, str]) -> str:
    """Spell a name: tastes, then habit, then level, joined by a middle dot."""
    return " · ".join(trait_words(part, titles) for part in parts) or "Mixed shoppers"


def make_distinct(names: Mapping[int, str]) -> dict[int, str]:
    """Number what is still equal: `Mixed shoppers`, `Mixed shoppers 2`."""
    seen: set[str] = set()
    distinct = {}
    for segment, name in names.items():
        number, candidate = 1, name
        while candidate in seen:
            number += 1
            candidate = f"{name} {number}"
        seen.add(candidate)
        distinct[segment] = candidate
    return distinct


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
