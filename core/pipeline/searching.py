"""What the Search page and the verb `search` read: items for a query, plain and in a shopper's own order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.artifacts import read_arrays, read_rows, read_table
from core.encoder.models import Checkpoint
from core.encoder.queries import VECTORS_FILE, encode_query, query_checkpoint
from core.errors import CoreError, ModelError, NotFoundError
from core.messages import Message, joined, say
from core.pipeline.map_cells import told_frame
from core.pipeline.offering import barred_now
from core.pipeline.screens import Screen
from core.search import asked as asked_stage
from core.search.fusing import fuse
from core.search.meaning import find_meaning
from core.search.personal import ACTS_SQL, SHARES_SQL, SIGNALS, reorder, touch_score
from core.search.tokens import LONGEST_QUERY
from core.search.words import MOST_MATCHES, WordIndex, WordMatches, find_words, open_index
from core.small_cells import Cells
from core.store import Connection, Home, Log, fetch, scalar

MOST_ROWS = 100
"""Longest list of matches."""
QUERIES = Cells(labels=("query", "items", "corrected", "last"), people=("users",), acts={"searches": "users"})
MOST_LOOKED = 500
"""Most wanted items among which examples are looked for."""
MOST_COUNTED, LEAST_SHOPPERS = MOST_MATCHES, asked_stage.LEAST_SHOPPERS
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """A dataset as of a cutoff: its log and the runs that had seen no more; what is read of it is kept for the next query."""

    screen: Screen
    log: Log
    profiles: Path | None
    propensity: Path | None
    cutoff: datetime | None = None


@dataclass(frozen=True)
class Found:
    """The matches of a query."""

    query: str
    user_id: str | None
    strength: float
    rows: pd.DataFrame
    """place (personal, from 1), plain_place, moved, item_id, title, category, brand, price, words (place by words or None), meaning (place
    by meaning), similarity, closeness, category_lift, purchases, carts, views, why (Message); in the personal order."""
    suggestion: str | None
    """The query with the words that no item uses replaced by the nearest that one does."""
    notes: list[Message] = field(default_factory=list)

    @property
    def plain(self) -> pd.DataFrame:
        """The same rows in the order that is the same for everyone."""
        return self.rows.sort_values("plain_place", kind="stable").reset_index(drop=True)


def reading(screen: Screen, cutoff: datetime | None = None) -> Reading:
    """Pin the log and the runs as of a cutoff; without one, those on screen.

    Raises:
        CutoffError: No event lies before the cutoff.
    """
    found: dict[str, Path | None] = {}
    for kind in ("profiles", "propensity"):
        run = screen.run_id(kind) if cutoff is None else _run_as_of(screen, kind, cutoff)
        found[kind] = screen.dataset.run_path(kind, run) if run else None
    return Reading(screen, screen.dataset.log(cutoff, screen.version), found["profiles"], found["propensity"], cutoff)


def search(
    screen: Screen,
    query: str,
    user_id: str | None = None,
    strength: float = 0.5,
    k: int = 20,
    cutoff: datetime | None = None,
    _rules: str = "",
) -> Found:
    """Find the `k` items that fit a query best, by words and by meaning, and put them into a shopper's order.

    What the rules in force bar for everyone is left out; `_rules` tells which set that is.

    Args:
        screen: What to read.
        query: Anything that a person may type; LONGEST_QUERY characters of it are read.
        user_id: Whose order; None for everybody's.
        strength: 0 (everybody's order) to 1 (her own alone).
        k: Longest list, at most MOST_ROWS.
        cutoff: Behave as if the log ended here; meaning and profiles then need runs of that very cutoff.

    Raises:
        NotFoundError: There is no such shopper.
        CutoffError: No event lies before the cutoff.
    """
    here = reading(screen, cutoff)
    notes: list[Message] = []
    if len(query) > LONGEST_QUERY:
        notes.append(say("The first {most} of {n:,} characters were read.", most=LONGEST_QUERY, n=len(query)))
    query = query[:LONGEST_QUERY]
    with here.log.history() as connection:
        if user_id is not None and not scalar(connection, "SELECT count(*) FROM history WHERE user_id = $id", {"id": user_id}):
            raise NotFoundError("There is no shopper {user!r} in dataset {dataset!r}.", user=user_id[:60], dataset=screen.name)
        index = _index(here)
        barred = frozenset(index.row_of[item] for item in barred_now(screen) if item in index.row_of)
        words = find_words(connection, index, query, barred)
        suggestion = _suggestion(query, words.corrected)
        meaning = _by_meaning(here, index, suggestion or query, barred, notes) if query.strip() else []
        fused = fuse([[row for row, _ in words.rows], [row for row, _ in meaning]], min(k, MOST_ROWS))
        rows = _rows(index, fused, words.rows, meaning)
        _tell(query, words, meaning, notes)
        if barred and query.strip():
            notes.append(say("Items that the rules in force bar are left out."))
        if user_id is not None and len(rows):
            rows = _personal(here, connection, rows, user_id, strength, notes)
    return Found(query, user_id, strength, rows, suggestion, notes)


def asked(screen: Screen) -> pd.DataFrame | None:
    """Return the queries of the log's shoppers (see `asked_queries`), or None when the log knows no queries.

    While small cells are hidden, queries of fewer shoppers are left out: a query can name its author.
    """
    here = reading(screen)
    if "query" not in here.log.columns_present:
        return None
    with here.log.history() as connection:
        found: pd.DataFrame = asked_stage.asked_queries(connection, _index(here)).to_pandas()
    return told_frame(screen, QUERIES, found[found["users"] >= screen.small_cells].reset_index(drop=True))


def most_wanted(screen: Screen, k: int = 20, _rules: str = "") -> pd.DataFrame:
    """Return the items that most shoppers wanted, without those that the rules in force bar: item_id, title, category, brand, price."""
    items = _index(reading(screen)).items
    allowed = items.filter(pc.invert(pc.is_in(items["item_id"], pa.array(sorted(barred_now(screen)), pa.string()))))
    found: pd.DataFrame = allowed.slice(0, k).drop_columns(["users"]).to_pandas()
    return found


def examples(screen: Screen, most: int = 6, _rules: str = "") -> list[str]:
    """Return queries to begin with: the most frequent of the log's shoppers, else categories and titles that are wanted most.

    Empty when the catalogue has no words either.
    """
    table = asked(screen)
    if table is not None and len(table):
        return list(table["query"].head(most))
    wanted = most_wanted(screen, MOST_LOOKED)
    named = [list(dict.fromkeys(wanted[column].dropna())) for column in ("category", "title")]
    kinds, titles = named[0][: most - min(len(named[1]), most // 2)], named[1]
    return list(dict.fromkeys([*kinds, *titles]))[:most]


def search_record(found: Found) -> dict[str, Any]:
    """The matches of a query as a record for JSON."""
    names = ["place", "plain_place", "moved", "item_id", "title", "category", "price", "words", "meaning", "similarity", "why"]
    rows = found.rows.reindex(columns=names).astype(object)
    return {
        "query": found.query,
        "user": found.user_id,
        "strength": found.strength,
        "did_you_mean": found.suggestion,
        "results": rows.where(rows.notna(), None).to_dict("records"),
        "plain": list(found.plain["item_id"]) if len(found.rows) else [],
        "warnings": found.notes,
    }


def query_vector(here: Reading, text: str) -> npt.NDArray[np.float32]:
    """Encode a text as the items of the pinned profiles were encoded (D,).

    Raises:
        ModelError: The profiles hold no texts, or their model cannot read a query here.
    """
    if here.profiles is None or not (here.profiles / VECTORS_FILE).is_file():
        raise ModelError("Items have no text vectors yet, so they are found by their words alone; compute the profiles first.")
    card = here.screen.dataset.run_manifest("profiles", here.profiles.name)["card"]
    checkpoint = _checkpoint(tuple(sorted((key, str(card.get(key))) for key in ("model", "checkpoint", "fingerprint"))), here.screen.home)
    return encode_query(checkpoint, text, read_arrays(here.profiles / VECTORS_FILE).get("centre"))


@lru_cache(maxsize=2)
def item_vectors(here: Reading) -> tuple[list[str], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return (item_ids, row of each item in the vectors or -1, unit vectors (T, D)) of the pinned profiles.

    Raises:
        ModelError: The profiles hold no texts.
    """
    if here.profiles is None or not (here.profiles / VECTORS_FILE).is_file():
        raise ModelError("Items have no text vectors yet, so they are found by their words alone; compute the profiles first.")
    table = read_table(here.profiles / "items.parquet", ["item_id", "text_index"])
    vectors = read_arrays(here.profiles / VECTORS_FILE)["vectors"]
    return table["item_id"].to_pylist(), table["text_index"].to_numpy().astype(np.int32), vectors


@lru_cache(maxsize=2)
def _checkpoint(card: tuple[tuple[str, str], ...], home: Path) -> Checkpoint:
    """Kept, because the files of a model are checked by their sha256 when it is found."""
    return query_checkpoint(dict(card), home / "cache")


@lru_cache(maxsize=2)
def _index(here: Reading) -> WordIndex:
    until = "" if here.cutoff is None else f"-{here.cutoff:%Y%m%dT%H%M%S%f}"
    folder = Home(here.screen.home).cache("search") / f"{here.screen.name}-{here.screen.version}{until}"
    with here.log.history() as connection:
        return open_index(connection, folder)


def _run_as_of(screen: Screen, kind: str, cutoff: datetime) -> str | None:
    for run_id in reversed(screen.dataset.runs(kind)):
        record = screen.dataset.run_manifest(kind, run_id)
        if record.get("cutoff") == cutoff.isoformat() and (record.get("inputs") or {}).get("version") == screen.version:
            return run_id
    return None


def _by_meaning(here: Reading, index: WordIndex, query: str, barred: frozenset[int], notes: list[Message]) -> list[tuple[int, float]]:
    """Matches by meaning as rows of the word index; a note says why there are none."""
    try:
        vector = query_vector(here, query)
        item_ids, text_index, vectors = item_vectors(here)
    except CoreError as error:
        notes.append(error.message)
        return []
    row_of = index.row_of  # an item that came later than the profiles, or left since, has only one of the two
    ordered = np.array([row_of.get(item, -1) for item in item_ids])
    places = np.argsort(ordered, kind="stable")
    places = places[(ordered[places] >= 0) & ~np.isin(ordered[places], list(barred))]
    pairs = find_meaning(vectors, text_index[places], vector)
    return [(int(ordered[places[row]]), cosine) for row, cosine in pairs]


def _rows(
    index: WordIndex, fused: list[tuple[int, float]], words: list[tuple[int, float]], meaning: list[tuple[int, float]]
) -> pd.DataFrame:
    by_words = {row: place for place, (row, _) in enumerate(words, start=1)}
    by_meaning = {row: place for place, (row, _) in enumerate(meaning, start=1)}
    cosines = dict(meaning)
    chosen = [row for row, _ in fused]
    frame: pd.DataFrame = index.items.take(pa.array(chosen, pa.int64())).to_pandas()
    places = np.arange(1, len(chosen) + 1)
    frame = frame.assign(
        place=places,
        plain_place=places,
        moved=0,
        words=pd.array([by_words.get(row) for row in chosen], dtype="Int64"),
        meaning=pd.array([by_meaning.get(row) for row in chosen], dtype="Int64"),
        similarity=pd.array([cosines.get(row) for row in chosen], dtype="Float64"),
    )
    frame["why"] = pd.Series(
        [_why_found(row) for row in _records(frame)], frame.index, dtype=object
    )  # a column of texts would forget the parts
    return frame


def _why_found(row: Mapping[str, Any]) -> Message:
    told: list[Message] = []
    if not pd.isna(row["words"]):
        told.append(say("place {n} by words", n=int(row["words"])))
    if not pd.isna(row["meaning"]):
        told.append(say("place {n} by meaning", n=int(row["meaning"])))
    return joined(told, "{first}, {second}")


def _tell(query: str, words: WordMatches, meaning: list[tuple[int, float]], notes: list[Message]) -> None:
    if not query.strip():
        notes.append(say("Type what a shopper would search for."))
    for word, near in words.corrected.items():
        notes.append(say("No item uses “{word}”; “{near}” was looked up instead.", word=word, near=near))
    notes += [say("No item uses “{word}”.", word=word) for word in words.unknown]
    if query.strip() and not words.rows and meaning:
        notes.append(say("No item holds these words; those below are near by meaning."))
    elif query.strip() and not words.rows and not meaning:
        notes.append(say("No item was found."))


def _suggestion(query: str, corrected: Mapping[str, str]) -> str | None:
    if not corrected:
        return None
    return " ".join(corrected.get(word.casefold(), word) for word in query.split())


def _personal(
    here: Reading, connection: Connection, rows: pd.DataFrame, user_id: str, strength: float, notes: list[Message]
) -> pd.DataFrame:
    """The same rows in a shopper's order, with what moved them."""
    items = list(rows["item_id"])
    acts = {row["item_id"]: row for row in fetch(connection, ACTS_SQL, {"user_id": user_id, "items": items}).to_pylist()}
    counts = [acts.get(item, {}) for item in items]
    lifts = _category_lifts(here, connection, user_id)
    rows = rows.assign(
        closeness=_closeness(here, user_id, items),
        category_lift=[lifts.get(category, np.nan) if isinstance(category, str) else np.nan for category in rows["category"]],
        touches=[touch_score(row) for row in counts],
        **{name: [int(row.get(name, 0)) for row in counts] for name in ("purchases", "carts", "views")},
    )
    signals: dict[str, Floats] = {name: rows[name].to_numpy(np.float64) for name in SIGNALS}
    if not any(np.isfinite(values).any() and np.nanmax(values) > np.nanmin(values) for values in signals.values()):
        notes.append(say("Nothing is known of this shopper that would move these items."))
    order, _liking = reorder(signals, strength)
    rows = rows.iloc[order].reset_index(drop=True)
    rows["place"] = np.arange(1, len(rows) + 1)
    rows["moved"] = rows["plain_place"] - rows["place"]
    closest = rows["closeness"].rank(ascending=False, method="min")
    told = [_why_moved(row, place) for row, place in zip(_records(rows), closest, strict=True)]
    rows["why"] = pd.Series(told, rows.index, dtype=object)
    return rows


def _why_moved(row: Mapping[str, Any], closest: float) -> Message:
    told: list[Message] = []
    if row["purchases"]:
        told.append(say("bought {n:,}×", n=row["purchases"]))
    if row["carts"]:
        told.append(say("in the cart or saved {n:,}×", n=row["carts"]))
    if row["views"]:
        told.append(say("viewed {n:,}×", n=row["views"]))
    if np.isfinite(row["closeness"]):
        told.append(say("place {n} by closeness to the profile ({cosine:.2f})", n=int(closest), cosine=row["closeness"]))
    if np.isfinite(row["category_lift"]):
        told.append(say("{lift:.1f}× as likely as others in “{category}”", lift=row["category_lift"], category=row["category"]))
    return joined([*told, row["why"]], "{first}, {second}")


def _closeness(here: Reading, user_id: str, items: list[str]) -> Floats:
    """Cosine of the shopper's text profile and each item's text (M,); NaN where one of them is missing."""
    found = np.full(len(items), np.nan)
    profile = _profile(here, user_id)
    if profile is None:
        return found
    item_ids, text_index, vectors = item_vectors(here)
    row_of = dict(zip(item_ids, text_index, strict=True))
    rows = np.array([row_of.get(item, -1) for item in items])
    known = rows >= 0
    found[known] = np.round(vectors[rows[known]] @ profile, 4)
    return found


def _profile(here: Reading, user_id: str) -> npt.NDArray[np.float32] | None:
    if here.profiles is None or not (here.profiles / "text.safetensors").is_file() or not (here.profiles / VECTORS_FILE).is_file():
        return None
    users = read_table(here.profiles / "counts.parquet", ["user_id"])["user_id"]
    at = pc.index(users, user_id).as_py()
    if at < 0:
        return None
    own = next(read_rows(here.profiles / "text.safetensors", "text", at, at + 1))[1][0].astype(np.float32)
    norm = float(np.linalg.norm(own))
    return own / norm if norm > 1e-6 else None


def _category_lifts(here: Reading, connection: Connection, user_id: str) -> dict[str, float]:
    """Her chance to buy in each category against the mean of all; without trained chances, her share of acts against that of all."""
    path = here.propensity / "categories.parquet" if here.propensity else None
    if path is not None and path.is_file():
        table = read_table(path, ["user_id", "category", "propensity"])
        means = dict(zip(*_columns(table.group_by("category").aggregate([("propensity", "mean")])), strict=True))
        own = table.filter(pc.equal(table["user_id"], user_id)).to_pylist()
        if own:
            return {row["category"]: row["propensity"] / means[row["category"]] for row in own if means[row["category"]] > 0}
    return {row["category"]: float(row["lift"]) for row in fetch(connection, SHARES_SQL, {"user_id": user_id}).to_pylist()}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def _columns(table: pa.Table) -> tuple[list[Any], list[Any]]:
    return table["category"].to_pylist(), table["propensity_mean"].to_pylist()
