"""Tables of what was measured of the text model and its probe on this log: tuning, smaller forms, another log's lessons."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.messages import Message, say
from core.pipeline import screens
from core.pipeline.measurable import why_no_forms, why_not_tuned
from core.pipeline.screens import Screen
from pages.parts import charts, frame, jobs, state
from pages.parts.text import _, counted, day, interval, number, percent, plain, said, whole
from pages.parts.words import event_word

METHOD_WORDS = {
    "head": "the model as it is",
    "lora": "LoRA",
    "adalora": "AdaLoRA",
    "ia3": "IA3",
    "full": "all weights",
    "counts": "counts, without the model",
}
FORM_WORDS = {
    "fp32": "full, 32 bits",
    "bf16": "16 bits",
    "int8": "8 bits",
    "pruned": "half of the weights zero",
    "fewer layers": "fewer layers, untaught",
    "student": "fewer layers, taught",
}


def tuning_table(here: Screen) -> None:
    """Draw what each way of tuning the text model adds, or the button that measures it."""
    st.subheader(_("Tuning the text model"))
    asks = _(
        "Histories told as short texts are read by the text model, which is tuned to who buys: by few added weights, or by all. "
        "It draws 600 shoppers; some minutes on two processors."
    )
    if (manifest := _measured(here, "tuning", ["tune", "--dataset", here.name], asks, why_not_tuned)) is None:
        return
    rows = state.ask(screens.run_table, here, "tuning", "tuning").to_pandas()
    shown = pd.DataFrame(
        {
            "method": [_(METHOD_WORDS[method]) for method in rows["method"]],
            "trainable": [_share(learned, every) for learned, every in zip(rows["trainable"], rows["parameters"], strict=True)],
            "seconds": [_seconds(value) for value in rows["cpu_seconds"]],
            "auc": [number(value) for value in rows["auc"]],
            "interval": [interval(low, high) for low, high in zip(rows["low"], rows["high"], strict=True)],
            "gain": ["–", *(f"{a:+.3f} [{b:+.3f}, {c:+.3f}]" for a, b, c in rows[["gain", "gain_low", "gain_high"]].to_numpy()[1:])],
        }
    )
    columns = {
        "method": _("Way"),
        "trainable": _("Weights that learn"),
        "seconds": _("CPU seconds"),
        "auc": _("AUC"),
        "interval": _("95% interval"),
        "gain": _("Against the model as it is"),
    }
    frame.table(shown, height=260, key="tuning", column_config=columns)
    config = manifest.get("config", {})
    st.caption(
        _(
            "Who does the act {act} within {days:g} days: {learned} shoppers drawn to learn from, {judged} drawn at {day} to judge; "
            "texts of {tokens} tokens, {epochs} passes.",
            act=event_word(manifest.get("act", "purchase")),
            days=float(config.get("horizon_hours", 0)) / 24,
            learned=counted(manifest.get("learned")),
            judged=counted(manifest.get("judged")),
            day=day(manifest.get("judged_at"), here.zone),
            tokens=whole(config.get("tokens")),
            epochs=whole(config.get("epochs")),
        )
    )
    if config.get("labels") == "contrastive":
        st.caption(_("Weights learned which two halves belong to one history, without labels; a head was fitted to them afterwards."))
    if manifest.get("kept"):
        st.caption(
            _(
                "The weights of {way} are kept: `profile --model tuned` makes profiles with them. Chances rest on them by "
                "`predict --model tuned`, when they were tuned with a --cutoff before the windows that are judged.",
                way=_(METHOD_WORDS[manifest["kept"]]),
            )
        )
    _close(manifest, rows, "tuning")
    _ranks(here, manifest.get("rank_budget") or {})


def _ranks(here: Screen, budgets: dict[str, int]) -> None:
    """Draw the rank that AdaLoRA left to each layer, and say that the ranks sum to what it had to give away."""
    table = state.ask(screens.run_table, here, "tuning", "ranks")
    rows = table.to_pandas() if table is not None else pd.DataFrame(columns=["method"])
    rows = rows[rows["method"] == "adalora"]
    if not len(rows):
        return
    st.markdown(f"**{_('Rank that AdaLoRA left to each layer')}**")
    grid = rows.assign(depth=rows["depth"].fillna(-1)).pivot_table(index="depth", columns="part", values="rank", aggfunc="sum", sort=False)
    sums = grid.sum(axis=1)
    labels = [
        _("layer {n}: {sum}", n=int(n) + 1, sum=whole(total)) if n >= 0 else _("others: {sum}", sum=whole(total))
        for n, total in sums.items()
    ]
    figure = charts.heat(
        grid.to_numpy(np.float64),
        labels,
        [part.removesuffix(".dense") for part in grid.columns],
        _("Rank"),
        state.look(),
        hover_form="%{y}<br>%{x}<br>%{z}",
        cell_form="%{z}",
    )
    frame.chart(figure, rows, "tuning-ranks", _("Rank that AdaLoRA left to each layer"))
    st.caption(
        _(
            "{sum} of a budget of {budget}, which is what LoRA gives out evenly: {each} to each of {n} matrices. Numbers at the side "
            "sum a layer.",
            sum=whole(rows["rank"].sum()),
            budget=whole(budgets.get("adalora")),
            each=whole(budgets.get("adalora", 0) / len(rows)),
            n=whole(len(rows)),
        )
    )


def forms_table(here: Screen) -> None:
    """Draw size, speed and likeness of the text model's smaller forms, or the button that measures them."""
    st.subheader(_("Smaller forms of the text model"))
    asks = _(
        "The text model in fewer bits, with weights cut away, and as a small student that it teaches: what each saves and what it "
        "still says. Some minutes on two processors."
    )
    if (manifest := _measured(here, "compression", ["compress", "--dataset", here.name], asks, why_no_forms)) is None:
        return
    rows = state.ask(screens.run_table, here, "compression", "compression").to_pandas()
    shown = pd.DataFrame(
        {
            "form": [_(FORM_WORDS[form]) for form in rows["form"]],
            "size": [_("{size:.0f} MB", size=size) for size in rows["megabytes"]],
            "speed": [whole(speed) for speed in rows["tokens_per_cpu_second"]],
            "cosine": [number(cosine) for cosine in rows["cosine"]],
            "neighbours": [percent(share) for share in rows["neighbours"]],
            "interval": [interval(low, high, "percent") for low, high in zip(rows["low"], rows["high"], strict=True)],
        }
    )
    columns = {
        "form": _("Form"),
        "size": _("Size"),
        "speed": _("Tokens a CPU second"),
        "cosine": _("Cosine with the full model"),
        "neighbours": _("Same ten nearest texts"),
        "interval": _("95% interval"),
    }
    frame.table(shown, height=260, key="compression", column_config=columns)
    st.caption(
        _(
            "On {judged} item texts that nothing was learned from; the student learned from {taught} others.",
            judged=counted(manifest.get("judged")),
            taught=whole(manifest.get("taught")),
        )
    )
    _close(manifest, rows, "compression")


