"""The brief of a shopper for service and customer care: one page of what is known, what is likely, and what to say.

Every sentence is made from rows of the log or of a run, by templates; attributes of shoppers are not read, so nothing is
guessed of who a person is.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from core.errors import FileError, NotFoundError, RuleError, StorageError
from core.insights.shopper import WHOLE, LeftOut
from core.messages import Message, say
from core.pipeline import cards, screens
from core.pipeline.cells import enough
from core.pipeline.reporting import facts_of
from core.pipeline.screens import Screen
from core.pipeline.shoppers import Portrait, portrait
from core.report.html import report_html
from core.report.record import Column, Exhibit, Report, Section, Tell
from core.report.speech import LANGUAGES, speaker
from core.schema import Progress, silent
from core.store import Connection, Dataset, Home, fetch
from core.windows import local_day

FILES = ("brief.html", "brief.pdf")
MOST = 500
"""Shoppers of one brief: a page each."""
MOST_NAMED = 10
"""Unknown ids that an error tells one by one."""
OPEN_DAYS, STATEMENTS, ORDERS, NEEDS, ITEMS = 30, 10, 3, 3, 5
"""How long a cart is open; sentences and rows of each table, so that a page holds them."""

KNOWN_SQL = "SELECT DISTINCT user_id FROM history WHERE user_id IN (SELECT unnest($user_ids))"
CART_SQL = """
WITH acts AS (
    SELECT item_id, max(event_time) FILTER (event_type = 'cart') AS put,
           max(event_time) FILTER (event_type IN ('purchase', 'remove_from_cart')) AS closed
    FROM history WHERE user_id = $user_id AND item_id IS NOT NULL GROUP BY item_id)
SELECT coalesce(c.title, acts.item_id) AS item, acts.put, c.price::DOUBLE AS price
FROM acts LEFT JOIN catalogue c ON c.item_id = acts.item_id
WHERE acts.put >= $until::TIMESTAMP - to_days($days) AND (acts.closed IS NULL OR acts.closed < acts.put) ORDER BY acts.put DESC, item
"""
ORDERS_SQL = """
SELECT max(h.event_time) AS bought, count(*) AS lines, sum(h.revenue)::DOUBLE AS revenue,
       array_to_string(list_slice(list_sort(list_distinct(list(coalesce(c.title, h.item_id)))), 1, 3), ', ') AS items
FROM history h LEFT JOIN catalogue c ON c.item_id = h.item_id WHERE h.user_id = $user_id AND h.event_type = 'purchase'
      AND h.event_time >= $since::TIMESTAMP
GROUP BY coalesce(h.order_id, h.event_time::VARCHAR) ORDER BY bought DESC LIMIT $most
"""


Words = Callable[[Sequence[str]], Message]
"""Puts the facts of a brief into a writer's words; see `core.pipeline.wording`."""


def brief(screen: Screen, user_ids: Sequence[str], language: str = "en", words: Words | None = None, left_out: LeftOut = WHOLE) -> Report:
    """Gather the brief of some shoppers, a section each.

    Args:
        screen: What to read.
        user_ids: Whom it is about.
        language: Of the facts that a writer is told.
        words: Asked for a few sentences about each; None leaves the facts to speak.
        left_out: Events that do not count for statements, open carts and last orders; each page says so.

    Raises:
        RuleError: None is named, or more than MOST.
        GateError: Small cells are hidden and fewer are named.
        NotFoundError: One of them is not in the log.
    """
    if not 0 < len(user_ids) <= MOST:
        raise RuleError("A brief is for 1 to {most} shoppers at once; {n} are named.", most=MOST, n=len(user_ids))
    enough(screen, len(user_ids))
    with screen.log.history() as connection:  # held open, the file is set up once and not for each question of each shopper
        _all_known(connection, user_ids)
        shares = cards.shares(screen)
        made = tuple(_section(screen, place, user_id, shares, left_out) for place, user_id in enumerate(user_ids))
    if words is not None:
        tell = speaker(language)
        made = tuple(replace(section, notes=(words(_told(section, tell)), *section.notes)) for section in made)
    return Report("", screen.name, facts_of(screen), (), local_day(screen.log.until, screen.zone), made, paged=True)


def brief_files(
    screen: Screen, user_ids: Sequence[str], language: str = "en", words: Words | None = None, left_out: LeftOut = WHOLE
) -> dict[str, bytes]:
    """Write the brief of some shoppers as HTML and PDF: {name of FILES: content}; arguments as of `brief`.

    Raises:
        RuleError: Nobody or too many are named, or the language does not exist.
        NotFoundError: One of them is not in the log.
    """
    if language not in LANGUAGES:
        raise RuleError("{language!r} is no language of reports; choose from: {all}.", language=language, all=", ".join(LANGUAGES))
    from core.report.paper import report_pdf  # the library for paper is loaded by whoever writes one

    tell = speaker(language)
    title = say("Brief of shopper {user}", user=user_ids[0]) if len(user_ids) == 1 else say("Brief of {n:,} shoppers", n=len(user_ids))
    report = replace(brief(screen, user_ids, language, words, left_out), title=tell(title))
    return {"brief.html": report_html(report, tell, language).encode(), "brief.pdf": report_pdf(report, tell)}


