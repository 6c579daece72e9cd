"""The parts of the Shopper page: search, figures, recommendations, nearest others."""

import random
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import cards, shoppers
from core.pipeline.screens import Screen
from core.pipeline.shoppers import Portrait
from pages.parts import charts, frame, state
from pages.parts.text import _, amount, chance, day, minute, number, percent, plain, short, whole
from pages.parts.traits import segment_names_shown, segments_shown, subsegments_shown
from pages.parts.words import band_word, feature_word, item_names, reasons_shown


def search(here: Screen) -> str | None:
    """Choose a shopper by id, or draw one; returns None while there is none, after naming the nearest ids.

    While small cells are hidden nobody is looked at alone.
    """
    if here.small_cells:
        frame.gate(_("While counts of few shoppers are hidden, no single shopper is shown; the setting is on the page Data."))
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if (asked := st.query_params.get("user")) and state.flag("shopper-id") is None:
            state.put("shopper-id", asked)
        typed = st.text_input(_("Shopper id"), key="shopper-id", placeholder=_("type an id"), persist_state="session")
        st.button(_("Draw one at random"), key="shopper-random", on_click=_draw, args=(here,))
    text = typed.strip()
    state.link("user", text or None)
    if not text:
        text = state.ask(shoppers.draw_user, here, 1)
    found, near = state.ask(shoppers.find_user, here, text)
    if found is None:
        st.info(_("There is no shopper {id}. The nearest ids are:", id=plain(text)))
        with st.container(horizontal=True):
            for other in near:
                st.button(plain(other), key=f"near-{other}", on_click=_choose, args=(other,))
    return str(found) if found is not None else None


def card(here: Screen, found: Portrait) -> None:
    """Figures of the shopper: recency, frequency, money, chance, segment, tastes."""
    facts, score = found.facts, found.score
    st.subheader(_("Shopper {id}", id=plain(found.user_id)))
    if not found.is_known:
        _few(found)
    note = None
    if score:
        band = band_word(str(score.get("band", "")))
        note = _("range {low} – {high}, {band}", low=plain(chance(score["low"])), high=plain(chance(score["high"])), band=band)
    frame.tiles(
        "shopper",
        [
            (
                _("Purchase chance"),
                chance(score["propensity"]) if score else "–",
                "  \n".join(part for part in (note or _("not computed yet"), frame.made_from(here, "propensity")) if part),
                _("Calibrated chance within the horizon; nine times in ten, the share of shoppers alike who act lies in the range."),
            ),
            (
                _("Last purchase"),
                _ago(found.recency_days),
                day(facts["last_purchase"], here.zone),
                None,
            ),
            (
                _("Orders"),
                whole(facts["orders"]),
                _("events: {events}, active days: {days}", events=whole(facts["events"]), days=whole(facts["active_days"])),
                None,
            ),
            (_("Revenue"), amount(facts["revenue"]), _("since {day}", day=day(facts["first_event"], here.zone)), None),
        ],
    )
    left, right = st.columns(2, gap="large")
    with left:
        if found.segment:
            segments = segments_shown(here)
            row, name = segments.set_index("segment_id").loc[int(found.segment["segment_id"])], None
            if (part := found.segment["subsegment_id"]) is not None:
                fine = subsegments_shown(here, segments).set_index("subsegment_id")
                name = fine["name"].get(int(part))
            certainty = _("certainty {share}", share=percent(found.segment["certainty"], 0)) if found.is_known else ""
            told = [plain(name or row["name"]), certainty, frame.made_from(here, "atlas")]
            st.markdown(f"**{_('Segment')}**: " + " · ".join(part for part in told if part))
            st.caption(plain(row["traits"]))
            if not found.is_known:
                _averages(here, int(found.segment["segment_id"]))
            _segments_before(here, found)
        if len(found.reasons):
            st.markdown(f"**{_('What moves this chance')}**")
            for row in found.reasons.sort_values("place").head(5).to_dict("records"):
                sign = _("raises") if row["contribution"] > 0 else _("lowers")
                st.markdown(f"- {plain(feature_word(row['feature']))}: {plain(short_value(row['value']))} · :gray[{sign}]")
    with right:
        if len(found.affinity):
            st.markdown(f"**{_('Categories, share of acts (index against all shoppers)')}**")
            rows = found.affinity.to_dict("records")
            shown = [f"{percent(r['share'])} · {r['lift']:.1f}× · n={r['n']:,}" for r in rows]
            frame.chart(
                charts.bars(
                    [r["category"] for r in rows], [r["share"] for r in rows], shown, _("share of acts"), state.look(), is_share=True
                ),
                found.affinity,
                "affinity",
                _("Categories"),
            )


