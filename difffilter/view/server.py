"""The server of the local page."""

from __future__ import annotations

import secrets
import socket
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from difffilter.catalog import MissingExtra

__all__ = ["Pictures", "address", "listening", "require_extra", "serve"]

LOOPBACK = "127.0.0.1"


def require_extra() -> None:
    """Raise `MissingExtra` if NiceGUI is not installed."""
    try:
        import nicegui  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "nicegui":
            raise
        raise MissingExtra("view needs nicegui: pip install 'difffilter[view]'") from None


class Pictures:
    """The newest pictures, by their addresses.

    Examples
    --------
    >>> pictures = Pictures(most=1)
    >>> first, second = pictures.add(b"1"), pictures.add(b"2")
    >>> pictures.get(first.rpartition("/")[2]), pictures.get(second.rpartition("/")[2])
    (None, b'2')
    """

    def __init__(self, most: int = 64):
        self._most, self._kept, self._count = most, OrderedDict[str, bytes](), 0

    def add(self, png: bytes) -> str:
        """Keep a PNG file, and return its address on the server."""
        self._count += 1
        name = f"{self._count}.png"
        self._kept[name] = png
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return f"/pictures/{name}"

    def get(self, name: str) -> bytes | None:
        """A picture by the last part of its address; ``None``: no longer kept."""
        return self._kept.get(name)


def listening(port: int = 0) -> socket.socket:
    """A socket on the loopback interface; port 0: a free one.

    Raises
    ------
    OSError
        If the port is taken.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if port:  # also right after an earlier server on it has ended
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((LOOPBACK, port))
        found.listen()
    except OSError as error:
        found.close()
        raise OSError(f"port is {port}; expected a free one: {error.strerror}") from None
    return found


def address(connection: socket.socket, token: str) -> str:
    """The address of the page, with its token."""
    return f"http://{LOOPBACK}:{connection.getsockname()[1]}/?token={token}"


def serve(
    build: Callable[[Pictures], Any],
    title: str,
    port: int = 0,
    on_start: Callable[[str], None] | None = None,
) -> None:
    """Serve a page to this machine's user until a signal ends the process.

    Parameters
    ----------
    build : callable
        Called with where to keep pictures, for each visit, to make the page's elements.
    title : str
        Of the page.
    port : int, default 0
        0: a free one.
    on_start : callable, optional
        Called with the address as soon as the server answers.

    Raises
    ------
    MissingExtra
        If NiceGUI is not installed.
    OSError
        If the port is taken.
    """
    require_extra()
    import uvicorn
    from fastapi import FastAPI, Response
    from nicegui import ui

    from difffilter.view.guard import Guard

    pictures = Pictures()
    application = FastAPI(openapi_url=None)

    @application.get("/pictures/{name}")
    def picture(name: str) -> Response:
        png = pictures.get(name)
        headers = {"cache-control": "private, max-age=3600"}
        return Response(png or b"", 404 if png is None else 200, headers, "image/png")

    ui.run_with(
        application, root=lambda: build(pictures), title=title, dark=None, tailwind=False,
        show_welcome_message=False, reconnect_timeout=10, language="en-US",
    )  # fmt: skip
    token = secrets.token_urlsafe(32)
    connection = listening(port)
    url = address(connection, token)

    # NiceGUI looks for its server among all objects, of which one of PyTorch's warns when it is touched.
    warnings.filterwarnings("ignore", r"`torch\.distributed\.reduce_op`", FutureWarning)

    class Server(uvicorn.Server):
        """A server that says when it answers."""

        async def startup(self, sockets=None):
            await super().startup(sockets)
            if on_start is not None:
                on_start(url)

    # No log of requests: the first has the token in it.
    config = uvicorn.Config(
        Guard(application, token, connection.getsockname()[1]), log_level="error", access_log=False,
        timeout_graceful_shutdown=1, lifespan="on", server_header=False,
    )  # fmt: skip
    with connection:
        Server(config).run([connection])
