"""What the Audiences page plans with: overlap, look-alikes, a budget, the next action for each stage of life."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from core.artifacts import read_rows
from core.audiences import actions, listed, lookalikes
from core.audiences.budget import Channel, Spending, part_audiences, spread_budget
from core.audiences.lookalikes import LEAST_SEEDS, Evidence
from core.audiences.overlap import overlap_matrix
from core.audiences.sizes import members
from core.errors import FileError, GateError, NotFoundError
from core.messages import say
from core.pipeline import choosing, outcomes, screens, shoppers
from core.pipeline.cells import enough
from core.pipeline.map_cells import told_frame
from core.pipeline.screens import Screen
from core.pipeline.writing import write_rows
from core.schema import STAGES
from core.small_cells import Cells, rate

__all__ = ["LEAST_SEEDS", "Channel", "Spending"]


def _shares(table: pa.Table) -> dict[str, list[Any]]:
    rows = table.to_pylist()
    sizes = {row["left"]: row["users"] for row in rows if row["left"] == row["right"]}
    return {
        "share": [rate(row["users"], sizes.get(row["left"]))[0] for row in rows],
        "jaccard": [_jaccard(row["users"], sizes.get(row["left"]), sizes.get(row["right"])) for row in rows],
    }


def _jaccard(both: int | None, left: int | None, right: int | None) -> float | None:
    return None if both is None or left is None or right is None or not left + right else both / max(left + right - both, both)


OVERLAPS = Cells(labels=("left", "right"), people=("users",), derived=("share", "jaccard"), derive=_shares)
ACTED = Cells(people=("users",), typical={"expected_buyers": "users"})
SPENT = Cells(
    labels=("audience", "channel", "smallest"),
    people=("users",),
    amounts={"cost": "users", "added_value": "users"},
    typical={"added_buyers": "users"},
)
ACTIONS = "next_actions"
"""Name under which an edited table of actions is saved."""


@dataclass(frozen=True)
class Alike:
    """Shoppers who are like a list of others."""

    rows: pd.DataFrame
    """user_id, similarity, propensity (NaN without one), most alike first."""
    evidence: Evidence | None
    """None when the list is too short to be judged."""
    known: int
    """Ids of the list that have a profile."""
    unknown: int
    """Ids of the list that have none."""
    blocks: tuple[str, ...]
    """Parts of the profile that were compared."""


def overlaps(screen: Screen, _saved: str = "") -> pd.DataFrame:
    """Compare all saved audiences with each other: left, right, users, share, jaccard; those that cannot be sized are left out.

    `_saved` is not read: callers that remember answers pass the saved rules, so that a new audience is a new question.
    """
    members_of = {record["name"]: _listed(screen, record["rule"])["user_id"].tolist() for record in _sound(screen)}
    found: pd.DataFrame = overlap_matrix(members_of).to_pandas()
    return told_frame(screen, OVERLAPS, found)


def alike(screen: Screen, seed_ids: Sequence[str], most: int = 1000, seed: int = 0) -> Alike:
    """Find the shoppers most like a list of others, and tell how well held-out ones of the list are found again.

    Args:
        screen: What to read.
        seed_ids: Ids of the list; those without a profile are counted and left out.
        most: Longest list to return.
        seed: Of the parts that the list is dealt into.

    Raises:
        NotFoundError: There are no profiles, or none of the ids has one.
        GateError: Small cells are hidden and the list is too short.
    """
    counts = screens.run_table(screen, "profiles", "counts")
    if counts is None:
        raise NotFoundError("Dataset {dataset!r} has no profiles yet; compute them first.", dataset=screen.name)
    users = np.array(counts["user_id"].to_pylist(), dtype=object)
    wanted = set(seed_ids)
    rows = np.array([row for row, user in enumerate(users) if user in wanted], dtype=np.int64)
    if not len(rows):
        raise NotFoundError("None of the {n:,} ids has a profile; give ids of this dataset.", n=len(wanted))
    counted = shoppers.standardised(counts)
    blocks: list[lookalikes.Rows] = [lambda: iter([(0, counted)])]
    path = screen.dataset.run_path("profiles", screen.run_id("profiles")) / "text.safetensors"
    if path.is_file():
        blocks.append(lambda: read_rows(path, "text"))
    folds = lookalikes.fold_of_seeds(len(rows), np.random.default_rng(seed))
    scores = lookalikes.alike_scores(blocks, len(users), rows, folds)
    order = lookalikes.most_alike(scores, rows, most)
    enough(screen, len(order))
    frame = pd.DataFrame({"user_id": users[order], "similarity": np.round(scores[order, 0], 4)})
    table = screens.run_table(screen, "propensity", "scores", ["user_id", "propensity"])
    chances = dict(zip(table["user_id"].to_pylist(), table["propensity"].to_pylist(), strict=True)) if table is not None else {}
    frame["propensity"] = [chances.get(user, np.nan) for user in frame["user_id"]]
    evidence = lookalikes.judge_alike(scores, rows, folds, len(order)) if len(rows) >= LEAST_SEEDS else None
    return Alike(frame, evidence, len(rows), len(wanted) - len(rows), ("counts", "text")[: len(blocks)])


def alike_record(screen: Screen, file: bytes, most: int, out: Path | None) -> dict[str, Any]:
    """Find shoppers like those of a file of ids, as a record for JSON; with `out` the list is written there.

    Raises:
        FileError: The file cannot be written.
        NotFoundError: None of the ids has a profile.
        RuleError: The file is no list of ids.
    """
    found = alike(screen, read_ids(file), most)
    if out is not None:
        try:
            write_rows(out, pa.Table.from_pandas(found.rows, preserve_index=False))
        except OSError as error:
            raise FileError("{path} cannot be written ({error}); choose another folder.", path=out, error=error) from error
    told = {**asdict(found.evidence), "lift": found.evidence.lift} if found.evidence else None
    short = say("Fewer than {least} ids have a profile, so how well this works is not told.", least=LEAST_SEEDS)
    return {
        "seeds": found.known,
        "unknown_ids": found.unknown,
        "blocks": list(found.blocks),
        "users": len(found.rows),
        "rows": found.rows.head(20).astype(object).where(found.rows.head(20).notna(), None).to_dict("records"),
        "evidence": told,
        **({"out": str(out)} if out is not None else {}),
        "warnings": [] if told else [short],
    }


def seeds_of(screen: Screen, name: str) -> tuple[str, ...]:
    """Ids of a saved audience."""
    return tuple(_listed(screen, {"audience": name})["user_id"])


def read_ids(file: bytes, typed: str = "") -> list[str]:
    """Read ids from a file (CSV, or one a line) and from a text, each once, in their order (see `listed.read_ids`)."""
    return listed.read_ids(file, typed)


def spend(screen: Screen, names: Sequence[str], channels: Sequence[Channel], budget: float, margin: float) -> list[Spending]:
    """Spread a budget over saved audiences and channels (see `spread_budget`); a shopper of several counts in the first alone.

    Raises:
        GateError: There are no purchase chances to go by.
        RuleError: An amount is negative, or there is no channel.
    """
    if screen.run_id("propensity") is None:
        raise GateError("A budget is spread by purchase chances, and there are none yet; run `predict` first.")
    records = {record["name"]: record for record in _sound(screen)}
    rows = [(name, _listed(screen, records[name]["rule"])) for name in names if name in records]
    parted = part_audiences([(name, found["user_id"].tolist(), found["propensity"].fillna(0.0).tolist()) for name, found in rows])
    return spread_budget(parted, channels, budget, margin)


def spent_rows(screen: Screen, found: Sequence[Spending]) -> pd.DataFrame:
    """A spread budget as it may be shown: audience, channel, users, cost, added_buyers, added_value, smallest."""
    return told_frame(screen, SPENT, pd.DataFrame([vars(one) for one in found]))


def next_actions(screen: Screen) -> pd.DataFrame:
    """Return the next action for each stage of life with who is in it.

    Returns:
        stage, action, channel (messages where nobody has edited them), edited, users, expected_buyers (NaN without chances); the last two
        are NaN without profiles.
    """
    saved = {row["stage"]: row for row in screen.dataset.saved(ACTIONS) or [] if row.get("stage") in STAGES}
    tables = choosing.rule_tables(screen)
    groups = tables["groups"].to_pandas() if "groups" in tables else None
    if groups is not None and "scores" in tables:
        groups = groups.merge(tables["scores"].select(["user_id", "propensity"]).to_pandas(), on="user_id", how="left")
    rows: list[dict[str, Any]] = []
    for stage in STAGES:
        action, channel = actions.DEFAULTS[stage]
        own = saved.get(stage)
        inside = groups[groups["stage"] == stage] if groups is not None else None
        rows.append(
            {
                "stage": stage,
                "action": own["action"] if own else action,
                "channel": own["channel"] if own else channel,
                "edited": own is not None,
                "users": len(inside) if inside is not None else np.nan,
                "expected_buyers": float(inside["propensity"].sum()) if inside is not None and "propensity" in inside else np.nan,
            }
        )
    if groups is not None and screen.small_cells:
        told = told_frame(screen, ACTED, pd.DataFrame(rows)[["users", "expected_buyers"]])
        rows = [
            {**row, "users": users, "expected_buyers": buyers}
            for row, users, buyers in zip(rows, told["users"], told["expected_buyers"], strict=True)
        ]
    texts = {name: pd.Series([row[name] for row in rows], dtype=object) for name in ("action", "channel")}
    return pd.DataFrame(rows).assign(**texts)  # a column of texts would forget the parts of the messages


def save_next_actions(screen: Screen, rows: Sequence[dict[str, Any]] | None) -> None:
    """Keep an edited table of actions; None brings the product's own back.

    Raises:
        RuleError: A stage is unknown, missing or twice, or a text too long.
    """
    screen.dataset.save(ACTIONS, [] if rows is None else actions.checked_actions(rows))


def _sound(screen: Screen) -> list[dict[str, Any]]:
    """Saved audiences that can be sized on the pinned runs."""
    return [record for record in outcomes.refresh_audiences(screen) if "error" not in record]


def _listed(screen: Screen, rule: Any) -> pd.DataFrame:
    rule = outcomes.resolved(screen, rule)
    with screen.log.history() as connection:
        tables = choosing.rule_tables(screen, rule)
        found: pd.DataFrame = members(connection, tables, rule, cutoff=screen.log.until, holdout_share=0.0).to_pandas()
    return found
