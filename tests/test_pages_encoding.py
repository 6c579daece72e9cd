"""The form that encodes shoppers: what it offers, what it starts, what it refuses."""

import re
from pathlib import Path

import pytest

from core.errors import CoreError, FileError
from core.pipeline import encoding
from core.pipeline.options import ProfileOptions
from core.pipeline.screens import open_screen
from core.store import Home
from pages.parts.encoding import DEVICE_WORDS, MODEL_WORDS
from pages.parts.text import catalogue
from tests.page_worlds import tiny_home
from tests.test_pages import open_page, words


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_home(tmp_path_factory.mktemp("encoding"), users=240)


def test_the_form_starts_what_was_chosen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("pages.parts.jobs.start_job", lambda home, argv, title: started.append(argv) or "20240101-000000-abcdef")
    app = open_page("models", home, monkeypatch)
    app.multiselect(key="encode-blocks").set_value(["text", "graph"]).run()
    app.selectbox(key="encode-device").set_value("cpu").run()
    app.number_input(key="encode-half-life").set_value(30.0).run()
    app.checkbox(key="encode-all").uncheck().run()
    app.button(key="encode").click().run()
    assert not app.exception, words(app)
    [argv] = started
    assert argv[:5] == ["profile", "--dataset", "tiny", "--blocks", "counts,text,graph"]
    assert argv[argv.index("--device") + 1] == "cpu" and argv[argv.index("--half-life") + 1] == "30"


def test_blocks_that_the_log_cannot_fill_are_not_offered_and_told_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", home, monkeypatch)
    offered = set(app.multiselect(key="encode-blocks").options)
    found = encoding.means(open_screen(Home(home), "tiny"))
    assert found.has_texts and not found.has_facts
    assert "facts" not in offered and "the log was loaded without a file of them" in words(app)


def test_another_model_needs_a_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", home, monkeypatch)
    app.selectbox(key="encode-model").set_value("other").run()
    assert "Name the model, or choose another one." in words(app)
    assert not [button for button in app.button if button.key == "encode"]


def test_a_model_that_looks_like_an_option_and_a_folder_elsewhere_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(CoreError, match="is no name"):
        encoding.arguments_of(Home(home), "tiny", ProfileOptions(model="--pictures"), everything=False)
    with pytest.raises(FileError, match="lies outside"):
        encoding.arguments_of(Home(home), "tiny", ProfileOptions(blocks=("counts", "image"), pictures="/etc"), everything=True)


def test_the_machine_is_told_even_when_its_driver_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert encoding._graphics() == ()
    program.write_text("#!/bin/sh\necho 'Some Card 9000'\n", encoding="utf-8")
    assert encoding._graphics() == ("Some Card 9000",)


def test_every_choice_has_a_chinese_word() -> None:
    chosen = {*DEVICE_WORDS.values(), *MODEL_WORDS.values()}
    assert [word for word in chosen if not re.search("[一-鿿]", catalogue("zh").get(word, ""))] == []
