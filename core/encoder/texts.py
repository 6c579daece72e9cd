"""What a model reads about an item: one line of text made from the catalogue as of the cutoff."""

import html

import pyarrow as pa
import pyarrow.compute as pc

from core.store import Connection, fetch

LONGEST = {"title": 300, "category": 150, "brand": 80, "description": 600}
"""Characters kept of each part: about what 256 tokens hold; the rest of a long description is boilerplate in shops."""

# Only a tag that starts like one is taken out: `size < 5 > 3` stays.
_PLAIN_SQL = r"""
CREATE OR REPLACE TEMP MACRO plain_text(raw) AS
    nullif(trim(regexp_replace(regexp_replace(raw, '</?[A-Za-z!][^<>]*>', ' ', 'g'), '[\s\x00-\x1f\x7f]+', ' ', 'g')), '')
"""

# Deciles of the catalogue's prices known at the cutoff; quantile_disc takes prices that exist, so no rounding enters.
_TEXTS_SQL = """
WITH deciles AS (
    SELECT quantile_disc(price, [0.1, 0.3, 0.7, 0.9]) AS points FROM catalogue WHERE price > 0
), plain AS (
    SELECT item_id, price, plain_text(title) AS title, plain_text(category) AS category, plain_text(brand) AS brand,
           plain_text(description) AS description
    FROM catalogue
), parts AS (
    SELECT item_id, left(title, $title) AS title, left(category, $category) AS category, left(brand, $brand) AS brand,
           left(description, $description) AS description,
           coalesce(length(title) > $title, false) OR coalesce(length(category) > $category, false)
               OR coalesce(length(brand) > $brand, false) OR coalesce(length(description) > $description, false) AS is_cut,
           CASE WHEN price IS NULL OR price <= 0 OR points[1] = points[4] THEN NULL
                WHEN price <= points[1] THEN 'very low price'
                WHEN price <= points[2] THEN 'low price'
                WHEN price <= points[3] THEN 'medium price'
                WHEN price <= points[4] THEN 'high price'
                ELSE 'very high price' END AS band
    FROM plain CROSS JOIN deciles
)
SELECT item_id, CASE WHEN coalesce(title, category, brand, description) IS NOT NULL
                     THEN concat_ws(' | ', title, category, brand, band, description) END AS text, is_cut
FROM parts
ORDER BY item_id
"""


def item_texts(connection: Connection) -> pa.Table:
    """Return (item_id, text, is_cut) for the whole catalogue as of the connection's cutoff, sorted by item_id.

    A text is `title | category | brand | price band | description` without empty parts, mark-up and runs of white
    space. The price band (very low … very high: up to the 10, 30, 70, 90 % points of the catalogue) tells five texts
    apart, not a text per price. An item about which nothing but a price is known has text NULL. Where a part was longer than
    LONGEST, `is_cut` says so.
    """
    connection.execute(_PLAIN_SQL)
    table = fetch(connection, _TEXTS_SQL, dict(LONGEST))
    texts = pc.dictionary_encode(table["text"]).combine_chunks()
    clean = [" ".join(html.unescape(text).split()) if "&" in text else text for text in texts.dictionary.to_pylist()]
    values = pa.array(clean, pa.string()).take(texts.indices) if len(clean) else pa.nulls(len(table), pa.string())
    return pa.table({"item_id": table["item_id"], "text": values, "is_cut": table["is_cut"]})


def distinct_texts(table: pa.Table) -> tuple[list[str], frozenset[str]]:
    """The distinct texts of what `item_texts` returns, sorted, and those of them that a part was cut of."""
    cut = table.filter(table["is_cut"])["text"].drop_null().to_pylist()
    return sorted(set(table["text"].drop_null().to_pylist())), frozenset(cut)
