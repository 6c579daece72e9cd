"""Profiles: the blocks of every shopper as of a cutoff, kept as an immutable run."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from core.artifacts import write_arrays, write_table
from core.errors import GateError
from core.messages import say
from core.pipeline.blocks import ASKS_OF_PEOPLE, NO_TEXT
from core.pipeline.encoding import check_blocks
from core.pipeline.options import ProfileOptions
from core.pipeline.pictures import PictureProfiles
from core.pipeline.pooling import settle_pooling
from core.pipeline.showing import picture_folder
from core.pipeline.telling import Result, about
from core.pipeline.texts import TextProfiles, models_now
from core.pipeline.updating import Earlier, add_sequence, earlier_run, kept_of_texts, tell_update, why_not_kept
from core.schema import Progress, part_of, silent
from core.store import Began, Connection, Dataset, Home, Log, RunDraft, scalar

Fitted = TypeVar("Fitted")


def profile(
    home: Home, dataset: Dataset, *, cutoff: datetime | None = None, options: ProfileOptions | None = None, progress: Progress = silent
) -> Result:
    """Count features and encode item texts into a profile of every shopper; a run made from the same is found again."""
    from core.features import compute_features

    options = options or ProfileOptions()
    check_blocks(options.blocks)
    inputs, config = {"version": dataset.version_path().name, **models_now(home, options)}, options.config
    if found := dataset.find_run("profiles", inputs=inputs, config=config, cutoff=cutoff):
        if cutoff is None:
            dataset.point_to("profiles", found)
        return about(dataset, "profiles", found, reused=True)
    began, log = Began.now(), dataset.log(cutoff)
    earlier = earlier_run(dataset, "profiles", config) if cutoff is None else None
    share = 0.3 if "sequence" in options.blocks else 0.9
    texts = TextProfiles(home, log, options, part_of(progress, 0.1, share), kept_of_texts(dataset, earlier))
    progress(0.02, say("counting what each shopper did"))
    started = time.process_time()
    with log.history() as connection:
        counts = compute_features(connection, log.until)
    counted = _since(started)
    started = time.process_time()
    vectors, pooling = texts.item_vectors(log.until), None
    if vectors is not None:
        progress(share, say("choosing how the texts of a history are weighed"))
        way, pooling = settle_pooling(log, vectors, options, earlier)
        texts.half_life, texts.weights = way.half_life_days, way.event_weights
    text = texts(log.until)
    read_texts = _since(started)
    with dataset.new_run("profiles", inputs=inputs, config=config, cutoff=cutoff, make_current=cutoff is None, began=began) as draft:
        write_table(draft.path / "counts.parquet", counts)
        draft.record |= {"users": counts.num_rows, "features": counts.num_columns - 1, "card": None, "warnings": [], "counts": counted}
        if vectors is not None and text is not None:
            from core.encoder.items import save_item_vectors
            from core.encoder.network import multiplies_int8

            save_item_vectors(draft.path, vectors)
            write_arrays(draft.path / "text.safetensors", {"text": text[1]})
            empty = int((~text[1].any(axis=1)).sum())
            draft.record |= {"card": vectors.card, "users_without_text": empty, "pooling": pooling, "text": read_texts}
            if vectors.card["precision"] == "int8" and not multiplies_int8(vectors.card["device"]):
                draft.record["warnings"].append(
                    say("This processor does not multiply 8-bit integers in hardware, so texts are read more slowly in int8 than in fp32.")
                )
        elif "text" in options.blocks:
            nothing = say("No item has a text (title, category, brand or description), so profiles hold no text.")
            draft.record["warnings"].append(nothing)
        read = graph = None
        if "sequence" in options.blocks:
            read = add_sequence(home, log, vectors, options, draft, earlier, part_of(progress, 0.3, 0.95))
        if "graph" in options.blocks:
            progress(0.95, say("reading the graph of shoppers and items"))
            graph = _add_graph(log, draft, earlier, options.retrain)
        if "narrative" in options.blocks:
            progress(0.95, say("telling each history as a text"))
            _add_narrative(log, texts, draft)
        if "image" in options.blocks:
            progress(0.96, say("reading the pictures of items"))
            _add_image(home, dataset, log, options, draft)
        if "facts" in options.blocks:
            progress(0.97, say("counting facts"))
            _add_facts(log, options, draft)
        if "ids" in options.blocks:
            progress(0.98, say("counting which items each shopper touched"))
            _add_ids(log, draft)
        progress(0.99, say("writing the profiles"))
        tell_update(draft, counts["user_id"].to_pylist(), vectors, {"sequence": read, "graph": graph}, earlier, texts.points(log.until))
    return about(dataset, "profiles", draft.run_id)


def _since(began: float) -> dict[str, float]:
    """What was spent since a time of this process's processors."""
    return {"cpu_seconds": round(time.process_time() - began, 1)}


