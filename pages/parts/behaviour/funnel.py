"""Funnel: steps, how many take them, where they stop, how long it takes, and who they are."""

from datetime import timedelta
from itertools import pairwise, starmap
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from core.errors import CoreError
from core.pipeline import behaviour, outcomes
from core.pipeline.behaviour import Filters, Funnel, Step
from core.pipeline.screens import MOST_NAMES, Screen
from pages.parts import charts, downloads, frame, state
from pages.parts.behaviour.kinds import ties
from pages.parts.filters import named
from pages.parts.text import _, counted, duration, interval, listed, people, percent, plain
from pages.parts.traits import segment_names_shown
from pages.parts.words import column_word, event_word

MOST = 6
ORDER_WORDS = {
    "ordered": "in this order, other acts may lie between",
    "strict": "in this order, nothing between",
    "any": "in any order",
}


def draw(here: Screen, filters: Filters) -> None:
    """Ask for the steps, then show the funnel, its times and its shoppers."""
    facts = state.ask(behaviour.facts, here).table.to_pylist()
    asked = _ask(here, {row["event_type"]: row["events"] or 0 for row in facts})
    _remarks(here, asked)
    try:
        answer = state.ask(behaviour.funnel, here, filters, asked)
    except CoreError as error:
        frame.gate(error)  # a question that has no answer says so
        return
    rows = answer.table.to_pylist()
    if all(row["users"] == 0 for row in rows):
        frame.gate(_("Nobody in the part of the log that is looked at takes the first step; choose another one, or show everything."))
        return
    if asked.breakdown:
        _parts(here, asked, answer)
        return
    words = [_step_word(step) for step in asked.steps]
    _bars(here, rows, words, answer)
    _times(here, filters, asked, rows[-1])
    _shoppers(here, filters, asked, words, [row["users"] for row in rows])


def _remarks(here: Screen, asked: Funnel) -> None:
    """Say what is odd about a question that has an answer."""
    length = here.log.until - here.log.start
    if asked.window > length:
        st.caption(_("The window is longer than the log ({length}), so it excludes nobody.", length=duration(length.total_seconds())))
    equal = next((n for n, (step, after) in enumerate(pairwise(asked.steps), start=1) if step == after), None)
    if equal and asked.order != "any":
        st.caption(_("Steps {n} and {m} are the same, so it takes two of these acts, one later than the other.", n=equal, m=equal + 1))


def _ask(here: Screen, events: dict[str, int]) -> Funnel:
    kinds = list(events)
    usual = behaviour.usual_steps(events)
    usual = usual if len(usual) > 1 else [kinds[0], kinds[0]]
    with st.container(border=True):
        top = st.columns([1, 2, 1], vertical_alignment="bottom")
        count = int(top[0].number_input(_("Steps"), 2, MOST, len(usual), key="steps"))
        order = top[1].selectbox(_("Order"), list(ORDER_WORDS), format_func=lambda o: _(ORDER_WORDS[o]), key="order")
        days = top[2].number_input(
            _("Window, days"),
            0.01,
            3650.0,
            7.0,
            key="window",
            help=_("From the first step of a run to its last; each act of the first step begins one."),
        )
        cells = st.columns(count)
        chosen = []
        for place, cell in enumerate(cells):
            kind = usual[min(place, len(usual) - 1)]
            chosen.append(
                cell.selectbox(_("Step {n}", n=place + 1), kinds, kinds.index(kind), format_func=event_word, key=f"step{place + 1}")
            )
        with st.expander(_("Items and prices of steps, exclusions, breakdown")):
            names = state.ask(outcomes.category_names, here)
            brand_names = state.ask(behaviour.brand_names, here)
            categories = _of_steps(here, count, names, _("Step {n} in category"), "category")
            brands = _of_steps(here, count, brand_names, _("Step {n} of brand"), "brand")
            items = _items_of_steps(here, count)
            lows, highs = _prices_of_steps(here, count)
            absent = {
                _("categories"): bool(names),
                _("brands"): bool(brand_names),
                _("items"): state.ask(behaviour.has_items, here),
                _("prices of items"): state.ask(behaviour.has_prices, here),
            }
            if lacking := [word for word, is_there in absent.items() if not is_there]:
                st.caption(_("This log has no {what}. Columns of the log or its catalogue would bring them.", what=listed(lacking)))
            left, right = st.columns(2)
            excluded = left.multiselect(
                _("Without shoppers who meanwhile did"),
                [k for k in kinds if k not in chosen],
                format_func=event_word,
                key="excluded",
                placeholder=_("nothing excluded"),
            )
            parts = [
                "",
                *(["category"] if names else []),
                *(["segment"] if here.run_id("atlas") else []),
                *state.ask(outcomes.attributes, here),
            ]
            breakdown = right.selectbox(_("Break down by"), parts, format_func=_part_word, key="breakdown")
    steps = tuple(starmap(Step, zip(chosen, categories, brands, items, lows, highs, strict=True)))
    return Funnel(steps, str(order), timedelta(days=float(days)), tuple(excluded), str(breakdown or ""))


