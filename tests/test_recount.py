"""Figures of the pages are found again from an export, by a process that knows nothing of this project; a wrong one is found out."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from core.pipeline import work
from core.pipeline.verifying import RECOUNT, verify
from core.recount import SQL, equal, statement
from core.store import Dataset, Home

WANTED = (
    *("overview.sessions", "overview.trend", "data.rows_read", "copy:overview.sessions"),
    *("behaviour.funnel", "behaviour.retention_weeks", "behaviour.retention_days", "copy:behaviour.retention_weeks"),
    *("overview.changed_newness", "overview.conversion_change_category", "copy:overview.revenue_change_newness"),
)


@pytest.fixture
def home(ingest: Callable[..., dict[str, Any]], dataset: Dataset) -> Home:
    """A log of a shop: five shoppers, sixteen days, an order of two lines, a session over midnight, an unknown category, a bad row."""
    kinds, start = ("view", "cart", "purchase"), datetime(2024, 3, 1, 10)
    lines = [
        f"u{n % 5},i{n % 4},{kinds[n % 3]},{start + timedelta(hours=9.7 * n)},"
        f"{f'{2.5 + n},o{n // 6}' if n % 3 == 2 else ','},Thing {n % 4},{'A' if n % 4 else ''}"
        for n in range(40)
    ]
    ingest("user_id,item_id,event,time,revenue,order_id,title,category\n" + "\n".join(lines) + "\nu1,i1,view,never,,,Thing 1,A\n")
    return Home(dataset.path.parents[1])


def counted_again(folder: Path) -> dict[str, dict[str, Any]]:
    done = subprocess.run([sys.executable, "-I", str(RECOUNT), str(folder)], cwd=folder, capture_output=True, text=True, check=True)
    return {figure["id"]: figure for figure in json.loads(done.stdout.splitlines()[0])["figures"]}


def test_every_figure_of_a_small_log_is_found_again(home: Home, tmp_path: Path) -> None:
    told = verify(home, home.dataset("shop"), tmp_path / "out")
    assert (told["failed"], {"overview.sessions", "overview.trend", "data.rows_read"} - {f["id"] for f in told["figures"]}) == ([], set())
    orders = next(figure for figure in told["figures"] if figure["id"] == "overview.orders")
    assert orders["shown"] == orders["found"] > 0
    kept = json.loads((tmp_path / "out" / "recount.json").read_text(encoding="utf-8"))
    assert kept["modules_of_the_project"] == []


def test_what_was_changed_after_the_export_is_found_out(home: Home, tmp_path: Path) -> None:
    verify(home, home.dataset("shop"), tmp_path / "out")
    events, figures = tmp_path / "out" / "events.parquet", tmp_path / "out" / "figures.json"
    table = pq.read_table(events)
    pq.write_table(table.slice(1), events)  # a row is missing
    found = counted_again(tmp_path / "out")
    assert found["overview.events"]["shown"] - found["overview.events"]["found"] == 1
    wrong = {"overview.events", "overview.trend", "copy:overview.trend", "behaviour.retention_days"}
    assert not any(found[name]["agrees"] for name in wrong) and found["data.rows_merged"]["agrees"]

    place = table.schema.get_field_index("revenue")
    pq.write_table(table.set_column(place, "revenue", pc.add(table["revenue"].cast(pa.float64()), 1e-6)), events)  # amounts differ
    found = counted_again(tmp_path / "out")
    assert not found["overview.revenue"]["agrees"] and found["overview.events"]["agrees"]

    asked = json.loads(figures.read_text(encoding="utf-8"))
    asked["figures"] = [{"id": "overview.happiness", "page": "overview", "value": 7}]  # a figure that nobody can count
    figures.write_text(json.dumps(asked), encoding="utf-8")
    assert not counted_again(tmp_path / "out")["overview.happiness"]["agrees"]


def test_rates_agree_within_a_billionth_and_counts_exactly() -> None:
    assert equal(0.25, 0.25 + 5e-10) and not equal(0.25, 0.25 + 5e-9)
    assert not equal(1_000_000_000, 1_000_000_001) and equal(None, None) and not equal(None, 0)


def test_names_of_models_cannot_leave_their_quotes() -> None:
    assert 'avg(("x""; DROP TABLE y; --" - label)' in str(statement('propensity.brier.x"; DROP TABLE y; --'))
    assert statement("propensity.brier") is None and len(SQL) > 30


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grocery", "clickstream"])
def test_the_pages_of_the_samples_are_found_again(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path / "home")
    work.load_sample(home, name)
    told = verify(home, home.dataset(name))
    assert (told["failed"], told["checked"] >= 19) == ([], True)
