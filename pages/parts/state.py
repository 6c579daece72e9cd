"""What a page run remembers: home, dataset, language and theme; the one door to Streamlit's caches, session and address."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import NotFoundError
from core.pipeline import screens
from core.pipeline.screens import Screen
from core.store import Home
from pages.parts.charts import DARK, LIGHT, Look
from pages.parts.text import LOCALES, set_language, set_small_cells

ANSWERS = 300
"""Answers kept in memory for all windows together; a new version or run has new keys."""

FILTERS = "filters-told"
"""Key of the filters in force on this page, in words."""


def home() -> Home:
    """The home folder: SHOPPER_ATLAS_HOME, or ./workspace."""
    return Home(Path(os.environ.get("SHOPPER_ATLAS_HOME") or "workspace").resolve())


def language() -> str:
    """The language in the address (`?lang=zh`), also after a page change or a refresh."""
    chosen = st.session_state.get("lang") or st.query_params.get("lang") or "en"
    st.session_state["lang"] = chosen if chosen in LOCALES else "en"  # a page change empties the address
    return str(st.session_state["lang"])


def begin() -> None:
    """Set up this run of a script or fragment: its language, and which counts are hidden."""
    set_language(language())
    set_small_cells(home().small_cells())


def choose_language(chosen: str) -> None:
    """Switch the language of this window and keep it in the address."""
    st.session_state["lang"] = chosen
    keep_in_address("lang", chosen)


def address() -> dict[str, list[str]]:
    """Everything the address says, with all values of a name that stands there several times, for a page to lead on with."""
    return {key: st.query_params.get_all(key) for key in st.query_params}


def keep_in_address(key: str, value: str) -> None:
    """Write a plain id into the address, when it differs."""
    if st.query_params.get(key) != value:
        st.query_params[key] = value


def seed(key: str, known: Callable[[str], Any], default: Any = None) -> list[str]:
    """Give a widget its first value of this window: the address's, when it is known; what is no longer known becomes the default.

    Args:
        key: Of the widget, and its name in the address.
        known: Turns the text of an address, or of a kept value, into a value, or into None when there is no such value.
        default: Of the widget.

    Returns:
        What the address, or the window before another dataset was chosen, asked for and is not known.
    """
    if is_kept := key in st.session_state:
        kept = st.session_state[key]
        texts = [str(one) for one in kept] if isinstance(kept, list) else [] if kept is None else [str(kept)]
    else:
        texts = st.query_params.get_all(key)
    found = [(text, known(text)) for text in texts]
    values, unknown = [value for _text, value in found if value is not None], [text for text, value in found if value is None]
    if is_kept and not unknown:
        return []
    if isinstance(default, list):
        st.session_state[key] = values or default
    else:
        st.session_state[key] = values[0] if values else default
    return unknown


def link(key: str, value: Any) -> None:
    """Keep a plain value, or several, of a widget in the address; None or an empty list takes it out."""
    texts = [str(one) for one in value] if isinstance(value, list | tuple) else [] if value is None else [str(value)]
    if st.query_params.get_all(key) != texts:
        if texts:
            st.query_params[key] = texts
        else:
            st.query_params.pop(key, None)


def dataset_name() -> str | None:
    """The dataset on screen: the one just imported or chosen in this window, else in the address, else the first; None in an empty home."""
    names = home().datasets()
    if has_arrived():
        choose_dataset(st.session_state["awaited_dataset"])
    for wanted in (st.session_state.get("dataset"), st.query_params.get("dataset")):
        if wanted in names:
            st.session_state["dataset"] = wanted
            return str(wanted)
    return names[0] if names else None


def choose_dataset(name: str) -> None:
    """Show another dataset in this window."""
    st.session_state["dataset"] = name
    drop("awaited_dataset")


def await_dataset(name: str) -> None:
    """Show a dataset in this window as soon as it is there; it may be in the making."""
    if name in home().datasets():
        choose_dataset(name)
    else:
        st.session_state["awaited_dataset"] = name


def has_arrived() -> bool:
    """Whether the dataset that this window waits for is there and not yet shown."""
    return st.session_state.get("awaited_dataset") in home().datasets()


def screen() -> Screen | None:
    """Pin the dataset on screen, or None in an empty home."""
    name = dataset_name()
    if name is None:
        return None
    try:
        return screens.open_screen(home(), name)
    except NotFoundError:  # removed between two lines
        return None


def ask(reader: Callable[..., Any], here: Screen, *arguments: object) -> Any:
    """Ask a reader of `core.pipeline.screens`, or take the answer from memory; answers are shared and never changed.

    Args:
        reader: The function; its first argument is the screen.
        here: The pinned dataset, whose version and runs are part of the key.
        arguments: Further plain values, all part of the key.
    """
    return _answer(f"{reader.__module__}.{reader.__qualname__}", repr(here), repr(arguments), reader, here, arguments)


@st.cache_resource(max_entries=ANSWERS, show_spinner=False)
def _answer(name: str, key: str, values: str, _reader: Any, _screen: Any, _arguments: Any) -> Any:
    return _reader(_screen, *_arguments)


def look() -> Look:
    """The colours of the theme on screen."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def flag(key: str) -> Any:
    """Read a value of this window."""
    return st.session_state.get(key)


def put(key: str, value: Any) -> None:
    """Keep a value of this window."""
    st.session_state[key] = value


def drop(key: str) -> None:
    """Forget a value of this window."""
    st.session_state.pop(key, None)
