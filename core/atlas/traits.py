"""What is typical of a segment: traits that its shoppers have more often than all others.

Traits are ranked by the lower bound of their log-odds against the other shoppers, shrunk towards all of them (informative
Dirichlet prior: Monroe, Colaresi, Quinn, "Fightin' Words", 2008), so that few users never make a strong trait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.atlas.demographics import KNOWN, column_of
from core.atlas.leanings import Leanings
from core.metrics import wilson

Z = 1.959964
PRIOR_USERS = 50.0
"""Weight of all users in each trait's shrinkage, in users."""
LEAST_LIFT = 1.1
"""A trait that a segment has less than a tenth more often is no trait of it, however sure the difference is."""
PER_KIND = 10
"""Traits kept for each kind and segment; the rest says the same more weakly."""
PER_FEATURE_KIND = 4
"""Counted features repeat one another (7, 14, 28 days …) and what the named kinds already say."""

LEVELS = ("spend", "price", "orders", "recency", "activity")
"""Kinds of traits that are a top or bottom quarter by a habit."""
QUARTERS = ("high", "low")
BASES = MappingProxyType({"spend": "buyers", "orders": "buyers", "price": "priced"})
"""Among whom the quarters of a kind are taken, where not among everybody."""

Carriers = Sequence[tuple[str, str, npt.NDArray[np.int64]]]
"""(kind, code, users with the trait in each group) of each trait."""


@dataclass(frozen=True)
class Trait:
    """One trait of one segment."""

    segment_id: int
    kind: str
    """category, brand, word, item, event, hours, days, cadence, spend, orders, activity, recency, price, demographic or feature."""
    code: str
    """The category, brand, item id, act, or a fixed code: what a translation hangs on."""
    lift: float
    """share_in / share_all; `low` and `high` are its 95 % interval."""
    low: float
    high: float
    n: int
    """Users of the segment who have the trait."""
    share_in: float
    share_all: float
    strength: float
    """Lower 95 % bound of the shrunken log-odds against all other users; the order of traits."""
    base: str | None = None
    """Whom the shares are of where that is not everybody: `buyers`, `priced` (users whose price level is known) or `known` (users
    of whom the column of a demographic says anything)."""
    base_in: int | None = None
    """Users of that base in the segment."""
    base_all: int | None = None
    """Users of that base in all segments together."""
    of_segment: float | None = None
    """Share of all users of the segment who have the trait, where there is a base."""

    @property
    def spread(self) -> float:
        """Share of the segment who have the trait: what a name needs, whatever the base of its figures."""
        return self.share_in if self.of_segment is None else self.of_segment


def count_carriers(leanings: Leanings, counts: pa.Table | None, index: npt.NDArray[np.int64], groups: int) -> Carriers:
    """Count who has each trait in each group of users.

    Args:
        leanings: What users lean to.
        counts: Counted features, one row per user in the same order; each column's top quarter is a trait of kind `feature`,
            unless an earlier trait has the very same users. In a log of purchases alone, days since the last act and since the
            last purchase are one thing, and a named trait says it already.
        index: (U,) group of each user, -1 for none.
        groups: Number of groups.
    """
    told = list(zip(leanings.kinds, leanings.codes, leanings.carriers(index, groups), strict=True))
    return told if counts is None else [*told, *_feature_bands(counts, index, groups, leanings)]


def find_traits(
    carriers: Carriers,
    ids: Sequence[int],
    sizes: Sequence[int],
    least: int,
    bases: Mapping[str, npt.NDArray[np.int64]] = MappingProxyType({}),
) -> list[Trait]:
    """Find what each of some segments has more often than the others together, strongest first.

    Args:
        carriers: Users with each trait, one number per segment.
        ids: The segments.
        sizes: Their users.
        least: Fewest users of a segment with a trait for it to be told.
        bases: Users of each segment among whom the quarters of a kind were taken; they are compared with the others among them.
            Demographics are compared among those of whom their column is known, which the carriers tell themselves.

    Returns:
        Traits with a lift of LEAST_LIFT or more whose interval excludes 1, at least `least` users strong, PER_KIND of each kind at
        most, and of each level only the end that is the stronger.
    """
    if len(ids) < 2:
        return []
    found = []
    known = {code: numbers for kind, code, numbers in carriers if kind == KNOWN}
    for kind, code, numbers in carriers:
        if kind == KNOWN:
            continue
        if kind == "demographic" and column_of(code) in known:
            among = known[column_of(code)]
            told = _compare(kind, code, numbers, ids, among.tolist(), least)
            found += [_among(trait, "known", among, ids, sizes) for trait in told]
        elif code in QUARTERS and kind in BASES and kind in bases:
            told = _compare(kind, code, numbers, ids, bases[kind].tolist(), least)
            found += [_among(trait, BASES[kind], bases[kind], ids, sizes) for trait in told]
        else:
            found += _compare(kind, code, numbers, ids, sizes, least)
    kept: list[Trait] = []
    taken: dict[tuple[int, str], int] = {}
    for trait in sorted(found, key=lambda t: (t.segment_id, -t.strength, t.kind, t.code)):
        key = (trait.segment_id, trait.kind)
        if trait.kind in LEVELS and key in taken:  # nobody spends much and little
            continue
        taken[key] = taken.get(key, 0) + 1
        if taken[key] <= (PER_FEATURE_KIND if trait.kind == "feature" else PER_KIND):
            kept.append(trait)
    return kept


