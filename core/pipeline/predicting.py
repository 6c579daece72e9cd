"""Propensities: features and text profiles at every cutoff, models, scores; and the same by category."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from core.artifacts import read_table, write_table
from core.errors import CutoffError, GateError
from core.messages import Message, say
from core.pipeline.blocks import ASKS_OF_PEOPLE, BLOCK_WORDS
from core.pipeline.knowing import Known
from core.pipeline.options import PredictOptions, ProfileOptions
from core.pipeline.passing import check_asked, what_would_pass
from core.pipeline.telling import Result, about, fitting_horizon, one_category
from core.pipeline.texts import models_now, tuned_in_time
from core.pipeline.tuning import kept_model
from core.pipeline.writing import write_rows
from core.schema import CATEGORY_PROPENSITY, PROPENSITY, Progress, part_of, silent
from core.store import Began, Dataset, Home, RunDraft
from core.windows import newest_learned

if TYPE_CHECKING:
    from core.predictor.categories import CategoryResult
    from core.predictor.options import PropensityOptions

MOST_CATEGORIES = 100
"""Categories that get a chance of their own, most bought first; the tail has too few buyers to learn from."""


def predict(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    options: PredictOptions | None = None,
    profile: ProfileOptions | None = None,
    out: Path | None = None,
    inherited: bool = False,
    progress: Progress = silent,
) -> Result:
    """Train, judge and score the chance of an act; with category "all", also the chance to buy in each category.

    The chance in one category alone is a run that no page shows: those, and audiences, speak of the act with any item.

    Args:
        home: Whose cache holds vectors.
        dataset: What to learn from.
        cutoff: End of the log; None is its own.
        options: What is predicted.
        profile: What is known of shoppers. A model tuned to the log must have learned before all windows but those left out for it.
        out: File of the scores.
        inherited: Whether the text model is that of the profiles on screen, so that one tuned too late gives way (see `tuned_in_time`).
        progress: Told the share.

    Raises:
        ModelError: The named text model was tuned on windows that are to be judged.
        GateError: Too little data for an honest probability.
        CutoffError: The log is too short for the horizon.
        NotFoundError: The log lacks the act, or no item has the category.
    """
    from core.features import price_levels
    from core.predictor.held import save_held
    from core.predictor.keeping import save_background
    from core.predictor.options import NetworkOptions, PropensityOptions
    from core.predictor.propensity import fit_propensity
    from core.predictor.result import save_result

    options, profile = options or PredictOptions(), profile or ProfileOptions()
    began, log = Began.now(), dataset.log(cutoff)
    horizon = options.horizon or fitting_horizon(log)
    profile, earliest, gave_way = tuned_in_time(dataset, log, profile, horizon, inherited=inherited)
    inputs = {"version": dataset.version_path().name, **models_now(home, profile)}
    config = {
        "act": options.act,
        "horizon_hours": horizon / timedelta(hours=1),
        "category": options.category,
        "seed": options.seed,
        "models": list(options.models),
        "optimizer": options.optimizer,
        "look_back_days": options.look_back_days,
        "revenue": options.revenue,
        "attributes": options.attributes,
        "blocks": list(profile.blocks),
        "model": profile.model,
        **profile.of_blocks,
    }
    only = one_category({"config": config})
    for_screen = cutoff is None and only is None
    run_id = dataset.find_run("propensity", inputs=inputs, config=config, cutoff=cutoff)
    if run_id is not None and not _is_whole(dataset, run_id):
        run_id = None
    reused = run_id is not None
    if run_id is None:
        check_asked(log, options.act, only)
        known = Known(home, dataset, log, horizon, options, profile, part_of(progress, 0.0, 0.2))
        network = replace(NetworkOptions(), optimizer=options.optimizer)
        asked = PropensityOptions(
            act=options.act,
            horizon=horizon,
            category=only,
            seed=options.seed,
            models=options.models,
            purchase_only=known.is_purchase_only,
            network=network,
            earliest=earliest,
        )
        main_end = 0.6 if options.category == "all" else 0.95
        rng = np.random.default_rng(options.seed)
        main = part_of(progress, 0.2, main_end)
        ways_out = partial(what_would_pass, log, asked, options.look_back_days)
        result = fit_propensity(log, known.matrix_at, known.labels_at, asked, rng, main, known.tasks_at, ways_out)
        with dataset.new_run("propensity", inputs=inputs, config=config, cutoff=cutoff, make_current=for_screen, began=began) as draft:
            draft.record |= {"act": options.act, **save_result(result, draft.path), **known.blocks.cards, "kept": result.kept is not None}
            if result.tasks:
                draft.record["tasks"] = [known.tasks[told["place"]].card() | told for told in result.tasks]
            people = known.matrix_at(log.until)
            save_background(people, draft.path, np.random.default_rng(options.seed))
            with log.history() as connection:
                write_table(draft.path / "item_levels.parquet", price_levels(connection))
            draft.record["warnings"] += [
                say("Chances rest on no {block}: {why}.", block=BLOCK_WORDS[name], why=why) for name, why in known.blocks.missing.items()
            ]
            if (known.blocks.cards.get("facts") or {}).get("asks_of_people"):
                draft.record["warnings"].append(ASKS_OF_PEOPLE)
            draft.record["warnings"] += [*known.said, *gave_way]
            if only is not None:
                draft.record["warnings"].append(
                    say("Chances in category {category!r} alone: they are not put on screen; name the run where you ask (--run).",
                        category=only)
                )  # fmt: skip
            if earliest is not None:
                draft.record["text_model_learned_until"] = earliest.isoformat()
            further: set[str] = set()
            if options.category == "all":
                warnings, further = _predict_categories(known, asked, draft, part_of(progress, main_end, 0.95))
                draft.record["warnings"] += warnings
            if result.kept is not None:
                save_held(people, result.kept, known.attribute_columns, draft.path, further)
            if options.revenue:
                draft.record["warnings"] += _predict_revenue(known, asked, draft, part_of(progress, 0.95, 1.0))
        run_id = draft.run_id
    elif for_screen:
        dataset.point_to("propensity", run_id)
    if out:
        folder = dataset.run_path("propensity", run_id)
        if options.category != "all":
            write_rows(out, read_table(folder / "scores.parquet", list(PROPENSITY)))
        elif (folder / "categories.parquet").is_file():
            write_rows(out, read_table(folder / "categories.parquet", list(CATEGORY_PROPENSITY)))
        else:
            raise GateError(dataset.run_manifest("propensity", run_id)["warnings"][-1])
    return about(dataset, "propensity", run_id, reused=reused) | ({"out": str(out)} if out else {})


def kept_for_chances(dataset: Dataset, cutoff: datetime | None, horizon: timedelta | None) -> str:
    """The folder of tuned weights that chances may rest on, where there are such; else of those that `predict` refuses with its reason.

    Raises:
        NotFoundError: No tuning kept weights.
    """
    log = dataset.log(cutoff)
    return kept_model(dataset, newest_learned(log.start, log.until, horizon or fitting_horizon(log)))


def _is_whole(dataset: Dataset, run_id: str) -> bool:
    """Whether a run keeps its model, or says that its kind is not kept; runs of earlier releases do neither."""
    from core.predictor.keeping import has_model

    return has_model(dataset.run_path("propensity", run_id)) or dataset.run_manifest("propensity", run_id).get("kept") is False


def category_propensity(known: Known, options: "PropensityOptions", most: int, progress: Progress) -> "CategoryResult":
    """The chance of the act in each of the `most` categories with most of it.

    Raises:
        GateError: Too little data, or no category.
        CutoffError: The log is too short for the horizon.
    """
    from core.features import category_counts, category_labels, item_categories, top_categories
    from core.predictor.categories import fit_category_propensity
    from core.predictor.grid import CategoryTexts, category_texts

    log = known.log
    with log.history() as connection:
        categories = top_categories(connection, most, options.act)

    @cache
    def counts_at(at: datetime) -> pa.Table:
        with log.history(at) as connection:
            return category_counts(connection, at, categories)

    def texts_at(at: datetime) -> CategoryTexts | None:
        vectors = known.texts.item_vectors(at)
        if vectors is None or known.matrix_at(at).text is None:
            return None
        with log.history(at) as connection:
            named_by = dict(zip(*item_categories(connection).to_pydict().values(), strict=True))
        rows = np.flatnonzero(vectors.index >= 0)
        named = [named_by.get(vectors.item_ids[row]) for row in rows.tolist()]
        return category_texts(sorted(categories), named, vectors.vectors[vectors.index[rows]])

    return fit_category_propensity(
        log,
        known.matrix_at,
        counts_at,
        lambda at: category_labels(log, at, options.horizon, categories, options.act),
        categories,
        options,
        np.random.default_rng(options.seed),
        texts_at,
        progress,
    )


def _predict_categories(known: Known, options: "PropensityOptions", draft: RunDraft, progress: Progress) -> tuple[list[Message], set[str]]:
    """Add the chance to buy in each of the most bought categories to a run.

    Returns:
        Why not, when the log cannot feed it; and the learned blocks that its model looks at.
    """
    from core.predictor.category_keeping import save_categories

    try:
        result = category_propensity(known, options, MOST_CATEGORIES, progress)
    except (GateError, CutoffError) as error:
        return [say("There is no chance by category: {why}", why=error.message)], set()
    write_table(draft.path / "categories.parquet", result.categories)
    write_table(draft.path / "category_metrics.parquet", result.by_category)
    save_categories(result.kept, draft.path)
    if result.models.pooled is not None:
        write_table(draft.path / "category_curves.parquet", pa.Table.from_pylist(result.models.pooled.curves))
    draft.record |= {"category_metrics": result.metrics, "category_verdict": {"sentences": result.verdict}}
    return [], result.kept.blocks


def _predict_revenue(known: Known, options: "PropensityOptions", draft: RunDraft, progress: Progress) -> list[Message]:
    """Add what each shopper will spend to a run; returns why not, when the log cannot feed it."""
    from core.predictor.revenue import fit_revenue

    if "revenue" not in known.log.columns_present:
        return [say("There is no expected spending: the log has no revenue (price and quantity, or an amount).")]
    try:
        result = fit_revenue(known.log, known.matrix_at, known.revenue_at, options, np.random.default_rng(options.seed), progress)
    except (GateError, CutoffError) as error:
        return [say("There is no expected spending: {why}", why=error.message)]
    for name, table in (("revenue", result.scores), ("revenue_test", result.test), ("revenue_tenths", result.tenths)):
        write_table(draft.path / f"{name}.parquet", table)
    for name, booster in result.boosters.items():
        (draft.path / f"revenue_{name}.lightgbm.txt").write_text(booster.model_to_string(), encoding="utf-8")
    draft.record |= {"revenue_metrics": result.metrics, "revenue_verdict": {"sentences": result.verdict}}
    return []
