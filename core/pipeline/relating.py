"""Relations that a shop declares between its items (a case is an accessory of a phone), kept with the dataset for its lists."""

from collections.abc import Sequence
from typing import Any

from core.pipeline import screens
from core.pipeline.offering import goods
from core.pipeline.screens import Screen
from core.recommender.relations import COLUMNS, RELATIONS, Relations, read_relations, relations_from
from core.store import Dataset

__all__ = ["COLUMNS", "RELATIONS", "Relations", "keep", "kept_relations", "read_relations", "unknown_names"]
SAVED = "relations"


def kept_relations(dataset: Dataset) -> Relations:
    """Return the relations that lists of the dataset are made with; none until somebody gives some."""
    return relations_from(dataset.saved(SAVED) or [])


def keep_relations(dataset: Dataset, relations: Relations) -> None:
    """Keep relations in place of those before; lists follow when they are made again."""
    dataset.save(SAVED, relations.record())


def keep(screen: Screen, relations: Relations) -> None:
    """The same from the page, with a line in the audit trail."""
    keep_relations(screen.dataset, relations)
    screens.audit(screen, {"act": "keep relations", "dataset": screen.name, "relations": len(relations.edges)})


def unknown_names(screen: Screen, relations: Relations) -> list[dict[str, Any]]:
    """Names of relations that the catalogue of the pinned version does not have: kind, name, rows."""
    every = goods(screen)
    columns: dict[str, Sequence[str | None]] = {
        "item": every.item_ids,
        "title": every.titles,
        "category": every.categories,
        "brand": every.brands,
    }
    return relations.unknown({kind: {name for name in names if name} for kind, names in columns.items()})
