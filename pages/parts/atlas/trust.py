"""How far the map can be trusted: figures of picture and segments, and how the picture came about."""

from typing import Any

import streamlit as st

from core.messages import say
from core.pipeline.options import FEWEST_SEGMENTS, MOST_SEGMENTS
from core.pipeline.screens import Screen
from pages.parts import frame, jobs, state
from pages.parts.encoder_card import BLOCK_WORDS
from pages.parts.text import _, counted, listed, number, percent, whole


def quality_figures(here: Screen, manifest: dict[str, Any]) -> None:
    """Tiles of stability and of what the picture keeps; how the picture came about, and a button to draw it anew."""
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
    if rests := manifest.get("blocks"):
        st.caption(_rests_on(rests))
    if metrics.get("picture_kept"):
        st.caption(
            _(
                "Shoppers stand where they stood when the picture was drawn for {drawn} of them; "
                "{placed} new ones were placed between them.",
                drawn=counted(metrics.get("drawn_users")),
                placed=counted(metrics.get("placed_users")),
            )
        )
        if st.button(_("Draw the picture anew"), key="map-redraw", disabled=jobs.live_job(state.home()) is not None):
            jobs.start(["map", "--dataset", here.name, "--redraw"], say("Drawing the map of {name}", name=here.name))
    elif metrics.get("moved") is not None:
        st.caption(
            _(
                "The picture was drawn anew from the one before; half of the shoppers moved by no more than {moved} of its width.",
                moved=percent(metrics["moved"]),
            )
        )
    frame.notes(metrics.get("warnings", []))
    _asked(here, manifest.get("config") or {})
    st.caption(frame.took(manifest))


def _asked(here: Screen, config: dict[str, Any]) -> None:
    """Tell how many segments were asked for, and ask for another number or for demographics."""
    held = int(config.get("segments") or 0)
    if held:
        st.caption(_("{n} segments were asked for: k-means cuts so many, however repeatable.", n=whole(held)))
    with st.expander(_("Part the shoppers anew")), st.form("map-asked", border=False):
        count = st.selectbox(
            _("Number of segments"),
            [0, *range(FEWEST_SEGMENTS, MOST_SEGMENTS + 1)],
            index=0 if not held else held - FEWEST_SEGMENTS + 1,
            format_func=lambda n: whole(n) if n else _("as many as are stable"),
        )
        demographics = st.checkbox(_("Tell demographics among the traits"), value=bool(config.get("demographics")))
        st.caption(
            _(
                "What the users file says of people, such as age or region, then stands among the traits of segments, never in their "
                "names; to treat people by it may be unfair, and unlawful."
            )
        )
        if st.form_submit_button(_("Part anew"), key="map-part", disabled=jobs.live_job(state.home()) is not None):
            words = ["--segments", str(count or "auto"), "--demographics" if demographics else "--no-demographics"]
            jobs.start(["map", "--dataset", here.name, *words], say("Drawing the map of {name}", name=here.name))


def _rests_on(rests: dict[str, Any]) -> str:
    """Which blocks of the profile the map compares shoppers by, and how much each weighs."""
    shares = rests.get("shares")
    if not shares:
        held = listed(_(BLOCK_WORDS[name]) for name in rests["held"])
        return _("Shoppers are compared by {blocks}, weighed as usual.", blocks=held)
    total = sum(shares.values())
    told = listed(f"{_(BLOCK_WORDS[name])} {percent(share / total)}" for name, share in shares.items() if share > 0)
    return _("Shoppers are compared by {blocks} of the distance, as an earlier window of this log chose.", blocks=told)
