"""What the Audiences page and the verb `ad` read: shoppers for an advertisement, and how well such lists did before."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from core.audiences import ads
from core.audiences.ads import Answered
from core.errors import CoreError, FileError, GateError, NotFoundError
from core.messages import Message, say
from core.pipeline import screens, shoppers
from core.pipeline.cells import enough
from core.pipeline.offering import barred_now
from core.pipeline.screens import Screen
from core.pipeline.searching import Reading, item_vectors, query_vector, reading
from core.pipeline.writing import write_rows
from core.store import fetch

LONGEST_TEXT = 2_000
"""Characters of an advertisement that are read."""


@dataclass(frozen=True)
class Matched:
    """Shoppers for an advertisement."""

    rows: pd.DataFrame
    """user_id, match (0 to 1), closeness, leaning, propensity; best first."""
    near: pd.DataFrame
    """The nearest items, without what the rules in force bar: item_id, title, category, price, cosine."""
    categories: dict[str, float]
    """Weight of each category of the near items."""
    evidence: list[Answered]
    """How the same method did at an earlier cutoff; empty when it cannot be told."""
    tested_at: datetime | None
    horizon_days: float | None
    notes: list[Message]


def match_ad(screen: Screen, text: str = "", item_ids: Sequence[str] = (), most: int = 1000, _rules: str = "") -> Matched:
    """List the shoppers most likely to answer an advertisement, and judge the method on the last label window.

    Args:
        screen: What to read.
        text: Of the advertisement; LONGEST_TEXT characters are read.
        item_ids: Items that it shows, instead of or beside a text.
        most: Longest list.
        _rules: Tells which rule set is in force.

    Raises:
        GateError: Neither a text nor an item was given; or small cells are hidden and the list is too short.
        NotFoundError: None of the items has a text.
        ModelError: Items have no text vectors.
    """
    here = reading(screen)
    vector = _ad_vector(here, text[:LONGEST_TEXT], item_ids)
    known, index, vectors = item_vectors(here)
    own = np.flatnonzero(index >= 0)
    items, cosines = [known[i] for i in own], (vectors @ vector)[index[own]]
    order = np.lexsort((np.array(items), -np.round(cosines, 6)))[: ads.near_count(len(items))]
    near = shoppers.titled(screen, pd.DataFrame({"item_id": [items[i] for i in order], "cosine": np.round(cosines[order], 4)}))
    categories = ads.near_categories([c if isinstance(c, str) else None for c in near["category"]])
    notes: list[Message] = []
    with here.log.history() as connection:
        leanings = ads.lean_towards(connection, items, cosines, categories, here.log.until)
    rows = _scored(leanings, screens.run_table(screen, "propensity", "scores", ["user_id", "propensity"]), notes)
    enough(screen, min(most, len(rows)))
    evidence, tested_at, horizon = _judged(screen, items, cosines, categories, list(near["item_id"]), notes)
    shown = near[~near["item_id"].isin(barred_now(screen))].reset_index(drop=True)
    return Matched(rows.head(most), shown, categories, evidence, tested_at, horizon, notes)


def item_choices(screen: Screen, most: int = 2_000, _rules: str = "") -> list[tuple[str, str]]:
    """Return (item_id, title) of the items that most shoppers wanted and the rules in force (told by `_rules`) do not bar."""
    barred = barred_now(screen)
    with screen.log.history() as connection:
        found = fetch(connection, ads.CHOICES_SQL, {"most": most + len(barred)}).to_pylist()
    return [(row["item_id"], row["title"]) for row in found if row["item_id"] not in barred][:most]


def match_record(found: Matched, out: Any = None) -> dict[str, Any]:
    """A match as a record for JSON; with `out` (.csv or .parquet) the list is written there.

    Raises:
        FileError: The file cannot be written.
    """
    if out is not None:
        try:
            write_rows(out, pa.Table.from_pandas(found.rows, preserve_index=False))
        except OSError as error:
            raise FileError("{path} cannot be written ({error}); choose another folder.", path=out, error=error) from error
    return {
        "users": len(found.rows),
        "rows": found.rows.head(20).astype(object).where(found.rows.head(20).notna(), None).to_dict("records"),
        "near_items": list(found.near["item_id"].head(10)),
        "categories": found.categories,
        "tested_at": found.tested_at.isoformat() if found.tested_at else None,
        "horizon_days": found.horizon_days,
        "evidence": [asdict(one) for one in found.evidence],
        **({"out": str(out)} if out is not None else {}),
        "warnings": found.notes,
    }


def _ad_vector(here: Reading, text: str, item_ids: Sequence[str]) -> npt.NDArray[np.float32]:
    """Unit vector of a text, of the mean of items, or of both (D,)."""
    parts: list[npt.NDArray[np.float32]] = []
    if text.strip():
        parts.append(query_vector(here, text))
    if item_ids:
        known, index, vectors = item_vectors(here)
        row_of = {item: int(index[row]) for row, item in enumerate(known)}
        rows = [row_of[item] for item in item_ids if row_of.get(item, -1) >= 0]
        if not rows:
            raise NotFoundError("None of the {n} items has a text to go by; pick others or paste a text.", n=len(item_ids))
        parts.append(vectors[rows].mean(axis=0))
    if not parts:
        raise GateError("There is nothing to match: paste the text of an advertisement or pick items.")
    vector = np.sum(parts, axis=0)
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def _scored(leanings: pa.Table, scores: pa.Table | None, notes: list[Message]) -> pd.DataFrame:
    """Everyone with a history, best match first; ties by user_id."""
    frame: pd.DataFrame = leanings.to_pandas()
    if scores is None:
        notes.append(say("There are no purchase chances yet, so only the leaning counts; run `predict` for more."))
        frame["propensity"] = np.nan
        chance = np.ones(len(frame))
    else:
        frame = frame.merge(scores.to_pandas(), on="user_id", how="left")
        chance = frame["propensity"].fillna(0.0).to_numpy(np.float64)
    frame["match"] = np.round(ads.match_score(frame["leaning"].to_numpy(np.float64), chance), 6)
    ordered: pd.DataFrame = frame.sort_values(["match", "user_id"], ascending=[False, True], kind="stable", ignore_index=True)
    return ordered[["user_id", "match", "closeness", "leaning", "propensity"]]


def _judged(
    screen: Screen,
    items: list[str],
    cosines: npt.NDArray[np.float32],
    categories: dict[str, float],
    near: list[str],
    notes: list[Message],
) -> tuple[list[Answered], datetime | None, float | None]:
    """Make the list as of the test window of the purchase chances, which were not trained on it, and see who answered."""
    manifest, test = screens.run_manifest(screen, "propensity"), screens.run_table(screen, "propensity", "test")
    tested = (manifest or {}).get("windows", {}).get("test") if manifest else None
    if manifest is None or test is None or not tested:
        notes.append(say("How well such a list does cannot be told: there is no test window of purchase chances."))
        return [], None, None
    cutoff, days = datetime.fromisoformat(str(tested)), screens.horizon_days(manifest)
    try:
        with screen.log.label_window(cutoff, timedelta(days=days)) as connection:
            leanings = ads.lean_towards(connection, items, cosines, categories, cutoff)
            main = [category for category, weight in categories.items() if weight >= ads.LEAST_WEIGHT]
            happened = fetch(connection, ads.ANSWERS_SQL, {"items": near, "categories": main}).to_pandas()
    except CoreError as error:
        notes.append(error.message)
        return [], cutoff, days
    frame = leanings.to_pandas().merge(test.select(["user_id", "propensity"]).to_pandas(), on="user_id").merge(happened, "left", "user_id")
    chance = frame["propensity"].to_numpy(np.float64)
    match = ads.match_score(frame["leaning"].to_numpy(np.float64), chance)
    found = [
        ads.answered(frame[act].fillna(0).to_numpy() > 0, match, chance, act, np.random.default_rng(0)) for act in ("acts", "purchases")
    ]
    judged = [one for one in found if one is not None]
    if not judged:
        notes.append(say("Fewer than 10 shoppers answered such an advertisement in the test window, so the method cannot be judged on it."))
    return judged, cutoff, days
