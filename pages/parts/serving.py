"""How the server answers a browser that comes for the first time: at once, from memory, and naming early what the page will need."""

import os
import re
import secrets
import socket
import stat
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from streamlit import file_util

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NEEDED = ("PlotlyChart", "Metric", "DataFrame", "Selectbox", "Radio", "Html", "ButtonGroup", "DownloadButton", "ImageList")
"""Scripts of Streamlit that a first view draws with: a browser asks for them only when it meets the first of their elements."""
YEAR = 31_536_000
"""Seconds that a browser may keep a script, as Streamlit allows it: the hash of its content is in its name."""
DOT = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\0\0\0!\xf9\4\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
"""A picture of one transparent place."""
_IMPORTED = re.compile(r"""(?:from|import)\s*["']\./([\w.-]+\.js)["']""")


def answer_at_once() -> None:
    """Let the sockets that this process listens on, and those that they accept, send a small answer without waiting.

    Streamlit binds its socket without naming TCP, so asyncio leaves Nagle's algorithm on: the body of an answer waits until the browser
    has confirmed its head, 40 ms for each of the hundred files of a first visit (issue 3149 of uvicorn tells the same).
    """
    opened = Path("/dev/fd")
    for number in [int(path.name) for path in opened.iterdir()] if opened.is_dir() else []:
        with suppress(OSError):  # closed meanwhile
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as found:
                is_tcp = found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM
                if is_tcp and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@cache
def early() -> bytes:
    """The header `Link` that has a browser load NEEDED, and what they import, while it reads the page; empty if Streamlit renames them."""
    beside = (_folder() / "index.html").read_text("utf-8") if (_folder() / "index.html").is_file() else ""
    waiting = [name for name in sorted(_names()) if name.split(".")[0] in NEEDED]
    named: list[str] = []
    while waiting:
        name = waiting.pop(0)
        if name in _names() and name not in named and name not in beside:
            named.append(name)
            waiting += _IMPORTED.findall(_script(name).decode())
    return ", ".join(f'<./static/js/{name}>; rel="modulepreload"; crossorigin' for name in named).encode()


class Drawing:
    """Waits until a browser has drawn something whose style names a picture: it asks for the picture when it draws.

    The address of the picture is a random word that only this browser has been sent; nothing is told or changed by asking for it.
    """

    _waiting: ClassVar[MutableMapping[str, threading.Event]] = WeakValueDictionary()

    def __init__(self) -> None:
        self._word = secrets.token_urlsafe(9)
        self._drawn = self._waiting[self._word] = threading.Event()

    @property
    def address(self) -> str:
        """Where the picture is, from any page."""
        return f"./drawn/{self._word}.gif"

    def rule(self, selector: str) -> str:
        """A style sheet that has the browser ask for the picture once it draws what the selector finds."""
        return f'<style>{selector} {{ background-image: url("{self.address}"); }}</style>'

    def wait(self, seconds: float) -> bool:
        """Whether the browser asked within so many seconds."""
        try:
            return self._drawn.wait(seconds)
        finally:
            self._waiting.pop(self._word, None)

    @classmethod
    def tell(cls, word: str) -> None:
        """A browser asks for the picture of this word."""
        if drawn := cls._waiting.get(word):
            drawn.set()


class FirstVisit:
    """ASGI: gives scripts and the pictures of Drawing from memory, and pages with the header of `early`; everything else is Streamlit's."""

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""

        async def send_page(message: Message) -> None:
            if message["type"] == "http.response.start" and early():
                headers = list(message.get("headers", ()))
                if any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers):
                    message = {**message, "headers": [*headers, (b"link", early())]}
            await send(message)

        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        folder, _slash, name = scope["path"].rpartition("/")
        if folder.endswith("/static/js") and name in _names():
            await _give(send, _script(name), "text/javascript; charset=utf-8", f"public, immutable, max-age={YEAR}")
        elif folder.endswith("/drawn"):
            Drawing.tell(name.removesuffix(".gif"))
            await _give(send, DOT, "image/gif", "no-store")
        else:
            await self.app(scope, receive, send_page)


async def _give(send: Send, body: bytes, kind: str, kept: str) -> None:
    headers = {"content-type": kind, "content-length": str(len(body)), "cache-control": kept}
    pairs = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _folder() -> Path:
    return Path(file_util.get_static_dir())


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in (_folder() / "static" / "js").glob("*.js"))


@cache
def _script(name: str) -> bytes:
    """Only of _names, so that an address reaches no other file."""
    return (_folder() / "static" / "js" / name).read_bytes()
