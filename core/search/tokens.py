"""Text → the words that are looked up: letters and digits of any script, Chinese by one and two characters."""

import re
import unicodedata

LONGEST_QUERY = 200
"""Characters of a query that are read; nobody types more, and a pasted book must not cost seconds."""
MOST_WORDS = 24
"""Words of a query that are looked up."""

_RUNS = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+)|([^\W_]+)")
_SIBILANT = ("sses", "xes", "ches", "shes", "zes")


def spelled(text: str) -> str:
    """Fold width, case and compatible forms, so that `Ｓhirt` and `shirt` are one word."""
    return unicodedata.normalize("NFKC", text).casefold()


def words_of(text: str) -> list[tuple[str, str]]:
    """Split a text into (word as it stands, word as it is looked up), in order.

    Latin words lose a plural s (`stem`). A run of Chinese characters or kana gives each single character and each pair of
    neighbours, so that no dictionary has to know the words of a catalogue.
    """
    found: list[tuple[str, str]] = []
    for run, word in _RUNS.findall(spelled(text)):
        if run:
            found += [(c, c) for c in run]
            found += [(run[i : i + 2], run[i : i + 2]) for i in range(len(run) - 1)]
        else:
            found.append((word, stem(word)))
    return found


def query_words(query: str) -> list[tuple[str, str]]:
    """Split a query: as `words_of`, but a run of two or more Chinese characters is looked up by its pairs alone, each word once."""
    found: list[tuple[str, str]] = []
    for run, word in _RUNS.findall(spelled(query[:LONGEST_QUERY])):
        if run:
            found += [(run[i : i + 2], run[i : i + 2]) for i in range(len(run) - 1)] or [(run, run)]
        else:
            found.append((word, stem(word)))
    return list({looked: (shown, looked) for shown, looked in reversed(found)}.values())[::-1][:MOST_WORDS]


def stem(word: str) -> str:
    """Take a plural s off (the S stemmer of Harman 1991, "How effective is suffixing?", with the sibilants that it misses)."""
    if len(word) < 4 or not word.isascii():
        return word
    if word.endswith(_SIBILANT):
        return word[:-2]
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return f"{word[:-3]}y"
    if word.endswith("s") and not word.endswith(("us", "ss")):
        return word[:-1]
    return word


def is_correctable(word: str) -> bool:
    """Whether a word may be a slip of the pen: short ones, numbers and Chinese are taken as they stand."""
    return len(word) >= 3 and word.isascii() and not any(c.isdigit() for c in word)
