"""A part of the Propensity page: what a campaign changed, or, where nobody wrote down who was treated, what to log."""

from typing import Any

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.messages import say
from core.pipeline import screens, treatments
from core.pipeline.screens import Screen
from pages.parts import charts, downloads, frame, jobs, state
from pages.parts.text import _, counted, number, percent, plain, said
from pages.parts.words import event_word, feature_word

GAPS_SHOWN = 12
ALIKE = 0.1
"""Standard deviations up to which a feature counts as alike."""
HORIZONS = (7, 14, 28, 56)


def campaign_effect(here: Screen) -> None:
    """Draw the measured effect of a campaign, or say what has to be logged for one to be measured."""
    st.subheader(_("What a campaign changed"))
    record: dict[str, Any] | None = state.ask(screens.run_manifest, here, "uplift")
    if record is None:
        _what_to_log()
        _measure(here)
        return
    config = record["config"]
    st.caption(
        _(
            "Campaign {campaign} from {start} on; {act} within {days:g} days; {treated} treated shoppers against {others} others.",
            campaign=plain(config.get("campaign") or config["treatment"]),
            start=plain(str(config["start"])[:10]),
            act=_act_word(record["act"]),
            days=config["horizon_hours"] / 24,
            treated=counted(record["treated"]),
            others=counted(record["users"] - record["treated"]),
        )
    )
    for place, sentence in enumerate(record["sentences"]):
        (st.warning if place == 0 and not record["balanced"] else st.markdown)(plain(said(sentence)))
    _tiles(record)
    _pictures(here, record)
    _tenths(here, record)
    frame.notes(record["warnings"])
    downloads.csv_button(
        lambda: screens.run_table(here, "uplift", "shoppers"), "uplift", label=_("Download the effect of every shopper"), key="uplift-file"
    )
    with st.expander(_("Measure another campaign")):
        _what_to_log()
        _measure(here)


def _what_to_log() -> None:
    st.markdown(
        _(
            "A purchase chance says who buys, not whom an advertisement makes buy. To measure that, log for each shopper whether she was "
            "treated, and draw by lot who is not: a share of 10% kept out at random is enough."
        )
    )
    st.markdown(
        "\n".join(
            "- " + line
            for line in (
                _("`user_id`: the same ids as in the log, one row for each shopper and campaign."),
                _("`treated`: 1 or 0. Rows with 0 are those kept out on purpose; without the column all other shoppers are compared."),
                _("`campaign_id` and `start`: which campaign, and when it began; or a second file with `campaign_id` and `start_date`."),
            )
        )
    )


def _measure(here: Screen) -> None:
    with st.container(horizontal=True):
        people = st.file_uploader(_("Who was treated (CSV or Parquet)"), type=["csv", "parquet"], key="uplift-people")
        dates = st.file_uploader(_("When campaigns began (may be left out)"), type=["csv", "parquet"], key="uplift-dates")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        campaign = st.text_input(_("Campaign (where there are several)"), max_chars=60, key="uplift-campaign").strip()
        start = st.text_input(_("Start (where no file says it)"), placeholder="2017-05-08", max_chars=25, key="uplift-start").strip()
        act = st.selectbox(_("What may have changed"), treatments.OUTCOMES, format_func=_act_word, key="uplift-act")
        days = st.selectbox(_("Within days"), HORIZONS, index=2, key="uplift-days")
    busy = jobs.live_job(state.home()) is not None
    if st.button(_("Measure the effect"), key="uplift-start-job", disabled=busy or people is None) and people is not None:
        try:
            argv = ["uplift", "--dataset", here.name, "--act", act, "--horizon", f"{days}d"]
            argv += ["--treatment", str(treatments.keep_treatment(here, "treatment", people.name, people.getvalue()))]
            if dates is not None:
                argv += ["--campaigns", str(treatments.keep_treatment(here, "campaigns", dates.name, dates.getvalue()))]
        except CoreError as error:
            st.error(plain(said(error)))
            return
        argv += [f"--campaign={campaign}"] if campaign else []
        argv += [f"--start={start}"] if start else []
        jobs.start(argv, say("Measuring a campaign in {name}", name=here.name))


