"""Prediction from a published log to its tables: figures by plain SQL, options, leaks refused, nothing from after the cutoff."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_json, read_table
from core.errors import NotFoundError
from core.pipeline import explaining, knowing, model_room, quality
from core.pipeline.explaining_categories import chances_of, open_categories, why_category
from core.pipeline.knowing import Known
from core.pipeline.options import PredictOptions, ProfileOptions
from core.pipeline.predicting import predict
from core.pipeline.reading import open_reading
from core.predictor import categories
from core.schema import silent
from core.store import Home
from pages.parts import verdict
from tests.worlds import at, publish_world

COUNTS = ProfileOptions(blocks=("counts",))
HORIZON = timedelta(days=7)
ALL = PredictOptions(horizon=HORIZON, category="all", revenue=True, attributes=True, look_back_days=30)


def events(users: int = 240, days: int = 56, seed: int = 0) -> list[dict[str, Any]]:
    """Buyers of their own rate and favourite kind; odd ones look around more."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        rate, taste = rng.gamma(1.2, 0.12), int(rng.integers(4))
        for day in range(days):
            if rng.random() < 0.12:
                rows.append(
                    {"user_id": f"u{user:03d}", "event_type": "view", "event_time": at(day + 0.3), "item_id": f"i{rng.integers(8)}"}
                )
            if rng.random() < rate:
                kind = taste if rng.random() < 0.8 else int(rng.integers(4))
                price = 10.0 * (1 + kind)
                bought = {"event_type": "purchase", "item_id": f"i{kind}", "price": price, "quantity": 1, "revenue": price}
                rows.append({"user_id": f"u{user:03d}", "event_time": at(day + 0.5), **bought})
    return rows


def publish(home: Path, rows: list[dict[str, Any]], users: int = 240) -> None:
    """Items of four kinds; shoppers with a region, and planted columns that hold who buys at the end, one under a plain name."""
    late = {row["user_id"] for row in rows if row["event_type"] == "purchase" and row["event_time"] >= at(49)}
    people = {
        f"u{user:03d}": {
            "region": "north" if user % 2 else "south",
            "bought": str(f"u{user:03d}" in late),
            "zone_score": f"{103 if f'u{user:03d}' in late else 101}.{user:03d}",
        }
        for user in range(users)
    }
    items = [{"item_id": f"i{n}", "category": f"kind {n % 4}"} for n in range(8)]
    publish_world(home, rows, items, people)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    home = tmp_path_factory.mktemp("predicting")
    publish(home, events())
    dataset = Home(home).dataset("tiny")
    predict(Home(home), dataset, cutoff=at(56), options=ALL, profile=COUNTS)
    run_id = dataset.runs("propensity")[-1]
    return dataset.run_path("propensity", run_id), dataset.run_manifest("propensity", run_id)


def sql(folder: Path, statement: str) -> Any:
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW test AS SELECT * FROM '{folder / 'test.parquet'}'")
    return connection.execute(statement).fetchall()


