"""The quality report on the Data page: empty values, buyers by horizon with their gates, spread, drift, and the report as a file."""

from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import exporting, quality, screens
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.text import _, as_told, language, listed, minute, percent, plain, said, set_language, share_told, small_cells, whole
from pages.parts.words import column_word

GATE_COLOURS = {"good": "green", "enough": "green", "rough": "orange", "too_few": "red", "too_short": "red"}
MOST_DOWNLOADED = 5_000_000
"""Events of a download; it passes through the memory of the screen."""
PERIOD_WORDS = {
    "day": "Each cell is a day; a column that turns dark on a day was not logged from then on.",
    "week": "Each cell is a week; a column that turns dark in a week was not logged from then on.",
    "month": "Each cell is a month; a column that turns dark in a month was not logged from then on.",
}
LEVEL_COLOURS = {"small": "green", "moderate": "orange", "large": "red"}


def quality_report(here: Screen) -> None:
    """Draw what the report of the pinned version says, with its downloads."""
    report = state.ask(quality.quality, here)
    left, right = st.columns([2, 3], gap="large")
    with left:
        _nulls(report)
    with right:
        _labels(here, report)
        _spread(report)
    _nulls_in_time(report)
    if report["drift"]:
        _drift(report["drift"])
    _downloads(here)


def _nulls(report: dict[str, Any]) -> None:
    st.subheader(_("Empty values by column"))
    rows = [row for row in report["nulls"] if row["present"]]
    absent = listed(column_word(row["column"]) for row in report["nulls"] if not row["present"])
    figure = charts.bars(
        [column_word(row["column"]) for row in rows],
        [row["share"] for row in rows],
        [percent(row["share"]) for row in rows],
        _("share of events"),
        state.look(),
    )
    figure.update_xaxes(tickformat=".0%", range=[0, 1.08])
    frame.chart(figure, pd.DataFrame(report["nulls"]), "nulls", _("Empty values by column"))
    st.caption(_("Quantity, value of the line and order id are missing only on purchases and refunds, and are counted on those."))
    if absent:
        st.caption(_("Not in the files: {columns}.", columns=absent))


def _nulls_in_time(report: dict[str, Any]) -> None:
    found = report["nulls_by_period"]
    rows = pd.DataFrame(found["periods"])
    names = [name for name in rows.columns if name not in ("period", "events") and (rows[name].fillna(0) > 0).any()]
    if len(rows) < 2 or not names:
        return
    st.subheader(_("Empty values in time"))
    names.sort(key=lambda name: -float(rows[name].mean()))
    columns = [(name, column_word(name)) for name in names]
    frame.chart(charts.missing(rows, columns, _("empty"), state.look()), rows, "nulls-in-time", _("Empty values in time"))
    st.caption(_(PERIOD_WORDS[found["unit"]]))


def _labels(here: Screen, report: dict[str, Any]) -> None:
    st.subheader(_("Buyers within usual horizons"))
    rows = pd.DataFrame(
        {
            "horizon": [_("{days} days", days=r["horizon_days"]) for r in report["labels"]],
            "cutoff": [minute(r["cutoff"], here.zone) for r in report["labels"]],
            "users": [as_told(r["users"]) for r in report["labels"]],
            "positives": [as_told(r["positives"]) for r in report["labels"]],
            "share": [share_told(r["positives"], r["users"], r["share"]) for r in report["labels"]],
            "gate": [said(quality.gate_sentence(r)) for r in report["labels"]],
        }
    )
    frame.table(
        rows,
        height=300,
        key="labels",
        counts=("users", "positives"),
        column_order=["horizon", "cutoff", "users", "positives", "share"],
        column_config={
            "horizon": _("Horizon"),
            "cutoff": _("From"),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized", help=_("Shoppers with an event before that time.")),
            "positives": st.column_config.NumberColumn(_("Buyers"), format="localized", help=_("Of these, who buy within the horizon.")),
            "share": st.column_config.NumberColumn(_("Share"), format="percent"),
        },
    )
    for record in [] if here.small_cells else report["labels"]:  # the sentences name counts
        days, told = _("{days} days", days=record["horizon_days"]), plain(said(quality.gate_sentence(record)))
        st.caption(f":{GATE_COLOURS[record['gate']]}-badge[{days}] {told}")
    frame.take_away(rows, "labels")


