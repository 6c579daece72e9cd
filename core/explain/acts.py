"""Which acts of a history make a chance: Shapley values where a player is an act, a basket, or what lies further back.

A coalition is the history with only its players' acts; features are counted anew from it, so nothing stands in for what is
left out but its absence (as in TimeSHAP: Bento et al., 2021). The empty coalition is a shopper of whom nothing is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from core.explain.shapley import Bools, Floats, Indices, Shapley, shapley_values

PLAYERS = 18
"""Most players: more could not be told apart on a screen."""
ScoreHistories = Callable[[pa.Table, pa.Table, list[str], Bools], Floats]
"""Log-odds (C,) of invented users (C,): of events with `player`, `chosen` (user_id, player; nothing for a user without acts), and which of
the held parts each of them has (C, H)."""


@dataclass(frozen=True)
class Player:
    """Acts that come and go together."""

    number: int
    kind: str
    """act (one event) · basket (acts of one kind at one moment or in one order) · day (one calendar day) · earlier (all before)."""
    rows: tuple[int, ...]
    """Places in the history, oldest first."""
    first: datetime
    last: datetime
    events: int
    event_type: str
    """The kind of act; the most frequent one where there are several."""


def find_players(events: pa.Table, most: int = PLAYERS) -> list[Player]:
    """Part a history into at most `most` players, newest first.

    Where there are few enough events each is a player. Else acts of one kind in one order or at one moment join, then those of
    a calendar day (UTC), and all that do not fit join as `earlier`.

    Args:
        events: One shopper's, sorted by time, columns of schema.EVENTS.
        most: At least 2.
    """
    if not events.num_rows:
        return []
    times = events["event_time"].to_pylist()
    kinds = events["event_type"].to_pylist()
    orders = events["order_id"].to_pylist()
    keys: list[object] = list(range(len(times)))
    kind = "act"
    if len(set(keys)) > most:
        keys, kind = [(k, order or at) for k, order, at in zip(kinds, orders, times, strict=True)], "basket"
    if len(set(keys)) > 3 * most:
        keys, kind = [at.date() for at in times], "day"
    rows: dict[object, list[int]] = {}
    for place, key in enumerate(keys):
        rows.setdefault(key, []).append(place)
    parts = sorted(rows.values(), key=lambda part: part[-1], reverse=True)
    kept, rest = (parts, []) if len(parts) <= most else (parts[: most - 1], parts[most - 1 :])
    grouped = [(kind if len(part) > 1 or kind == "day" else "act", part) for part in kept]
    if rest:
        grouped.append(("earlier", sorted(place for part in rest for place in part)))
    return [_player(number, kind, part, times, kinds) for number, (kind, part) in enumerate(grouped)]


def explain_acts(
    score: ScoreHistories, events: pa.Table, players: list[Player], rng: np.random.Generator, pairs: int = 16, held: int = 0
) -> Shapley:
    """Share out the log-odds of one shopper among the players of her history, and what the model sees of her besides.

    Args:
        score: Features and model; the empty coalition, a shopper of whom nothing is known, is the base.
        events: The history.
        players: From find_players.
        rng: Source of chance.
        pairs: Antithetic pairs of permutations, where there are too many players for an exact answer.
        held: Parts that are no acts (H); they play beside the players, as the last of the values.
    """
    numbers = np.empty(events.num_rows, dtype=np.int32)
    for player in players:
        numbers[list(player.rows)] = player.number
    tagged = events.append_column("player", pa.array(numbers, pa.int32()))

    def game(masks: Bools, _backgrounds: Indices) -> Floats:
        distinct, inverse = np.unique(masks, axis=0, return_inverse=True)
        coalition, player = np.nonzero(distinct[:, : len(players)])
        names = [f"{number:06d}" for number in range(len(distinct))]
        chosen = pa.table(
            {"user_id": pa.array([names[c] for c in coalition.tolist()], pa.string()), "player": pa.array(player, pa.int32())}
        )
        return np.asarray(score(tagged, chosen, names, distinct[:, len(players) :])[inverse.reshape(-1)])

    return shapley_values(game, len(players) + held, rng, pairs=pairs)


def _player(number: int, kind: str, rows: list[int], times: list[datetime], kinds: list[str]) -> Player:
    named = [kinds[row] for row in rows]
    usual = max(sorted(set(named)), key=named.count)
    return Player(number, kind, tuple(rows), times[rows[0]], times[rows[-1]], len(rows), usual)
