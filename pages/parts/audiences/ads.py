"""Match an advertisement: who is most likely to answer it, and how well such a list did before."""

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.pipeline import matching, offering, outcomes
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.text import _, chance, counted, day, listed, number, percent, plain, said
from pages.parts.words import item_names

ACT_WORDS = {"acts": "Viewed, saved or bought", "purchases": "Bought"}
LONGEST_SAVED = 1_000


def match_advertisement(here: Screen) -> None:
    """Take a text or items, list the likeliest shoppers with the evidence, save them as an audience."""
    if frame.needs(here, "profiles") is None:
        return
    st.subheader(_("Who would answer this advertisement?"))
    held = repr(offering.in_force(here))
    left, right = st.columns(2, gap="large")
    text = left.text_area(_("Text of the advertisement"), key="ad-text", height=110, max_chars=matching.LONGEST_TEXT)
    items = right.multiselect(
        _("or items that it shows"),
        state.ask(matching.item_choices, here, 2_000, held),
        format_func=lambda pair: pair[1],
        key="ad-items",
        placeholder=_("any"),
        select_all=False,
    )
    if not text.strip() and not items:
        st.caption(_("Paste a text or pick items: shoppers are ranked by their leaning to its categories and their purchase chance."))
        return
    try:
        found: matching.Matched = state.ask(matching.match_ad, here, text, tuple(item for item, _title in items), LONGEST_SAVED, held)
    except CoreError as error:
        st.error(plain(said(error)))
        return
    told = listed(f"{plain(name)} {percent(weight, 0)}" for name, weight in sorted(found.categories.items(), key=lambda p: -p[1])[:4])
    st.markdown(_("Read as: {categories}", categories=told or "–"))
    for note in found.notes:
        st.caption(plain(said(note)))
    _evidence(here, found)
    _shoppers(found)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(_("Name of the audience"), value=_("Match of an ad"), max_chars=80, key="ad-name")
        most = st.number_input(_("Shoppers to take"), 10, LONGEST_SAVED, min(500, LONGEST_SAVED), step=50, key="ad-most")
        if st.button(_("Save as audience"), type="primary", key="ad-save"):
            users = list(found.rows["user_id"].head(int(most)))
            record = {"name": name.strip() or _("Match of an ad"), "rule": {"users": users}, "holdout": 0.1, "cost": 0.0, "margin": 0.0}
            outcomes.save_audience(here, {**record, "users": len(users)})
            st.toast(_("Saved."))


def _evidence(here: Screen, found: matching.Matched) -> None:
    if not found.evidence:
        return
    st.markdown(f"**{_('How well such a list did before')}**")
    rows = pd.DataFrame(
        [
            {
                "act": _(ACT_WORDS[one.act]),
                "answered": counted(one.answered) if here.small_cells else one.answered,
                "rate": one.rate,
                "lift": f"{number(one.lift, 1)}× [{number(one.lift_low, 1)}, {number(one.lift_high, 1)}]",
                "alone": f"{number(one.propensity_lift, 1)}×",
                "gain": f"{number(one.gain, 1)} [{number(one.gain_low, 1)}, {number(one.gain_high, 1)}]",
            }
            for one in found.evidence
        ]
    )
    frame.table(
        rows,
        key="ad-evidence",
        column_config={
            "act": _("Answer"),
            "answered": _("Shoppers who answered")
            if here.small_cells
            else st.column_config.NumberColumn(_("Shoppers who answered"), format="localized"),
            "rate": st.column_config.NumberColumn(_("At random"), format="percent"),
            "lift": _("Best tenth against random"),
            "alone": _("Best tenth by chance alone"),
            "gain": _("Difference of the two"),
        },
    )
    better = [one for one in found.evidence if one.gain_low > 0]
    worse = [one for one in found.evidence if one.gain_high < 0]
    told = (
        _("On this advertisement the match beats the purchase chance alone.")
        if better
        else _("On this advertisement the purchase chance alone does better; use it instead.")
        if worse
        else _("Whether the match beats the purchase chance alone cannot be told apart from chance on this log.")
    )
    where = _(
        "Lists made as of {day}, answers within {days:g} days on near items or in their categories, {n} shoppers.",
        day=day(found.tested_at, here.zone),
        days=found.horizon_days,
        n=counted(found.evidence[0].users),
    )
    st.caption(f"{told} {where}")


def _shoppers(found: matching.Matched) -> None:
    left, right = st.columns([3, 2], gap="large")
    with left:
        rows = found.rows
        frame.table(
            rows.assign(propensity=[chance(value) for value in rows["propensity"]]).head(200),
            height=360,
            key="ad-shoppers",
            column_config={
                "user_id": _("Shopper id"),
                "match": st.column_config.NumberColumn(_("Match"), format="%.3f"),
                "closeness": st.column_config.NumberColumn(_("Closeness"), format="%.3f"),
                "leaning": st.column_config.NumberColumn(_("Acts in its categories"), format="percent"),
                "propensity": _("Purchase chance"),
            },
        )
        frame.take_away(rows, "ad-shoppers")
    with right:
        near = found.near.assign(item=item_names(found.near))
        frame.table(
            near,
            height=360,
            key="ad-items-near",
            column_order=["item", "category", "cosine"],
            column_config={
                "item": _("Nearest items"),
                "category": _("Category"),
                "cosine": st.column_config.NumberColumn(_("Closeness"), format="%.2f"),
            },
        )
