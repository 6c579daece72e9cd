"""What earlier purchase chances would have foretold, window by window: a run of its own."""

from datetime import datetime, timedelta

from core.artifacts import write_table
from core.errors import NotFoundError
from core.messages import say
from core.pipeline.options import ProfileOptions
from core.pipeline.seeing import labels_of, seen_at
from core.pipeline.telling import Result, about_rows, fitting_horizon
from core.pipeline.texts import models_now
from core.schema import Progress, part_of, silent
from core.store import Began, Dataset, Home

AUTO = "auto"
FALLBACK = "lightgbm"
"""Without a trained chance, or where the chance on screen rests on the order of acts, which would cost a transformer a window."""
COUNTS_ALONE = ("lightgbm", "logistic", "mlp_counts")
"""Models that see no text, so none is encoded for them."""


def back_test(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    act: str = "purchase",
    horizon: timedelta | None = None,
    predictor: str = AUTO,
    windows: int = 24,
    options: ProfileOptions | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Result:
    """Judge every past window by a model that learned only from windows before it.

    Args:
        home: Whose cache holds text vectors.
        dataset: The log.
        cutoff: Behave as if the log ended then.
        act: What is foretold.
        horizon: Length of a window; None fits it to the log.
        predictor: A model, or `auto`: the one on screen where it is affordable.
        windows: Newest windows judged.
        options: Blocks and text model.
        seed: Of all chance.
        progress: Told along the way.

    Raises:
        CutoffError: The log is shorter than three horizons.
        GateError: Too few shoppers act, or do not, before every window.
        NotFoundError: There is no such model.
    """
    from core.predictor.backtest import PREDICTORS, BacktestOptions, backtest, summarise
    from core.predictor.options import PropensityOptions

    options, began, log = options or ProfileOptions(), Began.now(), dataset.log(cutoff)
    horizon = horizon or fitting_horizon(log)
    predictor = _affordable(dataset, act, horizon, PREDICTORS) if predictor == AUTO else predictor
    if predictor not in PREDICTORS:
        raise NotFoundError("{name!r} is no model of a back-test; there are: {names}.", name=predictor[:60], names=", ".join(PREDICTORS))
    blocks = ("counts",) if predictor in COUNTS_ALONE else tuple(b for b in options.blocks if b in ("counts", "text"))
    profile = options.reading(blocks)
    inputs = {"version": dataset.version_path().name, **models_now(home, profile)}
    config = {"act": act, "horizon_hours": horizon / timedelta(hours=1), "predictor": predictor, "windows": windows, "seed": seed,
              "blocks": list(blocks), "model": options.model, **options.of_texts}  # fmt: skip
    if found := dataset.find_run("backtest", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("backtest", found)
        return about_rows(dataset, "backtest", found, reused=True)
    chosen = BacktestOptions(predictor=predictor, windows=windows)
    table = backtest(
        log.start,
        log.until,
        seen_at(home, log, profile, part_of(progress, 0.0, 0.3)),
        labels_of(log, act, horizon),
        PropensityOptions(act=act, horizon=horizon, seed=seed),
        chosen,
        part_of(progress, 0.3, 1.0),
    )
    gated = table.num_rows - table["expected"].is_valid().to_pylist().count(True)
    warnings = [say("{n} windows had too few shoppers of either kind before them to learn from.", n=gated)] if gated else []
    with dataset.new_run("backtest", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        write_table(draft.path / "backtest.parquet", table)
        draft.record |= {
            "act": act,
            "predictor": predictor,
            "members": chosen.members,
            "train_windows": chosen.train_windows,
            "metrics": summarise(table),
            "warnings": warnings,
        }
    return about_rows(dataset, "backtest", draft.run_id)


def _affordable(dataset: Dataset, act: str, horizon: timedelta, known: tuple[str, ...]) -> str:
    """The model on screen for this act and horizon, when it can be trained once a window."""
    try:
        record = dataset.run_manifest("propensity")
    except NotFoundError:
        return FALLBACK
    config, winner = record.get("config") or {}, (record.get("verdict") or {}).get("winner")
    asked = (config.get("act"), config.get("horizon_hours")) == (act, horizon / timedelta(hours=1))
    return str(winner) if asked and winner in known else FALLBACK
