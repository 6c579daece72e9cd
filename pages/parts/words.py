"""Screen words of the codes that core tables carry; each is a msgid of the catalogues."""

from pages.parts.text import _

EVENT_WORDS = {
    "impression": "impression",
    "view": "view",
    "click": "click",
    "search": "search",
    "favourite": "favourite",
    "share": "share",
    "cart": "cart",
    "remove_from_cart": "removal from cart",
    "purchase": "purchase",
    "refund": "refund",
    "other": "other",
    "all": "all",
}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def event_word(kind: str) -> str:
    """The word of a kind of event in the chosen language."""
    return _(EVENT_WORDS[kind]) if kind in EVENT_WORDS else kind


def weekday_words() -> list[str]:
    """Short weekday names, Monday first."""
    return [_(name) for name in WEEKDAYS]
