"""What verbs tell of a run, and the horizon that fits a log."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from core.artifacts import read_table
from core.store import Dataset, Log

Result = dict[str, Any]

HORIZON_DAYS = (28, 14, 7, 3, 1)
"""Horizons that `auto` tries, longest first."""
FOR_MACHINES = ("files", "inputs", "id", "core", "created", "seal")


def about(dataset: Dataset, kind: str, run_id: str, *, reused: bool = False) -> Result:
    """What a verb tells about a run: its manifest without what only machines read."""
    manifest = dataset.run_manifest(kind, run_id)
    kept = {key: value for key, value in manifest.items() if key not in FOR_MACHINES}
    users = manifest.get("users") or (manifest.get("metrics") or {}).get("users")
    pace = {"seconds_per_1000_users": round(1000 * manifest["seconds"] / users, 2)} if users and manifest.get("seconds") else {}
    return {"dataset": dataset.name, "run": run_id, "reused": reused, **kept, **pace, "warnings": manifest.get("warnings", [])}


def about_rows(dataset: Dataset, kind: str, run_id: str, *, reused: bool = False) -> Result:
    """The same of a run that is one table, with its rows."""
    return about(dataset, kind, run_id, reused=reused) | {
        "rows": read_table(dataset.run_path(kind, run_id) / f"{kind}.parquet").to_pylist()
    }


def one_category(record: Mapping[str, Any]) -> str | None:
    """The category that a run of chances is of, None where it is of any: what is on screen is the chance of the act with any item."""
    category = (record.get("config") or {}).get("category")
    return None if category in (None, "all") else str(category)


def fitting_horizon(log: Log) -> timedelta:
    """Return the longest usual horizon that leaves room for history, training, calibration and test."""
    for days in HORIZON_DAYS:
        if 4 * timedelta(days=days) <= log.until - log.start:
            return timedelta(days=days)
    return timedelta(days=HORIZON_DAYS[-1])