def _feature_bands(counts: pa.Table, index: npt.NDArray[np.int64], groups: int, leanings: Leanings) -> Carriers:
    bands = []
    inside = index >= 0
    told = _by_size(leanings, inside)
    for column in counts.schema:
        if column.name == "user_id" or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            continue
        values = counts[column.name].cast(pa.float64()).to_numpy(zero_copy_only=False)
        known = np.isfinite(values)
        if known.sum() >= 4:
            high = np.flatnonzero(known & inside & (values > np.quantile(values[known], 0.75)))
            alike = told.setdefault(len(high), [])
            if not any(np.array_equal(high, users) for users in alike):
                alike.append(high)
                bands.append(("feature", column.name, np.bincount(index[high], minlength=groups)))
    return bands


def _by_size(leanings: Leanings, inside: npt.NDArray[np.bool_]) -> dict[int, list[npt.NDArray[np.int64]]]:
    """Users of each level (most orders, longest away …), by how many they are: what counted features are likely to repeat."""
    ends = np.searchsorted(leanings.traits, np.arange(len(leanings.kinds) + 1))
    found: dict[int, list[npt.NDArray[np.int64]]] = {}
    for place, kind in enumerate(leanings.kinds):
        if kind in LEVELS:
            users = leanings.users[ends[place] : ends[place + 1]].astype(np.int64)
            users = users[inside[users]]
            found.setdefault(len(users), []).append(users)
    return found


def _compare(kind: str, code: str, carriers: npt.NDArray[np.int64], ids: Sequence[int], sizes: Sequence[int], least: int) -> list[Trait]:
    """Compare a trait's users in each segment with all other users."""
    total, everyone = int(carriers.sum()), sum(sizes)
    if not everyone:  # nobody of that base
        return []
    share_all = total / everyone
    traits = []
    for segment_id, size, n in zip(ids, sizes, carriers.tolist(), strict=True):
        if n < least or not size or n * everyone <= total * size:
            continue
        others, other_users = total - n, everyone - size
        prior, prior_rest = PRIOR_USERS * share_all, PRIOR_USERS * (1 - share_all)
        cells = (n + prior, size - n + prior_rest, others + prior, other_users - others + prior_rest)
        if min(cells) <= 0:
            continue
        odds = np.log(cells[0] / cells[1]) - np.log(cells[2] / cells[3])
        strength = float(odds - Z * np.sqrt(sum(1 / cell for cell in cells)))
        share_in = n / size
        low, high = lift_interval(n, size, others, other_users)
        if strength > 0 and low > 1 and share_in >= LEAST_LIFT * share_all:
            traits.append(Trait(segment_id, kind, code, share_in / share_all, low, high, n, share_in, share_all, strength))
    return traits


def lift_interval(n: int, size: int, others: int, other_users: int) -> tuple[float, float]:
    """95 % interval of (share in the segment) / (share of all), from Wilson's intervals of the segment's and the others' share.

    The ratio q = others' share / segment's share has the limits of Donner and Zou (2012, "Closed-form confidence intervals for
    functions of the normal mean and standard deviation", MOVER-R); the lift is 1 / (part + (1 - part) q), with part the segment's
    share of users. So a trait of everybody in the segment has an interval, too, and it narrows with n.

    Args:
        n: Users of the segment with the trait, at least 1.
        size: Users of the segment.
        others: Other users with the trait.
        other_users: All other users.
    """
    part = size / (size + other_users)
    inside, outside = n / size, others / other_users if other_users else 0.0
    (inside_low, inside_high), (outside_low, outside_high) = wilson(n, size), wilson(others, other_users) if other_users else (0.0, 0.0)
    product = inside * outside
    least, most = inside_low * (2 * inside - inside_low), inside_high * (2 * inside - inside_high)
    high = (product + _root(product**2 - outside_high * (2 * outside - outside_high) * least)) / least
    low = (product - _root(product**2 - outside_low * (2 * outside - outside_low) * most)) / most if most > 0 else 0.0
    return float(1 / (part + (1 - part) * high)), float(1 / (part + (1 - part) * max(low, 0.0)))


def _among(trait: Trait, base: str, among: npt.NDArray[np.int64], ids: Sequence[int], sizes: Sequence[int]) -> Trait:
    row = list(ids).index(trait.segment_id)
    return replace(trait, base=base, base_in=int(among[row]), base_all=int(among.sum()), of_segment=trait.n / sizes[row])


def _root(value: float) -> float:
    return float(np.sqrt(max(value, 0.0)))
