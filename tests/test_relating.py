"""Relations between items from a file to the lists: kept with the dataset, taken up by later lists, lifted again, told on the page."""

import io
import json
from pathlib import Path

import pytest

from core.__main__ import main
from core.artifacts import read_table
from core.pipeline import relating, screens
from core.pipeline.reproducing import command_of, why_not
from core.pipeline.work import recommend
from core.recommender.relations import Relation, Relations
from core.store import Home
from tests.page_worlds import NASTY, tiny_home
from tests.test_pages import open_page, words
from tests.test_recommender_relations import HEAD, shop, sold
from tests.worlds import publish_world

FILE = (HEAD + "item,case,accessory_of,item,phone,\nitem,ghost,part_of,item,phone,\n").encode()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    publish_world(tmp_path / "home", sold(), shop(), dataset="shop")
    return Home(tmp_path / "home")


def case_of_ann(home: Home, run: str) -> dict[str, object]:
    rows = read_table(home.dataset("shop").run_path("recommendations", run) / "recommendations.parquet").to_pylist()
    return next(row for row in rows if (row["user_id"], row["item_id"]) == ("ann", "case"))


def test_a_file_is_kept_for_later_lists_until_it_is_lifted(home: Home) -> None:
    dataset = home.dataset("shop")
    before = recommend(home, dataset)
    given = recommend(home, dataset, relations=FILE)
    assert case_of_ann(home, before["run"])["path"] is None
    assert case_of_ann(home, given["run"])["path"] == "phone > accessory_of (reversed) > case"
    assert given["relations"]["unknown"] == [{"kind": "item", "name": "ghost", "rows": 1}]
    later = recommend(home, dataset)
    assert later["run"] == given["run"] and later["reused"]
    assert read_table(dataset.run_path("recommendations", given["run"]) / "relations.parquet").num_rows == 2
    lifted = recommend(home, dataset, relations=b"")
    assert lifted["run"] == before["run"] and lifted["reused"]
    audit = [json.loads(line) for line in (home.path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["relations"] for line in audit if line["act"] == "keep relations"] == [2, 0]


def test_a_run_with_relations_says_why_it_cannot_be_made_from_the_data_alone(home: Home) -> None:
    dataset = home.dataset("shop")
    record = dataset.run_manifest("recommendations", recommend(home, dataset, relations=FILE)["run"])
    assert "relations between items" in str(why_not("recommendations", record))
    assert "--relations" not in command_of("shop", "recommendations", record)
    plain = dataset.run_manifest("recommendations", recommend(home, dataset, relations=b"")["run"])
    assert why_not("recommendations", plain) is None


def test_the_command_line_takes_a_file_and_refuses_one_that_tells_none(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["recommend", "--home", str(home.path), "--dataset", "shop", "--relations"]
    (tmp_path / "good.csv").write_bytes(FILE)
    (tmp_path / "bad.csv").write_text(HEAD + "item,case,eats,item,phone,1\n")
    (tmp_path / "empty.csv").write_bytes(b"")
    assert main([*argv, str(tmp_path / "good.csv")]) == 0
    assert len(relating.kept_relations(home.dataset("shop")).edges) == 2
    for name, why in (("bad.csv", "Row 1 of the relations says"), ("empty.csv", "--relations none"), ("none.csv", "cannot be read")):
        assert main([*argv, str(tmp_path / name)]) != 0
        assert why in capsys.readouterr().err
    assert len(relating.kept_relations(home.dataset("shop")).edges) == 2, "what is refused replaces nothing"
    assert main([*argv, "none"]) == 0
    assert relating.kept_relations(home.dataset("shop")) == Relations()


def test_the_page_lists_unknown_names_keeps_a_file_and_starts_new_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("pages.parts.jobs.start_job", lambda home, argv, title: started.append(argv) or "20240101-000000-abcdef")
    path = tiny_home(tmp_path / "home")
    here = screens.open_screen(Home(path), "tiny")
    (item,) = [str(row[0]) for row in _first_item(here)]
    rows = [Relation("item", NASTY, "goes_with", "item", item)]
    data = json.dumps(Relations(tuple(rows)).record()).encode()
    monkeypatch.setattr("streamlit.file_uploader", lambda label, **more: io.BytesIO(data) if more["key"] == "relations-file" else None)
    app = open_page("recommendations", path, monkeypatch)
    assert not app.exception and "Names that are not in the catalogue and lead nowhere: 1" in words(app)
    unknown = next(table.value for table in app.dataframe if set(table.value.columns) == {"kind", "name", "rows"})
    assert unknown.to_dict("records") == [{"kind": "item", "name": NASTY, "rows": 1}]
    app.button(key="relations-keep").click().run()
    assert relating.kept_relations(here.dataset).edges == tuple(rows)
    assert "1 relation is kept" in words(app) and "made with other relations" in words(app) and "<script>" not in words(app)
    app.button(key="relations-recommend").click().run()
    assert started == [["recommend", "--dataset", "tiny"]]
    app.button(key="relations-remove").click().run()
    assert not app.exception and relating.kept_relations(here.dataset) == Relations()


def _first_item(here: screens.Screen) -> list[tuple[object, ...]]:
    with here.log.history() as connection:
        return connection.execute("SELECT item_id FROM catalogue ORDER BY item_id LIMIT 1").fetchall()
