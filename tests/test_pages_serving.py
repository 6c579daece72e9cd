"""What a browser gets that comes for the first time: scripts from memory, early names of scripts, answers without waiting."""

import asyncio
import re
import socket
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit import file_util

from pages.parts.serving import DOT, Drawing, FirstVisit, answer_at_once

STATIC = Path(file_util.get_static_dir())


def ask(path: str, method: str = "GET", kind: bytes = b"text/html; charset=utf-8") -> tuple[dict[str, Any], bytes]:
    """Start line and body of the answer to one request; what is handed on is answered with `theirs`."""
    sent: list[Any] = []

    async def theirs(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": b"theirs"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("no request has a body here")

    asyncio.run(FirstVisit(theirs)({"type": "http", "method": method, "path": path}, receive, send))
    return sent[0], sent[1]["body"]


def test_a_page_names_the_scripts_of_its_charts_early() -> None:
    start, body = ask("/overview")
    named = re.findall(r"<\./static/js/([\w.-]+)>", dict(start["headers"])[b"link"].decode())
    assert body == b"theirs"
    assert {"PlotlyChart", "Metric", "DataFrame"} <= {name.split(".")[0] for name in named}, "Streamlit's scripts have other names now"
    assert all((STATIC / "static" / "js" / name).is_file() for name in named)
    assert not [name for name in named if name in (STATIC / "index.html").read_text("utf-8")], "what the page names itself"
    assert len(named) == len(set(named))


def test_what_is_no_page_is_handed_on_unchanged() -> None:
    assert dict(ask("/_stcore/health", kind=b"text/plain")[0]["headers"]) == {b"content-type": b"text/plain"}
    assert b"link" not in dict(ask("/overview", method="HEAD")[0]["headers"])


@pytest.mark.parametrize("before", ["", "/atlas"])
def test_a_browser_that_asks_for_the_picture_has_drawn(before: str) -> None:
    first, second = Drawing(), Drawing()
    assert first.address != second.address
    start, body = ask(before + first.address.removeprefix("."))
    assert body == DOT
    assert Image.open(BytesIO(body)).convert("RGBA").getpixel((0, 0))[3] == 0, "transparent"
    headers = dict(start["headers"])
    assert headers[b"cache-control"] == b"no-store", "the next browser asks again"
    assert headers[b"content-type"] == b"image/gif"
    assert first.wait(0)
    assert not second.wait(0.01)
    assert ask(second.address.removeprefix("."))[1] == DOT, "too late, and of no effect"
    assert not Drawing._waiting


@pytest.mark.parametrize("before", ["", "/atlas"])
def test_a_script_comes_from_memory_as_it_is(before: str) -> None:
    for path in sorted((STATIC / "static" / "js").glob("PlotlyChart*.js")):
        start, body = ask(f"{before}/static/js/{path.name}")
        headers = dict(start["headers"])
        assert body == path.read_bytes()
        assert headers[b"content-length"] == str(len(body)).encode()
        assert headers[b"content-type"].startswith(b"text/javascript")
        assert b"immutable" in headers[b"cache-control"]
        assert ask(f"{before}/static/js/{path.name}", method="HEAD")[1] == b"theirs"


@pytest.mark.parametrize(
    "path", ["/static/js/../../index.html", "/static/js/%2e%2e/index.html", "/static/js/", "/static/js/none.js", "/js/index.js"]
)
def test_no_address_reaches_another_file(path: str) -> None:
    assert ask(path)[1] == b"theirs"


def test_sockets_send_small_answers_without_waiting() -> None:
    with socket.socket() as listening, socket.socket() as visitor:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
        opened = len(list(Path("/dev/fd").iterdir()))
        answer_at_once()
        assert len(list(Path("/dev/fd").iterdir())) == opened
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        visitor.connect(listening.getsockname())
        assert visitor.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0, "only those that answer"
        with listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
