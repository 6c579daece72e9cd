"""Two orders of items made one."""

from collections.abc import Sequence

RANK_CONSTANT = 60
"""Of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): high places count more, but no list alone decides."""


def fuse(lists: Sequence[Sequence[int]], most: int) -> list[tuple[int, float]]:
    """Fuse orders by reciprocal rank: an item's score is the sum of 1 / (60 + rank) over the lists that hold it.

    Args:
        lists: Rows of items, best first, each at most once in a list.
        most: Longest list to return.

    Returns:
        (row, score), best first; equal scores by the place in the first list, then by row.
    """
    scores: dict[int, float] = {}
    for ordered in lists:
        for rank, row in enumerate(ordered, start=1):
            scores[row] = scores.get(row, 0.0) + 1 / (RANK_CONSTANT + rank)
    first = {row: rank for rank, row in enumerate(lists[0])} if lists else {}
    return sorted(scores.items(), key=lambda pair: (-pair[1], first.get(pair[0], len(first)), pair[0]))[:most]
