"""Versions of a data set: which there are, looking at an earlier one, and bringing it back."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.pipeline import quality
from core.pipeline.screens import Screen
from pages.parts import frame, jobs, state
from pages.parts.text import _, day, listed, minute, plain, said


def chosen(here: Screen) -> Screen:
    """Draw the list of versions when there are several, and return the one to look at; results belong to the current one."""
    found = quality.versions(here.dataset)
    if len(found) < 2:
        return here
    with st.expander(_("Versions ({n})", n=len(found))):
        frame.table(
            pd.DataFrame(
                {
                    "version": [v.id + (" ◂" if v.id == here.version else "") for v in found],
                    "created": [minute(v.created, here.zone) if v.created else "–" for v in found],
                    "rows": [v.rows_kept for v in found],
                    "users": [v.users for v in found],
                    "span": [f"{day(v.first_event, here.zone)} – {day(v.last_event, here.zone)}" for v in found],
                    "files": [listed(v.files) for v in found],
                }
            ),
            height=300,
            key="versions",
            column_config={
                "version": _("Version"),
                "created": _("Imported"),
                "rows": st.column_config.NumberColumn(_("Rows kept"), format="localized"),
                "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
                "span": _("Events from – to"),
                "files": st.column_config.TextColumn(_("Files"), width="large"),
            },
        )
        names = [v.id for v in found]
        looked_at = st.selectbox(
            _("Version to look at on this page"),
            names,
            index=names.index(here.version),
            format_func=lambda name: name + (f" · {_('current')}" if name == here.version else ""),
            key=f"version-{here.name}-{here.version}",
        )
    return here if looked_at == here.version else _earlier(here, looked_at)


def _earlier(here: Screen, version: str) -> Screen:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            _(
                "You are looking at **{old}**; every other page shows {current}.",
                old=plain(version),
                current=plain(here.version),
            ),
            width="stretch",
        )
        busy = jobs.live_job(state.home(), here.name) is not None
        if st.button(_("Bring {version} back", version=version), key="bring-back", disabled=busy):
            try:
                quality.bring_back(state.home(), here.name, version)
            except CoreError as error:
                st.error(plain(said(error)))
            else:
                st.rerun()
    return replace(here, version=version, runs=())
