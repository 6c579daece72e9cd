"""The short reasons beside rows that were put aside or merged, as sentences that a page can say in another language.

They are stored as English text, because they are written in SQL, a million at a time; here the text finds its template again.
"""

import re
from functools import lru_cache

from core.messages import Message, say

_REASONS = (
    say("equal to row {row}", row=""),
    say("equal to row {row} of {file}", row="", file=""),
    say("row {row} of {file}, which has the same bytes", row="", file=""),
    say("repeats the act before within {seconds} s", seconds=""),
    say("already in the dataset"),
    say("joined to the lines of its order"),
    say("time {time} cannot be read", time=""),
    say("no time"),
    say("time {time}", time=""),
    say("no user id"),
    say("no item id on a {kind}", kind=""),
    say("price or amount is no number"),
    say("price {price}", price=""),
    say("price {price}, usually {usual}", price="", usual=""),
    say("price in {currency}, not {main}", currency="", main=""),
    say("quantity {quantity}", quantity=""),
    say("quantity is no number"),
    say("dwell time is no duration"),
    say("dwell time below zero"),
    say("item {item} is not in the catalogue", item=""),
    say("more than {n} acts within an hour", n=""),
    say("more than {n} acts within a day", n=""),
    say("{n} acts in a row at even distances", n=""),
    say("{n} stays of 0 s in a row", n=""),
    say("shown to a robot"),
    say("the header again"),
    say("below the header in row {row}, which has other columns", row=""),
    say("line {line}: {found} fields instead of {width}", line="", found="", width=""),
    say("line {line}: quotes that do not close", line=""),
    say("line {line}: nested too deeply", line=""),
    say("line {line}: no valid JSON ({error} at sign {place})", line="", error="", place=""),
    say("values stand right of the last column"),
)

_NUMBERS = frozenset({"row", "line", "n", "found", "width", "place"})


def row_reason(text: str) -> Message | str:
    """Return a stored reason as a sentence with its parts; a reason that no template makes stays text.

    Of several templates that fit, the one with the most words of its own is taken: `price 9 in …` is no price alone.
    """
    if text in _whole():
        return _whole()[text]
    for pattern, template in _patterns():
        if found := pattern.fullmatch(text):
            return say(template, **found.groupdict())
    return text


@lru_cache(maxsize=1)
def _whole() -> dict[str, Message]:
    return {reason.template: reason for reason in _REASONS if not reason.values}


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    templates = sorted((r.template for r in _REASONS if r.values), key=lambda t: len(re.sub(r"\{\w+\}", "", t)), reverse=True)
    parts = [(re.split(r"\{(\w+)\}", template), template) for template in templates]
    return tuple((re.compile("".join(map(_pattern, range(len(cut)), cut)), re.DOTALL), template) for cut, template in parts)


def _pattern(place: int, piece: str) -> str:
    """Spell a piece of a template, every second of which is a name, as a pattern."""
    if place % 2 == 0:
        return re.escape(piece)
    return f"(?P<{piece}>\\d+)" if piece in _NUMBERS else f"(?P<{piece}>.+)"
