"""What tuning the text model to this log's shoppers adds, and what its smaller forms save and lose."""

import re
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.artifacts import write_table
from core.errors import GateError, ModelError, NotFoundError, RuleError
from core.messages import say
from core.pipeline.options import ProfileOptions
from core.pipeline.telling import Result, about_rows, fitting_horizon
from core.pipeline.texts import TextProfiles, models_now, tuned_until, untuned
from core.schema import Progress, part_of, silent
from core.store import Began, Dataset, Home, Log
from core.windows import say_days

if TYPE_CHECKING:
    from core.encoder.encode import TextEncoder

FEWEST = 20
"""Shoppers of either kind among those sampled to learn, and among those sampled to judge."""
DRAWS = 300
MOST_RANK = 64
"""Far above what any layer of a small encoder was found to want; each one more costs memory in every layer."""
RANKS = pa.schema([("method", pa.string()), ("layer", pa.string()), ("depth", pa.int32()), ("part", pa.string()), ("rank", pa.int32())])
"""Columns of what tuning added to each layer."""


def tune_texts(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    horizon: timedelta | None = None,
    act: str = "purchase",
    labels: str = "acts",
    keep: str = "best",
    shoppers: int = 600,
    tokens: int = 32,
    epochs: int = 2,
    rank: int = 8,
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Tune the text model on histories told as texts, by several ways, and compare each with the model as it is.

    Learns two horizons before the end, is judged one horizon before it, on `shoppers` drawn at each; a row of counts on the same
    shoppers says what the text is up against.

    Args:
        labels: `acts`: weights learn who acts; `contrastive`: they learn which two halves belong to one history, no label is read, and a
            head is fitted to them afterwards, so that both are judged by the same question.
        keep: The way whose weights stay in the run as a model folder for `profile --model`: one of METHODS but `head`, `best` of them
            where it was judged, or `none`.
        rank: Of LoRA in every layer; AdaLoRA shares as much in all out among the layers. What each layer ended with is ranks.parquet.

    Raises:
        RuleError: The rank is outside 1..MOST_RANK.
        GateError: Too few of the drawn shoppers act or do not, or no item has a text.
        CutoffError: The log is shorter than two horizons and some history.
    """
    from core.encoder.narrative import cut_to
    from core.encoder.probe import aucs
    from core.encoder.tuning import METHODS, Task, TuningOptions, save_tuned, tune

    if not 1 <= rank <= MOST_RANK:
        raise RuleError("The rank is {rank}; choose 1 to {most}.", rank=rank, most=MOST_RANK)
    options, began, log = untuned(options or ProfileOptions()), Began.now(), dataset.log(cutoff)
    horizon = horizon or fitting_horizon(log)
    inputs = {"version": dataset.version_path().name, **models_now(home, options.reading(("text",)))}
    config = {"horizon_hours": horizon / timedelta(hours=1), "act": act, "shoppers": shoppers, "tokens": tokens, "epochs": epochs,
              "rank": rank, "labels": labels, "keep": keep, "model": options.model, "seed": seed}  # fmt: skip
    if found := dataset.find_run("tuning", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("tuning", found)
        return about_rows(dataset, "tuning", found, reused=True)
    encoder = _encoder(home, log, options)
    rng = np.random.default_rng(seed)
    learned, judged = (_Sample(log, log.until - back * horizon, horizon, act, shoppers, rng) for back in (2, 1))
    for sample in (learned, judged):
        if min(sample.labels.sum(), (~sample.labels).sum()) < FEWEST:
            raise GateError(
                "Of {shoppers} shoppers drawn at {day}, {acted} act within {length} and {idle} do not; {need} of each are needed.",
                shoppers=len(sample.labels),
                day=f"{sample.at:%Y-%m-%d}",
                acted=int(sample.labels.sum()),
                length=say_days(horizon),
                idle=int((~sample.labels).sum()),
                need=FEWEST,
            )
    (texts, cut), (test_texts, _) = (cut_to(encoder.tokenizer, sample.texts, tokens) for sample in (learned, judged))
    task = Task(
        texts, learned.labels, test_texts, _pairs(log, learned, encoder, shoppers, tokens, rng) if labels == "contrastive" else None
    )
    tuned, warnings, kept, kept_auc = [], [], None, -1.0
    for place, method in enumerate(METHODS):
        share = part_of(progress, place / len(METHODS), (place + 1) / len(METHODS))
        try:
            way = tune(encoder, task, method, TuningOptions(epochs=epochs, rank=rank, seed=seed), share)
        except ValueError as error:  # peft knows where to put its weights for most, not for all kinds of model
            warnings.append(say("{method} was left out for this model: {why}", method=method, why=str(error).split("\n", 1)[0]))
            continue
        auc = float(aucs(way.scores[:, None], judged.labels[:, None])[0])
        if (keep == method or (keep == "best" and way.trainable)) and auc > kept_auc:
            kept, kept_auc = way, auc
        tuned.append(replace(way, network=None))  # one model is held at a time beside the best
    rows = _compare({**{way.method: way.scores for way in tuned}, "counts": _by_counts(learned, judged)}, judged.labels, rng)
    facts = {way.method: {"trainable": way.trainable, "parameters": way.parameters, "cpu_seconds": way.cpu_seconds} for way in tuned}
    table = pa.Table.from_pylist(
        [{**row, **facts.get(row["method"], dict.fromkeys(("trainable", "parameters", "cpu_seconds")))} for row in rows]
    )
    with dataset.new_run("tuning", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        write_table(draft.path / "tuning.parquet", table)
        write_table(draft.path / "ranks.parquet", _rank_rows({way.method: way.ranks for way in tuned}))
        model = None
        if kept is not None:
            # Its way was chosen by who acted until the end of the log, so it may read nothing that is to be judged before that.
            model = f"model/{slug_of(encoder.checkpoint.name)}-{kept.method}"
            about = {"labels": labels, "method": kept.method, "learned_until": log.until.isoformat(), "tuned_from": encoder.checkpoint.name}
            save_tuned(draft.path / model, encoder, kept, about)
        draft.record |= {
            "act": act,
            "judged_at": judged.at.isoformat(),
            "learned": len(learned.labels),
            "judged": len(judged.labels),
            "acted": float(judged.labels.mean()),
            "cut_share": cut / max(1, len(texts)),
            "checkpoint": encoder.checkpoint.name,
            "losses": {way.method: way.losses for way in tuned},
            "rank_budget": {way.method: rank * len(way.ranks) for way in tuned if way.ranks},
            "kept": kept.method if kept else None,
            "kept_folder": model,
            "warnings": warnings,
        }
    return about_rows(dataset, "tuning", draft.run_id)


def _rank_rows(ranks: dict[str, dict[str, int]]) -> pa.Table:
    """Ranks by layer: method, layer (its name), depth (the first number in its name, NULL without), part (the rest), rank."""
    rows = []
    for method, found in ranks.items():
        for layer, rank in found.items():
            words = layer.split(".")
            at = next((place for place, word in enumerate(words) if word.isdecimal()), None)
            part = ".".join(words if at is None else words[at + 1 :])
            rows.append({"method": method, "layer": layer, "depth": None if at is None else int(words[at]), "part": part, "rank": rank})
    return pa.Table.from_pylist(rows, RANKS)


def compress_texts(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    texts: int = 2000,
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Make smaller forms of the text model and measure size, speed and likeness on item texts that nothing was learned from.

    Draws `texts` of the catalogue's distinct texts; half teach the student, half judge.

    Raises:
        GateError: The catalogue has too few texts.
    """
    from core.encoder.compression import NEIGHBOURS, CompressionOptions, compress
    from core.encoder.network import multiplies_int8
    from core.encoder.texts import distinct_texts, item_texts

    options, began, log = untuned(options or ProfileOptions()), Began.now(), dataset.log(cutoff)
    inputs = {"version": dataset.version_path().name, **models_now(home, options.reading(("text",)))}
    config = {"texts": texts, "model": options.model, "seed": seed}
    if found := dataset.find_run("compression", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("compression", found)
        return about_rows(dataset, "compression", found, reused=True)
    encoder = _encoder(home, log, options)
    with log.history() as connection:
        distinct, _cut = distinct_texts(item_texts(connection))
    need = 4 * NEIGHBOURS
    if len(distinct) < need:
        raise GateError(
            "The catalogue has {have} distinct texts; {need} are needed to compare forms of a model.", have=len(distinct), need=need
        )
    drawn = np.random.default_rng(seed).permutation(len(distinct))[:texts]
    half = len(drawn) // 2
    taught, judged = ([distinct[int(row)] for row in rows] for rows in (drawn[:half], drawn[half:]))
    try:
        forms = compress(encoder, taught, judged, CompressionOptions(seed=seed), progress)
    except AttributeError as error:
        raise ModelError(
            "{model} has no stack of layers to take some from; name a BERT-like encoder.", model=encoder.checkpoint.name
        ) from error
    table = pa.Table.from_pylist([asdict(form) for form in forms])
    with dataset.new_run("compression", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        write_table(draft.path / "compression.parquet", table)
        draft.record |= {"taught": len(taught), "judged": len(judged), "checkpoint": encoder.checkpoint.name, "warnings": []}
        speed = {form.form: form.tokens_per_cpu_second for form in forms}
        if "int8" in speed and not multiplies_int8(encoder.device):
            told = say(
                "This processor does not multiply 8-bit integers in hardware: here 8 bits save size, not time ({share:.2f} times the speed "
                "of 32 bits); another processor may be faster.",
                share=speed["int8"] / speed["fp32"],
            )
            draft.record["warnings"].append(told)
    return about_rows(dataset, "compression", draft.run_id)


def kept_model(dataset: Dataset, before: datetime | None = None) -> str:
    """The folder of the weights that the tuning on screen kept.

    Args:
        dataset: What was tuned to.
        before: With it, the newest weights that learned nothing from then on, also of a tuning as of a cutoff; those on screen where
            there are none, or else the newest of all.

    Raises:
        NotFoundError: There is none.
    """
    shown = dataset.current()["runs"].get("tuning")
    kept: list[str] = []
    for run_id in dict.fromkeys([*([shown] if shown else []), *(reversed(dataset.runs("tuning")) if before else ())]):
        folder = dataset.run_manifest("tuning", run_id).get("kept_folder")
        if folder:
            kept.append(str(dataset.run_path("tuning", run_id) / folder))
    if not kept and shown:
        raise NotFoundError("The tuning of {dataset} kept no weights; run: tune --dataset {dataset} --keep best", dataset=dataset.name)
    if not kept:
        raise NotFoundError("Dataset {dataset!r} has no {kind} yet; run that stage first.", dataset=dataset.name, kind="tuning")
    return next((model for model in kept if before and (learned := tuned_until(model)) and learned <= before), kept[0])


def slug_of(name: str) -> str:
    """The last part of a model's name as a folder's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name.rsplit("/", 1)[-1]).strip(".") or "model"


def _pairs(
    log: Log, learned: "_Sample", encoder: "TextEncoder", most: int, tokens: int, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """Two halves of as many histories as labels would be read of, from before the cutoff that is learned at."""
    from core.encoder.narrative import cut_to, halves

    with log.history(learned.at) as connection:
        users, newer, older = halves(connection)
    if len(users) < 2 * FEWEST:
        raise GateError(
            "{have} shoppers have two acts on items with a name; {need} are needed to contrast halves of histories.",
            have=len(users),
            need=2 * FEWEST,
        )
    drawn = np.sort(rng.permutation(len(users))[:most])
    first, second = (cut_to(encoder.tokenizer, [half[int(row)] for row in drawn], tokens)[0] for half in (newer, older))
    return first, second


def _encoder(home: Home, log: Log, options: ProfileOptions) -> "TextEncoder":
    encoder = TextProfiles(
        home, log, replace(options, precision="auto")
    ).encoder()  # weights are tuned and compared in precisions of their own
    if encoder is None:
        raise GateError("No item has a text (title, category, brand or description), so there is nothing for a text model to read.")
    return encoder


class _Sample:
    """Shoppers drawn at a cutoff: their histories as texts, their counts, and who acts within the horizon."""

    def __init__(self, log: Log, at: datetime, horizon: timedelta, act: str, most: int, rng: np.random.Generator) -> None:
        from core.encoder.narrative import narratives
        from core.features import act_labels, compute_features
        from core.predictor.matrix import matrix_of

        self.at = at
        with log.history(at) as connection:
            users, texts = narratives(connection)
            counts = matrix_of(compute_features(connection, at))
        labels = act_labels(log, at, horizon, act)["label"].to_numpy() == 1
        assert users == counts.user_ids
        drawn = np.sort(rng.permutation(len(users))[:most])
        self.texts = [texts[int(row)] for row in drawn]
        self.labels: npt.NDArray[np.bool_] = labels[drawn]
        self.counts = np.sign(counts.values[drawn]) * np.log1p(np.abs(counts.values[drawn]))


def _by_counts(learned: _Sample, judged: _Sample) -> npt.NDArray[np.float64]:
    """Scores of a ridge regression on counts, learned on the same shoppers."""
    from core.encoder.probe import Scaled, equal, fit_ridge

    x, x_test = Scaled({"counts": learned.counts}, {"counts": judged.counts}).weighed(equal("counts"))
    return fit_ridge(x, learned.labels[:, None], [1000.0])[0](x_test)[:, 0]


def _compare(scores: dict[str, npt.NDArray[np.float64]], labels: npt.NDArray[np.bool_], rng: np.random.Generator) -> list[dict[str, Any]]:
    """AUC of each way and its difference to the first, with intervals, on the same draws of shoppers."""
    from core.encoder.probe import aucs

    draws = rng.integers(0, len(labels), (DRAWS, len(labels)))
    found: dict[str, tuple[float, npt.NDArray[np.float64]]] = {}
    for name, values in scores.items():
        drawn = np.array([aucs(values[rows][:, None], labels[rows][:, None])[0] for rows in draws])
        found[name] = float(aucs(values[:, None], labels[:, None])[0]), drawn
    first_auc, first = next(iter(found.values()))
    rows = []
    for name, (auc, drawn) in found.items():
        (low, high), (gain_low, gain_high) = (np.nanquantile(values, (0.025, 0.975)).tolist() for values in (drawn, drawn - first))
        rows.append(
            {"method": name, "auc": auc, "low": low, "high": high, "gain": auc - first_auc, "gain_low": gain_low, "gain_high": gain_high}
        )
    return rows
