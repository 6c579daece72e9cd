"""A part of the Propensity page: what earlier chances would have foretold, window by window, beside what happened."""

from typing import Any

import pandas as pd
import streamlit as st

from core.messages import say
from core.pipeline import screens
from core.pipeline.screens import Screen
from pages.parts import charts, frame, jobs, state
from pages.parts.text import _, counted, day, interval, number, percent, plain, whole
from pages.parts.words import event_word, model_word


def past_windows(here: Screen, manifest: dict[str, Any]) -> None:
    """Draw the back-test of the act and horizon on screen, or the button that makes it."""
    st.subheader(_("Foretold and happened through time"))
    config = manifest.get("config") or {}
    asked = (config.get("act", "purchase"), config.get("horizon_hours"))
    record: dict[str, Any] | None = state.ask(screens.run_manifest, here, "backtest")
    made = (record or {}).get("config") or {}
    fits = record is not None and (made.get("act"), made.get("horizon_hours")) == asked and record["inputs"].get("version") == here.version
    if not fits:
        st.caption(
            _(
                "Every past window is judged by a model that learned only from the windows before it: up to 24 trainings, "
                "some minutes on two processors."
            )
        )
        argv = [
            "backtest",
            "--dataset",
            here.name,
            "--act",
            str(asked[0]),
            "--horizon",
            f"{float(asked[1] or 0):g}h" if asked[1] else "auto",
        ]
        if st.button(_("Judge past windows"), key="backtest-start", disabled=jobs.live_job(state.home()) is not None):
            jobs.start(argv, say("Judging past windows of {name}", name=here.name))
        if record is None:
            return
    _drawn(here, record or {})


def _drawn(here: Screen, record: dict[str, Any]) -> None:
    rows: pd.DataFrame = state.ask(screens.run_table, here, "backtest", "backtest").to_pandas()
    metrics = record.get("metrics") or {}
    area, gain = metrics.get("auc") or {}, metrics.get("log_loss_gain") or {}
    days = float((record.get("config") or {}).get("horizon_hours", 0)) / 24
    st.markdown(
        _(
            "Over {windows} windows of {days:g} days, {expected} times a shopper was foretold to do the act {act}, and "
            "{happened} times one did. "
            "In {within} of the windows the sum lay within the range of pure chance; on average it was {off} off.",
            windows=whole(metrics.get("windows")),
            days=days,
            expected=counted(metrics.get("expected")),
            happened=counted(metrics.get("happened")),
            act=event_word(record.get("act", "purchase")),
            within=percent(metrics.get("within"), 0),
            off=percent(metrics.get("off")),
        )
    )
    words = {
        "expected": _("foretold"),
        "happened": _("happened"),
        "band": _("range of pure chance (95%)"),
        "y": _("shoppers who act"),
    }
    frame.chart(charts.backtest(rows, words, state.look()), rows, "backtest", _("Foretold and happened through time"))
    st.caption(
        _(
            "Each window: {model} of {members} members, learned from the {train} windows before it and not calibrated; cheaper than the "
            "chance on screen. AUC {auc} {auc_range}; log loss better than the window's own base rate by {gain} {gain_range}; "
            "both are means over windows, with intervals by Student's t over the windows.",
            model=model_word(record.get("predictor", "–")),
            members=record.get("members", "–"),
            train=record.get("train_windows", "–"),
            auc=number(area.get("value")),
            auc_range=plain(interval(area.get("low"), area.get("high"))),
            gain=number(gain.get("value")),
            gain_range=plain(interval(gain.get("low"), gain.get("high"))),
        )
    )
    _table(here, rows)
    frame.notes(record.get("warnings", []))


def _table(here: Screen, rows: pd.DataFrame) -> None:
    shown = pd.DataFrame(
        {
            "from": [day(cutoff.to_pydatetime()) for cutoff in rows["cutoff"]],
            "users": rows["users"],
            "expected": ["–" if pd.isna(e) else f"{e:,.0f} ± {sd:,.0f}" for e, sd in zip(rows["expected"], rows["sd"], strict=True)],
            "happened": rows["happened"],
            "auc": [_with(*values) for values in rows[["auc", "auc_low", "auc_high"]].to_numpy()],
            "log_loss": [_with(*values) for values in rows[["log_loss", "log_loss_low", "log_loss_high"]].to_numpy()],
            "base": rows["base_log_loss"],
            "ece": rows["calibration_error"],
        }
    )
    with st.expander(_("Each window")):
        frame.table(
            shown,
            key="backtest",
            counts=("users", "happened"),
            column_config={
                "from": _("From"),
                "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
                "expected": _("Expected to act"),
                "happened": st.column_config.NumberColumn(_("Acted"), format="localized"),
                "auc": _("AUC [95%]"),
                "log_loss": _("Log loss [95%]"),
                "base": st.column_config.NumberColumn(_("Log loss of the base rate"), format="%.3f"),
                "ece": st.column_config.NumberColumn(_("Calibration error"), format="percent"),
            },
        )


def _with(value: float, low: float, high: float) -> str:
    return "–" if pd.isna(value) else f"{number(value)} {interval(low, high)}"
