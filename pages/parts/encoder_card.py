"""Cards of what made the profiles: the text model, how much of the texts it could not read, and the behaviour transformer."""

from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import screens
from core.pipeline.screens import Screen
from pages.parts import frame, jobs, state
from pages.parts.text import _, day, interval, number, percent, plain, said, whole

BLOCK_WORDS = {
    "counts": "counts",
    "text": "texts",
    "sequence": "behaviour transformer",
    "untaught": "the same, untaught",
    "shuffled": "transformer on shuffled acts",
}


def encoder_card(manifest: dict[str, Any] | None) -> None:
    """Draw the card of a profiles run; a run without texts says so."""
    if manifest is None:
        return
    st.subheader(_("Text model behind the profiles"))
    card = manifest.get("card") or {}
    if "checkpoint" not in card:
        st.caption(_("The item texts were not read by a text model: profiles rest on counts."))
        return
    st.markdown(f":gray[{_('Checkpoint')}] &nbsp; **{plain(card['checkpoint'])}**")
    frame.tiles(
        "encoder",
        [
            (
                _("Size"),
                _("{size:.0f} MB", size=(card.get("bytes") or 0) / 1e6),
                _("licence {licence}", licence=plain(card.get("licence") or "–")),
                _(
                    "{n} parameters, vectors of {dim} numbers, up to {tokens} tokens a text.",
                    n=whole(card.get("parameters")),
                    dim=card.get("dim"),
                    tokens=card.get("max_tokens"),
                ),
            ),
            (
                _("Runs on"),
                f"{card.get('device', '–')}, {card.get('precision', '–')}",
                _("{n} distinct texts, {tokens} tokens", n=whole(card.get("distinct_texts")), tokens=whole(card.get("tokens"))),
                None,
            ),
            (
                _("Unknown tokens"),
                percent(card.get("unknown_share"), 2),
                None,
                _("Share of the catalogue's tokens that this model cannot read."),
            ),
            (
                _("Truncated texts"),
                percent(card.get("truncated_share"), 2),
                _("{n} texts", n=whole(card.get("truncated_texts"))),
                _("Texts longer than the model reads; their end is cut off."),
            ),
        ],
    )
    if why := card.get("why"):
        st.caption(_("Why this model: {why}", why=plain(said(why))))


def sequence_card(manifest: dict[str, Any] | None) -> None:
    """Draw the card of the behaviour transformer, when a profiles run has one."""
    card = (manifest or {}).get("sequence")
    if not card:
        return
    st.subheader(_("Behaviour transformer behind the profiles"))
    st.caption(_("It learned from this log alone, without labels, to foresee the next act: which item, which kind, after how long."))
    first, last = card["losses"][0]["next_item"], card["losses"][-1]["next_item"]
    frame.tiles(
        "sequence",
        [
            (
                _("Acts read"),
                whole(card["acts"]),
                _("{n} older ones of busy shoppers left out", n=whole(card["left_out"])) if card["left_out"] else None,
                None,
            ),
            (_("Size"), _("{n} parameters", n=whole(card["parameters"])), _("{n} numbers for a shopper", n=whole(card["values"])), None),
            (_("Cost"), _("{seconds} CPU s", seconds=whole(card["cpu_seconds"])), _("{n} passes over the log", n=card["epochs"]), None),
            (
                _("Surprise at the next item"),
                f"{first:.2f} → {last:.2f}",
                _("first → last pass; lower is better"),
                _("Mean loss in nats among the items that a batch asks for."),
            ),
        ],
    )
    if empty := card.get("users_without_acts"):
        st.caption(_("{n} shoppers have no act of their own, so it says nothing of them.", n=whole(empty)))


def blocks_table(here: Screen) -> None:
    """Draw what each block of the profile adds on this log, or the button that measures it."""
    st.subheader(_("What each block of the profile adds"))
    manifest = state.ask(screens.run_manifest, here, "blocks")
    if manifest is None:
        st.caption(
            _(
                "A linear model foretells who acts in which category from counts, texts and the order of acts, alone and together, and "
                "says with intervals what each adds on this log. It trains the behaviour transformer: minutes for a million acts."
            )
        )
        _measure(here, _("Measure"))
        return
    made_from = manifest.get("inputs", {}).get("version")
    if made_from != here.version:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(_("computed from {version}", version=plain(made_from)), width="content")
            _measure(here, _("Measure again"))
    rows = state.ask(screens.run_table, here, "blocks", "blocks").to_pandas()
    shown = pd.DataFrame(
        {
            "blocks": [" + ".join(_(BLOCK_WORDS[name]) for name in names.split(" + ")) for names in rows["blocks"]],
            "auc": [number(value) for value in rows["auc"]],
            "interval": [interval(low, high) for low, high in zip(rows["low"], rows["high"], strict=True)],
            "gain": [
                f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]" if place else "–"
                for place, (gain, low, high) in enumerate(zip(rows["gain"], rows["gain_low"], rows["gain_high"], strict=True))
            ],
        }
    )
    frame.table(
        shown,
        height=400,
        key="blocks",
        column_config={
            "blocks": _("Blocks"),
            "auc": _("AUC"),
            "interval": _("95% interval"),
            "gain": _("Against counts alone"),
        },
    )
    config = manifest.get("config", {})
    said_of = _("categories") if manifest.get("of") == "categories" else _("acts")
    st.caption(
        _(
            "Mean AUC over {n} {targets} within {days:g} days from {day}, {users} shoppers; chance is 0.5.",
            n=whole(manifest.get("targets")),
            targets=said_of,
            days=float(config.get("horizon_hours", 0)) / 24,
            day=day(manifest.get("judged_at"), here.zone),
            users=whole(manifest.get("users")),
        )
    )
    frame.take_away(rows, "blocks")


def _measure(here: Screen, label: str) -> None:
    if st.button(label, key="measure-blocks", disabled=jobs.live_job(state.home()) is not None):
        jobs.start(["blocks", "--dataset", here.name], _("Measuring the blocks of {name}", name=here.name))
