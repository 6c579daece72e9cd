"""What tuning the text model to this log's shoppers adds, and what its smaller forms save and lose."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from core.artifacts import write_table
from core.errors import GateError, ModelError
from core.messages import say
from core.pipeline.options import ProfileOptions
from core.pipeline.telling import Result, about_rows, fitting_horizon
from core.pipeline.texts import TextProfiles
from core.schema import Progress, part_of, silent
from core.store import Began, Dataset, Home, Log

if TYPE_CHECKING:
    from core.encoder.encode import TextEncoder

FEWEST = 20
"""Shoppers of either kind among those sampled to learn, and among those sampled to judge."""
DRAWS = 300


def tune_texts(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    horizon: timedelta | None = None,
    act: str = "purchase",
    shoppers: int = 600,
    tokens: int = 32,
    epochs: int = 2,
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Tune the text model on histories told as texts to who acts, by several ways, and compare each with the model as it is.

    Learns two horizons before the end, is judged one horizon before it, on `shoppers` drawn at each; a row of counts on the same
    shoppers says what the text is up against. Nothing is kept but the figures.

    Raises:
        GateError: Too few of the drawn shoppers act or do not, or no item has a text.
        CutoffError: The log is shorter than two horizons and some history.
    """
    from core.encoder.narrative import cut_to
    from core.encoder.tuning import METHODS, TuningOptions, tune

    options, began, log = options or ProfileOptions(), Began.now(), dataset.log(cutoff)
    horizon = horizon or fitting_horizon(log)
    inputs = {"version": dataset.version_path().name}
    config = {"horizon_hours": horizon / timedelta(hours=1), "act": act, "shoppers": shoppers, "tokens": tokens, "epochs": epochs,
              "model": options.model, "seed": seed}  # fmt: skip
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
                "Of {shoppers} shoppers drawn at {day}, {acted} act within {days:g} days and {idle} do not; {need} of each are needed.",
                shoppers=len(sample.labels),
                day=f"{sample.at:%Y-%m-%d}",
                acted=int(sample.labels.sum()),
                days=horizon / timedelta(days=1),
                idle=int((~sample.labels).sum()),
                need=FEWEST,
            )
    (texts, cut), (test_texts, _) = (cut_to(encoder.tokenizer, sample.texts, tokens) for sample in (learned, judged))
    tuned, warnings = [], []
    for place, method in enumerate(METHODS):
        share = part_of(progress, place / len(METHODS), (place + 1) / len(METHODS))
        try:
            tuned.append(tune(encoder, texts, learned.labels, test_texts, method, TuningOptions(epochs=epochs, seed=seed), share))
        except ValueError as error:  # peft knows where to put its weights for most, not for all kinds of model
            warnings.append(say("{method} was left out for this model: {why}", method=method, why=str(error).split("\n", 1)[0]))
    rows = _compare({**{way.method: way.scores for way in tuned}, "counts": _by_counts(learned, judged)}, judged.labels, rng)
    facts = {way.method: {"trainable": way.trainable, "parameters": way.parameters, "cpu_seconds": way.cpu_seconds} for way in tuned}
    table = pa.Table.from_pylist(
        [{**row, **facts.get(row["method"], dict.fromkeys(("trainable", "parameters", "cpu_seconds")))} for row in rows]
    )
    with dataset.new_run("tuning", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        write_table(draft.path / "tuning.parquet", table)
        draft.record |= {
            "act": act,
            "judged_at": judged.at.isoformat(),
            "learned": len(learned.labels),
            "judged": len(judged.labels),
            "acted": float(judged.labels.mean()),
            "cut_share": cut / max(1, len(texts)),
            "checkpoint": encoder.checkpoint.name,
            "losses": {way.method: way.losses for way in tuned},
            "warnings": warnings,
        }
    return about_rows(dataset, "tuning", draft.run_id)


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
    from core.encoder.texts import item_texts

    options, began, log = options or ProfileOptions(), Began.now(), dataset.log(cutoff)
    inputs = {"version": dataset.version_path().name}
    config = {"texts": texts, "model": options.model, "seed": seed}
    if found := dataset.find_run("compression", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("compression", found)
        return about_rows(dataset, "compression", found, reused=True)
    encoder = _encoder(home, log, options)
    with log.history() as connection:
        distinct = sorted(set(item_texts(connection)["text"].drop_null().to_pylist()))
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
    return about_rows(dataset, "compression", draft.run_id)


def _encoder(home: Home, log: Log, options: ProfileOptions) -> "TextEncoder":
    encoder = TextProfiles(home, log, options).encoder()
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
            users, texts = narratives(connection, at)
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
