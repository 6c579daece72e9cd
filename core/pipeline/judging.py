"""What each block of a profile adds on this log: a linear probe at the newest window whose outcome is known."""

import time
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.artifacts import write_table
from core.errors import GateError
from core.messages import say
from core.pipeline.options import ProfileOptions
from core.pipeline.telling import Result, about, fitting_horizon
from core.pipeline.texts import TextProfiles
from core.schema import ACTS, Progress, part_of, silent
from core.store import Dataset, Home, Log, fetch

if TYPE_CHECKING:
    from core.encoder.histories import Histories
    from core.encoder.sequence import SequenceEncoder

SETS = (
    ("counts",),
    ("text",),
    ("sequence",),
    ("untaught",),
    ("shuffled",),
    ("counts", "text"),
    ("counts", "sequence"),
    ("counts", "untaught"),
    ("counts", "text", "sequence"),
)
"""`untaught` is the sequence network with random weights, `shuffled` the taught one on the same acts in random order."""
MOST_TARGETS = 40
"""Categories asked for, most bought first."""
FEWEST_TARGETS = 3
"""Categories below which the acts themselves are asked for."""

Blocks = dict[str, npt.NDArray[np.floating]]


def judge_blocks(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    horizon: timedelta | None = None,
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Tell, with intervals, how well each block alone and together foretells who acts in which category within the horizon.

    Where the log has too few categories, the acts themselves are foretold.

    The probe learns from the cutoff two horizons before the end and is judged one horizon before it; the behaviour transformer
    learns from events before the earlier cutoff alone.

    Raises:
        GateError: Too few shoppers act or do not, or too few acts to learn from.
        CutoffError: The log is shorter than two horizons and some history.
    """
    from core.encoder.probe import FEWEST, can_judge, probe_blocks

    options, began, log = options or ProfileOptions(blocks=("counts", "text", "sequence")), time.time(), dataset.log(cutoff)
    horizon = horizon or fitting_horizon(log)
    inputs = {"version": dataset.version_path().name}
    config = {"model": options.model, "horizon_hours": horizon / timedelta(hours=1), "seed": seed}
    if found := dataset.find_run("blocks", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("blocks", found)
        return about(dataset, "blocks", found, reused=True)
    earlier, later = log.until - 2 * horizon, log.until - horizon
    _names, act, labels = _targets(log, earlier, later, horizon)
    if not can_judge(*(found for _, found in labels)).any():
        raise GateError(
            "Too few shoppers act within {days:g} days, or too few do not: {need} of each are needed, at two cutoffs, to judge the blocks "
            "of a profile. Try another horizon.",
            days=horizon / timedelta(days=1),
            need=FEWEST,
        )
    tables = _Tables(log, TextProfiles(home, log, options), options, seed)
    blocks = []
    for (at, told), (users, _) in zip(((earlier, part_of(progress, 0.0, 0.8)), (later, part_of(progress, 0.8, 0.95))), labels, strict=True):
        known = tables(at, users, told)
        blocks.append(known)
    progress(0.95, say("judging the blocks of the profile"))
    sets = [names for names in SETS if set(names) <= blocks[0].keys()]
    rows = probe_blocks(blocks[0], blocks[1], sets, labels[0][1], labels[1][1], np.random.default_rng(seed))
    with dataset.new_run("blocks", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        table = pa.Table.from_pylist([{**asdict(row), "blocks": " + ".join(row.blocks)} for row in rows])
        write_table(draft.path / "blocks.parquet", table)
        draft.record |= {
            "act": act,
            "judged_at": later.isoformat(),
            "targets": rows[0].targets,
            "of": "acts" if act == "any" else "categories",
            "users": len(labels[1][0]),
            "sequence": tables.card,
            "warnings": [],
        }
    return about(dataset, "blocks", draft.run_id) | {"rows": table.to_pylist()}


class _Tables:
    """Blocks of every user as of a cutoff; the transformer is taught once, at the first."""

    def __init__(self, log: Log, texts: TextProfiles, options: ProfileOptions, seed: int) -> None:
        self.log, self.texts, self.options, self.seed = log, texts, options, seed
        self.networks: dict[str, SequenceEncoder] = {}
        self.card: dict[str, Any] = {}

    def __call__(self, at: datetime, users: list[str], progress: Progress) -> Blocks:
        from core.encoder.histories import read_histories
        from core.encoder.items import without_texts
        from core.encoder.sequence import SequenceOptions, make_encoder, sequence_profiles, train_sequence
        from core.features import compute_features
        from core.predictor.matrix import matrix_of

        described, text = self.texts.item_vectors(at), self.texts(at)
        with self.log.history(at) as connection:
            counts = matrix_of(compute_features(connection, at))
            items = described or without_texts(connection)
            histories = read_histories(connection, items.item_ids)
        if not self.networks:
            chosen = SequenceOptions(device=self.options.device, seed=self.seed)
            began = time.process_time()
            taught = train_sequence(histories, items, chosen, progress)
            self.card = taught.card | {"cpu_seconds": round(time.process_time() - began, 1)}
            self.networks = {"sequence": taught, "untaught": make_encoder(histories, items, chosen)}
        blocks: Blocks = {"counts": np.sign(counts.values) * np.log1p(np.abs(counts.values))}
        if text is not None:
            blocks["text"] = text[1]
        for name, network in self.networks.items():
            blocks[name] = sequence_profiles(network, histories, items)
        mixed = _shuffled(histories, np.random.default_rng(self.seed))
        blocks["shuffled"] = sequence_profiles(self.networks["sequence"], mixed, items)
        assert users == counts.user_ids == histories.user_ids
        return blocks


def _shuffled(histories: "Histories", rng: np.random.Generator) -> "Histories":
    """The same acts of each user in another order; gaps stay where they are."""
    users = np.repeat(np.arange(len(histories.user_ids)), histories.lengths)
    order = np.lexsort((rng.random(len(users)), users))
    return replace(histories, **{name: getattr(histories, name)[order] for name in ("item", "kind", "dwell", "position", "price")})


Labels = tuple[list[str], npt.NDArray[np.bool_]]
"""Users as of a cutoff, and who acts on which target within the horizon after it (U, T)."""


def _targets(log: Log, earlier: datetime, later: datetime, horizon: timedelta) -> tuple[list[str], str, list[Labels]]:
    """Choose the categories and the most telling act that enough shoppers do in enough of them, else the acts themselves.

    Returns:
        Targets, the act (`any` where the acts are the targets), and the labels of both cutoffs.
    """
    from core.encoder.probe import can_judge
    from core.features import act_labels, category_labels, top_categories

    with log.history(earlier) as connection:
        kinds = {str(row[0]) for row in connection.execute("SELECT DISTINCT CAST(event_type AS VARCHAR) FROM history").fetchall()}
        categories = {act: top_categories(connection, MOST_TARGETS, act) for act in ACTS if act in kinds}
    people: list[list[str]] = []
    for at in (earlier, later):
        with log.history(at) as connection:
            people.append(fetch(connection, "SELECT DISTINCT user_id FROM history ORDER BY user_id")["user_id"].to_pylist())
    for act, names in categories.items():
        found = [
            (users, _who_acts(users, names, category_labels(log, at, horizon, names, act)))
            for users, at in zip(people, (earlier, later), strict=True)
        ]
        if int(can_judge(found[0][1], found[1][1]).sum()) >= FEWEST_TARGETS:
            return names, act, found
    acts: list[str] = list(categories)
    columns = [[act_labels(log, at, horizon, act)["label"].to_numpy() == 1 for act in categories] for at in (earlier, later)]
    return acts, "any", [(users, np.stack(found, axis=1)) for users, found in zip(people, columns, strict=True)]


def _who_acts(users: list[str], categories: list[str], found: pa.Table) -> npt.NDArray[np.bool_]:
    rows, columns = ({name: place for place, name in enumerate(names)} for names in (users, categories))
    labels = np.zeros((len(users), len(categories)), bool)
    for user, category in zip(found["user_id"].to_pylist(), found["category"].to_pylist(), strict=True):
        labels[rows[user], columns[category]] = True
    return labels
