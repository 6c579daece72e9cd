"""The parts of the Models page that draw runs as records: all of them, one, and two side by side."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import streamlit as st

from core.errors import CoreError
from core.pipeline import model_room, runs
from core.pipeline.model_room import Comparison, Figure, RunFacts
from core.pipeline.screens import Screen
from core.store import Home
from pages.parts import charts, frame, state
from pages.parts.encoder_card import BLOCK_WORDS
from pages.parts.text import _, as_told, counted, duration, interval, listed, minute, number, plain, said, whole
from pages.parts.words import EVENT_WORDS, MODEL_WORDS, event_word, model_word

RUN_KIND_WORDS = {
    "profiles": "profiles",
    "atlas": "map",
    "propensity": "purchase chances",
    "recommendations": "recommendations",
    "blocks": "measured blocks",
    "tuning": "tuned text models",
    "compression": "smaller text models",
    "transfer": "lessons of another log",
    "backtest": "back-test",
    "learning": "learning from few labels",
    "answers": "answers to a question",
    "explanations": "what chances rest on",
    "uplift": "effect of a campaign",
    "robustness": "chances from a worse log",
}
SETTING_WORDS = {
    "act": "Act",
    "attributes": "Attributes of shoppers",
    "blocks": "Blocks",
    "campaign": "Campaign",
    "campaigns": "File of campaigns",
    "category": "Category",
    "commit": "Commit",
    "core": "Release",
    "cutoff": "Cutoff",
    "demographics": "Demographics",
    "device": "Device",
    "epochs": "Epochs",
    "groups": "By group",
    "half_life": "Half-life, days",
    "horizon_hours": "Horizon, hours",
    "input profiles": "Profiles",
    "input version": "Data",
    "keep": "Weights kept",
    "labels": "Labels",
    "k": "Length of a list",
    "look_back_days": "Seen in the last days",
    "memory": "Memory, segments",
    "model": "Text model",
    "models": "Further models",
    "new_only": "New items only",
    "optimizer": "Optimizer",
    "picture_model": "Picture model",
    "pictures": "Folder of pictures",
    "precision": "Precision",
    "predictor": "Model",
    "question": "Question",
    "rank": "Rank",
    "retrain": "New acts that train anew, share",
    "revenue": "Spending",
    "seed": "Seed",
    "segments": "Segments",
    "shoppers": "Shoppers",
    "source": "Source",
    "source_cutoff": "Cutoff of the other log",
    "start": "Start",
    "texts": "Texts",
    "tokens": "Tokens",
    "treatment": "File of who was treated",
    "user_facts": "Facts of shoppers",
    "windows": "Windows",
}
"""Settings of runs, as they are shown."""
FIGURE_WORDS = {
    "category macro_auc": "AUC by category",
    "category macro_auc_new": "AUC by category, new ones",
    "category log_loss": "Log loss by category",
    "category log_loss_new": "Log loss by category, new ones",
    "auc": "AUC",
    "average_precision": "PR-AUC",
    "log_loss": "Log loss",
    "brier": "Brier",
    "calibration_error": "Calibration error",
    "stability": "stability",
    "stability_resamples": "resamples behind the stability",
    "neighbour_recall": "neighbours kept on the map, share",
    "drawn_users": "shoppers drawn",
    "placed_users": "shoppers placed afterwards",
    "sought_users": "shoppers whose neighbours were sought",
    "drawn_trustworthiness": "trustworthiness among those drawn",
    "moved": "shoppers that moved, share",
    "segments": "segments found",
    "segments_asked": "segments asked for",
    "subsegments": "fine segments",
    "users": "shoppers in all",
    "silhouette": "silhouette",
    "trustworthiness": "trustworthiness",
    "neighbours": "Same ten nearest texts",
    "expected": "Expected to act",
    "happened": "Acted",
    "log_loss_gain": "log loss gained over the base rate",
    "off": "mean deviation of the sum",
    "within": "share of windows within pure chance",
    "windows": "windows",
    "counts few": "AUC of counts, fewest labels",
    "counts all": "AUC of counts, all labels",
    "profiles few": "AUC of profiles, fewest labels",
    "profiles all": "AUC of profiles, all labels",
    "both few": "AUC of counts and profiles, fewest labels",
    "both all": "AUC of counts and profiles, all labels",
    "lightgbm few": "AUC of LightGBM, fewest labels",
    "lightgbm all": "AUC of LightGBM, all labels",
    "effect": "effect, adjusted",
    "plain": "plain difference",
    "past": "effect before the start",
    "told_apart": "AUC of treated against others",
    "t auuc": "AUUC of the T-learner",
    "t qini": "Qini of the T-learner",
    "x auuc": "AUUC of the X-learner",
    "x qini": "Qini of the X-learner",
    "auc sound": "AUC of the log as it is",
    "auc lost drop": "AUC lost when half of the events are lost",
    "auc lost jitter": "AUC lost when times move by a week",
    "auc lost swap": "AUC lost when half of the items are other ones",
}


def run_table(here: Screen, found_runs: list[RunFacts]) -> None:
    """Draw every run with its settings and costs, and what changed since the one before of its kind."""
    st.subheader(_("Runs"))
    st.caption(_("A run never changes once it is published: it keeps its settings, figures, costs, data and code."))
    found = runs.runs(here)
    records = {run.run: run for run in found_runs}
    known = [records.get(run_id) for run_id in found["run"]]
    shown = found.assign(
        kind=[_kind(kind) for kind in found["kind"]],
        made=[minute(made, here.zone) for made in found["made"]],
        figure=[f"{_figure_name(run.figures[0].name)} {_figure(run.figures[0])}" if run and run.figures else "–" for run in known],
        took=[duration(seconds) for seconds in found["seconds"]],
        cpu=[run.cpu_seconds if run else None for run in known],
        memory=[run.peak_mb if run else None for run in known],
        parameters=[run.parameters if run else None for run in known],
        changed=runs.changed(found, _setting_name, _setting),
        config=[_settings(json.loads(config)) for config in found["config"]],
    )
    frame.table(
        shown,
        key="runs",
        height=320,
        column_order=[
            "current",
            "kind",
            "run",
            "made",
            "version",
            "cutoff",
            "figure",
            "took",
            "cpu",
            "memory",
            "parameters",
            "changed",
            "config",
        ],
        column_config={
            "current": st.column_config.CheckboxColumn(_("Shown"), width=60),
            "kind": _("Result"),
            "run": _("Run"),
            "made": _("Made"),
            "version": _("Data"),
            "cutoff": _("Cutoff"),
            "figure": _("Figure [95%]"),
            "took": st.column_config.TextColumn(_("Took"), help=_("Wall-clock time of the stage")),
            "cpu": st.column_config.NumberColumn(_("CPU seconds"), format="localized"),
            "memory": st.column_config.NumberColumn(
                _("Memory, MB"),
                format="localized",
                help=_("Largest of the process until then; a chain of stages shares one process."),
            ),
            "parameters": st.column_config.NumberColumn(_("Parameters"), format="localized"),
            "changed": st.column_config.TextColumn(_("Settings changed since the run before"), width="medium"),
            "config": st.column_config.TextColumn(_("Settings"), width="medium"),
        },
    )
    frame.take_away(found, "runs")


def one_run(here: Screen, found: list[RunFacts]) -> None:
    """Draw one run as a record, and let it be put on screen."""
    if not found:
        return
    st.subheader(_("One run"))
    by_id = {run.run: run for run in found}
    chosen = by_id[st.selectbox(_("Run"), list(by_id), format_func=lambda r: _named(by_id[r], here.zone), key="room-run")]
    left, right = st.columns(2, gap="large")
    with left:
        frame.table(
            pd.DataFrame(_facts(chosen, here.zone), columns=["fact", "value"]),
            key="run-facts",
            column_config={"fact": _("Fact"), "value": st.column_config.TextColumn(_("Value"), width="large")},
        )
    with right:
        rows = pd.DataFrame([{"figure": _figure_name(f.name), "value": _figure(f), "n": as_told(f.n)} for f in chosen.figures])
        if len(rows):
            config = {"figure": _("Figure"), "value": _("Value [95%]"), "n": st.column_config.NumberColumn("n", format="localized")}
            frame.table(rows, key="run-figures", column_config=config, counts=("n",))
        _choose(here, chosen)
    _curves(here, chosen)
    st.caption(
        _("Makes it again from the same data; all but the seconds it took has the same bytes (`runs reproduce` compares):")
        if chosen.not_again is None
        else _("The command that made it:") + " " + plain(said(chosen.not_again))
    )
    st.code(chosen.command, language="bash", wrap_lines=True)
    if chosen.events:
        st.caption(_("Curves and figures for TensorBoard, all runs side by side (`pip install tensorboard` first):"))
        st.code(f"tensorboard --logdir {Path(chosen.events).parents[1]}", language="bash")


def two_runs(here: Screen, found_runs: list[RunFacts]) -> None:
    """Draw two runs of a kind side by side, where there are two."""
    by_kind: dict[str, list[RunFacts]] = {}
    for run in found_runs:
        by_kind.setdefault(run.kind, []).append(run)
    kinds = [kind for kind, found in by_kind.items() if len(found) > 1]
    if not kinds:
        return
    st.subheader(_("Two runs side by side"))
    with st.container(horizontal=True):
        kind = st.selectbox(_("Result"), kinds, format_func=_kind, key="room-kind")
        names = {run.run: _named(run, here.zone) for run in by_kind[kind]}
        one = st.selectbox(_("Run"), list(names), format_func=names.__getitem__, key=f"room-one-{kind}")
        other = st.selectbox(_("Against"), list(names), index=1, format_func=names.__getitem__, key=f"room-other-{kind}")
    try:
        found = model_room.compare(here.dataset, one, other)
    except CoreError as error:
        st.error(plain(said(error)))
        return
    _difference(found)
    left, right = st.columns(2, gap="large")
    with left:
        settings = pd.DataFrame(
            [
                {"name": _setting_name(row["name"]), **{side: _setting(row[side]) for side in ("one", "other")}}
                for row in found.settings
                if row["differs"]
            ],
            columns=["name", "one", "other"],
        )
        if len(settings):
            frame.table(settings, key="room-settings", column_config={"name": _("Setting"), "one": one, "other": other})
        else:
            st.caption(_("All settings, the data and the code are the same."))
    with right:
        rows = pd.DataFrame(
            [{"figure": _figure_name(row["name"]), **{side: _figure(row[side]) for side in ("one", "other")}} for row in found.figures]
        )
        if len(rows):
            frame.table(rows, key="room-figures", column_config={"figure": _("Figure"), "one": one, "other": other})


def _curves(here: Screen, run: RunFacts) -> None:
    """Draw how the networks of a run learned, where it has any."""
    found: pd.DataFrame = state.ask(model_room.curves, here, run.run)
    if not len(found):
        return
    names = sorted(found["model"].unique())
    chosen = st.selectbox(_("Learning curves of the networks"), names, format_func=model_word, key=f"room-curves-{run.run}")
    part = found[found["model"] == chosen]
    best = part.loc[part.groupby("member")["validation"].idxmin()]
    words = {"train": _("training"), "validation": _("validation"), "best": _("best epoch, kept"), "x": _("epoch"), "y": _("log loss")}
    frame.chart(charts.learning(part, best, words, state.look()), part, "room-curves", _("Learning curves of the networks"))


def _difference(found: Comparison) -> None:
    if found.paired is None:
        st.caption(plain(said(found.why_unpaired or "")))
        return
    for figure in found.paired.figures:
        told = {"figure": _figure_name(figure.name), "difference": _signed(figure), "n": counted(figure.n)}
        low, high = figure.low or 0.0, figure.high or 0.0
        better = high < 0 if figure.name != "auc" else low > 0
        worse = low > 0 if figure.name != "auc" else high < 0
        words = _("the first is better") if better else _("the second is better") if worse else _("neither is better within its interval")
        st.markdown(
            "- " + plain(_("{figure}, first minus second: {difference}; {words} (n = {n} shoppers in common).", words=words, **told))
        )


def _choose(here: Screen, run: RunFacts) -> None:
    home = Home(here.home)
    with st.container(horizontal=True):
        fits = model_room.can_be_used(here.version, run)
        if st.button(_("Put on screen"), key="room-use", disabled=run.current or not fits):
            _done(lambda: model_room.use(home, here.dataset, run.run))
        if st.button(_("Back to the one before"), key="room-back", disabled=not here.dataset.runs_before(run.kind)):
            _done(lambda: model_room.roll_back(home, here.dataset, run.kind))
    if not fits:
        why = _("It was made from {made}; {version} is on screen.", made=plain(run.version or "–"), version=plain(here.version))
        if run.version == here.version:
            why = (
                _("It was made as of a cutoff; only runs of the whole log stand on screen.")
                if run.cutoff
                else _("It holds the chance in category “{category}” alone; pages speak of all.", category=plain(run.category or ""))
            )
        st.caption(why)


def _done(act: Callable[[], RunFacts]) -> None:
    try:
        run = act()
    except CoreError as error:
        st.error(plain(said(error)))
        return
    st.toast(_("{run} is on screen.", run=plain(run.run)))
    st.rerun()


def _facts(run: RunFacts, zone: str) -> list[tuple[str, str]]:
    told = [
        (_("Made"), minute(run.made, zone)),
        (_("Data"), str(run.version or "–")),
        (_("Cutoff"), minute(run.cutoff, zone) if run.cutoff else _("end of the log")),
        *([] if run.seed is None else [(_("Seed"), str(run.seed))]),
        (_("Parameters"), whole(run.parameters)),
        (_("Took"), duration(run.seconds)),
        (_("CPU seconds"), number(run.cpu_seconds, 1)),
        (_("Memory, MB"), whole(run.peak_mb)),
        (_("Code"), f"{run.core or '–'} {(run.commit or '')[:12]}{'+' if (run.commit or '').endswith('+') else ''}".strip()),
    ]
    return [
        *told,
        *((_setting_name(name), _setting(value)) for name, value in sorted(run.config.items()) if name != "seed" and value is not None),
    ]


def _setting(value: object) -> str:
    """A setting as a person reads it: a list without brackets and quotes."""
    if isinstance(value, list | tuple):
        return listed(_part(part) for part in value) or "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str):
        return event_word(value) if value in EVENT_WORDS else value
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _part(part: object) -> str:
    """One of several things chosen: a block, a model."""
    if part in BLOCK_WORDS:
        return _(BLOCK_WORDS[str(part)])
    return model_word(str(part)) if part in MODEL_WORDS else str(part)


def _setting_name(name: str) -> str:
    return _(SETTING_WORDS[name]) if name in SETTING_WORDS else name


def _settings(config: dict[str, object]) -> str:
    """All settings of a run in one line; what was left open is not told."""
    return " · ".join(f"{_setting_name(name)}: {_setting(value)}" for name, value in config.items() if value not in (None, []))


def _named(run: RunFacts, zone: str) -> str:
    return f"{run.run} · {_kind(run.kind)} · {minute(run.made, zone)}" + (" · " + _("on screen") if run.current else "")


def _kind(kind: str) -> str:
    return _(RUN_KIND_WORDS.get(kind, kind))


def _figure_name(name: str) -> str:
    return _(FIGURE_WORDS[name]) if name in FIGURE_WORDS else name


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    if figure.low is None and figure.value == round(figure.value) and abs(figure.value) > 1:
        return whole(figure.value)
    bounds = f" {interval(figure.low, figure.high)}" if figure.low is not None and figure.high is not None else ""
    return number(figure.value) + bounds


def _signed(figure: Figure) -> str:
    return f"{figure.value:+.4f} [{figure.low:+.4f}, {figure.high:+.4f}]"
