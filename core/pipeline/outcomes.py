"""What the Propensity, Recommendations and Audiences pages read: figures of a run, lists, sizes of an audience."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from core.audiences.exports import ExportOptions, export_audience
from core.audiences.hidden import told_size
from core.audiences.platforms import PLATFORMS
from core.audiences.rules import resolve, rule_sql
from core.audiences.sizes import AudienceSize, Value, size_among, size_audience
from core.audiences.words import Vocabulary, rule_sentence
from core.errors import RuleError
from core.insights.profit import taken_at
from core.messages import Message
from core.offers.rules import RuleSet
from core.pipeline import choosing, offering, screens, shoppers
from core.pipeline.cells import enough
from core.pipeline.map_cells import REASONS, of_segment, told_frame
from core.pipeline.places import places
from core.pipeline.screens import MOST_NAMES, Screen
from core.schema import slug
from core.store import Dataset, fetch, identifier, scalar

KEPT_SIZES = 50
"""Sizes of a saved audience that are remembered."""


def score_histogram(screen: Screen, bins: int = 25) -> tuple[Any, Any]:
    """Edges and counts of everyone's propensity in equal steps from 0 to the largest."""
    table = screens.run_table(screen, "propensity", "scores", ["propensity"])
    values = table["propensity"].to_numpy() if table is not None else np.array([])
    top = float(values.max()) if len(values) else 1.0
    counts, edges = np.histogram(values, bins=bins, range=(0, max(top, 1e-6)))
    return edges, counts


@dataclass(frozen=True)
class Depth:
    """What contacting the best share of shoppers is expected to find."""

    users: int
    expected_buyers: float
    sd: float
    smallest: float
    """Purchase chance of the last one taken."""


def expected_at(screen: Screen, depth: float) -> Depth:
    """Sum of purchase chances of the best `depth` share of scored users, ties by user_id."""
    table = screens.run_table(screen, "propensity", "scores", ["user_id", "propensity"])
    values = np.sort(table["propensity"].to_numpy())[::-1] if table is not None else np.array([])
    taken = values[: taken_at(len(values), depth)]
    return Depth(len(taken), float(taken.sum()), float(np.sqrt((taken * (1 - taken)).sum())), float(taken[-1]) if len(taken) else 0.0)


def top_reasons(screen: Screen) -> pd.DataFrame:
    """Features by how often they are among a shopper's reasons: feature, users, strength, mean_contribution."""
    table = screens.run_table(screen, "propensity", "reasons")
    if table is None or not table.num_rows:
        return pd.DataFrame(columns=["feature", "users", "mean_contribution"])
    frame = table.to_pandas()
    grouped = frame.groupby("feature").agg(
        users=("user_id", "nunique"),
        strength=("contribution", lambda c: float(np.abs(c).mean())),
        mean_contribution=("contribution", "mean"),
    )
    ordered = grouped.reset_index().sort_values(["users", "feature"], ascending=[False, True], kind="stable")
    return told_frame(screen, REASONS, ordered)


def category_chances(screen: Screen) -> pd.DataFrame:
    """Expected buyers by category, most first: category, expected (sum of chances), largest; empty when the run knows none.

    Where the run was judged also auc, test_expected and test_happened of the test window.
    """
    table = screens.run_table(screen, "propensity", "categories", ["category", "propensity"])
    if table is None or not table.num_rows:
        return pd.DataFrame(columns=["category", "expected", "largest"])
    found = table.to_pandas().groupby("category")["propensity"].agg(expected="sum", largest="max").reset_index()
    judged = screens.run_table(screen, "propensity", "category_metrics")
    if judged is not None:
        renamed = judged.to_pandas().rename(columns={"expected": "test_expected", "positives": "test_happened"})
        found = found.merge(renamed.drop(columns=["users"], errors="ignore"), on="category", how="left")
    ordered: pd.DataFrame = found.sort_values(["expected", "category"], ascending=[False, True], kind="stable").reset_index(drop=True)
    return ordered


def likeliest_in(screen: Screen, category: str, most: int) -> pd.DataFrame:
    """The `most` shoppers likeliest to buy in a category: user_id, propensity, low, high, and segment_id when there is a map."""
    table = screens.run_table(screen, "propensity", "categories")
    if table is None:
        return pd.DataFrame(columns=["user_id", "propensity", "low", "high"])
    rows = table.filter(pc.equal(table["category"], category)).to_pandas().drop(columns="category")
    enough(screen, min(most, len(rows)))
    top: pd.DataFrame = (
        rows.sort_values(["propensity", "user_id"], ascending=[False, True], kind="stable").head(most).reset_index(drop=True)
    )
    if screen.run_id("atlas"):
        everyone = places(screen)
        own = dict(zip(everyone.user_ids, everyone.segment_ids, strict=True))
        top["segment_id"] = [own.get(user) for user in top["user_id"]]
    return top


