"""The same picture period by period: where shoppers were active, and how the shares of segments move."""

import pandas as pd
import streamlit as st

from core.pipeline import over_time
from core.pipeline.screens import Screen
from pages.parts import charts, controls, frame, state
from pages.parts.atlas.levels import Levels
from pages.parts.text import _

FORMS = {"month": "%Y-%m", "week": "%Y-%m-%d", "day": "%Y-%m-%d", "hour": "%m-%d %H:%M"}


def periods(here: Screen, levels: Levels) -> None:
    """Draw small multiples of the map and the share of each segment among the active, period by period."""
    st.subheader(_("Where shoppers were active, over time"))
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    kinds = ["all", *state.ask(over_time.acts, here)]
    with left:
        act = controls.act(_("Kind of event"), kinds, "map-act")
    fine = levels.is_split and right.toggle(_("Fine segments"), key="map-periods-fine")
    found = state.ask(over_time.over_time, here, act, fine)
    if len(found.periods) < 2:
        st.caption(_("The log covers a single period, so nothing can be compared over time."))
        return
    st.caption(
        _(
            "Places and segments are those of the map; each picture shows who acted in that period. "
            "Nothing after the map was drawn is used. * the log covers only a part of the period."
        )
    )
    form = FORMS[found.grain]
    titles = [period.strftime(form) + ("*" if cut else "") for period, cut in zip(found.periods, found.partial, strict=True)]
    if here.small_cells:
        st.caption(_("The pictures by period are not drawn while small cells are hidden: each of their fields holds few shoppers."))
    else:
        figure = charts.panels(found.panels, found.everyone, titles, _("share active"), state.look())
        st.plotly_chart(
            figure,
            theme=None,
            config=frame.picture_config("periods"),
            key="chart-periods",
            alt=_("Maps of active shoppers, one for each period"),
        )
    groups = levels.groups(fine=fine)
    names = {group.id: group.name for group in groups}
    table: pd.DataFrame = found.shares.assign(segment=[names.get(i, "–") for i in found.shares["segment_id"]])
    st.markdown(f"**{_('Share of each segment among the active shoppers')}**")
    frame.chart(
        charts.shares(table, groups, titles, _("share of the active"), state.look()),
        table,
        "segment-shares",
        _("Share of each segment among the active shoppers"),
    )
