"""What changed between a period and the one before: which parts of the shoppers moved conversion and revenue."""

import streamlit as st

from core.pipeline import behaviour
from core.pipeline.behaviour import Change, Filters, Period
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.text import _, amount, percent, plain, small_cells
from pages.parts.traits import segment_names_shown

PART_WORDS = {"newness": "new and returning shoppers", "category": "category most acted on", "segment": "segment"}
NEWNESS_WORDS = {"new": "new: first act in the period", "returning": "returning: acted before it"}


def draw(here: Screen, filters: Filters, before: Period | None, period: Period) -> None:
    """Say the change in words, then the effect of each part."""
    st.subheader(_("What changed"))
    if before is None:
        st.caption(_("The log does not reach back to a period of the same length before this one; choose a shorter period to compare."))
        return
    choices = [name for name in PART_WORDS if name != "segment" or here.run_id("atlas")]
    parts = st.radio(_("By"), choices, format_func=lambda name: _(PART_WORDS[name]), horizontal=True, key="changed-by") or choices[0]
    change: Change | None = state.ask(behaviour.what_changed, here, filters, before, period, parts)
    if change is None:
        frame.gate(_("Nobody acted in one of the two periods, so there is nothing to compare."))
        return
    rows = change.answer.table.to_pandas()
    if small_cells() and not (rows[["users_before", "users"]].fillna(0) > 0).any().all():
        frame.gate(_("Every figure here is about fewer than {k} shoppers, so all of them are hidden.", k=small_cells()))
        return
    rows["name"] = [_part_word(here, parts, part) for part in rows["part"]]
    st.markdown(_told(change))
    shown = rows.assign(**{name: 100 * rows[name] for name in ("mix", "rate")}, both=100 * (rows["mix"] + rows["rate"]))
    moves = any(abs(value) > 1e-9 for value in (*rows["mix"], *rows["rate"]))
    first = ("mix", "rate") if moves else ("revenue_mix", "revenue_rate")  # where everybody buys, only revenue moves
    shown = shown.loc[rows[list(first)].abs().sum(axis=1).sort_values(ascending=False, kind="stable").index]
    number, points = st.column_config.NumberColumn, "%+.2f"
    columns = {
        "name": st.column_config.TextColumn(_("Part"), width="medium"),
        "users_before": number(_("Shoppers before"), format="localized"),
        "users": number(_("Shoppers"), format="localized"),
    }
    if moves:
        columns |= {
            "both": number(_("Conversion, points"), format=points),
            "mix": number(_("by share of shoppers"), format=points),
            "rate": number(_("by their conversion"), format=points),
        }
    if change.revenue is not None:
        columns |= {
            "revenue_mix": number(_("Revenue by share"), format="localized"),
            "revenue_rate": number(_("Revenue by spending"), format="localized"),
        }
    frame.table(shown[list(columns)], column_config=columns, height=320, key="what-changed", counts=("users_before", "users"))
    st.caption(
        _(
            "Points of percent. A part moves the whole by being a larger or smaller share of all shoppers than before, or by buying more "
            "or less often itself; all effects add up to the change."
        )
        + (" " + _("Segments are those of the map now.") if parts == "segment" else "")
        + (" " + _("Near the beginning of the log old shoppers look new.") if parts == "newness" else "")
    )
    frame.take_away(change.answer, "what-changed")


def _told(change: Change) -> str:
    told = _(
        "Conversion of shoppers went from {before} to **{now}** ({change:+.2f} points): {mix:+.2f} by who came, {rate:+.2f} by how often "
        "they bought.",
        before=percent(change.conversion_before, 2),
        now=percent(change.conversion, 2),
        change=100 * (change.conversion - change.conversion_before),
        mix=100 * change.effects["mix"],
        rate=100 * change.effects["rate"],
    )
    if change.revenue is not None and change.revenue_before is not None:
        told += " " + _(
            "Revenue went from {before} to **{now}**: {size} by the number of shoppers, {mix} by who came, {rate} by what each spent.",
            before=plain(amount(change.revenue_before)),
            now=plain(amount(change.revenue)),
            size=_signed(change.revenue_size),
            mix=_signed(change.effects["revenue_mix"]),
            rate=_signed(change.effects["revenue_rate"]),
        )
    return told


def _signed(value: float) -> str:
    return plain(("+" if value >= 0 else "-") + amount(abs(value)))


def _part_word(here: Screen, parts: str, part: str) -> str:
    if not part:
        return _("(no category)") if parts == "category" else _("(not on the map)")
    if parts == "newness":
        return _(NEWNESS_WORDS[part])
    if parts == "segment":
        return segment_names_shown(here).get(int(part), part)
    return part
