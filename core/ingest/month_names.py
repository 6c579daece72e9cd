"""Dates with the month as a word in other languages than English: SQL that spells them as `12 Mar 2024 14:05`."""

from functools import cache
from typing import Final
from unicodedata import combining, normalize

from babel import Locale

_LANGUAGES: Final = ("fr", "de", "es", "it", "pt", "nl", "sv", "da", "nb", "pl", "fi", "tr", "cs", "ro", "hu", "ca")
"""No word of these, without its accents, means two months."""
_ENGLISH: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MANNERS: Final = (
    (r"^[a-z]+[.,]* *([0-9])", r"\1"),  # the day of the week
    (r"([0-9])(er|º|ª|ro|e)\b", r"\1"),
    (r"([0-9])\.( |$)", r"\1\2"),
    (r"\b(de|del|den|di|d)\b['’ ]*", ""),
    (r",? (a las|alle|alle ore|ore|as|um|kl|klo|om|a|o)\b[.:]? *([0-9])", r" \2"),
    (r"\b([0-9]{1,2}) ?[hu] ?([0-9]{2})\b", r"\1:\2"),
    (r" *(uhr|heures?)$", ""),
    (r"([0-9]{4}), *([0-9])", r"\1 \2"),
)
"""Signs and words around the numbers of a date, and what they are written as; months are English by then, with a capital."""


@cache
def month_words() -> dict[str, int]:
    """Return the months' names and short forms in many languages, lower case without accents → 1-12 (Unicode CLDR, by Babel)."""
    found: dict[str, int] = {}
    for language in _LANGUAGES:
        months = Locale.parse(language).months
        for place in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for month, name in months[place][width].items():
                    word = bare_word(name).removeprefix("de ").removeprefix("d’").strip()
                    if len(word) > 2 and word.isalpha():
                        found[word] = month
    return found


def bare_word(text: str) -> str:
    """Spell a word in lower case, without accents and a closing point: `Févr.` → `fevr`."""
    text = normalize("NFKD", text.lower().replace("ı", "i").rstrip("."))
    return "".join(sign for sign in text if not combining(sign))


def in_english(column: str) -> str:
    """Return SQL that spells a date's month in English, and the date as day, month and year divide it: `3. März 2024` → `3 Mar 2024`."""
    sql = f"lower(strip_accents(replace(replace({column}, 'ı', 'i'), 'ß', 'ss')))"
    words: dict[int, list[str]] = {}
    for word, month in month_words().items():
        words.setdefault(month, []).append(word)
    for month, spellings in sorted(words.items()):
        choices = "|".join(sorted(spellings, key=lambda word: (-len(word), word)))
        sql = rf"regexp_replace({sql}, '\b({choices})\b\.?', '{_ENGLISH[month - 1]}')"
    for pattern, spelled in _MANNERS:
        quoted = pattern.replace("'", "''")
        sql = f"regexp_replace({sql}, '{quoted}', '{spelled}', 'g')"
    return f"trim({sql})"