def recommendations_of_segment(screen: Screen, segment_id: int, k: int, rules: RuleSet, _made: str = "") -> pd.DataFrame:
    """Items that stand most often among the first `k` of a segment under rules (see `offering.of_segment`).

    Raises:
        NotFoundError: There is no run of recommendations yet.
    """
    everyone = places(screen)
    inside = [str(user) for user in everyone.user_ids[everyone.segment_ids == segment_id]]
    return told_frame(screen, of_segment(len(inside), screen.small_cells), offering.of_segment(screen, inside, rules, k, _made))


def attributes(screen: Screen) -> dict[str, list[str]]:
    """Columns of the users table and their most frequent values, at most 60 each."""
    found: dict[str, list[str]] = {}
    with screen.log.history() as connection:
        table = fetch(connection, "SELECT * FROM users").to_pandas()
    for column in table.columns.drop("user_id"):
        values = table[column].dropna().astype(str).value_counts()
        if 0 < len(values) <= 60:
            found[column] = sorted(values.index)
    return found


def is_named(screen: Screen, column: str, name: str) -> bool:
    """Whether an item of the log has that `category` or `brand`, also when it is none of the most frequent ones."""
    with screen.log.history() as connection:
        sql = f"SELECT count(*) FROM catalogue SEMI JOIN history USING (item_id) WHERE {identifier(column)} = ?"  # noqa: S608 - one of two words
        return bool(scalar(connection, sql, [name]))


def category_names(screen: Screen) -> list[str]:
    """Categories of the catalogue, most events first, at most MOST_NAMES."""
    with screen.log.history() as connection:
        table = fetch(
            connection,
            "SELECT c.category, count(*) AS n FROM history h JOIN catalogue c ON h.item_id = c.item_id WHERE c.category IS NOT NULL"
            " GROUP BY c.category ORDER BY n DESC, c.category LIMIT $most",
            {"most": MOST_NAMES},
        )
    return [str(name) for name in table["category"].to_pylist()]


def feature_names(screen: Screen) -> list[str]:
    """Counted features that a rule may compare, by name."""
    return sorted(set(screens.run_columns(screen, "profiles", "counts")) - {"user_id"})


def resolved(screen: Screen, rule: Any) -> Any:
    """Put the rules of saved audiences where a rule names them.

    Raises:
        RuleError: There is no audience of that name, or one is made of itself.
    """
    return resolve(rule, {record["name"]: record["rule"] for record in saved_audiences(screen)})


def vocabulary(screen: Screen, segment_names: Mapping[int, str] | None = None) -> Vocabulary:
    """What the sentence of a rule calls segments and counted features.

    Args:
        screen: What to read.
        segment_names: In the reader's language; the names as they were found or given without it.
    """
    fine: dict[int, str] = {}
    if screen.run_id("atlas"):
        names, own = shoppers.segments_in_words(screen)
        segment_names = segment_names or names
        fine = {part: " › ".join(filter(None, (segment_names.get(of, names[of]), name))) for part, (of, name) in own.items()}
    return Vocabulary(segment_names or {}, shoppers.feature_words(), fine)


@dataclass(frozen=True)
class Audience:
    """An audience as it stands on screen."""

    size: AudienceSize
    sentence: Message
    sql: str


def size(
    screen: Screen,
    rule: dict[str, Any],
    *,
    holdout: float,
    cost: float,
    margin: float,
    segment_names: Mapping[int, str] | None = None,
) -> Audience:
    """Size a rule on the pinned runs, and tell it in words and SQL; small cells of it are hidden when the home says so.

    Args:
        screen: What to read.
        rule: See `core.audiences.rules`.
        holdout: Share of users kept out of the file.
        cost: Of one contact.
        margin: Of one buyer.
        segment_names: What the reader calls the segments; their own names without it.

    Raises:
        RuleError: The rule is malformed or asks for something this dataset does not have.
    """
    rule = resolved(screen, rule)
    options: dict[str, Any] = {"holdout_share": holdout, "value": Value(cost, margin), "calibration_error": calibration_error(screen)}
    with screen.log.history() as connection:
        scope, people = choosing.scope(screen, connection), choosing.people(screen)
        if people is None:
            found = size_audience(connection, choosing.rule_tables(screen, rule), rule, cutoff=screen.log.until, **options)
        else:
            found = size_among(connection, people, rule, scope, **options)
    words = vocabulary(screen, segment_names)
    return Audience(told_size(found, screen.small_cells), rule_sentence(rule, words), rule_sql(rule, scope))


def export(screen: Screen, name: str, rule: dict[str, Any], chosen: ExportOptions) -> tuple[Path, dict[str, Any]]:
    """Write an audience with its manifest below the dataset's `exports`, and a line into the audit trail.

    Args:
        screen: What to read.
        name: Of the audience.
        rule: See `core.audiences.rules`.
        chosen: Format, holdout, money, contacts; runs and calibration error are filled in.

    Raises:
        RuleError: The rule, the format or a contact column does not fit, or the file is too small.
        StorageError: The file cannot be written.
    """
    ending = "csv" if chosen.format in PLATFORMS else "jsonl" if chosen.format == "json" else chosen.format
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    return export_to(screen, name, rule, screen.dataset.path / "exports" / f"{slug(name)}-{chosen.format}-{stamp}.{ending}", chosen)


