"""The picture of everyone: what it is coloured by, who is searched for on it, which part of it is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.pipeline import colours, screens, shoppers
from core.pipeline.map_cells import drawable
from core.pipeline.places import Chosen, Places, visible
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.atlas.levels import Levels
from pages.parts.atlas.selecting import LIFTED, drawn_on, keep_drawn, zoom_of
from pages.parts.text import _, chance, counted, listed, number, plain, small_cells, whole
from pages.parts.words import feature_word

SEGMENT, FINE, CHANCE, CERTAINTY, RFM, LIFE, TASTE = "segment", "subsegment", "propensity", "certainty", "rfm", "life", "taste"
RFM_ORDERS = "rfm of orders alone"
COLOUR_WORDS = {
    SEGMENT: "Segment",
    FINE: "Fine segment",
    CHANCE: "Purchase chance",
    RFM: "RFM group",
    LIFE: "Stage of life",
    TASTE: "Taste for a category …",
    CERTAINTY: "Certainty of the segment",
}
RFM_WORDS = {
    "champions": "Champions",
    "loyal": "Loyal",
    "recent": "Recent, little so far",
    "occasional": "Occasional",
    "at_risk": "At risk",
    "asleep": "Asleep",
    "never": "No purchase",
}
LIFE_WORDS = {"new": "New", "active": "Active", "slipping": "Slipping away", "away": "Gone quiet"}
NOTE_WORDS = {
    RFM: "Days since the last purchase, orders and revenue, each scored 1 to 5 among buyers; orders and revenue are averaged. "
    "At risk: bought much, but not lately.",
    RFM_ORDERS: "Days since the last purchase and orders, each scored 1 to 5 among buyers; the log tells no revenue. "
    "At risk: bought much, but not lately.",
    LIFE: "New: first seen within 28 days. Active: last seen within two of the shopper's own usual gaps; slipping away: within four.",
    TASTE: "Share of the category in the acts of each shopper.",
}
FEATURES_SHOWN = ("events_all", "orders_all", "revenue_all", "days_since_event", "active_days_all", "categories_all", "price_mean")
"""Offered first; every other counted feature follows."""
PLAIN_POINTS = 3000
"""Up to here points are vector marks, which every browser draws; more of them need WebGL or make the page lag."""
NEAREST = 10


@dataclass(frozen=True)
class Colouring:
    """What points are coloured by: groups, or a value with its word."""

    groups: list[charts.Group] | None
    ids: npt.NDArray[np.int64] | None
    value: npt.NDArray[np.float64] | None = None
    word: str = ""
    is_share: bool = False
    note: str = ""
    """How the groups or values are made."""


def draw_map(here: Screen, everyone: Places, levels: Levels, lacks_webgl: Callable[[], bool]) -> Chosen | None:
    """Draw the map; returns who lies inside what was drawn on it (U,), or None when nothing is drawn around."""
    left, middle, right = st.columns([4, 4, 3])
    with left:
        colouring = _colouring(here, everyone, levels)
    with middle:
        sought = _search(here, everyone)
    if colouring.note:
        st.caption(colouring.note)
    zoom = zoom_of(here)
    within = everyone.framed(*visible(zoom)) if zoom else None
    rows = everyone.drawn() if within is None else everyone.drawn_around(within)
    with right:
        st.space("small")  # beside the boxes, not beside their labels
        webgl = len(rows) > PLAIN_POINTS and not lacks_webgl()
        if webgl:
            webgl = not st.toggle(
                _("Draw without the graphics card"),
                key="map-plain",
                help=_("Fewer points are drawn, all are counted; a browser that lacks WebGL gets them so by itself."),
            )
        elif len(rows) > PLAIN_POINTS:
            st.caption(_("This browser lacks WebGL: fewer points are drawn, all are counted."))
    if not webgl:
        rows = everyone.sample(PLAIN_POINTS) if within is None else everyone.drawn_around(within, PLAIN_POINTS, PLAIN_POINTS)
    shaded = _only_sampled(rows, within, len(everyone.x))
    if here.small_cells:
        rows = rows[drawable(everyone, here.small_cells)[rows]]
    figure = _figure(here, everyone, rows, colouring, webgl)
    for part, is_beyond in shaded:
        figure = charts.add_density(figure, *everyone.density(part), state.look(), smooth=is_beyond)
    if zoom:
        figure = charts.zoomed(figure, zoom)
    near = None
    if sought is not None:
        near = state.ask(shoppers.nearest, here, sought, NEAREST)
        figure = _marked(here, figure, everyone, sought, near, webgl)
    st.plotly_chart(
        figure.update_layout(selectionrevision=state.flag(LIFTED) or 0),
        theme=None,
        config=frame.map_config(),
        key="map",
        on_select=partial(keep_drawn, here),
        selection_mode=("lasso", "box"),
        alt=_("Map of shoppers"),
    )
    st.caption(
        _("The only shopper is drawn.")
        if len(everyone.x) == 1 and not here.small_cells
        else _(
            "{shown} of {all} shoppers are drawn. Draw around points with the lasso or the box to select; scroll to zoom. "
            "Near points are alike; areas and distances are no sizes.",
            shown=whole(len(rows)),
            all=counted(len(everyone.x)),
        )
        + (" " + _("Around the part that is zoomed to not all points are drawn; a shade stands for the others.") if zoom and shaded else "")
        + (" " + _("Points bear no id, and some are left out, so that counting them tells no small group.") if here.small_cells else "")
    )
    if sought is not None and near is not None:
        _neighbours(everyone, levels, sought, near)
    return drawn_on(here, everyone)


def _only_sampled(rows: npt.NDArray[np.int64], within: Chosen | None, users: int) -> list[tuple[Chosen | None, bool]]:
    """Whom a density stands for, and whether they are beyond the frame: all of a part that is sampled, beyond it those left out."""
    if within is None:
        return [(None, False)] if len(rows) < users else []
    left_out = np.ones(users, dtype=bool)
    left_out[rows] = False
    return [(who, who is not within) for who in (within, left_out & ~within) if (who & left_out).any()]


def _colouring(here: Screen, everyone: Places, levels: Levels) -> Colouring:
    differing = set(state.ask(colours.features, here))
    words = {name: feature_word(name) for name in shoppers.feature_words() if name in differing}
    tastes = state.ask(colours.categories, here)
    rfm, life = state.ask(colours.rfm, here), state.ask(colours.life, here)
    offered = [
        SEGMENT,
        *([FINE] if levels.is_split else []),
        *([CHANCE] if np.isfinite(everyone.propensity).any() else []),
        *([RFM] if rfm is not None else []),
        *([LIFE] if life is not None else []),
        *([TASTE] if tastes else []),
        CERTAINTY,
        *dict.fromkeys([n for n in FEATURES_SHOWN if n in words] + list(words)),
    ]
    colour = st.selectbox(
        _("Coloured by"), offered, format_func=lambda c: _(COLOUR_WORDS[c]) if c in COLOUR_WORDS else words.get(c, c), key="map-colour"
    )
    if colour == TASTE:
        taste = st.selectbox(_("Category"), tastes, key="map-taste")
    if colour in (SEGMENT, FINE):
        return Colouring(levels.groups(fine=colour == FINE), everyone.fine_ids if colour == FINE else everyone.segment_ids)
    if colour in (RFM, LIFE):
        codes, named = (colours.RFM_GROUPS, RFM_WORDS) if colour == RFM else (colours.STAGES, LIFE_WORDS)
        groups = [charts.Group(place, _(named[code]), *charts.slot(place, 0, state.look())) for place, code in enumerate(codes)]
        note = RFM_ORDERS if colour == RFM and not state.ask(colours.rfm_knows_revenue, here) else colour
        return Colouring(groups, rfm if colour == RFM else life, note=_(NOTE_WORDS[note]))
    if colour in (CHANCE, CERTAINTY):
        values = everyone.propensity if colour == CHANCE else everyone.certainty
        return Colouring(None, None, values, _(COLOUR_WORDS[colour]), is_share=True)
    if colour == TASTE:
        return Colouring(None, None, state.ask(colours.affinity, here, taste), taste, is_share=True, note=_(NOTE_WORDS[TASTE]))
    return Colouring(None, None, state.ask(colours.feature_values, here, colour), words[colour])


def _figure(here: Screen, everyone: Places, rows: npt.NDArray[np.int64], colouring: Colouring, webgl: bool) -> go.Figure:
    drawn, words = _points(here, everyone, rows), _hover_words()
    if colouring.value is not None:
        scale = charts.Scale.of(colouring.value, colouring.word, _("no value"), is_share=colouring.is_share)
        return charts.scatter_values(drawn.assign(value=colouring.value[rows]), scale, state.look(), words, webgl=webgl)
    ids = everyone.segment_ids if colouring.ids is None else colouring.ids
    return charts.scatter_groups(drawn.assign(group=ids[rows]), colouring.groups or [], state.look(), words, webgl=webgl)


def _hover_words() -> tuple[str, ...]:
    return _("shopper"), _("chance"), _("events"), _("orders")


def _points(here: Screen, everyone: Places, rows: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Places and hover cards; counts only where the profiles have them and nobody is hidden."""
    known = set() if small_cells() else set(screens.run_columns(here, "profiles", "counts"))
    counts = {
        name: np.nan_to_num(state.ask(colours.feature_values, here, column)[rows]).astype(np.int32)
        for name, column in (("events", "events_all"), ("orders", "orders_all"))
        if {"events_all", "orders_all"} <= known
    }
    has_chance = bool(np.isfinite(everyone.propensity).any()) and not small_cells()
    return pd.DataFrame(
        {
            "x": everyone.x[rows],
            "y": everyone.y[rows],
            "user_id": "·" if small_cells() else everyone.user_ids[rows],
            "chance": [chance(float(value)) for value in everyone.propensity[rows]] if has_chance else "",
            **counts,
        }
    )


