"""What shoppers themselves searched for, where the log has it: top queries and those that find nothing."""

import pyarrow as pa

from core.search.words import WordIndex, find_words
from core.store import Connection, fetch

MOST_QUERIES = 200
LEAST_SHOPPERS = 3
"""Queries of fewer shoppers are not shown: a single person's words may tell who she is."""

ASKED_SQL = """
SELECT lower(trim(query)) AS query, count(*) AS searches, count(DISTINCT user_id) AS users, max(event_time) AS last
FROM history WHERE trim(query) <> '' GROUP BY ALL HAVING count(DISTINCT user_id) >= $least
ORDER BY searches DESC, query LIMIT $most
"""


def asked_queries(connection: Connection, index: WordIndex) -> pa.Table:
    """List the most frequent queries of a log with how many items each finds by words.

    Returns:
        query (lower case), searches, users, last (UTC), items (at most `words.MOST_MATCHES`), corrected (what was looked up instead of
        words that no item uses, "" without).
    """
    table = fetch(connection, ASKED_SQL, {"least": LEAST_SHOPPERS, "most": MOST_QUERIES})
    found = [find_words(connection, index, query) for query in table["query"].to_pylist()]
    items = [len(match.rows) for match in found]
    corrected = [", ".join(f"{word} → {near}" for word, near in match.corrected.items()) for match in found]
    return table.append_column("items", pa.array(items, pa.int64())).append_column("corrected", pa.array(corrected, pa.string()))
