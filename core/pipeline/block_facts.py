"""What is kept of each block of a profiles run: how many numbers, what they cost, whom they say nothing of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

EMPTY = {
    "sequence": "users_without_acts",
    "graph": "users_without_items",
    "image": "users_without_pictures",
    "facts": "users_without_facts",
    "ids": "users_without_items",
}
"""Where the card of a block counts the shoppers without it."""


@dataclass(frozen=True)
class BlockFacts:
    """One block; what an earlier release did not tell is None."""

    block: str
    values: int
    """Numbers for a shopper."""
    cpu_seconds: float | None
    empty_share: float | None
    """Share of the shoppers whose numbers are all 0."""


def block_facts(record: Mapping[str, Any]) -> list[BlockFacts]:
    """Return a row for each block that the run of this manifest holds; counts, which everyone has, first."""
    users = int(record.get("users") or 0)

    def share(empty: int | None) -> float | None:
        return None if empty is None or not users else empty / users

    rows = [BlockFacts("counts", int(record.get("features") or 0), _cost(record.get("counts")), share(0))]
    if (card := record.get("card") or {}).get("dim"):
        rows.append(BlockFacts("text", int(card["dim"]), _cost(record.get("text")), share(record.get("users_without_text"))))
    for block, empty in EMPTY.items():
        if card := record.get(block):
            cost = _cost(card.get("update", card))  # of this run, not of the training before it
            rows.append(BlockFacts(block, int(card["values"]), cost, share(card.get(empty))))
    if card := record.get("narrative"):
        rows.append(BlockFacts("narrative", int(card["values"]), _cost(card), share(users - int(card["users"]))))
    return rows


def _cost(card: Mapping[str, Any] | None) -> float | None:
    seconds = (card or {}).get("cpu_seconds")
    return None if seconds is None else float(seconds)
