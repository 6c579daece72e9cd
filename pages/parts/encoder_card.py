"""Cards of what made the profiles: the text model, the behaviour transformer, the graph."""

from typing import Any

import pandas as pd
import streamlit as st

from core.messages import Message, say
from core.pipeline import screens
from core.pipeline.measurable import AGAINST_UNTAUGHT, why_not_judged
from core.pipeline.screens import Screen
from pages.parts import frame, jobs, state
from pages.parts.text import _, counted, day, interval, number, percent, plain, said, whole
from pages.parts.words import band_word, event_word

BLOCK_WORDS = {
    "counts": "counts",
    "text": "texts",
    "sequence": "behaviour transformer",
    "untaught": "the same, untaught",
    "shuffled": "transformer on shuffled acts",
    "graph": "graph",
    "narrative": "histories told as text",
    "image": "pictures",
    "facts": "facts",
    "ids": "items themselves",
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
                _("Texts longer than the model reads, or with a longer part than is kept (a title: 300 characters); the end is cut off."),
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
                _("Learned from"),
                _("{n} acts", n=whole(card["acts"])),
                _("{n} passes over the log", n=card["epochs"]),
                _("{n} older ones of busy shoppers left out", n=whole(card["left_out"])) if card["left_out"] else None,
            ),
            (_("Size"), _("{n} parameters", n=whole(card["parameters"])), _("{n} numbers for a shopper", n=whole(card["values"])), None),
            (_("Cost"), _("{seconds} CPU s", seconds=whole(card.get("cpu_seconds"))), _("to learn, and to read everyone then"), None),
            (
                _("Surprise at the next item"),
                f"{first:.2f} → {last:.2f}",
                _("first → last pass; lower is better"),
                _("Mean loss in nats among the items that a batch asks for."),
            ),
        ],
    )
    for line in _of_shoppers(card):
        st.caption(line)


def _of_shoppers(card: dict[str, Any]) -> list[str]:
    """How far back a vector looks, what was read since the network learned, and of whom it says nothing."""
    told = []
    if reach := card.get("reach"):
        line = _("The newest {reach} acts of a shopper reach the vector.", reach=whole(reach))
        if beyond := card.get("acts_beyond"):
            lie = _(
                "{acts} acts of {n} shoppers lie beyond; `profile --memory` makes it reach further.",
                acts=whole(beyond),
                n=counted(card["users_beyond"]),
            )
            line += " " + lie
        told.append(line)
    if update := card.get("update"):
        told.append(
            _(
                "The network was kept when the log grew: for this version {encoded} of {users} histories were read, in {seconds} CPU s.",
                encoded=whole(update["encoded"]),
                users=whole(update["users"]),
                seconds=number(update["cpu_seconds"], 1),
            )
        )
    if empty := card.get("users_without_acts"):
        told.append(_("{n} shoppers have no act of their own, so it says nothing of them.", n=counted(empty)))
    return told


def graph_card(manifest: dict[str, Any] | None) -> None:
    """Draw the card of the graph, when a profiles run has one."""
    card = (manifest or {}).get("graph")
    if not card:
        return
    st.subheader(_("Graph behind the profiles"))
    st.caption(_("Shoppers, items, categories and brands as one graph: walks between them, kept in a few directions."))
    if card.get("update"):
        st.caption(
            _(
                "The graph of an earlier version reads on: it was made from {before} acts, and {now} are known now.",
                before=whole(card["acts_learned_from"]),
                now=whole(card["update"]["acts"]),
            )
        )
    nodes, edges = card["nodes"], card["edges"]
    frame.tiles(
        "graph",
        [
            (_("Items"), whole(nodes["item"]), _("{n} shopper and item pairs", n=whole(edges["item"])), None),
            (
                _("Categories and brands"),
                whole(nodes.get("category", 0) + nodes.get("brand", 0)),
                _("a walk goes on to them from an item"),
                None,
            ),
            (
                _("Kept"),
                percent(card["kept_share"]),
                _("in {n} numbers for a shopper", n=whole(card["values"])),
                _("Share of the squared edges that the directions keep."),
            ),
            (_("Cost"), _("{seconds} CPU s", seconds=whole(card["cpu_seconds"])), None, None),
        ],
    )


