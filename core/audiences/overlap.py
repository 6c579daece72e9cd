"""How far audiences hold the same shoppers."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa


def overlap_matrix(members: Mapping[str, Sequence[str]]) -> pa.Table:
    """Compare each audience with each, itself included.

    Args:
        members: user_ids by the name of the audience; A audiences.

    Returns:
        A² rows in the order of `members`: left, right, users (in both), share (of the left one), jaccard (both ÷ either); 0 for empty ones.
    """
    names = list(members)
    place = {user: row for row, user in enumerate(sorted(set().union(*members.values())))} if members else {}
    inside = np.zeros((len(names), len(place)), bool)
    for row, users in enumerate(members.values()):
        inside[row, [place[user] for user in users]] = True
    sizes = inside.sum(axis=1)
    rows = []
    for a, left in enumerate(names):
        both = (inside[a] & inside).sum(axis=1)
        for b, right in enumerate(names):
            either = int(sizes[a] + sizes[b] - both[b])
            rows.append(
                {
                    "left": left,
                    "right": right,
                    "users": int(both[b]),
                    "share": float(both[b] / sizes[a]) if sizes[a] else 0.0,
                    "jaccard": float(both[b] / either) if either else 0.0,
                }
            )
    kinds = {"left": pa.string(), "right": pa.string(), "users": pa.int64(), "share": pa.float64(), "jaccard": pa.float64()}
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()})
