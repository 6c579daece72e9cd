"""What a rule set names that the log does not have, so that a slip of the pen or a missing column is seen before lists go out."""

from collections.abc import Collection, Iterable

import numpy as np

from core.messages import Message, say
from core.offers.goods import Goods
from core.offers.rules import RuleSet
from core.offers.words import listed

MOST_WORDS = 20
"""Blocked words that are looked for one by one; each reads the texts of all items, so longer lists are not asked."""


def unknown_words(goods: Goods, rules: RuleSet) -> list[Message]:
    """Say which names of the rules are of no item, and how many items a price range takes for want of a price.

    Args:
        goods: Items of the log.
        rules: What is asked.
    """
    block, boost = rules.block, rules.boost
    told = [] if rules.price.least is None and rules.price.most is None else _without_price(goods)
    for kind, names, known in (
        (say("id"), [*block.items, *(pin.item for pin in rules.pins), *boost.items], goods.place),
        (say("brand"), [*block.brands, *boost.brands], _folded(goods.brands)),
        (say("category"), [*block.categories, *boost.categories, *rules.caps.categories], _folded(goods.categories)),
    ):
        if strange := _strange(names, known, exact=known is goods.place):
            told.append(
                say(
                    "No item of this log has the {kind} {names}; the rule that names it does nothing. Check how it is written.",
                    kind=kind,
                    names=listed(strange),
                )
            )
    silent = [word for word in block.words if not goods.naming([word]).any()] if len(block.words) <= MOST_WORDS else []
    if silent:
        told.append(say("No item of this log names the word {names}; its rule does nothing.", names=listed(silent)))
    if rules.stock is not None and (strange := [item for item in rules.stock if item not in goods.place]):
        told.append(
            say(
                "{n:,} of {all:,} ids of the stock list are of no item of this log, such as {names}.",
                n=len(strange),
                all=len(rules.stock),
                names=listed(strange[:3]),
            )
        )
    return told


def _strange(names: Iterable[str], known: Collection[str], *, exact: bool) -> list[str]:
    """Names that nothing known has; letters of any case unless exact, as rules compare them."""
    return [name for name in dict.fromkeys(names) if (name if exact else name.casefold()) not in known]


def _folded(names: Iterable[str | None]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names if name is not None)


def _without_price(goods: Goods) -> list[Message]:
    unknown = int(np.isnan(goods.prices).sum())
    if unknown and unknown == len(goods.prices):
        return [
            say(
                "No item of this log has a price, so the price range takes out all {n:,}. Lift it, or load a catalogue that has prices.",
                n=unknown,
            )
        ]
    if unknown:
        return [say("{n:,} of {all:,} items have no price, and the price range takes them out.", n=unknown, all=len(goods.prices))]
    return []
