"""Guess columns by name, and let values refuse what a name promises."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from core.ingest.event_words import STATUS_WORDS, flag_word, plain_word
from core.ingest.guessing_times import join_time
from core.ingest.layouts import SURE, find_layout, layout_columns
from core.ingest.likeness import NULLS, is_number, plausible, samples_of, share_of, words_share
from core.ingest.mapping import Guess, Role, RoleMapping
from core.ingest.names import (
    DEMOGRAPHIC_INDEX,
    EVENT_INDEX,
    ITEM_INDEX,
    ORDER_STATES,
    ORDER_TOTALS,
    PER_USER_SESSIONS,
    STAND_INS,
    bare_name,
    name_scores,
    plain_name,
)

_SURE: Final = 0.99
_FLAG_VALUES: Final = frozenset({"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "t", "f", "y", "n", "是", "否"})

Values = Mapping[str, list[str]]


def guess_names(role: Role, given: RoleMapping, free: list[str], values: Values, rows: int) -> list[Guess]:
    """Guess the columns of a file with header.

    Args:
        role: What the file is said to hold.
        given: Parts that a person named.
        free: Columns that nobody has taken.
        values: Sample values of each column that are not empty.
        rows: Rows of the sample.
    """
    layout = find_layout(list(values)) if role == "events" else None
    settled: list[Guess] = []
    if layout is not None:
        for canonical, pieces in layout_columns(layout, free, values, rows).items():
            if canonical not in given.columns:
                filled = min(len(values[piece]) for piece in pieces) / rows if rows else 0.0
                sure = SURE if filled > 0.5 else 0.65 if filled else 0.5  # such a column may serve other rows than these
                settled.append(Guess(canonical, pieces, sure, samples_of(_joined(pieces, values))))
        taken = {piece for guess in settled for piece in guess.source}
        free = [c for c in free if c not in taken and plain_name(c) not in layout.ignored]
    known = replace(given, columns={**given.columns, **{guess.canonical: guess.source for guess in settled}})
    if role == "events" and "event_type" not in known.columns and (flags := find_flags(free, values)):
        settled.append(Guess("event_type", tuple(flags), 0.85, tuple(flags)))
        free = [c for c in free if c not in flags]
        known = replace(known, columns={**known.columns, "event_type": tuple(flags)})
    found = [*settled, *_guess_rest(role, known, free, values)]
    return _number_sessions(_stand_in(found, given, free, values, rows), given) if role == "events" else found


def _stand_in(found: list[Guess], given: RoleMapping, free: list[str], values: Values, rows: int) -> list[Guess]:
    """Let the id of a device or cookie stand for the user in rows without one."""
    user = next((g.source for g in found if g.canonical == "user_id"), given.columns.get("user_id"))
    if user is None or len(user) != 1 or "anonymous_id" in given.columns or len(values[user[0]]) >= rows:
        return found
    used = {piece for guess in found for piece in guess.source} | set(user)
    spare = [c for c in free if c not in used and bare_name(c) in STAND_INS and len(values[c]) > len(values[user[0]])]
    if not spare:
        return found
    best = max(spare, key=lambda column: len(values[column]))
    return [*found, Guess("anonymous_id", (best,), 0.8, samples_of(values[best]))]


def find_flags(free: list[str], values: Values) -> list[str]:
    """Find columns of 0 and 1 that each tell whether an act happened, such as is_click, is_cart and is_buy; two at least."""
    found = []
    for column in free:
        name = flag_word(column)
        if name is None or not values[column]:
            continue
        if all(value.lower() in _FLAG_VALUES for value in values[column]):
            found.append(column)
    return found if len(found) > 1 else []


def _joined(pieces: tuple[str, ...], values: Values) -> list[str]:
    if len(pieces) == 1:
        return values[pieces[0]]
    return [" + ".join(row) for row in zip(*(values[piece] for piece in pieces), strict=False)]


def _number_sessions(found: list[Guess], given: RoleMapping) -> list[Guess]:
    """A session number that starts anew with every user becomes an id together with the user."""
    user = next((g.source for g in found if g.canonical == "user_id"), given.columns.get("user_id"))
    return [
        replace(g, source=(*user, *g.source))
        if g.canonical == "session_id" and user and len(g.source) == 1 and g.source != user and _per_user(g.source[0])
        else g
        for g in found
    ]


def _per_user(column: str) -> bool:
    return any(plain_name(column).endswith(name) for name in PER_USER_SESSIONS)


def _guess_rest(role: Role, given: RoleMapping, free: list[str], values: Values) -> list[Guess]:
    scored: list[tuple[float, int, str, str]] = []
    indexes = [EVENT_INDEX, ITEM_INDEX, DEMOGRAPHIC_INDEX] if role == "events" else [ITEM_INDEX, {}]
    wide = role == "events" and _is_wide(free, values, given)
    relative = any("days_since_prior_order" in name_scores(c, EVENT_INDEX) for c in free) or "days_since_prior_order" in given.columns
    for place, column in enumerate(free):
        for level, index in enumerate(indexes):
            for canonical, score in name_scores(column, index).items():
                if canonical == "order_number" and not relative:
                    continue
                if canonical == "purchase_item_id" and not wide and "purchase_item_id" not in given.columns:
                    canonical, score = "order_id", 0.6
                if role == "events" and canonical == "price" and level > 0:
                    continue
                fit = score * plausible(canonical, values[column])
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
    found = join_time(found, by_name, free, values, given)
    found = _drop_order_totals(found, given, values)
    found = _event_column(found, by_name, free, values, given)
    if "user_id" not in by_name and "user_id" not in given.columns and "session_id" in by_name:
        # Anonymous logs know only visits: a visit is then the shopper, and the caller says so.
        found.append(replace(by_name["session_id"], canonical="user_id", confidence=0.4))
    if "item_id" not in by_name and "item_id" not in given.columns and "title" in by_name and "order_id" in by_name:
        found.append(replace(by_name["title"], canonical="item_id", confidence=0.4))
    return _promote_title(found, by_name, free, values, given)


def _assign(scored: list[tuple[float, int, str, str]], given: RoleMapping, values: Values) -> list[Guess]:
    found: list[Guess] = []
    used: set[str] = set()
    done = set(given.columns)
    for fit, _, canonical, column in sorted(scored, reverse=True):
        if canonical in done or column in used:
            continue
        done.add(canonical)
        used.add(column)
        found.append(Guess(canonical, (column,), min(_SURE, fit), samples_of(values[column])))
    return found


def _promote_title(found: list[Guess], by_name: dict[str, Guess], free: list[str], values: Values, given: RoleMapping) -> list[Guess]:
    description = by_name.get("description")
    if "title" in by_name or "title" in given.columns or description is None:
        return found
    if plain_name(description.source[0]) in ("package_size", "size", "curr_size_of_product"):
        return found
    return [replace(g, canonical="title", confidence=round(g.confidence * 0.9, 3)) if g is description else g for g in found]


def _is_wide(free: list[str], values: Values, given: RoleMapping) -> bool:
    scores = {column: name_scores(column, EVENT_INDEX) for column in free}
    columns = [c for c, s in scores.items() if "purchase_item_id" in s]
    items = [c for c, s in scores.items() if "item_id" in s]
    if not columns or not (items or "item_id" in given.columns):
        return False
    name = plain_name(columns[0])
    clicked = any(word in plain_name(c) for c in items for word in ("click", "view", "点击", "浏览"))
    empty = [v for v in values[columns[0]] if v in ("0", "") or v.lower() in NULLS]
    return clicked or "item" in name or "product" in name or "商品" in name or len(empty) > 0


def _event_column(found: list[Guess], by_name: dict[str, Guess], free: list[str], values: Values, given: RoleMapping) -> list[Guess]:
    if "event_type" in by_name or "event_type" in given.columns:
        return found
    used = {piece for g in found for piece in g.source}
    for column in free:
        if any(word in plain_name(column) for word in ("status", "state", "状态")):
            continue  # a status tells how far an order is, not what a shopper did; see _order_state
        if (
            column not in used
            and len(values[column]) >= 1
            and words_share(values[column]) > 0.9
            and not share_of(values[column], is_number)
        ):
            return [*found, Guess("event_type", (column,), 0.7, samples_of(values[column]))]
    return _order_state(found, used, free, values)


def _order_state(found: list[Guess], used: set[str], free: list[str], values: Values) -> list[Guess]:
    """Take how far an order is for what happened, when every word of the column says whether the sale stands."""
    if not any(guess.canonical in ("order_id", "quantity", "revenue", "price") for guess in found):
        return found
    for column in free:
        if column not in used and plain_name(column) in ORDER_STATES and values[column]:
            known = share_of(values[column], lambda v: plain_word(v) in STATUS_WORDS)
            if known > 0.95 and len(set(values[column])) <= 30:
                return [*found, Guess("event_type", (column,), 0.75, samples_of(values[column]))]
    return found


def _drop_order_totals(found: list[Guess], given: RoleMapping, values: Values) -> list[Guess]:
    """Leave out an amount that is the order's and stands on each of its lines, where lines have a price of their own."""
    sources = {name: pieces[0] for name, pieces in given.columns.items()} | {g.canonical: g.source[0] for g in found}
    total = sources.get("revenue")
    if total is None or "revenue" in given.columns or "price" not in sources or bare_name(total) not in ORDER_TOTALS:
        return found
    prices, totals = (_numbers(values[sources[name]]) for name in ("price", "revenue"))
    amounts = _numbers(values[sources["quantity"]]) if "quantity" in sources else [1.0] * len(prices)
    if len(prices) == len(totals) == len(amounts):
        fits = [abs(p * q - t) <= 0.4 * abs(p * q) for p, q, t in zip(prices, amounts, totals, strict=True)]
        if sum(fits) >= 0.7 * len(fits):
            return found
    return [g for g in found if g.canonical != "revenue"]


def _numbers(values: list[str]) -> list[float]:
    cleaned = [re.sub(r"[^0-9.,-]", "", value).replace(",", "") for value in values]
    return [float(text) if re.fullmatch(r"-?\d+(\.\d*)?", text) else 0.0 for text in cleaned]