def _tiles(record: dict[str, Any]) -> None:
    metrics, act = record["metrics"], record["act"]
    past = metrics.get("past")
    frame.tiles(
        "uplift",
        [
            (
                _("Effect for each shopper"),
                _signed(metrics["effect"]["value"], act),
                _range(metrics["effect"], act),
                _("Adjusted for what was known of both groups before the start (doubly robust, cross-fitted)."),
            ),
            (_("Plain difference"), _signed(metrics["plain"]["value"], act), _range(metrics["plain"], act), None),
            (
                _("Effect before the start"),
                _signed(past["value"], act) if past else "–",
                _range(past, act) if past else None,
                _("A placebo: the same comparison one horizon earlier. Where it is not zero, the groups are unlike."),
            ),
            (
                _("Qini"),
                _signed(metrics["x qini"]["value"], act),
                _range(metrics["x qini"], act),
                _(
                    "Area between the curve and contacting by lot, X-learner; {n} of {all} shuffled treatments do as well. "
                    "T-learner: {other}.",
                    n=record["as_large"],
                    all=record["shuffles"],
                    other=f"{_signed(metrics['t qini']['value'], act)} {_range(metrics['t qini'], act)}",
                ),
            ),
        ],
    )
    st.caption(
        _(
            "AUUC {auuc} {range}. Features of before the start tell the groups apart with an AUC of {auc} [{low}, {high}]; {outside} of "
            "the shoppers have hardly anybody alike in the other group.",
            auuc=_signed(metrics["x auuc"]["value"], act),
            range=_range(metrics["x auuc"], act),
            auc=number(metrics["told_apart"]["value"]),
            low=number(metrics["told_apart"]["low"]),
            high=number(metrics["told_apart"]["high"]),
            outside=percent(record["outside"]),
        )
    )


def _pictures(here: Screen, record: dict[str, Any]) -> None:
    curve: pd.DataFrame = state.ask(screens.run_table, here, "uplift", "curve").to_pandas()
    words = {
        "x": _("share of shoppers contacted, those who gain most first"),
        "y": _("more for each shopper of all"),
        "model": _("by foretold gain"),
        "band": _("95% interval"),
        "random": _("by lot"),
    }
    form = "+,.2f" if record["act"] == "revenue" else "+.2%"
    frame.chart(charts.uplift_curve(curve, words, form, state.look()), curve, "uplift-curve", _("What a campaign changed"))
    balance: pd.DataFrame = state.ask(screens.run_table, here, "uplift", "balance").to_pandas()
    shown = balance.head(GAPS_SHOWN)
    names = {"x": _("difference, standard deviations"), "plain": _("as they are"), "weighed": _("after weighing")}
    st.markdown(_("**Were the groups alike before?**"))
    figure = charts.gaps(
        [feature_word(name) for name in shown["feature"]],
        list(shown["difference"]),
        list(shown["weighed"]),
        ALIKE,
        names,
        state.look(),
    )
    frame.chart(figure, balance, "uplift-balance", _("Were the groups alike before?"))
    both: pd.DataFrame = state.ask(screens.run_table, here, "uplift", "overlap").to_pandas()
    names = {
        "x": _("chance of being treated, by what was known before"),
        "y": _("share of the group"),
        "treated": _("treated"),
        "others": _("others"),
    }
    st.markdown(_("**Has everybody somebody to be compared with?**"))
    frame.chart(charts.two_groups(both, names, state.look()), both, "uplift-overlap", _("Has everybody somebody to be compared with?"))


def _tenths(here: Screen, record: dict[str, Any]) -> None:
    table: pd.DataFrame = state.ask(screens.run_table, here, "uplift", "tenths").to_pandas()
    act = record["act"]
    shown = pd.DataFrame(
        {
            "part": table["part"],
            "users": table["users"],
            "treated": table["treated"],
            "foretold": [_signed(value, act) for value in table["foretold"]],
            "effect": [f"{_signed(row.effect, act)} {_bounds({'low': row.low, 'high': row.high}, act)}" for row in table.itertuples()],
            "outcome_treated": [_level(value, act) for value in table["outcome_treated"]],
            "outcome_others": [_level(value, act) for value in table["outcome_others"]],
        }
    )
    st.markdown(_("**Effect by foretold gain, the largest first**"))
    frame.table(
        shown,
        key="uplift-tenths",
        counts=("users", "treated"),
        height=420,
        column_config={
            "part": _("Part"),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "treated": st.column_config.NumberColumn(_("Treated"), format="localized"),
            "foretold": _("Foretold gain"),
            "effect": _("Measured effect [95%]"),
            "outcome_treated": _("Outcome of the treated"),
            "outcome_others": _("Outcome of the others"),
        },
    )


def _act_word(act: str) -> str:
    return _("spending") if act == "revenue" else event_word(act)


def _signed(value: float | None, act: str) -> str:
    if value is None or pd.isna(value):
        return "–"
    return f"{value:+,.2f}" if act == "revenue" else _("{value} points", value=f"{100 * value:+.2f}")


def _range(found: dict[str, Any], act: str) -> str:
    return plain(_bounds(found, act))


def _bounds(found: dict[str, Any], act: str) -> str:
    low, high = found["low"], found["high"]
    return f"[{low:+,.2f}, {high:+,.2f}]" if act == "revenue" else f"[{100 * low:+.2f}, {100 * high:+.2f}]"


def _level(value: float, act: str) -> str:
    return "–" if pd.isna(value) else f"{value:,.2f}" if act == "revenue" else percent(value)
