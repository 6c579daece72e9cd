"""Ids that people bring: a file with a column of them, or one a line."""

import csv
import io

from core.audiences.checks import LONGEST_LIST
from core.errors import RuleError

HEADINGS = ("user_id", "userid", "shopper_id", "shopper id", "shopperid", "customer_id", "id", "顾客编号", "用户编号")
"""First cells, in lower case, that name the column of ids."""
MOST_BYTES = 100_000_000


def read_ids(file: bytes, typed: str = "") -> list[str]:
    """Read ids from a file and from a text.

    Args:
        file: CSV or one id a line, UTF-8; the column of a heading that names ids, else the first. b"" for none.
        typed: Ids, one a line.

    Returns:
        Each id once, in the order of the file and then of the text, without white space around it.

    Raises:
        RuleError: The file is too large, no text, or holds too many ids.
    """
    if len(file) > MOST_BYTES:
        raise RuleError("A list of ids has at most {most:,} bytes; this one has {n:,}.", most=MOST_BYTES, n=len(file))
    try:
        text = file.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RuleError("The file of ids is no UTF-8 text ({error}); save it as CSV UTF-8.", error=str(error)[:80]) from error
    if "\x00" in text or "\x00" in typed:
        raise RuleError("The file of ids is no text: it holds a zero byte. Save it as CSV UTF-8.")
    found: dict[str, None] = {}
    column = 0
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text))):
            cells = [cell.strip() for cell in row]
            if number == 0 and (named := [place for place, cell in enumerate(cells) if cell.lower() in HEADINGS]):
                column = named[0]
                continue
            if len(cells) > column and cells[column]:
                found[cells[column]] = None
    except csv.Error as error:
        raise RuleError("The file of ids cannot be read as CSV ({error}); write one id a line.", error=str(error)) from error
    found.update(dict.fromkeys(line.strip() for line in typed.splitlines() if line.strip()))
    if len(found) > LONGEST_LIST:
        raise RuleError("A list holds at most {most:,} ids; this one has {n:,}.", most=LONGEST_LIST, n=len(found))
    return list(found)
