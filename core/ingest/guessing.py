"""Guess which column is what, from names first and values second; values can refuse what a name promises."""

import re
from collections.abc import Callable
from dataclasses import replace

from core.errors import MappingError
from core.ingest.event_words import EVENT_WORDS, plain_word
from core.ingest.mapping import Guess, Role, RoleMapping
from core.ingest.names import DEMOGRAPHIC_INDEX, EVENT_INDEX, ITEM_INDEX, name_scores, plain_name
from core.ingest.reading import FilePreview
from core.schema import slug

_NUMBER = re.compile(r"^[^\d\w]{0,3}\s?[-+(]?\d[\d\s.,']*\)?(e[-+]?\d+)?\s?[^\d\w]{0,3}$", re.IGNORECASE)
_DATE = re.compile(
    r"^(\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    r"|\d{1,2}[- ][A-Za-z]{3,9}[- ,]+\d{2,4}|[A-Za-z]{3,9} \d{1,2},? \d{4})"
)
_CLOCK = re.compile(r"^\d{1,2}:\d{2}(:\d{2})?(\.\d+)?( ?[AaPp][Mm])?$")
_DWELL = re.compile(
    r"^-?\d+([.,]\d+)?\s*(s|sec|secs|seconds?|ms|msec|m|min|minutes?|h|秒|毫秒|分钟?)?$|^\d+:\d{1,2}(:\d{1,2})?$", re.IGNORECASE
)
_COMPACT = re.compile(r"^(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{4}|\d{6})?$")
_NULLS = frozenset({"", "null", "nan", "none", "na", "n/a", "\\n", "<na>", "nat"})
_SURE = 0.99


def is_time(value: str) -> bool:
    """Tell whether a value reads like an instant or a day (calendar or epoch)."""
    if _DATE.match(value) or _COMPACT.match(value):
        return True
    try:
        number = float(value)
    except ValueError:
        return False
    return 3e8 < number < 4.2e9 or 3e11 < number < 4.2e12 or 3e14 < number < 4.2e15 or 3e17 < number < 4.2e18


def is_number(value: str) -> bool:
    """Tell whether a value reads like a number, perhaps with a currency sign or separators."""
    return bool(_NUMBER.match(value)) and not _DATE.match(value)


def _share(values: list[str], test: Callable[[str], object]) -> float:
    return sum(bool(test(value)) for value in values) / len(values) if values else 0.0


def _words(values: list[str]) -> float:
    return _share(values, lambda v: plain_word(v) in EVENT_WORDS)


def _plausible(canonical: str, values: list[str]) -> float:
    """Factor 0-1 by which values support a name; 0 refuses it."""
    values = [v for v in values if v.lower() not in _NULLS]
    if not values:
        return 0.6
    if canonical == "event_time":
        times = _share(values, is_time)
        days = _share(values, lambda v: v.isdigit() and int(v) < 100_000)
        return max(times, 0.5) if times > 0.2 else 0.55 * days
    if canonical in ("quantity", "price", "revenue", "order_number", "order_hour", "days_since_prior_order"):
        share = _share(values, is_number)
        return share if share >= 0.5 else 0.0
    if canonical == "dwell_seconds":
        share = _share(values, _DWELL.match)
        return share if share >= 0.5 else 0.0
    if canonical == "event_type":
        distinct = set(values)
        return 0.0 if len(distinct) > 30 or _share(values, is_time) > 0.5 else max(_words(values), 0.7)
    if canonical in ("title", "description"):
        return 0.4 if _share(values, is_number) > 0.9 else 1.0
    if canonical in ("user_id", "item_id") and _share(values, _DATE.match) > 0.5:
        return 0.0
    return 1.0


