"""Features of what was touched: items, brands, categories, price levels, what lies open, and sessions.

U shoppers, P pairs of shopper and item.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.features.acts import DAY, Acts
from core.features.grouping import NONE, Array, Floats, order_by, ratio, run_lengths, run_starts, run_sums, sums_by
from core.schema import EVENT_TYPES

WITHOUT_INTEREST = ("impression", "search", "refund", "other")
LEVEL = 1_000_000
"""Price levels are held as whole numbers of such parts."""
OPEN_DAYS = 7


@dataclass(frozen=True)
class Goods:
    """What is known of items as of the cutoff, I items by id."""

    item_ids: pa.Array
    category: Array
    """(I,) number of the category, -1 without."""
    brand: Array
    """(I,) number of the brand, -1 without."""
    level: Array
    """(I,) ln(price / median price of the category) in parts of 1 / LEVEL, NONE without a price."""

    @classmethod
    def of(cls, catalogue: pa.Table, levels: pa.Table) -> "Goods":
        """Put categories, brands and price levels of all items side by side.

        Args:
            catalogue: item_id, category, brand.
            levels: LEVELS; items that the catalogue does not know are added.
        """
        known = catalogue["item_id"].combine_chunks()
        beyond = levels["item_id"].filter(pc.invert(pc.is_in(levels["item_id"], value_set=known))).combine_chunks()
        item_ids = pa.concat_arrays([known, beyond])
        level = np.full(len(item_ids) + 1, NONE)
        scaled = np.rint(levels["level"].cast(pa.float64()).to_numpy() * LEVEL).astype(np.int64)
        level[pc.index_in(levels["item_id"], value_set=item_ids).to_numpy()] = scaled
        of_items = [np.append(_codes(catalogue[name]), np.full(len(beyond) + 1, -1)) for name in ("category", "brand")]
        return cls(item_ids, of_items[0], of_items[1], level)

    def rows(self, item_ids: pa.Array) -> Array:
        """Row of some items here, that of an item of which nothing is known for all others."""
        return np.asarray(pc.index_in(item_ids, value_set=self.item_ids).fill_null(len(self.item_ids)).to_numpy())


def _codes(column: pa.ChunkedArray) -> Array:
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(), dtype=np.int64)


@dataclass(frozen=True)
class Pairs:
    """Which shopper touched which item with interest, by shopper and item (P,)."""

    user: Array
    item: Array
    touches: Array
    purchases: Array
    last_touch: Array
    last: dict[str, Array]
    """Of some kinds; NONE without one."""


def tastes(acts: Acts, goods: Goods, places: Array) -> dict[str, Array]:
    """Count items, brands, categories, open carts and the like of each shopper, by name of the feature (U,).

    Args:
        acts: Of the shoppers.
        goods: What is known of items.
        places: Row in `goods` of each item of the acts (I,), see `Goods.rows`.
    """
    pairs = _pairs(acts)
    return _items(acts, pairs) | _open(acts, pairs) | _kinds_of_items(acts, pairs, goods, places[pairs.item]) | _sessions(acts)


def _pairs(acts: Acts) -> Pairs:
    interesting = np.isin(acts.kind, [EVENT_TYPES.index(name) for name in WITHOUT_INTEREST], invert=True) & (acts.item >= 0)
    touched = np.flatnonzero(interesting)
    key = acts.user[touched].astype(np.int64) * len(acts.item_ids) + acts.item[touched]
    order = order_by(key)
    if order is not None:
        touched, key = touched[order], key[order]
    starts = run_starts(key)
    kind, time = acts.kind[touched], acts.time[touched]
    pair = np.repeat(np.arange(len(starts)), run_lengths(starts, len(key)))
    ends = starts + run_lengths(starts, len(key)) - 1

    def last(*names: str) -> Array:
        rows = np.flatnonzero(np.isin(kind, [EVENT_TYPES.index(name) for name in names]))
        found = np.full(len(starts), NONE)
        found[pair[rows]] = time[rows]  # of several the last one stays, and times ascend
        return found

    return Pairs(
        user=acts.user[touched[starts]],
        item=acts.item[touched[starts]],
        touches=run_lengths(starts, len(key)),
        purchases=np.bincount(pair[kind == EVENT_TYPES.index("purchase")], minlength=len(starts)),
        last_touch=time[ends],
        last={
            "purchase": last("purchase"),
            "cart": last("cart"),
            "favourite": last("favourite"),
            "view": last("view", "click"),
            "removal": last("remove_from_cart"),
        },
    )


def _items(acts: Acts, pairs: Pairs) -> dict[str, Array]:
    users = acts.users

    def count(chosen: Array) -> Array:
        return np.bincount(pairs.user[chosen], minlength=users)

    items, bought = np.bincount(pairs.user, minlength=users), count(pairs.purchases > 0)
    lines, _ = sums_by(pairs.purchases, pairs.user, users)
    starts = run_starts(pairs.user)
    most = np.zeros(users, dtype=np.int64)
    if len(starts):
        most[pairs.user[starts]] = np.maximum.reduceat(pairs.touches, starts)
    return {
        "items_all": items,
        "items_28d": count(pairs.last_touch >= acts.cutoff - 28 * DAY),
        "items_bought": bought,
        "repeat_share": ratio(lines - bought, lines),
        "items_bought_again_share": ratio(count(pairs.purchases > 1), bought),
        "most_touches_of_one_item": most,
    }


def _open(acts: Acts, pairs: Pairs) -> dict[str, Array]:
    """What waits to be bought. A time that is not there is NONE, and so before every other."""
    last, recent = pairs.last, acts.cutoff - OPEN_DAYS * DAY
    cart, favourite, view, purchase = last["cart"], last["favourite"], last["view"], last["purchase"]
    open_cart = (cart != NONE) & (purchase < cart) & (last["removal"] < cart)
    found = {
        "open_carts_7d": open_cart & (cart >= recent),
        "open_carts_all": open_cart,
        "open_favourites_all": (favourite != NONE) & (purchase < favourite),
        "open_views_7d": (view >= recent) & (purchase < view),
        "revisited_unbought": (view != NONE) & (purchase == NONE) & (pairs.touches > 1),
    }
    return {name: np.bincount(pairs.user[chosen], minlength=acts.users) for name, chosen in found.items()}


def _kinds_of_items(acts: Acts, pairs: Pairs, goods: Goods, place: Array) -> dict[str, Array]:
    """Brands, price levels and categories; `place` is the row of each pair's item in `goods`."""
    users, level = acts.users, goods.level[place]
    priced = level != NONE
    user, level, touches, purchases = pairs.user[priced], level[priced], pairs.touches[priced], pairs.purchases[priced]
    means = {}
    for name, weights in (("price_level", touches), ("price_level_bought", purchases)):
        (total, _), (n, _) = sums_by(level * weights, user, users), sums_by(weights, user, users)
        means[name] = ratio(total.astype(np.float64) / LEVEL, n)
    brand = goods.brand[place]
    branded = np.flatnonzero(brand >= 0)
    keys = np.sort(pairs.user[branded].astype(np.int64) * (brand.max(initial=0) + 1) + brand[branded])
    owners = keys[run_starts(keys)] // (brand.max(initial=0) + 1)
    return {"brands_all": np.bincount(owners, minlength=users), **means, **_categories(acts, pairs, goods.category[place])}


