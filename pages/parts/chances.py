"""The parts of the Propensity page: training, figures, reliability, gains, depth, distribution, models, reasons."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.messages import say
from core.metrics import FEWEST_RANKED
from core.pipeline import behaviour, outcomes, screens
from core.pipeline.screens import Screen
from core.schema import OPTIMIZERS
from core.small_cells import middle
from pages.parts import charts, frame, jobs, state
from pages.parts.controls import HORIZONS, acts_of
from pages.parts.text import _, chance, counted, day, listed, number, part_of, people, percent, plain, small_cells
from pages.parts.words import EVENT_WORDS, band_word, event_word, feature_word, model_word

BANDS = ("cold", "warm", "hot")
LOOK_BACKS = (45, 60, 90)
EXTRA_MODELS = ("cnn", "gru", "transformer", "lightgbm_text", "mlp_tasks")
CLEARLY = 0.01
"""By what share of its log loss a model must be better than the usual mean to stand in its place, as core's predictor has it."""
OPTIMIZER_WORDS = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD"}
"""Names of their own in every language."""


def training(here: Screen) -> None:
    """Choose act and horizon and train as a job."""
    mix = state.ask(behaviour.event_mix, here, behaviour.NO_FILTERS, screens.period_of(here, None)).table
    with st.expander(_("Train for another act or horizon"), expanded=False):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            act = st.selectbox(_("Act"), acts_of(mix["event_type"].to_pylist()), format_func=event_word, key="train-act")
            horizon = st.selectbox(
                _("Horizon"),
                [0, *HORIZONS],
                format_func=lambda d: _("{days} days", days=d) if d else _("fitting to the log"),
                key="train-horizon",
            )
            look_back = st.selectbox(
                _("Shoppers"),
                [0, *LOOK_BACKS],
                format_func=lambda d: _("seen in the last {days} days", days=d) if d else _("everyone with an event"),
                key="train-look-back",
                help=_("Only these are learned from and scored; others get no chance."),
            )
            optimizer = st.selectbox(_("Optimizer"), list(OPTIMIZERS), format_func=OPTIMIZER_WORDS.__getitem__, key="train-optimizer")
        models = st.multiselect(
            _("Further models that compete"),
            EXTRA_MODELS,
            format_func=model_word,
            key="train-models",
            placeholder=_("none"),
            select_all=False,
            help=_(
                "Those that read single acts take one to five minutes each on two processors. The one with several tasks learns other "
                "acts, shorter horizons and single categories beside the asked act."
            ),
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            revenue = st.checkbox(_("Also spending within the horizon"), value=act == "purchase", key="train-revenue")
            attributes = st.checkbox(
                _("Let models see shopper attributes"),
                key="train-attributes",
                help=_("Off: chances then never differ by age, region or other attributes alone."),
            )
            if st.button(_("Train"), type="primary", disabled=jobs.live_job(state.home()) is not None, key="train"):
                argv = ["predict", "--dataset", here.name, "--act", act, "--horizon", f"{horizon}d" if horizon else "auto"]
                argv += ["--optimizer", optimizer, *(["--look-back", str(look_back)] if look_back else [])]
                argv += [*(["--models", ",".join(models)] if models else []), *(["--attributes"] if attributes else [])]
                argv += [*(["--category", "all"] if act == "purchase" else []), *(["--revenue"] if revenue and act == "purchase" else [])]
                jobs.start(argv, say("Training the chance of {act}", act=say(EVENT_WORDS.get(act, act))))


def cards(manifest: dict[str, Any]) -> None:
    """AUC, log loss, calibration, base rate on the test window, each with interval and n."""
    metrics = manifest.get("metrics") or {}
    ours = (metrics.get("models") or {}).get("propensity") or {}
    if not ours:
        frame.gate(_("This log is too short for a test window, so nothing could be measured; the chances are a guess."))
        return
    loss, loss_note = frame.estimate(ours.get("log_loss"), number)
    area, area_note = frame.estimate(ours.get("auc"), number)
    frame.tiles(
        "chances",
        [
            (_("AUC"), area, area_note, _("Chance that a random buyer ranks above a random other; 0.5 is guessing.")),
            (
                _("Log loss"),
                loss,
                " · ".join(
                    p
                    for p in (
                        loss_note,
                        _("base rate alone {value}", value=number(metrics.get("base_log_loss"), 2 if small_cells() else 3)),
                    )
                    if p
                ),
                _("Smaller is better; natural logarithm."),
            ),
            (
                _("Calibration error"),
                percent(ours.get("calibration_error")),
                _("a perfect model shows {value} by chance", value=percent(ours.get("calibration_floor"))),
                _("Mean gap between chance and what happened, over ten bins of equal size."),
            ),
            (
                _("Base rate"),
                part_of(metrics.get("positives") or 0, metrics.get("users") or 0) if small_cells() else percent(metrics.get("base_rate")),
                _(
                    "{positives} of {users} shoppers of the test window",
                    positives=counted(metrics.get("positives")),
                    users=counted(metrics.get("users")),
                ),
                None,
            ),
        ],
    )
    windows = manifest.get("windows") or {}
    if windows.get("test"):
        st.caption(
            _(
                "Trained on {train}; calibrated on {calibrate}; judged on the window from {test}; scores as of {use}.",
                train=listed(day(t) for t in windows.get("train") or []) or "–",
                calibrate=day(windows.get("calibrate")),
                test=day(windows["test"]),
                use=day(windows.get("use")),
            )
        )


def plots(here: Screen) -> None:
    """Reliability on the test window."""
    table = state.ask(screens.run_table, here, "propensity", "reliability")
    if table is None or not table.num_rows:
        return
    frame_ = table.to_pandas()
    if "model" in frame_:
        frame_ = frame_[frame_["model"] == "propensity"]
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader(_("Foretold against happened"))
        words = {
            "x": _("mean chance foretold"),
            "y": _("share that acted"),
            "model": _("ten bins of equal size"),
            "perfect": _("perfect forecast"),
        }
        frame.chart(charts.reliability(frame_, words, state.look()), table, "reliability", _("Foretold against happened"))
    with right:
        st.subheader(_("How many of all buyers are found"))
        depth = (state.flag("depth") or 20) / 100
        lift = state.ask(screens.run_table, here, "propensity", "lift")
        if lift is not None and lift.num_rows:
            words = {
                "x": _("share of shoppers contacted"),
                "y": _("share of buyers found"),
                "model": _("by purchase chance"),
                "random": _("at random"),
            }
            frame.chart(charts.gains(lift.to_pandas(), depth, words, state.look()), lift, "gains", _("How many of all buyers are found"))


def depth_choice(here: Screen) -> None:
    """Slide how deep to go: what the test window shows there, and how many are expected now."""
    percent_taken = st.slider(_("Contact the best … percent"), 1, 100, 20, key="depth", format="%d%%")
    now = state.ask(outcomes.expected_at, here, percent_taken / 100)
    lift = state.ask(screens.run_table, here, "propensity", "lift")
    tiles = [
        (_("Shoppers contacted"), counted(now.users), _("chance of the last one {chance}", chance=plain(chance(now.smallest))), None),
        (
            _("Expected to act"),
            number(now.expected_buyers, 0),
            _("± {sd} (one standard deviation, by chance alone)", sd=number(now.sd, 0)),
            _("Sum of purchase chances, as if nobody were contacted."),
        ),
    ]
    if lift is not None and lift.num_rows:
        row = lift.to_pandas().iloc[(lift.to_pandas()["depth"] - percent_taken / 100).abs().argmin()]
        tiles += [
            (
                _("Lift in the test window"),
                f"{number(row['lift'], 2)}×",
                _("{share} of all buyers found", share=percent(row["gain"])),
                _("Share of buyers among those taken ÷ share among all."),
            ),
            (
                _("Share that acted"),
                percent(row["rate"]),
                plain(f"[{percent(row['low'])}, {percent(row['high'])}], n = {people(row['users'])}"),
                None,
            ),
        ]
    frame.tiles("depth", tiles)


def distribution(here: Screen, manifest: dict[str, Any]) -> None:
    """How chances are spread over everyone scored."""
    st.subheader(_("Spread of chances"))
    edges, counts = state.ask(outcomes.score_histogram, here)
    if here.small_cells:  # a bar of few shoppers has no height
        counts = np.array([middle(int(n), here.small_cells) or 0 for n in counts])
        st.caption(_("Bars of fewer than {k} shoppers are left out.", k=here.small_cells))
    table = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "shoppers": counts})
    base = (manifest.get("metrics") or {}).get("base_rate")
    frame.chart(
        charts.histogram(edges, counts, _("chance"), _("shoppers"), state.look(), line_at=base), table, "spread", _("Spread of chances")
    )
    if base:
        st.caption(_("The dashed line is the base rate of the test window."))


