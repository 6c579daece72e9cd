"""Runs as records: what one rests on and cost, what differs between two, which one is on screen and which were before."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.artifacts import is_whole, read_table
from core.errors import NotFoundError, StorageError
from core.messages import Message, say
from core.metrics import auc, bootstrap, brier, log_losses, mean_estimate
from core.pipeline.reproducing import command_of, kind_of, why_not
from core.pipeline.screens import Screen
from core.pipeline.telling import one_category
from core.schema import RUN_KINDS
from core.store import Dataset, Home
from core.tracking import EVENT_FILE, FOLDER

DRAWS = 400
SEED = 0
"""Of the resampling behind a paired difference: the same two runs always show the same interval."""
MEASURES = ("auc", "average_precision", "log_loss", "brier", "calibration_error")
"""Figures of a purchase chance, in the order of the table."""
JUDGED_BY = {"blocks": "chosen", "tuning": "lora", "compression": "student"}
"""Of a table of measurements, the row that stands for the run: by weighing, method or form."""


@dataclass(frozen=True)
class Figure:
    """One measure of a run."""

    name: str
    value: float
    low: float | None = None
    """Of its 95 % interval, where there is one."""
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class RunFacts:
    """A run as a record: nothing in it changes after it was published, but for `current`."""

    run: str
    kind: str
    current: bool
    made: str
    """UTC."""
    version: str | None
    cutoff: str | None
    inputs: dict[str, Any]
    config: dict[str, Any]
    figures: tuple[Figure, ...]
    seed: int | None
    """The last eight mean: not known of older runs."""
    parameters: int | None
    seconds: float | None
    cpu_seconds: float | None
    peak_mb: float | None
    """Largest memory of the process until the run was published; a chain of stages shares one process."""
    core: str | None
    """Version of Shopper Atlas that made it."""
    commit: str | None
    command: str
    """Makes it again from the same data."""
    not_again: Message | None
    """Why that command gives something else; None when it gives the same bytes."""
    events: str | None
    """Folder for TensorBoard."""
    category: str | None = None
    """Of chances: the one category that they are of."""


@dataclass(frozen=True)
class Paired:
    """The difference of two runs over the shoppers that both judged, one minus other."""

    users: int
    figures: tuple[Figure, ...]
    """log_loss and brier: below zero the one is better; auc: above zero."""


@dataclass(frozen=True)
class Comparison:
    """Two runs of a kind side by side."""

    one: RunFacts
    other: RunFacts
    settings: list[dict[str, Any]]
    """name, one, other (as recorded; None where a run lacks it), differs: every setting of either, then data, cutoff and code."""
    figures: list[dict[str, Any]]
    """name, and value, low, high of each (None where a run lacks it)."""
    paired: Paired | None
    why_unpaired: Message | None


def list_runs(dataset: Dataset, kind: str | None = None) -> list[RunFacts]:
    """List the runs of a dataset, newest first; damaged ones are left out, they are made again when asked for."""
    found = []
    for one in RUN_KINDS if kind is None else (kind,):
        for run_id in dataset.runs(one):
            try:
                found.append(facts(dataset, run_id))
            except StorageError:
                continue
    return sorted(found, key=lambda run: (run.made, run.run), reverse=True)


def facts(dataset: Dataset, run_id: str) -> RunFacts:
    """Read one run.

    Raises:
        NotFoundError: There is no such run.
        StorageError: Its manifest is damaged.
    """
    kind = kind_of(run_id)
    if run_id not in dataset.runs(kind):
        raise NotFoundError("Dataset {dataset!r} has no run {run!r}; see `runs list`.", dataset=dataset.name, run=run_id)
    record, folder = dataset.run_manifest(kind, run_id), dataset.run_path(kind, run_id)
    config = dict(record.get("config") or {})
    events = folder / FOLDER
    return RunFacts(
        run=run_id,
        kind=kind,
        current=dataset.current()["runs"].get(kind) == run_id,
        made=str(record.get("created") or ""),
        version=(record.get("inputs") or {}).get("version"),
        cutoff=record.get("cutoff"),
        inputs=dict(record.get("inputs") or {}),
        config=config,
        figures=tuple(_figures(kind, record, folder)),
        seed=config.get("seed"),
        parameters=_parameters(kind, record, folder),
        seconds=record.get("seconds"),
        cpu_seconds=record.get("cpu_seconds"),
        peak_mb=record.get("peak_mb"),
        core=record.get("core"),
        commit=record.get("commit"),
        command=" ".join(["python -m core", *map(_quoted, command_of(dataset.name, kind, record))]),
        not_again=why_not(kind, record),
        events=str(events) if (events / EVENT_FILE).is_file() else None,
        category=one_category(record) if kind == "propensity" else None,
    )


def curves(screen: Screen, run_id: str) -> pd.DataFrame:
    """Return how the networks of a run learned: model, member, epoch, train, validation; empty where it has none.

    Raises:
        NotFoundError: There is no such run.
    """
    run = facts(screen.dataset, run_id)
    path = screen.dataset.run_path(run.kind, run.run) / "curves.parquet"
    if not path.is_file():
        return pd.DataFrame(columns=["model", "member", "epoch", "train", "validation"])
    found: pd.DataFrame = read_table(path).to_pandas()
    return found


def compare(dataset: Dataset, one: str, other: str) -> Comparison:
    """Put two runs of a kind side by side, with the paired difference where both judged the same window.

    Raises:
        NotFoundError: There is no such run, or they are of two kinds.
    """
    first, second = facts(dataset, one), facts(dataset, other)
    if first.kind != second.kind:
        raise NotFoundError(
            "{one} and {other} are runs of two kinds and share no figure; choose two of one kind.", one=first.run, other=second.run
        )
    paired, why = _paired(dataset, first, second)
    names = list(dict.fromkeys(figure.name for run in (first, second) for figure in run.figures))
    by_name = [{figure.name: figure for figure in run.figures} for run in (first, second)]
    rows = [{"name": name, "one": by_name[0].get(name), "other": by_name[1].get(name)} for name in names]
    return Comparison(first, second, _settings(first, second), rows, paired, why)


def use(home: Home, dataset: Dataset, run_id: str) -> RunFacts:
    """Put a run on screen; the one before it can be gone back to.

    Raises:
        NotFoundError: There is no such run, or it was made from another version, as of a cutoff, or of one category.
        StorageError: Its files are damaged.
    """
    run = facts(dataset, run_id)
    _refuse(dataset, run)
    before = dataset.current()["runs"].get(run.kind)
    dataset.point_to(run.kind, run.run)
    home.append_audit({"act": "use run", "dataset": dataset.name, "run": run.run, "instead_of": before})
    return facts(dataset, run_id)


def roll_back(home: Home, dataset: Dataset, kind: str) -> RunFacts:
    """Put the run on screen that was there before the current one; asked again, the one before that.

    Runs of another version, and runs that are damaged or gone, are passed over.

    Raises:
        NotFoundError: No earlier run of this version is left.
    """
    if kind not in RUN_KINDS:
        raise NotFoundError("{kind!r} is no kind of run; there are: {kinds}.", kind=kind[:60], kinds=", ".join(RUN_KINDS))
    now = dataset.current()["runs"].get(kind)
    for run_id in reversed(dataset.runs_before(kind)):
        try:
            run = facts(dataset, run_id)
            _refuse(dataset, run)
        except (NotFoundError, StorageError):
            continue
        if run_id != now:
            dataset.point_back(kind, run_id)
            home.append_audit({"act": "roll back", "dataset": dataset.name, "run": run_id, "instead_of": now})
            return facts(dataset, run_id)
    raise NotFoundError(
        "No earlier {kind} of {version} was on screen in dataset {dataset!r}; choose a run by `runs use`.",
        kind=kind,
        version=str(dataset.current()["version"]),
        dataset=dataset.name,
    )


def can_be_used(version: str, run: RunFacts) -> bool:
    """Whether a run may stand on screen beside the data of a version."""
    return run.version == version and run.cutoff is None and run.category is None


def _refuse(dataset: Dataset, run: RunFacts) -> None:
    version = str(dataset.current()["version"])
    if run.version != version:
        raise NotFoundError(
            "Run {run} was made from data {made}, but {version} is on screen: its figures would be of other events. "
            "Bring {made} back first, or make the run again.",
            run=run.run,
            made=str(run.version),
            version=version,
        )
    if run.cutoff is not None:
        raise NotFoundError(
            "Run {run} was made as if the log ended at {cutoff}; only runs of the whole log stand on screen.",
            run=run.run,
            cutoff=run.cutoff,
        )
    if run.category is not None:
        raise NotFoundError(
            "Run {run} holds the chance in category {category!r} alone; pages and audiences speak of all categories. "
            "Name it where it is asked for (--run {run}), or train with --category all.",
            run=run.run,
            category=run.category,
        )
    if not is_whole(dataset.run_path(run.kind, run.run)):
        raise StorageError("Run {run} is damaged; make it again, or choose another.", run=run.run)


BY_CATEGORY = ("macro_auc", "macro_auc_new", "log_loss", "log_loss_new")
"""Figures of the chance by category that stand for the run: those of its winner."""


def _settings(one: RunFacts, other: RunFacts) -> list[dict[str, Any]]:
    told = [_told(run) for run in (one, other)]
    names = list(dict.fromkeys([*sorted({*one.config, *other.config}), *told[0], *told[1]]))
    rows = [{"name": name, "one": told[0].get(name), "other": told[1].get(name)} for name in names]
    return [{**row, "differs": row["one"] != row["other"]} for row in rows]


def _told(run: RunFacts) -> dict[str, Any]:
    config = dict(run.config)
    inputs = {f"input {name}": str(value) for name, value in run.inputs.items()}
    return config | inputs | {"cutoff": run.cutoff or "end of log", "core": str(run.core), "commit": str(run.commit or "–")}


def _figures(kind: str, record: Mapping[str, Any], folder: Path) -> list[Figure]:
    metrics = record.get("metrics") or {}
    if kind == "propensity":
        ours = (metrics.get("models") or {}).get("propensity") or {}
        bounds = ours.get("intervals") or {}
        found = [_figure(name, ours[name], bounds.get(name)) for name in MEASURES if ours.get(name) is not None]
        by_category = record.get("category_metrics") or {}
        winner = by_category.get("winner")
        return found + [_figure(f"category {name}", by_category[name][winner]) for name in BY_CATEGORY if name in by_category]
    if kind == "recommendations":
        rows = _rows(folder / "metrics.parquet")
        return [_of_row(f"{row['measure']} {row['ground']}", row) for row in rows if row["source"] == "blend" and row["band"] == "all"]
    if kind in JUDGED_BY:
        rows = _rows(folder / f"{kind}.parquet")
        chosen = [row for row in rows if JUDGED_BY[kind] in (row.get("weighing"), row.get("method"), row.get("form"))]
        return [_of_row("auc" if "auc" in row else "neighbours", row, "auc" if "auc" in row else "neighbours") for row in chosen[-1:]]
    return [
        _figure(name, value)
        for name, value in sorted(metrics.items(), key=lambda pair: (pair[0] != "stability", pair[0]))
        if _is_figure(value)
    ]


def _is_figure(value: Any) -> bool:
    return isinstance(value.get("value"), int | float) if isinstance(value, dict) else _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _figure(name: str, value: Any, bounds: Sequence[float] | None = None) -> Figure:
    if isinstance(value, dict):
        return Figure(name, float(value["value"]), value.get("low"), value.get("high"), value.get("n"))
    return Figure(name, float(value), *(bounds or (None, None)))


def _of_row(name: str, row: Mapping[str, Any], measure: str = "value") -> Figure:
    return Figure(name, float(row[measure]), row.get("low"), row.get("high"), row.get("n"))


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_table(path).to_pylist() if path.is_file() else []
    return rows


def _parameters(kind: str, record: Mapping[str, Any], folder: Path) -> int | None:
    if kind == "propensity" and (folder / "card.json").is_file():
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        known = [part["parameters"] for part in (card.get("in_use") or {}).values() if _is_number(part.get("parameters"))]
        return sum(known) if known else None
    for part in ("sequence", "graph"):
        if _is_number((record.get(part) or {}).get("parameters")):
            return int(record[part]["parameters"])
    return None


def _paired(dataset: Dataset, one: RunFacts, other: RunFacts) -> tuple[Paired | None, Message | None]:
    if one.kind != "propensity":
        return None, say("Runs of this kind keep no judgement of single shoppers, so only their figures can be set beside each other.")
    records = [dataset.run_manifest(run.kind, run.run) for run in (one, other)]
    windows = [record.get("windows") or {} for record in records]
    asked = [(record["config"].get("act"), one_category(record), _window(found)) for record, found in zip(records, windows, strict=True)]
    if one.version != other.version:
        return None, say("They were made from different data, so what happened is not the same.")
    if asked[0] != asked[1] or None in (asked[0][2], asked[1][2]):
        return None, say("They were judged on different acts or windows, so their figures cannot be paired.")
    tables = [read_table(dataset.run_path(run.kind, run.run) / "test.parquet", ["user_id", "label", "propensity"]) for run in (one, other)]
    both = tables[0].join(tables[1], "user_id", right_suffix="_other", join_type="inner").sort_by("user_id")
    both = both.filter(pc.equal(both["label"], both["label_other"]))
    if both.num_rows < 2:
        return None, say("They judged no shopper in common.")
    return Paired(both.num_rows, _differences(both)), None


def _window(windows: Mapping[str, Any]) -> tuple[datetime, float] | None:
    """First instant and length in days of the window that was judged."""
    start = windows.get("test") or ((windows.get("train") or [None])[-1] if windows.get("plan") == "single" else None)
    return (datetime.fromisoformat(str(start)), float(windows.get("horizon_days") or 0)) if start else None


def _differences(both: pa.Table) -> tuple[Figure, ...]:
    labels = both["label"].to_numpy().astype(float)
    ours, theirs = both["propensity"].to_numpy(), both["propensity_other"].to_numpy()
    losses = mean_estimate(log_losses(labels, ours) - log_losses(labels, theirs))
    squares = mean_estimate((ours - labels) ** 2 - (theirs - labels) ** 2)
    assert np.isclose(squares.value, brier(labels, ours) - brier(labels, theirs))
    areas = bootstrap(
        lambda rows: auc(labels[rows], ours[rows]) - auc(labels[rows], theirs[rows]), len(labels), np.random.default_rng(SEED), DRAWS
    )
    named = {"log_loss": losses, "auc": areas, "brier": squares}
    return tuple(Figure(name, found.value, found.low, found.high, found.n) for name, found in named.items())


def _quoted(word: str) -> str:
    """A word as a shell takes it whole."""
    return word if word and all(c.isalnum() or c in "-_./:=,+" for c in word) else "'" + word.replace("'", "'\\''") + "'"
