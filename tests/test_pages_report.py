"""The page Report, and what changed on the Overview: the command that a job gets, and the words on screen."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.pipeline import screens
from core.pipeline.behaviour import Filters
from core.pipeline.report_sections import SECTIONS
from core.pipeline.reporting import Asked, make_report
from core.store import Home
from pages.parts import report
from tests.page_worlds import tiny_home
from tests.worlds import at

ROOT = Path(__file__).resolve().parents[1]


def opened(home: Path, monkeypatch: pytest.MonkeyPatch, page: str) -> AppTest:
    monkeypatch.setenv("SHOPPER_ATLAS_HOME", str(home))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["page"] = page
    return app.run()


def test_the_page_lists_reports_with_three_files_and_starts_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tiny_home(tmp_path, users=20, runs=False))
    make_report(home, home.dataset("tiny"), Asked(("funnel",), title="*Spring* <b>"))
    started: list[Any] = []
    monkeypatch.setattr("pages.parts.jobs.start_job", lambda *values: started.append(values) or "none")
    app = opened(tmp_path, monkeypatch, "report")
    assert not app.exception and any(r"\*Spring\* \<b\>" in text.value for text in app.markdown)
    app.button(key="report-make").click().run()
    assert started[0][1][:3] == ["report", "--dataset", "tiny"] and f"--sections={','.join(SECTIONS)}" in started[0][1]


def test_the_command_of_a_report_carries_every_filter(tmp_path: Path) -> None:
    home = tiny_home(tmp_path, users=4, runs=False)
    here = screens.open_screen(Home(home), "tiny")
    chosen = Filters(at(1), at(2), ("view", "cart"), "-C", "B", 0, "A", ("region", "north"))
    words = report.arguments(here, chosen, 28, ["funnel", "overview"], "--title")
    assert words[3:] == [
        "--sections=overview,funnel", "--title=--title", "--language=en", "--days=28", "--since=2024-03-02T00:00:00",
        "--until=2024-03-03T00:00:00", "--events=view,cart", "--category=-C", "--brand=B", "--segment=0", "--audience=A",
        "--attribute=region=north",
    ]  # fmt: skip
    assert list(report.SECTION_WORDS) == list(SECTIONS)


def test_the_overview_says_what_changed_and_why_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(tiny_home(tmp_path, users=20), monkeypatch, "overview")
    assert any("does not reach back" in text.value for text in app.caption)
    app.radio(key="period").set_value(7).run()
    assert not app.exception
    for parts in ("newness", "category", "segment"):
        app.radio(key="changed-by").set_value(parts).run()
        assert not app.exception and any("Conversion of shoppers went from" in text.value for text in app.markdown), parts