def guess_mapping(preview: FilePreview, role: Role, given: RoleMapping | None = None) -> RoleMapping:
    """Complete a mapping by guesses; what a person gave stays untouched.

    Args:
        preview: The file.
        role: What the file is said to hold.
        given: Parts that a person named.

    Returns:
        The mapping with a Guess for each guessed column.

    Raises:
        MappingError: A given column is not in the file, or a column that the role needs cannot be found.
    """
    given = given or RoleMapping()
    _check_given(preview, role, given)
    taken = {piece for pieces in given.columns.values() for piece in pieces}
    free = [c for c in preview.columns if c not in taken]
    values = {c: preview.values(c) for c in preview.columns}
    if role == "users":
        found = _guess_users(preview, given, free, values)
    elif preview.has_header or given.header is not None:
        found = _guess_names(role, given, free, values)
    else:
        found = _guess_values(role, given, free, values)
    found = [guess for guess in found if guess.canonical not in given.left_out]
    columns = dict(given.columns)
    for guess in found:
        columns.setdefault(guess.canonical, guess.source)
    _require(preview, role, columns)
    result = replace(given, columns=columns, guesses=tuple(g for g in found if columns[g.canonical] == g.source))
    if role == "events":
        result = replace(
            result,
            default_event_type=given.default_event_type or _default_event(columns),
            dwell_unit=given.dwell_unit or _dwell_unit(columns, values),
        )
    return result


def _check_given(preview: FilePreview, role: Role, given: RoleMapping) -> None:
    for canonical, pieces in given.columns.items():
        for piece in pieces:
            if piece not in preview.columns:
                raise MappingError(
                    "The mapping reads {role}.{canonical} from column {column!r}, which {file} does not have; its columns are {columns}.",
                    role=role,
                    canonical=canonical,
                    column=piece,
                    file=preview.name,
                    columns=", ".join(preview.columns),
                )


def _require(preview: FilePreview, role: Role, columns: dict[str, tuple[str, ...]]) -> None:
    needed = {"events": ("user_id", "event_time"), "items": ("item_id",), "users": ("user_id",)}[role]
    missing = [name for name in needed if name not in columns]
    if role == "events" and "event_time" in missing and {"order_number", "days_since_prior_order"} <= columns.keys():
        missing.remove("event_time")
    listed = ", ".join(preview.columns)
    if len(missing) == 2:
        raise MappingError(
            "{file} shows no column for {first} and {second}; its columns are {columns}. Name them in the mapping.",
            file=preview.name,
            first=missing[0],
            second=missing[1],
            columns=listed,
        )
    if missing:
        raise MappingError(
            "{file} shows no column for {column}; its columns are {columns}. Name it in the mapping.",
            file=preview.name,
            column=missing[0],
            columns=listed,
        )


def _samples(values: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))[:4]


def _guess_names(role: Role, given: RoleMapping, free: list[str], values: dict[str, list[str]]) -> list[Guess]:
    scored: list[tuple[float, int, str, str]] = []
    indexes = [EVENT_INDEX, ITEM_INDEX, DEMOGRAPHIC_INDEX] if role == "events" else [ITEM_INDEX, {}]
    wide = role == "events" and _is_wide(free, values, given)
    for place, column in enumerate(free):
        for level, index in enumerate(indexes):
            for canonical, score in name_scores(column, index).items():
                if canonical == "purchase_item_id" and not wide and "purchase_item_id" not in given.columns:
                    canonical, score = "order_id", 0.6
                if role == "events" and canonical == "price" and level > 0:
                    continue
                fit = score * _plausible(canonical, values[column])
                if fit > 0.1:
                    scored.append((round(fit - 0.05 * level, 4), -place, canonical, column))
        if role == "items":
            for canonical, score in name_scores(column, EVENT_INDEX).items():
                if canonical == "item_id":
                    scored.append((score, -place, canonical, column))
    found = _assign(scored, given, values)
    by_name = {g.canonical: g for g in found}
    if role == "items":
        return _promote_title(found, by_name, free, values, given)
    found = _join_time(found, by_name, free, values, given)
    found = _event_column(found, by_name, free, values, given)
    if "user_id" not in by_name and "user_id" not in given.columns and "session_id" in by_name:
        # Anonymous logs know only visits: a visit is then the shopper, and the caller says so.
        found.append(replace(by_name["session_id"], canonical="user_id", confidence=0.4))
    if "item_id" not in by_name and "item_id" not in given.columns and "title" in by_name and "order_id" in by_name:
        found.append(replace(by_name["title"], canonical="item_id", confidence=0.4))
    return _promote_title(found, by_name, free, values, given)


