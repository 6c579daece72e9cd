"""How a purchase chance was made: windows, learning curves, spread over seeds, calibration, and the model card."""

import json
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import screens
from core.pipeline.screens import Screen
from pages.parts import charts, frame, state
from pages.parts.text import _, day, duration, listed, number, plain, whole
from pages.parts.words import EVENT_WORDS, event_word, feature_word, model_word

CALIBRATION_WORDS = {
    "shift": "shift of the level",
    "sigmoid": "sigmoid (Platt)",
    "isotonic": "isotonic regression",
    "none": "none needed",
}
CARD_WORDS = {
    "act": "Act", "winner": "Model in use", "seed": "Seed", "loss": "Loss", "optimizer": "Optimizer", "tried": "Models tried",
    "user_ids": "Shopper ids",
}  # fmt: skip
SENTENCE_WORDS = (
    "binary cross-entropy with logits, no class weights",
    "never a feature: a one-hot user id would only remember training users and say nothing of new ones",
)
"""What cards say in words."""
STEP_WORDS = {"train": "Train", "calibrate": "Calibrate and choose", "test": "Test", "use": "Scores in use"}


def how_made(here: Screen, manifest: dict[str, Any]) -> None:
    """Draw what the run rests on; each part is left out when the run does not know it."""
    st.subheader(_("How the chance was made"))
    left, right = st.columns(2, gap="large")
    with left:
        _windows(manifest)
    with right:
        _curves(here)
    _seeds(manifest)
    _tasks(manifest)
    _card(here, manifest)


def _windows(manifest: dict[str, Any]) -> None:
    windows = manifest.get("windows") or {}
    days = windows.get("horizon_days")
    if not days:
        return
    steps = [("train", start) for start in windows.get("train") or []]
    steps += [(step, windows[step]) for step in ("calibrate", "test", "use") if windows.get(step)]
    users, acted = windows.get("users") or {}, windows.get("positives") or {}
    rows = [
        {
            "step": _(STEP_WORDS[step]),
            "from": day(start),
            "to": day(datetime.fromisoformat(start) + timedelta(days=days)),
            "shoppers": users.get(start) if step != "use" else None,
            "acted": acted.get(start) if step != "use" else None,
        }
        for step, start in steps
    ]
    table = pd.DataFrame(rows)
    st.markdown(f"**{_('Windows of time')}**")
    st.caption(_("Features see what lies before the first day of a window, labels what lies in it; the end is not part of it (UTC)."))
    frame.table(
        table,
        key="windows",
        column_config={
            "step": st.column_config.TextColumn(_("Used to"), width="medium"),
            "from": _("From"),
            "to": _("To"),
            "shoppers": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "acted": st.column_config.NumberColumn(_("Acted"), format="localized"),
        },
    )


def _seeds(manifest: dict[str, Any]) -> None:
    metrics = manifest.get("metrics") or {}
    calibration = metrics.get("calibration") or {}
    rows = [
        {
            "model": model_word(name),
            "members": one.get("members"),
            "auc": f"{number(one['auc_mean'])} ± {number(one['auc_sd'], 4)}",
            "log_loss": f"{number(one['log_loss_mean'], 4)} ± {number(one['log_loss_sd'], 4)}",
            "calibration": _calibration_word(calibration.get(name)),
        }
        for name, one in (metrics.get("members") or {}).items()
    ]
    if not rows:
        return
    st.markdown(f"**{_('Spread over seeds, and calibration')}**")
    st.caption(_("Each model is fitted from several seeds and averaged; ± is the standard deviation of the members alone."))
    frame.table(
        pd.DataFrame(rows),
        key="members",
        column_config={
            "model": _("Model"),
            "members": st.column_config.NumberColumn(_("Members"), width="small"),
            "auc": _("AUC"),
            "log_loss": _("Log loss"),
            "calibration": _("Calibration"),
        },
    )


