"""Two sets of shoppers side by side: their figures with intervals, and the traits that tell them apart."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.pipeline import comparing
from core.pipeline.comparing import Comparison
from core.pipeline.map_cells import told_comparison
from core.pipeline.places import Chosen, Places
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.atlas.levels import Levels
from pages.parts.text import _, amount, chance, number, percent, plain, said, small_cells, whole
from pages.parts.traits import trait_word

MEASURE_WORDS = {
    "buyer_rate": "Conversion",
    "propensity": "Mean purchase chance",
    "orders": "Orders per shopper",
    "revenue": "Revenue per shopper",
    "events": "Events per shopper",
    "recency_days": "Days since the last event, mean",
    "price": "Usual price, mean",
}
FORMS: dict[str, Callable[[float | None], str]] = {"buyer_rate": percent, "propensity": chance, "revenue": amount, "price": amount}
MOST_TRAITS = 8
SELECTION, OTHERS = ("selection", 0), ("others", 0)
SIDE_WORDS = {SELECTION: "Selection on the map", OTHERS: "All others"}


def compare_sides(here: Screen, everyone: Places, levels: Levels, selected: Chosen | None) -> None:
    """Choose two sides, segments of either level or the selection, and show them beside each other."""
    known = state.ask(comparing.known, here)
    if known is None or len(levels.fine) < 2:
        return
    st.subheader(_("Compare two sides"))
    names = {SELECTION: _(SIDE_WORDS[SELECTION])} if selected is not None else {}
    names |= levels.options()
    options = list(names)
    left, right = st.columns(2, gap="large")
    one = left.selectbox(_("Left side"), options, format_func=names.__getitem__, key="compare-left")
    others = [*(option for option in options if option != one), OTHERS]
    names[OTHERS] = _(SIDE_WORDS[OTHERS])
    two = right.selectbox(_("Right side"), others, format_func=names.__getitem__, key="compare-right")
    first = _members(everyone, one, selected)
    second = ~first if two == OTHERS else _members(everyone, two, selected)
    show_comparison(comparing.compare(everyone, known, first, second), names[one], names[two], "compare")


def show_comparison(comparison: Comparison, left: str, right: str, key: str) -> None:
    """Draw the figures of both sides with intervals and the traits that differ."""
    try:
        comparison = told_comparison(comparison, small_cells())
    except CoreError as error:
        st.caption(plain(said(error)))
        return
    if comparison.in_both:
        st.caption(_("{n} shoppers are on both sides; they count on the left only.", n=whole(comparison.in_both)))
    if not comparison.left or not comparison.right:
        st.caption(_("One side is empty, so there is nothing to compare."))
        return
    _figures(comparison, left, right, key)
    _traits(comparison, left, right, key)


def _members(everyone: Places, side: tuple[str, int], selected: Chosen | None) -> Chosen:
    kind, number_of = side
    if side == SELECTION and selected is not None:
        return selected
    members: Chosen = (everyone.fine_ids if kind == "fine" else everyone.segment_ids) == number_of
    return members


def _figures(comparison: Comparison, left: str, right: str, key: str) -> None:
    rows = [
        {
            "measure": _("Shoppers"),
            "left": whole(comparison.left),
            "right": whole(comparison.right),
            "difference": "",
        }
    ]
    for row in comparison.figures.to_dict("records"):
        form = FORMS.get(row["measure"], lambda value: number(value, 2 if abs(value or 0) < 100 else 1))
        is_share = form in (percent, chance)
        gap = _hundredths if is_share else form
        told = [_signed(row[name], gap) for name in ("difference", "difference_low", "difference_high")]
        apart = f"{told[0]} [{told[1]}, {told[2]}]"
        clear = row["difference_low"] > 0 or row["difference_high"] < 0
        rows.append(
            {
                "measure": _(MEASURE_WORDS[row["measure"]]),
                "left": f"{form(row['left'])} [{form(row['left_low'])}, {form(row['left_high'])}]",
                "right": f"{form(row['right'])} [{form(row['right_low'])}, {form(row['right_high'])}]",
                "difference": (_("{points} points", points=apart) if is_share else apart) + ("" if clear else f" {_('(not clear)')}"),
            }
        )
    frame.table(
        pd.DataFrame(rows),
        key=f"figures-{key}",
        column_config={
            "measure": _("Figure"),
            "left": st.column_config.TextColumn(plain_header(left), help=_("with 95% interval")),
            "right": st.column_config.TextColumn(plain_header(right), help=_("with 95% interval")),
            "difference": _("Difference"),
        },
    )
    frame.take_away(comparison.figures, f"figures-{key}")


def _traits(comparison: Comparison, left: str, right: str, key: str) -> None:
    of_left, of_right = comparing.sides(comparison, MOST_TRAITS)
    shown = [*of_left, *reversed(of_right)]
    if not shown:
        st.caption(_("No trait tells the two sides apart beyond chance."))
        return
    words = [trait_word(row["kind"], row["code"], row["words"]) for row in shown]
    notes = [
        _(
            "{ratio:.1f}× [{low:.1f}, {high:.1f}], n = {left:,} and {right:,}",
            ratio=row["ratio"],
            low=row["low"],
            high=row["high"],
            left=row["left_n"],
            right=row["right_n"],
        )
        for row in shown
    ]
    figure = charts.contrast(
        words, [row["left_share"] for row in shown], [row["right_share"] for row in shown], notes, (left, right),
        _("share of the side's shoppers"), state.look(),
    )  # fmt: skip
    st.plotly_chart(
        figure,
        theme=None,
        config=frame.picture_config("contrast"),
        key=f"chart-contrast-{key}",
        alt=_("Traits that tell the two sides apart"),
    )
    st.caption(_("Each trait is judged on its own at 95%: of a hundred that differ in nothing, a few seem to."))
    found = comparison.traits
    frame.take_away(
        found.assign(trait=[trait_word(k, c, w) for k, c, w in zip(found["kind"], found["code"], found["words"], strict=True)]).drop(
            columns="words"
        ),
        f"contrast-{key}",
    )


def plain_header(name: str) -> str:
    """A name as the heading of a column: short."""
    return name if len(name) <= 40 else f"{name[:39]}…"


def _hundredths(value: float | None) -> str:
    """A difference of two shares in percentage points."""
    return number(None if value is None else 100 * value, 1)


def _signed(value: float, form: Callable[[float | None], str]) -> str:
    shown = form(abs(value))
    return shown if value == 0 or shown == "–" else ("+" if value > 0 else "−") + shown
