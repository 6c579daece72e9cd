"""A report in the reader's language, read from the same catalogues as the screen."""

from functools import lru_cache
from pathlib import Path

from babel.messages.pofile import read_po

from core.messages import Message
from core.report.record import Tell

LANGUAGES = {"en": "en", "zh": "zh_CN"}
FOLDER = Path(__file__).resolve().parents[2] / "locale"


def speaker(language: str) -> Tell:
    """Return what says sentences of core in a language; one without translation stays English."""
    words = _words(language) if language != "en" else {}

    def tell(sentence: str) -> str:
        if not isinstance(sentence, Message) or not words:
            return str(sentence)
        template = words.get(sentence.template, sentence.template)
        values = {name: tell(value) if isinstance(value, Message) else value for name, value in sentence.values.items()}
        return template.format(**values) if values else template

    return tell


@lru_cache(maxsize=2)
def _words(language: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((FOLDER / LANGUAGES[language] / "LC_MESSAGES").rglob("*.po")):
        with path.open("rb") as stream:
            found |= {str(entry.id): str(entry.string) for entry in read_po(stream) if entry.id and entry.string}
    return found