def next_items(here: Screen, found: Portrait) -> None:
    """The first ten recommendations with their reasons."""
    st.subheader(_("Recommendations"))
    if not len(found.recommendations):
        if here.run_id("recommendations") is None:
            frame.needs(here, "recommendations")
        else:
            st.caption(_("There is no list for this shopper."))
        return
    _of_version(here, "recommendations")
    table = found.recommendations.head(10)
    table = table.assign(item=item_names(table), reason=reasons_of(here, table))
    frame.table(
        table,
        column_order=["rank", "item", "reason"],
        column_config={"rank": _("Place"), "item": _("Item"), "reason": st.column_config.TextColumn(_("Reason"), width="large")},
        key="next",
    )
    frame.take_away(found.recommendations, "shopper-recommendations")


def likeness(here: Screen, found: Portrait) -> None:
    """The ten nearest shoppers."""
    st.subheader(_("Most alike shoppers"))
    near: pd.DataFrame = state.ask(shoppers.nearest, here, found.user_id)
    if not len(near):
        if here.run_id("profiles") is None:
            frame.needs(here, "profiles")
        else:
            st.caption(_("This shopper has no text profile, so none can be compared."))
        return
    _of_version(here, "profiles")
    if "segment_id" in near:
        names = segment_names_shown(here)
        near = near.assign(segment=[names.get(segment, "–") for segment in near["segment_id"]])
    st.caption(basis(here))
    others = tuple(near["user_id"])
    near = near.merge(state.ask(cards.likeness, here, found.user_id, others), on="user_id", how="left")
    features: pd.DataFrame = state.ask(cards.alike_in, here, found.user_id, others)
    by_text = shoppers.measured_on_text(here)
    near = near.assign(why=[_why(row, features[features["user_id"] == row["user_id"]], by_text=by_text) for row in near.to_dict("records")])
    frame.table(
        near,
        column_order=["user_id", "similarity", "why", "segment"],
        key="near",
        column_config={
            "user_id": _("Shopper id"),
            "similarity": st.column_config.NumberColumn(_("Similarity"), format="%.3f"),
            "why": st.column_config.TextColumn(_("In common"), width=250),
            "segment": _("Segment"),
        },
        lines=4,
    )
    frame.take_away(near.drop(columns=["categories"]), "nearest")


def basis(here: Screen) -> str:
    """Say on what the nearness of shoppers is measured."""
    if shoppers.measured_on_text(here):
        return _("Similarity is the cosine of text profiles alone; counts and other blocks have no part in it.")
    return _("Similarity is the cosine of counted features, each on one scale: this data set has no text profiles.")


def _why(row: Mapping[str, Any], features: pd.DataFrame, *, by_text: bool) -> str:
    """What a shopper has in common with the one on the page: categories and items, and counts where these were compared or are all."""
    shared = []
    if (names := row["categories"]) is not None and not isinstance(names, float) and len(names):
        shared.append(_("{categories} (overlap {share})", categories=" + ".join(names), share=percent(row["overlap"], 0)))
    if row["items"] == row["items"] and row["items"]:
        shared.append(_("same items: {n}", n=whole(row["items"])))
    if by_text and shared:
        return " · ".join(shared)
    counts = [
        _("{feature}: {own} and {other}", feature=feature_word(r["feature"]), own=short_value(r["own"]), other=short_value(r["other"]))
        for r in features.to_dict("records")
    ]
    return " · ".join([*counts, *(shared or [_("no category or item in common")])])


