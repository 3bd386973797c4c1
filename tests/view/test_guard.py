"""Access to the page: the token, the cookie, the host and the origin."""

import asyncio

import pytest

from difffilter.view.guard import Guard

TOKEN, PORT = "right-token", 4321
HOST = f"127.0.0.1:{PORT}"
COOKIE = f"difffilter-view-{PORT}={TOKEN}"


async def page(scope, receive, send):
    """An application that answers everything."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


def ask(path="/", query="", kind="http", method="GET", **headers):
    """The response of the guarded page."""
    headers = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind, "method": method, "path": path, "query_string": query.encode(),
        "headers": [(n.encode(), v.encode()) for n, v in headers.items() if v is not None],
    }  # fmt: skip
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": f"{kind}.connect"}

    asyncio.run(Guard(page, TOKEN, PORT)(scope, receive, send))
    return sent


def status(*arguments, **options):
    return ask(*arguments, **options)[0]["status"]


PATHS = [
    "/",
    "/pictures/1.png",
    "/_nicegui/3/static/nicegui.css",
    "/_nicegui_ws/socket.io/",
    "/docs",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "query", ["", "token=", "token=wrong", f"token={TOKEN}x", f"token={TOKEN}&token=b"]
)
def test_nothing_without_the_token(path, query):
    assert status(path, query) == 403


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "cookie",
    ["", f"difffilter-view-{PORT}=wrong", f"difffilter-view-1={TOKEN}", f"a={TOKEN}", "§§"],
)
def test_nothing_with_a_wrong_cookie(path, cookie):
    assert status(path, cookie=cookie) == 403


def test_the_token_opens_the_page_and_becomes_a_cookie():
    start, body = ask("/", f"token={TOKEN}")
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert start["status"] == 303
    assert headers["location"] == "/"
    assert headers["set-cookie"] == f"{COOKIE}; Path=/; HttpOnly; SameSite=Strict"
    assert body["body"] == b""
    assert status(cookie=f"other=1; {COOKIE}") == 200


@pytest.mark.parametrize(("path", "method"), [("/pictures/1.png", "GET"), ("/", "POST")])
def test_the_token_in_the_address_opens_the_page_alone(path, method):
    assert status(path, f"token={TOKEN}", method=method) == 403


@pytest.mark.parametrize("path", PATHS)
def test_the_cookie_opens_everything(path):
    assert status(path, cookie=COOKIE) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "", None]
)
def test_another_host_is_refused_with_token_and_cookie(host):
    assert status(cookie=COOKIE, host=host) == 403
    assert status("/", f"token={TOKEN}", host=host) == 403
    assert ask(kind="websocket", cookie=COOKIE, host=host)[0]["type"] == "websocket.close"


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", ""])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_another_origin_is_refused(kind, origin):
    assert ask(kind=kind, cookie=COOKIE, origin=origin)[0] in (
        {"type": "websocket.close", "code": 1008},
        ask()[0],
    )


def test_pages_of_other_local_servers_are_refused():
    """To cookies, all ports of this machine are one site."""
    for site in ("same-site", "cross-site"):
        assert status("/pictures/1.png", cookie=COOKIE, sec_fetch_site=site) == 403
    for site in ("same-origin", "none"):
        assert status("/pictures/1.png", cookie=COOKIE, sec_fetch_site=site) == 200


def test_websockets_need_the_cookie():
    assert ask(kind="websocket")[0] == {"type": "websocket.close", "code": 1008}
    assert ask(kind="websocket", query=f"token={TOKEN}")[0]["type"] == "websocket.close"
    allowed = ask(kind="websocket", cookie=COOKIE, origin=f"http://{HOST}")
    assert allowed == [{"type": "websocket.accept"}]


def test_the_page_may_load_nothing_from_elsewhere():
    headers = dict(ask(cookie=COOKIE)[0]["headers"])
    policy = headers[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'self';")
    assert f"connect-src 'self' ws://{HOST};" in policy
    assert "http" not in policy
    assert headers[b"referrer-policy"] == b"no-referrer"


def test_the_life_of_the_server_is_not_guarded():
    seen = []

    async def application(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(Guard(application, TOKEN, PORT)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
