"""The views of the Behaviour page, one module each."""

from collections.abc import Callable

from core.pipeline.behaviour import Filters
from core.pipeline.screens import Screen
from pages.parts.behaviour import funnel
from pages.parts.text import _

VIEWS: dict[str, Callable[[Screen, Filters], None]] = {"funnel": funnel.draw}
VIEW_WORDS = {"funnel": "Funnel"}


def view_word(name: str) -> str:
    """The name of a view in the chosen language."""
    return _(VIEW_WORDS[name])
