"""The table of segments on two levels, and one of them with its traits: the keyboard's way to what the lasso does."""

from typing import Any

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.pipeline import outcomes, shoppers
from core.pipeline.cells import list_too_short
from core.pipeline.places import Places
from core.pipeline.screens import Screen
from pages.parts import charts, downloads, frame, state
from pages.parts.atlas.comparing import OTHERS, SELECTION, SIDE_WORDS
from pages.parts.atlas.levels import Levels
from pages.parts.text import _, amount, chance, is_short, language, number, people, percent, plain, said, small_cells
from pages.parts.traits import traits_shown

MOST_TRAITS = 12
WHOLE_FROM = 1000
"""Revenue of a segment from which no decimals are shown."""


def segment_table(levels: Levels) -> None:
    """Draw the table of segments, or of the fine segments within them."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    left.subheader(_("Segments"))
    fine = levels.is_split and right.toggle(_("Fine segments"), key="segments-fine")
    rows = levels.fine if fine else levels.segments
    shown = rows.assign(
        interval=[f"{percent(low)} – {percent(high)}" for low, high in zip(rows["buyer_low"], rows["buyer_high"], strict=True)]
    )
    if shown["revenue"].abs().max() >= WHOLE_FROM:
        shown["revenue"] = shown["revenue"].round()
    words, figure = st.column_config.TextColumn, st.column_config.NumberColumn
    columns: dict[str, Any] = {  # widths in pixels: all columns together fit beside the sidebar of a screen 1440 wide
        "name": words(_("Segment"), width=200),
        "size": figure(_("Shoppers"), format="localized", width=75),
        "share": figure(_("Share"), format="percent", width=65),
        "traits": words(
            _("Over-represented (lift, n)"),
            width=190,
            help=_("Against the other shoppers of its segment.") if fine else _("Against all other shoppers."),
        ),
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
        "share_of_segment": figure(_("Share of its segment"), format="percent", width=95),
        "split_stability": figure(
            _("Stability"), format="%.2f", width=80, help=_("Of the split: mean adjusted Rand index over resamples of 95% of the segment.")
        ),
    }
    order = [name for name in columns if name == "interval" or (name in shown and shown[name].notna().any())]
    if (
        pd.to_numeric(shown["buyer_rate"], errors="coerce").min() == 1
    ):  # a log of purchases alone: everybody converts, and names need the room
        order = [name for name in order if name not in ("buyer_rate", "interval")]
        columns["name"]["width"] += 95
        columns["traits"]["width"] += 100
    frame.table(shown, column_order=order, column_config=columns, key="segments", height=600, counts=("size",))
    frame.take_away(rows.drop(columns=["name_parts"], errors="ignore"), "subsegments" if fine else "segments")


def segment_detail(here: Screen, everyone: Places, levels: Levels) -> None:
    """Choose a segment of either level: its traits, another name, an audience of it."""
    names = levels.options()
    left, right = st.columns([3, 2], gap="large")
    level, chosen = left.selectbox(_("Look at a segment"), list(names), format_func=names.__getitem__, key="segment-choice")
    fine = level == "fine"
    table, key = (levels.fine, "subsegment_id") if fine else (levels.segments, "segment_id")
    row = table[table[key] == chosen].iloc[0]
    with left:
        _traits(here, chosen, row, fine)
    with right, st.container(border=True):
        st.markdown(f"**{plain(row['name'])}** · {people(row['size'])} · {percent(row['share'])}")
        facts = [
            (_("Conversion"), percent(row.get("buyer_rate"))),
            (_("Mean purchase chance"), chance(row.get("propensity"))),
            (_("Orders per shopper"), number(row.get("orders_per_user"), 1)),
            (_("Revenue per shopper"), amount(row.get("revenue_per_user"))),
            (_("Days since the last event, median"), number(row.get("recency_days"), 0)),
        ]
        for label, value in facts:
            st.markdown(f":gray[{label}] &nbsp; {plain(value)}")
        _rename(here, levels, chosen, str(row["own_name"] if fine else row["name"]), fine)
        inside = (everyone.fine_ids if fine else everyone.segment_ids) == chosen
        if is_short(int(inside.sum())):
            st.caption(plain(said(list_too_short(small_cells()))))
            return
        with st.container(horizontal=True):
            if st.button(_("Save as audience"), type="primary", key="segment-save"):
                rule = {"subsegment": [chosen]} if fine else {"segment": [chosen]}
                outcomes.save_audience(
                    here,
                    {"name": str(row["name"]), "rule": rule, "holdout": 0.1, "cost": 0.0, "margin": 0.0, "users": int(row["size"])},
                )
                st.toast(_("Saved. It stands on the page Audiences."))
            downloads.csv_button(
                lambda: pd.DataFrame({"user_id": everyone.user_ids[inside], "certainty": everyone.certainty[inside]}), f"{level}-{chosen}"
            )


def _traits(here: Screen, chosen: int, row: pd.Series, fine: bool) -> None:
    traits = traits_shown(state.ask(shoppers.traits_of, here, chosen, fine))
    if description := row.get("description"):
        st.markdown(plain(description))
    if not len(traits):
        return
    top = traits.head(MOST_TRAITS)
    shown = [f"{t['lift']:.1f}× [{t['low']:.1f}, {t['high']:.1f}], n = {t['n']:,}" for t in top.to_dict("records")]
    axis = _("lift: share inside ÷ share of its segment") if fine else _("lift: share inside ÷ share of all shoppers")
    figure = charts.bars(
        list(top["trait"]),
        list(top["lift"]),
        shown,
        axis,
        state.look(),
        low=list(top["low"]),
        high=list(top["high"]),
        line_at=1.0,
    )
    frame.chart(figure, traits, f"traits-{'fine-' if fine else ''}{chosen}", _("Traits of the segment"))


def _rename(here: Screen, levels: Levels, chosen: int, name: str, fine: bool) -> None:
    key = f"rename-{'fine-' if fine else ''}{chosen}"
    new = st.text_input(
        _("Name of the segment"), value=name, max_chars=shoppers.LONGEST_NAME, key=key if language() == "en" else f"{key}-{language()}"
    )
    if st.button(_("Save name"), key="rename-save") and new != name:
        try:
            taken = levels.options() | {SELECTION: _(SIDE_WORDS[SELECTION]), OTHERS: _(SIDE_WORDS[OTHERS])}
            shoppers.rename_segment(here, chosen, new, fine, taken)
        except CoreError as error:
            st.error(plain(said(error)))
            return
        st.rerun()