def _fitted(
    log: Log, draft: RunDraft, block: str, fit: Callable[[Connection], Fitted], read: Callable[[Fitted, Connection], Any], without: str
) -> tuple[Fitted, dict[str, Any]]:
    """Fit a block to the history and keep what it says of every user; returns it and what it cost, and how many users it says nothing of.

    Raises:
        GateError: The log is too small for it.
    """
    began = time.process_time()
    with log.history() as connection:
        fitted = fit(connection)
        _users, profiles = read(fitted, connection)
    write_arrays(draft.path / f"{block}.safetensors", {block: profiles})
    empty = int((~profiles.any(axis=1)).sum())
    return fitted, {**_since(began), without: empty}


def _add_graph(log: Log, draft: RunDraft, earlier: Earlier | None, limit: float) -> dict[str, Any] | None:
    """Keep a graph with what it says of every user: the one of the earlier run while that holds, else one of this history.

    A log too small for one says so. Returns {"graph": kept or made, "why"}; None when nothing was added.
    """
    from core.encoder.graph import fit_graph, graph_profiles, load_graph, save_graph

    with log.history() as connection:
        acts = int(scalar(connection, "SELECT count(*) FROM history WHERE event_type <> 'impression'"))
    why = why_not_kept(earlier, "graph", acts, limit)
    try:
        if why is None and earlier is not None:
            graph = load_graph(earlier.folder, earlier.record["graph"])
            _graph, cost = _fitted(log, draft, "graph", lambda connection: graph, graph_profiles, "users_without_items")
            card = {**graph.card, "users_without_items": cost["users_without_items"], "update": {"acts": acts} | _spent(cost)}
        else:
            graph, cost = _fitted(log, draft, "graph", fit_graph, graph_profiles, "users_without_items")
            card = {**graph.card, **cost, "acts_learned_from": acts}
    except GateError as error:
        draft.record["warnings"].append(say("Profiles hold no graph: {why}", why=error.message))
        return None
    save_graph(draft.path, graph)
    draft.record["graph"] = card
    return {"graph": "made" if why is not None else "kept", "why": why}


def _spent(cost: dict[str, Any]) -> dict[str, Any]:
    return {"cpu_seconds": cost["cpu_seconds"]}


def _add_facts(log: Log, options: ProfileOptions, draft: RunDraft) -> None:
    """Keep the facts of the items that each shopper touched and, when asked, of the shopper; a log without facts says so."""
    from core.encoder.facts import fact_profiles, fit_facts

    try:
        fit = partial(fit_facts, with_users=options.user_facts)
        facts, cost = _fitted(log, draft, "facts", fit, fact_profiles, "users_without_facts")
    except GateError as error:
        draft.record["warnings"].append(say("Profiles hold no facts: {why}", why=error.message))
        return
    draft.record["facts"] = facts.card() | cost
    if draft.record["facts"]["asks_of_people"]:
        draft.record["warnings"].append(ASKS_OF_PEOPLE)


def _add_ids(log: Log, draft: RunDraft) -> None:
    """Keep which of the most touched items each shopper touched; a log too small for it says so."""
    from core.encoder.item_ids import fit_item_ids, item_id_profiles, save_item_ids

    try:
        ids, cost = _fitted(log, draft, "ids", fit_item_ids, item_id_profiles, "users_without_items")
    except GateError as error:
        draft.record["warnings"].append(say("Profiles hold no items themselves: {why}", why=error.message))
        return
    save_item_ids(draft.path, ids)
    draft.record["ids"] = ids.card() | cost


def _add_image(home: Home, dataset: Dataset, log: Log, options: ProfileOptions, draft: RunDraft) -> None:
    """Keep what the pictures of the items that each shopper touched look like; say what became of every picture."""
    from core.encoder.pictures import save_picture_vectors

    pictures = PictureProfiles(home, log, options, picture_folder(dataset, options))
    profiles, vectors = pictures(log.until), pictures.item_vectors(log.until)
    if profiles is None or vectors is None:
        draft.record["warnings"].append(say("Profiles hold no pictures: {why}.", why=pictures.missing or ""))
        if pictures.card:
            draft.record["image_fates"] = pictures.card["fates"]
        return
    save_picture_vectors(draft.path, vectors)
    write_arrays(draft.path / "image.safetensors", {"image": profiles})
    draft.record["image"] = pictures.card | {"users_without_pictures": int((~profiles.any(axis=1)).sum())}


def _add_narrative(log: Log, texts: TextProfiles, draft: RunDraft) -> None:
    """Keep what the text model makes of each history told as a text."""
    began = time.process_time()
    found = texts.narratives(log.until)
    if found is None:
        draft.record["warnings"].append(say("Profiles hold no histories told as text: {why}.", why=NO_TEXT))
        return
    (_users, vectors), card = found
    write_arrays(draft.path / "narrative.safetensors", {"narrative": vectors})
    draft.record["narrative"] = card | _since(began)
