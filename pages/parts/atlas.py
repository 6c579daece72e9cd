"""The map, its lasso and keyboard twin, the segment table and its details."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from core.pipeline import outcomes, shoppers
from core.pipeline.screens import Screen
from core.pipeline.shoppers import Places
from pages.parts import charts, downloads, frame, state
from pages.parts.text import _, amount, chance, hover, language, number, percent, plain, whole
from pages.parts.traits import traits_shown
from pages.parts.words import feature_word

SEGMENT, CHANCE, CERTAINTY = "segment", "propensity", "certainty"
COLOUR_WORDS = {SEGMENT: "Segment", CHANCE: "Purchase chance", CERTAINTY: "Certainty of the segment"}
FEATURES_SHOWN = ("events_all", "orders_all", "revenue_all", "recency_days", "active_days_all", "categories_all", "price_median")
"""Offered first; every other counted feature follows."""

PLAIN_POINTS = 3000
"""Up to here points are vector marks, which every browser draws; more of them need WebGL or make the page lag."""
ZOOM = "map-zoom"
MOST_TRAITS = 12

Chosen = npt.NDArray[np.bool_]


def draw_map(here: Screen, everyone: Places, segments: pd.DataFrame) -> Chosen | None:
    """Draw the map; returns who lies inside the lasso (U,), or None when nothing is drawn around."""
    words = {name: feature_word(name) for name in shoppers.feature_words()}
    colours = [
        SEGMENT,
        *([CHANCE] if np.isfinite(everyone.propensity).any() else []),
        CERTAINTY,
        *dict.fromkeys([n for n in FEATURES_SHOWN if n in words] + list(words)),
    ]
    left, right = st.columns([3, 5], vertical_alignment="bottom")
    colour = left.selectbox(
        _("Coloured by"), colours, format_func=lambda c: _(COLOUR_WORDS[c]) if c in COLOUR_WORDS else words.get(c, c), key="map-colour"
    )
    zoom = state.flag(ZOOM)
    zoom = zoom[1] if zoom and zoom[0] == (here.name, here.run_id("atlas")) else None
    within = everyone.framed(*zoom) if zoom else None
    rows = everyone.sample(within=within)
    webgl = len(rows) > PLAIN_POINTS and not st.toggle(
        _("Draw without the graphics card"),
        key="map-plain",
        help=_("If the map stays empty, this browser lacks WebGL: fewer points are drawn, all are counted."),
    )
    if not webgl:
        rows = everyone.sample(PLAIN_POINTS, within)
    right.caption(
        _(
            "{shown} of {all} shoppers are drawn. Draw around points with the lasso to select; scroll to zoom. "
            "Near points are alike; areas and distances are no sizes.",
            shown=whole(len(rows)),
            all=whole(len(everyone.x)),
        )
    )
    names = dict(zip(segments["segment_id"], segments["name"], strict=True))
    value = (
        None
        if colour == SEGMENT
        else everyone.propensity
        if colour == CHANCE
        else everyone.certainty
        if colour == CERTAINTY
        else state.ask(shoppers.feature_values, here, colour)
    )
    drawn = pd.DataFrame(
        {
            "x": everyone.x[rows],
            "y": everyone.y[rows],
            "segment_id": everyone.segment_ids[rows],
            "card": _cards(everyone, rows, names, value if colour not in COLOUR_WORDS else None),
        }
    )
    if value is None:
        figure = charts.scatter_groups(drawn, [(int(s), n) for s, n in names.items()], state.look(), webgl=webgl)
    else:
        drawn["value"] = value[rows]
        figure = charts.scatter_values(
            drawn,
            _(COLOUR_WORDS[colour]) if colour in COLOUR_WORDS else words[colour],
            state.look(),
            form=".0%" if colour in COLOUR_WORDS else "~s",
            webgl=webgl,
        )
    shown = np.ones(len(everyone.x), dtype=bool) if within is None else within
    if len(rows) < shown.sum():
        figure = charts.add_density(figure, everyone.x[shown], everyone.y[shown], state.look())
    if zoom:
        figure = charts.zoomed(figure, zoom)
    event = st.plotly_chart(
        figure,
        theme=None,
        config=frame.map_config(),
        key="map",
        on_select="rerun",
        selection_mode=("lasso", "box"),
        alt=_("Map of shoppers"),
    )
    inside = _inside(everyone, event)
    if len(everyone.x) > shoppers.MOST_POINTS:
        _zoom_buttons(here, everyone, inside, bool(zoom))
    return inside


def _inside(everyone: Places, event: Any) -> Chosen | None:
    """Who lies in the drawn shape (U,), or None when there is none."""
    lassos = [*event["selection"]["lasso"], *event["selection"]["box"]]
    if not lassos:
        return None
    polygon_x, polygon_y = list(lassos[0]["x"]), list(lassos[0]["y"])
    if len(polygon_x) == 2:  # a box is two corners
        polygon_x, polygon_y = (
            [polygon_x[0], polygon_x[1], polygon_x[1], polygon_x[0]],
            [polygon_y[0], polygon_y[0], polygon_y[1], polygon_y[1]],
        )
    return everyone.inside(polygon_x, polygon_y)


def _zoom_buttons(here: Screen, everyone: Places, inside: Chosen | None, zoomed: bool) -> None:
    """Above the number of points that are drawn at once: draw the selected part anew with its own sample, or all again."""
    with st.container(horizontal=True):
        chosen = inside is not None and bool(inside.any())
        if st.button(_("Zoom to the selection"), key="map-zoom-in", disabled=not chosen) and inside is not None:
            state.put(ZOOM, ((here.name, here.run_id("atlas")), everyone.frame_of(inside)))
            st.rerun()
        if st.button(_("Show everyone again"), key="map-zoom-out", disabled=not zoomed):
            state.drop(ZOOM)
            st.rerun()


def selection(here: Screen, everyone: Places, inside: Chosen | None) -> None:
    """Say who is selected and save them as an audience."""
    if inside is None or not inside.any():
        return
    users = [str(user) for user in everyone.user_ids[inside]]
    known = everyone.propensity[inside]
    known = known[np.isfinite(known)]
    with st.container(border=True):
        expected = _(", {buyers} expected to act", buyers=number(float(known.sum()), 1)) if len(known) else ""
        st.markdown(_("**{n} shoppers selected**{expected}", n=whole(len(users)), expected=expected))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input(_("Name of the audience"), value=_("Selection on the map"), key="lasso-name")
            if st.button(_("Save as audience"), type="primary", key="lasso-save"):
                outcomes.save_audience(
                    here,
                    {"name": name[:80], "rule": {"users": sorted(users)}, "holdout": 0.1, "cost": 0.0, "margin": 0.0, "users": len(users)},
                )
                st.toast(_("Saved. It stands on the page Audiences."))
            downloads.csv_button(lambda: pd.DataFrame({"user_id": users}), "selection")


def segment_table(here: Screen, segments: pd.DataFrame) -> None:
    """Draw the table of segments."""
    st.subheader(_("Segments"))
    shown = segments.assign(
        interval=[f"{percent(low)} – {percent(high)}" for low, high in zip(segments["buyer_low"], segments["buyer_high"], strict=True)]
    )
    words, figure = st.column_config.TextColumn, st.column_config.NumberColumn
    columns = {  # widths in pixels: all columns together fit beside the sidebar of a screen 1440 wide
        "name": words(_("Segment"), width=200),
        "size": figure(_("Shoppers"), format="localized", width=75),
        "share": figure(_("Share"), format="percent", width=65),
        "traits": words(_("Over-represented (lift, n)"), width=190),
        "buyer_rate": figure(
            _("Conversion"),
            format="percent",
            width=85,
            help=_("Shoppers with at least one purchase in the log ÷ shoppers of the segment."),
        ),
        "interval": words(_("95% interval"), width=110),
        "propensity": figure(_("Mean chance"), format="percent", width=95, help=_("Mean purchase chance")),
        "revenue": figure(_("Revenue"), format="localized", width=95),
        "certainty_mean": figure(
            _("Certainty"), format="percent", width=80, help=_("Mean share of a shopper's nearest neighbours in the same segment.")
        ),
    }
    order = [name for name in columns if name == "interval" or shown[name].notna().any()]
    frame.table(shown, column_order=order, column_config=columns, key="segments", height=600)
    frame.take_away(segments.drop(columns=["name_parts"], errors="ignore"), "segments")


def segment_detail(here: Screen, everyone: Places, segments: pd.DataFrame) -> None:
    """Choose a segment: its traits, another name, an audience of it (the keyboard's way to what the lasso does)."""
    names = dict(zip(segments["segment_id"], segments["name"], strict=True))
    left, right = st.columns([3, 2], gap="large")
    chosen = int(left.selectbox(_("Look at a segment"), list(names), format_func=names.__getitem__, key="segment-choice"))
    row = segments[segments["segment_id"] == chosen].iloc[0]
    with left:
        traits = traits_shown(state.ask(shoppers.traits_of, here, chosen))
        if description := row.get("description"):
            st.markdown(plain(description))
        if len(traits):
            top = traits.head(MOST_TRAITS)
            labels, shown = (
                list(top["trait"]),
                [f"{t['lift']:.1f}× [{t['low']:.1f}, {t['high']:.1f}], n = {t['n']:,}" for t in top.to_dict("records")],
            )
            figure = charts.bars(
                labels,
                list(top["lift"]),
                shown,
                _("lift: share inside ÷ share of all shoppers"),
                state.look(),
                low=list(top["low"]),
                high=list(top["high"]),
                line_at=1.0,
            )
            frame.chart(figure, traits, f"traits-{chosen}", _("Traits of the segment"))
    with right, st.container(border=True):
        st.markdown(f"**{plain(row['name'])}** · {whole(row['size'])} · {percent(row['share'])}")
        facts = [
            (_("Conversion"), percent(row.get("buyer_rate"))),
            (_("Mean purchase chance"), chance(row.get("propensity"))),
            (_("Orders per shopper"), number(row.get("orders_per_user"), 1)),
            (_("Revenue per shopper"), amount(row.get("revenue_per_user"))),
            (_("Days since the last event, median"), number(row.get("recency_days"), 0)),
        ]
        for label, value in facts:
            st.markdown(f":gray[{label}] &nbsp; {plain(value)}")
        new = st.text_input(
            _("Name of the segment"),
            value=row["name"],
            max_chars=80,
            key=f"rename-{chosen}" if language() == "en" else f"rename-{chosen}-{language()}",
        )
        with st.container(horizontal=True):
            if st.button(_("Save name"), key="rename-save") and new != row["name"]:
                shoppers.rename_segment(here, chosen, new)
                st.rerun()
            if st.button(_("Save as audience"), type="primary", key="segment-save"):
                outcomes.save_audience(
                    here,
                    {
                        "name": str(row["name"]),
                        "rule": {"segment": [chosen]},
                        "holdout": 0.1,
                        "cost": 0.0,
                        "margin": 0.0,
                        "users": int(row["size"]),
                    },
                )
                st.toast(_("Saved. It stands on the page Audiences."))
            inside = everyone.segment_ids == chosen
            downloads.csv_button(
                lambda: pd.DataFrame({"user_id": everyone.user_ids[inside], "certainty": everyone.certainty[inside]}), f"segment-{chosen}"
            )


def quality_figures(manifest: dict[str, Any]) -> None:
    """Tiles of stability and of what the picture keeps."""
    metrics = manifest.get("metrics", {})
    words = {
        "stability": (
            _("Stability"),
            number,
            _("Mean adjusted Rand index over resamples of 95% of the shoppers: 1 is the same partition."),
        ),
        "silhouette": (
            _("Silhouette"),
            number,
            _("In the space of profiles, never on the picture: above 0 segments are denser inside than between."),
        ),
        "trustworthiness": (_("Trustworthiness of the picture"), number, _("1: no stranger was drawn among the neighbours.")),
        "neighbour_recall": (_("Neighbours kept"), percent, _("Share of a shopper's nearest neighbours who are near in the picture too.")),
    }
    tiles = [
        (label, form(metrics[name]), None, note)
        for name, (label, form, note) in words.items()
        if isinstance(metrics.get(name), int | float)
    ]
    if tiles:
        frame.tiles("map-quality", tiles)
    frame.notes(metrics.get("warnings", []))
    st.caption(frame.took(manifest))


def _cards(everyone: Places, rows: npt.NDArray[np.int64], names: dict[int, str], value: npt.NDArray[np.float64] | None) -> list[str]:
    safe = {key: hover(name) for key, name in names.items()}
    words = (_("shopper"), _("chance"), _("value"))
    cards = []
    for row in rows:
        card = f"<b>{words[0]} {hover(everyone.user_ids[row])}</b><br>{safe.get(int(everyone.segment_ids[row]), '')}"
        if np.isfinite(everyone.propensity[row]):
            card += f"<br>{words[1]} {hover(chance(float(everyone.propensity[row])))}"
        if value is not None:
            card += f"<br>{words[2]} {value[row]:,.4g}"
        cards.append(card)
    return cards