def export_to(screen: Screen, name: str, rule: Any, path: Path, chosen: ExportOptions) -> tuple[Path, dict[str, Any]]:
    """Do as `export`, into a file of the caller's choice."""
    least = max(chosen.least_users, screen.small_cells)
    options = replace(
        chosen, calibration_error=calibration_error(screen), run_ids=screen.runs, least_users=least, small_cells=screen.small_cells
    )
    rule = resolved(screen, rule)
    with screen.log.history() as connection:
        manifest = export_audience(
            connection,
            choosing.rule_tables(screen, rule),
            rule,
            path,
            cutoff=screen.log.until,
            options=options,
            vocabulary=vocabulary(screen),
        )
    record = {
        "act": "export audience", "dataset": screen.name, "version": screen.version, "audience": name, "rows": manifest["rows"],
        "format": chosen.format, "hashed": chosen.hash_salt is not None or chosen.format in PLATFORMS, "holdout": manifest["holdout"],
        "contacts": sorted(chosen.contacts.values()), "file": path.name, "sha256": manifest["sha256"],
    }  # fmt: skip
    screens.audit(screen, record)
    return path, manifest


def saved_audiences(screen: Screen) -> list[dict[str, Any]]:
    """Return saved audiences, newest first: name, rule, saved, holdout, cost, margin, users, sizes (one for each version and its runs)."""
    return list(screen.dataset.saved("audiences") or [])


def save_audience(screen: Screen, record: dict[str, Any]) -> None:
    """Keep an audience under its name; an earlier one of that name is replaced.

    Raises:
        RuleError: It would be made of itself.
    """
    others = {other["name"]: other["rule"] for other in saved_audiences(screen)} | {record["name"]: record["rule"]}
    resolve({"audience": record["name"]}, others)
    kept = [other for other in saved_audiences(screen) if other["name"] != record["name"]]
    stamped = {**record, "saved": datetime.now(UTC).isoformat(timespec="seconds"), "version": screen.version, "runs": dict(screen.runs)}
    screen.dataset.save("audiences", [stamped, *kept])


def delete_audience(screen: Screen, name: str) -> None:
    """Forget a saved audience."""
    screen.dataset.save("audiences", [other for other in saved_audiences(screen) if other["name"] != name])


def refresh_audiences(screen: Screen) -> list[dict[str, Any]]:
    """Size every saved audience that was not sized on the pinned version and runs yet, and remember the size.

    Each size tells users, expected_buyers, and of the users who are held out and who without consent (None without such a column):
    the file holds the others.

    Returns:
        As `saved_audiences`; one that no longer can be sized carries `error`, its sentence.
    """
    records, changed = saved_audiences(screen), False
    exact = replace(screen, small_cells=0)  # what is remembered; who shows it hides
    for record in records:
        sizes = record.setdefault("sizes", [])
        record.pop("error", None)
        if sizes and sizes[-1]["version"] == screen.version and sizes[-1]["runs"] == dict(screen.runs):
            if "held_out" in sizes[-1]:
                continue
            sizes.pop()  # sized before it was told
        try:
            found = size(exact, record["rule"], holdout=record.get("holdout", 0.0), cost=0.0, margin=0.0).size
        except RuleError as error:
            record["error"] = error.message
            continue
        sizes.append(
            {
                "version": screen.version,
                "runs": dict(screen.runs),
                "until": screen.log.until.isoformat(),
                "users": found.everyone.users,
                "held_out": found.holdout_users,
                "without_consent": found.without_consent,
                "expected_buyers": found.everyone.expected_buyers if found.everyone.scored else None,
            }
        )
        record["sizes"], changed = sizes[-KEPT_SIZES:], True
    if changed:
        screen.dataset.save("audiences", [{key: value for key, value in record.items() if key != "error"} for record in records])
    return records


def least_users(screen: Screen) -> int:
    """Fewest users that a file of this dataset may hold (k-anonymity): what was set, and no less than the counts that are shown."""
    return max(int((screen.dataset.saved("settings") or {}).get("least_users", 0)), screen.small_cells)


def save_least_users(screen: Screen, least: int) -> None:
    """Keep the fewest users that a file may hold."""
    screen.dataset.save("settings", {**(screen.dataset.saved("settings") or {}), "least_users": int(least)})


def calibration_error(screen: Screen) -> float:
    """Expected calibration error of the pinned purchase chances on the test window; 0 when there is none."""
    manifest = screens.run_manifest(screen, "propensity") or {}
    models = (manifest.get("metrics") or {}).get("models") or {}
    return float((models.get("propensity") or {}).get("calibration_error") or 0.0)


def dataset_salt(dataset: Dataset) -> str:
    """The dataset's own secret for hashed ids, made once: the same shopper has the same hash in all its files, and in no one else's."""
    saved = dataset.saved("salt")
    if saved is None:
        saved = {"salt": secrets.token_hex(16)}
        dataset.save("salt", saved)
    return str(saved["salt"])
