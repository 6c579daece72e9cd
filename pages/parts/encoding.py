"""The form that encodes shoppers: blocks of the profile, text model, device, and what shall follow."""

from dataclasses import replace

import streamlit as st

from core.errors import CoreError
from core.messages import say
from core.pipeline import encoding
from core.pipeline.encoding import DEVICES, PROFILE_BLOCKS, TEXT_MODELS, Machine, Means
from core.pipeline.options import ProfileOptions
from core.pipeline.screens import Screen
from pages.parts import frame, jobs, state
from pages.parts.encoder_card import BLOCK_WORDS
from pages.parts.text import _, listed, plain, said, whole

OTHER = "other"
DEVICE_WORDS = {"auto": "the best at hand", "cuda": "graphics card (CUDA)", "mps": "Apple graphics (MPS)", "cpu": "processor"}
MODEL_WORDS = {
    "auto": "fitting to the texts",
    TEXT_MODELS[0]: "all-MiniLM-L6-v2 · fast, English",
    TEXT_MODELS[1]: "multilingual-e5-small · many languages",
    OTHER: "another …",
}


def encoding_form(here: Screen) -> None:
    """Choose what a profile holds and what reads it, and start the job."""
    found: Means = state.ask(encoding.means, here)
    with st.expander(_("Encode shoppers"), expanded=False):
        st.caption(_machine_words(encoding.machine()))
        chosen = _blocks(found)
        if chosen is None:
            return
        everything = st.checkbox(_("Then draw the map, chances and lists anew"), value=True, key="encode-all")
        st.caption(frame.cost(here, chosen.blocks, everything=everything))
        if not st.button(_("Encode"), type="primary", key="encode", disabled=jobs.live_job(state.home()) is not None):
            return
        try:
            argv = encoding.arguments_of(state.home(), here.name, chosen, everything=everything)
        except CoreError as error:
            st.error(plain(said(error)))
            return
        jobs.start(argv, say("Encoding the shoppers of {name}", name=here.name))


def _machine_words(machine: Machine) -> str:
    if machine.graphics:
        return _("This machine has {n} processors and {cards}.", n=whole(machine.processors), cards=listed(map(plain, machine.graphics)))
    return _("This machine has {n} processors and no graphics card: texts are read by the processors.", n=whole(machine.processors))


def _blocks(found: Means) -> ProfileOptions | None:
    """Draw the choices; None when the text model was not named yet."""
    in_use = found.in_use
    lacking = {
        name: why
        for name, there, why in (
            ("text", found.has_texts, _("texts: no item has one")),
            ("narrative", found.has_texts, _("histories told as text: no item has a text")),
            ("image", found.has_pictures, _("pictures: the catalogue names none")),
            ("facts", found.has_facts, _("facts: the log was loaded without a file of them")),
        )
        if not there
    }
    options = [name for name in PROFILE_BLOCKS[1:] if name not in lacking]
    blocks = st.multiselect(
        _("What a profile holds beside counts"),
        options,
        default=[name for name in in_use.blocks if name in options],
        format_func=lambda name: _(BLOCK_WORDS[name]),
        key="encode-blocks",
        placeholder=_("none"),
        select_all=False,
        help=_("The behaviour transformer learns from the log itself: minutes for a million acts."),
    )
    if lacking:
        st.caption(_("Not to be had of this log: {blocks}.", blocks="; ".join(lacking.values())))
    chosen = replace(in_use, blocks=("counts", *(name for name in options if name in blocks)))
    if (model := _model(found)) is None:
        return None
    cells = st.columns(2, vertical_alignment="bottom")
    device = cells[0].selectbox(_("Runs on"), DEVICES, format_func=lambda name: _(DEVICE_WORDS[name]), key="encode-device")
    days = cells[1].number_input(
        _("An act counts half after so many days (0: the log chooses)"), 0.0, 3650.0, float(in_use.half_life or 0), key="encode-half-life"
    )
    chosen = replace(chosen, model=model, device=device, half_life=days or None)
    if "image" in blocks:
        folder = st.text_input(
            _("Folder of the pictures"),
            value=in_use.pictures or "",
            key="encode-pictures",
            help=_("Paths of the catalogue are followed inside this folder alone; empty: where the catalogue lies."),
        )
        chosen = replace(chosen, pictures=folder.strip() or None)
    if "facts" in blocks:
        people = st.checkbox(
            _("Let facts hold what is known of shoppers themselves"),
            value=in_use.user_facts,
            key="encode-user-facts",
            help=_("Off: profiles then never differ by age, region or other attributes."),
        )
        chosen = replace(chosen, user_facts=people)
    return chosen


def _model(found: Means) -> str | None:
    """Choose the text model; None while another one has no name yet."""
    names = ["auto", *TEXT_MODELS, *([found.tuned] if found.tuned else []), OTHER]
    used = found.in_use.model
    model = st.selectbox(
        _("Text model"),
        names,
        index=names.index(used) if used in names else names.index(OTHER),
        format_func=lambda name: _("tuned to this log") if found.tuned and name == found.tuned else _(MODEL_WORDS[name]),
        key="encode-model",
    )
    if model != OTHER:
        return model
    name = st.text_input(
        _("Hugging Face name or folder"),
        value="" if used in names else used,
        key="encode-model-name",
        help=_("A name works when its files lie in the local cache; nothing is fetched."),
    ).strip()
    if not name:
        st.caption(_("Name the model, or choose another one."))
        return None
    return name
