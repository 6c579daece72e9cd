"""Profiles and probe of one dataset applied to another: zero labels, few, all of them."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from core.artifacts import write_table
from core.errors import GateError, NotFoundError
from core.messages import say
from core.pipeline.blocks import BlocksAt
from core.pipeline.options import ProfileOptions
from core.pipeline.telling import Result, about_rows, fitting_horizon
from core.pipeline.texts import TextProfiles, models_now
from core.schema import Progress, part_of, silent
from core.store import Began, Dataset, Home, Log
from core.windows import say_days

if TYPE_CHECKING:
    from core.encoder.transfer import Window

SETS = (("counts",), ("text",), ("counts", "text"))
FEWEST = 20
"""Shoppers of either kind at each cutoff."""
MOST_SHOPPERS = 5000
"""Drawn at each cutoff; intervals say what that costs."""
SHARED_MODEL = "multilingual-e5-small"
"""Reads both catalogues where `auto` would choose two models, whose vectors do not lie in one space."""


def transfer(
    home: Home,
    source: Dataset,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    source_cutoff: datetime | None = None,
    horizon: timedelta | None = None,
    act: str = "purchase",
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Learn who acts within the horizon on one dataset, and foretell it on another that shows none, few or all of its labels.

    The first log's labels are of its newest known window; the other's are shown two horizons before its end and judged one
    horizon before it.

    Raises:
        NotFoundError: Both names are the same dataset.
        GateError: Too few shoppers of one of them act or do not.
        CutoffError: A log is shorter than its windows and some history.
    """
    from core.encoder.transfer import transfer_probe

    if source.name == dataset.name:
        raise NotFoundError("{name!r} cannot be learned from and judged at once; name another dataset with --from.", name=dataset.name)
    options, began = options or ProfileOptions(blocks=("counts", "text")), Began.now()
    known, log = source.log(source_cutoff), dataset.log(cutoff)
    horizon = horizon or fitting_horizon(log)
    inputs = {"version": dataset.version_path().name, "source": source.name, "source_version": source.version_path().name,
              **models_now(home, options)}  # fmt: skip
    config = {"horizon_hours": horizon / timedelta(hours=1), "act": act, "model": options.model, "seed": seed, **options.of_texts,
              "source_cutoff": source_cutoff.isoformat() if source_cutoff else None}  # fmt: skip
    if found := dataset.find_run("transfer", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("transfer", found)
        return about_rows(dataset, "transfer", found, reused=True)
    options, checkpoint = _shared(home, known, log, options)
    rng = np.random.default_rng(seed)
    asked = ((source, known, 1), (dataset, log, 2), (dataset, log, 1))
    windows = []
    for place, (where, one, back) in enumerate(asked):
        windows.append(
            _window(home, where, one, one.until - back * horizon, horizon, act, options, rng, part_of(progress, place / 4, (place + 1) / 4))
        )
    progress(0.75, say("carrying the probe over"))
    shared = set.intersection(*(set(window.blocks) for window in windows))
    rows = transfer_probe(windows[0], windows[1], windows[2], [names for names in SETS if set(names) <= shared], rng)
    warnings = [] if "text" in shared else [say("One of the logs has no item texts, so only counts are carried over.")]
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    with dataset.new_run("transfer", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        write_table(draft.path / "transfer.parquet", table)
        draft.record |= {
            "source": source.name,
            "act": act,
            "checkpoint": checkpoint,
            "learned_at": (known.until - horizon).isoformat(),
            "shown_at": (log.until - 2 * horizon).isoformat(),
            "judged_at": (log.until - horizon).isoformat(),
            "shoppers": [len(window.labels) for window in windows],
            "acted": [float(window.labels.mean()) for window in windows],
            "warnings": warnings,
        }
    return about_rows(dataset, "transfer", draft.run_id)


def _shared(home: Home, known: Log, log: Log, options: ProfileOptions) -> tuple[ProfileOptions, str | None]:
    """The options with one model for both logs, and its name; None where a log has no texts."""
    found = [TextProfiles(home, one, options).encoder() for one in (known, log)] if "text" in options.blocks else [None]
    names = {encoder.checkpoint.name for encoder in found if encoder is not None}
    if None in found:
        return options.reading(("counts",)), None
    if len(names) > 1:
        return replace(options.reading(options.blocks), model=SHARED_MODEL), SHARED_MODEL
    return options, names.pop()


def _window(
    home: Home, dataset: Dataset, log: Log, at: datetime, horizon: timedelta, act: str, options: ProfileOptions,
    rng: np.random.Generator, progress: Progress,
) -> "Window":  # fmt: skip
    from core.encoder.transfer import Window
    from core.features import act_labels

    labels = act_labels(log, at, horizon, act)["label"].to_numpy() == 1
    _users, blocks = BlocksAt(log, TextProfiles(home, log, options, progress), options)(at)
    drawn = np.sort(rng.permutation(len(labels))[:MOST_SHOPPERS])
    labels = labels[drawn]
    if min(labels.sum(), (~labels).sum()) < FEWEST:
        raise GateError(
            "Of {shoppers} shoppers of {name!r} at {day}, {acted} act within {length} and {idle} do not; {need} of each are needed.",
            shoppers=len(labels),
            name=dataset.name,
            day=f"{at:%Y-%m-%d}",
            acted=int(labels.sum()),
            length=say_days(horizon),
            idle=int((~labels).sum()),
            need=FEWEST,
        )
    return Window({name: block[drawn] for name, block in blocks.items()}, labels)
