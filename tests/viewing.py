"""A running `difffilter view` and its page in a browser, for tests."""

import base64
import contextlib
import io
import subprocess
import sys

import numpy as np
from PIL import Image

# Seconds after which a test fails rather than waits.
PATIENCE = 60

# As `difffilter`, in a process that cannot reach any other machine.
OFFLINE = """
import socket, sys
connect = socket.socket.connect
def local(self, address):
    assert self.family == socket.AF_UNIX or address[0] == "127.0.0.1", f"the network is used: {address}"
    return connect(self, address)
socket.socket.connect = socket.socket.connect_ex = local
from difffilter.__main__ import main
main()
"""


@contextlib.contextmanager
def running(*arguments, cwd):
    """``difffilter view arguments``: the process, and the address that it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", OFFLINE, "view", *map(str, arguments), "--no-open"],
        cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def wait(page, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, PATIENCE, 0.05).until(lambda _: condition())


LOADED = """
const pictures = [...document.querySelectorAll(arguments[0] + ' img')];
return pictures.length > 0 && pictures.every(p => p.complete && p.naturalWidth > 0)
"""


def settled(page):
    """Whether both sides are shown, and the noise."""
    return (
        page.execute_script(LOADED, ".view")
        and page.execute_script(LOADED, ".after")
        and page.find_elements("css selector", ".curve svg")
    )


def after(page):
    """The address of the picture after."""
    found = "const p = document.querySelector('.after img'); return p && p.src"
    return page.execute_script(found)


def pixels(page, selector=".after img"):
    """The pixels of a picture, and its place in the image: left, top, width, height."""
    code = """
    const done = arguments[arguments.length - 1], image = document.querySelector(arguments[0]);
    fetch(image.src).then(r => r.blob()).then(blob => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.readAsDataURL(blob);
    })"""
    data = base64.b64decode(page.execute_async_script(code, selector).partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))


def text(page, selector):
    return page.execute_script(
        "const e = document.querySelector(arguments[0]); return e ? e.textContent : ''", selector
    )


def split(page):
    return float(page.find_element("css selector", ".line").get_attribute("aria-valuenow"))


def press(page, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page).send_keys(*keys).perform()


def fill(page, label, content):
    from selenium.webdriver.common.keys import Keys

    field = page.find_element("css selector", f"input[aria-label='{label}']")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(content)


def click(page, label):
    page.find_element("xpath", f"//button[normalize-space(.)='{label}']").click()
