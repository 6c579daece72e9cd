"""What can go wrong with a text file of events, one function each; importing puts them on the list, in this order."""

from tests.damages import quotes, fields, lines, signs, values  # noqa: I001 - the order is that of the list
from tests.damages.draft import DAMAGES, clean_draft

__all__ = ["DAMAGES", "clean_draft", "fields", "lines", "quotes", "signs", "values"]
