"""The command that makes a run, and a home of its own in which the command is run again."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.artifacts import MANIFEST, read_json, write_json
from core.errors import NotFoundError
from core.messages import Message, say
from core.schema import RUN_KINDS
from core.store import CURRENT, Dataset, Home

VERBS = {
    "profiles": "profile",
    "atlas": "map",
    "propensity": "predict",
    "recommendations": "recommend",
    "blocks": "blocks",
    "tuning": "tune",
    "compression": "compress",
    "transfer": "transfer",
    "backtest": "backtest",
    "learning": "learn",
    "answers": "answer",
    "explanations": "explain",
    "uplift": "uplift",
    "robustness": "robustness",
}
RENAMED = {"horizon_hours": "horizon", "look_back_days": "look-back", "source_cutoff": "from-cutoff"}
"""Settings whose option has another name; all others are called as the setting."""
COSTS = frozenset({"cpu_seconds", "seconds", "tokens_per_cpu_second"})
"""Columns and keys that differ from one making to the next."""


def kind_of(run_id: str) -> str:
    """Return the kind of a run, which its id begins with.

    Raises:
        NotFoundError: It is the id of no run.
    """
    kind, _, number = run_id.rpartition("-")
    if kind not in RUN_KINDS or not number.isdecimal():
        raise NotFoundError("{run!r} is the id of no run; ids look like propensity-0001. See `runs list`.", run=run_id[:60])
    return kind


def command_of(dataset: str, kind: str, record: Mapping[str, Any]) -> list[str]:
    """Return the words after `python -m core` that make a run from the same data: verb and every setting, none left to a default."""
    words = [VERBS[kind], "--dataset", dataset]
    for name, value in sorted((record.get("config") or {}).items()):
        option = "--" + RENAMED.get(name, name).replace("_", "-")
        if value is None or value is False or value == [] or name in ("candidates", "relations"):
            continue
        if value is True:
            words.append(option)
        elif name == "horizon_hours":
            words += [option, f"{float(value):g}h"]
        else:
            words += [option, ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)]
    if kind in ("explanations", "robustness"):
        words += ["--run", str((record.get("inputs") or {}).get("propensity"))]
        return words  # the cutoff is that of the run
    if kind == "transfer":
        words += ["--from", str((record.get("inputs") or {}).get("source"))]
    return [*words, "--cutoff", str(record["cutoff"])] if record.get("cutoff") else words


def why_not(kind: str, record: Mapping[str, Any]) -> Message | None:
    """Say why a run cannot be made again from the data alone; None when it can."""
    if kind == "atlas":
        return say("A map keeps shoppers where the map before it put them, so it rests on more than the data.")
    if kind == "answers":
        return say("It rests on what people answered, which is kept beside the data.")
    if kind in ("explanations", "robustness"):
        return say("It rests on a run of purchase chances and its kept model, not on the data alone.")
    if kind == "uplift":
        return say("It rests on a file of who was treated, which is kept by whoever gave it.")
    if kind == "profiles" and (record.get("update") or {}).get("after"):
        return say("These profiles were carried on from earlier ones, so they rest on more than the data.")
    if kind == "recommendations" and (record.get("config") or {}).get("relations"):
        return say("It rests on relations between items that the shop gave, which are kept beside the data.")
    if kind == "recommendations" and (record.get("inputs") or {}).get("profiles"):
        return say("A transformer that was kept with profiles foresaw items for these lists, so they rest on more than the data.")
    return None


@contextmanager
def home_of_its_own(home: Home, dataset: Dataset, record: Mapping[str, Any]) -> Iterator[Home]:
    """Make a home that holds the data a run was made from and no run, for as long as the block lasts; caches are shared.

    Files are linked, not copied, where the disk can.

    Raises:
        NotFoundError: A version that it was made from is no longer there.
    """
    inputs = record.get("inputs") or {}
    wanted = [(dataset, str(inputs.get("version")))]
    if inputs.get("source"):
        wanted.append((home.dataset(str(inputs["source"])), str(inputs.get("source_version"))))
    with tempfile.TemporaryDirectory(prefix=".again.", dir=home.path) as folder:
        again = Home(Path(folder))
        with suppress(OSError):  # where links are not allowed, texts are encoded again
            (again.path / "cache").symlink_to(home.cache("texts").parent, target_is_directory=True)
        for known, version in wanted:
            place = again.path / "datasets" / known.name
            shutil.copytree(known.version_path(version), place / "versions" / version, copy_function=_link)
            write_json(place / CURRENT, {"version": version, "runs": {}})
        yield again


def compare_files(one: Path, other: Path) -> list[dict[str, Any]]:
    """Compare the files of two runs: file, equal (bytes), and equal_but_costs where it differs only in what was spent."""
    names = sorted({p.relative_to(f).as_posix() for f in (one, other) for p in f.rglob("*") if p.is_file() and p.name != MANIFEST})
    return [{"file": name, **_compared(one / name, other / name)} for name in names]


def _compared(one: Path, other: Path) -> dict[str, Any]:
    if not (one.is_file() and other.is_file()):
        return {"equal": False, "equal_but_costs": False}
    equal = one.read_bytes() == other.read_bytes()
    return {"equal": equal, "equal_but_costs": equal or _equal_but_costs(one, other)}


def _equal_but_costs(one: Path, other: Path) -> bool:
    if one.suffix == ".parquet":
        return bool(_without_costs(one).equals(_without_costs(other)))
    return one.suffix == ".json" and _stripped(read_json(one)) == _stripped(read_json(other))


def _without_costs(path: Path) -> pa.Table:
    table = pq.read_table(path)
    return table.drop_columns([name for name in table.column_names if name in COSTS])


def _stripped(record: Any) -> Any:
    if isinstance(record, dict):
        return {name: _stripped(value) for name, value in record.items() if name not in COSTS}
    return [_stripped(value) for value in record] if isinstance(record, list) else record


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)
