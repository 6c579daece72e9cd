"""All words and number formats on screen: English in the source, other languages from gettext catalogues.

`_("…")` looks a sentence up; placeholders are named (`{rows}`). Catalogues are read by Babel straight from
`locale/<locale>/LC_MESSAGES/*.po`, without a compile step. Data words (titles, segment names, ids) are shown as given, and pass
`plain` before they reach anything that draws markdown, or `html.escape` (`hover`) before they reach plotly.
"""

import html
import math
import re
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.messages.pofile import read_po

from core.errors import CoreError
from core.messages import Message
from core.small_cells import middle, rate, told_count

LOCALES = {"en": "en", "zh": "zh_CN"}
LANGUAGE_NAMES = {"en": "English", "zh": "简体中文"}
FOLDER = Path(__file__).resolve().parents[2] / "locale"
MISSING = "–"
_language: ContextVar[str] = ContextVar("language", default="en")
_small_cells: ContextVar[int] = ContextVar("small_cells", default=0)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-!|~$<>&^=:@]|(?<=\d)\.(?=\s))")
_WRITTEN = re.compile(r"([\\`*\[\]<>&|]|(?<!\w)_|_(?!\w)|~~)")
_LINE_SIGNS = re.compile(r"^(?:[#+\-=]|\d+(?=[.)]))")
_BREAKS = re.compile(r"\s+")
_DIRECTIVE = re.compile(r":(?=[A-Za-z][\w+-]*[\[:/])|:(?=//)|(?<=www)(?=\.)")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def set_language(language: str) -> None:
    """Choose the language of this run of the page: `en` or `zh`; anything else means English."""
    _language.set(language if language in LOCALES else "en")


def set_small_cells(k: int) -> None:
    """Choose below which count of people this run of the page says `< k`; 0 hides nothing."""
    _small_cells.set(k)


def small_cells() -> int:
    """Return below which count of people this run of the page says `< k`, 0 when nothing is hidden."""
    return _small_cells.get()


def language() -> str:
    """Return the chosen language, `en` or `zh`."""
    return _language.get()


@lru_cache(maxsize=8)
def catalogue(name: str) -> dict[str, str]:
    """Read the catalogues of a language as {English: translation}; empty for English."""
    folder = FOLDER / LOCALES[name] / "LC_MESSAGES"
    words: dict[str, str] = {}
    for path in sorted(folder.rglob("*.po")):
        with path.open("rb") as stream:
            words |= {str(m.id): str(m.string) for m in read_po(stream, locale=LOCALES[name]) if m.id and m.string}
    return words


def _(sentence: str, **values: object) -> str:
    """Translate a sentence and fill its placeholders; a sentence without translation stays English."""
    chosen = _language.get()
    words = sentence if chosen == "en" else catalogue(chosen).get(sentence, sentence)
    return words.format(**values) if values else words


def said(sentence: object) -> str:
    """Say a sentence of core (a message, an error, or text) in the chosen language; what has no translation stays English."""
    message = sentence.message if isinstance(sentence, CoreError) else sentence
    if not isinstance(message, Message) or _language.get() == "en":
        return str(message)
    words = catalogue(_language.get()).get(message.template, message.template)
    if not message.values:
        return words
    try:
        return words.format(**{name: said(value) if isinstance(value, Message) else value for name, value in message.values.items()})
    except (KeyError, ValueError, IndexError):  # a sentence of an older version, whose places had other names
        return str(message)


def listed(words: Iterable[str]) -> str:
    """Words side by side as the chosen language lists them: `counts, text`, or 计数、文本."""
    return _(", ").join(words)


def plain(value: object) -> str:
    """Escape a data string for whatever draws markdown (text, labels, metrics, buttons, tabs): it shows as it stands.

    Streamlit's own directives (`:red[…]`, `:material/…:`) and bare addresses are found after markdown's escapes are gone,
    so a word joiner, which has no width, is put after such a colon.
    """
    text = _BREAKS.sub(" ", str(value)).strip()
    return _MARKDOWN.sub(r"\\\1", _DIRECTIVE.sub(lambda found: f"{found.group()}\u2060", text))


def written(value: object) -> str:
    """Escape a data string for a Markdown file: no more than what would be read as a sign there, so that people can read it as text."""
    text = _WRITTEN.sub(r"\\\1", _BREAKS.sub(" ", str(value)).strip())
    return _LINE_SIGNS.sub(lambda found: f"\\{found.group()}" if not found.group()[0].isdigit() else f"{found.group()}\\", text)


def hover(value: object) -> str:
    """Escape a data string for plotly, which draws a subset of HTML and knows no `&quot;`; long ones are cut at 80 characters."""
    text = _BREAKS.sub(" ", str(value)).strip()
    return html.escape(text if len(text) <= 80 else f"{text[:79]}…", quote=False).replace("%{", "% {")


def guarded(value: object) -> object:
    """Keep a spreadsheet from running a text cell as a formula: an apostrophe before = + - @, tab and return."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def is_missing(value: object) -> bool:
    """Whether a value is None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or str(value) in {"NaT", "<NA>"}


def whole(value: float | None) -> str:
    """987994 → 987,994."""
    return MISSING if value is None or is_missing(value) else f"{round(value):,}"


def people(value: float | None) -> str:
    """A count of a told table: as `whole`, and `< 20` where it is hidden."""
    k = _small_cells.get()
    return told_count(None, k) if k and is_missing(value) else whole(value)