def transfer_table(here: Screen) -> None:
    """Draw what another dataset's probe foretells here; measured by the command line, which names the other dataset."""
    manifest = state.ask(screens.run_manifest, here, "transfer")
    if manifest is None:
        return
    st.subheader(_("Taught by another dataset"))
    _made_from(here, manifest)
    rows = state.ask(screens.run_table, here, "transfer", "transfer").to_pandas()
    shown = pd.DataFrame(
        {
            "blocks": [" + ".join(_({"text": "texts"}.get(name, name)) for name in names.split(" + ")) for names in rows["blocks"]],
            "labelled": [whole(count) for count in rows["labelled"]],
            "transferred": [number(value) for value in rows["transferred"]],
            "interval": [interval(low, high) for low, high in zip(rows["low"], rows["high"], strict=True)],
            "alone": [number(value) for value in rows["alone"]],
            "gain": [
                "–" if pd.isna(a) else f"{a:+.3f} [{b:+.3f}, {c:+.3f}]"
                for a, b, c in rows[["gain", "gain_low", "gain_high"]].to_numpy(float)
            ],
        }
    )
    columns = {
        "blocks": _("Blocks"),
        "labelled": _("Shoppers with a label"),
        "transferred": _("AUC with its lessons"),
        "interval": _("95% interval"),
        "alone": _("AUC of the labels alone"),
        "gain": _("Difference"),
    }
    frame.table(shown, height=300, key="transfer", column_config=columns)
    st.caption(
        _(
            "Learned from {source}: who does the act {act}. Judged here on {shoppers} shoppers from {day}; chance is 0.5.",
            source=plain(manifest["source"]),
            act=event_word(manifest.get("act", "purchase")),
            shoppers=counted(manifest["shoppers"][-1]),
            day=day(manifest.get("judged_at"), here.zone),
        )
    )
    _close(manifest, rows, "transfer")


def _measured(here: Screen, kind: str, argv: list[str], asks: str, why_not: Callable[[Screen], Message | None]) -> dict[str, Any] | None:
    """The manifest of a measurement, with a word when it is of another version; None, and a button, when there is none.

    Where `why_not` names a reason, the button waits and the reason stands beside it.
    """
    manifest: dict[str, Any] | None = state.ask(screens.run_manifest, here, kind)
    if manifest is None:
        st.caption(asks)
    if manifest is None or _made_from(here, manifest):
        label = _("Measure") if manifest is None else _("Measure again")
        reason: Message | None = state.ask(why_not, here)
        if st.button(label, key=f"measure-{kind}", disabled=reason is not None or jobs.live_job(state.home()) is not None):
            jobs.start(argv, say("Measuring the text model of {name}", name=here.name))
        if reason is not None:
            st.caption(plain(said(reason)))
    return manifest


def _made_from(here: Screen, manifest: dict[str, Any]) -> bool:
    """Say so when a measurement is of another version than the one on screen; returns whether it is."""
    made_from = manifest.get("inputs", {}).get("version")
    if is_other := made_from != here.version:
        st.caption(_("computed from {version}", version=plain(made_from)))
    return is_other


def _close(manifest: dict[str, Any], rows: pd.DataFrame, name: str) -> None:
    for warning in manifest.get("warnings", []):
        st.caption(plain(said(warning)))
    frame.take_away(rows, name)


def _share(learned: float, every: float) -> str:
    return "–" if pd.isna(learned) else percent(learned / every, 2)


def _seconds(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.0f}"