def _search(here: Screen, everyone: Places) -> str | None:
    """Ask for a shopper to show; returns her id when she is on the map, after naming the nearest ids when she is not."""
    hides = here.small_cells > 0
    typed = st.text_input(_("Find a shopper"), key="map-shopper", placeholder=_("type an id"), disabled=hides).strip()
    if not typed or hides:
        return None
    if everyone.row_of(typed) is not None:
        return typed
    _found, near = state.ask(shoppers.find_user, here, typed)
    known = [user for user in near if everyone.row_of(user) is not None]
    st.caption(_("There is no shopper {id} on the map. The nearest ids are: {ids}", id=plain(typed), ids=plain(listed(known) or "–")))
    return None


def _marked(here: Screen, figure: go.Figure, everyone: Places, sought: str, near: pd.DataFrame, webgl: bool) -> go.Figure:
    rows = [everyone.row_of(user) for user in (sought, *near["user_id"])]
    notes = ["", *(_("similarity {value}", value=number(value, 3)) for value in near["similarity"])]
    kept = [(row, note) for row, note in zip(rows, notes, strict=True) if row is not None]
    points = _points(here, everyone, np.array([row for row, _note in kept], dtype=np.int64)).assign(note=[note for _row, note in kept])
    names = (_("shopper {id}", id=sought), _("most alike"))
    return charts.mark(figure, points, names, state.look(), _hover_words(), webgl=webgl)


def _neighbours(everyone: Places, levels: Levels, sought: str, near: pd.DataFrame) -> None:
    """Who is searched for, and those most alike to her."""
    names = levels.names(fine=True)
    row = everyone.row_of(sought)
    with st.container(border=True):
        segment = names.get(int(everyone.fine_ids[row]), "–") if row is not None else "–"
        st.markdown(_("**Shopper {id}** · {segment}", id=plain(sought), segment=plain(segment)))
        if not len(near):
            st.caption(_("This shopper has no text profile, so none can be compared."))
            return
        rows = [everyone.row_of(user) for user in near["user_id"]]
        frame.table(
            near.assign(segment=[names.get(int(everyone.fine_ids[r]), "–") if r is not None else "–" for r in rows]),
            column_order=["user_id", "similarity", "segment"],
            key="map-near",
            column_config={
                "user_id": _("Shopper id"),
                "similarity": st.column_config.NumberColumn(_("Similarity"), format="%.3f"),
                "segment": st.column_config.TextColumn(_("Segment"), width="large"),
            },
        )
        with st.container(horizontal=True):
            frame.take_away(near, "map-nearest")
