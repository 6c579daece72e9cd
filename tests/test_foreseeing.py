"""A kept transformer is a source of recommendations wherever it learned nothing after the cutoff."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np

from core.encoder.foreseeing import foresee_items
from core.encoder.histories import read_histories
from core.encoder.items import without_texts
from core.encoder.sequence import SequenceOptions, save_sequence, train_sequence
from core.pipeline.foreseeing import Foreseer, kept_network
from core.store import Dataset, Home, Log
from tests.test_recommender import busy_world
from tests.worlds import at

MakeLog = Callable[..., Log]


def keep_profile(dataset: Dataset, cutoff: datetime | None) -> str:
    """Keep a run of profiles with a transformer taught on what lies before the cutoff."""
    log = dataset.log(cutoff)
    with log.history() as connection:
        items = without_texts(connection)
        histories = read_histories(connection, items.item_ids)
    network = train_sequence(histories, items, SequenceOptions(device="cpu", epochs=1, width=16, layers=1))
    with dataset.new_run("profiles", inputs={"version": dataset.version_path().name}, config={}, cutoff=cutoff) as draft:
        save_sequence(draft.path, network)
        draft.record["card"] = None
    return draft.run_id


def test_only_a_network_that_learned_nothing_later_is_found_and_it_is_silent_before(make_log: MakeLog, tmp_path: Path) -> None:
    make_log(busy_world(60))
    dataset = Home(tmp_path / "home").dataset("tiny")
    assert kept_network(dataset, at(100)) is None
    early, _late = keep_profile(dataset, at(90)), keep_profile(dataset, None)
    kept = kept_network(dataset, at(100))
    assert kept is not None and kept.run == early and kept.learned_until == at(90)
    assert kept_network(dataset, at(80)) is None

    from core.encoder.sequence import load_sequence

    class NoTexts:
        def item_vectors(self, cutoff: datetime) -> None:
            return None

    foresee = Foreseer(dataset.log(), NoTexts(), load_sequence(kept.folder, "cpu"), kept.learned_until)  # type: ignore[arg-type]
    assert foresee(at(89)) is None
    told = foresee(at(120))
    assert told is not None
    assert told.states.shape == (len(told.user_ids), 16) and told.vectors.shape == (len(told.item_ids), 16)
    assert np.allclose(np.linalg.norm(told.vectors, axis=1), 1, atol=1e-5)


def test_what_is_foreseen_does_not_see_events_from_the_cutoff_on(make_log: MakeLog) -> None:
    rows = busy_world(60)
    full, cut = make_log(rows), make_log([row for row in rows if row["event_time"] < at(100)], dataset="cut")
    with cut.history(cut.until) as connection:
        items = without_texts(connection)
        histories = read_histories(connection, items.item_ids)
    network = train_sequence(histories, items, SequenceOptions(device="cpu", epochs=1, width=16, layers=1))
    with full.history(at(100)) as connection:
        assert without_texts(connection).item_ids == items.item_ids
        told = foresee_items(network, read_histories(connection, items.item_ids), items)
    before = foresee_items(network, histories, items)
    assert np.array_equal(told[0], before[0]) and np.array_equal(told[1], before[1])
    assert len(np.unique(told[0], axis=0)) > 1 and np.allclose(np.linalg.norm(told[0], axis=1), 1, atol=1e-5)