def model_table(here: Screen, manifest: dict[str, Any]) -> None:
    """All models side by side on the same test shoppers, with size and cost, and by how much is known of them."""
    metrics = manifest.get("metrics") or {}
    models = metrics.get("models") or {}
    if not models:
        return
    st.subheader(_("Models side by side"))
    st.caption(
        _(
            "The weighted mean is in use unless another model is better on validation by at least {share} of its log loss, and beyond "
            "chance: the best of one window is seldom the best of the next.",
            share=f"{CLEARLY:.0%}",
        )
    )
    card = state.ask(screens.run_record, here, "propensity", "card") or {}
    sizes, seconds = card.get("compared") or {}, card.get("seconds") or {}
    rows = []
    for name, figures in models.items():
        area, area_note = frame.estimate(figures.get("auc"), number)
        loss, loss_note = frame.estimate(figures.get("log_loss"), lambda v: number(v, 4))
        bounds = figures.get("intervals") or {}
        rows.append(
            {
                "model": model_word(name),
                "auc": f"{area} {_bare(area_note)}",
                "log_loss": f"{loss} {_bare(loss_note)}",
                "brier": _between(figures.get("brier"), bounds.get("brier"), lambda v: number(v, 4)),
                "ece": _between(figures.get("calibration_error"), bounds.get("calibration_error"), percent),
                "precision": _between(figures.get("average_precision"), bounds.get("average_precision"), number),
                "expected": figures.get("expected"),
                "happened": counted(figures.get("happened")) if here.small_cells else figures.get("happened"),
                "parameters": (sizes.get(name) or {}).get("parameters"),
                "seconds": seconds.get(name),
            }
        )
    table = pd.DataFrame(rows)
    frame.table(
        table,
        key="models",
        column_order=[name for name in table if name not in ("parameters", "seconds") or table[name].notna().any()],
        column_config={
            "model": _("Model"),
            "auc": _("AUC [95%]"),
            "log_loss": _("Log loss [95%]"),
            "brier": _("Brier [95%]"),
            "ece": _("Calibration error [95%]"),
            "precision": _("PR-AUC [95%]"),
            "expected": st.column_config.NumberColumn(_("Expected to act"), format="%.0f"),
            "happened": _("Acted") if here.small_cells else st.column_config.NumberColumn(_("Acted"), format="localized"),
            "parameters": st.column_config.NumberColumn(_("Parameters"), format="localized"),
            "seconds": st.column_config.NumberColumn(_("CPU seconds"), format="%.1f"),
        },
    )
    frame.take_away(table, "models")
    if bands := metrics.get("bands"):
        shown = pd.DataFrame([{"band": band_word(name), **_of_band(figures)} for name in BANDS if (figures := bands.get(name))])
        frame.table(
            shown,
            key="bands",
            counts=("users", "positives"),
            column_order=["band", "users", "positives", "auc", "log_loss", "base_log_loss"],
            column_config={
                "band": _("Known of the shopper"),
                "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
                "positives": st.column_config.NumberColumn(_("Acted"), format="localized"),
                "auc": _("AUC [95%]"),
                "log_loss": _("Log loss [95%]"),
                "base_log_loss": st.column_config.NumberColumn(_("Log loss of the base rate"), format="%.4f"),
            },
        )
        if any(_too_few(figures) for figures in bands.values()):
            st.caption(_("No AUC is told where fewer than {n} shoppers acted, or fewer did not.", n=FEWEST_RANKED))


