"""The Models page: what blocks add, what was measured of the text model, and the buttons that measure."""

import json
import shutil
from pathlib import Path

import pytest

from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words


def test_the_models_page_tells_what_each_block_of_the_profile_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", tiny_home(tmp_path, users=240), monkeypatch)
    assert not app.exception and not app.error, words(app)
    table = next(frame.value for frame in app.dataframe if "gain" in frame.value)
    assert table["blocks"].tolist() == [
        "counts", "the same, untaught", "behaviour transformer against the same network, untaught", "counts + texts"
    ], "sets without a block are told in sentences"  # fmt: skip
    assert table["weights"].tolist() == ["equal", "equal", "equal", "1 · 0.5"]
    assert table["gain"].tolist() == ["–", "-0.100 [-0.110, -0.090]", "+0.020 [+0.010, +0.030]", "+0.050 [+0.040, +0.060]"]
    assert table["behind"].tolist() == ["+0.050 [+0.040, +0.060]", "+0.150 [+0.140, +0.160]", "–", "–"]
    assert table["auc"].tolist()[2] == table["interval"].tolist()[2] == "–"
    assert "learned helps: alone it is +0.020 [+0.010, +0.030] of AUC ahead of the same network, untaught" in words(app)
    unseen = next(frame.value for frame in app.dataframe if "positives" in frame.value and "band" in frame.value)
    assert unseen["band"].tolist() == ["all shoppers", "cold: 1 event", "hot: 5 or more events"]
    assert unseen["counts"].tolist() == ["0.700 [0.600, 0.800]"] * 3 and unseen["blocks"].tolist() == ["–"] * 3
    assert "The block **texts** helps: beside the others it adds +0.050 [+0.040, +0.060] of AUC." in words(app)
    assert "**graph** gets no weight" in words(app) and "**behaviour transformer**" not in words(app)
    assert "a difference of +0.010 [-0.010, +0.030]" in words(app)
    assert "Mean AUC over 4 categories within 7 days from 2024-03-13" in words(app)
    assert any(tile.label == "Surprise at the next item" and tile.value == "6.50 → 5.25" for tile in app.metric)
    assert any(tile.label == "Learned from" and tile.value == "960 acts" for tile in app.metric)
    assert "The newest 192 acts of a shopper reach the vector. 40 acts of 2 shoppers lie beyond;" in words(app)
    assert "for this version 2 of 240 histories were read, in 0.3 CPU s." in words(app)
    held = next(frame.value for frame in app.dataframe if "source" in frame.value).set_index("block")
    assert held.index.tolist() == [
        "counts", "behaviour transformer", "graph", "pictures", "facts", "items themselves", "histories told as text"
    ]  # fmt: skip
    assert held.loc["counts"].tolist()[1:] == ["2", "0.4", "0.0%"] and held.loc["histories told as text"].tolist()[1:] == [
        "24",
        "1.5",
        "0.0%",
    ]
    assert held.loc["behaviour transformer"].tolist()[1:] == ["128", "0.3", "0.4%"] and held.loc["graph", "empty"] == "–"
    foreseen = next(frame.value for frame in app.dataframe if "verdict" in frame.value)
    assert foreseen["verdict"].tolist() == ["better", "no clear difference"] and foreseen["interval"].tolist()[0] == "[0.250, 0.350]"
    assert any(tile.label == "Kept" and tile.value == "40.0%" for tile in app.metric)
    assert any(tile.label == "Budget" and tile.value == "64 tokens" for tile in app.metric)
    rivals = next(frame.value for frame in app.dataframe if "in_use" in frame.value)
    assert rivals["in_use"].tolist() == [False, True] and rivals["against"].tolist() == ["–", "+0.0100 [+0.0060, +0.0140]"]
    assert "An act counts half after **15 days**" in words(app)
    assert any(tile.label == "Items with a picture" and tile.value == "55.6%" for tile in app.metric)
    assert "colours and edges are counted" in words(app) and "2 name an address on the network, which is never fetched" in words(app)
    facts = next(frame.value for frame in app.dataframe if "read_as" in frame.value)
    assert facts["read_as"].tolist() == ["2 categories and “other”, 90.0% of the values stand alone", "number, mean 40.000, spread 9.000"]
    assert "sku: hardly any value comes twice" in words(app) and any("who they are" in warning.value for warning in app.warning)


