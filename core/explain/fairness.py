"""How a propensity does in groups of people: size, base rate, calibration and who is found, each with its interval."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from core.explain.shapley import Floats
from core.metrics import bootstrap, wilson

LEAST_USERS = 30
"""Smaller groups are not shown: their figures are chance, and they could name somebody."""
FIELDS = pa.schema(
    [
        ("attribute", pa.string()),
        ("group", pa.string()),
        ("users", pa.int64()),
        ("positives", pa.int64()),
        *((name, pa.float64()) for name in ("rate", "rate_low", "rate_high", "mean_propensity", "gap", "gap_low", "gap_high")),
        *((name, pa.float64()) for name in ("recall", "recall_low", "recall_high", "taken")),
    ]
)


def compare_groups(
    attribute: str, groups: Sequence[str | None], labels: Floats, propensities: Floats, depth: float, rng: np.random.Generator
) -> pa.Table:
    """Compare groups of an attribute on the test window.

    Args:
        attribute: Its name.
        groups: Of each shopper (N,); None is the group "".
        labels: 0/1 (N,).
        propensities: (N,).
        depth: Share of all shoppers that is contacted, best first, 0 to 1.
        rng: Source of chance.

    Returns:
        FIELDS, one row for each group of at least LEAST_USERS, largest first: rate with Wilson's interval; gap, mean propensity minus rate,
        with a bootstrap interval; recall, the share of the group's buyers among those contacted, with Wilson's; taken, the share of
        the group that is contacted.
    """
    named = np.array(["" if group is None else str(group) for group in groups], dtype=object)
    taken = np.zeros(len(labels), dtype=bool)
    taken[np.lexsort((np.arange(len(labels)), -propensities))[: max(1, round(depth * len(labels)))]] = True
    told = []
    for group in sorted(set(named.tolist())):
        rows = np.flatnonzero(named == group)
        if len(rows) < LEAST_USERS:
            continue
        truth, chance = labels[rows], propensities[rows]
        buyers = int(truth.sum())
        found = int((truth * taken[rows]).sum())
        gap = bootstrap(lambda drawn, t=truth, c=chance: float((c[drawn] - t[drawn]).mean()), len(rows), rng)  # type: ignore[misc]
        told.append(
            {
                "attribute": attribute,
                "group": group,
                "users": len(rows),
                "positives": buyers,
                "rate": buyers / len(rows),
                **dict(zip(("rate_low", "rate_high"), wilson(buyers, len(rows)), strict=True)),
                "mean_propensity": float(chance.mean()),
                "gap": gap.value,
                "gap_low": gap.low,
                "gap_high": gap.high,
                "recall": found / buyers if buyers else None,
                **dict(zip(("recall_low", "recall_high"), wilson(found, buyers), strict=True)),
                "taken": float(taken[rows].mean()),
            }
        )
    told.sort(key=lambda row: (-int(str(row["users"])), str(row["group"])))
    return pa.Table.from_pylist(told, schema=FIELDS)
