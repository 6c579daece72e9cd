"""Relations between items on the Recommendations page: give a file, see which names lead nowhere, make the lists anew."""

from typing import Any

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.messages import say
from core.pipeline import relating
from core.pipeline.relating import COLUMNS, RELATIONS, Relations
from core.pipeline.screens import Screen
from pages.parts import frame, jobs, state
from pages.parts.text import _, listed, plain, said, whole


def relations(here: Screen, manifest: dict[str, Any]) -> None:
    """Show what is kept, take a new file, and start the lists that follow it."""
    kept = relating.kept_relations(here.dataset)
    is_new = (kept.digest if kept.edges else None) != manifest.get("config", {}).get("relations")
    with st.expander(_("Relations between items"), expanded=is_new):
        st.caption(
            _(
                "What goes with what: a CSV or JSON file with the columns {columns}. Kinds: item (its id), title, category, brand; "
                "relations: {relations}. Each is an edge of the item graph, and a list names it as the reason.",
                columns=plain(listed(COLUMNS)),
                relations=plain(listed(RELATIONS)),
            )
        )
        given = _given(here)
        if kept.edges:
            n = len(kept.edges)
            st.caption(_("1 relation is kept.") if n == 1 else _("{n} relations are kept.", n=whole(n)))
            frame.take_away(pd.DataFrame(kept.record()), "relations")
        with st.container(horizontal=True):
            if given is not None and st.button(_("Keep {n} relations", n=whole(len(given.edges))), type="primary", key="relations-keep"):
                relating.keep(here, given)
                st.rerun()
            if kept.edges and st.button(_("Remove all relations"), key="relations-remove"):
                relating.keep(here, Relations())
                st.rerun()
        if is_new:
            st.info(_("The lists were made with other relations than those that are kept now."))
            if st.button(_("Make the lists anew"), key="relations-recommend", disabled=jobs.live_job(state.home()) is not None):
                jobs.start(["recommend", "--dataset", here.name], say("Making the lists of {name}", name=here.name))


def _given(here: Screen) -> Relations | None:
    """The relations of a file that is chosen just now; names that the catalogue lacks are listed before anything is kept."""
    file = st.file_uploader(_("File of relations"), type=["csv", "json", "tsv", "txt"], key="relations-file")
    if file is None:
        return None
    try:
        given = relating.read_relations(file.getvalue())
    except CoreError as error:
        st.error(plain(said(error)))
        return None
    if unknown := relating.unknown_names(here, given):
        st.warning(_("Names that are not in the catalogue and lead nowhere: {n}", n=whole(len(unknown))))
        columns = {
            "kind": _("Kind"),
            "name": _("Name"),
            "rows": st.column_config.NumberColumn(_("Relations that name it"), format="localized"),
        }
        frame.table(pd.DataFrame(unknown), height=200, key="relations-unknown", column_config=columns)
    return given