def _of_steps(here: Screen, count: int, names: list[str], label: str, column: str) -> list[str | None]:
    """Let one name be chosen for each step, or none; a name that is typed and the log does not have is said to be unknown."""
    chosen = [
        cell.selectbox(
            label.format(n=place),
            names,
            None,
            key=f"step{column}{place}",
            placeholder=_("any"),
            disabled=not names,
            accept_new_options=len(names) >= MOST_NAMES,
        )
        for place, cell in enumerate(st.columns(count), start=1)
    ]
    missing = sorted({name for name in chosen if name and name not in names and not named(here, column, name)})
    if missing:
        st.caption(_("Not in this log: {names}.", names=listed(map(plain, missing))))
    return chosen


def _items_of_steps(here: Screen, count: int) -> list[str | None]:
    """Let the id of one item be typed for each step, or none; an id that the log does not have is said to be unknown."""
    known = state.ask(behaviour.has_items, here)
    texts = [
        cell.text_input(_("Step {n} of item", n=place), key=f"stepitem{place}", placeholder=_("id of an item"), disabled=not known).strip()
        for place, cell in enumerate(st.columns(count), start=1)
    ]
    asked = [text for text in texts if text]
    missing = sorted(set(asked) - set(state.ask(behaviour.items_there, here, asked))) if asked else []
    if missing:
        st.caption(_("No such item in this log: {items}.", items=listed(map(plain, missing))))
    return [text or None for text in texts]


def _prices_of_steps(here: Screen, count: int) -> tuple[list[float | None], list[float | None]]:
    """Let a range of prices be chosen for each step; open where nothing is chosen."""
    known = state.ask(behaviour.has_prices, here)
    bounds: list[tuple[float | None, float | None]] = []
    for place, cell in enumerate(st.columns(count), start=1):
        left, right = cell.columns(2)
        low = left.number_input(_("Step {n}, price from", n=place), 0.0, value=None, key=f"steplow{place}", disabled=not known)
        high = right.number_input(_("to"), 0.0, value=None, key=f"stephigh{place}", disabled=not known)
        bounds.append((low, high))
    return [low for low, _high in bounds], [high for _low, high in bounds]


