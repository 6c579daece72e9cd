"""Is every number of a text in its fact table? What cannot be checked, such as a number in words, counts as not."""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

from core.messages import Message, say

_NUMBER = re.compile(r"\d+(?:[,\u202f\u00a0]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_IN_WORDS = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty|thirty|forty|fifty|"
    r"sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|dozens?|half|halves|third|thirds|quarters?|fifths?|tenths?|double|"
    r"triple|twice|thrice|twofold|threefold|majority|percent|per cent)\b",
    re.IGNORECASE,
)
_IN_CHINESE = re.compile(r"[二两三四五六七八九十百千万亿]+(?:[个位名次倍成天周月年件]|分之)|[一半]半|[一二两三四五六七八九十]成|翻倍|多数")
_MARKUP = re.compile(r"https?:|www\.|[<>`\[\]{}|]|!\[|\*\*|^#", re.IGNORECASE | re.MULTILINE)


def complaints(text: str, facts: Sequence[str], longest: int) -> list[Message]:
    """Tell what forbids a text: numbers that no fact has, numbers in words, markup, too many signs, nothing at all.

    A number is known when its digits stand in a fact, whatever separates thousands; `41%` is not known from `41`.

    Args:
        text: What a model wrote.
        facts: All that it was told.
        longest: Signs allowed.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if not plain:
        return [say("The text is empty.")]
    found: list[Message] = []
    if len(plain) > longest:
        found.append(say("The text has {n} signs; {most} are allowed.", n=len(plain), most=longest))
    if _MARKUP.search(plain) or any(unicodedata.category(sign) in ("Cc", "Cf", "Co") for sign in plain if sign != "\n"):
        found.append(say("The text holds markup or an address."))
    known = {number for fact in facts for number in _numbers(unicodedata.normalize("NFKC", fact))}
    if strange := sorted({shown for shown in _numbers(plain) if shown not in known}):
        found.append(say("No fact has the number {numbers}.", numbers=", ".join(f"{value:f}{unit}" for value, unit in strange)))
    told = " ".join(facts).lower()
    worded = {word.group().lower() for pattern in (_IN_WORDS, _IN_CHINESE) for word in pattern.finditer(plain)}
    if words := sorted(word for word in worded if word not in told):
        found.append(say("A number stands in words, which nobody can check: {words}.", words=", ".join(words)))
    return found


def _numbers(text: str) -> list[tuple[Decimal, str]]:
    """Numbers of a text with the percent sign or "" behind them."""
    return [
        (Decimal(re.sub(r"[,\u202f\u00a0]", "", found.group())).normalize(), "%" if text[found.end() :].lstrip()[:1] == "%" else "")
        for found in _NUMBER.finditer(text)
    ]
