"""What each block of a profile adds on this log: a linear probe at the newest window whose outcome is known."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.artifacts import write_table
from core.errors import GateError
from core.messages import Message, say
from core.pipeline.blocks import ASKS_OF_PEOPLE, BLOCK_WORDS, Blocks, BlocksAt
from core.pipeline.encoding import check_blocks
from core.pipeline.measurable import AGAINST_UNTAUGHT
from core.pipeline.options import ProfileOptions
from core.pipeline.pictures import PictureProfiles
from core.pipeline.showing import picture_folder
from core.pipeline.telling import Result, about_rows, fitting_horizon
from core.pipeline.texts import TextProfiles, models_now, untuned
from core.schema import ACTS, Progress, part_of, silent
from core.store import Began, Dataset, Home, Log, fetch
from core.windows import say_days

if TYPE_CHECKING:
    from core.encoder.probe import Probed
    from core.encoder.weighing import Weighing

OFFERED = ("counts", "text", "sequence", "graph")
"""Blocks that are judged unless others are named; `narrative` costs a pass of the text model over every history."""
WEIGHED = (*OFFERED, "narrative", "image", "facts", "ids")
"""Blocks that weights are chosen for, as far as they are there."""
EQUAL = (
    ("counts",),
    ("text",),
    ("sequence",),
    ("untaught",),
    ("shuffled",),
    ("graph",),
    ("narrative",),
    ("image",),
    ("facts",),
    ("ids",),
    ("counts", "text"),
    ("counts", "sequence"),
    ("counts", "untaught"),
    ("counts", "graph"),
    ("counts", "narrative"),
    ("counts", "image"),
    ("counts", "facts"),
    ("counts", "ids"),
    ("counts", "text", "sequence"),
    ("counts", "text", "graph"),
    ("counts", "text", "sequence", "graph"),
)
"""Sets whose blocks weigh the same. `untaught` is the sequence network with random weights, `shuffled` the taught one on the
same acts in random order."""
MOST_TARGETS = 40
"""Categories asked for, most bought first."""
FEWEST_TARGETS = 3
"""Categories below which the acts themselves are asked for."""

Bools = npt.NDArray[np.bool_]


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

    The probe learns at the cutoff two horizons before the end and is judged, once, one horizon before it. Weights of the blocks
    are learned three horizons before the end and chosen two horizons before it; a log too short for that chooses them on other
    shoppers of the learning cutoff. Transformer and graph learn from events before the first of these cutoffs alone.

    Raises:
        CoreError: A block is unknown.
        GateError: Too few shoppers act or do not.
        CutoffError: The log is shorter than two horizons and some history.
    """
    from core.encoder.probe import FEWEST, can_judge

    options, began, log = untuned(options or ProfileOptions(blocks=OFFERED)), Began.now(), dataset.log(cutoff)
    check_blocks(options.blocks)
    horizon = horizon or fitting_horizon(log)
    inputs = {"version": dataset.version_path().name, **models_now(home, options)}
    config = {"model": options.model, "horizon_hours": horizon / timedelta(hours=1), "seed": seed, "blocks": list(options.blocks),
              **options.of_blocks}  # fmt: skip
    if found := dataset.find_run("blocks", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("blocks", found)
        return about_rows(dataset, "blocks", found, reused=True)
    cutoffs = [log.until - back * horizon for back in (3, 2, 1) if back < 3 or log.until - 3 * horizon > log.start]
    targets = Targets(log, cutoffs, horizon)
    if not can_judge(*targets.labels).any():
        raise GateError(
            "Too few shoppers act within {length}, or too few do not: {need} of each are needed, at {cutoffs} cutoffs, to judge the "
            "blocks of a profile. Try another horizon.",
            length=say_days(horizon),
            need=FEWEST,
            cutoffs=len(cutoffs),
        )
    pictures = PictureProfiles(home, log, options, picture_folder(dataset, options)) if "image" in options.blocks else None
    blocks_at = BlocksAt(log, TextProfiles(home, log, options), options, seed, pictures=pictures, with_twins=True)
    ends = np.linspace(0.7, 0.9, len(cutoffs)).tolist()
    known = [blocks_at(at, part_of(progress, begin, end))[1] for at, begin, end in zip(cutoffs, [0.0, *ends[:-1]], ends, strict=True)]
    progress(0.9, say("judging the blocks of the profile"))
    weighing, rows = _judge(known, targets.labels, seed)
    with dataset.new_run("blocks", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        table = pa.Table.from_pylist(rows)
        write_table(draft.path / "blocks.parquet", table)
        draft.record |= {
            "act": targets.act,
            "judged_at": cutoffs[-1].isoformat(),
            "targets": rows[0]["targets"],
            "of": "acts" if targets.act == "any" else "categories",
            "users": len(targets.users[-1]),
            "weights": weighing.weights,
            "weights_auc": weighing.auc,
            "weights_at": cutoffs[-2].isoformat(),
            "best_subset": list(weighing.best_subset),
            "best_subset_auc": weighing.subsets[weighing.best_subset],
            "anyone": (anyone := _judge_anyone(known, targets, seed)),
            "unseen": _judge_unseen(log, cutoffs, known, targets, (anyone or {}).get("weights") or weighing.weights, seed),
            **{name: blocks_at.cards.get(name) for name in WEIGHED[2:]},
            "warnings": _warnings(blocks_at, len(cutoffs)),
        }
    return about_rows(dataset, "blocks", draft.run_id)


def _judge(known: Sequence[Blocks], labels: Sequence[Bools], seed: int) -> tuple["Weighing", list[dict[str, Any]]]:
    """Choose weights and probe: equal sets, the transformer against its untaught twin, the weighed set without each of its blocks, and,
    last, the weighed one."""
    from core.encoder.probe import equal, probe_blocks

    weighing = _weigh(known, labels, seed)
    sets: list[tuple[str, dict[str, float]]] = [("equal", equal(*names)) for names in EQUAL if set(names) <= known[0].keys()]
    against = {}
    if {"sequence", "untaught"} <= known[0].keys():
        against[len(sets)] = [weights for _, weights in sets].index(equal("untaught"))
        sets.append((AGAINST_UNTAUGHT, equal("sequence")))
    used = [name for name, weight in weighing.weights.items() if weight > 0]
    if len(used) > 1:
        sets += [(f"without {name}", weighing.weights | {name: 0.0}) for name in used]
    sets.append(("chosen", weighing.weights))
    asked = [weights for _, weights in sets]
    earlier = (known[-3], labels[-3]) if len(known) > 2 else None
    rows = probe_blocks(known[-2], known[-1], asked, labels[-2], labels[-1], np.random.default_rng(seed), against, earlier)
    return weighing, [_told(row, kind) for (kind, _), row in zip(sets, rows, strict=True)]


def _weigh(known: Sequence[Blocks], labels: Sequence[Bools], seed: int) -> "Weighing":
    """Choose weights on the cutoff before the judged one, or, without a third cutoff, on half of its shoppers."""
    from core.encoder.weighing import choose_weights

    rng = np.random.default_rng(seed)
    offered = [{name: blocks[name] for name in WEIGHED if name in blocks} for blocks in known]
    if len(known) > 2:
        return choose_weights(offered[-3], offered[-2], labels[-3], labels[-2], rng)
    half = rng.permutation(len(labels[0])) % 2 == 0
    one, other = ({name: block[part] for name, block in offered[0].items()} for part in (half, ~half))
    return choose_weights(one, other, labels[0][half], labels[0][~half], rng)


def _judge_anyone(known: Sequence[Blocks], targets: "Targets", seed: int) -> dict[str, Any] | None:
    """How the weighed blocks foretell who acts at all, against counts; weights are chosen for that question on their own."""
    from core.encoder.probe import can_judge, equal, probe_blocks

    if targets.act == "any" or not can_judge(*targets.anyone).all():
        return None
    weighing = _weigh(known, targets.anyone, seed)
    labels, sets = targets.anyone, [equal("counts"), weighing.weights]
    earlier = (known[-3], labels[-3]) if len(known) > 2 else None
    rows = probe_blocks(known[-2], known[-1], sets, labels[-2], labels[-1], np.random.default_rng(seed), earlier=earlier)
    return {**_told(rows[1], "chosen"), "weights": weighing.weights, "counts": rows[0].auc}


def _judge_unseen(
    log: Log, cutoffs: Sequence[datetime], known: Sequence[Blocks], targets: "Targets", weights: dict[str, float], seed: int
) -> dict[str, Any] | None:
    """Who acts at all, foretold for shoppers that the probe never saw, by how much is known of them; the act is named beside."""
    from core.encoder.probe import can_judge
    from core.pipeline.unseen import judge_unseen

    act = next((act for act in dict.fromkeys([targets.act, *targets.acts]) if act != "any" and can_judge(*targets.acts[act]).all()), None)
    if act is None:
        return None
    with log.history(cutoffs[-1]) as connection:
        events = fetch(connection, "SELECT count(*)::DOUBLE AS n FROM history GROUP BY user_id ORDER BY user_id")["n"].to_numpy()
    labels = targets.acts[act]
    rows = judge_unseen((known[-2], known[-1]), (targets.users[-2], targets.users[-1]), (labels[-2], labels[-1]), events, weights, seed)
    return {"act": act, "rows": rows}


def _told(row: "Probed", kind: str) -> dict[str, Any]:
    told = dict(vars(row))
    weights = told.pop("weights")
    return {"blocks": " + ".join(weights), "weighing": kind, "weights": " · ".join(f"{weight:g}" for weight in weights.values()), **told}


def _warnings(blocks_at: BlocksAt, cutoffs: int) -> list[Message]:
    said = [say("No block {block}: {why}.", block=BLOCK_WORDS[name], why=why) for name, why in blocks_at.missing.items()]
    if (blocks_at.cards.get("facts") or {}).get("asks_of_people"):
        said.append(ASKS_OF_PEOPLE)
    if cutoffs < 3:
        said.append(
            say("The log is shorter than three horizons: weights of the blocks were chosen on other shoppers, not at an earlier cutoff.")
        )
    return said


class Targets:
    """Who does what within the horizon after each cutoff, one row for everyone with an event before it.

    Targets are the most bought categories, of the most telling act that enough shoppers do in enough of them, else the acts
    themselves. They are chosen on what was known before the first cutoff.
    """

    act: str
    """`any` where the acts are the targets."""
    labels: list[Bools]
    """By cutoff, (U, T)."""

    def __init__(self, log: Log, cutoffs: Sequence[datetime], horizon: timedelta) -> None:
        from core.encoder.probe import can_judge
        from core.features import act_labels, category_labels, top_categories

        with log.history(cutoffs[0]) as connection:
            kinds = {str(row[0]) for row in connection.execute("SELECT DISTINCT CAST(event_type AS VARCHAR) FROM history").fetchall()}
            categories = {act: top_categories(connection, MOST_TARGETS, act) for act in ACTS if act in kinds}
        self.users: list[list[str]] = []
        for at in cutoffs:
            with log.history(at) as connection:
                self.users.append(fetch(connection, "SELECT DISTINCT user_id FROM history ORDER BY user_id")["user_id"].to_pylist())
        self.acts: dict[str, list[Bools]] = {
            str(act): [act_labels(log, at, horizon, act)["label"].to_numpy()[:, None] == 1 for at in cutoffs] for act in categories
        }
        for act, names in categories.items():
            self.labels = [
                _who_acts(users, names, category_labels(log, at, horizon, names, act))
                for users, at in zip(self.users, cutoffs, strict=True)
            ]
            self.act = act
            if int(can_judge(*self.labels).sum()) >= FEWEST_TARGETS:
                return
        self.act = "any"
        self.labels = [np.hstack(columns) for columns in zip(*self.acts.values(), strict=True)] or [np.zeros((0, 0), bool)]

    @property
    def anyone(self) -> list[Bools]:
        """By cutoff, who does the act at all (U, 1)."""
        return self.acts[self.act]


def _who_acts(users: list[str], categories: list[str], found: pa.Table) -> Bools:
    rows, columns = ({name: place for place, name in enumerate(names)} for names in (users, categories))
    labels = np.zeros((len(users), len(categories)), bool)
    for user, category in zip(found["user_id"].to_pylist(), found["category"].to_pylist(), strict=True):
        labels[rows[user], columns[category]] = True
    return labels
