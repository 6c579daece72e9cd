"""What the server does before anybody has come: it loads the modules of the pages, and asks what their first views ask."""

import importlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from streamlit.runtime.pages_manager import PagesManager

from pages.parts.serving import answer_at_once, early

MODULES = (
    "pages.parts.controls",
    "pages.parts.filters",
    "pages.parts.overview",
    "pages.parts.what_changed",
    "pages.parts.what_to_do",
    "pages.parts.products",
    "pages.parts.behaviour",
    "plotly.validators",
    "PIL.Image",
)
"""In the order in which a first view needs them; none of them loads a model library (a test holds them to it)."""
DATASETS = 3
"""So many of the datasets that were published last are asked."""


@asynccontextmanager
async def warmed(_app: object) -> AsyncIterator[None]:
    """Begin to load MODULES in the background as the server starts, then to ask; the server answers meanwhile."""
    answer_at_once()
    PagesManager.uses_pages_directory = False  # as the first `st.navigation` says, one run of a page too late
    threading.Thread(target=_load, name="warming", daemon=True).start()
    yield


def _load() -> None:
    early()
    for name in MODULES:
        importlib.import_module(name)
    _draw()
    ask_first()


def _draw() -> None:
    """Draw a chart of each form of a first view: plotly loads and checks much with the first one."""
    import numpy as np
    import pandas as pd

    from pages.parts import charts

    days = pd.DataFrame({"period": pd.to_datetime(["2024-01-01", "2024-01-02"]), "users": [1, 2], "partial": [False, True]})
    for figure in (
        charts.trend(days, "users", "", "", charts.LIGHT),
        charts.bars(["", ""], [1.0, 2.0], ["1", "2"], "", charts.LIGHT),
        charts.heat(np.eye(2), ["", " "], ["0", "1"], "", charts.LIGHT),
    ):
        figure.to_json()


def ask_first() -> list[str]:
    """Ask the datasets published last what first views ask, and remember the answers; returns which were asked."""
    from core.errors import CoreError
    from core.pipeline import advising, behaviour, choosing, outcomes, screens
    from core.pipeline.behaviour import NO_FILTERS
    from core.pipeline.sorting import wants_sorting
    from core.store import CURRENT
    from pages.parts import overview, state

    home, asked = state.home(), []
    newest = sorted(home.datasets(), key=lambda name: -(home.path / "datasets" / name / CURRENT).stat().st_mtime)
    for name in newest[:DATASETS]:
        with suppress(CoreError, OSError):  # removed meanwhile, or damaged: whoever opens it is told
            here = screens.open_screen(home, name)
            if wants_sorting(here):  # statements would take as long as everything that a person asks meanwhile
                continue
            period = screens.period_of(here, None)
            for reader in (screens.manifest, behaviour.facts, outcomes.category_names, behaviour.brand_names):
                state.ask(reader, here)
            state.ask(behaviour.figures, here, NO_FILTERS, period)
            state.ask(behaviour.trend, here, NO_FILTERS, period, overview.usual_step(here, period))
            state.ask(behaviour.event_mix, here, NO_FILTERS, period)
            state.ask(behaviour.hours, here, NO_FILTERS, period, "all")
            state.ask(behaviour.judged, here, NO_FILTERS, period, "category")
            state.ask(outcomes.attributes, here)
            advising.advice(here, NO_FILTERS, period, state.ask)
            choosing.people(here)
            asked.append(name)
    return asked
