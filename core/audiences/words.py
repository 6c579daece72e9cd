"""An audience rule told as a sentence: messages within messages, so that it can be told in another language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.audiences.rules import Rule
from core.messages import Message, joined, say
from core.windows import parse_horizon, say_days

MOST_TOLD = 10
"""Values of a list that are told one by one."""
_ACTS = {
    "impression": say("were shown"),
    "view": say("viewed"),
    "click": say("clicked"),
    "search": say("searched"),
    "favourite": say("saved as favourite"),
    "share": say("shared"),
    "cart": say("put into the cart"),
    "remove_from_cart": say("took out of the cart"),
    "purchase": say("bought"),
    "refund": say("returned"),
    "other": say("did something else with"),
}
_CHANCES = {
    "purchase": say("chance to buy"),
    "cart": say("chance to put something into the cart"),
    "favourite": say("chance to save a favourite"),
    "share": say("chance to share"),
    "click": say("chance to click"),
    "view": say("chance to view"),
}
STAGE_WORDS = {"new": say("new"), "active": say("active"), "slipping": say("slipping away"), "away": say("gone quiet")}
RFM_WORDS = {
    "champions": say("champions"),
    "loyal": say("loyal"),
    "recent": say("recent"),
    "occasional": say("occasional"),
    "at_risk": say("at risk"),
    "asleep": say("asleep"),
    "never": say("never bought"),
}
_SIGNS = {
    "=": say("of exactly"),
    "!=": say("other than"),
    "<": say("below"),
    "<=": say("of at most"),
    ">": say("above"),
    ">=": say("of at least"),
}


@dataclass(frozen=True)
class Vocabulary:
    """What people call the things that a rule names by number or column; what is missing is told by number or column."""

    segments: Mapping[int, str] = field(default_factory=dict)
    """Names by segment_id."""
    features: Mapping[str, str] = field(default_factory=dict)
    """A phrase for each counted feature, in words that the catalogues translate."""
    subsegments: Mapping[int, str] = field(default_factory=dict)
    """Names by subsegment_id."""


def rule_sentence(rule: Rule, vocabulary: Vocabulary | None = None) -> Message:
    """Tell a checked rule in words: `Shoppers who are in segment 3 and bought category “Shoes” at least 2 times in the last 14 days.`

    Args:
        rule: A rule that `compile_rule` has accepted.
        vocabulary: Names of segments and features.
    """
    words = vocabulary or Vocabulary()
    if "not" in rule:
        return say("Shoppers other than those who {told}.", told=_tell(rule["not"], words, top=True))
    told = _tell(rule, words, top=True)
    return say("All shoppers.") if told == "are anyone" else say("Shoppers who {told}.", told=told)


def _tell(rule: Rule, vocabulary: Vocabulary, top: bool = False) -> Message:
    ((kind, content),) = rule.items()
    if kind in ("all", "any"):
        told = _tell_parts(kind, [_tell(part, vocabulary) for part in content])
        return told if top or len(content) < 2 else say("({told})", told=told)
    if kind == "not":
        return say("not ({told})", told=_tell(content, vocabulary, top=True))
    match kind:
        case "segment":
            return say("are in segment {names}", names=_listed([vocabulary.segments.get(i, i) for i in content]))
        case "subsegment":
            return say("are in fine segment {names}", names=_listed([vocabulary.subsegments.get(i, i) for i in content]))
        case "propensity":
            return _limits(content, _chance(content))
        case "category_propensity":
            return _limits(content, say("{chance} in “{category}”", chance=_chance(content), category=content["category"]))
        case "percentile":
            return say("are among the {top:g} % with the highest {chance}", top=content["top"], chance=_chance(content))
        case "feature":
            return _feature(content, vocabulary)
        case "behaviour":
            return _behaviour(content)
        case "attribute":
            return say("have {column} {values}", column=content["column"].replace("_", " "), values=_listed(content["in"]))
        case "recommended":
            return _recommended(content)
        case "stage":
            return say("are in the stage {names}", names=_or([STAGE_WORDS[name] for name in content]))
        case "rfm":
            return say("are in the RFM group {names}", names=_or([RFM_WORDS[name] for name in content]))
        case "affinity":
            return say("favour “{category}” with an index of at least {index:g}", category=content["category"], index=content["at_least"])
        case "audience":
            return say("are in the audience “{name}”", name=content["name"])
        case _:
            return _users(content)


def _tell_parts(kind: str, parts: list[Message]) -> Message:
    if not parts:
        return say("are anyone") if kind == "all" else say("are nobody")
    further = [say("and {told}", told=part) if kind == "all" else say("or {told}", told=part) for part in parts[1:]]
    return joined([parts[0], *further], "{first} {second}")


def _listed(values: list[Any]) -> Message:
    """Values side by side: texts in quotes, numbers bare, a long list cut."""
    told = [say("{number}", number=value) if isinstance(value, int) else say("“{text}”", text=value) for value in values[:MOST_TOLD]]
    if len(values) > MOST_TOLD:
        told.append(say("{n:,} more", n=len(values) - MOST_TOLD))
    return _or(told)


def _or(told: list[Message]) -> Message:
    return joined(told, "{first} or {second}")


def _chance(content: Mapping[str, Any]) -> Message:
    if "act" not in content:
        return say("purchase chance")
    return say("{chance} within {days}", chance=_CHANCES[content["act"]], days=say_days(parse_horizon(content["horizon"])))


def _limits(content: Mapping[str, Any], chance: Message) -> Message:
    at_least, at_most = content.get("at_least"), content.get("at_most")
    if at_least is not None and at_most is not None:
        return say("have a {chance} from {at_least:.1%} to {at_most:.1%}", chance=chance, at_least=at_least, at_most=at_most)
    if at_least is not None:
        return say("have a {chance} of at least {at_least:.1%}", chance=chance, at_least=at_least)
    return say("have a {chance} of at most {at_most:.1%}", chance=chance, at_most=at_most)


def _feature(content: Mapping[str, Any], vocabulary: Vocabulary) -> Message:
    column = content["column"]
    phrase = vocabulary.features.get(column, column.replace("_", " "))
    return say("have “{feature}” {sign} {value:,.10g}", feature=say(phrase), sign=_SIGNS[content["op"]], value=content["value"])


def _behaviour(content: Mapping[str, Any]) -> Message:
    act = _ACTS[content["event_type"]] if "event_type" in content else say("did anything with")
    thing, times = _thing(content), _times(content)
    if times is None:
        told = say("never {act} {thing}", act=act, thing=thing) if thing else say("never {act} anything", act=act)
    elif thing:
        told = say("{act} {thing} {times}", act=act, thing=thing, times=times)
    else:
        told = say("{act} anything {times}", act=act, times=times)
    if "days" not in content:
        return told
    days = content["days"]
    return say("{told} in the last day", told=told) if days == 1 else say("{told} in the last {days:g} days", told=told, days=days)


def _thing(content: Mapping[str, Any]) -> Message | None:
    """Tell what was acted on, or None when it may be anything."""
    brand, category = content.get("brand"), content.get("category")
    if brand is not None and category is not None:
        kind = say("brand “{brand}” of category “{category}”", brand=brand, category=category)
    elif brand is not None:
        kind = say("brand “{brand}”", brand=brand)
    elif category is not None:
        kind = say("category “{category}”", category=category)
    else:
        return say("item “{item}”", item=content["item"]) if "item" in content else None
    return say("item “{item}” of {kind}", item=content["item"], kind=kind) if "item" in content else kind


def _times(content: Mapping[str, Any]) -> Message | None:
    """Tell how often, or None for never."""
    most = content.get("at_most")
    least = content.get("at_least", 1 if most is None else 0)
    if most == 0:
        return None
    if most is None:
        return say("at least once") if least == 1 else say("at least {n:,} times", n=least)
    if not least:
        return say("at most once") if most == 1 else say("at most {n:,} times", n=most)
    if least == most:
        return say("exactly once") if most == 1 else say("exactly {n:,} times", n=most)
    return say("{least:,} to {most:,} times", least=least, most=most)


def _recommended(content: Mapping[str, Any]) -> Message:
    item, rank = content["item"], content.get("rank", 10)
    if rank == 1:
        return say("get item “{item}” as their first recommendation", item=item)
    return say("get item “{item}” among their first {rank:,} recommendations", item=item, rank=rank)


def _users(user_ids: list[str]) -> Message:
    if len(user_ids) > 3:
        return say("are in a list of {n:,} ids", n=len(user_ids))
    return say("have the id {ids}", ids=_listed(user_ids))
