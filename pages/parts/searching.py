"""The parts of the Search page: query and shopper, both orders side by side, what the shoppers of the log searched for."""

import random
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from core.pipeline import offering, searching, shoppers
from core.pipeline.screens import Screen
from pages.parts import frame, state
from pages.parts.text import _, number, plain, said, whole
from pages.parts.words import item_names

LONGEST_EXAMPLE = 40
"""Characters of an example that its button shows."""


@dataclass(frozen=True)
class Wanted:
    """What is searched for, for whom, and how strongly in her own order."""

    query: str
    user_id: str | None
    strength: float
    k: int


def ask_for(here: Screen) -> Wanted | None:
    """Draw the search box; None while it is empty."""
    cells, hides = st.columns([3, 2, 2, 1], vertical_alignment="bottom", gap="medium"), here.small_cells > 0
    query = cells[0].text_input(_("Search for"), key="search-query", placeholder=_("such as a shopper would type"), max_chars=2000)
    typed = cells[1].text_input(_("In the order of shopper"), key="search-user", placeholder=_("an id, or nobody's"), disabled=hides)
    strength = cells[2].slider(_("Strength of the personal order"), 0.0, 1.0, 0.5, 0.1, key="search-strength")
    k = cells[3].number_input(_("Matches"), 5, searching.MOST_ROWS, 20, 5, key="search-k")
    with st.container(horizontal=True):
        st.button(_("Draw a shopper at random"), key="search-random", on_click=_draw, args=(here,), disabled=hides)
        for place, example in enumerate(state.ask(searching.examples, here)):
            short = example if len(example) <= LONGEST_EXAMPLE else f"{example[: LONGEST_EXAMPLE - 1]}…"
            st.button(plain(short), key=f"search-example-{place}", type="tertiary", on_click=_pick, args=(example,))
    user_id = _shopper(here, typed.strip()) if typed.strip() and not hides else None
    return Wanted(query, user_id, float(strength), int(k)) if query.strip() else None


def matches(here: Screen, wanted: Wanted) -> None:
    """Draw the matches: the plain order, and beside it the same items in the shopper's order with what moved them."""
    held = repr(offering.in_force(here))
    found: searching.Found = state.ask(searching.search, here, wanted.query, wanted.user_id, wanted.strength, wanted.k, None, held)
    if found.suggestion:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_("Did you mean"), width="content")
            st.button(plain(found.suggestion), key="search-suggestion", type="tertiary", on_click=_pick, args=(found.suggestion,))
    for note in found.notes:
        st.caption(plain(said(note)))
    if not len(found.rows):
        st.info(_("Nothing was found. Try other words, or fewer."))
        return
    plain_order = _shown(found.plain)
    if found.user_id is None:
        _table(plain_order, ["plain_place", "item", "category", "price", "why"], "search-plain")
    else:
        left, right = st.columns([2, 3], gap="large")
        with left:
            st.subheader(_("Everybody's order"))
            _table(plain_order, ["plain_place", "item", "category"], "search-plain", lines=3)
        with right:
            st.subheader(_("In the order of shopper {id}", id=plain(found.user_id)))
            _table(_shown(found.rows), ["place", "moved", "item", "why"], "search-personal", lines=3)
            moved = int((found.rows["moved"] != 0).sum())
            st.caption(
                _(
                    "{moved} of {n} matches stand elsewhere than in everybody's order; the matches are the same.",
                    moved=moved,
                    n=len(found.rows),
                )
            )
    frame.take_away(_shown(found.rows).drop(columns=["item"]), "search")


def most_wanted(here: Screen) -> None:
    """Draw what is wanted most, while nothing is searched for: the page shows what there is to find."""
    rows: pd.DataFrame = state.ask(searching.most_wanted, here, 20, repr(offering.in_force(here)))
    st.subheader(_("Most wanted items"))
    if not state.ask(searching.examples, here):
        st.info(
            _("The catalogue has no titles, categories or descriptions, so no words can be found; read the log again with a file of items.")
        )
    shown = rows.assign(item=item_names(rows), price=[number(price, 2) for price in rows["price"]])
    frame.table(
        shown,
        column_order=["item", *(name for name in ("category", "brand", "price") if rows[name].notna().any())],
        height=420,
        key="most-wanted",
        column_config={"item": _("Item"), "category": _("Category"), "brand": _("Brand"), "price": _("Unit price")},
    )


def asked_queries(here: Screen) -> None:
    """Draw what the shoppers of the log searched for, and which of it finds nothing."""
    table: pd.DataFrame | None = state.ask(searching.asked, here)
    if table is None:
        st.caption(_("The log holds no search queries, so the examples are words of its catalogue."))
        return
    st.subheader(_("What shoppers searched for"))
    only = st.toggle(_("Only queries that find nothing or were misspelled"), key="search-only-empty")
    shown = table[(table["items"] == 0) | (table["corrected"] != "")] if only else table
    if not len(shown):
        st.caption(_("Every query of the list finds items by its own words."))
        return
    frame.table(
        shown,
        column_order=["query", "searches", "users", "items", "corrected"],
        height=360,
        key="asked",
        column_config={
            "query": _("Search query"),
            "searches": st.column_config.NumberColumn(_("Searches"), format="localized"),
            "users": st.column_config.NumberColumn(_("Shoppers"), format="localized"),
            "items": st.column_config.NumberColumn(_("Items by words"), help=_("At most {n} are counted.", n=searching.MOST_COUNTED)),
            "corrected": _("Looked up instead"),
        },
    )
    st.caption(_("The {n} most frequent queries of at least {least} shoppers.", n=whole(len(table)), least=searching.LEAST_SHOPPERS))
    frame.take_away(table, "asked")


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(item=item_names(rows), why=[said(why) for why in rows["why"]])


def _table(rows: pd.DataFrame, columns: list[str], key: str, lines: int = 1) -> None:
    moved = [f"▲ {n}" if n > 0 else f"▼ {-n}" if n < 0 else "" for n in rows["moved"]]
    frame.table(
        rows.assign(moved=moved, price=[number(price, 2) for price in rows["price"]]),
        column_order=[name for name in columns if name in ("moved", "why") or rows[name].notna().any()],
        height=700,
        lines=lines,
        key=key,
        column_config={
            "plain_place": st.column_config.NumberColumn(_("Place"), width=60),
            "place": st.column_config.NumberColumn(_("Place"), width=60),
            "moved": st.column_config.TextColumn(_("Moved"), width=60),
            "item": st.column_config.TextColumn(_("Item"), width=140 if lines > 1 else "medium"),
            "category": _("Category"),
            "price": _("Unit price"),
            "why": st.column_config.TextColumn(_("Why here"), width=255 if lines > 1 else "large"),
        },
    )


def _shopper(here: Screen, text: str) -> str | None:
    found, near = state.ask(shoppers.find_user, here, text)
    if found is None:
        st.info(_("There is no shopper {id}. The nearest ids are:", id=plain(text)))
        with st.container(horizontal=True):
            for other in near:
                st.button(plain(other), key=f"search-near-{other}", on_click=_choose, args=(other,))
    return str(found) if found is not None else None


def _draw(here: Screen) -> None:
    _choose(shoppers.draw_user(here, random.SystemRandom().randrange(2**31)))


def _choose(user_id: str) -> None:
    st.session_state["search-user"] = user_id


def _pick(query: str) -> None:
    st.session_state["search-query"] = query
