"""Pictures and facts as blocks: from files through ingest to profiles and judgement, and nothing after a cutoff is seen."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.__main__ import main
from core.artifacts import read_arrays, read_table
from core.encoder.facts import fact_profiles, fit_facts
from core.errors import FileError, GateError, MappingError
from core.pipeline import work
from core.pipeline.encoding import options_in_use
from core.pipeline.judging import judge_blocks
from core.pipeline.options import IngestOptions, ProfileOptions
from core.pipeline.profiling import profile
from core.store import Home, Log, reading
from tests.pictures import KINDS, shop
from tests.worlds import at, publish_world

USERS = 180


def acts(days: float, seed: int = 0, first: float = 0) -> list[dict[str, Any]]:
    """Each shopper buys things of one kind, and by her age often or seldom."""
    rng, rows = np.random.default_rng(seed), []
    for user in range(USERS):
        for day in np.sort(rng.uniform(first, days, 4 + 8 * (user % 2))):
            item = f"{KINDS[user % 3]}{rng.integers(12):02d}"
            rows.append({"user_id": f"u{user:03d}", "item_id": item, "event_type": "purchase", "event_time": at(float(day))})
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    lines = [",".join(rows[0]), *(",".join("" if value is None else str(value) for value in row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """`whole` lasts longer than `early`; later on, new items are bought."""
    folder = tmp_path_factory.mktemp("shop")
    home = Home(folder / "home")
    items = shop(folder / "files")
    catalogue = write(folder / "files/items.csv", [*items, *({"item_id": f"late{n}", "image": "img/cup00.png"} for n in range(40))])
    told = [{"item_id": item["item_id"], "kind": item["item_id"][:-2], "weight_g": 100 + 7 * n, "colour": n % 2, "made_by_id": n, "same": 1,
             "mail": f"a{n}@shop.example"} for n, item in enumerate(items)]  # fmt: skip
    facts = write(folder / "facts.csv", [*told, *({**told[0], "item_id": f"late{n}", "kind": "late", "weight_g": 9999} for n in range(40))])
    people = write(
        folder / "people.csv", [{"user_id": f"u{n:03d}", "age": ("young", "old")[n % 2], "income": n % 90} for n in range(USERS)]
    )
    early = acts(60)
    later = [{"user_id": f"u{n:03d}", "item_id": f"late{n % 40}", "event_type": "purchase", "event_time": at(62)} for n in range(USERS)]
    for name, rows in (("early", [*early, {**early[0], "event_time": at(60)}]), ("whole", [*early, *later, *acts(80, 1, first=60)])):
        log = write(folder / f"{name}.csv", rows)
        work.ingest(home, name, IngestOptions((str(log),), str(catalogue), str(people), facts=str(facts)))
    return home


def options(*blocks: str, **more: Any) -> ProfileOptions:
    return ProfileOptions(("counts", *blocks), device="cpu", picture_model="classic", **more)


def arrays(home: Home, name: str, chosen: ProfileOptions) -> tuple[dict[str, Any], dict[str, Any]]:
    dataset = home.dataset(name)
    told = profile(home, dataset, cutoff=at(60), options=chosen)
    folder = dataset.run_path("profiles", told["run"])
    return told, {block: read_arrays(folder / f"{block}.safetensors")[block] for block in chosen.blocks[1:]}


def test_pictures_and_facts_of_a_cutoff_are_the_same_whatever_comes_later(home: Home) -> None:
    chosen = options("image", "facts", user_facts=True)
    (one, early), (other, whole) = (arrays(home, name, chosen) for name in ("early", "whole"))
    assert all(np.array_equal(early[block], whole[block]) for block in ("image", "facts"))
    assert one["facts"]["columns"] == other["facts"]["columns"] and one["image"]["fates"] == other["image"]["fates"]


def test_shoppers_of_the_same_things_are_alike_by_pictures(home: Home) -> None:
    told, found = arrays(home, "early", options("image"))
    likeness, kind = found["image"] @ found["image"].T, np.arange(USERS) % 3
    same = kind[:, None] == kind
    assert likeness[same].min() > likeness[~same].max()
    assert told["image"]["fates"]["read"] == 76 and told["image"]["kind"] == "classic" and told["image"]["users_without_pictures"] == 0
    table = read_table(home.dataset("early").run_path("profiles", told["run"]) / "pictures.parquet")
    assert table.num_rows == 76 and min(table["vector_index"].to_pylist()) >= 0


def test_facts_are_means_over_what_was_touched_and_say_what_was_left_out(home: Home) -> None:
    told, found = arrays(home, "early", options("facts"))
    card = told["facts"]
    assert [(column["name"], column["values"]) for column in card["columns"]] == [
        ("kind", list(KINDS)), ("weight_g", []), ("colour", ["0", "1"])
    ]  # fmt: skip
    assert card["left_out"] == {"made_by_id": "many", "same": "same"} and not card["asks_of_people"]
    assert np.array_equal(found["facts"][:3, :4].round(6), np.eye(3, 4)), "a shopper of cups has all her weight there"
    assert card["columns"][1]["mean"] == pytest.approx(np.mean([100 + 7 * n for n in range(36)])), (
        "items that come later count for no scale"
    )


def test_facts_of_shoppers_are_off_until_somebody_asks_and_then_warned_of(home: Home) -> None:
    told, found = arrays(home, "early", options("facts"))
    asked, more = arrays(home, "early", options("facts", user_facts=True))
    assert {column["of"] for column in told["facts"]["columns"]} == {"items"} and not told["warnings"]
    assert [column["name"] for column in asked["facts"]["columns"] if column["of"] == "users"] == ["age", "income"]
    assert any("by who they are" in str(warning) for warning in asked["warnings"])
    assert more["facts"].shape[1] > found["facts"].shape[1]


def test_a_column_that_looks_personal_is_no_fact_and_is_not_stored(home: Home) -> None:
    with reading(home.dataset("early").version_path() / "events.duckdb") as connection:
        columns = [row[0] for row in connection.execute("DESCRIBE item_facts").fetchall()]
    assert "mail" not in columns and "kind" in columns
    assert any("looks like" in str(warning) and "mail" in str(warning) for warning in home.dataset("early").manifest()["warnings"])


def test_an_append_keeps_facts_and_takes_new_ones(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    log = write(tmp_path / "a.csv", acts(5))
    first = write(tmp_path / "first.csv", [{"item_id": "cup01", "kind": "a"}, {"item_id": "cup02", "kind": "b"}])
    second = write(tmp_path / "second.csv", [{"item_id": "cup02", "kind": "c", "size": 3}, {"item_id": "cup02", "kind": "d", "size": 4}])
    work.ingest(home, "d", IngestOptions((str(log),), facts=str(first)))
    more = write(tmp_path / "b.csv", acts(9, 1, first=5))
    work.ingest(home, "d", IngestOptions((str(more),), append=True))
    told = work.ingest(home, "d", IngestOptions((str(log),), facts=str(second), append=True))
    with reading(home.dataset("d").version_path() / "events.duckdb") as connection:
        rows = connection.execute("SELECT item_id, kind, size FROM item_facts ORDER BY item_id").fetchall()
    assert rows == [("cup01", "a", None), ("cup02", "c", "3")]
    assert any("rows repeat an item id: 1" in str(warning) for warning in told["warnings"])


def test_a_file_of_facts_without_an_item_or_without_facts_is_refused(tmp_path: Path) -> None:
    log = write(tmp_path / "a.csv", acts(5))
    for rows, why in (
        ([{"item_id": "cup01", "mail": "ann@shop.example"}], "holds no fact"),
        ([{"colour": "red", "size": 1}], "no column for item_id"),
    ):
        facts = write(tmp_path / "facts.csv", rows)
        with pytest.raises(MappingError, match=why):
            work.ingest(Home(tmp_path / "home"), "d", IngestOptions((str(log),), facts=str(facts)))
    assert not Home(tmp_path / "home").datasets(), "nothing stays of a log that was refused"


def test_the_ablation_has_a_row_with_and_without_pictures_and_facts(home: Home) -> None:
    told = judge_blocks(home, home.dataset("whole"), horizon=at(4) - at(0), options=options("image", "facts"))
    assert {row["band"] for row in told["unseen"]["rows"]} >= {"all", "hot"} and told["unseen"]["act"] == "purchase"
    assert sum(row["users"] for row in told["unseen"]["rows"][1:]) == told["unseen"]["rows"][0]["users"] == told["users"]
    rows = {(row["blocks"], row["weighing"]) for row in told["rows"]}
    assert {("image", "equal"), ("counts + image", "equal"), ("counts + facts", "equal")} <= rows
    assert set(told["weights"]) == {"counts", "image", "facts"} and told["image"]["fates"]["read"] == 76
    assert told["facts"]["values"] > 3


def test_without_facts_the_block_says_what_to_do(tmp_path: Path) -> None:
    log: Log = publish_world(tmp_path, acts(5))
    with log.history() as connection, pytest.raises(GateError, match="--facts"):
        fit_facts(connection)


def test_a_category_that_comes_later_is_another(home: Home) -> None:
    log = home.dataset("whole").log()
    with log.history(at(60)) as connection:
        facts = fit_facts(connection)
    with log.history(at(70)) as connection:
        _users, found = fact_profiles(facts, connection)
    assert found[:, 3].max() > 0, "the items `late` were no kind of their own when the scales were learned"


def test_what_the_profiles_on_screen_were_made_with_serves_later_stages(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(home.path.parent / "files")
    arguments = ["profile", "--home", str(home.path), "--dataset", "early", "--json", "--device", "cpu"]
    assert main([*arguments, "--blocks", "counts,image,facts", "--picture-model", "classic", "--pictures", folder, "--user-facts"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert replace(options_in_use(home.dataset("early")), device="cpu") == options("image", "facts", user_facts=True, pictures=folder)
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["run"] == first["run"]
    assert main([*arguments, "--no-user-facts"]) == 0
    assert not options_in_use(home.dataset("early")).user_facts
    with pytest.raises(FileError, match="is no folder"):
        profile(home, home.dataset("early"), options=options("image", pictures="/no/such/folder"))


def test_an_item_with_a_picture_alone_is_recommended_for_how_it_looks(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    items = shop(tmp_path / "files")
    catalogue = write(tmp_path / "files/items.csv", items)
    rows = [row for row in acts(60) if not row["item_id"].endswith("11")]
    work.ingest(home, "d", IngestOptions((str(write(tmp_path / "log.csv", rows)),), str(catalogue)))
    choice = work.RecommendChoice(k=12, source="content", new_only=True, horizon=at(7) - at(0))
    told = work.recommend(home, home.dataset("d"), options=choice, profile=options("image"))
    lists = read_table(home.dataset("d").run_path("recommendations", told["run"]) / "recommendations.parquet").to_pandas()
    untouched = lists[lists["item_id"].str.endswith("11")]
    own = [KINDS[int(user[1:]) % 3] == item[:-2] for user, item in zip(untouched["user_id"], untouched["item_id"], strict=True)]
    best = untouched.assign(own=own).sort_values("rank").groupby("user_id")["own"].first()
    assert len(best) >= USERS / 2 and best.mean() > 0.9, "a thing that nobody bought yet goes to those who buy what looks like it"


def test_an_item_with_a_picture_finds_those_that_look_like_it_from_the_command_line(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", "--home", str(home.path), "--json", "--dataset", "early", "--k", "5", "--like"]
    profile(home, home.dataset("early"), options=options("image"))
    kind = KINDS[1]
    assert main([*words, f"{kind}00"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["by"] == ["image"] and [row["place"] for row in found["results"]] == [1, 2, 3, 4, 5]
    assert all(row["item_id"].startswith(kind) and row["item_id"] != f"{kind}00" for row in found["results"])
    cosines = [row["similarity"] for row in found["results"]]
    assert cosines == sorted(cosines, reverse=True) and found["warnings"] == []
    assert main([*words, "nothing"]) == 2 and "There is no item" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "cup00", "--query", "cup"])
