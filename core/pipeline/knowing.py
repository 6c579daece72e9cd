"""What is known of every shopper as of any cutoff of one log: counts, profiles, single acts, attributes; and what happened after it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from core.messages import Message, say
from core.pipeline.blocks import BlocksAt
from core.pipeline.options import PredictOptions, ProfileOptions
from core.pipeline.pictures import PictureProfiles
from core.pipeline.showing import picture_folder
from core.pipeline.texts import TextProfiles
from core.schema import Progress, part_of
from core.store import Connection, Dataset, Home, Log, fetch
from core.windows import MAX_TRAIN_CUTOFFS

if TYPE_CHECKING:
    from core.encoder.items import ItemVectors
    from core.features import Task
    from core.predictor.acts import Acts
    from core.predictor.attributes import Attributes
    from core.predictor.matrix import Matrix


MOST_LEARNED = 200_000
"""Shoppers of whom windows before the use of a model are kept: models learn from 120,000 rows, and what all windows of a million shoppers
take would be 7 GB."""


class Known:
    """Matrices and labels by cutoff, each computed once; only eligible shoppers when a look-back was asked for.

    Above MOST_LEARNED shoppers, cutoffs before the end of the log have so many of them, drawn once and the same at each.
    """

    def __init__(
        self,
        home: Home,
        dataset: Dataset,
        log: Log,
        horizon: timedelta,
        options: PredictOptions,
        profile: ProfileOptions,
        progress: Progress,
    ) -> None:
        self.log, self.horizon, self.options, self.profile = log, horizon, options, profile
        self.texts = TextProfiles(home, log, profile, part_of(progress, 0.0, 0.5))
        pictures = PictureProfiles(home, log, profile, picture_folder(dataset, profile)) if "image" in profile.blocks else None
        self.blocks = BlocksAt(log, self.texts, profile, options.seed, pictures=pictures)
        self.said: list[Message] = []
        """What a reader of the run should know."""
        self._progress = part_of(progress, 0.5, 1.0)
        self._matrices: dict[datetime, Matrix] = {}
        self._learned = self._draw(options.seed)
        self.tasks: list[Task] = []
        """Further tasks, once their labels were asked for."""
        self._attributes: Attributes | None = None
        if options.look_back_days is not None:
            self.said.append(
                say(
                    "Only shoppers with an event in the {days:g} days before a cutoff are learned from and scored.",
                    days=options.look_back_days,
                )
            )

    def _draw(self, seed: int) -> pa.Array | None:
        """Who is learned from and judged, where those are not all."""
        with self.log.history() as connection:
            everyone = fetch(connection, "SELECT DISTINCT user_id::VARCHAR AS user_id FROM history_cells ORDER BY user_id")["user_id"]
        if len(everyone) <= MOST_LEARNED:
            return None
        self.said.append(
            say("Learned from and judged on {n} of {all} shoppers, drawn at random; everyone is scored.", n=MOST_LEARNED, all=len(everyone))
        )
        chosen = np.random.default_rng(seed).choice(len(everyone), MOST_LEARNED, replace=False)
        return everyone.take(pa.array(np.sort(chosen))).combine_chunks()

    @property
    def is_purchase_only(self) -> bool:
        """Whether the log knows no act but buying (and giving back)."""
        with self.log.history() as connection:
            kinds = fetch(connection, "SELECT DISTINCT event_type::VARCHAR AS kind FROM history")["kind"].to_pylist()
        return "purchase" in kinds and set(kinds) <= {"purchase", "refund"}

    def matrix_at(self, at: datetime) -> "Matrix":
        """Counts, and whatever else was asked for, of the eligible shoppers."""
        from core.features import compute_features
        from core.predictor.matrix import matrix_of

        if at not in self._matrices:
            with self.log.history(at) as connection:
                counts = compute_features(connection, at)
            matrix = matrix_of(counts, self.texts(at))
            del counts
            if set(self.profile.blocks) - {"counts", "text"}:
                # what learns, learns at the first training cutoff, which is asked for first, and reads the later ones
                found = self.blocks.further(at, self._progress)
                matrix = replace(matrix, further={name: block.astype(np.float32) for name, block in found.items()})
            if {"cnn", "gru", "transformer"} & set(self.options.models):
                matrix = replace(matrix, acts=self._acts(at))
            if self.options.attributes:
                matrix = self._attributes_known().added_to(matrix)
            if self._learned is not None and at < self.log.until:
                matrix = matrix.rows(np.asarray(pc.is_in(pa.array(matrix.user_ids, pa.string()), value_set=self._learned)))
            if self.options.look_back_days is not None:
                silent = matrix.values[:, matrix.columns.index("days_since_event")]
                matrix = matrix.rows(silent <= self.options.look_back_days)
            self._matrices[at] = matrix
        return self._matrices[at]

    def labels_at(self, at: datetime) -> pa.Table:
        """user_id and label of the eligible shoppers in the window from a cutoff."""
        return self._eligible(at, self._labels_at(at))

    def _labels_at(self, at: datetime) -> pa.Table:
        from core.features import act_labels, one_category_labels

        only = self.options.category if self.options.category != "all" else None
        if only is None:
            return act_labels(self.log, at, self.horizon, self.options.act)
        return one_category_labels(self.log, at, self.horizon, only, self.options.act)

    def tasks_at(self, at: datetime) -> npt.NDArray[np.float64]:
        """Labels (N, T) of further tasks of the eligible shoppers in the window from a cutoff; the first cutoff chooses the tasks."""
        from core.features import choose_tasks, task_labels

        if not self.tasks:
            only = self.options.category if self.options.category != "all" else None
            with self.log.history(at) as connection:
                self.tasks = choose_tasks(connection, self.options.act, self.horizon, only)
        table = self._eligible(at, task_labels(self.log, at, self.tasks))
        return np.column_stack([table[name].to_numpy().astype(np.float64) for name in table.column_names[1:]])

    def revenue_at(self, at: datetime) -> pa.Table:
        """user_id and revenue of the eligible shoppers in the window from a cutoff."""
        from core.features import revenue_labels

        return self._eligible(at, revenue_labels(self.log, at, self.horizon))

    def _attributes_known(self) -> "Attributes":
        """Attributes, but for those that know what happened in a window, also in the one that judges."""
        from core.predictor.attributes import read_attributes

        if self._attributes is None:
            cutoffs = [self.log.until - n * self.horizon for n in range(1, MAX_TRAIN_CUTOFFS + 3)]
            labels = [self._labels_at(at) for at in cutoffs if at > self.log.start]
            with self.log.history() as connection:
                table = fetch(connection, "SELECT * FROM users ORDER BY user_id")
            windows = [(some["user_id"].to_pylist(), some["label"].to_numpy().astype(np.float64)) for some in labels]
            self._attributes = read_attributes(table, windows)
            self.said += self._attributes.said
        return self._attributes

    def _eligible(self, at: datetime, table: pa.Table) -> pa.Table:
        if self._learned is not None and at < self.log.until:
            table = table.filter(pc.is_in(table["user_id"], value_set=self._learned))
        if self.options.look_back_days is None:
            return table
        return table.filter(pc.is_in(table["user_id"], pa.array(self.matrix_at(at).user_ids, pa.string())))

    def _acts(self, at: datetime) -> "Acts":
        from core.encoder.items import without_texts

        with self.log.history(at) as connection:
            return read_acts(connection, at, self.texts.item_vectors(at) or without_texts(connection))

    @property
    def attribute_columns(self) -> list[str]:
        """Columns of the matrices that are shopper attributes."""
        return self._attributes.columns if self._attributes is not None else []


def read_acts(connection: Connection, at: datetime, items: "ItemVectors") -> "Acts":
    """The newest acts of everyone before a cutoff, one by one, as networks over acts read them."""
    from core.encoder.histories import read_histories
    from core.predictor.acts import LENGTH, pad_acts

    histories = read_histories(connection, items.item_ids, LENGTH)
    last = fetch(
        connection,
        """
        SELECT user_id, (epoch_us($cutoff::TIMESTAMP) - epoch_us(max(event_time) FILTER (event_type <> 'impression'))) / 1e6 AS age
        FROM history GROUP BY user_id ORDER BY user_id
        """,
        {"cutoff": at},
    )
    ages = last["age"].to_numpy().astype(np.float64)
    vectors = np.zeros((len(items.item_ids), items.vectors.shape[1]), np.float32)
    there = items.index >= 0
    if len(items.vectors):
        vectors[there] = items.vectors[items.index[there]]
    told = histories.starts, histories.item, histories.kind, histories.gap, histories.dwell
    return pad_acts(*told, ages, items.item_ids, vectors)
