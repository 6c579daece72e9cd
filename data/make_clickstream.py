"""Make the synthetic clickstream of data/sample/clickstream: an invented shop with real structure to find.

    python -m data.make_clickstream [--out FOLDER] [--seed N] [--users N]

Shoppers have tastes, price levels, brand loyalty, a rhythm of day and week; they come on missions (one need, one or more
sessions), buy when a mission ends well, and come back for consumables when these are used up. A promotion week, a spring
trend, robots, duplicates and broken rows lie on top. No column says which shopper was drawn how. The figures that a real
shop shows (data/measure_clickstream.py) hold within 20 % on any seed: tests/test_sample_clickstream.py.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.clickstream_mess import add_mess, add_robots
from data.clickstream_people import PAGE_SHARES, Catalogue, Shoppers, items_table, make_catalogue, make_shoppers, users_table

SEED = 20250301
USERS = 8500
DAYS = 90
START = np.datetime64("2025-03-01T00:00:00")
PROMOTION_DAYS = (38, 45)
PROMOTION_DISCOUNT = 0.2
PROMOTION_DEPARTMENTS = ("Beauty", "Clothing")

SESSION_SHAPE, SESSION_SCALE = 0.74, 2.55
"""Views of a session: ceiling of a Weibull, fitted to the measured percentiles 2 / 9 / 22."""
CART_MINUTES = ((0.0, 0.25, 0.45, 0.58, 0.7, 0.83, 0.88, 0.985, 1.0), (0.4, 2.1, 3.2, 4.1, 8.8, 13.5, 46.0, 64.0, 420.0))
"""Quantiles of the minutes from cart to purchase, joined by straight lines in the logarithm. Measured are 2.1, 3.6, 11.4 and 55 at
.25, .5, .75 and .9; the line passes through them a little later, as a pair carted once and bought weeks later adds long waits."""


@dataclass(frozen=True)
class Rates:
    """What was tuned so that the measured figures come out; each is a chance between 0 and 1 unless it says otherwise."""

    missions: float = 8.0
    """Missions of the mean shopper over the whole log (a count)."""
    again_in_session: float = 0.27
    """A view goes back to an item of the same session."""
    target_view: float = 0.12
    """A view in a mission is of the item that the mission is about."""
    buy_offset: float = -3.62
    """Log-odds that a mission of the mean shopper ends with a purchase."""
    cart_logged: float = 0.43
    """A purchase shows its cart; carts are under-logged in real shops."""
    cart_abandoned: float = 0.0073
    """A mission without purchase fills a cart, for mean intent."""
    cart_again: float = 0.36
    """One more cart event of the same pair."""
    favourite: float = 0.05
    share: float = 0.012
    search: float = 0.09
    refund: float = 0.02
    rebuy: float = 0.55
    """A bought consumable is bought again when used up."""
    sessions_with_impressions: float = 0.06


@dataclass(frozen=True)
class Sessions:
    """One row a session, S rows, with what its mission wants."""

    user: np.ndarray
    """Index of the shopper (S,)."""
    start: np.ndarray
    """Seconds since the start of the log (S,)."""
    category: np.ndarray
    target: np.ndarray
    """The item that the mission is about (S,)."""
    intent: np.ndarray
    """Strength of the need, standard normal (S,)."""
    buys: np.ndarray
    """This session ends with a purchase of the target (S,), bool."""
    abandons: np.ndarray
    """This session leaves the target in the cart (S,), bool."""


def pick_items(rng: np.random.Generator, catalogue: Catalogue, shoppers: Shoppers, user: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Draw one item of the given category for each row: popular ones, near the shopper's price level, of loved brands."""
    chosen = np.zeros(len(user), dtype=np.int64)
    draw = rng.random(len(user))
    for place in range(catalogue.categories):
        rows = np.flatnonzero(category == place)
        items = np.flatnonzero(catalogue.category == place)
        distance = catalogue.price_level[items][None, :] - shoppers.price_level[user[rows]][:, None]  # (R, I)
        weights = catalogue.popularity[items][None, :] * np.exp(-0.5 * distance**2)  # (R, I)
        loved = catalogue.brand[items][None, :] == shoppers.loved_brand[user[rows], place][:, None]  # (R, I)
        weights = weights * np.where(loved, shoppers.loyalty[user[rows]][:, None], 1.0)  # (R, I)
        steps = weights.cumsum(axis=1)  # (R, I)
        chosen[rows] = items[(steps < draw[rows, None] * steps[:, -1:]).sum(axis=1)]
    return chosen


