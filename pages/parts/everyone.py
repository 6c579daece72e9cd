"""What the model looks at over all shoppers, groups of people, and whether those scored are like those learned from."""

import pandas as pd
import streamlit as st

from core.messages import say
from core.pipeline import screens
from core.pipeline.screens import Screen
from pages.parts import charts, frame, jobs, state
from pages.parts.text import _, percent, plain, said
from pages.parts.words import column_word, feature_word, group_word

SHOWN = 12


def over_all(here: Screen) -> None:
    """Importance with intervals, the drift banner, and groups where somebody asked for them; or the button that computes them."""
    st.subheader(_("What the model looks at over all shoppers"))
    manifest = state.ask(screens.run_manifest, here, "explanations")
    stale = manifest is not None and manifest["inputs"].get("propensity") != here.run_id("propensity")
    if manifest is None or stale:
        st.caption(_("Each feature is shuffled among the shoppers of the test window, and they are compared with those learned from."))
        with st.container(horizontal=True, vertical_alignment="center"):
            groups = st.checkbox(_("also compare groups of people"), key="explain-groups")
            if st.button(_("Compute this"), key="explain-all", disabled=jobs.live_job(state.home()) is not None):
                argv = ["explain", "--dataset", here.name, *(["--groups"] if groups else [])]
                jobs.start(argv, say("Computing {name}", name=here.name))
        return
    for warning in manifest["warnings"]:
        st.warning(plain(said(warning)))
    table: pd.DataFrame = state.ask(screens.run_table, here, "explanations", "importance").to_pandas().head(SHOWN)
    figure = charts.bars(
        [group_word(name) for name in table["feature"]],
        list(table["loss"]),
        [f"{value:.4f}" for value in table["loss"]],
        _("rise of log loss when shuffled"),
        state.look(),
        low=list(table["low"]),
        high=list(table["high"]),
        wide=True,
    )
    frame.chart(figure, table, "importance", _("What the model looks at over all shoppers"))
    _dependence(here)
    _groups(here)


def _dependence(here: Screen) -> None:
    table: pd.DataFrame = state.ask(screens.run_table, here, "explanations", "dependence").to_pandas()
    if not len(table):
        return
    st.subheader(_("How the chance goes with single counts"))
    renamed = table.rename(columns={"value": "given", "mean": "value"})
    parts = [(feature_word(str(name)), part) for name, part in renamed.groupby("feature", sort=False) if len(part) > 1]
    if parts:
        figure = charts.small_lines(parts, "given", _("mean chance"), ".1%", state.look())
        frame.chart(figure, table, "dependence", _("How the chance goes with single counts"))
    st.caption(
        _(
            "The mean chance of all shoppers of the test window if one count were the same for everybody and all else stayed as it is; the "
            "band is the 95% interval of that mean. It shows what the model makes of a count, not what changing it would do."
        )
    )


def _groups(here: Screen) -> None:
    table: pd.DataFrame = state.ask(screens.run_table, here, "explanations", "groups").to_pandas()
    if not len(table):
        return
    st.subheader(_("Groups of people"))
    rows = [
        {
            "attribute": column_word(row.attribute),
            "group": row.group or "–",
            "users": row.users,
            "rate": f"{percent(row.rate)} [{percent(row.rate_low)}, {percent(row.rate_high)}]",
            "gap": "–" if row.gap != row.gap else f"{100 * row.gap:+.1f} [{100 * row.gap_low:+.1f}, {100 * row.gap_high:+.1f}]",
            "recall": f"{percent(row.recall)} [{percent(row.recall_low)}, {percent(row.recall_high)}]",
        }
        for row in table.itertuples()
    ]
    frame.table(
        pd.DataFrame(rows),
        key="groups",
        counts=("users",),
        height=420,
        column_config={
            "attribute": _("Attribute"),
            "group": _("Group"),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "rate": _("Share that acted [95%]"),
            "gap": _("Chance minus share, points [95%]"),
            "recall": _("Buyers among the best 20% [95%]"),
        },
    )
    frame.take_away(table, "groups")
