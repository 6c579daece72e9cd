"""The views of the Behaviour page, one module each."""

from collections.abc import Callable

from core.pipeline.behaviour import Filters
from core.pipeline.screens import Screen
from pages.parts.behaviour import drivers, exposure, funnel, orders, paths, retention, value
from pages.parts.text import _

VIEWS: dict[str, Callable[[Screen, Filters], None]] = {
    "funnel": funnel.draw,
    "retention": retention.draw,
    "paths": paths.draw,
    "value": value.draw,
    "orders": orders.draw,
    "exposure": exposure.draw,
    "drivers": drivers.draw,
}
VIEW_WORDS = {
    "funnel": "Funnel",
    "retention": "Retention",
    "paths": "Paths",
    "value": "Buyers and value",
    "orders": "Orders and baskets",
    "exposure": "Position and dwell",
    "drivers": "Drivers",
}


def view_word(name: str) -> str:
    """The name of a view in the chosen language."""
    return _(VIEW_WORDS[name])