def _bars(here: Screen, rows: list[dict[str, Any]], words: list[str], answer: Any) -> None:
    labels = [f"{row['step']} {word}" for row, word in zip(rows, words, strict=True)]
    lost = [0, *(_difference(before["users"], row["users"]) for before, row in pairwise(rows))]
    notes = [
        _(
            "{n} shoppers · {overall} of the first step · {step} of the step before",
            n=people(row["users"]),
            overall=percent(row["overall"]),
            step=percent(row["from_previous"]),
        )
        for row in rows
    ]
    figure = charts.steps(labels, [row["users"] for row in rows], lost, notes, (_("took this step"), _("stopped before it")), state.look())
    st.plotly_chart(
        figure,
        theme=None,
        config=frame.picture_config("funnel"),
        key="chart-funnel",
        on_select=_clicked,
        selection_mode="points",
        alt=_("Funnel"),
    )
    st.caption(_("Click a bar to see its shoppers below, or choose the step there."))
    ties(here)
    shown = pd.DataFrame(
        {
            "step": labels,
            "users": [row["users"] for row in rows],
            "overall": [row["overall"] for row in rows],
            "overall_range": [interval(row["overall_low"], row["overall_high"], "percent") for row in rows],
            "previous": [row["from_previous"] for row in rows],
            "previous_range": [interval(row["from_previous_low"], row["from_previous_high"], "percent") for row in rows],
        }
    )
    frame.table(
        shown,
        column_config={
            "step": st.column_config.TextColumn(_("Step")),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "overall": st.column_config.NumberColumn(_("Of the first step"), format="percent"),
            "overall_range": st.column_config.TextColumn(_("95% interval")),
            "previous": st.column_config.NumberColumn(_("Of the step before"), format="percent"),
            "previous_range": st.column_config.TextColumn(_("95% interval") + " "),
        },
        key="funnel",
        counts=("users",),
    )
    frame.take_away(answer, "funnel")


def _times(here: Screen, filters: Filters, asked: Funnel, last: dict[str, Any]) -> None:
    if not last["users"]:
        return
    st.subheader(_("Time from the first step to the last"))
    st.markdown(
        _(
            "Half of those who took all steps did it within **{median}**; a quarter within {quarter}, three quarters within {three}.",
            median=duration(last["seconds_median"]),
            quarter=duration(last["seconds_quarter"]),
            three=duration(last["seconds_three_quarters"]),
        )
    )
    times = state.ask(behaviour.funnel_times, here, filters, asked)
    rows = times.table.to_pylist()
    used = [place for place, row in enumerate(rows) if row["users"] != 0]
    rows = rows[used[0] : used[-1] + 1]
    counts = [row["users"] for row in rows]
    figure = charts.bars(
        [_bar_word(row) for row in rows], [n or 0 for n in counts], [people(n) for n in counts], _("Shoppers"), state.look()
    )
    frame.chart(figure, times, "funnel-times", _("Time from the first step to the last"))


def _shoppers(here: Screen, filters: Filters, asked: Funnel, words: list[str], users: list[int]) -> None:
    st.subheader(_("Shoppers of a step"))
    with st.container(border=True):
        left, right = st.columns(2)
        step = left.selectbox(
            _("Step"), list(range(1, len(words) + 1)), format_func=lambda n: f"{n} {plain(words[n - 1])}", key="funnel-step"
        )
        stopped = right.radio(
            _("Who"),
            [False, True],
            format_func=lambda s: _("went no further") if s else _("took this step"),
            horizontal=True,
            key="funnel-stopped",
        )
        step, stopped = int(step or 1), bool(stopped)

        def found() -> pa.Table:  # only when it is asked for: a large log has hundreds of thousands
            return behaviour.funnel_members(here, filters, asked, step, stopped).table

        if here.small_cells:  # bars tell steps: the list alone knows whether it may be shown
            try:
                n = found().num_rows
            except CoreError as error:
                frame.gate(error)
                return
        else:
            n = users[step - 1] - (users[step] if stopped and step < len(users) else 0)
        st.markdown(_("**{n} shoppers**", n=counted(n)))
        if not n:
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            kind = _("stopped after") if stopped else _("took")
            name = st.text_input(_("Name of the audience"), value=f"{kind} {words[step - 1]}"[:80], key=f"funnel-name-{step}-{stopped}")
            if st.button(_("Save as audience"), type="primary", key="funnel-save"):
                behaviour.save_members(here, name, [str(user) for user in found()["user_id"].to_pylist()])
                st.toast(_("Saved. It stands on the page Audiences."))
            downloads.csv_button(found, "funnel-shoppers")


