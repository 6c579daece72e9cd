"""The command line from a raw file to recommendations: what it prints, writes and refuses, and that it never looks ahead."""

import csv
import io
import json
import random
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.__main__ import main
from core.artifacts import read_arrays
from core.store import Home
from tests.worlds import DAY_ONE

Cli = Callable[..., tuple[int, dict[str, Any]]]

SHELVES = {
    "Tea": ["Green tea", "Black tea", "Oolong tea"],
    "Shoes": ["Running shoes", "Leather boots", "Sandals"],
    "Phones": ["Smart phone", "Phone case", "Charger"],
    "Books": ["Cook book", "Novel", "Travel guide"],
}


def write_shop(path: Path, users: int = 260, days: int = 60) -> Path:
    """A small shop log: each user likes one shelf, looks, carts, buys; a quarter of them much more often than others."""
    rng = random.Random(7)
    rows = []
    for number in range(users):
        shelf = rng.choice(sorted(SHELVES))
        day = rng.uniform(0, 6)
        while day < days:
            other = rng.choice(sorted(SHELVES))
            category = shelf if rng.random() < 0.8 else other
            title = rng.choice(SHELVES[category])
            clock = DAY_ONE + timedelta(days=day)
            price = 5 + 10 * SHELVES[category].index(title)
            for act, chance, minutes in (("view", 1.0, 0), ("addtocart", 0.5, 3), ("purchase", 0.35, 9)):
                if rng.random() < chance:
                    time = clock + timedelta(minutes=minutes)
                    rows.append((f"u{number:03d}", f"{category}-{title}", act, time.strftime("%Y-%m-%d %H:%M:%S"), title, category, price))
            day += rng.expovariate(1 / (2.0 if number % 4 == 0 else 6.0))
    rows.sort(key=lambda row: row[3])
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["visitor", "sku", "event", "timestamp", "product name", "category", "price"])
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chain")


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    def call(*words: str) -> tuple[int, dict[str, Any]]:
        status = main([*words, "--home", str(home), "--json"])
        return status, json.loads(capsys.readouterr().out)

    return call


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("files") / "shop.csv")


@pytest.mark.slow
def test_the_whole_chain_runs_and_every_table_is_whole(cli: Cli, shop: Path, home: Path, tmp_path: Path) -> None:
    status, told = cli("run", "--dataset", "shop", "--events", str(shop))
    assert status == 0, told
    assert [stage["stage"] for stage in told["stages"]] == ["ingest", "profile", "map", "recommend", "predict"]
    ingested = told["results"]["ingest"]
    lines = len(shop.read_text(encoding="utf-8").splitlines()) - 1
    assert ingested["rows_read"] == lines == ingested["rows_kept"] + ingested["rows_quarantined"] + ingested["rows_merged"]

    status, told = cli("export", "--dataset", "shop", "--out", str(tmp_path))
    assert status == 0
    users = set(pq.read_table(tmp_path / "events.parquet")["user_id"].to_pylist())
    assert len(users) == 260
    for name in ("features", "segments", "propensity"):
        assert pq.read_table(tmp_path / f"{name}.parquet")["user_id"].to_pylist() == sorted(users)
    scores = pq.read_table(tmp_path / "propensity.parquet").to_pylist()
    assert all(0 < row["low"] <= row["propensity"] <= row["high"] < 1 for row in scores)
    lists: dict[str, list[int]] = {}
    for row in pq.read_table(tmp_path / "recommendations.parquet").to_pylist():
        lists.setdefault(row["user_id"], []).append(row["rank"])
    assert set(lists) == users
    assert all(ranks == list(range(1, 13)) for ranks in lists.values())  # the shop sells twelve items

    status, told = cli("verify", "--dataset", "shop")
    assert (status, told["failed"]) == (0, [])
    assert {f["page"] for f in told["figures"]} == {"overview", "behaviour", "data", "map", "propensity", "recommendations", "features"}

    status, told = cli("audience", "--dataset", "shop", "--rule", '{"propensity": {"at_least": 0.0}}', "--out", str(tmp_path / "a.csv"))
    assert status == 0, told
    assert told["users"] == 260
    assert told["exported"] + told["holdout"] == 260
    with (tmp_path / "a.csv").open(encoding="utf-8-sig") as stream:
        exported = {row["user_id"] for row in csv.DictReader(stream)}
    assert len(exported) == told["exported"]
    assert abs(sum(row["propensity"] for row in scores if row["user_id"] in exported) - told["expected_buyers"]) < 1e-6

    plain = cli("search", "--dataset", "shop", "--query", "phone cases", "--user", "u000", "--strength", "0")[1]
    own = cli("search", "--dataset", "shop", "--query", "phone cases", "--user", "u000", "--strength", "1")[1]
    assert [row["item_id"] for row in plain["results"]] == plain["plain"] == own["plain"]
    assert plain["plain"][0] == "Phones-Phone case" and {row["item_id"] for row in own["results"]} == set(plain["plain"])

    (tmp_path / "ids.txt").write_text("\n".join([*sorted(users)[:30], "nobody"]), encoding="utf-8")
    status, told = cli("alike", "--dataset", "shop", "--ids", str(tmp_path / "ids.txt"), "--k", "40", "--out", str(tmp_path / "b.csv"))
    assert status == 0 and (told["seeds"], told["unknown_ids"], told["users"]) == (30, 1, 40)
    status, told = cli("ad", "--dataset", "shop", "--text", "a new phone", "--out", str(tmp_path / "ad.parquet"))
    assert status == 0 and "Phones" in told["categories"] and pq.read_table(tmp_path / "ad.parquet").num_rows == told["users"] == 260

    status, told = cli("run", "--dataset", "shop")
    assert status == 0
    assert all(result["reused"] and result["seconds_per_1000_users"] > 0 for result in told["results"].values())


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["predict", "recommend"])
def test_a_cutoff_equals_a_file_without_the_later_rows(cli: Cli, shop: Path, tmp_path: Path, verb: str) -> None:
    cutoff = (DAY_ONE + timedelta(days=45)).strftime("%Y-%m-%d")
    cut = tmp_path / "cut.csv"
    lines = shop.read_text(encoding="utf-8").splitlines(keepends=True)
    cut.write_text("".join([lines[0], *(line for line in lines[1:] if line.split(",")[3] < cutoff)]), encoding="utf-8")
    for name, file in (("full", shop), ("cut", cut)):
        assert cli("ingest", "--dataset", name, "--events", str(file))[0] == 0
        more = ("--category", "all") if verb == "predict" else ()
        status, told = cli(
            verb, "--dataset", name, "--cutoff", cutoff, "--horizon", "7d", *more, "--out", str(tmp_path / f"{name}.parquet")
        )
        assert status == 0, told
    assert (tmp_path / "full.parquet").read_bytes() == (tmp_path / "cut.parquet").read_bytes()
    expected = {
        "predict": ["user_id", "category", "propensity", "low", "high"],
        "recommend": ["user_id", "rank", "item_id", "score", "reason"],
    }
    assert pq.read_table(tmp_path / "full.parquet").column_names == expected[verb]