def _assign(scored: list[tuple[float, int, str, str]], given: RoleMapping, values: dict[str, list[str]]) -> list[Guess]:
    found: list[Guess] = []
    used: set[str] = set()
    done = set(given.columns)
    for fit, _, canonical, column in sorted(scored, reverse=True):
        if canonical in done or column in used:
            continue
        done.add(canonical)
        used.add(column)
        found.append(Guess(canonical, (column,), min(_SURE, fit), _samples(values[column])))
    return found


def _promote_title(
    found: list[Guess], by_name: dict[str, Guess], free: list[str], values: dict[str, list[str]], given: RoleMapping
) -> list[Guess]:
    description = by_name.get("description")
    if "title" in by_name or "title" in given.columns or description is None:
        return found
    if plain_name(description.source[0]) in ("package_size", "size", "curr_size_of_product"):
        return found
    return [replace(g, canonical="title", confidence=round(g.confidence * 0.9, 3)) if g is description else g for g in found]


def _is_wide(free: list[str], values: dict[str, list[str]], given: RoleMapping) -> bool:
    scores = {column: name_scores(column, EVENT_INDEX) for column in free}
    columns = [c for c, s in scores.items() if "purchase_item_id" in s]
    items = [c for c, s in scores.items() if "item_id" in s]
    if not columns or not (items or "item_id" in given.columns):
        return False
    name = plain_name(columns[0])
    clicked = any(word in plain_name(c) for c in items for word in ("click", "view", "点击", "浏览"))
    empty = [v for v in values[columns[0]] if v in ("0", "") or v.lower() in _NULLS]
    return clicked or "item" in name or "product" in name or "商品" in name or len(empty) > 0


def _join_time(
    found: list[Guess], by_name: dict[str, Guess], free: list[str], values: dict[str, list[str]], given: RoleMapping
) -> list[Guess]:
    if "event_time" in given.columns:
        return found
    spelled = {plain_name(c): c for c in free}
    parts = [next((spelled[n] for n in names if n in spelled), None) for names in (("year", "年"), ("month", "月"), ("day", "日"))]
    if all(parts):
        clock = [spelled[n] for n in ("hour", "minute", "second") if n in spelled]
        guess = Guess("event_time", tuple(p for p in [*parts, *clock] if p), 0.9)
        return [g for g in found if g.canonical != "event_time" and not set(g.source) & set(guess.source)] + [guess]
    current = by_name.get("event_time")
    dates = [c for c in free if values[c] and _share(values[c], lambda v: _DATE.match(v) or _COMPACT.match(v)) > 0.8]
    clocks = [c for c in free if values[c] and _share(values[c], _CLOCK.match) > 0.8]
    if clocks and current is not None and current.source[0] in clocks and dates:
        current = replace(current, source=(dates[0],))
    if clocks and current is not None and current.source[0] in dates and _share(values[current.source[0]], lambda v: ":" in v) < 0.2:
        guess = Guess("event_time", (current.source[0], clocks[0]), 0.9, _samples(values[current.source[0]]))
        return [g for g in found if g.canonical != "event_time" and g.source[0] != clocks[0]] + [guess]
    if current is None:
        times = [c for c in free if values[c] and _share(values[c], is_time) > 0.9 and not any(c in g.source for g in found)]
        named = [c for c in times if re.search(r"time|date|stamp|时间|日期", plain_name(c))] or times[:1]
        if named:
            found.append(Guess("event_time", (named[0],), 0.6, _samples(values[named[0]])))
    return found


def _event_column(
    found: list[Guess], by_name: dict[str, Guess], free: list[str], values: dict[str, list[str]], given: RoleMapping
) -> list[Guess]:
    if "event_type" in by_name or "event_type" in given.columns:
        return found
    used = {piece for g in found for piece in g.source}
    for column in free:
        if column not in used and len(values[column]) >= 1 and _words(values[column]) > 0.9 and not _share(values[column], is_number):
            return [*found, Guess("event_type", (column,), 0.7, _samples(values[column]))]
    return found