def _categories(acts: Acts, pairs: Pairs, category: Array) -> dict[str, Array]:
    users = acts.users
    known = np.flatnonzero(category >= 0)
    key = pairs.user[known].astype(np.int64) * (category.max(initial=0) + 1) + category[known]
    order = order_by(key)
    if order is not None:
        known, key = known[order], key[order]
    starts = run_starts(key)
    user, n = pairs.user[known[starts]], run_sums(pairs.touches[known], starts)
    bought = run_sums(pairs.purchases[known], starts)
    last = np.maximum.reduceat(pairs.last_touch[known], starts) if len(starts) else key
    (total, _), firsts = sums_by(n, user, users), run_starts(user)
    most: Floats = np.full(users, np.nan)
    if len(firsts):
        most[user[firsts]] = np.maximum.reduceat(n, firsts)
    terms, _ = sums_by(np.rint(n * np.log(n) * LEVEL).astype(np.int64), user, users)
    with np.errstate(divide="ignore"):
        entropy = np.log(total) - ratio(terms / LEVEL, total)
    return {
        "categories_all": np.bincount(user, minlength=users),
        "categories_28d": np.bincount(user[last >= acts.cutoff - 28 * DAY], minlength=users),
        "categories_bought": np.bincount(user[bought > 0], minlength=users),
        "top_category_share": ratio(most, total),
        "category_entropy": entropy,
    }


def _sessions(acts: Acts) -> dict[str, Array]:
    known = np.flatnonzero(acts.session >= 0)
    key = acts.user[known].astype(np.int64) * (int(acts.session.max(initial=0)) + 1) + acts.session[known]
    order = order_by(key)
    if order is not None:
        known, key = known[order], key[order]
    starts = run_starts(key)
    ends = starts + run_lengths(starts, len(key)) - 1
    user, last = acts.user[known[starts]], acts.time[known[ends]]
    sessions, events = np.bincount(user, minlength=acts.users), np.bincount(acts.user[known], minlength=acts.users)
    recent = np.bincount(user[last >= acts.cutoff - 28 * DAY], minlength=acts.users)
    return {
        "sessions_all": np.where(sessions > 0, sessions, np.nan),
        "sessions_28d": np.where(sessions > 0, recent, np.nan),
        "events_per_session": ratio(events, sessions),
    }
