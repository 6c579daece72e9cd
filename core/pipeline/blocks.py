"""Blocks of every shopper's profile as of any cutoff of one log; what learns from the log learns once, at the first cutoff."""

import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import GateError
from core.messages import Message, say
from core.pipeline.options import ProfileOptions
from core.pipeline.pictures import NO_NAMES, PictureProfiles
from core.pipeline.texts import TextProfiles
from core.schema import Progress, part_of, silent
from core.store import Log

if TYPE_CHECKING:
    from core.encoder.facts import Facts
    from core.encoder.graph import Graph
    from core.encoder.histories import Histories
    from core.encoder.item_ids import ItemIds
    from core.encoder.items import ItemVectors
    from core.encoder.sequence import SequenceEncoder

Block = npt.NDArray[np.floating]
Blocks = dict[str, Block]
BLOCK_WORDS = {
    "text": say("texts"),
    "sequence": say("behaviour transformer"),
    "graph": say("graph"),
    "narrative": say("histories told as text"),
    "image": say("pictures"),
    "facts": say("facts"),
    "ids": say("items themselves"),
}
"""Blocks, as warnings name them."""
ASKS_OF_PEOPLE = say(
    "Facts of shoppers themselves are among the facts: what rests on them treats people by who they are. "
    "Look at groups before you act on it, and leave --user-facts out when in doubt."
)
NO_TEXT = say("no item has a text")