def test_log_loss_and_auc_by_plain_sql_are_those_of_the_run(run: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = run
    for name in ("propensity", "logistic", "lightgbm"):
        found = manifest["metrics"]["models"][name]
        loss = sql(folder, f"SELECT -avg(label * ln({name}) + (1 - label) * ln(1 - {name})) FROM test")[0][0]
        assert found["log_loss"]["value"] == pytest.approx(loss, abs=1e-9)
        area = sql(
            folder,
            f"""
            WITH ranked AS (SELECT label, rank() OVER (ORDER BY {name}) + (count(*) OVER (PARTITION BY {name}) - 1) / 2.0 AS r FROM test)
            SELECT (sum(r) FILTER (label = 1) - count(*) FILTER (label = 1) * (count(*) FILTER (label = 1) + 1) / 2.0)
                   / (count(*) FILTER (label = 1) * count(*) FILTER (label = 0)) FROM ranked
            """,
        )[0][0]
        assert found["auc"]["value"] == pytest.approx(area, abs=1e-9)


def test_bins_lift_and_sums_by_plain_sql_are_those_of_the_run(run: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = run
    bins = sql(
        folder,
        """
        WITH binned AS (SELECT label, propensity, ntile(10) OVER (ORDER BY propensity, user_id) AS bin FROM test)
        SELECT bin, count(*), avg(propensity), avg(label) FROM binned GROUP BY bin ORDER BY bin
        """,
    )
    table = [row for row in read_table(folder / "reliability.parquet").to_pylist() if row["model"] == "propensity"]
    assert [(row["bin"], row["n"]) for row in table] == [(place, n) for place, n, _, _ in bins]
    assert [row["mean_propensity"] for row in table] == pytest.approx([mean for _, _, mean, _ in bins], abs=1e-9)
    assert [row["rate"] for row in table] == pytest.approx([rate for _, _, _, rate in bins], abs=1e-9)
    users, buyers, rate = sql(folder, "SELECT count(*), sum(label), avg(label) FROM test")[0]
    depth = read_table(folder / "lift.parquet").to_pylist()[19]
    found = sql(folder, f"SELECT avg(label) FROM (SELECT label FROM test ORDER BY propensity DESC, user_id LIMIT {depth['users']})")[0][0]
    assert depth["lift"] == pytest.approx(found / rate, abs=1e-9)
    expected = sql(folder, "SELECT sum(propensity) FROM test")[0][0]
    assert manifest["metrics"]["models"]["propensity"]["expected"] == pytest.approx(expected)
    assert (manifest["metrics"]["users"], manifest["metrics"]["positives"]) == (users, buyers)


def test_spending_by_plain_sql_is_that_of_the_run(run: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = run
    path = folder / "revenue_test.parquet"
    statement = f"SELECT avg(abs(mean - revenue)), sqrt(avg((mean - revenue) ** 2)), avg(mean - revenue) FROM '{path}'"
    mae, rmse, bias = duckdb.connect().execute(statement).fetchall()[0]
    found = manifest["revenue_metrics"]["models"]["mean"]
    assert [found["mae"]["value"], found["rmse"]["value"], found["bias"]["value"]] == pytest.approx([mae, rmse, bias], abs=1e-9)


def test_a_planted_leak_is_refused_and_honest_attributes_are_seen(run: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = run
    assert any(str(sentence).startswith("bought: refused") for sentence in manifest["warnings"])
    seen = set(read_json(folder / "card.json")["features"])
    assert "region = north" in seen
    assert any(str(sentence).startswith("zone_score: refused") for sentence in manifest["warnings"])
    assert not any(name.startswith(("bought", "zone_score")) for name in seen)
    assert manifest["metrics"]["models"]["propensity"]["auc"]["value"] < 0.95


def test_only_shoppers_seen_in_the_look_back_are_scored_and_it_is_said(run: tuple[Path, dict[str, Any]]) -> None:
    folder, manifest = run
    last: dict[str, datetime] = {}
    for row in events():
        last[row["user_id"]] = max(row["event_time"], last.get(row["user_id"], row["event_time"]))
    expected = sorted(user for user, time in last.items() if time >= at(26))
    assert read_table(folder / "scores.parquet")["user_id"].to_pylist() == expected
    assert sorted(set(read_table(folder / "categories.parquet")["user_id"].to_pylist())) == expected
    assert any("in the 30 days before" in str(sentence) for sentence in manifest["warnings"])


def test_events_after_the_cutoff_change_no_chance_and_no_amount(run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = run
    later = [
        {"user_id": f"u{n:03d}", "event_type": "purchase", "event_time": at(57 + n % 3), "item_id": "i7", "price": 900.0, "revenue": 900.0}
        for n in range(100)
    ]
    rows = events()
    late = {row["user_id"] for row in rows if row["event_type"] == "purchase" and row["event_time"] >= at(49)}
    assert late
    publish(tmp_path, rows)
    people = {f"u{user:03d}": {"region": "north" if user % 2 else "south", "bought": str(f"u{user:03d}" in late)} for user in range(240)}
    publish_world(tmp_path, [*rows, *later], [{"item_id": f"i{n}", "category": f"kind {n % 4}"} for n in range(8)], people, "longer")
    dataset = Home(tmp_path).dataset("longer")
    predict(Home(tmp_path), dataset, cutoff=at(56), options=ALL, profile=COUNTS)
    other = dataset.run_path("propensity", dataset.runs("propensity")[-1])
    for name in ("scores", "categories", "revenue", "test"):
        assert read_table(other / f"{name}.parquet").equals(read_table(folder / f"{name}.parquet")), name


def test_networks_over_acts_and_the_optimiser_are_asked_for_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    publish(tmp_path, events(240, 42))
    words = ["predict", "--dataset", "tiny", "--home", str(tmp_path), "--json", "--horizon", "7d", "--blocks", "counts"]
    assert main([*words, "--models", "gru,lightgbm_text", "--optimizer", "sgd"]) == 0, capsys.readouterr().err
    told = json.loads(capsys.readouterr().out)
    dataset = Home(tmp_path).dataset("tiny")
    record = dataset.run_manifest("propensity", dataset.runs("propensity")[-1])
    assert record["config"]["optimizer"] == "sgd" and record["config"]["models"] == ["gru", "lightgbm_text"]
    assert "gru" in record["metrics"]["models"] and "lightgbm_text" not in record["metrics"]["models"]
    card = read_json(dataset.run_path("propensity", dataset.runs("propensity")[-1]) / "card.json")
    assert card["optimizer"] == "sgd" and card["seconds"]["gru"] > 0 and card["compared"]["gru"]["parameters"] > 1000
    assert any("lightgbm_text" in sentence for sentence in told["warnings"])
    assert main([*words, "--models", "svm"]) == 2
    assert "no model 'svm'" in capsys.readouterr().err


def test_acts_of_a_cutoff_hold_nothing_from_after_it(tmp_path: Path) -> None:
    rows = events(20, 40)
    publish(tmp_path / "whole", rows, 20)
    publish(tmp_path / "cut", [row for row in rows if row["event_time"] < at(30)], 20)
    asked = PredictOptions(horizon=HORIZON, models=("gru",))
    found = []
    for name in ("whole", "cut"):
        home = Home(tmp_path / name)
        known = Known(home, home.dataset("tiny"), home.dataset("tiny").log(at(30)), HORIZON, asked, COUNTS, silent)
        found.append(known.matrix_at(at(30)))
    whole, cut = found
    assert whole.user_ids == cut.user_ids and whole.acts is not None and cut.acts is not None
    for name in ("item", "kind", "numbers"):
        assert np.array_equal(getattr(whole.acts, name), getattr(cut.acts, name)), name
    newest = max(row["event_time"] for row in rows if row["user_id"] == whole.user_ids[0] and row["event_time"] < at(30))
    assert np.expm1(whole.acts.numbers[0, -1, 1]) == pytest.approx((at(30) - newest) / timedelta(days=1), rel=1e-4)


def test_of_many_shoppers_the_same_few_are_learned_from_and_all_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowing, "MOST_LEARNED", 15)
    publish(tmp_path, events(20, 40), 20)
    home = Home(tmp_path)
    known = Known(home, home.dataset("tiny"), home.dataset("tiny").log(at(40)), HORIZON, PredictOptions(horizon=HORIZON), COUNTS, silent)
    assert len(known.matrix_at(at(40)).user_ids) == 20
    assert [str(sentence) for sentence in known.said] == [
        "Learned from and judged on 15 of 20 shoppers, drawn at random; everyone is scored."
    ]
    for day in (20, 30):
        drawn = known.matrix_at(at(day))
        assert len(drawn.user_ids) == 15 and drawn.user_ids == known.labels_at(at(day))["user_id"].to_pylist()
        assert known.revenue_at(at(day))["user_id"].to_pylist() == known.matrix_at(at(20)).user_ids
    monkeypatch.setattr(knowing, "MOST_LEARNED", 20)
    everyone = Known(home, home.dataset("tiny"), home.dataset("tiny").log(at(40)), HORIZON, known.options, COUNTS, silent).matrix_at(at(20))
    rows = [everyone.user_ids.index(user) for user in known.matrix_at(at(20)).user_ids]
    assert np.array_equal(everyone.values[rows], known.matrix_at(at(20)).values, equal_nan=True)


def test_a_chance_by_category_keeps_the_blocks_that_its_model_looks_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, events())
    # the pooled network looks at blocks, and this shop is too small for it to win
    monkeypatch.setattr(categories, "min", lambda *some, key=None: "pooled" if key else min(*some), raising=False)
    home = Home(tmp_path)
    dataset = home.dataset("tiny")
    predict(home, dataset, options=PredictOptions(horizon=HORIZON, category="all"), profile=ProfileOptions(blocks=("counts", "graph")))
    opened = open_categories(home, dataset)
    reading = open_reading(home, dataset)
    assert "graph profile" in opened.kept.blocks and "graph profile" in opened.reading.held.names
    assert set(reading.held.names) == reading.kept.blocks() - {"text profile"}, "the chance itself is explained by what its model sees"
    for row in chances_of(dataset, "u003")[:2]:
        found = why_category(opened, "u003", row["category"])
        assert found["propensity"] == pytest.approx(row["propensity"], abs=1e-6) and abs(found["residual"]) < 0.01


def test_a_chance_by_category_is_explained_as_the_batch_scored_it(run: tuple[Path, dict[str, Any]]) -> None:
    home = Home(next(folder for folder in run[0].parents if (folder / "datasets").is_dir()))
    opened = open_categories(home, home.dataset("tiny"), run[0].name)
    rows = chances_of(home.dataset("tiny"), "u003", run[0].name)
    assert [row["category"] for row in rows] and rows == sorted(rows, key=lambda row: -row["propensity"])
    for row in (rows[0], rows[-1]):
        found = why_category(opened, "u003", row["category"])
        assert found["propensity"] == pytest.approx(row["propensity"], abs=1e-6)
        assert abs(found["residual"]) < 0.01 and found["low"] == pytest.approx(row["low"], abs=1e-6)
        assert set(found["log_odds"]) == {"own counts", "own recency", "alike baskets", "other categories", "shopper at large"}
    best = why_category(opened, "u003", rows[0]["category"])["log_odds"]
    assert best["own counts"] + best["own recency"] > 0  # she buys her favourite kind
    with pytest.raises(NotFoundError, match="kind 9"):
        why_category(opened, "u003", "kind 9")


def test_the_chance_in_one_category_names_it_and_is_not_put_on_screen(tmp_path: Path) -> None:
    publish(tmp_path, events(600), 600)
    home, dataset = Home(tmp_path), Home(tmp_path).dataset("tiny")
    asked = PredictOptions(horizon=HORIZON, category="kind 0")
    told = predict(home, dataset, options=asked, profile=COUNTS)
    assert "with the act purchase in category “kind 0”" in told["verdict"]["sentences"][0]
    assert "with the act purchase in category “kind 0”" in verdict.sentences(told)[0]
    assert any("category 'kind 0' alone" in sentence for sentence in told["warnings"])
    assert predict(home, dataset, options=asked, profile=COUNTS)["reused"]
    assert quality.bring_back(home, "tiny", dataset.version_path().name)["runs"] == {} == dataset.current()["runs"]
    with pytest.raises(NotFoundError, match="in category 'kind 0' alone"):
        model_room.use(home, dataset, told["run"])
    assert not model_room.can_be_used(dataset.version_path().name, model_room.facts(dataset, told["run"]))
    reading = open_reading(home, dataset, told["run"])
    found = explaining.why(reading, "u003")
    assert (found["act"], found["category"], found["horizon_days"]) == ("purchase", "kind 0", 7)
