"""Segments and briefs in a language model's words: asked for, checked against the facts; what fails keeps the template's words."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.parquet as pq

from core.errors import ModelError, NotFoundError
from core.messages import Message, joined, say, with_messages
from core.pipeline.screens import WORDING, WRITER
from core.pipeline.telling import Result
from core.schema import Progress, silent
from core.store import Dataset
from core.wording.briefs import word_brief
from core.wording.segments import segment_facts, word_segments
from core.wording.writers import open_writer


def word_map(dataset: Dataset, setting: str, language: str = "en", progress: Progress = silent) -> Result:
    """Let a writer word the segments of the current map; what fails a check keeps the template's words.

    Args:
        dataset: Has a map.
        setting: Names the writer (see `wording.writers`).
        language: `en` or `zh`.
        progress: Told the share.

    Raises:
        NotFoundError: There is no map yet.
        ModelError: No writer is set, or it cannot be asked.
    """
    run = dataset.current()["runs"].get("atlas")
    if run is None:
        raise NotFoundError("Dataset {dataset!r} has no map yet; draw it first.", dataset=dataset.name)
    if not setting:
        raise ModelError("No writer is set; name one by --writer, or in the environment variable {name}.", name=WRITER)
    folder = dataset.run_path("atlas", run)
    segments = pq.read_table(folder / "segments.parquet").to_pylist()
    traits: dict[int, list[dict[str, Any]]] = {}
    for trait in sorted(pq.read_table(folder / "traits.parquet").to_pylist(), key=lambda row: (row["segment_id"], row["place"])):
        if trait["kind"] != "demographic":  # who people are names nobody
            traits.setdefault(trait["segment_id"], []).append(trait)
    facts = {segment["segment_id"]: segment_facts(segment, traits.get(segment["segment_id"], [])) for segment in segments}
    writer = open_writer(setting)
    worded = word_segments(facts, writer, language, progress)
    record = {"atlas": run, "writer": writer.name, "segments": {str(w.segment_id): w.record() for w in worded}}
    dataset.save(WORDING.format(language=language), with_messages(record))
    refused = [
        say("segment {segment}: {why}", segment=w.segment_id, why=joined(list(w.refused), "{first} {second}")) for w in worded if not w.name
    ]
    return {
        "dataset": dataset.name,
        "run": run,
        "writer": writer.name,
        "worded": len(worded) - len(refused),
        "segments": len(worded),
        "warnings": refused,
    }


def brief_words(setting: str, language: str) -> Callable[[Sequence[str]], Message]:
    """Return what puts the facts of a brief into a writer's words, or says why its words were not taken.

    Raises:
        ModelError: The setting names no writer, or its model is not at hand.
    """
    writer = open_writer(setting)

    def worded(facts: Sequence[str]) -> Message:
        text, wrong = word_brief(facts, writer, language)
        if text is None:
            return say(
                "The words of {writer} were not taken: {why} What the history shows stands below.",
                writer=writer.name,
                why=joined(wrong, "{first} {second}"),
            )
        return say("In the words of {writer}, every number found among the facts below: {text}", writer=writer.name, text=text)

    return worded
