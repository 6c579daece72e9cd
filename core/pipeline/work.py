"""What changes the home: stages in order, each published as an immutable version or run. Composes; holds no SQL, no maths.

Stages are imported where they are used, so that reading the command line's help, listing jobs or sizing an audience
never loads torch.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.artifacts import read_json, read_table, write_table
from core.errors import CutoffError, EmptyLogError, FileError, GateError, MappingError, NotFoundError, RuleError
from core.jobs import Reporter, start_job
from core.messages import Message, say
from core.offers.rules import RuleSet
from core.pipeline.drawing import draw_map
from core.pipeline.exporting import export_tables, lists_in_force
from core.pipeline.foreseeing import kept_network, open_network
from core.pipeline.offering import export_lists, read_rules
from core.pipeline.options import AudienceOptions, IngestOptions, PredictOptions, ProfileOptions, RecommendChoice
from core.pipeline.outcomes import refresh_audiences
from core.pipeline.pictures import PictureProfiles
from core.pipeline.predicting import predict
from core.pipeline.profiling import profile
from core.pipeline.relating import Relations, keep_relations, kept_relations, read_relations
from core.pipeline.screens import open_screen
from core.pipeline.showing import picture_folder
from core.pipeline.telling import Result, about, fitting_horizon
from core.pipeline.texts import TextProfiles, models_now, untuned
from core.pipeline.writing import write_rows
from core.schema import RECOMMENDATIONS, Progress, part_of, silent, slug
from core.store import Began, Dataset, Home, peak_memory_mb

__all__ = ["AudienceOptions", "IngestOptions", "PredictOptions", "ProfileOptions", "RecommendChoice", "draw_map", "profile"]

CANDIDATE_ROWS = 4_000
"""Rows of a group of the kept candidates: one shopper's are read in milliseconds."""
SAMPLES = Path(__file__).resolve().parents[2] / "data" / "sample"


