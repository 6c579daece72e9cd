"""Words of item texts that shoppers may lean to: a vocabulary bounded by how many shoppers touch it, told item by item."""

from collections import Counter
from collections.abc import Callable

import pyarrow as pa

from core.schema import INTEREST_TYPES
from core.store import Connection, fetch

Tokens = Callable[[str], list[tuple[str, str]]]
"""Splits a text into (word as it stands, word as it is looked up); a run of Chinese characters into single ones and pairs."""

MOST_TEXTS = 50_000
"""Items whose texts are read: those touched by most shoppers."""
MOST_WORDS = 500
"""Words looked at one by one: those of texts touched by most shoppers; with more, half of the time of traits would go into them."""
MOST_OF_ACTS = 0.5
"""A word in the texts of a larger share of what is touched tells nobody apart."""
LEAST_ITEMS = 2
"""A word of one item says what the item says."""
LONGEST = 300
"""Characters of a text that are read: a title is shorter, and the end of a description seldom says what the item is."""
SHORTEST = 3
"""Letters of a Latin word."""
EMPTY = frozenset(
    {"and", "the", "for", "with", "from", "into", "your", "you", "our", "its", "this", "that", "are", "not", "all", "new", "one",
     "two", "set", "pack", "pcs", "piece", "size", "item", "product", "products", "items", "misc", "other", "others", "inch",
     "per"}
)  # fmt: skip
"""Words that say nothing of taste in any catalogue."""

TEXTS_SQL = """
SELECT item_id, any_value(coalesce(c.title, c.description)) AS text, any_value(c.category) AS category, any_value(c.brand) AS brand,
       count(DISTINCT h.user_id) AS users
FROM history AS h JOIN catalogue AS c USING (item_id)
WHERE list_contains($interest, h.event_type::VARCHAR) AND coalesce(c.title, c.description) IS NOT NULL
GROUP BY item_id ORDER BY users DESC, item_id LIMIT $most
"""


def item_words(connection: Connection, tokens: Tokens, least: int) -> pa.Table:
    """Read which words the texts of items have: the title, or the description of an item without one.

    Words that equal a category or a brand are left out (those say it), parts of such names in Chinese as well; numbers, and
    words of a single item or of more than half of all that is touched.

    Args:
        connection: The log as of the cutoff.
        tokens: See `Tokens`.
        least: Fewest touches (shoppers, summed over items) of a word.

    Returns:
        item_id, word: as most items write it.
    """
    rows = fetch(connection, TEXTS_SQL, {"interest": list(INTEREST_TYPES), "most": MOST_TEXTS}).to_pylist()
    said = _names({name for row in rows for name in (row["category"], row["brand"]) if name}, tokens)
    touches: Counter[str] = Counter()
    items: Counter[str] = Counter()
    forms: dict[str, Counter[str]] = {}
    found: list[tuple[str, str]] = []
    for row in rows:
        own = {looked: form for form, looked in reversed(tokens(row["text"][:LONGEST])) if _tells(looked) and looked not in said}
        for looked, form in own.items():
            touches[looked] += row["users"]
            items[looked] += 1
            forms.setdefault(looked, Counter())[form] += 1
            found.append((row["item_id"], looked))
    most = MOST_OF_ACTS * sum(row["users"] for row in rows)
    fitting = [word for word, n in touches.items() if least <= n <= most and items[word] >= LEAST_ITEMS]
    kept = sorted(fitting, key=lambda word: (-touches[word], word))[:MOST_WORDS]
    shown = {word: min(forms[word].items(), key=lambda pair: (-pair[1], pair[0]))[0] for word in kept}
    pairs = [(item, shown[word]) for item, word in found if word in shown]
    return pa.table({
        "item_id": pa.array([item for item, _ in pairs], pa.string()), "word": pa.array([word for _, word in pairs], pa.string()),
    })  # fmt: skip


def _names(names: set[str], tokens: Tokens) -> set[str]:
    """Words that are the whole name of a category (or of the last step of its path) or brand, and pairs within Chinese names."""
    said: set[str] = set()
    for name in names:
        for part in {name, name.replace("_", " ").split(".")[-1]}:
            words = [looked for _, looked in tokens(part)]
            said |= {word for word in words if len(words) == 1 or not word.isascii()}
    return said


def _tells(word: str) -> bool:
    if word.isascii():
        return len(word) >= SHORTEST and word not in EMPTY and not any(c.isdigit() for c in word)
    return len(word) >= 2 and not word.isdigit()