def narrative_card(manifest: dict[str, Any] | None) -> None:
    """Draw the card of the histories told as text, when a profiles run has them."""
    card = (manifest or {}).get("narrative")
    if not card:
        return
    st.subheader(_("Histories told as text"))
    frame.tiles(
        "narrative",
        [
            (_("Shoppers"), counted(card["users"]), _("{n} numbers for a shopper", n=whole(card["values"])), None),
            (_("Budget"), _("{n} tokens", n=whole(card["tokens"])), _("{n} histories cut", n=whole(card["cut_texts"])), None),
            (_("Cost"), _("{seconds} CPU s", seconds=whole(card["cpu_seconds"])), None, None),
        ],
    )


def blocks_table(here: Screen) -> None:
    """Draw what each block of the profile adds on this log, or the button that measures it."""
    st.subheader(_("What each block of the profile adds"))
    manifest = state.ask(screens.run_manifest, here, "blocks")
    if manifest is None or "weights" not in manifest:
        st.caption(
            _(
                "A linear model foretells who acts in which category from counts, texts, the order of acts and the graph, alone and "
                "together, and says with intervals what each adds on this log. It trains the behaviour transformer: minutes for a "
                "million acts."
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
    kept = rows[rows["weighing"].isin(["equal", AGAINST_UNTAUGHT, "chosen"])]
    is_twin = kept["weighing"] == AGAINST_UNTAUGHT
    shown = pd.DataFrame(
        {
            "blocks": [
                _("behaviour transformer against the same network, untaught")
                if twin
                else " + ".join(_(BLOCK_WORDS[name]) for name in names.split(" + "))
                for twin, names in zip(is_twin, kept["blocks"], strict=True)
            ],
            "weights": [
                weights if kind == "chosen" else _("equal") for kind, weights in zip(kept["weighing"], kept["weights"], strict=True)
            ],
            "auc": [number(value) for value in kept["auc"]],
            "interval": [interval(low, high) for low, high in zip(kept["low"], kept["high"], strict=True)],
            "gain": ["–", *_differences(kept, "gain")[1:]],
            "behind": [*_differences(kept, "behind")[:-1], "–"],
        }
    )
    shown.loc[is_twin.to_numpy(), ["auc", "interval", "behind"]] = "–"  # as in its own row: this one tells a difference
    frame.table(
        shown,
        height=420,
        key="blocks",
        column_config={
            "blocks": _("Blocks"),
            "weights": _("Weights"),
            "auc": _("AUC"),
            "interval": _("95% interval"),
            "gain": st.column_config.TextColumn(
                _("Against counts alone"), help=_("In the row of the untaught network, against that network, on the same shoppers.")
            ),
            "behind": _("Weighed blocks against this"),
        },
    )
    config = manifest.get("config", {})
    said_of = _("categories") if manifest.get("of") == "categories" else _("acts")
    st.caption(
        _(
            "Mean AUC over {n} {targets} within {days:g} days from {day}, {users} shoppers; chance is 0.5. Weights were chosen "
            "on the window from {chosen}.",
            n=whole(manifest.get("targets")),
            targets=said_of,
            days=float(config.get("horizon_hours", 0)) / 24,
            day=day(manifest.get("judged_at"), here.zone),
            users=counted(manifest.get("users")),
            chosen=day(manifest.get("weights_at"), here.zone),
        )
    )
    st.markdown("\n".join(f"- {line}" for line in _verdicts(manifest, rows)))
    frame.take_away(rows, "blocks")
    _unseen(manifest.get("unseen"))


def _unseen(found: dict[str, Any] | None) -> None:
    """Draw how well shoppers are foretold of whom the probe saw nothing, by how much is known of them."""
    if not found:
        return
    rows = pd.DataFrame(found["rows"])
    shown = pd.DataFrame(
        {
            "band": [_("all shoppers") if band == "all" else band_word(band) for band in rows["band"]],
            "users": [counted(n) for n in rows["users"]],
            "positives": [counted(n) for n in rows["positives"]],
            **{name: _areas(rows, name) for name in ("counts", "blocks")},
        }
    )
    columns = {
        "band": _("What is known"),
        "users": _("Shoppers"),
        "positives": _("Who act"),
        "counts": _("AUC of counts"),
        "blocks": _("AUC of weighed blocks"),
    }
    st.markdown(f"**{_('Shoppers that the probe never saw')}**")
    frame.table(shown, key="unseen", column_config=columns)
    st.caption(
        _(
            "Who does the act {act} at all: a fifth of the shoppers at a time is judged by a probe that learned from the others. "
            "The blocks themselves learned from all histories, without labels.",
            act=event_word(found["act"]),
        )
    )
    frame.take_away(rows, "unseen")


def _areas(rows: pd.DataFrame, name: str) -> list[str]:
    bounds = zip(rows[name], rows[f"{name}_low"], rows[f"{name}_high"], strict=True)
    return ["–" if pd.isna(value) else f"{number(value)} {interval(low, high)}" for value, low, high in bounds]


def _differences(rows: pd.DataFrame, name: str) -> list[str]:
    bounds = zip(rows[name], rows[f"{name}_low"], rows[f"{name}_high"], strict=True)
    return [f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" for value, low, high in bounds]


def _taught(rows: pd.DataFrame) -> list[str]:
    """One sentence on whether what the transformer learned, and not its architecture, foretells; none in older runs."""
    found = rows[rows["weighing"] == AGAINST_UNTAUGHT]
    if not len(found):
        return []
    row, ahead = found.iloc[0], _differences(found, "gain")[0]
    if row["gain_low"] > 0:
        told = _(
            "What the behaviour transformer learned helps: alone it is {ahead} of AUC ahead of the same network, untaught.", ahead=ahead
        )
        return [told]
    if row["gain_high"] < 0:
        told = _(
            "What the behaviour transformer learned hurts here: against the same network, untaught, it is {ahead} of AUC.", ahead=ahead
        )
        return [told]
    return [
        _(
            "What the behaviour transformer learned does not show here: against the same network, untaught, it is {ahead} of AUC, so what "
            "it adds comes from how it reads acts.",
            ahead=ahead,
        )
    ]


def _verdicts(manifest: dict[str, Any], rows: pd.DataFrame) -> list[str]:
    """One sentence a block: whether it helps beside the others; and one on who acts at all."""
    said_lines = []
    for name, weight in manifest["weights"].items():
        word = _(BLOCK_WORDS[name])
        without = rows[rows["weighing"] == f"without {name}"]
        if weight == 0:
            line = _("The block **{block}** gets no weight: at the earlier cutoff it did not help beside the others.", block=word)
            said_lines.append(line)
        elif len(without):
            row = without.iloc[0]
            added = _differences(without, "behind")[0]
            if row["behind_low"] > 0:
                line = _("The block **{block}** helps: beside the others it adds {added} of AUC.", block=word, added=added)
            elif row["behind_high"] < 0:
                line = _("The block **{block}** hurts here: beside the others it adds {added} of AUC.", block=word, added=added)
            else:
                line = _("The block **{block}** does not help here: beside the others it adds {added} of AUC.", block=word, added=added)
            said_lines.append(line)
    said_lines.extend(_taught(rows))
    if anyone := manifest.get("anyone"):
        said_lines.append(
            _(
                "Who acts at all: counts alone reach {counts}, weighed blocks {auc}, a difference of {gain}.",
                counts=number(anyone["counts"]),
                auc=number(anyone["auc"]),
                gain=_differences(pd.DataFrame([anyone]), "gain")[0],
            )
        )
    said_lines.extend(plain(said(warning)) for warning in manifest.get("warnings", []))
    return said_lines


def _measure(here: Screen, label: str) -> None:
    reason: Message | None = state.ask(why_not_judged, here)
    if st.button(label, key="measure-blocks", disabled=reason is not None or jobs.live_job(state.home()) is not None):
        jobs.start(["blocks", "--dataset", here.name], say("Measuring the blocks of {name}", name=here.name))
    if reason is not None:
        st.caption(plain(said(reason)))