def _guess_users(preview: FilePreview, given: RoleMapping, free: list[str], values: dict[str, list[str]]) -> list[Guess]:
    found: list[Guess] = []
    if "user_id" not in given.columns:
        scored = [(name_scores(c, EVENT_INDEX).get("user_id", 0.0), -i, c) for i, c in enumerate(free)]
        best = max(scored, default=(0.0, 0, ""))
        if best[0] == 0.0 and free:
            distinct = [(len(set(values[c])) / max(1, len(values[c])), -i, c) for i, c in enumerate(free)]
            top = max(distinct)
            best = (0.4 if top[0] == 1.0 and (not preview.has_header or plain_name(top[2]).endswith("id")) else 0.0, *top[1:])
        if best[0] > 0:
            found.append(Guess("user_id", (best[2],), best[0], _samples(values[best[2]])))
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
        found.append(Guess(name, (column,), _SURE, _samples(values[column])))
    return found


def _guess_values(role: Role, given: RoleMapping, free: list[str], values: dict[str, list[str]]) -> list[Guess]:
    """Guess a file without header: time by its form, event words, then ids by place."""
    found: list[Guess] = []
    left = [c for c in free if values[c]]

    def take(canonical: str, column: str, confidence: float) -> None:
        if canonical not in given.columns:
            found.append(Guess(canonical, (column,), confidence, _samples(values[column])))
            left.remove(column)

    def texts(column: str) -> float:
        return sum(len(v) for v in values[column]) / len(values[column])

    if role == "items":
        if left:
            distinct = [c for c in left if len(set(values[c])) == len(values[c])]
            take("item_id", (distinct or left)[0], 0.6)
        words = [c for c in left if _share(values[c], is_number) < 0.5]
        if words:
            take("title", max(words, key=lambda c: (len(set(values[c])), texts(c))), 0.6)
            rest = [c for c in words if c in left]
            if rest and "title" in {g.canonical for g in found} | given.columns.keys():
                take("category", min(rest, key=lambda c: (len(set(values[c])), left.index(c))), 0.5)
        prices = [c for c in left if _share(values[c], is_number) > 0.9 and any("." in v or "," in v for v in values[c])]
        if prices:
            take("price", prices[0], 0.5)
        return found
    if "event_time" not in given.columns:
        times = [c for c in left if _share(values[c], is_time) > 0.8]
        calendar = [c for c in times if _share(values[c], _DATE.match) > 0.8]
        if times:
            take("event_time", (calendar or times[-1:])[0], 0.8)
    if "event_type" not in given.columns:
        acts = [c for c in left if _words(values[c]) > 0.8 and not _share(values[c], str.isdigit)]
        if acts:
            take("event_type", acts[0], 0.8)
    prices = [c for c in left if _share(values[c], lambda v: re.match(r"^-?\d+[.,]\d{1,2}$", v)) > 0.9]
    if prices and len(left) > 2:
        take("price", prices[0], 0.5)
    ids = list(left)
    if "user_id" not in given.columns and ids:
        take("user_id", ids[0], 0.6)
    ids = [c for c in left if c in ids]
    if "item_id" not in given.columns and ids:
        take("item_id", ids[0], 0.6)
    if len(left) == 1 and _share(values[left[0]], str.isdigit) == 1 and len(set(values[left[0]])) > 20 and "category" not in given.columns:
        take("category", left[0], 0.3)
    return found


def _default_event(columns: dict[str, tuple[str, ...]]) -> str:
    if "purchase_item_id" in columns:
        name = plain_name(columns.get("item_id", ("",))[0])
        return "view" if "view" in name or "浏览" in name else "click"
    if columns.keys() & {"quantity", "revenue", "order_id", "order_number"}:
        return "purchase"
    return "view"


def _dwell_unit(columns: dict[str, tuple[str, ...]], values: dict[str, list[str]]) -> str | None:
    if "dwell_seconds" not in columns:
        return None
    source = columns["dwell_seconds"][0]
    if re.search(r"(^|_)(ms|msec|millis|milliseconds)($|_)|毫秒", plain_name(source)):
        return "ms"
    numbers = sorted(float(v) for v in values[source] if re.match(r"^\d+(\.\d+)?$", v))
    # A median stay above 2,000 s is no stay: half an hour of looking at one page means milliseconds.
    return "ms" if len(numbers) >= 10 and numbers[len(numbers) // 2] > 2000 else "s"