def pick_days(rng: np.random.Generator, shoppers: Shoppers, user: np.ndarray) -> np.ndarray:
    """Draw the day of each mission: weekends for some, the promotion week for bargain hunters, only while a shopper is there."""
    days = np.arange(DAYS)
    weekend = np.isin((START.astype("datetime64[D]").astype(int) + days + 3) % 7, (5, 6))  # day 0 of the epoch was a Thursday
    promotion = (days >= PROMOTION_DAYS[0]) & (days < PROMOTION_DAYS[1])
    weights = np.ones((len(user), DAYS))  # (M, DAYS)
    weights *= np.where(weekend[None, :], shoppers.weekend[user][:, None], 1.0)
    weights *= np.where(promotion[None, :], shoppers.bargain[user][:, None], 1.0)
    weights *= (days[None, :] >= shoppers.joined[user][:, None]) & (days[None, :] <= shoppers.left[user][:, None])
    steps = weights.cumsum(axis=1)  # (M, DAYS)
    return (steps < rng.random((len(user), 1)) * steps[:, -1:]).sum(axis=1).clip(0, DAYS - 1)


def pick_seconds(rng: np.random.Generator, shoppers: Shoppers, user: np.ndarray) -> np.ndarray:
    """Draw the second of the day by the shopper's rhythm."""
    steps = shoppers.hours[shoppers.rhythm[user]].cumsum(axis=1)  # (S, 24)
    hour = (steps < rng.random((len(user), 1)) * steps[:, -1:]).sum(axis=1)
    return hour * 3600 + rng.integers(0, 3600, len(user))


