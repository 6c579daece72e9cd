"""The catalogue and the shoppers of the synthetic shop, before anything happens."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data.shop_words import (
    ADJECTIVES,
    ADJECTIVES_CHINESE,
    BRANDS,
    CATEGORIES,
    CONSUMABLE_VARIANTS,
    CONSUMABLE_VARIANTS_CHINESE,
    PRAISES,
    PRAISES_CHINESE,
    TASTES,
    VARIANTS,
    VARIANTS_CHINESE,
)

ITEMS_PER_CATEGORY = 60
HIT_CATEGORIES = 16
HIT_FACTOR = 25.0
"""One hit in each of 16 categories: measured shops give 18 % of all events to 1 % of the items."""
POPULARITY_SIGMA = 0.85
NULL_CATEGORY = 0.22
CONSENT = 0.72
REGIONS = ("North", "South", "East", "West", "Capital", "Islands")
AGES = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
GENDERS = ("female", "male", "other")

RHYTHMS = ((0.52, 20.0, 2.4), (0.20, 12.5, 2.0), (0.14, 23.2, 1.7), (0.14, 8.5, 1.9))
"""Share of shoppers, hour of the peak, width in hours: evening, lunch, night, morning."""
HOUR_FLOOR = 0.0015
PAGE_SHARES = np.array([93, 41, 19, 9, 3]) / 165
"""Measured clicks by page of results 1-5."""


@dataclass(frozen=True)
class Catalogue:
    """I items in C categories."""

    categories: int
    category: np.ndarray
    """Category of each item (I,)."""
    brand: np.ndarray
    """Brand of each item (I,)."""
    popularity: np.ndarray
    price: np.ndarray
    price_level: np.ndarray
    """Logarithm of the price against the category's median, in units of a standard shopper's price level (I,)."""
    consumable: np.ndarray
    """By category (C,), bool."""
    trend: np.ndarray
    promoted: np.ndarray
    """By category (C,), 1.0 where the promotion week applies."""
    item_ids: list[str]
    titles: list[str]
    descriptions: list[str]
    nouns: list[str]
    names_category: np.ndarray
    """False where the shop forgot to fill in the category (I,)."""

    def query(self, item: int) -> str:
        """What a shopper types who is looking for the item."""
        return self.nouns[item]


@dataclass(frozen=True)
class Shoppers:
    """U shoppers as drawn; none of this is written but what a users file knows (gender, age, region, consent)."""

    count: int
    activity: np.ndarray
    """Visits relative to the mean shopper (U,)."""
    readiness: np.ndarray
    """Log-odds to buy, relative to the mean shopper (U,)."""
    taste: np.ndarray
    """Share of interest by category (U, C)."""
    price_level: np.ndarray
    loved_brand: np.ndarray
    """One brand by category (U, C)."""
    loyalty: np.ndarray
    """How much more the loved brand is looked at, at least 1 (U,)."""
    rhythm: np.ndarray
    hours: np.ndarray
    """Share of visits by rhythm and hour of day (4, 24)."""
    weekend: np.ndarray
    bargain: np.ndarray
    """How much more likely a mission falls into the promotion week, at least 1 (U,)."""
    joined: np.ndarray
    left: np.ndarray
    """First and last day in the shop (U,)."""
    gender: np.ndarray
    age: np.ndarray
    region: np.ndarray
    consent: np.ndarray

    def names(self, rng: np.random.Generator, count: int) -> list[str]:
        """Return `count` ids in random order, so that an id says nothing about who was drawn when."""
        return [f"u{n:06d}" for n in rng.permutation(900_000)[:count] + 100_000]


def make_catalogue(rng: np.random.Generator, promoted: tuple[str, ...]) -> Catalogue:
    """Draw the items: prices around the category's median, few hits, English or Chinese titles by brand."""
    count = ITEMS_PER_CATEGORY * len(CATEGORIES)
    category = np.repeat(np.arange(len(CATEGORIES)), ITEMS_PER_CATEGORY)
    brand = np.zeros(count, dtype=np.int64)
    popularity = np.exp(rng.normal(0, POPULARITY_SIGMA, count))
    for place in range(len(CATEGORIES)):
        rows = np.flatnonzero(category == place)
        brand[rows] = rng.choice(rng.choice(len(BRANDS), 7, replace=False), len(rows))
        popularity[rows] /= popularity[rows].mean()
    for place in rng.choice(len(CATEGORIES), HIT_CATEGORIES, replace=False):
        popularity[place * ITEMS_PER_CATEGORY + rng.integers(ITEMS_PER_CATEGORY)] = HIT_FACTOR * rng.uniform(0.8, 1.2)
    price_level = rng.normal(0, 1, count)
    price_level[popularity > 0.6 * HIT_FACTOR] *= 0.3  # hits are neither the cheapest nor the dearest
    medians = np.array([c.median_price for c in CATEGORIES])
    price = (medians[category] * np.exp(0.45 * price_level)).round(0) + rng.choice([-0.01, -0.05, -0.5], count)
    titles: list[str] = []
    nouns: list[str] = []
    descriptions: list[str] = []
    seen: dict[str, int] = {}
    for item in range(count):
        leaf = CATEGORIES[category[item]]
        english, chinese = BRANDS[brand[item]]
        noun, adjective = int(rng.integers(len(leaf.nouns))), int(rng.integers(len(ADJECTIVES)))
        praise = int(rng.integers(len(PRAISES)))
        if chinese:
            variants = CONSUMABLE_VARIANTS_CHINESE if leaf.consumable else VARIANTS_CHINESE
            variant = variants[rng.integers(len(variants))]
            title = f"{chinese} {ADJECTIVES_CHINESE[adjective]}{leaf.nouns_chinese[noun]} {variant}"
            nouns.append(leaf.nouns_chinese[noun])
            descriptions.append(f"{leaf.nouns_chinese[noun]}，{variant}，{PRAISES_CHINESE[praise]}。")
        else:
            variants = CONSUMABLE_VARIANTS if leaf.consumable else VARIANTS
            variant = variants[rng.integers(len(variants))]
            title = f"{english} {ADJECTIVES[adjective]} {leaf.nouns[noun]}, {variant}"
            nouns.append(leaf.nouns[noun])
            descriptions.append(f"{leaf.nouns[noun][0].upper()}{leaf.nouns[noun][1:]}, {variant}; {PRAISES[praise]}.")
        seen[title] = seen.get(title, 0) + 1
        titles.append(title if seen[title] == 1 else f"{title} ({seen[title]})")
    return Catalogue(
        categories=len(CATEGORIES),
        category=category,
        brand=brand,
        popularity=popularity,
        price=price.clip(1.99, None).round(2),
        price_level=price_level,
        consumable=np.array([c.consumable for c in CATEGORIES]),
        trend=np.array([c.trend for c in CATEGORIES]),
        promoted=np.array([1.0 if c.department in promoted else 0.0 for c in CATEGORIES]),
        item_ids=[f"p{n}" for n in rng.permutation(count) + 10_000],
        titles=titles,
        descriptions=descriptions,
        nouns=nouns,
        names_category=rng.random(count) >= NULL_CATEGORY,
    )


