"""Histories as short texts: what a language model reads of a shopper, newest first, in a fixed budget of tokens."""

from collections.abc import Sequence

from tokenizers import Tokenizer

from core.store import Connection, fetch

TOKENS = 64
"""Of a narrative; twice as many cost twice as much for acts that are older still."""
MOST_ACTS = 60
"""Newest acts that a narrative is made of; more would not fit in any budget that pays."""

# An item is named by its title, else its category, else its brand; an id says nothing to a language model. Equal acts on equal
# names are told once, with their number, at the place of the newest.
_NARRATIVES_SQL = """
WITH acts AS (
    SELECT history.user_id, event_time, coalesce(title, category, brand) AS name,
           CASE CAST(event_type AS VARCHAR)
                WHEN 'purchase' THEN 'bought' WHEN 'cart' THEN 'put in cart' WHEN 'view' THEN 'viewed' WHEN 'click' THEN 'clicked'
                WHEN 'favourite' THEN 'saved' WHEN 'share' THEN 'shared' WHEN 'remove_from_cart' THEN 'took out of cart'
                WHEN 'refund' THEN 'sent back' WHEN 'search' THEN 'searched' ELSE 'did' END AS verb,
           row_number() OVER (PARTITION BY history.user_id
                              ORDER BY event_time DESC, source_file DESC, source_row DESC, event_type DESC) AS age
    FROM history LEFT JOIN catalogue USING (item_id)
    WHERE event_type <> 'impression'
), told AS (
    SELECT user_id, verb, name, count(*) AS times, min(age) AS age
    FROM acts WHERE age <= $most AND name IS NOT NULL GROUP BY ALL
), lines AS (
    SELECT user_id,
           string_agg(concat(verb, ' ', name, CASE WHEN times > 1 THEN concat(' x', times) ELSE '' END), ', ' ORDER BY age) AS line
    FROM told GROUP BY user_id
), rhythm AS (
    SELECT user_id, count(*) FILTER (event_type = 'purchase') AS purchases, count(*) AS acts,
           1 + date_diff('day', min(event_time), max(event_time)) AS days
    FROM history WHERE event_type <> 'impression' GROUP BY user_id
), everyone AS (
    SELECT DISTINCT user_id FROM history
)
SELECT user_id,
       CASE WHEN acts IS NULL THEN 'no acts'
            ELSE concat(purchases, ' purchases of ', acts, ' acts in ', days, ' days',
                        CASE WHEN line IS NULL THEN '' ELSE concat(': ', line) END) END AS text
FROM everyone LEFT JOIN rhythm USING (user_id) LEFT JOIN lines USING (user_id)
ORDER BY user_id
"""

# Without days and sums, which would name a shopper before her taste does.
_HALVES_SQL = """
WITH acts AS (
    SELECT history.user_id, event_time, coalesce(title, category, brand) AS name,
           CASE CAST(event_type AS VARCHAR)
                WHEN 'purchase' THEN 'bought' WHEN 'cart' THEN 'put in cart' WHEN 'view' THEN 'viewed' WHEN 'click' THEN 'clicked'
                WHEN 'favourite' THEN 'saved' WHEN 'share' THEN 'shared' WHEN 'remove_from_cart' THEN 'took out of cart'
                WHEN 'refund' THEN 'sent back' WHEN 'search' THEN 'searched' ELSE 'did' END AS verb,
           row_number() OVER (PARTITION BY history.user_id
                              ORDER BY event_time DESC, source_file DESC, source_row DESC, event_type DESC) AS age
    FROM history LEFT JOIN catalogue USING (item_id)
    WHERE event_type <> 'impression'
), named AS (
    SELECT user_id, verb, name, age, ntile(2) OVER (PARTITION BY user_id ORDER BY age) AS half
    FROM acts WHERE age <= $most AND name IS NOT NULL
), told AS (
    SELECT user_id, half, verb, name, count(*) AS times, min(age) AS age FROM named GROUP BY ALL
), lines AS (
    SELECT user_id, half,
           string_agg(concat(verb, ' ', name, CASE WHEN times > 1 THEN concat(' x', times) ELSE '' END), ', ' ORDER BY age) AS line
    FROM told GROUP BY ALL
)
SELECT user_id, any_value(line) FILTER (half = 1) AS newer, any_value(line) FILTER (half = 2) AS older
FROM lines GROUP BY user_id HAVING count(*) = 2
ORDER BY user_id
"""


def halves(connection: Connection) -> tuple[list[str], list[str], list[str]]:
    """Tell the newer and the older half of each history as a text of its own.

    Args:
        connection: From Log.history(cutoff).

    Returns:
        Users with at least two acts on something that has a name, sorted; their newer halves; their older halves.
    """
    table = fetch(connection, _HALVES_SQL, {"most": MOST_ACTS})
    return table["user_id"].to_pylist(), table["newer"].to_pylist(), table["older"].to_pylist()


def narratives(connection: Connection) -> tuple[list[str], list[str]]:
    """Tell the history of every user before the connection's cutoff.

    Days are counted from her first act to her newest, never to the cutoff: a text changes when its user acts, not because others do
    and time goes by (docs/decisions/0016). How long ago that was is for counts to tell.

    Args:
        connection: From Log.history(cutoff).

    Returns:
        All users of the history, sorted, and a text each, such as
        `12 purchases of 40 acts in 90 days: bought soft drinks x2, viewed milk`; days are those of the calendar (UTC).
    """
    table = fetch(connection, _NARRATIVES_SQL, {"most": MOST_ACTS})
    return table["user_id"].to_pylist(), table["text"].to_pylist()


def cut_to(tokenizer: Tokenizer, texts: Sequence[str], tokens: int) -> tuple[list[str], int]:
    """Cut texts to a budget of tokens, special marks counted, so that a cached vector is of what was read.

    Returns:
        The texts, each a beginning of what was given, and how many were cut.
    """
    kept, cut = [], 0
    room = max(1, tokens - tokenizer.num_special_tokens_to_add(False))
    for text, encoding in zip(texts, tokenizer.encode_batch(list(texts), add_special_tokens=False), strict=True):
        if len(encoding.ids) > room:
            text, cut = text[: encoding.offsets[room - 1][1]], cut + 1
        kept.append(text)
    return kept, cut
