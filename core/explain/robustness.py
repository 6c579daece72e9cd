"""How much worse a chance gets on a worse log: AUC and log loss with intervals, and the group of shoppers that suffers most. N shoppers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from core.explain.shapley import Floats
from core.metrics import Estimate, auc, bootstrap, log_losses, mean_estimate

LEAST = 50
"""Shoppers that a group needs to be named."""
CURVE = pa.schema(
    [("damage", pa.string()), ("strength", pa.float64())]
    + [(f"{name}{end}", pa.float64()) for name in ("auc", "log_loss", "auc_loss", "log_loss_rise") for end in ("", "_low", "_high")]
)
GROUPS = pa.schema(
    [("damage", pa.string()), ("strength", pa.float64()), ("partition", pa.string()), ("group", pa.string()), ("users", pa.int64())]
    + [(name, pa.float64()) for name in ("rise", "low", "high")]
)


def compare_chances(
    damage: str, strength: float, labels: Floats, sound: Floats, damaged: Floats, rng: np.random.Generator
) -> dict[str, object]:
    """One row of CURVE: both measures on the damaged log, and how much worse than on the sound one for the same shoppers.

    Args:
        damage: What was done.
        strength: How much of it; 0 is the sound log.
        labels: 0/1 (N,).
        sound: Chances of the log as it is (N,).
        damaged: Chances of the damaged one (N,).
        rng: Of the resampled shoppers.
    """
    n = len(labels)
    area = bootstrap(lambda rows: auc(labels[rows], damaged[rows]), n, rng, 200)
    lost = bootstrap(lambda rows: auc(labels[rows], sound[rows]) - auc(labels[rows], damaged[rows]), n, rng, 200)
    loss = log_losses(labels, damaged)
    rise = mean_estimate(loss - log_losses(labels, sound))
    found: dict[str, Estimate] = {"auc": area, "log_loss": mean_estimate(loss), "auc_loss": lost, "log_loss_rise": rise}
    ends = {
        f"{name}{end}": getattr(one, part)
        for name, one in found.items()
        for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    return {"damage": damage, "strength": strength, **ends}


def compare_groups_damaged(
    damage: str, strength: float, labels: Floats, sound: Floats, damaged: Floats, partitions: Mapping[str, Sequence[str]]
) -> list[dict[str, object]]:
    """Rows of GROUPS: rise of log loss in each group of at least LEAST shoppers, largest first.

    Args:
        damage: What was done.
        strength: How much of it.
        labels: 0/1 (N,).
        sound: Chances of the log as it is (N,).
        damaged: Chances of the damaged one (N,).
        partitions: Name of the group of each shopper, by the name of the partition.
    """
    rises = log_losses(labels, damaged) - log_losses(labels, sound)
    rows: list[dict[str, object]] = []
    for partition, names in partitions.items():
        told = np.asarray(names)
        for group in np.unique(told).tolist():
            inside = told == group
            if inside.sum() >= LEAST:
                found = mean_estimate(rises[inside])
                rows.append(
                    {"damage": damage, "strength": strength, "partition": partition, "group": group, "users": found.n, "rise": found.value,
                     "low": found.low, "high": found.high}
                )  # fmt: skip
    return sorted(rows, key=lambda row: (-float(str(row["rise"])), str(row["partition"]), str(row["group"])))
