"""What changed since the earlier version of a data set: profiles encoded anew, and shoppers who moved between segments."""

from typing import Any

import pandas as pd
import streamlit as st

from core.pipeline import changes, screens
from core.pipeline.screens import Screen
from pages.parts import downloads, frame, state
from pages.parts.encoder_card import BLOCK_WORDS
from pages.parts.text import _, counted, listed, number, part_of, people, plain, said, whole


def changes_since(here: Screen, names: dict[int, str]) -> None:
    """Draw drift and moves since the earlier version, when there is one.

    Args:
        here: The pinned data set.
        names: Names of the segments now, by id.
    """
    balance, drifted = state.ask(changes.segment_changes, here), state.ask(changes.drift_figures, here)
    if balance is None and drifted is None:
        return
    st.subheader(_("What changed since the earlier version"))
    if drifted is not None:
        _drift(here, drifted)
    if balance is not None:
        _moves(here, balance, names)


def _drift(here: Screen, drifted: dict[str, Any]) -> None:
    users = drifted["users"]
    st.caption(_("Profiles against those of {version}.", version=plain(drifted["after"]["version"])))
    tiles = [
        (
            _("Profiles changed"),
            counted(users["changed"]),
            _("{same} as they were, bit for bit", same=counted(users["same"])),
            _("A profile of texts or acts changes when its shopper acts, or when the texts of her items do."),
        ),
        (_("New shoppers"), counted(users["new"]), _("{n} gone", n=counted(users["gone"])) if users["gone"] else None, None),
    ]
    if texts := drifted["texts"]:
        tiles.append((_("Texts encoded"), whole(texts["encoded"]), _("{n} kept", n=whole(texts["kept"])), None))
    if read := drifted["sequence"]:
        note = (
            _("{n} kept; the network of before reads on", n=whole(read["kept"])) if read["network"] == "kept" else _("network trained anew")
        )
        tiles.append((_("Histories read"), whole(read["encoded"]), note, None))
    frame.tiles("drift", tiles)
    for name, block in drifted["blocks"].items():
        if block["changed"]:
            st.caption(
                _(
                    "By {block}: median cosine of the changed profiles to themselves before {median}; {far} of {changed} now point "
                    "elsewhere (below {limit}).",
                    block=_(BLOCK_WORDS[name]),
                    median=number(block["median"]),
                    far=counted(block["far"]),
                    changed=counted(block["changed"]),
                    limit=number(changes.MOVED_FAR, 2),
                )
            )
    if drifted["not_compared"]:
        blocks = ", ".join(_(BLOCK_WORDS[name]) for name in drifted["not_compared"])
        st.caption(_("Not compared, because made anew as a whole or read by another model: {blocks}.", blocks=blocks))
    if (graph := drifted["graph"]) and graph["why"]:
        st.caption(_("Why the graph was made anew: {why}", why=plain(said(graph["why"]))))
    if read and read["why"]:
        st.caption(_("Why the network was trained anew: {why}", why=plain(said(read["why"]))))
    downloads.parquet_button(
        lambda: state.ask(changes.drift, here), f"{here.name}-profile-drift", label=_("Drift of every shopper (Parquet)"), key="drift-file"
    )


def _moves(here: Screen, balance: pd.DataFrame, names: dict[int, str]) -> None:
    told = state.ask(screens.run_manifest, here, "atlas")["moves"]
    everyone = told["stayed"] + told["moved"]
    st.caption(
        _(
            "Against the map of {version}: {stayed} of {n} shoppers ({share}) stand in the same segment, {moved} moved, {new} are new, "
            "{gone} are gone.",
            version=plain(told["after"]["version"]),
            stayed=counted(told["stayed"]),
            n=counted(everyone),
            share=part_of(told["stayed"], everyone),
            moved=counted(told["moved"]),
            new=counted(told["new"]),
            gone=counted(told["gone"]),
        )
    )
    if told.get("compared"):
        st.caption(
            _(
                "Of the {moved} who moved, {changed} have another profile than before (by {blocks}); the others moved because segments are "
                "drawn anew after each append, and counts such as days since the last event go on for everybody.",
                moved=counted(told["moved"]),
                changed=counted(told["changed"]),
                blocks=listed(_(BLOCK_WORDS[name]) for name in told["compared"]),
            )
        )
    shown = balance.assign(segment=[_name(int(segment), names) for segment in balance["segment_id"]])
    columns = ["segment", "before", "left", "gone", "stayed", "came", "new", "now"]
    labels = dict(
        zip(
            columns,
            [_("Segment"), _("Before"), _("Moved away"), _("Gone"), _("Stayed"), _("Moved in"), _("New"), _("Now")],
            strict=True,
        )
    )
    figures = {name: st.column_config.NumberColumn(labels[name], format="localized") for name in columns[1:]}
    frame.table(
        shown[columns],
        height=420,
        key="segment-changes",
        counts=tuple(columns[1:]),
        column_config={"segment": st.column_config.TextColumn(labels["segment"], width="medium"), **figures},
    )
    paths = state.ask(changes.flows, here)
    if len(paths):
        first = paths.iloc[0]
        st.caption(
            _(
                "The most common move: {n} shoppers from {one} to {other}.",
                n=people(first["shoppers"]),
                one=plain(_name(int(first["from_segment"]), names)),
                other=plain(_name(int(first["to_segment"]), names)),
            )
        )
    with st.container(horizontal=True, gap="small"):
        downloads.csv_button(lambda: shown[["segment_id", *columns]], f"{here.name}-segment-changes", key="segment-changes-file")
        downloads.parquet_button(
            lambda: state.ask(changes.moves, here),
            f"{here.name}-segment-moves",
            label=_("Move of every shopper (Parquet)"),
            key="moves-file",
        )


def _name(segment: int, names: dict[int, str]) -> str:
    return names.get(segment) or _("Segment {n} of before", n=segment)
