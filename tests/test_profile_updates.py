"""Profiles and maps after an append: what stays bit for bit, what is told, and whose sums close."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core.artifacts import read_arrays, read_table
from core.atlas.moves import segment_moves
from core.encoder import resuming
from core.encoder.items import CENTRE_DRIFT, encode_items
from core.encoder.updating import profile_drift
from core.errors import CancelledError
from core.pipeline import changes, screens
from core.pipeline.options import ProfileOptions
from core.pipeline.reproducing import command_of
from core.pipeline.work import draw_map, profile
from core.store import Dataset, Home
from tests.encoders import WORDS, save_tiny_encoder
from tests.page_worlds import tiny_home
from tests.worlds import at, publish_world

USERS, ACTS = 40, 30
ITEMS = [{"item_id": f"i{n:02d}", "title": f"{WORDS[n % 10]} {WORDS[(n * 7 + 3) % 18]} {n}"} for n in range(24)]
Row = dict[str, Any]


def log_of(users: int = USERS, seed: int = 0) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [
        {
            "user_id": f"u{user:02d}",
            "item_id": f"i{(user + step * (1 + user % 2)) % 24:02d}",
            "event_type": "purchase" if rng.random() < 0.2 else "view",
            "event_time": at(user / 50 + step),
        }
        for user in range(users)
        for step in range(ACTS)
    ]


APPENDED: list[Row] = [
    {"user_id": "u03", "item_id": "i05", "event_type": "purchase", "event_time": at(40)},
    {"user_id": "u07", "item_id": "new", "event_type": "view", "event_time": at(41)},
    {"user_id": "zz", "item_id": "i01", "event_type": "view", "event_time": at(42)},
]
GROWN = [*ITEMS, {"item_id": "new", "title": "green tea cup"}]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoder(tmp_path_factory.mktemp("models") / "tiny")


def published(home: Path, events: list[Row], items: list[Row] = ITEMS) -> Dataset:
    publish_world(home, events, items=items)
    return Home(home).dataset("tiny")


def options(model: Path, **more: Any) -> ProfileOptions:
    return ProfileOptions(blocks=("counts", "text", "sequence"), model=str(model), device="cpu", **more)


def blocks_of(dataset: Dataset, run: str) -> dict[str, dict[str, np.ndarray]]:
    """Vectors of each learned block by user."""
    folder = dataset.run_path("profiles", run)
    users = read_table(folder / "counts.parquet")["user_id"].to_pylist()
    return {name: dict(zip(users, read_arrays(folder / f"{name}.safetensors")[name], strict=True)) for name in ("text", "sequence")}


def test_after_an_append_only_its_shoppers_are_encoded_and_all_others_keep_their_bits(tmp_path: Path, tiny: Path) -> None:
    dataset = published(tmp_path, log_of())
    first = profile(Home(tmp_path), dataset, options=options(tiny))
    assert first["update"]["sequence"]["network"] == "trained" and "after" not in first["update"]
    assert first["update"]["texts"] == {"encoded": 24, "kept": 0}
    published(tmp_path, log_of() + APPENDED, GROWN)
    said: list[str] = []
    second = profile(Home(tmp_path), dataset, options=options(tiny), progress=lambda share, message: said.append(str(message)))
    told = second["update"]
    assert "3 histories read, 38 profiles kept as they were" in said and "25 distinct texts, 1 of them new" in said
    assert told["after"] == {"run": first["run"], "version": "v0001"}
    assert told["texts"] == {"encoded": 1, "kept": 24}
    assert told["sequence"] == {"network": "kept", "why": None, "encoded": 3, "kept": USERS - 2}
    assert told["users"] == {"same": USERS - 2, "changed": 2, "new": 1, "gone": 0}
    trained, kept = (dataset.run_manifest("profiles", run["run"])["sequence"] for run in (first, second))
    assert trained["reach"] == 192 and trained["acts_beyond"] == trained["users_beyond"] == 0 and "update" not in trained
    assert kept["cpu_seconds"] == trained["cpu_seconds"] and kept["acts"] == trained["acts"] == USERS * ACTS, "what the training was"
    assert kept["update"]["encoded"] == 3 and kept["update"]["acts"] == USERS * ACTS + 3 and kept["update"]["users"] == USERS + 1
    before, after = (blocks_of(dataset, run["run"]) for run in (first, second))
    for name in ("text", "sequence"):
        for user, vector in before[name].items():
            assert np.array_equal(vector, after[name][user]) == (user not in ("u03", "u07")), (name, user)
    drift = {row["user_id"]: row for row in read_table(dataset.run_path("profiles", second["run"]) / "drift.parquet").to_pylist()}
    assert drift["zz"] == {"user_id": "zz", "change": "new", "text_cosine": None, "sequence_cosine": None}
    assert drift["u00"] == {"user_id": "u00", "change": "same", "text_cosine": 1.0, "sequence_cosine": 1.0}
    old, new = (found["text"]["u03"].astype(float) for found in (before, after))
    assert drift["u03"]["change"] == "changed" and drift["u03"]["text_cosine"] == pytest.approx(old @ new, abs=1e-5)


def test_a_new_item_leaves_the_price_words_of_all_others(tmp_path: Path, tiny: Path) -> None:
    priced = [{**item, "price": n + 1} for n, item in enumerate(ITEMS)]
    dear = {"item_id": "new", "title": "green tea cup", "price": 99}  # two of its points are other prices now
    seen = {"user_id": "u07", "item_id": "new", "event_type": "view", "event_time": at(41)}
    runs = []
    for events, items in ((log_of(), priced), ([*log_of(), seen], [*priced, dear])):
        dataset = published(tmp_path, events, items)
        runs.append(profile(Home(tmp_path), dataset, options=options(tiny)))
    before, after = (blocks_of(dataset, run["run"]) for run in runs)
    moved = [{user for user, vector in before[name].items() if not np.array_equal(vector, after[name][user])} for name in before]
    assert moved == [{"u07"}, {"u07"}]
    assert runs[1]["update"]["price_words"] == {"kept": True, "moved": 0.08}
    assert runs[1]["card"]["price_points"] == runs[0]["card"]["price_points"] == [3.0, 8.0, 17.0, 22.0]
    cut = profile(Home(tmp_path), dataset, cutoff=datetime(2024, 4, 30), options=options(tiny))
    assert cut["card"]["price_points"] != runs[0]["card"]["price_points"], "as of a cutoff, nothing is kept"


def test_after_an_append_no_block_of_anyone_else_moves_though_time_went_by(tmp_path: Path, tiny: Path) -> None:
    items = [{**item, "category": f"c{n % 3}"} for n, item in enumerate(ITEMS)]
    every = ("counts", "text", "sequence", "graph", "narrative", "ids")
    asked = replace(options(tiny), blocks=every)
    dataset = published(tmp_path, log_of(), items)
    profile(Home(tmp_path), dataset, options=asked)
    strict = profile(Home(tmp_path), dataset, options=replace(asked, retrain=0))
    later = {"user_id": "u03", "item_id": "i05", "event_type": "view", "event_time": at(33)}
    dataset = published(tmp_path, [*log_of(), later], items)
    found = profile(Home(tmp_path), dataset, options=asked)
    told = found["update"]
    assert told["compared"] == sorted(every[1:]) and told["not_compared"] == []
    assert told["graph"] == {"graph": "kept", "why": None} and found["graph"]["update"]["acts"] == USERS * ACTS + 1
    assert told["users"] == {"same": USERS - 1, "changed": 1, "new": 0, "gone": 0}
    folders = [dataset.run_path("profiles", run) for run in (told["after"]["run"], found["run"])]
    for name in every[1:]:
        before, after = (read_arrays(folder / f"{name}.safetensors")[name] for folder in folders)
        assert np.flatnonzero((before != after).any(axis=1)).tolist() == [3], name
    anew = profile(Home(tmp_path), dataset, options=replace(asked, retrain=0))["update"]
    assert anew["after"]["run"] == strict["run"] and anew["not_compared"] == ["sequence", "graph"]
    assert anew["graph"]["graph"] == "made" and "above the limit of 0%" in anew["graph"]["why"]
    assert anew["compared"] == ["ids", "narrative", "text"] and anew["users"]["changed"] == 1


def test_the_network_is_trained_anew_when_the_log_has_grown_beyond_the_limit(tmp_path: Path, tiny: Path) -> None:
    dataset = published(tmp_path, log_of())
    for chosen in (options(tiny), options(tiny, retrain=0)):
        profile(Home(tmp_path), dataset, options=chosen)
    published(tmp_path, log_of() + APPENDED, GROWN)
    strict = profile(Home(tmp_path), dataset, options=options(tiny, retrain=0))["update"]["sequence"]
    assert strict["network"] == "trained" and "above the limit of 0%" in strict["why"]
    assert profile(Home(tmp_path), dataset, options=options(tiny))["update"]["sequence"]["network"] == "kept"
    published(tmp_path, log_of(users=USERS + 5) + APPENDED, GROWN)
    grown = profile(Home(tmp_path), dataset, options=options(tiny))["update"]
    assert "12.7% more acts than it learned from, above the limit of 10%" in grown["sequence"]["why"]
    assert grown["compared"] == ["text"]  # states of two networks lie in two spaces


def test_a_run_as_of_a_cutoff_keeps_nothing_of_an_earlier_version(tmp_path: Path, tiny: Path) -> None:
    cutoff, found = datetime(2024, 3, 28), []
    for name, versions in (("grown", (log_of(), log_of() + APPENDED)), ("cut", (log_of() + APPENDED,))):
        home = Home(tmp_path / name)
        for events in versions:
            dataset = published(home.path, events)
            profile(home, dataset, options=options(tiny))
        run = profile(home, dataset, cutoff=cutoff, options=options(tiny))
        assert run["update"]["sequence"]["network"] == "trained" and "after" not in run["update"]
        found.append(blocks_of(dataset, run["run"]))
    for name in ("text", "sequence"):
        assert found[0][name].keys() == found[1][name].keys()
        assert all(np.array_equal(vector, found[1][name][user]) for user, vector in found[0][name].items())


def test_a_log_that_is_not_a_continuation_and_a_changed_model_train_anew(tmp_path: Path) -> None:
    model = save_tiny_encoder(tmp_path / "model")
    dataset = published(tmp_path / "home", log_of())
    home = Home(tmp_path / "home")
    first = profile(home, dataset, options=options(model))
    save_tiny_encoder(model, seed=9)  # the same folder holds another model now
    published(home.path, log_of() + APPENDED, GROWN)
    second = profile(home, dataset, options=options(model))
    assert second["update"]["texts"] == {"encoded": 25, "kept": 0} and second["update"]["compared"] == []
    assert "by another model" in second["update"]["sequence"]["why"]
    assert second["card"]["fingerprint"] != first["card"]["fingerprint"]
    assert set(read_table(dataset.run_path("profiles", second["run"]) / "drift.parquet")["change"].to_pylist()) == {None, "new"}
    published(home.path, log_of(users=36, seed=3))  # ends before both logs did
    third = profile(home, dataset, options=options(model))
    assert "v0002 is not a part of this one" in third["update"]["sequence"]["why"]
    assert third["update"]["texts"] == {"encoded": 0, "kept": 24}


def test_an_append_to_an_older_version_keeps_what_was_made_of_that_one(tmp_path: Path, tiny: Path) -> None:
    late = {"user_id": "u01", "item_id": "i02", "event_type": "view", "event_time": at(60)}
    found = []
    for events in (log_of(), [*log_of(seed=3), late], log_of() + APPENDED):  # the second is no part of the third: it ends later
        dataset = published(tmp_path, events, GROWN)
        found.append(profile(Home(tmp_path), dataset, options=options(tiny))["update"])
    assert found[1]["after"]["version"] == "v0001"
    assert found[2]["after"]["version"] == "v0001" and found[2]["sequence"]["network"] == "kept"


def test_profiles_that_were_cancelled_go_on_where_their_training_was(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "EVERY_SECONDS", 0.0)
    found = []
    for name, limit in (("undisturbed", 2.0), ("cancelled", 0.6)):
        home = Home(tmp_path / name)
        dataset = published(home.path, log_of(users=300))

        def stop(share: float, message: str, limit: float = limit) -> None:
            if share > limit and "learning how" in str(message):
                raise CancelledError("stopped")

        with suppress(CancelledError):
            profile(home, dataset, options=options(tiny), progress=stop)
        run = profile(home, dataset, options=options(tiny))
        assert (run["sequence"]["resumed_at_act"] > 0) == (name == "cancelled")
        found.append(blocks_of(dataset, run["run"])["sequence"])
        assert list((home.path / "cache" / "trainings").glob("*.safetensors")) == []
    assert all(np.array_equal(vector, found[1][user]) for user, vector in found[0].items())


def test_an_earlier_centre_serves_while_the_catalogues_is_near_it(tmp_path: Path, tiny: Path) -> None:
    many = [{"item_id": f"i{n:02d}", "title": f"{WORDS[n % 18]} {n}"} for n in range(40)]
    e5 = tmp_path / "tiny-e5"
    save_tiny_encoder(e5)
    log = publish_world(tmp_path, log_of(users=2), items=many)
    with log.history() as connection:
        own = encode_items(connection, model=str(e5), device="cpu", precision="fp32")
        assert own is not None and own.centre is not None
        near, far = (own.centre * np.float32(1 + CENTRE_DRIFT * step) for step in (0.5, 2.0))
        for kept, expected in ((near, near), (far, own.centre)):
            found = encode_items(connection, model=str(e5), device="cpu", precision="fp32", kept_centre=kept)
            assert found is not None and np.array_equal(found.centre, expected)


def test_drift_tells_new_gone_and_empty_profiles() -> None:
    before = np.array([[1, 0], [0, 1], [0, 0], [0, 0]], np.float32)
    after = np.array([[1, 0], [1, 0], [0, 0], [0, 1], [1, 1]], np.float32)
    told = profile_drift(["a", "b", "c", "d"], ["a", "b", "c", "d", "e"], {"text": (before, after)}).to_pylist()
    assert [(row["user_id"], row["change"], row["text_cosine"]) for row in told] == [
        ("a", "same", 1.0), ("b", "changed", 0.0), ("c", "same", 1.0), ("d", "changed", 0.0), ("e", "new", None),
    ]  # fmt: skip
    assert profile_drift(["a", "x"], ["a"], {}).to_pylist() == [{"user_id": "a", "change": None}, {"user_id": "x", "change": "gone"}]


def test_moves_between_maps_close_for_every_segment(tmp_path: Path, tiny: Path) -> None:
    simple = ProfileOptions(blocks=("counts", "text"), model=str(tiny), device="cpu")
    home, dataset = Home(tmp_path), published(tmp_path, log_of())
    for events in (log_of(), log_of()[ACTS:] + APPENDED):  # u00 is gone, zz is new
        if events is not None:
            dataset = published(tmp_path, events, GROWN)
        profile(home, dataset, options=simple)
        drawn = draw_map(home, dataset, options=simple)
    folder = dataset.run_path("atlas")
    moves = read_table(folder / "moves.parquet").to_pandas()
    assert drawn["moves"]["after"]["version"] == "v0002"
    assert (drawn["moves"]["new"], drawn["moves"]["gone"]) == (1, 1)
    assert sum(drawn["moves"][move] for move in ("stayed", "moved", "new", "gone")) == len(moves) == USERS + 1
    assert drawn["moves"]["compared"] == ["text"], "profiles of both maps were compared, so each move says whether its shopper's changed"
    told = dataset.run_manifest("profiles")["update"]["users"]
    assert moves["profile_changed"].value_counts().to_dict() == {False: told["same"], True: told["changed"]}
    assert drawn["moves"]["changed"] == int((moves["profile_changed"].eq(True) & (moves["move"] == "moved")).sum())
    sizes = read_table(folder / "segments.parquet").to_pandas().set_index("segment_id")["size"]
    former = read_table(dataset.run_path("atlas", drawn["moves"]["after"]["run"]) / "segments.parquet").to_pandas().set_index("segment_id")
    assert moves["to_segment"].dropna().astype(int).value_counts().to_dict() == sizes.to_dict()
    assert moves["from_segment"].dropna().astype(int).value_counts().to_dict() == former["size"].to_dict()


def test_a_move_tells_whether_the_profile_changed_since_the_earlier_map(tmp_path: Path, tiny: Path) -> None:
    simple, home = ProfileOptions(blocks=("counts", "text"), model=str(tiny), device="cpu"), Home(tmp_path)
    for events, items in ((log_of(), ITEMS), (log_of() + APPENDED, GROWN)):
        dataset = published(tmp_path, events, items)
        profiles = profile(home, dataset, options=simple)
        drawn = draw_map(home, dataset, options=simple)
    assert profiles["update"]["compared"] == drawn["moves"]["compared"] == ["text"]
    rows = read_table(dataset.run_path("atlas") / "moves.parquet").to_pylist()
    changed = {row["user_id"]: row["profile_changed"] for row in rows}
    assert [user for user, is_so in changed.items() if is_so] == ["u03", "u07"] and changed["zz"] is None and changed["u00"] is False
    assert drawn["moves"]["changed"] == sum(row["move"] == "moved" and row["profile_changed"] for row in rows)


def test_a_move_is_told_from_both_maps() -> None:
    former = pa.table({"user_id": ["a", "b", "c"], "segment_id": pa.array([1, 1, 2], pa.int32())})
    now = pa.table({"user_id": ["a", "b", "d"], "segment_id": pa.array([1, 2, 2], pa.int32())})
    assert segment_moves(former, now).to_pylist() == [
        {"user_id": "a", "from_segment": 1, "to_segment": 1, "move": "stayed"},
        {"user_id": "b", "from_segment": 1, "to_segment": 2, "move": "moved"},
        {"user_id": "c", "from_segment": 2, "to_segment": None, "move": "gone"},
        {"user_id": "d", "from_segment": None, "to_segment": 2, "move": "new"},
    ]


def test_the_balance_of_every_segment_closes_and_flows_add_up(tmp_path: Path) -> None:
    screen = screens.open_screen(Home(tiny_home(tmp_path)), "tiny")
    balance = changes.segment_changes(screen)
    assert balance is not None
    assert (balance["before"] == balance["stayed"] + balance["left"] + balance["gone"]).all()
    assert (balance["now"] == balance["stayed"] + balance["came"] + balance["new"]).all()
    moves = changes.moves(screen)
    assert moves is not None and balance["now"].sum() == moves.num_rows == 12
    assert balance["before"].sum() == 11 and balance[~balance["is_there"]]["segment_id"].tolist() == [2]
    assert changes.flows(screen).to_dict("records") == [{"from_segment": 2, "to_segment": 0, "shoppers": 1}]
    told = changes.drift_figures(screen)
    assert told is not None and told["blocks"] == {"text": {"median": pytest.approx(0.745), "far": 1, "changed": 2}}


def test_runs_and_caches_of_two_precisions_do_not_mix(tmp_path: Path, tiny: Path) -> None:
    dataset, home = published(tmp_path, log_of(users=3)), Home(tmp_path)
    texts = ProfileOptions(blocks=("counts", "text"), model=str(tiny), device="cpu")
    runs = [profile(home, dataset, options=replace(texts, precision=precision)) for precision in ("auto", "int8", "int8", "auto")]
    assert [run["run"] for run in runs] == [runs[0]["run"], runs[1]["run"], runs[1]["run"], runs[0]["run"]]
    assert runs[1]["run"] != runs[0]["run"] and runs[1]["card"]["precision"] == "int8" != runs[0]["card"]["precision"]
    config = dataset.run_manifest("profiles", runs[1]["run"])["config"]
    assert config["precision"] == "int8" and "precision" not in dataset.run_manifest("profiles", runs[0]["run"])["config"]
    assert runs[1]["update"]["texts"] == runs[0]["update"]["texts"] == {"encoded": 24, "kept": 0}, "no vector of the other served"
    words = command_of("tiny", "profiles", {"config": config})
    assert words[words.index("--precision") + 1] == "int8"
