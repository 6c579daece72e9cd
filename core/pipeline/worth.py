"""What the profit part of the Propensity page reads: profit by depth, how deep it pays, who they are, and the audience of it."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.audiences.sizes import AudienceSize
from core.insights.profit import Expected, Gains, affordable, expect, measure_gains, taken_at, worth_contacting
from core.pipeline import outcomes, screens
from core.pipeline.map_cells import told_frame
from core.pipeline.places import places
from core.pipeline.screens import Screen
from core.small_cells import Cells

SEED = 0
"""Of the resampling behind the band: the same run always shows the same."""
KEPT = 4
"""Runs in memory at once."""
WHO = Cells(labels=("kind", "group"), people=("users",), typical=dict.fromkeys(("share", "all_share", "lift", "buyers"), "users"))
WAYS = ("depth", "even", "budget")
"""How deep to go: the best share, down to break-even, as far as a budget reaches."""


@lru_cache(maxsize=KEPT)
def gains(screen: Screen) -> Gains | None:
    """Buyers found by depth in the test window of the pinned chances; None when it was never judged."""
    table = screens.run_table(screen, "propensity", "test", ["user_id", "label", "propensity"])
    if table is None or not table.num_rows:
        return None
    labels, chances = (table[name].to_numpy().astype(np.float64) for name in ("label", "propensity"))
    return measure_gains(labels, chances, table["user_id"].to_pylist(), np.random.default_rng(SEED))


@lru_cache(maxsize=KEPT)
def ranked(screen: Screen) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """User ids and chances of everyone scored, best first, ties by user id."""
    table = screens.run_table(screen, "propensity", "scores", ["user_id", "propensity"])
    if table is None:
        return np.array([], dtype=object), np.array([])
    table = table.sort_by([("propensity", "descending"), ("user_id", "ascending")])
    return np.asarray(table["user_id"].to_pylist(), dtype=object), table["propensity"].to_numpy()


def reach(screen: Screen, way: str, *, depth: float, cost: float, margin: float, budget: float) -> int:
    """How many shoppers a way of WAYS takes."""
    chances = ranked(screen)[1]
    if way == "even":
        return worth_contacting(chances, cost, margin)
    return affordable(len(chances), cost, budget) if way == "budget" else taken_at(len(chances), depth)


def expected(screen: Screen, users: int) -> Expected:
    """What the best `users` shoppers are expected to do."""
    return expect(ranked(screen)[1], users, outcomes.calibration_error(screen))


def profit_curve(screen: Screen, cost: float, margin: float) -> pd.DataFrame:
    """Profit by depth: depth, users, expected (of those scored now), and measured, low, high of the test window scaled to them.

    The last three are missing when there was no test window.
    """
    chances = ranked(screen)[1]
    depth = np.arange(1, 101) / 100
    users = np.array([taken_at(len(chances), share) for share in depth])
    summed = np.append(0.0, np.cumsum(chances))
    curve = pd.DataFrame({"depth": depth, "users": users, "expected": margin * summed[users] - cost * users})
    found = gains(screen)
    if found is not None:
        curve["measured"], curve["low"], curve["high"] = found.profit(cost, margin, len(chances))
    return curve


def who(screen: Screen, users: int) -> pd.DataFrame:
    """Who the best `users` shoppers are: kind (band or segment), group, users, share of those taken, all_share, lift, buyers expected."""
    ids, chances = ranked(screen)
    table = screens.run_table(screen, "propensity", "scores")
    if table is None or not users:
        return pd.DataFrame(columns=["kind", "group", "users", "share", "all_share", "lift", "buyers"])
    frame = pd.DataFrame({"user_id": ids, "propensity": chances, "taken": np.arange(len(ids)) < users})
    known: dict[str, dict[str, Any]] = {}
    if "band" in table.column_names:
        known["band"] = dict(zip(table["user_id"].to_pylist(), table["band"].to_pylist(), strict=True))
    if screen.run_id("atlas"):
        everyone = places(screen)
        known["segment"] = dict(zip(everyone.user_ids.tolist(), everyone.segment_ids.tolist(), strict=True))
    parts = []
    for kind, group_of in known.items():
        grouped = frame.assign(group=frame["user_id"].map(group_of)).dropna(subset=["group"])
        taken = grouped[grouped["taken"]].groupby("group")["propensity"].agg(users="size", buyers="sum")
        everyone_of = grouped.groupby("group").size()
        part = taken.reindex(everyone_of.index, fill_value=0).reset_index()
        part["share"], part["all_share"] = part["users"] / users, everyone_of.to_numpy() / len(frame)
        part.insert(0, "kind", kind)
        parts.append(part.sort_values(["users", "group"], ascending=[False, True], kind="stable"))
    found = (
        pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["kind", "group", "users", "buyers", "share", "all_share"])
    )
    return told_frame(screen, WHO, found.assign(lift=found["share"] / found["all_share"]))


def rule(screen: Screen, way: str, *, depth: float, cost: float, margin: float, budget: float) -> dict[str, Any]:
    """The audience rule that takes the same shoppers as `reach`: a share by chance, or a smallest chance."""
    everyone = len(ranked(screen)[1])
    taken = reach(screen, way, depth=depth, cost=cost, margin=margin, budget=budget)
    if way == "even" and taken:
        return {"all": [{"propensity": {"at_least": cost / margin}}]}
    share = 100 * depth if way == "depth" else 100 * (taken - 0.5) / max(everyone, 1)  # the rule rounds up
    return {"all": [{"percentile": {"top": round(share, 6)}}]} if taken else {"not": {"all": []}}


def save(
    screen: Screen, name: str, way: str, *, depth: float, cost: float, margin: float, budget: float, holdout: float = 0.0
) -> AudienceSize:
    """Save the audience of a way: those on screen, all of them unless a holdout is asked for; returns its size as its file will have it."""
    asked = {"depth": depth, "cost": cost, "margin": margin, "budget": budget}
    taken = reach(screen, way, **asked)
    chosen = rule(screen, way, **asked)
    record = {"name": name, "rule": chosen, "holdout": holdout, "cost": cost, "margin": margin, "users": taken}
    outcomes.save_audience(screen, record)
    return outcomes.size(screen, chosen, holdout=holdout, cost=cost, margin=margin).size