def make_shoppers(rng: np.random.Generator, count: int, days: int) -> Shoppers:
    """Draw the shoppers; age and gender lean towards some tastes, price level goes a little with age."""
    wants = np.full((len(TASTES), len(CATEGORIES)), 0.35)
    place = {c.name: n for n, c in enumerate(CATEGORIES)}
    for row, (_, loves) in enumerate(TASTES):
        for name, weight in loves.items():
            wants[row, place[name]] = weight
    wants /= wants.sum(axis=1, keepdims=True)
    main = rng.choice(len(TASTES), count)
    mix = rng.dirichlet(np.full(len(TASTES), 0.15), count)  # (U, T)
    mix = 0.35 * mix
    mix[np.arange(count), main] += 0.65
    taste = (mix @ wants) * rng.gamma(2.0, 0.5, (count, len(CATEGORIES)))  # (U, C)
    age = np.minimum(rng.choice(6, count, p=[0.16, 0.30, 0.22, 0.15, 0.11, 0.06]) + np.isin(main, (2, 6)) * rng.integers(0, 2, count), 5)
    lean = np.array([0.5, 0.85, 0.6, 0.3, 0.25, 0.45, 0.65, 0.55, 0.65])[main]
    gender = np.where(rng.random(count) < 0.03, 2, (rng.random(count) >= lean).astype(int))
    activity = np.exp(rng.normal(0, 0.95, count))
    hour = np.arange(24)
    hours = np.stack([np.exp(-0.5 * ((hour - peak + 12) % 24 - 12) ** 2 / width**2) for _, peak, width in RHYTHMS])  # (4, 24)
    hours = hours / hours.sum(axis=1, keepdims=True) + HOUR_FLOOR
    joined = np.where(rng.random(count) < 0.6, 0, rng.integers(0, days - 5, count))
    stay = rng.exponential(110, count).astype(np.int64) + 3
    return Shoppers(
        count=count,
        activity=activity / activity.mean(),
        readiness=rng.normal(0, 1.1, count),
        taste=taste / taste.sum(axis=1, keepdims=True),
        price_level=rng.normal(0, 0.8, count) + 0.12 * (age - 2),
        loved_brand=rng.integers(0, len(BRANDS), (count, len(CATEGORIES))),
        loyalty=1 + rng.exponential(3.0, count),
        rhythm=rng.choice(len(RHYTHMS), count, p=[share for share, _, _ in RHYTHMS]),
        hours=hours,
        weekend=np.where(rng.random(count) < 0.35, 3.0, 1.0),
        bargain=1 + rng.exponential(0.6, count),
        joined=joined,
        left=np.minimum(joined + stay, days - 1),
        gender=gender,
        age=age,
        region=rng.choice(len(REGIONS), count, p=[0.2, 0.18, 0.17, 0.15, 0.24, 0.06]),
        consent=rng.random(count) < CONSENT,
    )


def items_table(catalogue: Catalogue) -> pa.Table:
    """Spell the catalogue as the shop's file, ordered by id."""
    order = np.argsort(np.array(catalogue.item_ids))
    leaves = [CATEGORIES[catalogue.category[i]] for i in order]
    return pa.table(
        {
            "item_id": pa.array([catalogue.item_ids[i] for i in order]),
            "title": pa.array([catalogue.titles[i] for i in order]),
            "category": pa.array(
                [f"{c.department} > {c.name}" if catalogue.names_category[i] else None for i, c in zip(order, leaves, strict=True)]
            ),
            "brand": pa.array([BRANDS[catalogue.brand[i]][0] for i in order]),
            "price": pa.array(catalogue.price[order]),
            "description": pa.array([catalogue.descriptions[i] for i in order]),
        }
    )


def users_table(shoppers: Shoppers, names: list[str]) -> pa.Table:
    """Spell what the shop knows about its shoppers, ordered by id; robots never fill in a form."""
    order = np.argsort(np.array(names[: shoppers.count]))
    return pa.table(
        {
            "user_id": pa.array([names[u] for u in order]),
            "gender": pa.array([GENDERS[shoppers.gender[u]] for u in order]),
            "age": pa.array([AGES[shoppers.age[u]] for u in order]),
            "region": pa.array([REGIONS[shoppers.region[u]] for u in order]),
            "consent": pa.array(["yes" if shoppers.consent[u] else "no" for u in order]),
        }
    )
