"""How well the behaviour transformer foresees shoppers it never learned from."""

from typing import Any

import pandas as pd

from pages.parts import frame
from pages.parts.text import _, counted, interval, percent, whole

QUESTION_WORDS = {
    "masked_item": "a hidden item, among its first 10",
    "next_item": "the next item, among its first 10",
    "next_kind": "the kind of the next act",
}


def foresight_table(manifest: dict[str, Any] | None) -> None:
    """Draw what the transformer foresees beside always naming the most frequent; nothing without one."""
    told = ((manifest or {}).get("sequence") or {}).get("foresight")
    if not told:
        return
    rows = [
        {
            "question": _(QUESTION_WORDS[name]),
            "value": percent(found["value"]),
            "interval": interval(found["low"], found["high"]),
            "frequent": percent(found["frequent"]),
            "verdict": _("better")
            if found["low"] is not None and found["low"] > found["frequent"]
            else _("worse")
            if found["high"] is not None and found["high"] < found["frequent"]
            else _("no clear difference"),
            "n": _("{n} questions, {users} shoppers", n=whole(found["n"]), users=counted(found["users"])),
        }
        for name, found in told.items()
        if name in QUESTION_WORDS
    ]
    frame.table(
        pd.DataFrame(rows),
        key="foresight",
        column_config={
            "question": _("Of shoppers it never learned from, it foresees"),
            "value": _("Share"),
            "interval": _("95% interval"),
            "frequent": _("Always naming the most frequent"),
            "verdict": _("So it is"),
            "n": _("Judged on"),
        },
    )
