"""The file of an audience: its form, the contacts that an ad platform needs, the fewest shoppers it may hold."""

from typing import Any

import streamlit as st

from core.errors import CoreError
from core.pipeline import choosing, outcomes, targeting
from core.pipeline.screens import Screen
from pages.parts import state
from pages.parts.text import _, as_told, counted, people, plain, said
from pages.parts.words import column_word

FORM_WORDS = {
    "csv": "CSV",
    "parquet": "Parquet",
    "json": "JSON lines",
    "google": "Google Customer Match",
    "meta": "Meta Custom Audiences",
    "tiktok": "TikTok customer file",
}
CONTACT_WORDS = {
    "email": "E-mail address",
    "phone": "Phone number",
    "first_name": "First name",
    "last_name": "Last name",
    "country": "Country (two letters)",
    "zip": "Postcode",
}
MIMES = {"parquet": "application/vnd.apache.parquet", "json": "application/x-ndjson"}


def export_panel(here: Screen, record: dict[str, Any], users: int) -> None:
    """Choose the form and write the file; then offer it."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            form = st.selectbox(_("Form of the file"), list(FORM_WORDS), format_func=lambda f: _(FORM_WORDS[f]), key="audience-form")
            least = st.number_input(
                _("Fewest shoppers in a file"),
                here.small_cells,
                100_000,
                outcomes.least_users(here),
                key="audience-least",
                help=_("k-anonymity: smaller files are refused, and segments that fewer of them share are left blank."),
            )
            hashed = form in ("csv", "parquet", "json") and st.checkbox(
                _("Hash the ids"),
                key="hashed",
                help=_("SHA-256 with a secret of this data set: one shopper, one hash in all its files."),
            )
        contacts, code = _contacts(here, form) if form in targeting.PLATFORMS else ({}, "")
        if st.button(_("Prepare the file"), type="primary", key="audience-export", disabled=not users):
            if least != outcomes.least_users(here):
                outcomes.save_least_users(here, int(least))
            export(here, record, form=form, hashed=hashed, contacts=contacts, calling_code=code)
        download(here)


def export(
    here: Screen,
    record: dict[str, Any],
    *,
    form: str = "csv",
    hashed: bool = False,
    contacts: dict[str, str] | None = None,
    calling_code: str = "",
) -> bool:
    """Write the file of an audience and remember it for `download`; what does not fit becomes a sentence, and False."""
    state.drop("exported")
    try:
        path, manifest = targeting.export_file(here, record, form=form, hashed=hashed, contacts=contacts or {}, calling_code=calling_code)
    except CoreError as error:
        st.error(plain(said(error)))
        return False
    state.put(
        "exported",
        (
            here.name,
            str(path),
            manifest["rows"],
            form,
            manifest.get("rejected"),
            record["name"],
            manifest.get("warnings", []),
            (manifest["size"]["holdout_users"], manifest["size"]["without_consent"]),
        ),
    )
    return True


def download(here: Screen) -> None:
    """Offer the file that was written last."""
    exported = state.flag("exported")
    if not exported or exported[0] != here.name:
        return
    path, rows, form, rejected, name, warnings, (held_out, without) = outcomes.Path(exported[1]), *exported[2:]
    if not path.is_file():
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            _("Download {form} · {n} shoppers", form=_(FORM_WORDS[form]), n=counted(rows)),
            data=path.read_bytes(),
            file_name=path.name,
            mime=MIMES.get(form, "text/csv"),
            type="primary",
            key="audience-download",
            on_click="ignore",
        )
        st.caption(f"**{plain(name)}** · " + _("The manifest with rule, cutoff, runs and counts lies beside it."))
    if held_out != 0:
        st.caption(_("{n} shoppers are held out of the file, to measure the effect against them.", n=people(held_out)))
    if without:
        st.caption(consent_sentence(without))
    for warning in warnings:
        st.caption(plain(said(warning)))
    if rejected and rejected["values"]:
        st.caption(
            _(
                "Left out: {n} values of {users} shoppers.",
                n=counted(rejected["values"]),
                users=counted(rejected["users"]),
            )
        )
        for reason, count in rejected["reasons"].items():
            st.caption(f"- {plain(reason)}: {counted(count)}")


def consent_sentence(without: int) -> str:
    """Say how many shoppers are left out of a file because they did not consent."""
    return _("{n} shoppers without consent are left out of the file.", n=people(as_told(without)))


def _contacts(here: Screen, form: str) -> tuple[dict[str, str], str]:
    """Choose the attribute columns that hold what the platform matches by."""
    columns = state.ask(choosing.user_columns, here)
    fields = targeting.contact_fields(form)
    guessed = targeting.guess_contacts(columns)
    chosen: dict[str, str] = {}
    cells = st.columns(len(fields) + 1)
    for cell, field in zip(cells, fields, strict=False):
        options = ["", *columns]
        found = cell.selectbox(
            _(CONTACT_WORDS[field]),
            options,
            index=options.index(guessed.get(field, "")),
            format_func=lambda c: column_word(c) if c else _("none"),
            key=f"contact-{form}-{field}",
        )
        if found:
            chosen[field] = found
    code = cells[-1].text_input(
        _("Calling code"), key="calling-code", max_chars=3, placeholder="1", help=_("Of numbers without a country, such as 1, 44 or 86.")
    )
    st.caption(_("Contacts are normalised as the platform asks and hashed with SHA-256; ids are not in the file."))
    return chosen, code.strip()
