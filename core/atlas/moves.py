"""Who changed segment between two maps."""

import pyarrow as pa

MOVES = ("stayed", "moved", "new", "gone")


def segment_moves(former: pa.Table, users: pa.Table) -> pa.Table:
    """Compare the segments of two maps whose segment ids were matched.

    Args:
        former: user_id and segment_id of the earlier map.
        users: The same of the map now.

    Returns:
        One row for each shopper of either map, by user_id: from_segment (null for a new one), to_segment (null for one who is
        gone), move: stayed, moved, new or gone.
    """
    before, after = (dict(zip(t["user_id"].to_pylist(), t["segment_id"].to_pylist(), strict=True)) for t in (former, users))
    everyone = sorted(before.keys() | after.keys())
    moves = [_move(before.get(user), after.get(user)) for user in everyone]
    return pa.table(
        {
            "user_id": pa.array(everyone, pa.string()),
            "from_segment": pa.array([before.get(user) for user in everyone], pa.int32()),
            "to_segment": pa.array([after.get(user) for user in everyone], pa.int32()),
            "move": pa.array(moves, pa.string()),
        }
    )


def with_profiles(moves: pa.Table, drift: pa.Table | None) -> pa.Table:
    """Add whether each shopper's profile changed between the maps: a move without it comes from drawing the segments anew.

    Args:
        moves: What `segment_moves` returned.
        drift: user_id and change (`same`, `changed`, …) of the profiles of both maps; None where they cannot be compared.

    Returns:
        The same rows with profile_changed: null for new and gone shoppers, and for all where nothing is known.
    """
    known = dict(zip(drift["user_id"].to_pylist(), drift["change"].to_pylist(), strict=True)) if drift is not None else {}
    told = {"same": False, "changed": True}
    values = [told.get(str(known.get(user))) for user in moves["user_id"].to_pylist()]
    return moves.append_column("profile_changed", pa.array(values, pa.bool_()))


def _move(before: int | None, after: int | None) -> str:
    if before is None:
        return "new"
    if after is None:
        return "gone"
    return "stayed" if before == after else "moved"
