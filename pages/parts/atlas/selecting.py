"""Who is selected on the map, by a shape or by the keyboard, and what can be done with them."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.pipeline import comparing, outcomes
from core.pipeline.cells import list_too_short
from core.pipeline.places import Chosen, Frame, Places
from core.pipeline.screens import Screen
from pages.parts import downloads, state
from pages.parts.atlas.comparing import show_comparison
from pages.parts.atlas.levels import Levels
from pages.parts.text import _, counted, is_short, number, part_of, plain, said, small_cells

AROUND = 100
ZOOM = "map-zoom"


def zoom_of(here: Screen) -> Frame | None:
    """The part of the map that is shown, None for all of it."""
    kept = state.flag(ZOOM)
    return kept[1] if kept and kept[0] == (here.name, here.run_id("atlas")) else None


def shape_of(everyone: Places, event: Any) -> Chosen | None:
    """Who lies in the drawn shapes (U,), tested over everyone; None when nothing is drawn."""
    shapes = [(list(shape["x"]), list(shape["y"])) for shape in event["selection"]["lasso"]]
    for box in event["selection"]["box"]:  # two corners
        (x1, x2), (y1, y2) = list(box["x"]), list(box["y"])
        shapes.append(([x1, x2, x2, x1], [y1, y1, y2, y2]))
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
        names = {("fine", key): name for key, name in levels.names(fine=True).items()}
        if levels.is_split:
            names = {("coarse", key): name for key, name in levels.names(fine=False).items()} | names
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
                users = sorted(str(user) for user in everyone.user_ids[inside])
                rule = {"users": users}
                outcomes.save_audience(
                    here, {"name": name[:80], "rule": rule, "holdout": 0.1, "cost": 0.0, "margin": 0.0, "users": number_inside}
                )
                st.toast(_("Saved. It stands on the page Audiences."))
            downloads.csv_button(lambda: pd.DataFrame({"user_id": everyone.user_ids[inside].astype(str)}), "selection")
        known = state.ask(comparing.known, here)
        if known is not None and number_inside < len(everyone.x):
            show_comparison(comparing.compare(everyone, known, inside, ~inside), _("Selection"), _("All others"), "selection")
    return inside


def _zoom_buttons(here: Screen, everyone: Places, inside: Chosen | None) -> None:
    """Draw the selected part anew, with its own sample where not all are drawn at once, or all again."""
    with st.container(horizontal=True):
        chosen = inside is not None and bool(inside.any())
        if st.button(_("Zoom to the selection"), key="map-zoom-in", disabled=not chosen) and inside is not None:
            state.put(ZOOM, ((here.name, here.run_id("atlas")), everyone.frame_of(inside)))
            st.rerun()
        if st.button(_("Show everyone again"), key="map-zoom-out", disabled=zoom_of(here) is None):
            state.drop(ZOOM)
            st.rerun()
