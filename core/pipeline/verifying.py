"""Every figure of the pages found again: an export, what the pages show of it, and a fresh process that counts with plain SQL."""

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import core
from core.artifacts import write_json
from core.errors import StorageError
from core.insights.overview import GAP_MINUTES
from core.messages import say
from core.pipeline import outcomes, screens, verifying_counts
from core.pipeline.exporting import export_tables
from core.pipeline.screens import Screen
from core.pipeline.verifying_counts import Figure, figure, rows_of
from core.schema import Progress, part_of, silent
from core.store import Dataset, Home, sort_events, sorted_events

RECOUNT = Path(core.__file__).with_name("recount.py")
DEPTHS = (0.05, 0.1, 0.2, 0.5, 1.0)


def verify(home: Home, dataset: Dataset, out: Path | None = None, progress: Progress = silent) -> dict[str, Any]:
    """Compare what the pages show with what plain SQL finds in an export, in a process that imports nothing of `core`.

    It counts as if no small cells were hidden, whatever the home says: a figure that is not told cannot be compared.

    Args:
        home: Holds the dataset.
        dataset: Its current version and runs are looked at.
        out: Where the export stays (Parquet, `figures.json`, `recount.json`); a folder that is removed afterwards without it.
        progress: Told along the way.

    Returns:
        {"checked", "failed": [{"id", "page", "shown", "found", "sql"}], "figures": [all], "warnings"}.

    Raises:
        FileError: The folder's place is taken by a file.
        StorageError: The export cannot be written, or the fresh process ended without an answer.
    """
    with TemporaryDirectory(prefix="recount-") if out is None else nullcontext(str(out)) as place:
        folder = Path(place)
        exported = export_tables(dataset, folder, "parquet", part_of(progress, 0.0, 0.6))
        screen = replace(screens.open_screen(home, dataset.name), small_cells=0)
        progress(0.6, say("noting what the pages show"))
        asked = {"settings": _settings(screen), "figures": shown_figures(screen)}
        write_json(folder / "figures.json", asked)
        progress(0.8, say("counting again in a fresh process"))
        told = _recount(folder)
        if out is not None:
            write_json(folder / "recount.json", told)
    failed = [figure for figure in told["figures"] if not figure["agrees"]]
    progress(1.0, say("{n} figures counted again", n=len(told["figures"])))
    return {"checked": len(told["figures"]), "failed": failed, "figures": told["figures"], "warnings": exported["warnings"]}


