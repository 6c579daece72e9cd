"""Counts of shoppers to give away, with noise by differential privacy: chosen, written, offered, and what was given away so far."""

from datetime import UTC, datetime
from pathlib import Path

import streamlit as st

from core.errors import CoreError
from core.noise import LEAST_EPSILON, MOST_EPSILON, exact_text
from core.pipeline import sharing
from core.pipeline.screens import Screen
from pages.parts import state
from pages.parts.text import _, plain, said
from pages.parts.words import column_word

TABLE_WORDS = {"segments": "Segments", "stages": "Stages of life", "rfm": "RFM groups", "categories": "Categories"}
MIMES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def sharing_panel(here: Screen) -> None:
    """Ask for tables and a budget, write the file, and offer the one that was written last; what does not fit becomes a sentence."""
    st.subheader(_("Counts to give away"))
    with st.container(border=True):
        try:
            _panel(here)
        except CoreError as error:
            st.error(plain(said(error)))


def _panel(here: Screen) -> None:
    names = state.ask(sharing.shareable, here)
    usual = [name for name in sharing.USUAL if name in names]
    chosen = st.pills(_("Tables"), names, selection_mode="multi", default=usual, format_func=_table_word, key="share-tables")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epsilon = st.number_input(
            _("Epsilon of the file"),
            float(LEAST_EPSILON),
            float(MOST_EPSILON),
            1.0,
            0.1,
            format="%.3f",
            key="share-epsilon",
            width=200,
            help=_("The budget of privacy, in equal parts for the tables: smaller protects more and blurs more."),
        )
        each = st.number_input(_("Categories for each shopper"), 1, sharing.MOST_EACH, 3, key="share-each", width=200)
        form = st.selectbox(_("Form of the file"), list(MIMES), format_func=str.upper, key="share-form", width=160)
        if st.button(_("Make the file"), type="primary", key="share-make", disabled=not chosen):
            _make(here, sharing.Sharing(f"{epsilon:.3f}", tuple(chosen), int(each), state.language()), form)
    _offer(here)
    spent = exact_text(sharing.epsilon_spent(state.home(), here.name))
    st.caption(
        _(
            "Shoppers and buyers of the whole log by group, whatever is filtered above, with noise that hides whether any one "
            "shopper is in the log (differential privacy). Epsilons of all files add up; shared of this data set so far: {spent}.",
            spent=plain(spent),
        )
    )


def _make(here: Screen, asked: sharing.Sharing, form: str) -> None:
    """Write the file and remember it."""
    state.drop("shared")
    path = here.dataset.path / "exports" / f"share-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.{form}"
    path.parent.mkdir(parents=True, exist_ok=True)
    state.put("shared", (here.name, str(path), sharing.share(here, asked, path)))


def _offer(here: Screen) -> None:
    """Offer the file that was written last, and show what it says of itself."""
    kept = state.flag("shared")
    if not kept or kept[0] != here.name or not Path(kept[1]).is_file():
        return
    path, found = Path(kept[1]), kept[2]
    for warning in found["warnings"]:
        st.warning(plain(said(warning)))
    st.download_button(
        _("Download {form} · epsilon {epsilon}", form=path.suffix[1:].upper(), epsilon=found["epsilon"]),
        data=path.read_bytes(),
        file_name=f"{here.name}-{path.name}",
        mime=MIMES[path.suffix[1:]],
        type="primary",
        key="share-download",
        on_click="ignore",
    )
    with st.expander(_("What the file says of itself")):
        for key, text in found["header"].items():
            st.caption(f"**{plain(key)}** {plain(text)}")


def _table_word(name: str) -> str:
    return _(TABLE_WORDS[name]) if name in TABLE_WORDS else column_word(name.removeprefix(sharing.ATTRIBUTE))
