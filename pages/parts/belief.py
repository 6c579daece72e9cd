"""Whether chances held in each group of shoppers, and what shoppers are expected to spend."""

from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import calibrating, screens
from core.pipeline.screens import Screen
from pages.parts import downloads, frame, state
from pages.parts.text import _, amount, counted, number, percent, plain, said
from pages.parts.traits import segment_names_shown
from pages.parts.words import column_word

FAR = 3.0
"""Standard deviations beyond which a gap is no chance, many groups considered."""
TELLING = 0.1
"""Share of groups by which ranges must hold more often than ranges of no width, or the figure tells little."""
SPENDING_WORDS = {
    "mean": "The same mean for everyone",
    "own_rate": "The shopper's own rate of spending",
    "two_part": "Chance × log-normal spending",
    "gamma": "Chance × Gamma spending",
    "tweedie": "One Tweedie regression",
}


def ranges(figures: dict[str, Any], by_category: dict[str, Any] | None = None) -> None:
    """Say what the range of a chance states, and how often it held in the test window; nothing where that was not measured.

    Args:
        figures: stated, measured, groups: of shoppers, or of pairs of shopper and category, of like chance.
        by_category: The same of categories taken whole.
    """
    if not figures:
        return
    held, of = round(figures["measured"] * figures["groups"]), round(figures["groups"])
    if by_category is None:
        told = _("In the test window it held in {held} of {of} groups of shoppers of like chance.", held=held, of=of)
    else:
        told = _(
            "In the test window it held in {held} of {of} groups of pairs of like chance, and for {whole} of {all} categories taken whole.",
            held=held,
            of=of,
            whole=round(by_category["measured"] * by_category["groups"]),
            all=round(by_category["groups"]),
        )
    stated = _(
        "A range states: of those with this chance, the share that acts will lie inside {stated} of the time.",
        stated=percent(figures["stated"], 0),
    )
    allowed = _("What chance alone does to a group of its size is allowed for.")
    power = ""
    if (without := figures.get("without_width")) is not None:
        none = round(without * figures["groups"])
        power = " " + (
            _(
                "Ranges of no width would have held in {none} of {of}: the figure can hardly tell good ranges from bad ones.",
                none=none,
                of=of,
            )
            if held - none < TELLING * of
            else _("Ranges of no width would have held in {none} of {of}.", none=none, of=of)
        )
    st.caption(f"{stated} {told} {allowed}{power}")


def groups(here: Screen) -> None:
    """Let the reader ask by which group the test window is told again; nothing is shown unasked."""
    found: list[str] = state.ask(calibrating.ways, here)
    if not found:
        return
    by = st.selectbox(
        _("Do the chances hold in each group?"),
        ["", *found],
        format_func=lambda name: _("not asked") if not name else _("Segment") if name == calibrating.SEGMENT else column_word(name),
        key="calibration-by",
        help=_("Groups of shoppers are not part of the model; they are looked at only when somebody asks."),
    )
    if not by:
        return
    table: pd.DataFrame = state.ask(calibrating.calibration_by, here, by)
    if not len(table):
        st.caption(_("No group has {n} shoppers or more in the test window.", n=calibrating.FEWEST))
        return
    if by == calibrating.SEGMENT and calibrating.segments_know_test(here):
        st.warning(
            _(
                "The map was drawn after the test window began, so its segments also tell who acted in it: gaps here are expected and "
                "say nothing against the chances. Draw a map as of the beginning of the window to judge them by segment."
            )
        )
    names = segment_names_shown(here) if by == calibrating.SEGMENT else {}
    shown = table.assign(
        group=[names.get(int(group), group) if by == calibrating.SEGMENT and group.isdigit() else group for group in table["group"]],
        band=[f"{number(100 * low, 1)} – {number(100 * high, 1)} %" for low, high in zip(table["low"], table["high"], strict=True)],
        verdict=["–" if pd.isna(gap) else _verdict(gap) for gap in table["gap"]],
    )
    shown["group"] = [_("unknown") if group == calibrating.UNKNOWN else group for group in shown["group"]]
    frame.table(
        shown,
        key="calibration-groups",
        counts=("users", "happened"),
        height=330,
        column_order=["group", "users", "expected", "happened", "mean_propensity", "rate", "band", "verdict"],
        column_config={
            "group": st.column_config.TextColumn(_("Group"), width="medium"),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "expected": st.column_config.NumberColumn(_("Expected to act"), format="%.1f"),
            "happened": st.column_config.NumberColumn(_("Acted"), format="localized"),
            "mean_propensity": st.column_config.NumberColumn(_("Mean chance"), format="percent"),
            "rate": st.column_config.NumberColumn(_("Share that acted"), format="percent"),
            "band": _("95% interval"),
            "verdict": _("Against the forecast"),
        },
    )
    st.caption(
        _(
            "Test window; a group differs when what happened lies more than {far:g} standard deviations of a perfect model from the sum of "
            "chances. {left} shoppers of groups below {few} are not shown.",
            far=FAR,
            left=counted(int(table["left_out"].iloc[0])),
            few=calibrating.FEWEST,
        )
    )
    frame.take_away(table, "calibration-groups")


