"""What became of each row of a file: figures, waterfall, rules, coverage, quarantine of the Data page."""

import math
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from core.pipeline import quality, screens
from core.pipeline.quality import row_reason
from core.pipeline.screens import QUARANTINE_PAGE, Screen
from pages.parts import charts, downloads, frame, state
from pages.parts.text import _, counted, percent, plain, said, small_cells, whole
from pages.parts.words import event_word, rule_sentence, rule_word

COVERAGE = {
    "in_catalogue": "Item is in the catalogue",
    "with_title": "Item has a title",
    "with_category": "Item has a category",
    "with_brand": "Item has a brand",
    "with_price": "Item has a price",
    "with_revenue": "Event has a value",
    "with_dwell": "Event has a dwell time",
    "with_position": "Event has a position",
    "with_session": "Event has a session",
}


def accounting(here: Screen, manifest: dict[str, Any]) -> None:
    """Draw rows read → kept, and which rule took how many."""
    counts = state.ask(screens.counts, here)
    read, kept = manifest.get("rows_read"), manifest.get("rows_kept")
    frame.tiles(
        "rows",
        [
            (_("Rows read"), whole(read), _from_files(len(manifest.get("sources", [])) or 1), None),
            (
                _("Rows kept"),
                whole(kept),
                percent(kept / read) if read else None,
                _("Rows read = kept + put aside + merged into others."),
            ),
            (_("Shoppers"), counted(counts["users"]), None, None),
            (_("Items with events"), whole(counts["items"]), _("{n} in the catalogue", n=whole(counts["catalogue"])), None),
        ],
    )
    frame.notes(manifest.get("warnings", []), _("Notes of the import ({n})"))
    frame.notes(manifest.get("earlier_warnings", []), _("Notes of earlier imports ({n})"))
    rules = _rules(here, manifest)
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader(_("From rows read to rows kept"))
        steps = state.ask(quality.quality, here)["waterfall"]
        labels = [rule_word(step["step"]) for step in steps]
        values = [step["rows"] for step in steps]
        kinds = ["absolute", *["relative"] * (len(steps) - 2), "total"]
        frame.chart(
            charts.waterfall(labels, values, kinds, state.look()),
            pa.table({"step": [step["step"] for step in steps], "rows": values}),
            "rows",
            _("From rows read to rows kept"),
        )
    with right:
        st.subheader(_("Cleaning rules"))
        frame.table(
            rules.assign(rule=[rule_word(rule) for rule in rules["rule"]]),
            height=300,
            key="rules",
            column_order=["rule", "rows", "share", "state"],
            column_config={
                "rule": st.column_config.TextColumn(_("Rule"), width="medium"),
                "rows": st.column_config.NumberColumn(_("Rows"), format="localized"),
                "share": st.column_config.NumberColumn(_("Share"), format="percent"),
                "state": _("State"),
            },
        )
        told = ["  ⏎  ".join(examples) for examples in rules["examples"]]
        frame.take_away(rules.drop(columns="examples").assign(example=told), "rules")
        if len(rules):
            _meanings(rules)


def coverage(here: Screen) -> None:
    """Draw how much of the log carries what, and events per day."""
    left, right = st.columns([2, 3], gap="large")
    answer = state.ask(screens.coverage, here)
    row = answer.table.to_pylist()[0]
    with left:
        st.subheader(_("Completeness"))
        names = list(COVERAGE)
        values = [row[name] / row["events"] if row["events"] else 0.0 for name in names]
        figure = charts.bars(
            [_(COVERAGE[name]) for name in names], values, [percent(value) for value in values], _("share of events"), state.look()
        )
        figure.update_xaxes(tickformat=".0%", range=[0, 1.08])
        frame.chart(figure, answer, "coverage", _("Completeness"))
    with right:
        st.subheader(_("Events per day, by kind"))
        days = state.ask(screens.event_mix_per_day, here)
        table = days.table.to_pandas()
        kinds = {kind: event_word(kind) for kind in table["event_type"].unique()} | {"events": _("events")}
        frame.chart(charts.days(table, kinds, state.look()), days, "events-per-day", _("Events per day, by kind"))
        gaps = pd.date_range(table["day"].min(), table["day"].max()).difference(pd.to_datetime(table["day"]))
        st.caption(plain(said(quality.gap_days_sentence([f"{gap:%Y-%m-%d}" for gap in gaps], 5))))
        for partial in state.ask(quality.quality, here)["partial_days"]:
            st.caption(plain(said(quality.partial_day_sentence(partial))))