def make_sessions(rng: np.random.Generator, catalogue: Catalogue, shoppers: Shoppers, rates: Rates) -> Sessions:
    """Lay out every mission's sessions, and the later ones that buy a used-up consumable again."""
    span = (shoppers.left - shoppers.joined + 1) / DAYS
    user = np.repeat(np.arange(shoppers.count), rng.poisson(rates.missions * shoppers.activity * span))
    day = pick_days(rng, shoppers, user)
    season = 1 + catalogue.trend[None, :] * (day[:, None] / DAYS - 0.5)  # (M, C)
    promoted = np.where((day >= PROMOTION_DAYS[0]) & (day < PROMOTION_DAYS[1]), 1.0, 0.0)
    season = season * (1 + 0.8 * promoted[:, None] * catalogue.promoted[None, :])  # (M, C)
    steps = (shoppers.taste[user] * season).cumsum(axis=1)  # (M, C)
    category = (steps < rng.random((len(user), 1)) * steps[:, -1:]).sum(axis=1)
    target = pick_items(rng, catalogue, shoppers, user, category)
    intent = rng.standard_normal(len(user))
    on_offer = promoted * catalogue.promoted[category]
    fit = -0.25 * (catalogue.price_level[target] - shoppers.price_level[user]) ** 2
    dear = -0.35 * np.log(catalogue.price[target] / 30)
    odds = rates.buy_offset + shoppers.readiness[user] + 0.8 * intent + fit + dear + on_offer * shoppers.bargain[user] * 0.5
    buys = rng.random(len(user)) < 1 / (1 + np.exp(-odds))

    length = 1 + rng.geometric(1 / (1 + np.exp(-(0.9 - 0.5 * intent))), len(user)) - 1
    length = np.minimum(length, 6)
    mission = np.repeat(np.arange(len(user)), length)
    step = np.arange(len(mission)) - np.repeat(length.cumsum() - length, length)
    wait = rng.integers(0, 3, len(mission)) * (step > 0)
    first = np.flatnonzero(step == 0)
    offset = wait.cumsum() - np.repeat(wait.cumsum()[first], length)
    start = (day[mission] + offset) * 86400 + pick_seconds(rng, shoppers, user[mission])
    columns = [user[mission], start, category[mission], target[mission], intent[mission], buys[mission] & (step == length[mission] - 1)]

    parts = [columns]
    bought = columns
    for _ in range(5):
        again = bought[5] & catalogue.consumable[bought[2]] & (rng.random(len(bought[0])) < rates.rebuy)
        later = [column[again] for column in bought]
        period = np.clip(rng.normal(19, 4, len(later[0])), 7, 40).round().astype(np.int64)
        later[1] = (later[1] // 86400 + period) * 86400 + pick_seconds(rng, shoppers, later[0])
        parts.append(later)
        bought = later
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    inside = (joined[1] < DAYS * 86400 - 1800) & (joined[1] // 86400 <= shoppers.left[joined[0]])
    order = np.lexsort((joined[3], joined[0], joined[1]))
    order = order[inside[order]]
    user, start, category, target, intent, buys = (column[order] for column in joined)
    abandons = ~buys & (rng.random(len(user)) < rates.cart_abandoned * warmth(shoppers, user, intent))
    return Sessions(user, start, category, target, intent, buys, abandons)


def warmth(shoppers: Shoppers, user: np.ndarray, intent: np.ndarray) -> np.ndarray:
    """How much likelier than usual carts, favourites and shares are: weaker signs of the same wish that leads to purchases."""
    return np.exp(0.7 * intent + 0.45 * shoppers.readiness[user])


def cart_seconds(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw the seconds between cart and purchase from the measured quantiles."""
    return np.exp(np.interp(rng.random(count), CART_MINUTES[0], np.log(CART_MINUTES[1]))) * 60


def make_views(
    rng: np.random.Generator, catalogue: Catalogue, shoppers: Shoppers, sessions: Sessions, rates: Rates
) -> dict[str, np.ndarray]:
    """Expand sessions into their views: which item, when, for how long, from which page of results."""
    sizes = np.ceil(SESSION_SCALE * rng.weibull(SESSION_SHAPE, len(sessions.user))).astype(np.int64).clip(1, 120)
    session = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(session)) - np.repeat(sizes.cumsum() - sizes, sizes)
    user = sessions.user[session]
    steps = shoppers.taste[user].cumsum(axis=1)  # (V, C)
    wandering = (steps < rng.random((len(user), 1)) * steps[:, -1:]).sum(axis=1)
    category = np.where(rng.random(len(user)) < 0.75, sessions.category[session], wandering)
    item = pick_items(rng, catalogue, shoppers, user, category)
    on_target = rng.random(len(user)) < rates.target_view * (1 + sessions.buys[session])
    item = np.where(on_target, sessions.target[session], item)
    back_to = np.where(rng.random(len(user)) < rates.again_in_session, (rng.random(len(user)) * place).astype(np.int64), -1)
    first = np.arange(len(session)) - place
    last = place == sizes[session] - 1
    item = np.where(last & (sessions.buys | sessions.abandons)[session], sessions.target[session], item)
    back_to = np.where(last & (sessions.buys | sessions.abandons)[session], -1, back_to)
    for step in range(1, int(place.max()) + 1):
        rows = np.flatnonzero((place == step) & (back_to >= 0))
        item[rows] = item[first[rows] + back_to[rows]]
    wanted = 0.35 * (item == sessions.target[session]) + 0.12 * sessions.intent[session]
    dwell = np.exp(rng.normal(3.1 + wanted, 0.9)).clip(1, 900).round(1)
    gone = dwell + rng.integers(1, 6, len(dwell))
    elapsed = gone.cumsum() - gone
    return {
        "session": session,
        "user": user,
        "item": item,
        "seconds": sessions.start[session] + (elapsed - elapsed[first]).astype(np.int64),
        "left": sessions.start[session] + (elapsed - elapsed[first] + gone).astype(np.int64),
        "dwell": dwell,
        "page": rng.choice(5, len(session), p=PAGE_SHARES) + 1,
        "place": place,
    }


def make_events(rng: np.random.Generator, catalogue: Catalogue, shoppers: Shoppers, rates: Rates) -> dict[str, np.ndarray]:
    """Make all honest events as columns: session, user, item (-1 = none), kind, seconds, dwell, page, quantity, order, query."""
    sessions = make_sessions(rng, catalogue, shoppers, rates)
    views = make_views(rng, catalogue, shoppers, sessions, rates)
    parts: list[dict[str, np.ndarray]] = []

    def add(kind: str, session: np.ndarray, item: np.ndarray, seconds: np.ndarray, **more: np.ndarray) -> None:
        count = len(session)
        columns = {
            "session": session,
            "user": sessions.user[session],
            "item": item,
            "kind": np.full(count, kind, dtype=object),
            "seconds": seconds.astype(np.int64),
            "dwell": np.full(count, np.nan),
            "page": np.zeros(count, dtype=np.int64),
            "quantity": np.zeros(count, dtype=np.int64),
            "order": np.full(count, -1),
            "query": np.full(count, -1),
        }
        parts.append(columns | more)

    add("view", views["session"], views["item"], views["seconds"], dwell=views["dwell"], page=views["page"])
    last = np.flatnonzero(np.append(np.diff(views["session"]) > 0, True))
    end = views["left"][last]

    buying = np.flatnonzero(sessions.buys)
    carted = rng.random(len(buying)) < rates.cart_logged
    delay = np.where(carted, cart_seconds(rng, len(buying)), rng.integers(20, 400, len(buying)))
    paid = end[buying] + delay.astype(np.int64)
    kept = paid < DAYS * 86400
    add("cart", buying[carted], sessions.target[buying[carted]], end[buying[carted]])
    repeated = carted & (rng.random(len(buying)) < rates.cart_again) & (delay > 30)
    add("cart", buying[repeated], sessions.target[buying[repeated]], end[buying[repeated]] + 15)
    consumable = catalogue.consumable[sessions.category[buying]]
    quantity = 1 + rng.binomial(2, np.where(consumable, 0.25, 0.02))
    order = np.arange(len(buying))
    add("purchase", buying[kept], sessions.target[buying[kept]], paid[kept], quantity=quantity[kept], order=order[kept])
    with_it = views["item"][views["place"] == 0][buying]
    second = kept & (rng.random(len(buying)) < 0.3) & (with_it != sessions.target[buying])
    add("purchase", buying[second], with_it[second], paid[second], quantity=np.ones(second.sum(), dtype=np.int64), order=order[second])
    refunded = kept & (rng.random(len(buying)) < rates.refund)
    returned = paid + rng.integers(86400, 6 * 86400, len(buying))
    refunded &= returned < DAYS * 86400
    add(
        "refund",
        buying[refunded],
        sessions.target[buying[refunded]],
        returned[refunded],
        quantity=quantity[refunded],
        order=order[refunded],
    )

    left = np.flatnonzero(sessions.abandons)
    at = end[left] - rng.integers(0, 3, len(left))
    add("cart", left, sessions.target[left], at)
    twice = rng.random(len(left)) < rates.cart_again
    add("cart", left[twice], sessions.target[left[twice]], at[twice] + rng.integers(20, 300, twice.sum()))
    removed = rng.random(len(left)) < 0.2
    add("remove_from_cart", left[removed], sessions.target[left[removed]], at[removed] + rng.integers(310, 900, removed.sum()))
    heat = warmth(shoppers, sessions.user, sessions.intent)
    for kind, chance in (("favourite", rates.favourite), ("share", rates.share)):
        rows = np.flatnonzero(rng.random(len(end)) < chance * heat)
        add(kind, rows, views["item"][last][rows], end[rows] - 1)
    asked = np.flatnonzero(rng.random(len(end)) < rates.search)
    add("search", asked, np.full(len(asked), -1), sessions.start[asked] - rng.integers(5, 30, len(asked)), query=sessions.target[asked])

    shown = rng.random(len(end)) < rates.sessions_with_impressions
    rows = np.flatnonzero(shown[views["session"]])
    before = views["seconds"][rows] - rng.integers(2, 12, len(rows))
    add("impression", views["session"][rows], views["item"][rows], before, page=views["page"][rows])
    for _ in range(2):
        wide = np.minimum(views["page"][rows] + rng.integers(0, 2, len(rows)), 5)
        other = pick_items(rng, catalogue, shoppers, views["user"][rows], catalogue.category[views["item"][rows]])
        add("impression", views["session"][rows], other, before, page=wide)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    joined["seconds"] = joined["seconds"].clip(0, DAYS * 86400 - 1)
    return joined


def events_table(events: dict[str, np.ndarray], catalogue: Catalogue, names: list[str]) -> pa.Table:
    """Order events by time and spell them as the shop's export would; times are text, as some of them are broken later."""
    order = np.lexsort((events["page"], events["item"], events["kind"].astype(str), events["user"], events["seconds"]))
    new = np.zeros(len(order), dtype=bool)
    for name in ("seconds", "user", "kind", "item", "page"):
        new[1:] |= events[name][order][1:] != events[name][order][:-1]
    new[0] = True
    order = order[new]  # an honest shop writes one act once; repeats are put in on purpose, later
    events = {name: column[order] for name, column in events.items()}
    _, opened = np.unique(events["session"], return_index=True)
    number = np.empty(len(opened), dtype=np.int64)
    number[np.argsort(opened, kind="stable")] = np.arange(len(opened))
    session = number[np.unique(events["session"], return_inverse=True)[1]]
    day = events["seconds"] // 86400
    offered = (day >= PROMOTION_DAYS[0]) & (day < PROMOTION_DAYS[1]) & catalogue.promoted[catalogue.category[events["item"]]].astype(bool)
    price = (catalogue.price[events["item"]] * np.where(offered, 1 - PROMOTION_DISCOUNT, 1.0)).round(2)
    has_item = events["item"] >= 0
    times = np.datetime_as_string(START + events["seconds"].astype("timedelta64[s]"))
    bought = events["quantity"] > 0
    return pa.table(
        {
            "event_time": pa.array([str(t).replace("T", " ") for t in times]),
            "user_id": pa.array([names[u] for u in events["user"]]),
            "session_id": pa.array([f"s{n + 1:06d}" for n in session]),
            "event_type": pa.array(events["kind"].tolist()),
            "item_id": pa.array([catalogue.item_ids[i] if i >= 0 else None for i in events["item"]]),
            "dwell": pa.array(events["dwell"], from_pandas=True),
            "position": pa.array(events["page"].astype(np.int16), mask=events["page"] == 0),
            "price": pa.array(price, mask=~has_item),
            "quantity": pa.array(events["quantity"].astype(np.int16), mask=~bought),
            "order_id": pa.array([f"o{n + 1:05d}" if n >= 0 else None for n in events["order"]]),
            "query": pa.array([catalogue.query(i) if i >= 0 else None for i in events["query"]]),
        }
    )


def make_clickstream(seed: int = SEED, users: int = USERS, rates: Rates | None = None) -> dict[str, pa.Table]:
    """Make the three tables `events`, `items`, `users`; same arguments, same tables.

    Args:
        seed: Of the one random generator behind everything.
        users: How many shoppers to draw; a few of them may never come.
        rates: Chances to draw with; the tuned ones by default.
    """
    rng = np.random.default_rng(seed)
    catalogue = make_catalogue(rng, PROMOTION_DEPARTMENTS)
    shoppers = make_shoppers(rng, users, DAYS)
    events = make_events(rng, catalogue, shoppers, rates or Rates())
    events = add_robots(rng, events, catalogue, users, DAYS)
    names = shoppers.names(rng, users + int(events["user"].max()) + 1)
    table = add_mess(rng, events_table(events, catalogue, names))
    return {"events": table, "items": items_table(catalogue), "users": users_table(shoppers, names)}


def write_tables(tables: dict[str, pa.Table], folder: Path) -> None:
    """Write each table as Parquet, byte for byte the same for the same table and pyarrow."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        spelled = ["event_time"] if "event_time" in table.column_names else []
        pq.write_table(
            table,
            folder / f"{name}.parquet",
            compression="zstd",
            compression_level=19,
            use_dictionary=[column for column in table.column_names if column not in spelled],
            column_encoding=dict.fromkeys(spelled, "DELTA_BYTE_ARRAY") or None,
            dictionary_pagesize_limit=4 << 20,
            data_page_size=4 << 20,
            store_schema=False,
        )


def main() -> None:
    """Write the sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "sample" / "clickstream")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--users", type=int, default=USERS)
    given = parser.parse_args()
    tables = make_clickstream(given.seed, given.users)
    write_tables(tables, given.out)
    for name, table in tables.items():
        print(f"{name}: {table.num_rows:,} rows, {(given.out / f'{name}.parquet').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
