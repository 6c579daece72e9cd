"""What the page Report asks a job for, and a report that was made."""

import streamlit as st

from core.pipeline import reporting
from core.pipeline.behaviour import Filters
from core.pipeline.screens import Screen
from pages.parts import state
from pages.parts.text import _, listed, minute, plain

SECTION_WORDS = {
    "overview": "Overview",
    "categories": "Categories",
    "funnel": "Funnel",
    "retention": "Retention",
    "buyers": "Buyers",
    "orders": "Orders",
    "paths": "Paths",
    "drivers": "Drivers",
    "value": "Expected value",
    "map": "Map and segments",
    "propensity": "Purchase chances",
}
FILE_WORDS = {"report.html": "Page (HTML)", "report.pdf": "Paper (PDF)", "report.zip": "Tables and SQL (ZIP)"}
MIMES = {"report.html": "text/html", "report.pdf": "application/pdf", "report.zip": "application/zip"}


def arguments(here: Screen, chosen: Filters, days: int | None, sections: list[str], title: str) -> list[str]:
    """The command that makes the report; values are joined to their options, so that none is taken for an option."""
    options: dict[str, object] = {
        "sections": ",".join(name for name in SECTION_WORDS if name in sections),
        "title": title,
        "language": state.language(),
        "days": days,
        "since": chosen.since and chosen.since.isoformat(),
        "until": chosen.until and chosen.until.isoformat(),
        "events": ",".join(chosen.event_types) or None,
        "category": chosen.category,
        "brand": chosen.brand,
        "segment": chosen.segment,
        "audience": chosen.audience,
        "attribute": chosen.attribute and "=".join(chosen.attribute),
    }
    return ["report", "--dataset", here.name, *(f"--{name}={value}" for name, value in options.items() if value is not None)]


def kept(here: Screen, name: str) -> None:
    """Draw a report: what it is, and its files."""
    record = reporting.report_record(here, name)
    with st.container(border=True):
        st.markdown(f"**{plain(record['title'] or _('Report of {dataset}', dataset=here.name))}**")
        told = [
            plain(name),
            minute(record["created"], here.zone),
            listed(_(SECTION_WORDS[part]) for part in record["sections"] if part in SECTION_WORDS),
            *(plain(one) for one in record["filters"]),
        ]
        st.caption(" · ".join(told))
        if not reporting.may_be_shown(here, record):
            st.caption(_("It shows counts that are hidden now; make it again."))
            return
        with st.container(horizontal=True):
            for file, word in FILE_WORDS.items():
                st.download_button(
                    _(word),
                    data=lambda file=file: reporting.report_file(here, name, file),
                    file_name=f"{here.name}-{name}.{file.rpartition('.')[2]}",
                    mime=MIMES[file],
                    key=f"{name}-{file}",
                    on_click="ignore",
                )