def size_told(expected: float | None, held: str | None) -> str:
    """What follows the size of an audience: who is expected to act, and how many are held out; None of either says nothing of it."""
    words = "" if expected is None or is_missing(expected) else _(", {buyers} expected to act", buyers=number(expected, 0))
    if held is None:
        return words
    return words + (_(", nobody held out") if held == "0" else _(", {held} of them held out as a control group", held=held))


def is_short(exact: int) -> bool:
    """Whether so many shoppers are too few to be listed."""
    return 0 < exact < _small_cells.get()


def counted(exact: float | None) -> str:
    """An exact count of people as it may be shown."""
    k = _small_cells.get()
    return whole(exact) if not k or exact is None or is_missing(exact) else people(middle(exact, k))


def as_told(exact: float | None) -> float | None:
    """An exact count of people as a table may hold it: None where it is hidden."""
    k = _small_cells.get()
    return middle(exact, k) if k and exact is not None and not is_missing(exact) else exact


def share_told(part: float, base: float, exact: float | None) -> float | None:
    """A share of two exact counts of people as a table may hold it."""
    k = _small_cells.get()
    return rate(middle(part, k), middle(base, k))[0] if k else exact


def part_of(part: float, base: float, decimals: int = 1) -> str:
    """A share of two exact counts of people as percent, worked out from what may be shown of both."""
    k = _small_cells.get()
    return percent(rate(middle(part, k), middle(base, k))[0] if k else part / base if base else None, decimals)


def short_people(value: float | None) -> str:
    """As `short`, and `< 20` where the count is hidden."""
    return people(value) if is_missing(value) else short(value)


def short(value: float | None) -> str:
    """For tiles: 987994 → 988K, in Chinese 98.8万."""
    if value is None or is_missing(value):
        return MISSING
    steps = [(1e8, "亿"), (1e4, "万")] if language() == "zh" else [(1e9, "B"), (1e6, "M"), (1e3, "K")]
    floor = 1e4 if language() == "en" else 1e5
    if abs(value) >= floor:
        for size, unit in steps:
            scaled = value / size
            if abs(scaled) >= 0.9995:
                return f"{scaled:.0f}{unit}" if abs(scaled) >= 100 else f"{scaled:.1f}{unit}"
    return f"{value:,.0f}"


def amount(value: float | None) -> str:
    """A value of money or another measure: two decimals below 1,000, none above, short from 100,000."""
    if value is None or is_missing(value):
        return MISSING
    if abs(value) >= 100_000:
        return short(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"


def percent(value: float | None, decimals: int = 1) -> str:
    """A share: 0.0312 → 3.1%. One that is not 0 never reads 0.0%."""
    if value is None or is_missing(value):
        return MISSING
    step = 10.0 ** -(decimals + 2)
    if 0 < value < step / 2:
        return f"<{100 * step:.{decimals}f}%"
    return f"{100 * value:.{decimals}f}%"


def chance(value: float | None) -> str:
    """A probability: never 0 % nor 100 %."""
    if value is None or is_missing(value):
        return MISSING
    if value < 0.001:
        return "<0.1%"
    return ">99.9%" if value > 0.999 else f"{100 * value:.1f}%"


def number(value: float | None, decimals: int = 3) -> str:
    """A measure such as AUC."""
    return MISSING if value is None or is_missing(value) else f"{value:,.{decimals}f}"


def points(difference: float, decimals: int = 1) -> str:
    """A difference of shares in points with its sign; one that rounds to nothing has none."""
    told = f"{100 * difference:+.{decimals}f}"
    return _("{points} points", points=told if float(told) else told[1:])


def interval(low: float | None, high: float | None, form: str = "number") -> str:
    """[low, high] in the form of its value: number, percent or chance."""
    shown = {"number": number, "percent": percent, "chance": chance, "whole": whole, "amount": amount}[form]
    if low is None or high is None or is_missing(low) or is_missing(high):
        return MISSING
    return f"[{shown(low)}, {shown(high)}]"


def day(value: datetime | str | None, zone: str = "UTC") -> str:
    """A date in the display time zone, 2017-12-01."""
    instant = _instant(value, zone)
    return MISSING if instant is None else f"{instant:%Y-%m-%d}"


def minute(value: datetime | str | None, zone: str = "UTC") -> str:
    """A time in the display time zone, 2017-12-01 06:30."""
    instant = _instant(value, zone)
    return MISSING if instant is None else f"{instant:%Y-%m-%d %H:%M}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 42 s, 3 min, 1 h 5 min, 6 h, 2 d 15 h, 4 d."""
    if seconds is None or is_missing(seconds):
        return MISSING
    if seconds < 60:
        return _("{seconds} s", seconds=round(seconds))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{minutes} min", minutes=minutes)
    hours = round(seconds / 3600)
    if hours >= 48:
        days, rest = divmod(hours, 24)
        return _("{days} d {hours} h", days=days, hours=rest) if rest and days < 10 else _("{n} d", n=round(seconds / 86_400))
    if minutes % 60 == 0:
        return _("{hours} h", hours=minutes // 60)
    return _("{hours} h {minutes} min", hours=minutes // 60, minutes=minutes % 60)


def _instant(value: datetime | str | None, zone: str) -> datetime | None:
    if value is None or is_missing(value):
        return None
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant).astimezone(ZoneInfo(zone))
