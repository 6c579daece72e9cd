"""What the server loads before anybody has come: the modules of the pages, which the first view would wait for else."""

import importlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MODULES = (
    "pages.parts.controls",
    "pages.parts.filters",
    "pages.parts.overview",
    "pages.parts.what_changed",
    "pages.parts.what_to_do",
    "pages.parts.products",
    "pages.parts.behaviour",
    "plotly.validators",
)
"""In the order in which a first view needs them; none of them loads a model library (a test holds them to it)."""


@asynccontextmanager
async def warmed(_app: object) -> AsyncIterator[None]:
    """Begin to load MODULES in the background as the server starts; the server answers meanwhile."""
    threading.Thread(target=_load, name="warming", daemon=True).start()
    yield


def _load() -> None:
    for name in MODULES:
        importlib.import_module(name)
