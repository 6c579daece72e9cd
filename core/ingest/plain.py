"""Columns whose texts can be read in one way alone are cast while the file is read, with the proof in the same pass.

How times and numbers are read is decided on all values of a column. Where the first rows leave no doubt, their form is asked of
every row: one value in another form ends the pass, and the file is read as text.
"""

import re
from collections.abc import Mapping
from typing import Final

from core.ingest.casting import UTC_NAMES
from core.ingest.layouts import find_layout
from core.ingest.mapping import RoleMapping
from core.ingest.preview import FilePreview
from core.ingest.staging import NULL_WORDS
from core.ingest.work import Work

_IDS: Final = ("user_id", "item_id")
_AMOUNTS: Final = ("price", "quantity", "revenue")
_DOUBTFUL: Final = {"anonymous_id", "purchase_item_id", "order_number"}
"""Columns whose text has a say in how others are read."""
_TIME = re.compile(r"\d{4}[-/]\d\d?[-/]\d\d?([ T]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z|[-+]\d\d:?\d\d)?)?")
_ID = re.compile(r"-?[1-9]\d{0,17}|0")
_AMOUNT = re.compile(r"-?\d+(\.\d+)?")
_POINT = re.compile(r".*\.(\d{1,2}|\d{4,})")
"""A number whose point can be no thousand separator."""


def plain_columns(work: Work, events: list[tuple[FilePreview, RoleMapping]]) -> Mapping[str, str]:
    """Return the columns that may be cast while the file is read, with their types; none when a doubt is left.

    The time is among them, or none is; numbers are all among them, or none is.

    Args:
        work: What is asked, before anything is staged.
        events: The event files.
    """
    if len(events) != 1 or work.previous is not None or not work.rules["null_user"].on or work.rules["no_catalogue"].on:
        return {}
    preview, part = events[0]
    if (
        preview.kind not in ("csv", "csv.gz", "csv.zst")
        or preview.is_converted
        or find_layout(preview.columns) is not None
        or _DOUBTFUL & part.columns.keys()
        or part.time_format is not None
        or part.time_unit is not None
        or (part.time_zone or work.request.time_zone).upper() not in UTC_NAMES
    ):
        return {}
    own = {name: pieces[0] for name, pieces in part.columns.items() if len(pieces) == 1 and pieces[0] not in dict(preview.folders)}
    values = {name: [value for value in preview.values(piece) if value not in NULL_WORDS] for name, piece in own.items()}
    if not _all_match(_TIME, values.get("event_time", [])):
        return {}
    types = {"event_time": "TIMESTAMP"}
    types |= {name: "BIGINT" for name in _IDS if name not in work.cover.columns and _all_match(_ID, values.get(name, []))}
    amounts = part.columns.keys() & set(_AMOUNTS)
    shown = [value for name in amounts for value in values.get(name, [])]
    if all(_all_match(_AMOUNT, values.get(name, [])) for name in amounts) and any(_POINT.fullmatch(value) for value in shown):
        types |= dict.fromkeys(amounts, "DECIMAL(18, 4)")
    return types


def _all_match(form: re.Pattern[str], values: list[str]) -> bool:
    return bool(values) and all(form.fullmatch(value) for value in values)
