"""What damaged logs do to a chance, and how it goes with single counts, on their pages: drawn from runs, in both languages."""

from pathlib import Path

import pyarrow as pa
import pytest

from core.artifacts import write_table
from core.explain.fairness import FIELDS
from core.explain.robustness import CURVE, GROUPS
from core.store import Home
from pages.parts import jobs
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words


def publish_damage(home: Path) -> None:
    """Publish three damages of one step each, and what the model looks at."""
    dataset = Home(home).dataset("tiny")
    inputs = {"version": dataset.current()["version"], "propensity": dataset.current()["runs"]["propensity"]}
    rows = [{"damage": kind, "strength": strength} | dict.fromkeys(CURVE.names[2:], 0.8 - strength)
            for kind in ("drop", "jitter", "swap") for strength in (0.0, 0.5)]  # fmt: skip
    worst = {"damage": "jitter", "strength": 3.0, "partition": "stage", "group": "away", "users": 90, "rise": 0.2, "low": 0.1, "high": 0.3}
    with dataset.new_run("robustness", inputs=inputs, config={"seed": 0}, cutoff=None) as draft:
        write_table(draft.path / "robustness.parquet", pa.Table.from_pylist(rows, schema=CURVE))
        write_table(draft.path / "groups.parquet", pa.Table.from_pylist([worst], schema=GROUPS))
        draft.record |= {"users": 12, "worst": worst, "warnings": []}
    with dataset.new_run("explanations", inputs=inputs, config={}, cutoff=None) as draft:
        write_table(draft.path / "importance.parquet", pa.table({"feature": ["carts"], "loss": [0.2], "low": [0.1], "high": [0.3]}))
        band = {"mean": [0.1, 0.4], "low": [0.05, 0.3], "high": [0.15, 0.5]}
        write_table(draft.path / "dependence.parquet", pa.table({"feature": ["carts_28d"] * 2, "value": [0.0, 3.0], **band}))
        write_table(draft.path / "groups.parquet", FIELDS.empty_table())
        draft.record |= {"warnings": []}


@pytest.mark.parametrize(("lang", "told"), [("en", "Suffers most: Gone quiet (90 shoppers)"), ("zh", "受影响最大")])
def test_damaged_logs_and_single_counts_are_told_and_drawn(lang: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tiny_home(tmp_path)
    publish_damage(home)
    app = open_page("propensity", home, monkeypatch, lang)
    assert not app.exception and not app.error and told in words(app)
    table = next(frame.value for frame in app.dataframe if "auc_loss" in frame.value)
    assert len(table) == 6 and table["auc"][1].startswith("0.300")
    why = open_page("why", home, monkeypatch, lang)
    assert not why.exception and (lang == "zh" or "if one count were the same for everybody" in words(why))


def test_damaged_logs_are_tried_by_a_button(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(jobs, "start", lambda words, title: started.append(words))
    app = open_page("propensity", tiny_home(tmp_path), monkeypatch)
    app.button(key="robustness-start").click().run()
    assert started == [["robustness", "--dataset", "tiny"]]