def _tasks(manifest: dict[str, Any]) -> None:
    told = manifest.get("tasks") or []
    if not told:
        return
    rows = [
        {
            "act": event_word(task["act"]),
            "horizon": duration(task["horizon_days"] * 86_400),
            "category": task["category"] or "–",
            "acted": task["positives"],
            "auc": task["auc"],
        }
        for task in told
    ]
    st.markdown(f"**{_('Tasks that one network learned beside the asked one')}**")
    st.caption(
        _(
            "Acts, horizons and categories share one body, each with a head of its own. AUC is that of held-out shoppers in the training "
            "windows; whether the tasks help the asked one, the table of models says: the neural network with several tasks against the "
            "neural network."
        )
    )
    frame.table(
        pd.DataFrame(rows),
        key="tasks",
        height=300,
        column_config={
            "act": _("Act"),
            "horizon": _("Horizon"),
            "category": _("Category"),
            "acted": st.column_config.NumberColumn(_("Acted"), format="localized"),
            "auc": st.column_config.NumberColumn(_("AUC"), format="%.3f"),
        },
    )


def _curves(here: Screen) -> None:
    table = state.ask(screens.run_table, here, "propensity", "curves")
    if table is None or not table.num_rows:
        return
    found = table.to_pandas()
    st.markdown(f"**{_('Learning curves of the networks')}**")
    names = sorted(found["model"].unique(), key=lambda name: (name != "mlp", name))
    chosen = st.selectbox(_("Model"), names, format_func=model_word, key="curves-model")
    part = found[found["model"] == chosen]
    best = part.loc[part.groupby("member")["validation"].idxmin()]
    words = {"train": _("training"), "validation": _("validation"), "best": _("best epoch, kept"), "x": _("epoch"), "y": _("log loss")}
    frame.chart(charts.learning(part, best, words, state.look()), part, "learning", _("Learning curves of the networks"))
    epochs = listed(whole(epoch) for epoch in best["epoch"])
    st.caption(_("One pair of lines for each seed; training stops early, and the best epochs were {epochs}.", epochs=epochs))


def _card(here: Screen, manifest: dict[str, Any]) -> None:
    card = state.ask(screens.run_record, here, "propensity", "card")
    if card is None:
        return
    with st.expander(_("Model card")):
        for key, word in CARD_WORDS.items():
            if key in card:
                text = listed(_card_word(value) for value in (card[key] if isinstance(card[key], list) else [card[key]]))
                st.markdown(f":gray[{_(word)}] &nbsp; {plain(text)}")
        for name, part in (card.get("in_use") or {}).items():
            facts = [
                _("{n} members", n=part["members"]) if "members" in part else "",
                _("{n} parameters", n=whole(part["parameters"])) if "parameters" in part else "",
                _("{n} inputs", n=part["inputs"]) if "inputs" in part else "",
            ]
            st.markdown(f":gray[{plain(model_word(name))}] &nbsp; {' · '.join(fact for fact in facts if fact) or '–'}")
        st.markdown(f":gray[{_('Calibration')}] &nbsp; {_calibration_word(card.get('calibration'), numbers=True)}")
        if scaling := card.get("scaling"):
            st.caption(_("Each value becomes sign(x) · ln(1 + |x|), then is put to mean 0 and standard deviation 1 of the training data."))
            table = pd.DataFrame(scaling)
            table.insert(1, "meaning", [feature_word(name) for name in table["feature"]])
            frame.table(
                table,
                key="scaling",
                height=300,
                column_config={
                    "feature": _("Feature"),
                    "meaning": st.column_config.TextColumn(_("What it is"), width="large"),
                    "mean": st.column_config.NumberColumn(_("Mean"), format="%.4f"),
                    "std": st.column_config.NumberColumn(_("Standard deviation"), format="%.4f"),
                },
            )
            frame.take_away(table, "scaling")
        st.download_button(
            _("Download the model card"),
            data=json.dumps(card, ensure_ascii=False, indent=1),
            file_name=f"{manifest.get('id', 'propensity')}-card.json",
            mime="application/json",
            key="card-json",
            on_click="ignore",
        )


def _card_word(value: object) -> str:
    word = str(value)
    return _(word) if word in SENTENCE_WORDS else event_word(word) if word in EVENT_WORDS else model_word(word)


def _calibration_word(card: dict[str, Any] | None, *, numbers: bool = False) -> str:
    if not card:
        return "–"
    method = str(card.get("method"))
    word = _(CALIBRATION_WORDS[method]) if method in CALIBRATION_WORDS else plain(method)
    if numbers and method == "shift":
        return word + _(", intercept {intercept}", intercept=number(card.get("intercept")))
    if not numbers or method != "sigmoid":
        return word
    return word + _(", slope {slope}, intercept {intercept}", slope=number(card.get("slope")), intercept=number(card.get("intercept")))
