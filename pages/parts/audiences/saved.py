"""Saved audiences: their size on each version, export, removal."""

from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import outcomes
from core.pipeline.screens import Screen
from core.small_cells import middle
from pages.parts.audiences.exporting import consent_sentence, export
from pages.parts.text import _, counted, day, minute, number, people, percent, plain, said, size_told, small_cells


def saved(here: Screen) -> None:
    """List what was saved, with its sizes, export and removal."""
    found = outcomes.refresh_audiences(here)
    st.subheader(_("Saved audiences"))
    if not found:
        st.caption(_("None yet. Build one above, or draw around shoppers on the map."))
    for place, record in enumerate(found):
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(
                    f"**{plain(record['name'])}** · "
                    + _("{n} shoppers when saved on {time}", n=counted(record.get("users")), time=minute(record["saved"], here.zone)),
                    width="stretch",
                )
                if st.button(_("Prepare the file"), key=f"export-{place}") and export(here, record):
                    st.rerun()
                if st.button(_("Remove"), key=f"remove-{place}"):
                    outcomes.delete_audience(here, record["name"])
                    st.rerun()
            if "error" in record:
                st.caption(plain(said(record["error"])))
            _sizes(record, here.zone)


def _file(record: dict[str, Any], last: dict[str, Any]) -> None:
    """Say who of the audience does not stand in its file."""
    if not (last.get("held_out") or last.get("without_consent")):
        return
    inside = last["users"] - last["held_out"] - (last["without_consent"] or 0)
    st.caption(
        _(
            "Its file holds {n}: {held} ({share}) are held out to measure the effect, drawn by a hash of the id.",
            n=counted(inside),
            held=counted(last["held_out"]),
            share=percent(record.get("holdout", 0.0), 0),
        )
        + ("" if last["without_consent"] is None else " " + consent_sentence(last["without_consent"]))
    )


def _sizes(record: dict[str, Any], zone: str) -> None:
    """The size on each version, newest first, with what changed."""
    sizes = record.get("sizes", [])
    if not sizes:
        return
    rows = pd.DataFrame(sizes)
    if k := small_cells():
        rows["users"] = [middle(n, k) for n in rows["users"]]
        rows["expected_buyers"] = [buyers if n == n else None for buyers, n in zip(rows["expected_buyers"], rows["users"], strict=True)]
    change = rows["users"].diff()
    last = sizes[-1]
    _file(record, last)
    newest = rows.iloc[-1]
    told = _("now {n} shoppers on {version}", n=people(newest["users"]), version=plain(str(last["version"])))
    told += size_told(newest["expected_buyers"], people(0) if last.get("held_out") == 0 else None)  # above, `_file` tells others
    if len(rows) < 2:
        st.caption(told)
        return
    with st.expander(told if pd.isna(change.iloc[-1]) else f"{told} · {change.iloc[-1]:+,.0f}"):
        for row, moved in zip(rows.iloc[::-1].to_dict("records"), change.iloc[::-1], strict=True):
            st.markdown(
                _(
                    "- {version}, log until {day}: {n} shoppers ({change}), {buyers} expected to act",
                    version=plain(row["version"]),
                    day=day(row["until"], zone),
                    n=people(row["users"]),
                    change="–" if moved != moved else f"{moved:+,.0f}",
                    buyers=number(row["expected_buyers"], 0),
                )
            )
