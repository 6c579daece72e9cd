"""Names and descriptions of segments, made from their traits alone: a name says what is over-represented."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from core.atlas.agreeing import Said, agrees
from core.atlas.demographics import parts_of
from core.atlas.traits import LEVELS, Trait

TASTES = ("category", "brand", "word", "item")
HABITS = ("cadence", "hours", "days", "event")
NAMING = (*TASTES, *HABITS, *LEVELS, "feature")
"""Kinds of traits that may name a segment: what shoppers do, never who they are."""
LEAST_SHARE = 0.25
"""Of a segment, to be named by a taste: what fewer share is no name for all."""
LEAST_HABIT, STILL_HABIT = 0.4, 0.3
"""Of a segment, to be named by a habit or a level, a quarter of all having each end of it; and to keep such a name over a refresh."""
MOST_PARTS = 3
"""Traits in one name: what a person reads as a name and not as a list."""
LEAST_GAP = 0.1
"""Difference of shares by which a trait tells two segments of one name apart."""
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
    word = re.sub(r"\s*[-,/:]\s*(?:(?:all )?others?|misc)$", "", word, flags=re.IGNORECASE)  # `Vegetables - All Others`, `Meat - Misc`
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


def choose_traits(traits: Sequence[Trait], titles: Mapping[str, str], tastes: int, within: Sequence[Said] = ()) -> list[Trait]:
    """Choose the traits that name a segment: what nearly all share, up to `tastes` tastes without near-synonyms, one habit, one level.

    A name must fit: the tastes are shared by at least LEAST_SHARE of the segment, habits and levels by LEAST_HABIT; no part contradicts
    or repeats another or one of `within`, the name of the segment around; MOST_PARTS at most. Demographics name nobody.
    """
    fitting = [t for t in traits if t.kind in NAMING and _fits(t, titles, (), within)]
    shared = [t for t in fitting if t.kind not in TASTES and t.spread >= NEARLY_ALL and t.low >= CLEAR]
    chosen = sorted(shared, key=lambda t: (t.kind == "feature", -t.strength, t.code))[:1]
    known = 0
    has_categories = any(trait.kind == "category" for trait in traits)
    for kind in TASTES:
        if kind == "word" and has_categories:
            continue  # a word out of its text (`lean`) says less than a habit where there are categories to lean to
        for trait in _by_worth([t for t in fitting if t.kind == kind and t.spread >= LEAST_SHARE]):
            if known < tastes and _fits(trait, titles, chosen, within):
                chosen.append(trait)
                known += 1
        if known:
            break  # a brand, a word or an item names a segment only where no category does
    for group in (HABITS, LEVELS):
        if not {trait.kind for trait in chosen} & set(group):
            common = [t for t in fitting if t.kind in group and t.spread >= LEAST_HABIT and t.low >= 1.25]
            chosen += [t for t in _by_worth(common) if _fits(t, titles, chosen, within)][:1]
    return chosen[:MOST_PARTS]


@dataclass(frozen=True)
class Named:
    """How a segment of an earlier map was named."""

    name: str
    parts: tuple[tuple[str, str], ...]
    """(kind, code) of the traits that made the name."""


def name_segments(
    traits: Mapping[int, Sequence[Trait]],
    titles: Mapping[str, str],
    earlier: Mapping[int, Named] = MappingProxyType({}),
    within: Sequence[Said] = (),
) -> dict[int, list[Trait]]:
    """Choose naming traits for all segments so that few names are equal: twins get the trait that they differ by most.

    A segment of an earlier map keeps its name while all traits of it still hold and agree; no other segment takes a name of that map.

    Args:
        traits: Each segment's traits, strongest first; a segment without traits has an empty list.
        titles: Titles of items by id.
        earlier: How segments of the earlier map were named, by id.
        within: Traits in the name of the segment that these are parts of: their own names neither repeat nor contradict it.
    """
    held = {s: kept for s, found in traits.items() if (kept := _still(earlier.get(s), found, titles, within)) is not None}
    chosen = {s: held[s] if s in held else choose_traits(found, titles, 1, within) for s, found in traits.items()}

    def unclear() -> dict[int, list[int]]:
        """Segments whose name another has, and who; nobody where it was another's on the earlier map."""
        names = {segment: spell(parts, titles) for segment, parts in chosen.items()}
        barred = {segment: {named.name for other, named in earlier.items() if other != segment} for segment in chosen}
        twins = {s: [other for other in chosen if other != s and names[other] == names[s]] for s in chosen if s not in held}
        return {s: others for s, others in twins.items() if others or (chosen[s] and names[s] in barred[s])}

    for tastes in (2, 3):
        for segment in unclear():
            chosen[segment] = choose_traits(traits[segment], titles, tastes, within)
    for _ in range(3):
        told = {s: _set_apart(chosen[s], traits[s], [traits[o] for o in others], titles, within) for s, others in unclear().items()}
        best = {s: found for s, found in told.items() if found is not None}
        nameless = [s for s in best if not chosen[s]]
        if nameless and len(nameless) == sum(not parts for parts in chosen.values()):
            del best[min(nameless, key=lambda s: (best[s][0], -s))]  # one of them may be the mixed one
        chosen |= {s: parts for s, (_gap, parts) in best.items()}
    return chosen


