"""The profile card on the Shopper page: statements, the events behind each, and the brief that people take away."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
import pyarrow as pa
import streamlit as st

from core.insights.profile_card import Statement
from core.insights.shopper import LeftOut
from core.pipeline import briefing, cards
from core.pipeline.screens import Screen
from core.pipeline.shoppers import Portrait
from pages.parts import charts, frame, state
from pages.parts.text import _, chance, hover, language, minute, percent, plain, said, whole, written
from pages.parts.traits import segments_shown
from pages.parts.words import EVENT_WORDS, event_word

MOST_EVENTS = 500
"""Events drawn and listed at once; all of them download."""
PERIOD_DAYS = (0, 90, 30, 7)
"""Days before the end of the log that may be looked at alone; 0 is all."""
_OPEN = "shopper-statement"


def profile_card(here: Screen, found: Portrait) -> None:
    """Draw what the history shows, statement by statement, then the history itself or the events behind a chosen statement."""
    every = state.ask(cards.acts, here, found.user_id)
    st.subheader(_("What the history shows"))
    kept, left_out = cards.counted(here, every, _left_out(every))
    statements = cards.card(here, every, state.ask(cards.shares, here), found.user_id, left_out)
    for told in cards.told_left_out(left_out):
        st.caption(plain(said(told)))
    if not statements:
        st.caption(_("Too few events for a statement."))
    chosen = _chosen(found.user_id, statements)
    for place, statement in enumerate(statements):
        left, right = st.columns([6, 1], vertical_alignment="center")
        left.markdown(f"- {plain(said(statement.text))}")
        right.button(
            _("events: {n}", n=whole(len(statement.events))),
            key=f"evidence-{place}",
            type="primary" if statement is chosen else "secondary",
            on_click=state.put,
            args=(_OPEN, (found.user_id, statement.code, str(statement.text))),
            help=_("Show the events behind this statement"),
        )
    with st.container(horizontal=True):
        frame.download_text(_("Download brief"), _brief(here, found, statements, left_out), "brief", "text/markdown", "md")
        for name, label, mime in (("brief.pdf", _("Brief as PDF"), "application/pdf"), ("brief.html", _("Brief as HTML"), "text/html")):
            make = partial(_brief_file, here, found.user_id, language(), name, left_out)
            st.download_button(label, make, file_name=name, mime=mime, key=f"download-{name}", on_click="ignore")
    _history(kept if chosen is None else kept.take(pa.array(chosen.events)), chosen)


def _brief_file(here: Screen, user_id: str, words: str, name: str, left_out: LeftOut) -> bytes:
    return briefing.brief_files(here, [user_id], words, left_out=left_out)[name]


def _left_out(every: pa.Table) -> LeftOut:
    """Let people leave events out, by kind and by age."""
    kinds = [kind for kind in EVENT_WORDS if kind in set(every["event_type"].to_pylist())]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        counted = st.pills(
            _("Kinds of events that count"),
            kinds,
            default=kinds,
            selection_mode="multi",
            format_func=event_word,
            key=f"card-kinds-{'-'.join(kinds)}",
            help=_("A statement goes when the events behind it are left out."),
        )
        days = st.selectbox(
            _("Period"),
            PERIOD_DAYS,
            format_func=lambda n: _("Last {n} days of the log", n=n) if n else _("Whole history"),
            key="card-period",
            width=240,
        )
    return LeftOut(tuple(kind for kind in kinds if kind not in counted), days)


def _chosen(user_id: str, statements: Sequence[Statement]) -> Statement | None:
    """The statement whose events are asked for, as long as it is still made in the same words."""
    wanted = state.flag(_OPEN)
    return next((s for s in statements if (user_id, s.code, str(s.text)) == wanted), None)


def _history(acts: pa.Table, chosen: Statement | None) -> None:
    """Timeline picture and table, newest first."""
    st.subheader(_("History") if chosen is None else _("Events behind the statement"))
    if chosen is not None:
        st.caption(plain(said(chosen.text)))
        st.button(_("Show the whole history"), key="evidence-close", on_click=state.drop, args=(_OPEN,))
    table = acts.to_pandas().iloc[::-1].reset_index(drop=True)
    shown = table.head(MOST_EVENTS)
    if not len(shown):
        st.caption(_("No event is left."))
        return
    kinds = [kind for kind in EVENT_WORDS if kind in set(shown["event_type"])]
    names = shown["title"].fillna(shown["item_id"]).fillna(shown["query"]).fillna("")
    tips = [
        f"{hover(event_word(kind))}<br>{hover(name)}<br>{minute(time.to_pydatetime())}"
        for kind, name, time in zip(shown["event_type"], names, shown["local_time"], strict=True)
    ]
    frame.chart(
        charts.timeline(shown.assign(card=tips), [(kind, event_word(kind)) for kind in kinds], state.look()),
        table,
        "timeline",
        _("History"),
    )
    if len(table) > MOST_EVENTS:
        st.caption(_("The newest {n} events are shown.", n=whole(MOST_EVENTS)))
    columns = [
        c
        for c in ("local_time", "event_type", "title", "item_id", "category", "price", "revenue", "dwell_seconds", "query")
        if shown[c].notna().any()
    ]
    frame.table(
        shown.assign(event_type=[event_word(kind) for kind in shown["event_type"]]),
        column_order=columns,
        height=260,
        key="events",
        column_config={
            "local_time": st.column_config.DatetimeColumn(_("Time"), format="YYYY-MM-DD HH:mm"),
            "event_type": _("Kind of event"),
            "title": _("Item title"),
            "item_id": _("Item id"),
            "category": _("Category"),
            "price": st.column_config.NumberColumn(_("Unit price"), format="%.2f"),
            "revenue": st.column_config.NumberColumn(_("Value of the line"), format="%.2f"),
            "dwell_seconds": st.column_config.NumberColumn(_("Dwell time, s"), format="%.0f"),
            "query": _("Search query"),
        },
    )


def _brief(here: Screen, found: Portrait, statements: Sequence[Statement], left_out: LeftOut) -> str:
    """One page about a shopper as Markdown; every figure stands on the page as well."""
    lines = [f"# {written(_('Shopper {id}', id=found.user_id))}", ""]
    lines.append(_("Dataset {name}, log until {time} UTC", name=written(here.name), time=f"{here.log.until:%Y-%m-%d %H:%M}"))
    if found.score:
        low, high = chance(found.score["low"]), chance(found.score["high"])
        lines += ["", _("Purchase chance: {chance} (range {low} – {high})", chance=chance(found.score["propensity"]), low=low, high=high)]
    if found.segment:
        row: pd.Series = segments_shown(here).set_index("segment_id").loc[int(found.segment["segment_id"])]
        told = [_("Segment: {segment}", segment=written(row["name"]))]
        if found.is_known:
            told.append(_("certainty {share}", share=percent(found.segment["certainty"], 0)))
        lines += ["", " · ".join(told)]
    lines += ["", f"## {_('What the history shows')}", ""]
    lines += [f"{written(said(told))}  " for told in cards.told_left_out(left_out)]
    lines += [f"- {written(said(statement.text))} ({_('events: {n}', n=whole(len(statement.events)))})" for statement in statements]
    if len(found.recommendations):
        lines += ["", f"## {_('Recommendations')}", ""]
        best = found.recommendations.head(5)
        lines += [f"{rank}. {written(name)}" for rank, name in enumerate(best["title"].fillna(best["item_id"]), start=1)]
    return "\n".join(lines) + "\n"