def quarantine(here: Screen) -> None:
    """Draw the rows put aside, a page at a time; all of them download."""
    st.subheader(_("Rows put aside"))
    rules = state.ask(screens.quarantine_rules, here).to_pandas()
    total = int(rules["rows"].sum()) if len(rules) else 0
    if merged := int(state.ask(screens.manifest, here).get("rows_merged") or 0):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.caption(
                _("1 row was merged into another; it is listed with the row that it repeats or belongs to.")
                if merged == 1
                else _("{n} rows were merged into others; each is listed with the row that it repeats or belongs to.", n=whole(merged)),
                width="stretch",
            )
            downloads.csv_button(lambda: screens.merged_rows(here), "merged", label=_("Merged rows as CSV"))
    if not total:
        st.caption(_("No row was put aside."))
        return
    cells = st.columns([3, 2, 3], vertical_alignment="bottom")
    sizes = dict(zip(rules["rule"], rules["rows"], strict=True))
    rule = cells[0].selectbox(
        _("Rule"),
        ["", *sizes],
        format_func=lambda r: f"{rule_word(r) if r else _('all rules')} · {whole(sizes.get(r, total))}",
        key=f"quarantine-rule-{here.version}",
    )
    pages = max(1, math.ceil(sizes.get(rule, total) / QUARANTINE_PAGE))
    page = cells[1].number_input(_("Page of {pages}", pages=pages), 1, pages, 1, key=f"quarantine-page-{here.version}-{rule}")
    rows = state.ask(screens.quarantine_rows, here, rule, (int(page) - 1) * QUARANTINE_PAGE)
    with cells[2].container(horizontal=True, gap="small"):
        everything = lambda: screens.quarantine_rows(here, rule, 0, 2**40)  # noqa: E731 - one question for two buttons
        n = whole(sizes.get(rule, total))
        downloads.csv_button(everything, "quarantine", label=_("All {n} rows as CSV", n=n))
        downloads.parquet_button(everything, "quarantine", label=_("as Parquet"))
    if rule:
        st.caption(plain(rule_sentence(rule)))
    shown = rows.to_pandas().assign(rule=[rule_word(r) for r in rows["rule"].to_pylist()])
    shown["reason"] = [said(row_reason(reason)) for reason in rows["reason"].to_pylist()]
    frame.table(
        shown,
        height=300,
        key="quarantine",
        column_config={
            "source_file": _("File"),
            "source_row": st.column_config.NumberColumn(_("Row"), format="localized"),
            "source_line": st.column_config.NumberColumn(_("Line"), format="localized"),
            "rule": _("Rule"),
            "reason": _("Reason"),
            "text": st.column_config.TextColumn(_("Original line"), width="large"),
        },
    )


def _from_files(n: int) -> str:
    return _("from 1 file") if n == 1 else _("from {n} files", n=n)


def _state_word(rule: dict[str, Any]) -> str:
    """Whether a rule is on, and whether earlier rows of the data set were judged otherwise."""
    now = _("on") if rule.get("on", True) else _("off")
    earlier = rule.get("earlier") or []
    if not earlier:
        return now
    if any(one["on"] != rule["on"] for one in earlier):
        return _("{now}; earlier imports: {before}", now=now, before=_("on") if earlier[-1]["on"] else _("off"))
    return _("{now}; earlier imports: other numbers", now=now)


def _meanings(rules: pd.DataFrame) -> None:
    """List what each rule does, with its first rows whole: a cell of a table would cut both."""
    lines = []
    for row in rules.to_dict("records"):
        lines.append(f"- **{plain(rule_word(row['rule']))}** · {rule_sentence(row['rule'])}")
        lines += [f"    - {plain(example)}" for example in row["examples"] if not small_cells()]
    with st.expander(_("What each rule does, and the first rows it took")):
        st.markdown("\n".join(lines))


def _rules(here: Screen, manifest: dict[str, Any]) -> pd.DataFrame:
    examples = {row["rule"]: row for row in state.ask(screens.quarantine_rules, here).to_pylist()}
    for row in state.ask(screens.merged_rows, here, 3).to_pylist():
        found = examples.setdefault(row["rule"], {"examples": []})
        found["examples"].append(_("row {row}: {reason}", row=whole(int(row["source_row"])), reason=said(row_reason(str(row["reason"])))))
    recorded = manifest.get("rules") or [{"id": rule, "count": row["rows"], "on": True} for rule, row in examples.items()]
    read = manifest.get("rows_read") or 0
    rows = [
        {
            "rule": r["id"],
            "rows": int(r["count"]),
            "share": int(r["count"]) / read if read else 0.0,
            "state": _state_word(r),
            "examples": [text for text in (examples.get(r["id"]) or {}).get("examples", []) if text],
        }
        for r in recorded
    ]
    return pd.DataFrame(rows, columns=["rule", "rows", "share", "state", "examples"]).sort_values("rows", ascending=False, kind="stable")
