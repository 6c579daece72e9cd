"""Who is selected on the map, by a shape or by the keyboard, and what can be done with them."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.pipeline import behaviour, comparing
from core.pipeline.cells import list_too_short
from core.pipeline.places import Chosen, Frame, Places
from core.pipeline.screens import Screen
from pages.parts import downloads, state
from pages.parts.atlas.comparing import show_comparison
from pages.parts.atlas.levels import Levels
from pages.parts.filters import look_only_at
from pages.parts.text import _, counted, is_short, number, part_of, plain, said, small_cells

Shape = tuple[list[float], list[float]]
"""The corners of a drawn line: across, upwards."""
AROUND = 100
ZOOM = "map-zoom"
DRAWN = "map-drawn"
"""Key of the shapes that are drawn on the map: a new colour or frame makes a new picture, which knows none of them."""
LIFTED = "map-lifted"
"""Key of how often the shapes were taken off by the button: the picture begins anew with each."""


def zoom_of(here: Screen) -> Frame | None:
    """The part of the map that is shown, None for all of it."""
    return _kept(here, ZOOM)


def keep_drawn(here: Screen) -> None:
    """Remember what was drawn on the map just now, or that it was wiped away."""
    event = state.flag("map")
    if shapes := shapes_of(event["selection"]) if event else []:
        state.put(DRAWN, (_map_of(here), shapes))
    else:
        state.drop(DRAWN)


def shapes_of(drawn: Any) -> list[Shape]:
    """The corners of every lasso and box that a picture tells of."""
    shapes = [(list(shape["x"]), list(shape["y"])) for shape in drawn["lasso"]]
    for box in drawn["box"]:  # two corners
        (x1, x2), (y1, y2) = list(box["x"]), list(box["y"])
        shapes.append(([x1, x2, x2, x1], [y1, y1, y2, y2]))
    return shapes


def drawn_on(here: Screen, everyone: Places) -> Chosen | None:
    """Who lies in the drawn shapes (U,), tested over everyone, drawn as a point or not; None when nothing is drawn."""
    shapes: list[Shape] | None = _kept(here, DRAWN)
    if not shapes:
        return None
    inside = np.zeros(len(everyone.x), dtype=bool)
    for x, y in shapes:
        inside |= everyone.inside(x, y)
    return inside


def by_keyboard(everyone: Places, levels: Levels) -> Chosen | None:
    """Select without drawing: segments of either level, or those around a shopper; returns (U,), None when nothing is chosen."""
    with st.expander(_("Select without drawing")):
        left, right = st.columns(2, gap="large")
        names = levels.options()
        chosen = left.multiselect(_("Segments"), list(names), format_func=names.__getitem__, key="map-segments")
        user = right.text_input(_("Around the shopper"), key="map-around", placeholder=_("type an id"), disabled=small_cells() > 0).strip()
        user = "" if small_cells() else user
        most = max(2, min(len(everyone.x), 5000))
        count = int(right.number_input(_("How many of the nearest on the map"), 1, most, min(AROUND, most), key="map-around-number"))
        if user and everyone.row_of(user) is None:
            right.caption(_("There is no shopper {id} on the map.", id=plain(user)))
    if not chosen and not user:
        return None
    inside = everyone.around(user, count) if user else np.zeros(len(everyone.x), dtype=bool)
    for level, key in chosen:
        inside |= (everyone.fine_ids if level == "fine" else everyone.segment_ids) == key
    return inside


def selection(here: Screen, everyone: Places, levels: Levels, drawn: Chosen | None) -> Chosen | None:
    """Say who is selected, what sets them apart, and save them as an audience; returns who is selected (U,)."""
    keyed = by_keyboard(everyone, levels)
    inside = drawn if drawn is not None else keyed
    _zoom_buttons(here, everyone, inside)
    if inside is None or not inside.any():
        return None
    number_inside = int(inside.sum())
    chances = everyone.propensity[inside]
    chances = chances[np.isfinite(chances)]
    with st.container(border=True):
        expected = _(", {buyers} expected to act", buyers=number(float(chances.sum()), 1)) if len(chances) else ""
        st.markdown(
            _("**{n} shoppers selected**{expected}", n=counted(number_inside), expected="" if is_short(number_inside) else expected)
            + " · "
            + _("{share} of all shoppers", share=part_of(number_inside, len(everyone.x)))
        )
        if is_short(number_inside):
            st.caption(plain(said(list_too_short(small_cells()))))
            return inside
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input(_("Name of the audience"), value=_("Selection on the map"), key="lasso-name")
            if st.button(_("Save as audience"), type="primary", key="lasso-save"):
                behaviour.save_members(here, name, _ids(everyone, inside))
                st.toast(_("Saved. It stands on the page Audiences."))
            if st.button(_("Send to Behaviour as filter"), key="lasso-send"):
                _send(here, everyone, inside)
            downloads.csv_button(lambda: pd.DataFrame({"user_id": everyone.user_ids[inside].astype(str)}), "selection")
        known = state.ask(comparing.known, here)
        if known is not None and number_inside < len(everyone.x):
            show_comparison(comparing.compare(everyone, known, inside, ~inside), _("Selection"), _("All others"), "selection")
    return inside


def _send(here: Screen, everyone: Places, inside: Chosen) -> None:
    """Lead to the page Behaviour, filtered by the segment that is selected, or by an audience of those who are."""
    segments = np.unique(everyone.segment_ids[inside])
    if len(segments) == 1 and np.array_equal(everyone.segment_ids == segments[0], inside):
        look_only_at("segment", str(segments[0]))
    name = _("Sent from the map: {n} shoppers", n=counted(int(inside.sum())))
    behaviour.save_members(here, name, _ids(everyone, inside))
    look_only_at("audience", name)


def _ids(everyone: Places, inside: Chosen) -> list[str]:
    return sorted(str(user) for user in everyone.user_ids[inside])


def _map_of(here: Screen) -> tuple[str, str | None]:
    return here.name, here.run_id("atlas")


def _kept(here: Screen, key: str) -> Any:
    """What this window keeps of the map on screen, None of another map."""
    kept = state.flag(key)
    return kept[1] if kept and kept[0] == _map_of(here) else None


def _zoom_buttons(here: Screen, everyone: Places, inside: Chosen | None) -> None:
    """Draw the selected part anew, with its own sample where not all are drawn at once, or all again."""
    with st.container(horizontal=True):
        chosen = inside is not None and bool(inside.any())
        if st.button(_("Zoom to the selection"), key="map-zoom-in", disabled=not chosen) and inside is not None:
            state.put(ZOOM, (_map_of(here), everyone.frame_of(inside)))
            st.rerun()
        if st.button(_("Show everyone again"), key="map-zoom-out", disabled=zoom_of(here) is None):
            state.drop(ZOOM)
            st.rerun()
        if st.button(_("Take the drawn shape off"), key="map-lift", disabled=_kept(here, DRAWN) is None):
            state.drop(DRAWN)
            state.put(LIFTED, (state.flag(LIFTED) or 0) + 1)
            st.rerun()