@pytest.mark.slow
def test_learned_blocks_are_the_same_without_the_later_rows_and_draws_a_map(cli: Cli, shop: Path, home: Path, tmp_path: Path) -> None:
    cutoff = (DAY_ONE + timedelta(days=45)).strftime("%Y-%m-%d")
    lines = shop.read_text(encoding="utf-8").splitlines(keepends=True)
    cut = tmp_path / "early.csv"
    cut.write_text("".join([lines[0], *(line for line in lines[1:] if line.split(",")[3] < cutoff)]), encoding="utf-8")
    blocks, asked = [], ("--blocks", "counts,sequence,graph")
    for name, path in (("whole_shop", shop), ("early_shop", cut)):
        assert cli("ingest", "--dataset", name, "--events", str(path))[0] == 0
        status, told = cli("profile", "--dataset", name, "--cutoff", cutoff, *asked)
        assert status == 0, told
        folder = Home(home).dataset(name).run_path("profiles", told["run"])
        blocks.append(np.hstack([read_arrays(folder / f"{block}.safetensors")[block] for block in ("sequence", "graph")]))
    assert np.array_equal(*blocks) and blocks[0].any(axis=1).all()
    status, told = cli("map", "--dataset", "whole_shop", "--cutoff", cutoff, *asked)
    assert status == 0, told


@pytest.fixture(scope="module")
def judged(shop: Path, home: Path) -> dict[str, Any]:
    """What `blocks` tells of the whole shop as of its 45th day; it stays the dataset `judged`."""
    told = io.StringIO()
    with redirect_stdout(told):
        assert main(["ingest", "--dataset", "judged", "--events", str(shop), "--home", str(home)]) == 0
        told.truncate(0)
        told.seek(0)
        cutoff = (DAY_ONE + timedelta(days=45)).strftime("%Y-%m-%d")
        assert main(["blocks", "--dataset", "judged", "--cutoff", cutoff, "--horizon", "7d", "--home", str(home), "--json"]) == 0
    return dict(json.loads(told.getvalue()))