def write_briefs(
    home: Home,
    dataset: Dataset,
    user_ids: Sequence[str],
    out: Path,
    language: str = "en",
    words: Words | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the briefs of a list of shoppers into a folder, with an entry in the audit trail.

    Raises:
        RuleError: Nobody or too many are named, or the language does not exist.
        NotFoundError: One of them is not in the log.
        StorageError: The files cannot be written.
    """
    screen = screens.open_screen(home, dataset.name)
    progress(0.1, say("asking what is known of each shopper"))
    contents = brief_files(screen, user_ids, language, words)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (out / name).write_bytes(content)
    except OSError as error:
        raise StorageError("{path} cannot be written ({error}). Free space or choose another folder.", path=out, error=error) from error
    home.append_audit({"act": "brief", "dataset": dataset.name, "shoppers": len(user_ids)})
    files = {name: len(content) for name, content in contents.items()}
    return {"dataset": dataset.name, "shoppers": len(user_ids), "folder": str(out), "files": files, "warnings": []}


def listed_ids(path: Path) -> list[str]:
    """Read ids, one a line; a first line `user_id` is a header.

    Raises:
        FileError: The file cannot be read as text.
    """
    try:
        lines = [line.strip().strip('"') for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise FileError("The file {path!r} cannot be read ({error}); name another.", path=str(path), error=error) from error
    return list(dict.fromkeys(line for line in lines[lines[:1] == ["user_id"] :] if line))


def _all_known(connection: Connection, user_ids: Sequence[str]) -> None:
    """Refuse ids that the log does not have, all of them at once."""
    known = set(fetch(connection, KNOWN_SQL, {"user_ids": list(user_ids)})["user_id"].to_pylist())
    strange = [user_id for user_id in user_ids if user_id not in known]
    if strange:
        raise NotFoundError(
            "{n:,} of {all:,} ids are of no shopper of this log: {ids}. Check them, or take them out.",
            n=len(strange),
            all=len(user_ids),
            ids=", ".join(repr(user_id[:60]) for user_id in strange[:MOST_NAMED]) + (" …" if len(strange) > MOST_NAMED else ""),
        )


def _told(section: Section, tell: Tell) -> list[str]:
    """The facts of a section in words, without the id: its figures, and its statements."""
    figures = [f"{tell(label)}: {value}" + (f" ({tell(note)})" if note else "") for label, value, note in section.tiles]
    return [*figures, *(tell(note) for note in section.notes)]


def _section(screen: Screen, place: int, user_id: str, shares: Any, left_out: LeftOut) -> Section:
    found, acts = portrait(screen, user_id), cards.acts(screen, user_id)
    left_out = cards.counted(screen, acts, left_out)[1]
    with screen.log.history() as connection:
        cart, orders = _cart(connection, screen, user_id, left_out), _orders(connection, screen, user_id, left_out)
    needs, items = _needs(screen, user_id), _items(found)
    statements = [statement.text for statement in cards.card(screen, acts, shares, user_id, left_out)]
    open_days = min(OPEN_DAYS, left_out.days or OPEN_DAYS)
    exhibits = [
        _exhibit(
            place, "cart", say("Open cart"), say("Put in within {days} days, neither bought nor taken out since.", days=open_days), cart
        ),
        _exhibit(place, "orders", say("Last orders"), say("The newest {n} at most.", n=ORDERS), orders),
        _exhibit(place, "needs", say("Likely needs"), say("Chance of a purchase in the category, with its range."), needs),
        _exhibit(place, "items", say("Suggested items"), say("The first of the recommendations, as the rules in force leave them."), items),
    ]
    return Section(
        f"shopper-{place + 1}",
        say("Shopper {user}", user=user_id),
        say("What the history shows, and what to offer."),
        tuple(exhibit for exhibit in exhibits if exhibit.table.num_rows),
        _tiles(screen, found),
        (*cards.told_left_out(left_out), *statements[:STATEMENTS], *_words(cart, needs, items)),
    )


def _tiles(screen: Screen, found: Portrait) -> tuple[tuple[Message, str, Message | None], ...]:
    facts, score = found.facts, found.score
    last = facts["last_purchase"]
    tiles: list[tuple[Message, str, Message | None]] = [
        (say("Last purchase"), local_day(last, screen.zone) if last is not None else "–", None),
        (say("Orders"), f"{facts['orders']:,}", say("{n:,} events", n=facts["events"])),
    ]
    if facts["revenue"] is not None:
        tiles.append((say("Revenue"), f"{facts['revenue']:,.2f}", say("since {day}", day=local_day(facts["first_event"], screen.zone))))
    if score is not None:
        days = float(((screens.run_manifest(screen, "propensity") or {}).get("config") or {}).get("horizon_hours") or 0) / 24
        low, high = f"{100 * score['low']:.1f}%", f"{100 * score['high']:.1f}%"
        note = say("{low} – {high}, within {days:g} days", low=low, high=high, days=days)
        tiles.append((say("Purchase chance"), f"{100 * score['propensity']:.1f}%", note))
    return tuple(tiles)


def _cart(connection: Connection, screen: Screen, user_id: str, left_out: LeftOut) -> pa.Table:
    """What is still in the cart; nothing where acts that put in, buy or take out do not count."""
    days = min(OPEN_DAYS, left_out.days or OPEN_DAYS)
    rows = fetch(connection, CART_SQL, {"user_id": user_id, "until": screen.log.until, "days": days}).to_pylist()
    if left_out.any_of("cart", "purchase", "remove_from_cart"):
        rows = []
    return pa.table(
        {
            "item": pa.array([row["item"] for row in rows], pa.string()),
            "put": pa.array([_day(row["put"], screen) for row in rows], pa.string()),
            "price": pa.array([row["price"] for row in rows], pa.float64()),
        }
    )


def _orders(connection: Connection, screen: Screen, user_id: str, left_out: LeftOut) -> pa.Table:
    since = screen.log.until - timedelta(days=left_out.days) if left_out.days else datetime.min
    rows = fetch(connection, ORDERS_SQL, {"user_id": user_id, "most": ORDERS, "since": since}).to_pylist()
    if left_out.any_of("purchase"):
        rows = []
    return pa.table(
        {
            "items": pa.array([row["items"] for row in rows], pa.string()),
            "bought": pa.array([_day(row["bought"], screen) for row in rows], pa.string()),
            "lines": pa.array([row["lines"] for row in rows], pa.int64()),
            "revenue": pa.array([row["revenue"] for row in rows], pa.float64()),
        }
    )


def _needs(screen: Screen, user_id: str) -> pa.Table:
    table = screens.run_table(screen, "propensity", "categories")
    empty = pa.schema(
        [("category", pa.string()), ("propensity", pa.float64()), ("low", pa.float64()), ("high", pa.float64())]
    ).empty_table()
    if table is None:
        return empty
    own = table.filter(pc.equal(table["user_id"], user_id)).sort_by([("propensity", "descending"), ("category", "ascending")])
    return own.select(empty.column_names).slice(0, NEEDS)


def _items(found: Portrait) -> pa.Table:
    rows = found.recommendations.head(ITEMS).to_dict("records")
    return pa.table(
        {
            "item": pa.array([row["title"] if isinstance(row["title"], str) else row["item_id"] for row in rows], pa.string()),
            "category": pa.array([row["category"] if isinstance(row["category"], str) else None for row in rows], pa.string()),
            "price": pa.array([row["price"] for row in rows], pa.float64(), from_pandas=True),
        }
    )


def _words(cart: pa.Table, needs: pa.Table, items: pa.Table) -> list[Message]:
    """Sentences to begin with: each names what a table of the same page holds."""
    told: list[Message] = []
    if cart.num_rows:
        first = cart.slice(0, 1).to_pylist()[0]
        told.append(say("To say: “{item} is still in your cart since {day}; may I help with it?”", item=first["item"], day=first["put"]))
    if items.num_rows:
        first = items.slice(0, 1).to_pylist()[0]
        told.append(say("To offer: {item}.", item=first["item"]))
    if needs.num_rows:
        first = needs.slice(0, 1).to_pylist()[0]
        told.append(say("To ask about: {category}, the likeliest category of a next purchase.", category=first["category"]))
    return told


_COLUMNS = {
    "item": Column("item", say("Item"), "text"),
    "put": Column("put", say("In the cart since"), "text"),
    "price": Column("price", say("Price"), "amount"),
    "bought": Column("bought", say("Day"), "text"),
    "items": Column("items", say("Items, three at most"), "text"),
    "lines": Column("lines", say("Lines"), "whole"),
    "revenue": Column("revenue", say("Amount"), "amount"),
    "category": Column("category", say("Category"), "text"),
    "propensity": Column("propensity", say("Chance"), "percent"),
    "low": Column("low", say("from"), "percent"),
    "high": Column("high", say("to"), "percent"),
}


def _exhibit(place: int, name: str, title: Message, definition: Message, table: pa.Table) -> Exhibit:
    return Exhibit(f"shopper-{place + 1}.{name}", title, definition, tuple(_COLUMNS[c] for c in table.column_names), table, "")


def _day(instant: datetime, screen: Screen) -> str:
    return local_day(instant, screen.zone)
