"""Items by words: an index of a catalogue as of a cutoff, kept as a folder that may be deleted at any time."""

import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import tantivy

from core.artifacts import read_table, seal, write_table
from core.errors import StorageError
from core.search.tokens import is_correctable, query_words, words_of
from core.store import Connection, fetch

FIELDS: Mapping[str, float] = {"title": 3.0, "brand": 2.0, "category": 2.0, "description": 1.0}
"""What is read of an item, and how much a word in it counts: a title says what a thing is, a description also what it goes with."""
LONGEST = 2_000
"""Characters of a field that are read."""
MOST_MATCHES = 200
"""Items that one query finds by words."""
DEEPEST = 10_000
"""Further matches that are looked through where rules bar items."""
INDEX, ITEMS, TERMS = "index", "items.parquet", "terms.parquet"
WRITER_BYTES = 64_000_000
"""Memory of the index writer; its only thread keeps equal scores in a fixed order."""

# Items that fit equally well stand in the order of how many shoppers wanted them.
ITEMS_SQL = """
WITH wanted AS (
    SELECT item_id, count(DISTINCT user_id) AS users FROM history
    WHERE event_type IN ('view', 'click', 'favourite', 'share', 'cart', 'purchase') GROUP BY item_id
)
SELECT c.item_id, c.title, c.category, c.brand, c.description, c.price::DOUBLE AS price, coalesce(w.users, 0) AS users
FROM catalogue AS c LEFT JOIN wanted AS w USING (item_id) ORDER BY users DESC, item_id
"""
NEAR_SQL = """
SELECT term, shown, items FROM (SELECT *, damerau_levenshtein(shown, $word) AS away FROM vocabulary
                                WHERE abs(length(shown) - length($word)) <= $most)
WHERE away <= 1 OR (away <= $most AND left(shown, 1) = left($word, 1))
ORDER BY away, left(shown, 1) <> left($word, 1), items DESC, shown LIMIT 1
"""


@dataclass(frozen=True)
class WordIndex:
    """An open index of I items."""

    items: pa.Table
    """item_id, title, category, brand, price, users (who wanted it); most wanted first, then by item_id."""
    terms: pa.Table
    """term (as looked up), shown (its most frequent form), items (how many use it)."""
    searcher: Any
    schema: Any

    @cached_property
    def known(self) -> frozenset[str]:
        """Words that some item uses, as they are looked up."""
        return frozenset(self.terms["term"].to_pylist())

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row of each item."""
        return {item: row for row, item in enumerate(self.items["item_id"].to_pylist())}


@dataclass(frozen=True)
class WordMatches:
    """What a query finds by words."""

    rows: list[tuple[int, float]]
    """(row of `WordIndex.items`, BM25 score), best first; equal scores by row, so the more wanted item first."""
    corrected: dict[str, str]
    """Words of the query that no item uses, and the nearest word that one does."""
    unknown: list[str]
    """Words of the query that no item uses and none is near to."""


def open_index(connection: Connection, folder: Path) -> WordIndex:
    """Open the index in a folder; it is built when it is missing or damaged.

    Args:
        connection: The log as of the cutoff that the folder stands for.
        folder: One for each (dataset, version, cutoff); its parent is made.

    Raises:
        StorageError: The index cannot be written.
    """
    with suppress(StorageError, ValueError, OSError):
        return _opened(folder)
    table = fetch(connection, ITEMS_SQL)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        (draft / INDEX).mkdir(parents=True)
        write_table(draft / TERMS, _write_index(table, draft / INDEX))
        write_table(draft / ITEMS, table.drop_columns(["description"]))
        seal(draft, {"fields": dict(FIELDS), "items": table.num_rows})
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # somebody else built it meanwhile
            draft.rename(folder)
        return _opened(folder)
    except (OSError, ValueError) as error:
        raise StorageError("The search index {path} cannot be written ({error}); free space.", path=folder, error=error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def find_words(connection: Connection, index: WordIndex, query: str, barred: frozenset[int] = frozenset()) -> WordMatches:
    """Find items that use a query's words (BM25 over weighted fields, any of the words, the more the better).

    A word that no item uses is looked up as the nearest that one does: one slip (a letter more, less, other, or two swapped) in
    words of 3 to 5 letters, two in longer ones whose first letter is right. No query language: signs are only gaps between words.

    Args:
        connection: Any; it measures the distance of words.
        index: From `open_index`.
        query: What a person typed, of any length and script.
        barred: Rows of `index.items` that are left out; among the best MOST_MATCHES and DEEPEST more the rest is found.
    """
    corrected: dict[str, str] = {}
    unknown: list[str] = []
    looked_up: list[str] = []
    for shown, looked in query_words(query):
        if looked in index.known:
            looked_up.append(looked)
        elif (near := _nearest(connection, index.terms, shown)) is not None:
            corrected[shown] = near["shown"]
            looked_up.append(near["term"])
        else:
            unknown.append(shown)
    if not looked_up:
        return WordMatches([], corrected, unknown)
    hits = index.searcher.search(_query(index.schema, looked_up), MOST_MATCHES + min(len(barred), DEEPEST), count=False).hits
    rows = [(int(index.searcher.doc(address)["row"][0]), round(float(score), 4)) for score, address in hits]
    rows = [pair for pair in rows if pair[0] not in barred][:MOST_MATCHES]
    return WordMatches(sorted(rows, key=lambda pair: (-pair[1], pair[0])), corrected, unknown)


def _nearest(connection: Connection, terms: pa.Table, word: str) -> dict[str, Any] | None:
    if not is_correctable(word):
        return None
    connection.register("vocabulary", terms)
    try:
        found = fetch(connection, NEAR_SQL, {"word": word, "most": 1 if len(word) < 6 else 2}).to_pylist()
    finally:
        connection.unregister("vocabulary")
    return dict(found[0]) if found and is_correctable(found[0]["shown"]) else None


def _query(schema: Any, terms: Sequence[str]) -> Any:
    should = tantivy.Occur.Should
    return tantivy.Query.boolean_query(
        [
            (should, tantivy.Query.boost_query(tantivy.Query.term_query(schema, field, term, index_option="freq"), weight))
            for term in terms
            for field, weight in FIELDS.items()
        ]
    )


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    for field in FIELDS:
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
    builder.add_unsigned_field("row", stored=True)
    return builder.build()


def _write_index(table: pa.Table, folder: Path) -> pa.Table:
    """Write the index and return its vocabulary."""
    schema = _schema()
    writer = tantivy.Index(schema, path=str(folder)).writer(WRITER_BYTES, 1)
    used: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    for row, item in enumerate(table.select(list(FIELDS)).to_pylist()):
        own: set[str] = set()
        document = tantivy.Document()
        document.add_unsigned("row", row)
        for field in FIELDS:
            words = words_of((item[field] or "")[:LONGEST])
            document.add_text(field, " ".join(looked for _, looked in words))
            own.update(looked for _, looked in words)
            for form, looked in words:
                forms.setdefault(looked, Counter())[form] += 1
        used.update(own)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    terms = sorted(used)
    shown = [min(forms[term].items(), key=lambda pair: (-pair[1], pair[0]))[0] for term in terms]
    return pa.table(
        {
            "term": pa.array(terms, pa.string()),
            "shown": pa.array(shown, pa.string()),
            "items": pa.array([used[term] for term in terms], pa.int64()),
        }
    )


def _opened(folder: Path) -> WordIndex:
    items, terms = read_table(folder / ITEMS), read_table(folder / TERMS)
    index = tantivy.Index.open(str(folder / INDEX))
    return WordIndex(items, terms, index.searcher(), index.schema)