def test_the_blocks_of_a_profile_are_judged_without_a_look_ahead(cli: Cli, shop: Path, judged: dict[str, Any], tmp_path: Path) -> None:
    cutoff = (DAY_ONE + timedelta(days=45)).strftime("%Y-%m-%d")
    lines = shop.read_text(encoding="utf-8").splitlines(keepends=True)
    cut = tmp_path / "earlier.csv"
    cut.write_text("".join([lines[0], *(line for line in lines[1:] if line.split(",")[3] < cutoff)]), encoding="utf-8")
    assert cli("ingest", "--dataset", "judged_early", "--events", str(cut))[0] == 0
    status, early = cli("blocks", "--dataset", "judged_early", "--cutoff", cutoff, "--horizon", "7d")
    assert status == 0, early
    told = [judged, early]
    assert told[0]["rows"] == told[1]["rows"] and told[0]["of"] == "categories"
    assert told[0]["weights"] == told[1]["weights"]
    rows = {row["blocks"]: row for row in told[0]["rows"] if row["weighing"] == "equal"}
    assert rows["counts"]["gain"] == 0 and rows["counts"]["targets"] == 4
    assert rows["counts + text"]["gain_low"] > 0, "each shopper of this shop keeps to a shelf, and texts tell which"
    assert all(row["low"] <= row["auc"] <= row["high"] for row in told[0]["rows"])
    best = told[0]["rows"][-1]
    assert best["weighing"] == "chosen" and best["gain_low"] > 0
    assert told[0]["weights_auc"] > told[0]["best_subset_auc"] - 0.01  # blocks whose gain there may be chance have lost their weight
    assert cli("blocks", "--dataset", "judged", "--cutoff", cutoff, "--horizon", "7d")[1]["reused"]


def test_weights_of_blocks_never_see_the_window_that_judges_them(cli: Cli, shop: Path, judged: dict[str, Any], tmp_path: Path) -> None:
    cutoff, window = ((DAY_ONE + timedelta(days=days)).strftime("%Y-%m-%d") for days in (45, 38))
    lines = shop.read_text(encoding="utf-8").splitlines(keepends=True)
    thinned = tmp_path / "thinned.csv"
    early = [line for line in lines[1:] if line.split(",")[3] < window]
    late = [line for line in lines[1:] if line.split(",")[3] >= window]
    thinned.write_text("".join([lines[0], *early, *late[::2]]), encoding="utf-8")
    assert cli("ingest", "--dataset", "thinned", "--events", str(thinned))[0] == 0
    status, result = cli("blocks", "--dataset", "thinned", "--cutoff", cutoff, "--horizon", "7d")
    assert status == 0, result
    told = [judged, result]
    same = ("weights", "weights_auc", "best_subset", "best_subset_auc", "weights_at")
    assert [told[0][name] for name in same] == [told[1][name] for name in same]
    assert told[0]["sequence"]["losses"] == told[1]["sequence"]["losses"] and told[0]["graph"]["edges"] == told[1]["graph"]["edges"]
    assert told[0]["rows"] != told[1]["rows"], "half of the judged purchases are gone, and the figures say so"


def test_a_run_with_a_cutoff_does_not_change_what_is_on_screen(cli: Cli, shop: Path, home: Path) -> None:
    assert cli("ingest", "--dataset", "still", "--events", str(shop))[0] == 0
    assert cli("profile", "--dataset", "still", "--cutoff", "2024-04-01", "--blocks", "counts")[0] == 0
    assert Home(home).dataset("still").current()["runs"] == {}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ingest", "--dataset", "d", "--events", "/nowhere/log.csv"), "No file matches"),
        (("ingest", "--dataset", "Not A Name", "--events", __file__), "cannot name a dataset"),
        (("ingest", "--dataset", "d", "--events", __file__, "--map", "/nowhere.json"), "mapping file"),
        (("map", "--dataset", "nowhere"), "There is no dataset"),
        (("predict", "--dataset", "nowhere"), "There is no dataset"),
        (("predict", "--dataset", "nowhere", "--horizon", "soon"), "is not a horizon"),
        (("recommend", "--dataset", "nowhere", "--out", "lists.xls"), "must end in"),
        (("audience", "--dataset", "nowhere", "--rule", "{"), "There is no dataset"),
        (("search", "--dataset", "nowhere", "--query", "tea"), "There is no dataset"),
        (("ad", "--dataset", "nowhere", "--text", "tea"), "There is no dataset"),
        (("jobs", "--cancel", "nothing"), "There is no job"),
    ],
)
def test_what_people_can_mend_is_said_in_a_sentence(cli: Cli, words: tuple[str, ...], sentence: str, home: Path) -> None:
    status, told = cli(*words)
    assert status == 2
    assert sentence in told["error"]
    assert not (home / "datasets" / "d").exists()


def test_a_model_that_is_not_at_hand_is_named_before_any_work(cli: Cli, shop: Path, home: Path) -> None:
    assert cli("ingest", "--dataset", "unread", "--events", str(shop))[0] == 0
    status, told = cli("profile", "--dataset", "unread", "--model", "nobody/nothing")
    assert status == 2
    assert "'nobody/nothing' is no folder and not in the local Hugging Face cache" in told["error"]
    assert Home(home).dataset("unread").runs("profiles") == []


def test_an_empty_log_publishes_nothing(cli: Cli, tmp_path: Path, home: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("user_id,item_id,event_type,event_time\n", encoding="utf-8")
    status, told = cli("ingest", "--dataset", "void", "--events", str(empty))
    assert status == 2
    assert told["kind"] in ("EmptyLogError", "FileError")
    assert "void" not in Home(home).datasets()