def _spread(report: dict[str, Any]) -> None:
    st.subheader(_("Events of each shopper and item"))
    shown = ("p10", "p50", "p90", "p99", "max")
    parts = ((_("Shoppers"), report["users"], "events_per_user"), (_("Items"), report["items"], "events_per_item"))
    rows = pd.DataFrame(
        [{"what": name, **{point: part[key][point] for point in shown}, "once": part["one_event_share"]} for name, part, key in parts]
    )
    config: dict[str, Any] = {point: st.column_config.NumberColumn(point, format="localized") for point in rows.columns[1:-1]}
    config |= {
        "what": _("Events of each"),
        "max": st.column_config.NumberColumn(_("most"), format="localized"),
        "once": st.column_config.NumberColumn(_("Only one"), format="percent"),
    }
    frame.table(rows, height=200, key="spread", column_config=config)
    duplicates = report["duplicates"]
    st.caption(
        _(
            "p50 is the median: half of them have that many events or fewer. Duplicates merged: {n} rows, {share} of those read.",
            n=whole(duplicates["rows"]),
            share=percent(duplicates["share"]),
        )
    )


def _drift(drift: dict[str, Any]) -> None:
    st.subheader(_("Against the version before"))
    st.caption(
        _("What was added is compared with {version}.", version=drift["against"])
        if drift["appended"]
        else _("Compared with {version}.", version=drift["against"])
    )
    left, right = st.columns(2, gap="large")
    with left:
        names = {"users": _("Shoppers"), "items": _("Items")}
        rows = pd.DataFrame([{"what": name, **drift[key]} for key, name in names.items()])
        for name in ("now", "before", "new", "vanished") if small_cells() else ():
            rows[name] = [as_told(rows[name][0]), *rows[name][1:]]
        config: dict[str, Any] = {
            "what": _("What"),
            "now": st.column_config.NumberColumn(_("Now"), format="localized"),
            "before": st.column_config.NumberColumn(_("Before"), format="localized"),
            "new": st.column_config.NumberColumn(_("New"), format="localized"),
            "vanished": st.column_config.NumberColumn(_("Not seen again"), format="localized"),
        }
        frame.table(
            rows,
            height=200,
            key="drift-counts",
            column_order=list(config),
            column_config=config,
            counts=("now", "before", "new", "vanished"),
        )
        words = drift["event_words"]
        if words["new"]:
            st.caption(_("New event words: {words}", words=plain(listed(words["new"]))))
        if words["vanished"]:
            st.caption(_("Event words that are gone: {words}", words=plain(listed(words["vanished"]))))
    with right:
        for shift in drift["shifts"]:
            st.markdown(
                _(
                    "**{shape}**: {badge} stability index {psi:.3f}, Jensen–Shannon distance {distance:.3f}",
                    shape=said(quality.shape_name(shift["shape"])),
                    badge=f":{LEVEL_COLOURS[shift['level']]}-badge[{said(quality.level_name(shift['level']))}]",
                    psi=shift["psi"],
                    distance=shift["jensen_shannon"],
                )
            )
        st.caption(_("Stability index: below 0.1 small, from 0.25 on large."))
        shares = pd.DataFrame([{"shape": shift["shape"], **row} for shift in drift["shifts"] for row in shift["shares"]])
        if len(shares):
            frame.take_away(shares, "drift")


def _downloads(here: Screen) -> None:
    chosen = language()

    def page() -> bytes:
        set_language(chosen)  # the file is made outside the run of the page
        return quality.report_html(here, said, "zh-CN" if chosen == "zh" else "en").encode("utf-8")

    events = int(state.ask(screens.manifest, here).get("events") or 0)
    with st.container(horizontal=True, gap="small"):
        name = f"{here.name}-{here.version}-quality"
        st.download_button(
            _("Download the report (HTML)"),
            data=page,
            file_name=f"{name}.html",
            mime="text/html",
            key="report-html",
            on_click="ignore",
            disabled=here.small_cells > 0,
        )
        st.download_button(
            _("Download the report (JSON)"),
            data=lambda: quality.report_json(here).encode("utf-8"),
            file_name=f"{name}.json",
            mime="application/json",
            key="report-json",
            on_click="ignore",
            disabled=here.small_cells > 0,
        )
        if events <= MOST_DOWNLOADED:
            st.download_button(
                _("Clean events as Parquet"),
                data=lambda: exporting.events_parquet(here.dataset, here.version),
                file_name=f"{here.name}-{here.version}-events.parquet",
                mime="application/vnd.apache.parquet",
                key="clean-parquet",
                on_click="ignore",
                disabled=here.small_cells > 0,
            )
        if text := quality.mapping_text(here):
            st.download_button(
                _("Download the mapping (JSON)"),
                data=text,
                file_name=f"{here.name}-mapping.json",
                mime="application/json",
                key="saved-mapping-json",
                on_click="ignore",
            )
    if events > MOST_DOWNLOADED:
        st.caption(
            _(
                "The clean events are too many for a browser ({n}); take them by the command line: {command}",
                n=whole(events),
                command=f"`python -m core export --dataset {here.name} --out …`",
            )
        )
