"""Access control of the local page: requests need the token, and must come from the page itself."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

__all__ = ["Guard"]

# Everything comes from the page's own server, even if a library would have it otherwise. (Vue compiles
# templates in the browser, and NiceGUI's page has scripts in it.)
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self' ws://{host}; object-src 'none'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Guard:
    """An ASGI application that lets through only requests with the token.

    The token comes in the address of the first request, ``/?token=...``, which is answered with a
    cookie and a redirection, so that it stays neither in the address bar nor in the history. Every
    other request, websockets included, needs the cookie. Each is refused with 403 if it names
    another host, as after DNS rebinding, or comes from a page of another origin.

    Parameters
    ----------
    application : ASGI application
        It sees no request that is refused.
    token : str
    port : int
        The port on the loopback interface that the server listens on.
    """

    def __init__(self, application: Callable[..., Awaitable[None]], token: str, port: int):
        self.app = application  # the name by which NiceGUI looks for its own
        self.token = token
        # Cookies do not know ports: without it, two servers would overwrite each other's.
        self.cookie = f"difffilter-view-{port}"
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, answer the first one, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = _headers(scope)
        host = headers.get("host", "")
        if host not in self.hosts or not self._own_origin(headers, host):
            await _refuse(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "GET" and self._in_address(scope):
            await self._welcome(send)
        elif self._same(self._from_cookie(headers)) and _from_the_page(headers):
            await self.app(scope, receive, self._hardened(send, host))
        else:
            await _refuse(scope, receive, send)

    def _same(self, candidate: str) -> bool:
        return secrets.compare_digest(candidate.encode(), self.token.encode())

    def _in_address(self, scope: dict[str, Any]) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return scope["path"] == "/" and len(given) == 1 and self._same(given[0])

    def _from_cookie(self, headers: dict[str, str]) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return "" if found is None else found.value

    @staticmethod
    def _own_origin(headers: dict[str, str], host: str) -> bool:
        return headers.get("origin", f"http://{host}") == f"http://{host}"

    async def _welcome(self, send: Any) -> None:
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        headers = {"location": "/", "set-cookie": cookie, "cache-control": "no-store",
                   "referrer-policy": "no-referrer"}  # fmt: skip
        await _answer(send, 303, headers, b"")

    def _hardened(self, send: Any, host: str) -> Any:
        """`send` that adds headers against other pages and other servers."""
        more = {
            "content-security-policy": POLICY.format(host=host),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-resource-policy": "same-origin",
            "cross-origin-opener-policy": "same-origin",
        }

        async def hardened(message):
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *_encoded(more)]
                message = {**message, "headers": headers}
            await send(message)

        return hardened


def _headers(scope):
    """The headers of a request; of one that comes twice, both, so that it matches nothing."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joint = "; " if key == "cookie" else ", "
        headers[key] = f"{headers[key]}{joint}{text}" if key in headers else text
    return headers


def _from_the_page(headers):
    """Whether a request with the cookie comes from the page or the address bar.

    To a cookie, all ports are one site: a page of another local server could embed our pictures.
    """
    return headers.get("sec-fetch-site", "none") in ("none", "same-origin")


async def _refuse(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # a server answers with 403
        return
    text = b"403: open the address that 'difffilter view' printed, with its token\n"
    headers = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store",
               "content-length": str(len(text))}  # fmt: skip
    await _answer(send, 403, headers, text)


async def _answer(send, status, headers, body):
    await send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": body})


def _encoded(headers):
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