class BlocksAt:
    """Computes blocks by name; cutoffs must not go back in time, so that nothing was learned from after any of them."""

    def __init__(
        self,
        log: Log,
        texts: TextProfiles,
        options: ProfileOptions,
        seed: int = 0,
        *,
        pictures: PictureProfiles | None = None,
        with_twins: bool = False,
    ) -> None:
        """Twins are `untaught`, the behaviour transformer with random weights, and `shuffled`, the taught one on acts in random order."""
        self.log, self.texts, self.options, self.seed, self.with_twins = log, texts, options, seed, with_twins
        self.pictures = pictures
        self.taught_at: datetime | None = None
        self.cards: dict[str, Any] = {}
        self.missing: dict[str, Message] = {}
        """Blocks that were asked for and that this log cannot feed, with the reason."""
        self._networks: dict[str, SequenceEncoder] = {}
        self._graph: Graph | None = None
        self._facts: Facts | None = None
        self._ids: ItemIds | None = None

    def __call__(self, at: datetime, progress: Progress = silent) -> tuple[list[str], Blocks]:
        """Everyone in the history, sorted, and a block (U, D) for each name that the log can feed."""
        from core.features import compute_features
        from core.predictor.matrix import matrix_of

        with self.log.history(at) as connection:
            counts = matrix_of(compute_features(connection, at))
        blocks: Blocks = {"counts": np.sign(counts.values) * np.log1p(np.abs(counts.values))}
        if "text" in self.options.blocks:
            if (text := self.texts(at)) is not None:
                blocks["text"] = text[1]
            else:
                self.missing["text"] = NO_TEXT
        return counts.user_ids, blocks | self.further(at, progress)

    def further(self, at: datetime, progress: Progress = silent) -> Blocks:
        """Blocks besides counts and text that were asked for and that the log can feed; at the first cutoff they learn."""
        assert self.taught_at is None or at >= self.taught_at, "blocks were learned from events after this cutoff"
        is_first = self.taught_at is None
        self.taught_at = self.taught_at or at
        blocks: Blocks = {}
        if "sequence" in self.options.blocks:
            blocks |= self._sequence(at, part_of(progress, 0.0, 0.9), learn=is_first)
        if "graph" in self.options.blocks:
            blocks |= self._graph_block(at, learn=is_first)
        if "narrative" in self.options.blocks:
            if (narrative := self.texts.narratives(at)) is not None:
                (_users, blocks["narrative"]), self.cards["narrative"] = narrative
            else:
                self.missing["narrative"] = NO_TEXT
        if "image" in self.options.blocks:
            blocks |= self._image_block(at)
        if "facts" in self.options.blocks:
            blocks |= self._facts_block(at, learn=is_first)
        if "ids" in self.options.blocks:
            blocks |= self._ids_block(at, learn=is_first)
        return blocks

    def _sequence(self, at: datetime, progress: Progress = silent, *, learn: bool) -> Blocks:
        """The sequence block, and its twins when they were asked for; nothing where there were too few acts to learn from."""
        from core.encoder.histories import read_histories
        from core.encoder.items import without_texts
        from core.encoder.sequence import sequence_profiles

        described = self.texts.item_vectors(at)
        with self.log.history(at) as connection:
            items = described or without_texts(connection)
            histories = read_histories(connection, items.item_ids)
        if learn:
            self._teach(histories, items, progress)
        found: Blocks = {name: sequence_profiles(network, histories, items) for name, network in self._networks.items()}
        if self.with_twins and "sequence" in found:
            mixed = shuffled(histories, np.random.default_rng(self.seed))
            found["shuffled"] = sequence_profiles(self._networks["sequence"], mixed, items)
        return found

    def _teach(self, histories: "Histories", items: "ItemVectors", progress: Progress) -> None:
        from core.encoder.sequence import SequenceOptions, make_encoder, train_sequence

        chosen, began = SequenceOptions(device=self.options.device, seed=self.seed, memory=self.options.memory), time.process_time()
        try:
            self._networks["sequence"] = train_sequence(histories, items, chosen, progress, self.texts.trainings)
        except GateError as error:
            self.missing["sequence"] = error.message
            return
        self.cards["sequence"] = self._networks["sequence"].card | {"cpu_seconds": round(time.process_time() - began, 1)}
        if self.with_twins:
            self._networks["untaught"] = make_encoder(histories, items, chosen)

    def _graph_block(self, at: datetime, *, learn: bool) -> Blocks:
        from core.encoder.graph import fit_graph, graph_profiles

        began = time.process_time()
        with self.log.history(at) as connection:
            if learn:
                try:
                    self._graph = fit_graph(connection, seed=self.seed)
                except GateError as error:
                    self.missing["graph"] = error.message
                    return {}
                self.cards["graph"] = self._graph.card | {"cpu_seconds": round(time.process_time() - began, 1)}
            return {} if self._graph is None else {"graph": graph_profiles(self._graph, connection)[1]}

    def _facts_block(self, at: datetime, *, learn: bool) -> Blocks:
        from core.encoder.facts import fact_profiles, fit_facts

        with self.log.history(at) as connection:
            if learn:
                try:
                    self._facts = fit_facts(connection, with_users=self.options.user_facts)
                except GateError as error:
                    self.missing["facts"] = error.message
                    return {}
                self.cards["facts"] = self._facts.card()
            return {} if self._facts is None else {"facts": fact_profiles(self._facts, connection)[1]}

    def _ids_block(self, at: datetime, *, learn: bool) -> Blocks:
        from core.encoder.item_ids import fit_item_ids, item_id_profiles

        with self.log.history(at) as connection:
            if learn:
                try:
                    self._ids = fit_item_ids(connection)
                except GateError as error:
                    self.missing["ids"] = error.message
                    return {}
                self.cards["ids"] = self._ids.card()
            return {} if self._ids is None else {"ids": item_id_profiles(self._ids, connection)[1]}

    def _image_block(self, at: datetime) -> Blocks:
        found = self.pictures(at) if self.pictures else None
        if self.pictures is None or found is None:
            self.missing["image"] = (self.pictures.missing if self.pictures else None) or NO_NAMES
            return {}
        self.missing.pop("image", None)  # a later cutoff may know pictures that an earlier one did not
        self.cards["image"] = self.pictures.card
        return {"image": found}


def shuffled(histories: "Histories", rng: np.random.Generator) -> "Histories":
    """The same acts of each user in another order; gaps stay where they are."""
    users = np.repeat(np.arange(len(histories.user_ids)), histories.lengths)
    order = np.lexsort((rng.random(len(users)), users))
    return replace(histories, **{name: getattr(histories, name)[order] for name in ("item", "kind", "dwell", "position", "price")})
