"""Changes of one history, scored anew at once; and a history that is typed or pasted."""

import json
from collections import Counter
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.pipeline import why_questions
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.steps import held_sentence
from pages.parts.text import _, chance, day, listed, plain, points, said, whole
from pages.parts.words import event_word, group_word

SHOWN_ACTS = 200
"""Newest acts that can be left out one by one."""
LIFTED = "lifted"
"""Flag: the shopper of whom it was asked what would lift her chance."""
SCORED = "own-scored"
"""Flag: the history that was scored last."""
EXAMPLE = "event_type,days_ago,item_id,price\nview,3,,\npurchase,10,,\n"


def try_changes(here: Screen, user_id: str) -> None:
    """Leave acts out, add some, move them nearer, change prices: the chance before and after; and what would lift it most."""
    st.subheader(_("What if the history were another?"))
    st.caption(_("The model's view of another history. It tells what such shoppers do, not what happens when you make somebody act."))
    table: pd.DataFrame = state.ask(why_questions.acts, here, user_id).iloc[::-1].head(SHOWN_ACTS)
    names = {
        int(row.place): f"{day(row.event_time.isoformat(), here.zone)} · {event_word(row.event_type)} · {row.title or '–'}"
        for row in table.itertuples()
    }
    alike: Counter[str] = Counter()
    for place, name in names.items():  # acts that look the same are told apart, or choosing one would choose them all
        alike[name] += 1
        names[place] = name if alike[name] == 1 else f"{name} ({alike[name]})"
    left, right = st.columns(2, gap="large")
    with left:
        drop = st.multiselect(_("Leave out acts"), list(names), format_func=names.__getitem__, key=f"drop-{user_id}", placeholder=_("none"))
        closer = st.slider(_("Move all acts nearer, by days"), -28, 28, 0, key=f"closer-{user_id}")
        price = st.slider(_("Price level, percent"), 50, 200, 100, step=5, key=f"price-{user_id}", format="%d%%")
    with right:
        kinds = ["", *state.ask(why_questions.kinds, here)]
        kind = st.selectbox(_("Add an act"), kinds, format_func=lambda name: event_word(name) if name else "–", key=f"add-{user_id}")
        liked = table["item_id"].dropna().mode()
        item = st.text_input(_("Item id"), value=str(liked.iloc[0]) if len(liked) else "", key=f"item-{user_id}")
        with st.container(horizontal=True):
            ago = st.number_input(_("Days before the cutoff"), 0.0, 365.0, 1.0, key=f"ago-{user_id}")
            times = st.number_input(_("Times"), 1, 50, 1, key=f"times-{user_id}")
    add = [{"event_type": kind, "item_id": item.strip() or None, "days_ago": ago, "times": int(times)}] if kind else []
    change = {"drop": sorted(drop), "closer_days": closer, "price_factor": price / 100, "add": add}
    try:
        found = state.ask(why_questions.what_if, here, user_id, json.dumps(change))
    except CoreError as error:
        st.error(plain(said(error)))
        return
    _before_and_after(found)
    if kind and found.get("unknown_items"):
        st.caption(
            _(
                "The log does not know the item {item}: the act counts, and tells nothing of its price, category or text.",
                item=plain(item.strip()),
            )
        )
    if found.get("held"):
        st.caption(held_sentence(found["held"]))
    if st.button(_("What would lift this chance most?"), key=f"lift-{user_id}"):
        state.put(LIFTED, user_id)
    if state.flag(LIFTED) == user_id:  # the answer stays while other questions of this shopper are asked
        _lifts(here, state.ask(why_questions.what_lifts, here, user_id))


def score_one(here: Screen) -> None:
    """Score a history that is typed or pasted; what was scored last stays in sight."""
    with st.expander(_("Score a history of your own"), key="own-open"):
        st.caption(_("One row for each act, as CSV with a header or as JSON: event_type, event_time or days_ago, and what else is known."))
        text = st.text_area(_("History"), value=EXAMPLE, height=140, key="own-history")
        if st.button(_("Score this history"), key="score-own"):
            state.put(SCORED, text)
        if state.flag(SCORED) != text:
            return
        try:
            found = state.ask(why_questions.score, here, text)
        except CoreError as error:
            st.error(plain(said(error)))
            return
        tiles = [
            (
                _("Purchase chance"),
                chance(found["propensity"]),
                _("range {low} – {high}", low=plain(chance(found["low"])), high=plain(chance(found["high"]))),
                None,
            ),
            (_("Acts read"), whole(found["events"]), _("{n} items that the log does not know", n=whole(found["unknown_items"])), None),
        ]
        frame.tiles("own", tiles)
        if found.get("held"):
            st.caption(
                _(
                    "Of such a history these parts are not known, and count as empty: {parts}.",
                    parts=listed(map(group_word, found["held"])),
                )
            )
        st.caption(_("As of {day}. What this shopper will do is not known; nothing of it was used.", day=day(found["cutoff"], here.zone)))


def _before_and_after(found: dict[str, Any]) -> None:
    before, after = found["before"], found["after"]
    frame.tiles(
        "what-if",
        [
            (_("Chance as it is"), chance(before["propensity"]), _("{n} acts", n=whole(found["events_before"])), None),
            (
                _("Chance after the change"),
                chance(after["propensity"]),
                _("{n} acts", n=whole(found["events_after"])),
                None,
            ),
            (_("Difference"), points(after["propensity"] - before["propensity"]), None, None),
        ],
    )


def _lifts(here: Screen, found: dict[str, Any]) -> None:
    items = tuple(sorted({row["item_id"] for row in found["tried"] if row["item_id"]}))
    titles = state.ask(why_questions.titles, here, items)
    rows = [
        {
            "change": _change_name(row, titles),
            "chance": chance(row["propensity"]),
            "difference": points(row["difference"]),
        }
        for row in found["tried"]
    ]
    frame.table(
        pd.DataFrame(rows),
        key="lifts",
        height=420,
        column_config={
            "change": st.column_config.TextColumn(_("Change"), width="large"),
            "chance": _("Chance"),
            "difference": _("Difference"),
        },
    )
    st.caption(_("New acts are set an hour before the cutoff. This is the model's view, no cause: to know an effect, keep a holdout."))


def _change_name(row: dict[str, Any], titles: dict[str, str]) -> str:
    if row["event_type"]:
        title = titles.get(row["item_id"] or "", "–")
        return _("{act} × {n}: {items}", act=event_word(row["event_type"]), n=row["times"], items=title)
    if row["closer_days"]:
        return _("all acts {days:g} days nearer", days=row["closer_days"])
    return _("price level at {percent:.0f} percent", percent=100 * row["price_factor"])
