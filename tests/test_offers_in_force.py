"""Rules in force: what they bar is in no list, whichever way the list leaves the house."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from core.__main__ import main
from core.offers.rules import rules_from
from core.pipeline import choosing, offering, outcomes, screens, searching
from core.pipeline.exporting import EVENT_TABLES, export_tables
from core.store import Home
from tests.page_worlds import publish_runs

BARRED = ("i1", "i4")
"""One by its id, one by the stock list."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("force")
    rows = ["user_id,item_id,event_type,event_time,title,category,price"]
    for user, step in product(range(12), range(4)):
        kind = ("view", "view", "cart", "purchase")[step] if user % 2 else "view"
        item = (user + step) % 6
        rows.append(f"u{user:03d},i{item},{kind},2024-03-{1 + user:02d} 0{step}:00:00,Thing {item},C{item % 3},{5 + item}")
    (folder / "log.csv").write_text("\n".join(rows), encoding="utf-8")
    path = folder / "home"
    assert main(["ingest", "--home", str(path), "--dataset", "tiny", "--events", str(folder / "log.csv")]) == 0
    publish_runs(path, [f"u{user:03d}" for user in range(12)])
    lists_of(path, folder / "before.csv")
    return path


@pytest.fixture
def held(home: Path) -> screens.Screen:
    here = screens.open_screen(Home(home), "tiny")
    stock = [f"i{n}" for n in range(6) if n != 4]
    offering.save_set(here, rules_from({"name": "house", "block": {"items": ["i1"]}, "stock": stock}))
    offering.put_in_force(here, "house")
    return here


def lists_of(home: Path, out: Path, *more: str) -> str:
    words = ["recommend", "--home", str(home), "--dataset", "tiny", "--k", "4", "--blocks", "counts", "--horizon", "2d"]
    assert main([*words, "--out", str(out), *more]) == 0
    return out.read_text(encoding="utf-8-sig")


def holds(text: str) -> list[str]:
    return [item for item in (*BARRED, "i0") if f'"{item}"' in text or f",{item}," in text]


def test_no_file_of_lists_holds_what_the_rules_in_force_bar(home: Path, held: screens.Screen, tmp_path: Path) -> None:
    every = screens.run_table(held, "recommendations", "recommendations")
    assert every is not None and set(BARRED) <= set(every["item_id"].to_pylist())  # else the test could not fail
    assert holds(lists_of(home, tmp_path / "now.csv")) == ["i0"]
    assert holds(lists_of(home, tmp_path / "then.csv", "--cutoff", "2024-03-10")) == ["i0"]
    for form in ("csv", "parquet"):
        offering.export_lists(held, rules_from({}), 4, tmp_path / f"page.{form}")
    assert holds((tmp_path / "page.csv").read_text(encoding="utf-8-sig")) == ["i0"]
    assert not set(pq.read_table(tmp_path / "page.parquet")["item_id"].to_pylist()) & set(BARRED)


def test_lists_of_the_run_on_screen_are_written_without_ranking_again(home: Path, held: screens.Screen, tmp_path: Path) -> None:
    runs = held.dataset.runs("recommendations")
    words = ["lists", "--home", str(home), "--dataset", "tiny", "--k", "2"]
    assert main([*words, "--out", str(tmp_path / "all.csv")]) == 0
    assert main([*words, "--new-only", "--out", str(tmp_path / "new.parquet")]) == 0
    assert held.dataset.runs("recommendations") == runs
    assert holds((tmp_path / "all.csv").read_text(encoding="utf-8-sig")) == ["i0"]
    new = pq.read_table(tmp_path / "new.parquet").to_pandas()
    assert new["rank"].max() == 2
    with held.log.history() as connection:
        bought = set(connection.execute("SELECT user_id, item_id FROM history WHERE event_type = 'purchase'").fetchall())
    pairs = set(zip(new["user_id"], new["item_id"], strict=True))
    everyone = pq.read_table(held.dataset.run_path("recommendations", str(held.run_id("recommendations"))) / "recommendations.parquet")
    assert bought & set(zip(everyone["user_id"].to_pylist(), everyone["item_id"].to_pylist(), strict=True))  # else the next could not fail
    assert not pairs & bought


def test_no_exported_table_of_a_run_holds_it_and_ranks_close_up(held: screens.Screen, tmp_path: Path) -> None:
    written = export_tables(held.dataset, tmp_path / "tables")["files"]
    names = set(written) - set(EVENT_TABLES) - {"profiles.npz"}
    assert {"recommendations", "recommendation_two_lists"} <= names
    for name in names & {path.stem for path in (tmp_path / "tables").glob("*.parquet")}:
        table = pq.read_table(tmp_path / "tables" / f"{name}.parquet")
        if "item_id" in table.column_names:
            assert not set(table["item_id"].to_pylist()) & set(BARRED), name
    ranks: dict[Any, list[int]] = {}
    for row in pq.read_table(tmp_path / "tables" / "recommendation_two_lists.parquet").to_pylist():
        ranks.setdefault((row["list"], row["user_id"]), []).append(row["rank"])
    assert ranks and all(own == list(range(1, len(own) + 1)) for own in ranks.values())


def test_no_search_brief_report_segment_preview_or_audience_names_it(
    home: Path, held: screens.Screen, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--home", str(home), "--dataset", "tiny"]
    capsys.readouterr()
    assert main(["search", *common, "--json", "--query", "thing", "--user", "u001"]) == 0
    told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert told["plain"] and not {row["item_id"] for row in told["results"]} & set(BARRED)
    assert any("rules in force" in note for note in told["warnings"])
    assert main(["brief", *common, "--users", "u000", "--out", str(tmp_path / "brief")]) == 0
    assert main(["report", *common, "--out", str(tmp_path / "report")]) == 0
    pages = [path for folder in ("brief", "report") for path in (tmp_path / folder).rglob("*.html")]
    assert len(pages) >= 2 and not [page for page in pages if "Thing 4" in page.read_text(encoding="utf-8").partition("Suggested items")[2]]
    loose = rules_from({"pins": [{"item": "i1"}]})
    assert not set(offering.preview(held, "u001", loose).table["item_id"]) & set(BARRED)
    segment = outcomes.recommendations_of_segment(held, 0, 4, loose)
    assert len(segment) and not set(segment["item_id"]) & set(BARRED)
    lists = choosing.rule_tables(held)["recommendations"]
    assert lists.num_rows and not set(lists["item_id"].to_pylist()) & set(BARRED)


def test_a_search_reaches_past_barred_items_to_those_in_stock(home: Path, held: screens.Screen) -> None:
    found = searching.search(held, "thing 4")
    assert len(found.rows) and "i4" not in set(found.rows["item_id"])
    offering.put_in_force(held, None)
    assert "i4" in set(searching.search(held, "thing 4").rows["item_id"])
    assert screens.open_screen(Home(home), "tiny") == held


def test_a_segments_list_moves_with_the_weights(home: Path) -> None:
    here = screens.open_screen(Home(home), "tiny")
    offering.put_in_force(here, None)
    popular, hidden = (
        outcomes.recommendations_of_segment(here, 0, 1, rules_from(rules)) for rules in ({}, {"boost": {"items": {"i5": 10}}})
    )
    assert list(popular["item_id"]) != list(hidden["item_id"]) and "i5" in set(hidden["item_id"])
    assert popular["share"].between(0, 1).all()
