"""The column dictionary of a feature matrix: what each column means, and its mean and spread as models see them."""

import numpy as np
import pyarrow as pa

from core.features.catalogue import FEATURES


def describe_features(counts: pa.Table) -> pa.Table:
    """Describe each counted feature of a matrix; nothing but the matrix is read, so nothing after its cutoff.

    Models see sign(x) ln(1 + |x|), standardised. `mean` and `sd` are those of that value over the shoppers who have one.

    Args:
        counts: As `compute_features` gives it.

    Returns:
        One row for each column but user_id: feature, group, unit, description, empty_when, empty_share (0-1), smallest, median,
        largest (of the plain value), mean, sd (of the value that models see; sd is the population's).
    """
    known = {feature.name: feature for feature in FEATURES}
    rows = []
    for name in counts.column_names[1:]:
        values = counts[name].to_numpy(zero_copy_only=False).astype(np.float64)
        there = values[np.isfinite(values)]
        seen = np.sign(there) * np.log1p(np.abs(there))
        feature = known.get(name)
        rows.append(
            {
                "feature": name,
                "group": feature.group if feature else "",
                "unit": feature.unit if feature else "",
                "description": feature.description if feature else "",
                "empty_when": feature.empty if feature else "",
                "empty_share": 1 - len(there) / max(1, len(values)),
                "smallest": float(there.min()) if len(there) else None,
                "median": float(np.median(there)) if len(there) else None,
                "largest": float(there.max()) if len(there) else None,
                "mean": float(seen.mean()) if len(there) else None,
                "sd": float(seen.std()) if len(there) else None,
            }
        )
    return pa.Table.from_pylist(rows, SCHEMA)


SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("feature", "group", "unit", "description", "empty_when")),
        *((name, pa.float64()) for name in ("empty_share", "smallest", "median", "largest", "mean", "sd")),
    ]
)
