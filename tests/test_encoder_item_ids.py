"""Items themselves as a block: who touched which of the most touched ones; no id of a shopper or an order is a feature."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_arrays, read_table
from core.encoder.item_ids import ItemIds, fit_item_ids, item_id_profiles
from core.errors import CoreError, GateError
from core.pipeline.encoding import REFUSED, check_blocks
from core.pipeline.judging import judge_blocks
from core.pipeline.options import PredictOptions, ProfileOptions
from core.pipeline.predicting import predict
from core.pipeline.profiling import profile
from core.store import Home, Log
from tests.worlds import at, publish_world

MakeLog = Callable[..., Log]
CHOSEN = ProfileOptions(("counts", "ids"), device="cpu")


def act(user: str, item: str | None, days: float, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": kind, "event_time": at(days)}


def shelf(users: int, days: float = 3) -> list[dict[str, Any]]:
    """Items a, b and c of everyone, and one of each shopper alone."""
    touched = [act(f"u{n}", item, days + n / 100) for n in range(users) for item in ("a", "b", "c", f"own{n}")]
    return [*touched, act("u0", None, 200, "search")]  # the log goes on


def fitted(log: Log, days: float, **more: Any) -> ItemIds:
    with log.history(at(days)) as connection:
        return fit_item_ids(connection, **more)


def told(ids: ItemIds, log: Log, days: float) -> dict[str, np.ndarray[Any, Any]]:
    with log.history(at(days)) as connection:
        users, vectors = item_id_profiles(ids, connection)
    return dict(zip(users, vectors, strict=True))


def test_the_most_touched_items_stand_alone_and_the_rest_is_others(make_log: MakeLog) -> None:
    log = make_log([*shelf(4), act("u0", "b", 2)])
    ids = fitted(log, 5)
    assert ids.items == ["a", "b", "c"] and ids.known == 7 and ids.card()["values"] == 4
    found = told(ids, log, 5)
    assert found["u1"] == pytest.approx([0.5, 0.5, 0.5, 0.5])
    assert found["u0"][1] > found["u0"][0] == found["u0"][2] == found["u0"][3]
    assert all(np.linalg.norm(vector) == pytest.approx(1) for vector in found.values())
    assert fitted(log, 5, most=3).items == ["a", "b", "c"] and 0 < ids.other_share < 0.25


def test_newer_acts_count_more(make_log: MakeLog) -> None:
    log = make_log([*shelf(4, 100), act("new", "a", 110), act("new", "b", 10)])
    ids = fitted(log, 105)
    assert ids.items == ["b", "a", "c"], "one more shopper touched b"
    old, recent = told(ids, log, 120)["new"][:2]
    assert recent > old > 0


def test_a_shopper_and_an_item_that_come_later_are_told_without_error(make_log: MakeLog) -> None:
    log = make_log([*shelf(4), act("late", "fresh", 8), act("late", "a", 8), act("idle", None, 8, "search")])
    found = told(fitted(log, 5), log, 9)
    assert found["late"] == pytest.approx([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    assert not found["idle"].any()


def test_items_are_chosen_and_shoppers_told_by_what_lies_before_the_cutoff(make_log: MakeLog) -> None:
    later = [act(f"u{n}", "z", 7) for n in range(4)] * 3
    early, whole = make_log(shelf(4)), make_log([*shelf(4), *later])
    assert fitted(early, 5) == fitted(whole, 5) and "z" in fitted(whole, 8).items
    one, other = (told(fitted(log, 5), log, 5) for log in (early, whole))
    assert one.keys() == other.keys() and all(np.array_equal(one[user], other[user]) for user in one)


def test_a_log_whose_items_nobody_shares_says_so(make_log: MakeLog) -> None:
    with pytest.raises(GateError, match="0 items were touched by 3 shoppers or more; 3 are needed"):
        fitted(make_log([*(act(f"u{n}", f"own{n}", 1) for n in range(9)), act("u0", None, 9, "search")]), 5)


@pytest.mark.parametrize("block", REFUSED)
def test_ids_of_shoppers_and_orders_are_refused_with_the_reason(block: str) -> None:
    with pytest.raises(CoreError, match=f"'{block}' is no block .* know nothing of anyone later. The block `ids`"):
        check_blocks(("counts", block))


def world(days: int) -> list[dict[str, Any]]:
    """Two kinds of shoppers on two shelves, buyers of p and lookers at q; some come on the last days alone."""
    rng, rows = np.random.default_rng(0), []
    for user in range(320):
        for day in np.sort(rng.uniform(0 if user < 300 else days - 2, days, 10 if user < 300 else 3)):
            kind = "purchase" if user % 2 and rng.random() < 0.5 else "view"
            rows.append(act(f"u{user:03d}", f"{'qp'[user % 2]}{rng.integers(8)}", float(day), kind))
    return rows


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    path = tmp_path_factory.mktemp("ids")
    publish_world(path, world(40), dataset="shop")
    return Home(path)


def test_profiles_keep_the_block_and_which_item_each_place_is(home: Home) -> None:
    found = profile(home, home.dataset("shop"), options=CHOSEN)
    folder = home.dataset("shop").run_path("profiles", found["run"])
    assert read_arrays(folder / "ids.safetensors")["ids"].shape == (320, 17) and found["ids"]["items"] == 16
    assert sorted(read_table(folder / "item_ids.parquet")["item_id"].to_pylist()) == [f"{s}{n}" for s in "pq" for n in range(8)]


def test_the_ablation_shows_the_block_on_and_off(home: Home) -> None:
    found = judge_blocks(home, home.dataset("shop"), horizon=at(6) - at(0), options=CHOSEN)
    assert {"counts", "ids", "counts + ids"} <= {row["blocks"] for row in found["rows"] if row["weighing"] == "equal"}
    assert found["ids"]["items"] == 16 and "ids" in found["weights"]
    alone = next(row for row in found["rows"] if row["blocks"] == "ids")
    assert alone["auc"] > 0.7, "the shelf tells buyers from lookers"


@pytest.mark.slow
def test_a_shopper_who_comes_after_training_gets_a_chance_that_looks_at_items(home: Home) -> None:
    dataset = home.dataset("shop")
    found = predict(home, dataset, options=PredictOptions(horizon=at(5) - at(0)), profile=CHOSEN)
    scores = read_table(dataset.run_path("propensity", found["run"]) / "scores.parquet").to_pylist()
    late = [row["propensity"] for row in scores if row["user_id"] >= "u300"]
    assert len(late) == 20 and all(0 < chance < 1 for chance in late) and found["ids"]["items"] == 16


def test_the_command_line_refuses_ids_of_shoppers(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("profile", "predict"):
        assert main([verb, "--home", str(home.path), "--dataset", "shop", "--blocks", "counts,user_ids"]) != 0
        assert "know nothing of anyone later" in capsys.readouterr().err
