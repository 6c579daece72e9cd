"""Guess columns by their values alone: files without header, and attributes of users."""

import re
from typing import Final

from core.ingest.likeness import CLOCK, DATE, is_number, is_time, samples_of, share_of, words_share
from core.ingest.mapping import Guess, Role, RoleMapping
from core.ingest.names import DEMOGRAPHIC_INDEX, EVENT_INDEX, name_scores, plain_name
from core.ingest.preview import FilePreview
from core.schema import slug

_SURE: Final = 0.99
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LONG_NUMBER: Final = re.compile(r"\d{4,19}")
_COMEBACKS: Final = 3
"""Rows that must repeat a visit of the sample: when hardly one comes again, it stands beside one value of any column."""


def guess_users(preview: FilePreview, given: RoleMapping, free: list[str], values: dict[str, list[str]]) -> list[Guess]:
    found: list[Guess] = []
    if "user_id" not in given.columns:
        scored = [(name_scores(c, EVENT_INDEX).get("user_id", 0.0), -i, c) for i, c in enumerate(free)]
        best = max(scored, default=(0.0, 0, ""))
        if best[0] == 0.0 and free:
            distinct = [(len(set(values[c])) / max(1, len(values[c])), -i, c) for i, c in enumerate(free)]
            top = max(distinct)
            best = (0.4 if top[0] == 1.0 and (not preview.has_header or plain_name(top[2]).endswith("id")) else 0.0, *top[1:])
        if best[0] > 0:
            found.append(Guess("user_id", (best[2],), best[0], samples_of(values[best[2]])))
    user = found[0].source[0] if found else None
    done = {"user_id", *given.columns}
    for column in free:
        if column == user or re.match(r"^(__index_level_\d+__|unnamed:? ?\d*)$", column.lower()):
            continue
        known = name_scores(column, DEMOGRAPHIC_INDEX)
        name = max(known, key=lambda k: known[k]) if known else slug(column)
        name = slug(column) if name in done else name
        while name in done:
            name = f"{name}_2"
        done.add(name)
        found.append(Guess(name, (column,), _SURE, samples_of(values[column])))
    return found


def guess_values(role: Role, given: RoleMapping, free: list[str], preview: FilePreview) -> list[Guess]:
    """Guess a file without header: time by its form, event words, visits by what stands beside them, then ids by place."""
    found: list[Guess] = []
    values = {column: preview.values(column) for column in free}
    left = [c for c in free if values[c]]

    def take(canonical: str, column: str, confidence: float, *more: str) -> None:
        if canonical not in given.columns:
            found.append(Guess(canonical, (column, *more), confidence, samples_of(values[column])))
            for piece in (column, *more):
                left.remove(piece)

    def texts(column: str) -> float:
        return sum(len(v) for v in values[column]) / len(values[column])

    if role == "items":
        if left:
            distinct = [c for c in left if len(set(values[c])) == len(values[c])]
            take("item_id", (distinct or left)[0], 0.6)
        words = [c for c in left if share_of(values[c], is_number) < 0.5]
        if words:
            take("title", max(words, key=lambda c: (len(set(values[c])), texts(c))), 0.6)
            rest = [c for c in words if c in left]
            if rest and "title" in {g.canonical for g in found} | given.columns.keys():
                take("category", min(rest, key=lambda c: (len(set(values[c])), left.index(c))), 0.5)
        prices = [c for c in left if share_of(values[c], is_number) > 0.9 and any("." in v or "," in v for v in values[c])]
        if prices:
            take("price", prices[0], 0.5)
        return found
    if "event_time" not in given.columns:
        times = [c for c in left if share_of(values[c], is_time) > 0.8]
        calendar = [c for c in times if share_of(values[c], DATE.match) > 0.8]
        if times:
            time = (calendar or times[-1:])[0]
            clocks = [c for c in left if share_of(values[c], CLOCK.match) > 0.8]
            is_day = time in calendar and share_of(values[time], lambda v: ":" in v) < 0.2
            take("event_time", time, 0.8, *(clocks[:1] if is_day else ()))
    if "event_type" not in given.columns:
        acts = [c for c in left if words_share(values[c]) > 0.8 and not share_of(values[c], str.isdigit)]
        if acts:
            take("event_type", acts[0], 0.8)
    prices = [c for c in left if share_of(values[c], lambda v: re.match(r"^-?\d+[.,]\d{1,2}$", v)) > 0.9]
    if prices and len(left) > 2:
        take("price", prices[0], 0.5)
    if not given.columns.keys() & {"session_id", "user_id"} and (visits := _visits(left, preview)):
        take("session_id", visits[0], 0.5)
        take("user_id", visits[1], 0.6)
    most = max((len(values[c]) for c in left), default=0)
    ids = [c for c in left if len(values[c]) > 0.9 * most] or list(left)  # each row has its ids; categories and brands have gaps
    if "user_id" not in {guess.canonical for guess in found} | given.columns.keys() and ids:
        take("user_id", ids[0], 0.6)
    ids = [c for c in left if c in ids]
    if "item_id" not in given.columns and ids:
        take("item_id", ids[0], 0.6)
    known = {guess.canonical for guess in found} | given.columns.keys()
    if len(left) == 1 and share_of(values[left[0]], str.isdigit) == 1 and "category" not in known:
        # User, item, category, act, time: the order of Taobao's public logs. Without a word of acts a few values may be anything.
        if {"event_type", "event_time", "user_id", "item_id"} <= known:
            take("category", left[0], 0.5)
        elif len(set(values[left[0]])) > 20:
            take("category", left[0], 0.3)
    return found


def _visits(left: list[str], preview: FilePreview) -> tuple[str, str] | None:
    """Find a column of UUIDs that come again, each beside one value of one column of long numbers: visits, and whose they are."""
    cells = {column: [row[preview.columns.index(column)].strip() for row in preview.sample] for column in left}
    numbers = [column for column in left if all(_LONG_NUMBER.fullmatch(value) for value in cells[column])]
    for visit in left:
        different = set(cells[visit])
        if not all(_UUID.fullmatch(value) for value in different) or len(cells[visit]) - len(different) < _COMEBACKS:
            continue
        owners = [c for c in numbers if len(set(zip(cells[visit], cells[c], strict=True))) == len(different)]
        if len(owners) == 1 and len(numbers) > 1:
            return visit, owners[0]
    return None