def ingest(home: Home, name: str, options: IngestOptions, progress: Progress = silent) -> Result:
    """Read files into a new version of a dataset, made when missing.

    Raises:
        FileError: A file is missing or unreadable.
        MappingError: A column that is needed cannot be found.
        EmptyLogError: No row is left.
    """
    from core.ingest.ingest import IngestRequest, ingest_log
    from core.ingest.mapping import Mapping
    from core.ingest.paths import files_of, strays_of

    mapping = None
    if options.mapping:
        path = Path(options.mapping)
        if not path.is_file():
            raise FileError("The mapping file {path!r} does not exist; give a JSON file or leave --map out.", path=options.mapping)
        try:
            mapping = Mapping.from_json(path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise MappingError(
                "The mapping file {path!r} is not UTF-8 text ({error}); save it as UTF-8 JSON.", path=options.mapping, error=error.reason
            ) from error
    if options.mapping_record:
        mapping = Mapping.from_json(options.mapping_record)
    if options.pseudonyms:
        asked = Mapping.from_json({"pseudonyms": list(options.pseudonyms)})  # which knows what can be replaced
        mapping = replace(mapping or Mapping(), pseudonyms=tuple(sorted({*asked.pseudonyms, *(mapping or asked).pseudonyms})))
    request = IngestRequest(
        events=tuple(path for pattern in options.events for path in files_of(pattern)),
        items=Path(options.items) if options.items else None,
        users=Path(options.users) if options.users else None,
        facts=Path(options.facts) if options.facts else None,
        passed_over=tuple(name for pattern in options.events for name in strays_of(pattern)),
        mapping=mapping,
        append=options.append,
        time_zone=options.time_zone,
        session_gap_minutes=options.session_gap_minutes,
    )
    dataset = home.dataset(name, create=True)
    is_new = not dataset.versions()
    try:
        result = ingest_log(dataset, request, progress)
    except BaseException:  # whatever ended it, a dataset that never got a version must not stay behind; the error goes on
        if is_new:
            _remove_empty(dataset.path)
        raise
    home.append_audit({"act": "ingest", "dataset": name, "version": result["version"], "files": [p.name for p in request.events]})
    return result


def quality(dataset: Dataset, out: Path | None = None) -> Result:
    """Return the quality report of the current version; with `out`, also write it as .html or .json."""
    from core.pipeline.quality import report_of, write_report

    return write_report(dataset, out) if out else report_of(dataset)


def recommend(
    home: Home,
    dataset: Dataset,
    *,
    cutoff: datetime | None = None,
    options: RecommendChoice | None = None,
    profile: ProfileOptions | None = None,
    out: Path | None = None,
    rules: bytes | None = None,
    relations: bytes | None = None,
    progress: Progress = silent,
) -> Result:
    """Rank items for every shopper and measure every source against what happened.

    Args:
        home: Holds the dataset.
        dataset: What to rank for.
        cutoff: Behave as if the log ended there.
        options: Which lists.
        profile: How items are read.
        out: File of the lists, as the rules leave them.
        rules: JSON of a rule set for that file; whatever the set in force bars for everyone goes as well.
        relations: File of relations between items, kept for later lists too; empty lifts those that are kept, None takes them.
        progress: Told the share.

    Raises:
        RuleError: The rules or the relations are malformed, or there is no file or an earlier cutoff to apply them to.
    """
    from core.recommender.options import RecommendOptions
    from core.recommender.recommend import earliest_cutoff
    from core.recommender.recommend import recommend as make_lists

    asked = read_rules(rules) if rules is not None else RuleSet()
    if rules is not None and (out is None or cutoff is not None):
        raise RuleError("Rules hold for a file of lists as of the end of the log; name it with --out, and leave --cutoff out.")
    options, profile = options or RecommendChoice(), untuned(profile or ProfileOptions())
    if options.new_only and asked.bought == "keep":
        asked = replace(asked, bought="leave_out")  # also where a short list is filled
    began, log = Began.now(), dataset.log(cutoff)
    horizon = options.horizon or fitting_horizon(log)
    if relations is not None:
        keep_relations(dataset, read_relations(relations) if relations else Relations())
        home.append_audit({"act": "keep relations", "dataset": dataset.name, "relations": len(kept_relations(dataset).edges)})
    declared = kept_relations(dataset)
    settings = RecommendOptions(
        k=options.k, horizon=horizon, source=options.source, new_only=options.new_only, seed=options.seed, relations=declared
    )
    network = kept_network(dataset, earliest_cutoff(log, settings))
    inputs = {"version": dataset.version_path().name, **models_now(home, profile), **({"profiles": network.run} if network else {})}
    config = {
        "k": options.k,
        "horizon_hours": horizon / timedelta(hours=1),
        "source": options.source,
        "new_only": options.new_only,
        "seed": options.seed,
        "candidates": "kept",
        **({"relations": declared.digest} if declared.edges else {}),
        "blocks": list(profile.blocks),
        "model": profile.model,
        **profile.of_texts,
        **({"picture_model": profile.picture_model, "pictures": profile.pictures} if "image" in profile.blocks else {}),
    }
    run_id = dataset.find_run("recommendations", inputs=inputs, config=config, cutoff=cutoff)
    reused = run_id is not None
    if run_id is None:
        texts = TextProfiles(home, log, profile, part_of(progress, 0.0, 0.2))
        vectors = texts.item_vectors(log.until)
        if "image" in profile.blocks:
            from core.encoder.pictures import fused

            vectors = fused(vectors, PictureProfiles(home, log, profile, picture_folder(dataset, profile)).item_vectors(log.until))
        foresight = open_network(log, texts, network) if network else None
        result = make_lists(log, vectors, settings, progress=part_of(progress, 0.2, 1.0), foresight=foresight)
        with dataset.new_run(
            "recommendations", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began
        ) as draft:
            write_table(draft.path / "recommendations.parquet", result.recommendations)
            write_table(draft.path / "metrics.parquet", result.metrics)
            if declared.edges:
                write_table(draft.path / "relations.parquet", pa.Table.from_pylist(declared.record()))
            if result.two_lists is not None:
                write_table(draft.path / "two_lists.parquet", result.two_lists)
            if result.candidates is not None:
                write_table(draft.path / "candidates.parquet", result.candidates, rows=CANDIDATE_ROWS)
            draft.record |= result.record
        run_id = draft.run_id
    elif cutoff is None:
        dataset.point_to("recommendations", run_id)
    told = about(dataset, "recommendations", run_id, reused=reused)
    if out and cutoff is None:
        made = export_lists(open_screen(home, dataset.name), asked, options.k, out)
        return told | made | {"warnings": [*told["warnings"], *made["warnings"]]}
    if out:
        lists = read_table(dataset.run_path("recommendations", run_id) / "recommendations.parquet", list(RECOMMENDATIONS))
        write_rows(out, lists_in_force(dataset, lists))
    return told | ({"out": str(out)} if out else {})


def export(home: Home, dataset: Dataset, folder: Path, *, form: str = "parquet", progress: Progress = silent) -> Result:
    """Write every table of a dataset into a folder, and a line into the audit trail."""
    k = home.small_cells()
    result = export_tables(dataset, folder, form, progress, k)
    home.append_audit({"act": "export", "dataset": dataset.name, "files": sorted(result["files"]), "format": form, "hidden_below": k})
    return {"out": str(folder), **result}


def run(
    home: Home,
    name: str,
    *,
    ingest: IngestOptions | None,
    cutoff: datetime | None,
    horizon: timedelta | None,
    profile: ProfileOptions,
    seed: int,
    report: Reporter,
) -> Result:
    """Do everything in order; a stage that this log cannot feed is left out with its reason, the others go on."""
    from core.recommender.interactions import strongest_act

    stages: list[Result] = []
    warnings: list[Message] = []
    results: dict[str, Any] = {}

    def step(stage: str, begin: float, end: float, work: Callable[[], Result], *, may_fail: bool) -> None:
        began = time.monotonic()
        try:
            with report.stage(stage, begin, end):
                done = work()
        except (GateError, CutoffError, EmptyLogError, NotFoundError) as error:
            if not may_fail:
                raise
            warnings.append(say("{stage} was left out: {why}", stage=_STAGES[stage], why=error.message))
            return
        results[stage] = {key: value for key, value in done.items() if key != "warnings"}
        warnings.extend(say("{stage}: {warning}", stage=_STAGES[stage], warning=warning) for warning in done.get("warnings", ()))
        stages.append({"stage": stage, "seconds": round(time.monotonic() - began, 2), "peak_mb": round(peak_memory_mb())})

    if ingest:
        step("ingest", 0.0, 0.1, lambda: _ingest(home, name, ingest, report), may_fail=False)
    dataset = home.dataset(name)
    step("profile", 0.1, 0.3, lambda: _profile(home, dataset, cutoff=cutoff, options=profile, progress=report), may_fail=False)
    step("map", 0.3, 0.5, lambda: draw_map(home, dataset, cutoff=cutoff, options=profile, seed=seed, progress=report), may_fail=False)
    choice = RecommendChoice(horizon=horizon, seed=seed)
    step(
        "recommend",
        0.5,
        0.7,
        lambda: recommend(home, dataset, cutoff=cutoff, options=choice, profile=profile, progress=report),
        may_fail=True,
    )
    act = strongest_act(dataset.log(cutoff)) or "purchase"
    if act != "purchase":
        why = say("The log has no purchases of items; chances are for the act {act!r} instead.", act=act)
        warnings.append(say("{stage}: {warning}", stage=_STAGES["predict"], warning=why))
    spends = act == "purchase" and "revenue" in dataset.log(cutoff).columns_present
    wanted = PredictOptions(act=act, horizon=horizon, category="all", seed=seed, revenue=spends)
    step(
        "predict",
        0.7,
        1.0,
        lambda: predict(home, dataset, cutoff=cutoff, options=wanted, profile=profile, inherited=True, progress=report),
        may_fail=True,
    )
    if cutoff is None:  # saved audiences follow the new results, and their size before stays on record
        refresh_audiences(open_screen(home, name))
    return {"dataset": name, "stages": stages, "results": results, "warnings": warnings}


_STAGES = {
    "ingest": say("ingest"),
    "profile": say("profile"),
    "map": say("map"),
    "recommend": say("recommend"),
    "predict": say("predict"),
}
"""Stages of `run`, as its warnings name them."""
_ingest, _profile = ingest, profile
"""Names that `run` and `predict` shadow with their arguments."""


def samples(home: Home, report: Reporter) -> Result:
    """Load the bundled samples when the home holds no dataset, and start a job for each that computes all the rest."""
    home.sweep()
    if home.datasets():
        return {"loaded": [], "jobs": [], "warnings": []}
    folders = sorted(path.parent for path in SAMPLES.glob("*/dataset.json"))
    loaded: list[str] = []
    for place, folder in enumerate(folders):
        with report.stage("samples", place / len(folders), (place + 1) / len(folders)):
            loaded.append(load_sample(home, folder.name, report)["dataset"])
    jobs = [start_job(home, ["run", "--dataset", name], say("Computing {name}", name=name)) for name in loaded]
    return {"loaded": loaded, "jobs": jobs, "warnings": []}


def load_sample(home: Home, name: str, progress: Progress = silent) -> Result:
    """Ingest one bundled sample under its own name.

    Raises:
        NotFoundError: There is no such sample.
    """
    folder = SAMPLES / slug(name)
    if not (folder / "dataset.json").is_file():
        raise NotFoundError(
            "There is no sample {sample!r}; there are: {samples}.",
            sample=name,
            samples=", ".join(path.parent.name for path in sorted(SAMPLES.glob("*/dataset.json"))),
        )
    record = read_json(folder / "dataset.json")
    files = record["files"]
    options = IngestOptions(
        events=(str(folder / files["events"]),),
        items=str(folder / files["items"]) if files.get("items") else None,
        users=str(folder / files["users"]) if files.get("users") else None,
        mapping_record=record.get("mapping"),
    )
    return {"dataset": folder.name, **ingest(home, folder.name, options, progress)}


def _remove_empty(folder: Path) -> None:
    """Take back the folders of a dataset that never got a version."""
    with suppress(OSError):  # something lies there after all; the error that brought us here matters more
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.name == "pseudonyms.json":
                path.unlink()  # a salt that nothing was stored by
            if path.is_dir():
                path.rmdir()
        folder.rmdir()
