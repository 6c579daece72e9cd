"""Segments in the chosen language: names, traits and descriptions put together from the codes and figures that core publishes."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from core.pipeline import shoppers
from core.pipeline.screens import Screen
from pages.parts import state
from pages.parts.text import _, is_missing, people, percent
from pages.parts.words import feature_word

WHOLE_NAMES_WORDS = {"mixed": "Mixed shoppers", "all": "All shoppers", "rest": "The others"}
"""Names of segments that no trait sets apart."""
NUMBERED_WORDS = {"category": "Category {code}", "brand": "Brand {code}", "item": "Item {code}"}
"""Catalogue words that are mere numbers."""
TOLD = 3
"""Traits told in the table of segments."""


def segments_shown(here: Screen) -> pd.DataFrame:
    """Return the table of segments with name, description and strongest traits in the chosen language; names that people gave stay."""
    given = shoppers.segment_names(here)
    found: pd.DataFrame = state.ask(shoppers.segments, here, repr(given))
    strongest = state.ask(shoppers.strongest_traits, here, TOLD)
    rows = found.to_dict("records")
    names = [row["name"] if int(row["segment_id"]) in given else segment_name(row["name"], row.get("name_parts")) for row in rows]
    return found.assign(
        name=_apart(names, found["segment_id"]),
        description=[description(row) for row in rows],
        traits=[" · ".join(_short(trait) for trait in strongest.get(int(row["segment_id"]), [])) for row in rows],
    )


def subsegments_shown(here: Screen, segments: pd.DataFrame) -> pd.DataFrame:
    """Return the table of subsegments: name is the segment's name and the part's own one; with traits against their segment.

    Args:
        here: The dataset.
        segments: What `segments_shown` returned.
    """
    given = shoppers.segment_names(here, fine=True)
    found: pd.DataFrame = state.ask(shoppers.subsegments, here, repr((shoppers.segment_names(here), given)))
    strongest = state.ask(shoppers.strongest_traits, here, TOLD, True)
    parents = {int(key): str(name) for key, name in zip(segments["segment_id"], segments["name"], strict=True)}
    rows = found.to_dict("records")
    own = [
        None
        if not isinstance(row["own_name"], str)
        else row["own_name"]
        if int(row["subsegment_id"]) in given
        else segment_name(row["own_name"], row["name_parts"])
        for row in rows
    ]
    names = [parents[int(row["segment_id"])] for row in rows]
    told = [name if part is None else f"{name}{shoppers.WITHIN}{part}" for name, part in zip(names, own, strict=True)]
    return found.assign(
        own_name=own,
        segment_name=names,
        name=_apart(told, found["subsegment_id"]),
        traits=[" · ".join(_short(trait) for trait in strongest.get(int(row["subsegment_id"]), [])) for row in rows],
    )


def _apart(names: list[str], ids: Iterable[Any]) -> list[str]:
    """Names of a list with the id behind one that an earlier row has: an entry of a box is chosen by its words.

    A name that a person gave may be found for another segment later.
    """
    return [f"{name} ({key})" if name in names[:place] else name for place, (name, key) in enumerate(zip(names, ids, strict=True))]


def segment_names_shown(here: Screen) -> dict[int, str]:
    """Return the names of all segments by id, largest first, in the chosen language."""
    table = segments_shown(here)
    return {int(key): str(name) for key, name in zip(table["segment_id"], table["name"], strict=True)}


def segment_name(name: str, name_parts: str | None) -> str:
    """Spell a found name from its parts; a number behind it, which keeps equal names apart, stays."""
    parts = json.loads(name_parts or "[]")
    if parts:
        found = " · ".join(str(part["words"]) for part in parts)
        return " · ".join(trait_word(part["kind"], part["code"], part["words"]) for part in parts) + _number(name, found)
    for word in WHOLE_NAMES_WORDS.values():
        if name == word or (name.startswith(f"{word} ") and name.rsplit(" ", 1)[1].isdigit()):
            return _(word) + _number(name, word)
    return name


def trait_word(kind: str, code: str, words: str) -> str:
    """Word a trait: fixed codes and features are translated, words of the catalogue stay as they are.

    Args:
        kind: category, brand, item, cadence, spend, feature …
        code: The fixed code, the feature's name, or the catalogue's own word.
        words: How core writes it in English.
    """
    if (kind, code) in shoppers.TRAIT_WORDS:
        return _(shoppers.TRAIT_WORDS[kind, code][0])
    if kind == "feature":
        return _("High: {feature}", feature=_inside(feature_word(code)))
    if kind == "word":
        return _("“{word}”", word=code)
    number = words.rsplit(" ", 1)[-1]
    if kind in NUMBERED_WORDS and words == NUMBERED_WORDS[kind].format(code=number):
        return _(NUMBERED_WORDS[kind], code=number)
    return words


def trait_sentence(part: Mapping[str, Any]) -> str:
    """Tell a trait with its figures: lift, share inside against share of all, and how many shoppers that is."""
    kind, code = part["kind"], part["code"]
    words = trait_word(kind, code, part["words"])
    if (kind, code) in shoppers.TRAIT_WORDS:
        act = _(shoppers.TRAIT_WORDS[kind, code][1])
    elif kind == "item":
        act = _("choose {item} again and again", item=words)
    elif kind == "feature":
        act = _("are in the top quarter by {feature}", feature=_inside(feature_word(code)))
    elif kind == "word":
        act = _("choose items whose text says {word}", word=words)
    else:
        act = _("favour {kind}", kind=words)
    shown = {"act": act, "inside": percent(part["share_in"], 0), "all": percent(part["share_all"], 0)}
    if part.get("base") == "buyers":
        return _(
            "{lift:.1f}× as often {act} ({inside} of its buyers against {all} of all buyers; n = {n:,})",
            lift=part["lift"],
            n=part["n"],
            **shown,
        )
    if part.get("base") == "priced":
        return _(
            "{lift:.1f}× as often {act} ({inside} against {all} of all shoppers with a known price; n = {n:,})",
            lift=part["lift"],
            n=part["n"],
            **shown,
        )
    return _("{lift:.1f}× as often {act} ({inside} against {all} of all shoppers; n = {n:,})", lift=part["lift"], n=part["n"], **shown)


def description(row: Mapping[str, Any]) -> str:
    """Describe a segment in one sentence with the figures behind its name."""
    parts = json.loads(row.get("name_parts") or "[]")
    if is_missing(row["size"]):
        return _("{n} shoppers.", n=people(row["size"]))
    size, share = int(row["size"]), float(row["share"])
    if parts:
        told = _("; ").join(trait_sentence(part) for part in parts)
        return _("{n:,} shoppers ({share}) who {traits}.", n=size, share=percent(share), traits=told)
    if share >= 1:
        return _("All {n:,} shoppers of the log.", n=size) if size > 1 else _("The only shopper of the log.")
    return _("{n:,} shoppers ({share}) of whom too few share a trait for it to name them all.", n=size, share=percent(share))


def traits_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Put the traits of a segment into the chosen language."""
    codes = table["code"] if "code" in table else table["trait"]
    named = zip(table["kind"], codes, table["trait"], strict=True)
    return table.assign(trait=[trait_word(kind, code, words) for kind, code, words in named])


def _short(trait: Mapping[str, Any]) -> str:
    return f"{trait_word(trait['kind'], trait['code'], trait['trait'])} {trait['lift']:.1f}× (n={trait['n']:,})"


def _inside(phrase: str) -> str:
    """A phrase as it stands inside a sentence."""
    return phrase[:1].lower() + phrase[1:]


def _number(name: str, found: str) -> str:
    rest = name.removeprefix(found)
    return rest if name.startswith(found) and rest.strip().isdigit() else ""
