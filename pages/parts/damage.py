"""A part of the Propensity page: how the chance does when events are lost, times move and items are mixed up."""

from typing import Any

import pandas as pd
import streamlit as st

from core.messages import say
from core.pipeline import screens
from core.pipeline.screens import Screen
from pages.parts import charts, frame, jobs, state
from pages.parts.atlas.picture import LIFE_WORDS, RFM_WORDS
from pages.parts.text import _, interval, number, people, percent

DAMAGE_WORDS = {"drop": "events lost", "jitter": "times moved, days", "swap": "items mixed up"}


def worse_logs(here: Screen) -> None:
    """Draw AUC by damage and name the group that suffers most, or offer to measure it."""
    st.subheader(_("On a worse log"))
    record: dict[str, Any] | None = state.ask(screens.run_manifest, here, "robustness")
    if record is None or record["inputs"].get("propensity") != here.run_id("propensity"):
        st.caption(
            _(
                "The test window is scored again from histories that lost events, whose times moved, or whose items were mixed up: nine "
                "damaged logs, about a minute for each million events."
            )
        )
        if st.button(_("Try damaged logs"), key="robustness-start", disabled=jobs.live_job(state.home()) is not None):
            jobs.start(["robustness", "--dataset", here.name], say("Trying damaged logs of {name}", name=here.name))
        return
    table: pd.DataFrame = state.ask(screens.run_table, here, "robustness", "robustness").to_pandas()
    renamed = table.rename(columns={"auc": "value", "auc_low": "low", "auc_high": "high"})
    parts = [(_(DAMAGE_WORDS[str(name)]), part) for name, part in renamed.groupby("damage", sort=False)]
    frame.chart(charts.small_lines(parts, "strength", "AUC", ".3f", state.look()), table, "robustness", _("On a worse log"))
    if worst := record.get("worst"):
        st.markdown(
            _(
                "Suffers most: {group} ({users} shoppers) under “{damage}” ({strength:g}): log loss rises by {rise} {range}.",
                group=_group(worst["partition"], worst["group"]),
                users=people(worst["users"]),
                damage=_(DAMAGE_WORDS[worst["damage"]]),
                strength=worst["strength"],
                rise=number(worst["rise"]),
                range=interval(worst["low"], worst["high"]),
            )
        )
    with st.expander(_("Each damage")):
        _table(table)
        _groups(state.ask(screens.run_table, here, "robustness", "groups").to_pandas())


def _table(table: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "damage": [_(DAMAGE_WORDS[name]) for name in table["damage"]],
            "strength": [f"{row.strength:g}" if row.damage == "jitter" else percent(row.strength, 0) for row in table.itertuples()],
            "auc": [f"{number(r.auc)} {interval(r.auc_low, r.auc_high)}" for r in table.itertuples()],
            "auc_loss": [f"{r.auc_loss:+.4f} [{r.auc_loss_low:+.4f}, {r.auc_loss_high:+.4f}]" for r in table.itertuples()],
            "log_loss": [f"{number(r.log_loss)} {interval(r.log_loss_low, r.log_loss_high)}" for r in table.itertuples()],
            "rise": [f"{r.log_loss_rise:+.4f} [{r.log_loss_rise_low:+.4f}, {r.log_loss_rise_high:+.4f}]" for r in table.itertuples()],
        }
    )
    frame.table(
        shown,
        key="robustness-table",
        height=460,
        column_config={
            "damage": _("Damage"),
            "strength": _("How much"),
            "auc": _("AUC [95%]"),
            "auc_loss": _("AUC lost [95%]"),
            "log_loss": _("Log loss [95%]"),
            "rise": _("Rise of log loss [95%]"),
        },
    )


def _groups(groups: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "group": [_group(row.partition, row.group) for row in groups.itertuples(index=False)],
            "users": groups["users"],
            "damage": [_(DAMAGE_WORDS[name]) for name in groups["damage"]],
            "rise": [f"{r.rise:+.4f} [{r.low:+.4f}, {r.high:+.4f}]" for r in groups.itertuples()],
        }
    )
    frame.table(
        shown,
        key="robustness-groups",
        counts=("users",),
        height=320,
        column_config={
            "group": _("Group"),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "damage": _("Damage"),
            "rise": _("Rise of log loss [95%]"),
        },
    )
    frame.take_away(groups, "robustness-groups")


def _group(partition: str, group: str) -> str:
    """Stage of life or RFM group in the words of the screen."""
    return _(LIFE_WORDS[group]) if partition == "stage" else _(RFM_WORDS[group])