def _set_apart(
    parts: Sequence[Trait], traits: Sequence[Trait], twins: Sequence[Sequence[Trait]], titles: Mapping[str, str], within: Sequence[Said]
) -> tuple[float, list[Trait]] | None:
    """The name with the trait that the segment has most often more than any of its twins, and by how much: last, instead of what
    it contradicts or there is no room for."""
    spreads = [{(t.kind, t.code): t.spread for t in twin} for twin in twins]
    found = []
    for trait in traits:
        kept = [part for part in parts if _fits(trait, titles, [part], within)][: MOST_PARTS - 1]
        if trait.kind in NAMING and trait.spread >= LEAST_SHARE and bool(kept) == bool(parts) and _fits(trait, titles, kept, within):
            gap = trait.spread - max((spread.get((trait.kind, trait.code), trait.share_all) for spread in spreads), default=trait.share_all)
            if gap >= LEAST_GAP:
                found.append((trait.kind == "feature", -round(gap, 6), trait.code, [*kept, trait]))
    if not found:
        return None
    _is_feature, gap, _code, name = min(found, key=lambda row: row[:3])
    return -gap, name


def _fits(trait: Trait, titles: Mapping[str, str], parts: Sequence[Trait], within: Sequence[Said]) -> bool:
    """Whether a trait may stand in a name: it tells something, and neither contradicts nor repeats what stands there already."""
    if not agrees((trait.kind, trait.code), [*((p.kind, p.code) for p in parts), *within]):
        return False
    if trait.kind not in TASTES:
        return True
    words = trait_words(trait, titles)
    meaning = _meaning(words)
    if is_junk(trait.code) or is_junk(words) or not meaning or (trait.kind == "item" and trait.code not in titles):
        return False
    around = [_meaning(trait_words(Trait(0, kind, code, 1, 1, 1, 0, 0, 0, 0), titles)) for kind, code in within if kind in TASTES]
    beside = [_meaning(trait_words(part, titles)) for part in parts if part.kind in TASTES]
    return not any(meaning & other for other in beside) and not any(meaning <= other for other in around)


def _still(named: Named | None, traits: Sequence[Trait], titles: Mapping[str, str], within: Sequence[Said]) -> list[Trait] | None:
    """The traits of an earlier name with their figures of today; None where one no longer holds, or they do not agree."""
    if named is None:
        return None
    today = {(trait.kind, trait.code): trait for trait in traits}
    if not named.parts:
        return [] if not traits else None
    parts: list[Trait] = []
    for part in named.parts:
        trait = today.get(part)
        if trait is None or not _fits(trait, titles, parts, within):
            return None
        if trait.spread < (LEAST_SHARE if trait.kind in TASTES else STILL_HABIT):
            return None
        parts.append(trait)
    return parts if len(parts) <= MOST_PARTS else None


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
        return f"{who} of whom too few share a trait for it to name them all."
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
