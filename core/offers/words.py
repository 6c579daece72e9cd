"""A rule set told in sentences, so that a person can check what will be shown; each can be told in another language."""

from collections.abc import Iterable

from core.messages import Message, joined, say
from core.offers.rules import BLEND, RuleSet

MOST_TOLD = 8
"""Values of a list that are told one by one."""
SOURCE_WORDS = {
    "blend": say("Blend"),
    "repeat": say("Bought before"),
    "due": say("Due again"),
    "interest": say("Touched, not yet bought"),
    "popularity": say("Popular lately"),
    "popular_ever": say("Popular over the whole log"),
    "crowd": say("Popular among shoppers of like taste"),
    "category": say("Popular in favourite categories"),
    "item_knn": say("Bought together"),
    "ease": say("EASE"),
    "factors": say("Matrix factors"),
    "content": say("Similar texts"),
    "paths": say("Paths through the item graph"),
    "sequence": say("Next by the behaviour transformer"),
}
"""The blend and each source of recommendations, as people read them."""
_BOUGHT = {
    "leave_out": say("Items that the shopper bought are left out."),
    "rebuyable": say("Items that the shopper bought are left out, but for categories that people buy again."),
}


def rules_words(rules: RuleSet) -> list[Message]:
    """Tell every rule in one sentence each; one sentence says so when nothing is asked."""
    told: list[Message] = []
    block, price, caps = rules.block, rules.price, rules.caps
    if rules.bought in _BOUGHT:
        told.append(_BOUGHT[rules.bought])
    if rules.stock is not None:
        told.append(say("Only the {n:,} items of the stock list are shown.", n=len(rules.stock)))
    if price.least is not None and price.most is not None:
        told.append(
            say("The price lies from {least:g} to {most:g}; items of unknown price are left out.", least=price.least, most=price.most)
        )
    elif price.least is not None:
        told.append(say("The price is at least {least:g}; items of unknown price are left out.", least=price.least))
    elif price.most is not None:
        told.append(say("The price is at most {most:g}; items of unknown price are left out.", most=price.most))
    if caps.each is not None:
        told.append(say("No category has more than {n} items in a list.", n=caps.each))
    told += [say("Category “{name}” has at most {n} items in a list.", name=name, n=n) for name, n in sorted(caps.categories.items())]
    told += [say("Item “{item}” stands at place {place} of every list.", item=pin.item, place=pin.place) for pin in rules.pins]
    if block.items:
        told.append(say("Never shown are the items {names}.", names=listed(block.items)))
    if block.brands:
        told.append(say("Never shown are the brands {names}.", names=listed(block.brands)))
    if block.categories:
        told.append(say("Never shown are the categories {names}.", names=listed(block.categories)))
    if block.words:
        told.append(say("Never shown is what names the words {names}.", names=listed(block.words)))
    if rules.frequency.exports:
        told.append(
            say("Items in the shopper's list of the last export are left out.")
            if rules.frequency.exports == 1
            else say("Items in the shopper's list of the last {n} exports are left out.", n=rules.frequency.exports)
        )
    if rules.frequency.impressions:
        told.append(
            say(
                "Items shown to the shopper at least {n} times in the last {days} days of the log are left out.",
                n=rules.frequency.impressions,
                days=rules.frequency.days,
            )
        )
    for what, factors in (
        (say("Item"), rules.boost.items),
        (say("Brand"), rules.boost.brands),
        (say("Category"), rules.boost.categories),
    ):
        for name, factor in sorted(factors.items()):
            told.append(
                say("{what} “{name}” counts {factor:g} times.", what=what, name=name, factor=factor)
                if factor
                else say("{what} “{name}” is hidden.", what=what, name=name)
            )
    if rules.weights and set(rules.weights) != {BLEND}:
        weighed = [
            say("{name} {weight:g}", name=source_name(name), weight=weight) for name, weight in sorted(rules.weights.items()) if weight
        ]
        if weighed:
            told.append(say("Sources weigh: {names}.", names=joined(weighed)))
    if rules.diversity:
        told.append(say("Diversity {share:.0%}: items of one category or brand are spread.", share=rules.diversity))
    if rules.popularity > 0:
        told.append(say("What many buy is lifted ({share:.0%}).", share=rules.popularity))
    if rules.popularity < 0:
        told.append(say("What few buy is lifted ({share:.0%}).", share=-rules.popularity))
    return told or [say("No rule: lists are as they were ranked.")]


def source_name(name: str) -> str:
    """Name a source of recommendations, or the blend, for people; an unknown one by its own name."""
    return SOURCE_WORDS.get(name, name)


def listed(names: Iterable[str]) -> Message:
    """Name the first values of a list in quotes, and how many more there are."""
    every = list(names)
    told = joined([say("“{name}”", name=name) for name in every[:MOST_TOLD]])
    return say("{names} and {n:,} more", names=told, n=len(every) - MOST_TOLD) if len(every) > MOST_TOLD else told
