"""Why, what-if and score-one on a kept model: the same numbers as the batch, nothing from after the cutoff, directions that hold."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import GateError, NotFoundError, RuleError
from core.explain.changes import Act, Change
from core.explain.shapley import by_enumeration
from core.features import compute_features
from core.pipeline import explaining
from core.pipeline.reading import Reading, open_reading
from core.predictor.calibration import Calibrator
from core.store import Dataset, Home
from tests.kept_worlds import END, kept_shop, scores_of, shop_events
from tests.worlds import at, publish_world


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return kept_shop(tmp_path_factory.mktemp("shop") / "home")


@pytest.fixture(scope="module")
def reading(shop: Dataset) -> Reading:
    return open_reading(Home(shop.path.parents[1]), shop)


def test_features_of_one_shopper_and_her_chance_equal_the_batch(shop: Dataset, reading: Reading) -> None:
    with shop.log(END).history() as connection:
        batch = {row["user_id"]: row for row in compute_features(connection, END).to_pylist()}
    known = scores_of(shop)
    for user in ("u000", "u007", "u100", "u259"):
        matrix = reading.matrix(reading.history(user))
        expected = np.array([np.nan if (v := batch[user][name]) is None else float(v) for name in matrix.columns])
        assert np.array_equal(matrix.values[0], expected, equal_nan=True), user
        assert reading.kept.propensities(matrix)[0] == known[user]
    assert len(set(known.values())) > 50


def test_a_pasted_history_scores_as_the_batch_did(shop: Dataset, reading: Reading) -> None:
    kept = ("event_type", "event_time", "item_id", "price", "quantity", "revenue")
    for user in ("u003", "u042"):
        rows = [{name: row[name] for name in kept if row[name] is not None} for row in reading.history(user).to_pylist()]
        found = explaining.score_history(reading, json.dumps(rows, default=str))
        assert found["propensity"] == scores_of(shop)[user] and found["unknown_items"] == 0
        assert not {"label", "acted"} & set(found)


def test_contributions_of_trees_and_acts_add_up_to_the_chance(shop: Dataset, reading: Reading) -> None:
    for user in ("u000", "u042", "u100"):
        found = explaining.why(reading, user)
        assert found["propensity"] == scores_of(shop)[user]
        assert found["features"]["method"] == "trees"
        for part in (found["features"], found["acts"]):
            assert part["propensity"] == pytest.approx(found["propensity"], abs=1e-9)
            assert abs(part["residual"]) < 0.01
            assert part["steps"][0]["from"] == pytest.approx(part["base"])
        check = found["acts"]["check"]
        assert check["with"] == pytest.approx(found["propensity"]) and 0 < check["without"] < 1


@pytest.mark.parametrize(
    ("winner", "calibrator", "method"),
    [
        ("mlp_counts", Calibrator("none"), "sampled"),
        ("logistic", Calibrator("sigmoid", 1.2, 0.1), "linear"),
        ("lightgbm", Calibrator("isotonic", 1.0, 0.0, ((-4.0, 0.01), (0.0, 0.4), (4.0, 0.99))), "sampled"),
    ],
)
def test_other_models_are_explained_too(tmp_path: Path, winner: str, calibrator: Calibrator, method: str) -> None:
    dataset = kept_shop(tmp_path / "home", winner, calibrator)
    reading = open_reading(Home(tmp_path / "home"), dataset)
    found = explaining.why(reading, "u042")
    assert found["features"]["method"] == method
    assert found["propensity"] == pytest.approx(scores_of(dataset)["u042"], abs=1e-6)
    assert abs(found["features"]["residual"]) < 0.01 and abs(found["acts"]["residual"]) < 0.01
    if method == "sampled":
        assert found["features"]["background_rows"] == 48


@pytest.mark.parametrize(
    ("winner", "named", "parts"),
    [
        ("mlp_sequence", {"graph profile", "age"}, ["graph profile", "attributes"]),
        ("gru", {"order of acts"}, []),
    ],
)
def test_chances_that_read_blocks_attributes_or_single_acts_are_explained(
    tmp_path: Path, winner: str, named: set[str], parts: list[str]
) -> None:
    dataset = kept_shop(tmp_path / "home", winner)
    reading = open_reading(Home(tmp_path / "home"), dataset)
    found = explaining.why(reading, "u042")
    assert found["held"] == parts
    assert found["propensity"] == pytest.approx(scores_of(dataset)["u042"], abs=1e-6)
    for told in (found["features"], found["acts"]):
        assert told["propensity"] == pytest.approx(found["propensity"], abs=1e-6) and abs(told["residual"]) < 0.01
    assert named <= set(found["features"]["log_odds"]) and set(parts) <= set(found["acts"]["log_odds"])
    assert all(found["features"]["log_odds"][name] != 0 for name in named)
    events = reading.history("u042")
    same = explaining.what_if(reading, events, Change())
    assert same["before"] == same["after"] and same["before"]["propensity"] == pytest.approx(found["propensity"], abs=1e-6)
    assert explaining.what_lifts(reading, events)["propensity"] == pytest.approx(found["propensity"], abs=1e-6)
    pasted = explaining.score_history(reading, "event_type,days_ago,item_id\nview,3,i1\ncart,2,i1\n")
    assert 0 < pasted["propensity"] < 1


def test_a_run_that_did_not_keep_what_its_model_looks_at_says_so(tmp_path: Path) -> None:
    dataset = kept_shop(tmp_path / "home", "lightgbm_sequence")
    (dataset.run_path("propensity") / "held.json").unlink()
    with pytest.raises(GateError, match="graph profile"):
        open_reading(Home(tmp_path / "home"), dataset)


def test_shares_of_acts_are_those_of_enumeration(reading: Reading) -> None:
    events = reading.history("u042")
    events = events.slice(events.num_rows - 4)  # her last four acts
    asked: dict[bytes, float] = {}

    def game(masks: np.ndarray, _drawn: Any) -> np.ndarray:
        if (key := masks[0].tobytes()) not in asked:
            kept = events.take(3 - np.flatnonzero(masks[0])[::-1])  # players count back from the newest act
            asked[key] = float(reading.log_odds(reading.matrix(kept) if masks[0].any() else reading.nothing())[0])
        return np.array([asked[key]])

    found = explaining.by_act(reading, events, np.random.default_rng(0))
    assert found["method"] == "exact" and found["coalitions"] == 16
    assert [found["log_odds"][str(p)] for p in range(4)] == pytest.approx(by_enumeration(game, 4).tolist(), abs=1e-9)


def reading_dataset(reading: Reading) -> Dataset:
    return Dataset(reading.log.path.parents[2])


def test_a_first_cart_of_the_week_never_lowers_the_chance_here(reading: Reading) -> None:
    """In this shop a purchase follows a week with carts, however many: the first one counts."""
    gains = []
    for user in sorted(scores_of(reading_dataset(reading)))[:30]:
        events = reading.history(user)
        acts = zip(events["event_type"].to_pylist(), events["event_time"].to_pylist(), strict=True)
        if any(kind == "cart" and when >= at(28) for kind, when in acts):
            continue
        found = explaining.what_if(reading, events, Change(add=(Act("cart", events["item_id"][0].as_py(), days_ago=1),)))
        gains.append(found["after"]["propensity"] - found["before"]["propensity"])
    assert len(gains) > 10 and min(gains) > 0.1


def test_what_lifts_most_is_a_cart_and_each_row_is_what_the_change_alone_gives(reading: Reading) -> None:
    user = min(scores_of(reading_dataset(reading)).items(), key=lambda pair: pair[1])[0]
    events = reading.history(user)
    found = explaining.what_lifts(reading, events)
    best = found["tried"][0]
    assert best["event_type"] == "cart" and best["difference"] > 0.1
    assert {row["event_type"] for row in found["tried"] if row["event_type"]} == {"view", "cart", "purchase"}
    alone = explaining.what_if(reading, events, Change(add=(Act("cart", best["item_id"], 0.04, times=best["times"]),)))
    assert alone["after"]["propensity"] == pytest.approx(best["propensity"], abs=1e-9)


def test_a_history_left_empty_has_the_chance_of_a_shopper_of_whom_nothing_is_known(reading: Reading) -> None:
    events = reading.history("u003")
    found = explaining.what_if(reading, events, Change(drop=tuple(range(events.num_rows))))
    assert found["events_after"] == 0
    assert found["after"]["propensity"] == reading.kept.propensities(reading.nothing())[0]


def test_nothing_after_the_cutoff_is_seen(tmp_path: Path, shop: Dataset, reading: Reading) -> None:
    later = [{"user_id": "u003", "event_time": at(35 + n), "event_type": "cart", "item_id": "i1", "price": 999} for n in range(20)]
    home = tmp_path / "home"
    kept_shop(home)
    publish_world(home, [*shop_events(), *later], items=[])  # a new version, with a future; the old run reads its own
    again = open_reading(Home(home), Home(home).dataset("tiny"))
    one, other = explaining.why(reading, "u003"), explaining.why(again, "u003")
    for name in ("propensity", "low", "high", "features", "acts", "events"):
        assert one[name] == other[name]


def test_unknown_shoppers_and_places_are_refused(reading: Reading) -> None:
    with pytest.raises(NotFoundError, match="case-sensitive"):
        reading.history("U003")
    with pytest.raises(RuleError):
        explaining.what_if(reading, reading.history("u003"), Change(drop=(10_000,)))
