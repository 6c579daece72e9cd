"""What a model reads about an item: one line of text made from the catalogue as of the cutoff."""

import html
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from core.store import Connection, fetch

LONGEST = {"title": 300, "category": 150, "brand": 80, "description": 600}
"""Characters kept of each part: about what 256 tokens hold; the rest of a long description is boilerplate in shops."""

PRICE_DRIFT = 0.1
"""Largest share of the priced items that an earlier catalogue's price points may call otherwise than this one's would, and still serve.
Such an item is called by the word next to its own. One new item shifts each of four points by one item at most, so it moves no text of
a catalogue of forty."""

# Only a tag that starts like one is taken out: `size < 5 > 3` stays.
_PLAIN_SQL = r"""
CREATE OR REPLACE TEMP MACRO plain_text(raw) AS
    nullif(trim(regexp_replace(regexp_replace(raw, '</?[A-Za-z!][^<>]*>', ' ', 'g'), '[\s\x00-\x1f\x7f]+', ' ', 'g')), '')
"""

_BAND_SQL = """
CREATE OR REPLACE TEMP MACRO price_band(price, points) AS
    CASE WHEN price IS NULL OR price <= 0 OR points[1] = points[4] THEN NULL
         WHEN price <= points[1] THEN 'very low price'
         WHEN price <= points[2] THEN 'low price'
         WHEN price <= points[3] THEN 'medium price'
         WHEN price <= points[4] THEN 'high price'
         ELSE 'very high price' END
"""

# Of the catalogue's prices known at the cutoff; quantile_disc takes prices that exist, so no rounding enters.
_POINTS_SQL = """
SELECT CAST(quantile_disc(price, [0.1, 0.3, 0.7, 0.9]) AS DOUBLE[]) FROM catalogue WHERE price > 0
"""

_MOVED_SQL = """
SELECT avg(CAST(price_band(price, CAST($own AS DECIMAL(18, 4)[]))
                IS DISTINCT FROM price_band(price, CAST($kept AS DECIMAL(18, 4)[])) AS INTEGER))
FROM catalogue WHERE price > 0
"""

_TEXTS_SQL = """
WITH plain AS (
    SELECT item_id, price, plain_text(title) AS title, plain_text(category) AS category, plain_text(brand) AS brand,
           plain_text(description) AS description
    FROM catalogue
), parts AS (
    SELECT item_id, left(title, $title) AS title, left(category, $category) AS category, left(brand, $brand) AS brand,
           left(description, $description) AS description,
           coalesce(length(title) > $title, false) OR coalesce(length(category) > $category, false)
               OR coalesce(length(brand) > $brand, false) OR coalesce(length(description) > $description, false) AS is_cut,
           price_band(price, CAST($points AS DECIMAL(18, 4)[])) AS band
    FROM plain
)
SELECT item_id, CASE WHEN coalesce(title, category, brand, description) IS NOT NULL
                     THEN concat_ws(' | ', title, category, brand, band, description) END AS text, is_cut
FROM parts
ORDER BY item_id
"""


@dataclass(frozen=True)
class PricePoints:
    """The prices at which the words for a price change."""

    points: tuple[float, ...]
    """Four, rising; empty for a catalogue without prices."""
    kept: bool = False
    """Whether they are those of an earlier catalogue."""
    moved: float = 0.0
    """Share of the priced items that this catalogue's own points would call otherwise."""


def price_points(connection: Connection, kept: tuple[float, ...] | None = None) -> PricePoints:
    """Find the 10, 30, 70, 90 % points of the catalogue's prices as of the connection's cutoff.

    Args:
        connection: From Log.history.
        kept: Points of an earlier catalogue of this log: they serve while they call at most PRICE_DRIFT of the items otherwise.
    """
    own = tuple(connection.execute(_POINTS_SQL).fetchall()[0][0] or ())
    if not kept or not own or kept == own:
        return PricePoints(own, kept=bool(own) and kept == own)
    connection.execute(_BAND_SQL)
    moved = float(connection.execute(_MOVED_SQL, {"own": list(own), "kept": list(kept)}).fetchall()[0][0])
    return PricePoints(kept, kept=True, moved=moved) if moved <= PRICE_DRIFT else PricePoints(own)


def item_texts(connection: Connection, points: PricePoints | None = None) -> pa.Table:
    """Return (item_id, text, is_cut) for the whole catalogue as of the connection's cutoff, sorted by item_id.

    A text is `title | category | brand | price band | description` without empty parts, mark-up and runs of white
    space. The price band (very low … very high: up to the 10, 30, 70, 90 % points of the catalogue) tells five texts
    apart, not a text per price. An item about which nothing but a price is known has text NULL. Where a part was longer than
    LONGEST, `is_cut` says so.

    Args:
        connection: From Log.history.
        points: From `price_points`; None takes the catalogue's own.
    """
    chosen = points or price_points(connection)
    connection.execute(_PLAIN_SQL)
    connection.execute(_BAND_SQL)
    table = fetch(connection, _TEXTS_SQL, {**LONGEST, "points": list(chosen.points)})
    texts = pc.dictionary_encode(table["text"]).combine_chunks()
    clean = [" ".join(html.unescape(text).split()) if "&" in text else text for text in texts.dictionary.to_pylist()]
    values = pa.array(clean, pa.string()).take(texts.indices) if len(clean) else pa.nulls(len(table), pa.string())
    return pa.table({"item_id": table["item_id"], "text": values, "is_cut": table["is_cut"]})


def distinct_texts(table: pa.Table) -> tuple[list[str], frozenset[str]]:
    """The distinct texts of what `item_texts` returns, sorted, and those of them that a part was cut of."""
    cut = table.filter(table["is_cut"])["text"].drop_null().to_pylist()
    return sorted(set(table["text"].drop_null().to_pylist())), frozenset(cut)