def test_the_models_page_tells_what_was_measured_of_the_text_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", tiny_home(tmp_path, users=240), monkeypatch)
    assert not app.exception and not app.error, words(app)
    tables = [frame.value for frame in app.dataframe]
    tuned = next(table for table in tables if "trainable" in table)
    assert tuned["method"].tolist() == ["the model as it is", "LoRA", "counts, without the model"]
    assert "The weights of LoRA are kept" in words(app) and "which two halves belong to one history" in words(app)
    assert tuned["trainable"].tolist() == ["0.00%", "1.50%", "–"] and tuned["seconds"].tolist() == ["0", "42", "–"]
    assert tuned["gain"].tolist() == ["–", "+0.020 [+0.010, +0.030]", "+0.100 [+0.090, +0.110]"]
    form = next(table for table in tables if "cosine" in table).iloc[0].tolist()
    assert form[:5] == ["fewer layers, taught", "46 MB", "3,000", "0.900", "60.0%"]
    carried = next(table for table in tables if "labelled" in table)
    assert carried["gain"].tolist() == ["–", "+0.050 [+0.040, +0.060]"] and carried["alone"].tolist()[1] == "0.600"
    assert "Learned from other" in words(app)
    assert "Items themselves behind the profiles" in words(app)
    assert "16 of a budget of 16" in words(app) and "4 to each of 4 matrices" in words(app)
    drawn = next(
        f
        for f in (json.loads(chart.proto.spec) for chart in app.get("plotly_chart"))
        if f["data"][0].get("x") == ["attention.self.query", "output"]
    )
    assert drawn["data"][0]["y"] == ["layer 1: 4", "layer 2: 12"]


def test_after_an_append_what_another_dataset_taught_and_the_features_name_the_version_they_are_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tiny_home(tmp_path / "home", users=240)
    folder = home / "datasets" / "tiny"
    shutil.copytree(folder / "versions" / "v0001", folder / "versions" / "v0002")
    pointers = json.loads((folder / "CURRENT").read_text(encoding="utf-8"))
    (folder / "CURRENT").write_text(json.dumps({**pointers, "version": "v0002"}), encoding="utf-8")
    app = open_page("models", home, monkeypatch)
    said = [caption.value.replace("\\", "") for caption in app.caption]
    place = next(number for number, text in enumerate(said) if "Learned from other" in text)
    assert said[place - 1] == "computed from v0001" and said.count("computed from v0001") == 4
    assert said[-1] == "Run profiles-0001 of version v0001."
    runs = {kind: run for kind, run in pointers["runs"].items() if kind != "profiles"}
    shutil.copytree(home, tmp_path / "again")
    (tmp_path / "again" / "datasets" / "tiny" / "CURRENT").write_text(json.dumps({**pointers, "runs": runs}), encoding="utf-8")
    app = open_page("models", tmp_path / "again", monkeypatch)
    assert "Learned from other" in words(app) and "Run profiles" not in words(app) and not app.exception


def test_measuring_the_text_model_starts_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("pages.parts.jobs.start_job", lambda home, argv, title: started.append(argv) or "20240101-000000-abcdef")
    home = tiny_home(tmp_path / "home", users=240)
    pointers = home / "datasets" / "tiny" / "CURRENT"
    record = json.loads(pointers.read_text(encoding="utf-8"))
    record["runs"] = {kind: run for kind, run in record["runs"].items() if kind not in ("tuning", "compression")}
    pointers.write_text(json.dumps(record), encoding="utf-8")
    app = open_page("models", home, monkeypatch)
    app.button(key="measure-tuning").click().run()
    assert started == [["tune", "--dataset", "tiny"]]
    assert app.button(key="measure-compression").disabled and "The catalogue has 6 distinct texts; 40 are needed" in words(app)
    monkeypatch.setattr("core.pipeline.measurable.LEAST_TEXTS", 6)
    shutil.copytree(home, tmp_path / "again")
    app = open_page("models", tmp_path / "again", monkeypatch)
    app.button(key="measure-compression").click().run()
    assert started[1:] == [["compress", "--dataset", "tiny"]]