def _parts(here: Screen, asked: Funnel, answer: Any) -> None:
    """The last step's overall rate of each part, and the table of all of them."""
    rows = answer.table.to_pandas()
    names = {str(key): name for key, name in segment_names_shown(here).items()} if asked.breakdown == "segment" else {}
    rows["name"] = [names.get(name, name) or _("(unknown)") for name in rows["name"]]
    last = rows[(rows["step"] == len(asked.steps)) & rows["overall"].notna()].head(20)
    if len(last):
        notes = [f"{percent(row.overall)} {interval(row.overall_low, row.overall_high, 'percent')}" for row in last.itertuples()]
        figure = charts.bars(
            list(last["name"]),
            list(last["overall"]),
            notes,
            _("Of the first step"),
            state.look(),
            low=list(last["overall_low"]),
            high=list(last["overall_high"]),
        )
        figure.update_xaxes(tickformat=".0%")
        st.subheader(_("Who takes all steps, by {part}", part=_part_word(asked.breakdown)))
        frame.chart(figure, answer, "funnel-parts", _("Funnel"))
    st.caption(_("Parts of fewer than 20 shoppers have no rate. Many parts are compared: one in twenty differs by chance alone."))
    rows["range"] = [interval(row.overall_low, row.overall_high, "percent") for row in rows.itertuples()]
    frame.table(
        rows[["name", "step", "users", "overall", "range", "from_previous"]],
        column_config={
            "name": st.column_config.TextColumn(_part_word(asked.breakdown)),
            "step": st.column_config.NumberColumn(_("Step")),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "overall": st.column_config.NumberColumn(_("Of the first step"), format="percent"),
            "range": st.column_config.TextColumn(_("95% interval")),
            "from_previous": st.column_config.NumberColumn(_("Of the step before"), format="percent"),
        },
        height=380,
        key="funnel-parts",
        counts=("users",),
    )


def _difference(before: int | None, now: int | None) -> int | None:
    return None if before is None or now is None else before - now


def _clicked() -> None:
    """Choose the step of the clicked bar, and whether it was the part that stopped before."""
    points = st.session_state["chart-funnel"]["selection"]["points"]
    if points:
        step, lost = int(points[0]["point_index"]) + 1, points[0]["curve_number"] == 1
        st.session_state["funnel-step"], st.session_state["funnel-stopped"] = (step - 1, True) if lost and step > 1 else (step, False)


def _step_word(step: Step) -> str:
    word = event_word(step.event_type)
    word = word if step.category is None else _("{act} in {category}", act=word, category=step.category)
    word = word if step.brand is None else _("{act} of {brand}", act=word, brand=step.brand)
    word = word if step.item is None else _("{act} of item {item}", act=word, item=step.item)
    low, high = step.price_from, step.price_to
    if low is not None and high is not None:
        return _("{act} at {low:g} to {high:g}", act=word, low=low, high=high)
    if low is not None:
        return _("{act} at {low:g} or more", act=word, low=low)
    return word if high is None else _("{act} at {high:g} or less", act=word, high=high)


def _part_word(part: str) -> str:
    words = {"": _("nothing"), "category": _("category of the first act"), "segment": _("segment")}
    return words.get(part) or plain(column_word(part))


def _bar_word(row: dict[str, Any]) -> str:
    if row["from_seconds"] is None:
        return _("below {time}", time=_span(row["to_seconds"]))
    if row["to_seconds"] is None:
        return _("{time} and more", time=_span(row["from_seconds"]))
    return _("{begin} to {end}", begin=_span(row["from_seconds"]), end=_span(row["to_seconds"]))


def _span(seconds: int) -> str:
    return duration(seconds) if seconds < 86_400 else _("{n} d", n=seconds // 86_400)