def reasons_of(here: Screen, table: pd.DataFrame) -> list[str]:
    """Reasons of a list in the chosen language, with the title of the item that a reason names."""
    if "reason_code" not in table:
        return list(table["reason"])
    named = [item for item in table["reason_item"] if isinstance(item, str)]
    titles = state.ask(shoppers.titles, here, tuple(sorted(set(named)))) if named else {}
    items = [titles.get(item, item) if isinstance(item, str) else None for item in table["reason_item"]]
    return reasons_shown(list(table["reason_code"]), items, list(table["reason"]))


def short_value(value: object) -> str:
    """A feature's value as people read it."""
    if isinstance(value, float) and abs(value) < 1000:
        return number(value, 0 if value.is_integer() else 2)
    return short(float(str(value)))


def _ago(days: float | None) -> str:
    if days is None:
        return "–"
    return _("1 day ago") if whole(days) == "1" else _("{days} days ago", days=whole(days))


def _few(found: Portrait) -> None:
    """Say that little is known of a shopper, and what is better read."""
    n = whole(found.facts["events"])
    frame.gate(
        _("Known events of this shopper: {n}. The averages of the segment below tell more than these figures.", n=n)
        if found.segment
        else _("Known events of this shopper: {n}. There is no map with this shopper yet, so averages of a segment are missing too.", n=n)
    )


def _averages(here: Screen, segment_id: int) -> None:
    """Tell what the shoppers of a segment are like on average."""
    means: cards.SegmentMeans = state.ask(cards.segment_means, here, segment_id)
    categories = " · ".join(f"{plain(name)} {percent(share, 0)}" for name, share in means.categories)
    price = "" if means.price is None else _("{ratio} times the median of the category", ratio=number(means.price, 2))
    told = [
        (_("Events"), means.events and number(means.events, 1)),
        (_("Orders"), number(means.orders, 2) if means.orders is not None else ""),
        (_("Days between active days"), means.gap_days and number(means.gap_days, 1)),
        (_("Prices of touched items"), price),
        (_("Categories, share of acts"), categories),
    ]
    st.markdown(f"**{_('Averages of the segment (shoppers: {n})', n=whole(means.shoppers))}**")
    st.markdown("\n".join(f"- {label}: {value}" for label, value in told if value))


def _segments_before(here: Screen, found: Portrait) -> None:
    """Tell in which segments earlier maps saw a shopper, once there is more than one map."""
    past: pd.DataFrame = state.ask(cards.segment_history, here, found.user_id)
    if len(past) < 2:
        return
    current = segment_names_shown(here)
    with st.expander(_("Segments on earlier maps ({n})", n=len(past))):
        rows = past.iloc[::-1].to_dict("records")
        times = [row["as_of"].to_pydatetime() for row in rows]
        shown = [day(time, here.zone) for time in times]
        if len(set(shown)) < len(shown):  # several maps of one day
            shown = [minute(time, here.zone) for time in times]
        for row, when in zip(rows, shown, strict=True):
            segment = plain(current.get(int(row["segment_id"]), row["name"]))
            share = percent(row["certainty"], 0)
            told = _("{day}: {segment}, certainty {share}", day=when, segment=segment, share=share)
            st.markdown("- " + (told if found.is_known else _("{day}: {segment}", day=when, segment=segment)))


def _of_version(here: Screen, kind: str) -> None:
    if told := frame.made_from(here, kind):
        st.caption(told)


def _draw(here: Screen) -> None:
    st.session_state["shopper-id"] = shoppers.draw_user(here, random.SystemRandom().randrange(2**31))


def _choose(user_id: str) -> None:
    st.session_state["shopper-id"] = user_id
