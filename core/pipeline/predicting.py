"""Propensities: features and text profiles at every cutoff, models, scores; and the same by category."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from core.artifacts import read_table, write_arrays, write_table
from core.errors import CutoffError, GateError
from core.messages import say
from core.pipeline.blocks import BlocksAt
from core.pipeline.options import PredictOptions, ProfileOptions
from core.pipeline.telling import Result, about, fitting_horizon
from core.pipeline.texts import TextProfiles
from core.pipeline.writing import write_rows
from core.schema import CATEGORY_PROPENSITY, PROPENSITY, Progress, part_of, silent
from core.store import Dataset, Home, Log, RunDraft

if TYPE_CHECKING:
    from core.predictor.matrix import Matrix
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
    progress: Progress = silent,
) -> Result:
    """Train, judge and score the chance of an act; with `category`, also the chance to buy in each category.

    Raises:
        GateError: Too little data for an honest probability.
        CutoffError: The log is too short for the horizon.
        NotFoundError: No item has the asked-for category.
    """
    from core.features import act_labels, compute_features, one_category_labels
    from core.predictor.matrix import Matrix, matrix_of
    from core.predictor.options import PropensityOptions
    from core.predictor.propensity import fit_propensity
    from core.predictor.result import save_result

    options, profile = options or PredictOptions(), profile or ProfileOptions()
    began, log = time.time(), dataset.log(cutoff)
    horizon = options.horizon or fitting_horizon(log)
    inputs = {"version": dataset.version_path().name}
    config = {
        "act": options.act,
        "horizon_hours": horizon / timedelta(hours=1),
        "category": options.category,
        "seed": options.seed,
        "blocks": list(profile.blocks),
        "model": profile.model,
    }
    run_id = dataset.find_run("propensity", inputs=inputs, config=config, cutoff=cutoff)
    reused = run_id is not None
    if run_id is None:
        only = options.category if options.category != "all" else None
        texts = TextProfiles(home, log, profile, part_of(progress, 0.0, 0.1))
        blocks = BlocksAt(log, texts, profile, options.seed)

        @cache
        def matrix_at(at: datetime) -> Matrix:
            with log.history(at) as connection:
                counts = compute_features(connection, at)
            return matrix_of(counts, texts(at))

        @cache
        def with_sequence(at: datetime) -> Matrix:
            """The transformer learns at the first training cutoff, which is asked for first, and reads the later ones."""
            found = blocks.sequence(at, part_of(progress, 0.1, 0.2), learn=blocks.taught_at is None)
            return replace(matrix_at(at), sequence=found.get("sequence"))

        def labels_at(at: datetime) -> pa.Table:
            return act_labels(log, at, horizon, options.act) if only is None else one_category_labels(log, at, horizon, only)

        asked = PropensityOptions(act=options.act, horizon=horizon, category=only, seed=options.seed)
        main_end = 0.6 if options.category == "all" else 1.0
        seen_at = with_sequence if "sequence" in profile.blocks else matrix_at
        result = fit_propensity(log, seen_at, labels_at, asked, np.random.default_rng(options.seed), part_of(progress, 0.2, main_end))
        with dataset.new_run("propensity", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
            draft.record |= {"act": options.act, **save_result(result, draft.path), "sequence": blocks.cards.get("sequence")}
            if why := blocks.missing.get("sequence"):
                draft.record["warnings"].append(say("Chances rest on no order of acts: {why}", why=why))
            if options.category == "all":
                draft.record["warnings"] += _predict_categories(log, asked, texts, seen_at, draft, part_of(progress, main_end, 1.0))
        run_id = draft.run_id
    elif cutoff is None:
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


def _predict_categories(
    log: Log,
    options: "PropensityOptions",
    texts: TextProfiles,
    matrix_at: Callable[[datetime], "Matrix"],
    draft: RunDraft,
    progress: Progress,
) -> list[str]:
    """Add the chance to buy in each of the most bought categories to a run; returns why not, when the log cannot feed it."""
    from core.features import category_counts, category_labels, item_categories, top_categories
    from core.predictor.categories import fit_category_propensity
    from core.predictor.grid import CategoryTexts, category_texts

    with log.history() as connection:
        categories = top_categories(connection, MOST_CATEGORIES)

    @cache
    def counts_at(at: datetime) -> pa.Table:
        with log.history(at) as connection:
            return category_counts(connection, at, categories)

    def texts_at(at: datetime) -> CategoryTexts | None:
        vectors = texts.item_vectors(at)
        if vectors is None or matrix_at(at).text is None:
            return None
        with log.history(at) as connection:
            known = dict(zip(*item_categories(connection).to_pydict().values(), strict=True))
        rows = np.flatnonzero(vectors.index >= 0)
        named = [known.get(vectors.item_ids[row]) for row in rows.tolist()]
        return category_texts(sorted(categories), named, vectors.vectors[vectors.index[rows]])

    try:
        result = fit_category_propensity(
            log,
            matrix_at,
            counts_at,
            lambda at: category_labels(log, at, options.horizon, categories, options.act),
            categories,
            options,
            np.random.default_rng(options.seed),
            texts_at,
            progress,
        )
    except (GateError, CutoffError) as error:
        return [say("There is no chance by category: {why}", why=error.message)]
    write_table(draft.path / "categories.parquet", result.categories)
    write_table(draft.path / "category_metrics.parquet", result.by_category)
    for name, boosters in result.models.boosters.items():
        for number, booster in enumerate(boosters):
            (draft.path / f"categories_{name}_{number}.lightgbm.txt").write_text(booster.model_to_string(), encoding="utf-8")
    if arrays := result.models.arrays():
        write_arrays(draft.path / "categories.safetensors", arrays)
    draft.record |= {"category_metrics": result.metrics, "category_verdict": {"sentences": result.verdict}}
    return result.warnings
