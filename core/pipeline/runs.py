"""What the Models page reads: every run of a dataset, and the feature matrix with its dictionary."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa

from core.errors import StorageError
from core.features.dictionary import describe_features
from core.pipeline import screens
from core.pipeline.screens import Screen
from core.schema import RUN_KINDS


def runs(screen: Screen) -> pd.DataFrame:
    """List the runs of a dataset, newest first: run, kind, made (UTC text), version, cutoff, seconds, config (JSON), current."""
    rows: list[dict[str, Any]] = []
    for kind in RUN_KINDS:
        for run_id in screen.dataset.runs(kind):
            try:
                record = screen.dataset.run_manifest(kind, run_id)
            except StorageError:  # damaged: it is made again when it is asked for
                continue
            rows.append(
                {
                    "run": run_id,
                    "kind": kind,
                    "made": record.get("created"),
                    "version": (record.get("inputs") or {}).get("version"),
                    "cutoff": record.get("cutoff"),
                    "seconds": record.get("seconds"),
                    "config": json.dumps(record.get("config") or {}, ensure_ascii=False, sort_keys=True),
                    "current": run_id == screen.run_id(kind),
                }
            )
    columns = ["run", "kind", "made", "version", "cutoff", "seconds", "config", "current"]
    return pd.DataFrame(rows, columns=columns).sort_values(["made", "run"], ascending=False, kind="stable", ignore_index=True)


def changed(table: pd.DataFrame, name_of: Callable[[str], str] = str, value_of: Callable[[Any], str] | None = None) -> list[str]:
    """Say for each run what its settings have that those of the run of its kind before had not: `name: old → new`; "" without one.

    Args:
        table: Of `runs`.
        name_of: Says the name of a setting.
        value_of: Says its value.
    """
    value_of = value_of or _setting
    told = [""] * len(table)
    for _, part in table.groupby("kind", sort=False):
        for later, earlier in zip(part.index, part.index[1:], strict=False):
            new, old = json.loads(table["config"][later]), json.loads(table["config"][earlier])
            told[later] = ", ".join(
                f"{name_of(name)}: {value_of(old.get(name, '–'))} → {value_of(new.get(name, '–'))}"
                for name in sorted({*new, *old})
                if new.get(name) != old.get(name)
            )
    return told


def _setting(value: Any) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)


def feature_matrix(screen: Screen) -> pa.Table | None:
    """Return the counted features of every shopper of the pinned profiles, or None without profiles."""
    return screens.run_table(screen, "profiles", "counts")


def feature_dictionary(screen: Screen) -> pd.DataFrame:
    """Describe the columns of the pinned feature matrix (see `describe_features`); empty without profiles."""
    counts = feature_matrix(screen)
    found: pd.DataFrame = describe_features(counts if counts is not None else pa.table({"user_id": pa.array([], pa.string())})).to_pandas()
    return found