def _verdict(gap: float) -> str:
    if abs(gap) < FAR:
        return _("as foretold")
    return _("more than foretold") if gap > 0 else _("less than foretold")


def spending(here: Screen, manifest: dict[str, Any]) -> None:
    """Draw how well spending within the horizon was foretold; nothing when nobody asked for it."""
    metrics = manifest.get("revenue_metrics") or {}
    if not metrics:
        return
    st.subheader(_("Spending within the horizon"))
    for sentence in (manifest.get("revenue_verdict") or {}).get("sentences", []):
        st.markdown("- " + plain(said(sentence)))
    rows = [
        {
            "model": _(SPENDING_WORDS[name]) + (" ★" if name == metrics["winner"] else ""),
            **{key: _interval(figures[key]) for key in ("rmse", "mae", "bias")},
            "expected": figures["expected"],
            "happened": metrics["happened"],
        }
        for name, figures in metrics["models"].items()
        if name in SPENDING_WORDS
    ]
    table = pd.DataFrame(rows)
    frame.table(
        table,
        key="spending-models",
        column_config={
            "model": st.column_config.TextColumn(_("Model"), width="medium"),
            "rmse": _("Root mean squared error [95%]"),
            "mae": _("Mean absolute error [95%]"),
            "bias": _("Error of the mean [95%]"),
            "expected": st.column_config.NumberColumn(_("Expected in the test"), format="localized"),
            "happened": st.column_config.NumberColumn(_("Spent in the test"), format="localized"),
        },
    )
    users = counted(metrics["users"])
    st.caption(_("★ chosen on validation. {n} shoppers in the test window; error is foretold less happened.", n=users))
    frame.take_away(table, "spending-models")
    tenths = state.ask(screens.run_table, here, "propensity", "revenue_tenths")
    if tenths is not None:
        told = tenths.to_pandas()
        told["band"] = [f"{amount(low)} – {amount(high)}" for low, high in zip(told["low"], told["high"], strict=True)]
        frame.table(
            told,
            key="spending-tenths",
            counts=("users",),
            height=400,
            column_order=["tenth", "users", "expected", "happened", "band"],
            column_config={
                "tenth": _("Tenth, least expected first"),
                "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
                "expected": st.column_config.NumberColumn(_("Foretold, mean"), format="%.2f"),
                "happened": st.column_config.NumberColumn(_("Happened, mean"), format="%.2f"),
                "band": _("95% interval"),
            },
        )
        frame.take_away(tenths, "spending-tenths")
    downloads.csv_button(lambda: screens.run_table(here, "propensity", "revenue"), "spending", label=_("Download expected spending"))


def _interval(figure: dict[str, float]) -> str:
    return f"{number(figure['value'], 2)} [{number(figure['low'], 2)}, {number(figure['high'], 2)}]"