def _recount(folder: Path) -> dict[str, Any]:
    """Run the counting program in isolated mode, where neither this folder nor its packages can be imported by chance."""
    command = [sys.executable, "-I", str(RECOUNT), str(folder.resolve())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise StorageError("The figures could not be counted again ({error}).", error=done.stderr.strip()[-400:])
    told: dict[str, Any] = json.loads(lines[-1])
    assert not told["modules_of_the_project"]
    return told


def shown_figures(screen: Screen) -> list[Figure]:
    """Return the figures of the pages: {"id", "page", "value"}; what has no run yet is left out."""
    counted = verifying_counts.figures(screen, screen.log)
    return [
        *counted, *_other_way(screen), *_data(screen), *_map(screen), *_propensity(screen), *_recommendations(screen), *_features(screen)
    ]  # fmt: skip


def _other_way(screen: Screen) -> list[Figure]:
    """What is counted on the sorted copy where the pages ask statements, and the other way round, under `copy:` or `statement:`."""
    log = screen.log
    if sorted_events(log.sorted_path) is not None:
        return [{**f, "id": f"statement:{f['id']}"} for f in verifying_counts.figures(screen, replace(log, sorted_path=None))]
    with TemporaryDirectory(prefix="sorted-") as place:
        copy = Path(place) / "copy"
        sort_events(log.path, copy)
        return [{**f, "id": f"copy:{f['id']}"} for f in verifying_counts.figures(screen, replace(log, sorted_path=copy))]


def _settings(screen: Screen) -> dict[str, Any]:
    own = {"zone": screen.zone, "gap_minutes": GAP_MINUTES, "until": screen.log.until.isoformat(sep=" ")}
    return {**own, **verifying_counts.settings(screen, screen.log)}


def _data(screen: Screen) -> list[Figure]:
    record, coverage = screens.manifest(screen), screens.coverage(screen).table.to_pylist()[0]
    figures = [figure("data", name, record[name]) for name in ("rows_read", "rows_kept", "rows_quarantined", "rows_merged")]
    figures += [figure("data", name, coverage[name]) for name in ("with_item", "in_catalogue", "with_title")]
    return [*figures, rows_of("data", "rules", screens.quarantine_rules(screen).select(["rule", "rows"]))]


def _map(screen: Screen) -> list[Figure]:
    table = screens.run_table(screen, "atlas", "segments")
    if table is None:
        return []
    return [rows_of("map", "segments", table.select([name for name in ("segment_id", "users", "share") if name in table.column_names]))]


def _propensity(screen: Screen) -> list[Figure]:
    record = screens.run_manifest(screen, "propensity") or {}
    metrics = record.get("metrics") or {}
    models = metrics.get("models") or {}
    if not models:
        return []
    figures = [figure("propensity", name, metrics[name]) for name in ("users", "positives", "base_rate")]
    for model, measured in models.items():
        for name in ("auc", "log_loss", "brier", "calibration_error", "expected"):
            value = measured[name]["value"] if isinstance(measured[name], dict) else measured[name]
            figures.append(figure("propensity", f"{name}.{model}", value))
    bins, lift = screens.run_table(screen, "propensity", "reliability"), screens.run_table(screen, "propensity", "lift")
    if bins is not None:
        bins = bins.filter(pc.equal(bins["model"], "propensity"))
        figures.append(rows_of("propensity", "reliability", bins.select(["bin", "n", "mean_propensity", "rate"])))
    if lift is not None:
        lift = lift.filter(pc.is_in(pc.round(lift["depth"], 6), pa.array(DEPTHS)))
        figures.append(rows_of("propensity", "lift", lift.select(["depth", "users", "buyers", "lift"])))
    scores = screens.run_table(screen, "propensity", "scores", ["propensity"])
    depth = outcomes.expected_at(screen, 0.2)
    figures += [
        figure("propensity", "expected", pc.sum(scores["propensity"]).as_py() if scores is not None else 0.0),
        figure("propensity", "expected_at_20", depth.expected_buyers),
        figure("propensity", "sd_at_20", depth.sd),
    ]
    chances = outcomes.category_chances(screen)
    if len(chances):
        figures.append(rows_of("propensity", "by_category", pa.Table.from_pandas(chances[["category", "expected"]], preserve_index=False)))
    return figures


def _recommendations(screen: Screen) -> list[Figure]:
    record = screens.run_manifest(screen, "recommendations")
    table = screens.run_table(screen, "recommendations", "recommendations", ["user_id"])
    if record is None or table is None:
        return []
    figures = [
        figure("recommendations", "lists", pc.count_distinct(table["user_id"]).as_py()),
        figure("recommendations", "rows", table.num_rows),
        figure("recommendations", "gaps_in_ranks", 0),
        figure("recommendations", "twice_in_a_list", 0),
    ]
    is_current = record.get("inputs", {}).get("version") == screen.version and not record.get("cutoff")
    if is_current and record.get("config", {}).get("new_only"):
        figures.append(figure("recommendations", "bought_before", 0))
    return figures


def _features(screen: Screen) -> list[Figure]:
    """Shoppers whose feature differs from a count by hand: none, for profiles of this version at the end of its log."""
    record = screens.run_manifest(screen, "profiles")
    if record is None or record.get("inputs", {}).get("version") != screen.version or record.get("cutoff"):
        return []
    names = set(screens.run_columns(screen, "profiles", "counts"))
    wanted = ("events_all", "purchases_all", "orders_all", "days_since_event", "events_28d")
    return [figure("features", name, 0) for name in wanted if name in names]