def why(here: Screen) -> None:
    """Which features stand most often among the reasons."""
    table: pd.DataFrame = state.ask(outcomes.top_reasons, here)
    if not len(table):
        return
    st.subheader(_("What moves the chances most often"))
    top = table.head(12)
    rows = top.to_dict("records")
    shown = [f"{people(row['users'])} · {_('raises') if row['mean_contribution'] > 0 else _('lowers')}" for row in rows]
    colours = [charts.PALETTE[0] if row["mean_contribution"] > 0 else charts.PALETTE[1] for row in rows]
    figure = charts.bars(
        [feature_word(row["feature"]) for row in rows],
        [0 if pd.isna(row["users"]) else row["users"] for row in rows],
        shown,
        _("shoppers for whom it is among the first reasons"),
        state.look(),
        colours=colours,
        wide=True,
    )
    frame.chart(figure, table, "reasons", _("What moves the chances most often"))


def _too_few(figures: dict[str, Any]) -> bool:
    return min(figures["positives"], figures["users"] - figures["positives"]) < FEWEST_RANKED


def _of_band(figures: dict[str, Any]) -> dict[str, Any]:
    """A band as the table shows it: figures with their intervals, and no AUC of too few."""
    told = _hidden(figures)
    area, loss = told.get("auc"), told.get("log_loss")
    few = min(figures["positives"], figures["users"] - figures["positives"])
    return {
        **told,
        "auc": f"– (n = {counted(few)})" if _too_few(figures) else _with_interval(area, 3),
        "log_loss": _with_interval(loss, 4),
    }


def _with_interval(value: Any, decimals: int) -> str:
    """A figure and its interval, [low, high], where the run knows one."""
    shown, note = frame.estimate(value, lambda v: number(v, decimals))
    return f"{shown} {_bare(note)}".rstrip()


def _between(value: float | None, bounds: list[float] | None, form: Callable[[float | None], str]) -> str:
    """A figure and the interval that stands beside it in the record; runs of earlier releases have none."""
    return f"{form(value)} [{form(bounds[0])}, {form(bounds[1])}]" if bounds else form(value)


def _hidden(figures: dict[str, Any]) -> dict[str, Any]:
    """A band of shoppers as it may be shown: of few of them, or of few who acted, no figure is told."""
    k = small_cells()
    if not k:
        return figures
    told = {name: middle(figures[name], k) for name in ("users", "positives")}
    if figures.get("base_log_loss") is not None:
        figures = {**figures, "base_log_loss": round(figures["base_log_loss"], 2)}
    return {name: told.get(name) if None in told.values() or name in told else value for name, value in figures.items()}


def _bare(note: str | None) -> str:
    return (note or "").replace("\\", "").split("], ")[0].rstrip("]") + ("]" if note and "[" in note else "")
