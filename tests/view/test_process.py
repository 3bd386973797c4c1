"""The command as a process: its address, whom it answers, and its end."""

import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from command import invoke_error
from PIL import Image
from viewing import running


@pytest.fixture(scope="module")
def file(tmp_path_factory, photo):
    path = tmp_path_factory.mktemp("view") / "photo.png"
    Image.fromarray((255 * photo).astype(np.uint8)).save(path)
    return path


def test_without_the_extra_one_line_says_so(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "nicegui", None)
    error = invoke_error("view", "photo.png", cwd=file.parent)
    assert error == "error: view needs nicegui: pip install 'difffilter[view]'\n"


def needs_extra():
    pytest.importorskip("nicegui", reason="needs nicegui: pip install 'difffilter[view]'")


@pytest.fixture(scope="module")
def server(file):
    needs_extra()
    with running("photo.png", "-m", "heat(time=1)", cwd=file.parent) as (process, address):
        assert address.startswith("http://127.0.0.1:"), process.stderr.read()
        yield urlsplit(address)


def answer(server, request):
    """The head of the raw answer to a raw request."""
    with socket.create_connection((server.hostname, server.port), timeout=20) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        return connection.recv(4096).decode("latin-1")


def cookie(server):
    token = server.query.removeprefix("token=")
    return f"difffilter-view-{server.port}={token}"


def test_the_token_is_long_and_new(server, file):
    with running("photo.png", "-m", "heat(time=1)", cwd=file.parent) as (_, other):
        assert len(server.query) >= len("token=") + 40
        assert urlsplit(other).query != server.query


@pytest.mark.parametrize(
    "path",
    ["/", "/?token=wrong", "/pictures/1.png", "/_nicegui/client/x", "/openapi.json", "/missing"],
)
def test_nothing_is_answered_without_the_token(server, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{server.netloc}{path}", timeout=20)
    with caught.value as error:
        assert error.code == 403
        assert server.query not in error.read().decode()


def test_the_token_opens_the_page(server):
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(server.geturl(), timeout=20) as page:
        assert page.geturl() == f"http://{server.netloc}/"
        text = page.read().decode()
        assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "<title>photo.png" in text
    assert server.query.removeprefix("token=") not in text


HANDSHAKE = """GET /_nicegui_ws/socket.io/?EIO=4&transport=websocket HTTP/1.1
Host: {host}
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
{more}
"""


@pytest.mark.parametrize(
    ("host", "more", "status"),
    [
        ("", "", 403),
        ("", "Cookie: difffilter-view-{port}=wrong\n", 403),
        ("evil.example", "Cookie: {cookie}\n", 403),
        ("", "Cookie: {cookie}\nOrigin: http://evil.example\n", 403),
        ("", "Cookie: {cookie}\nOrigin: http://{host}\n", 101),
    ],
)
def test_a_websocket_needs_the_cookie_the_host_and_the_origin(server, host, more, status):
    more = more.format(port=server.port, cookie=cookie(server), host=server.netloc)
    head = answer(server, HANDSHAKE.format(host=host or server.netloc, more=more))
    assert head.startswith(f"HTTP/1.1 {status} ")


def test_another_host_is_refused(server):
    request = f"GET / HTTP/1.1\nHost: evil.example:{server.port}\nCookie: {cookie(server)}\n\n"
    assert answer(server, request).startswith("HTTP/1.1 403 ")


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc/net/tcp")
def test_only_the_loopback_interface_listens(server):
    port = f"{server.port:04X}"
    lines = [line.split() for name in ("tcp", "tcp6") if Path(f"/proc/net/{name}").exists()
             for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]  # fmt: skip
    listening = [line[1] for line in lines if line[3] == "0A" and line[1].endswith(f":{port}")]
    assert listening == [f"0100007F:{port}"]


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_ends_it_in_one_line(file, number, words):
    needs_extra()
    with running("photo.png", "-m", "heat", cwd=file.parent) as (process, address):
        start = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert address.startswith("http://127.0.0.1:")
    assert errors == f"{words}; finished work is kept\n"
    assert process.returncode == 128 + number
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "missing.png: no such file or directory"),
        (["photo.png", "-m", "haet"], "unknown method 'haet'; did you mean 'heat'?"),
        (["photo.png", "-m", "heat(time=-1)"], "time is -1"),
        (["photo.png", "--sigma", "20"], "sigma is 20"),
        (["photo.png", "-o", "out.xyz"], "out.xyz has suffix '.xyz'"),
        (["photo.png", "-o", "missing/out.png"], "there is no folder missing"),
        (["data.zarr"], "expected an image file, not an array"),
        (["."], "is a folder"),
    ],
)
def test_bad_input_is_refused_in_one_line(file, arguments, message, monkeypatch):
    needs_extra()
    monkeypatch.setattr("difffilter.view.server.serve", None)  # where a test would hang
    assert message in invoke_error("view", *arguments, "--no-open", cwd=file.parent)


def test_a_port_that_is_taken_is_refused(file):
    needs_extra()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = invoke_error("view", "photo.png", "--no-open", "--port", port, cwd=file.parent)
    assert error.startswith(f"error: port is {port}; expected a free one")
