"""An audience rule told as a sentence."""

from collections.abc import Callable, Mapping
from typing import Any

from core.audiences.rules import Rule

_ACTS = {
    "impression": "were shown",
    "view": "viewed",
    "click": "clicked",
    "search": "searched",
    "favourite": "saved as favourite",
    "share": "shared",
    "cart": "put into the cart",
    "remove_from_cart": "took out of the cart",
    "purchase": "bought",
    "refund": "returned",
    "other": "did something else with",
}
_SIGNS = {"=": "is", "!=": "is not", "<": "is below", "<=": "is at most", ">": "is above", ">=": "is at least"}


def rule_sentence(rule: Rule, segment_names: Mapping[int, str] | None = None) -> str:
    """Tell a checked rule in words: `Shoppers who are in segment 3 and bought "Shoes" at least 2 times in the last 14 days.`

    Args:
        rule: A rule that `compile_rule` has accepted.
        segment_names: Names by segment_id; numbers are told where a name is missing.
    """
    told = _tell(rule, segment_names or {}, top=True)
    return "All shoppers." if told == "are anyone" else f"Shoppers who {told}."


def _tell(rule: Rule, names: Mapping[int, str], top: bool = False) -> str:
    ((kind, content),) = rule.items()
    if kind in ("all", "any"):
        parts = [_tell(part, names) for part in content]
        if not parts:
            return "are anyone" if kind == "all" else "are nobody"
        joined = (" and " if kind == "all" else " or ").join(parts)
        return joined if top or len(parts) == 1 else f"({joined})"
    if kind == "not":
        return f"not ({_tell(content, names, top=True)})"
    if kind == "segment":
        return "are in segment " + " or ".join(f"“{names[i]}”" if i in names else str(i) for i in content)
    return _LEAVES[kind](content)


def _limits(content: Mapping[str, Any], what: str) -> str:
    at_least, at_most = content.get("at_least"), content.get("at_most")
    if at_least is not None and at_most is not None:
        return f"have a {what} from {at_least:.1%} to {at_most:.1%}"
    return f"have a {what} of at least {at_least:.1%}" if at_least is not None else f"have a {what} of at most {at_most:.1%}"


def _behaviour(content: Mapping[str, Any]) -> str:
    act = _ACTS[content["event_type"]] if "event_type" in content else "did anything with"
    things = [
        f"{word} “{content[key]}”" for key, word in (("item", "item"), ("brand", "brand"), ("category", "category")) if key in content
    ]
    what = " of ".join(things) or "anything"
    at_least, at_most = content.get("at_least", 0 if "at_most" in content else 1), content.get("at_most")
    period = f" in the last {content['days']:g} days" if "days" in content else ""
    if at_most == 0:
        return f"never {act} {what}{period}"
    if at_most is None:
        times = f"at least {_times(at_least)}"
    elif not at_least:
        times = f"at most {_times(at_most)}"
    else:
        times = f"{at_least} to {_times(at_most)}"
    return f"{act} {what} {times}{period}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _users(content: list[str]) -> str:
    return f"are in a list of {len(content):,} ids" if len(content) > 3 else "have the id " + " or ".join(f"“{user}”" for user in content)


_LEAVES: Mapping[str, Callable[[Any], str]] = {
    "propensity": lambda content: _limits(content, "purchase chance"),
    "percentile": lambda content: f"are among the {content['top']:g} % with the highest purchase chance",
    "feature": lambda content: f"whose {content['column'].replace('_', ' ')} {_SIGNS[content['op']]} {content['value']:g}",
    "behaviour": _behaviour,
    "attribute": lambda content: f"have {content['column'].replace('_', ' ')} " + " or ".join(f"“{value}”" for value in content["in"][:10])
    + (f" or {len(content['in']) - 10} more" if len(content["in"]) > 10 else ""),
    "category_propensity": lambda content: _limits(content, f"purchase chance in “{content['category']}”"),
    "recommended": lambda content: f"get item “{content['item']}” among their first {content.get('rank', 10)} recommendations",
    "users": _users,
}  # fmt: skip
