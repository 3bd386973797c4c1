"""A browser, images, and running servers that show them."""

import json
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image
from viewing import PATIENCE, running, settled, wait

from difffilter.image import like

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    pytest.importorskip("nicegui", reason="needs nicegui: pip install 'difffilter[view]'")
    pytest.importorskip("selenium", reason="needs selenium: pip install 'difffilter[browser]'")
    if not (CHROMIUM and DRIVER):
        pytest.skip("needs Chromium and chromedriver on the PATH")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--force-prefers-reduced-motion", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,1000",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photo, colour_photo):
    """A small photograph, one that is filtered by parts, and a stack."""
    folder, rng = tmp_path_factory.mktemp("view"), np.random.default_rng(7)
    noisy = like(colour_photo + rng.normal(0, 0.1, colour_photo.shape), np.uint8(0))
    Image.fromarray(noisy).save(folder / "small.png")
    large = np.tile(photo, (6, 9))
    large = like(large + rng.normal(0, 0.1, large.shape), np.uint8(0))
    Image.fromarray(large).save(folder / "large.png")
    tifffile.imwrite(folder / "stack.tif", np.stack([large[:96, :128], large[96:192, :128]]),
                     photometric="minisblack")  # fmt: skip
    return folder


def server(folder, *arguments):
    with running(*arguments, cwd=folder) as (_, address):
        yield address


@pytest.fixture(scope="module")
def small(folder, browser):
    yield from server(folder, "small.png", "-m", "heat(time=1.5)")


@pytest.fixture(scope="module")
def large(folder, browser):
    yield from server(
        folder, "large.png", "-m", "perona_malik(time=2, kappa=0.1)", "--sigma", "0.1"
    )


@pytest.fixture(scope="module")
def stack(folder, browser):
    yield from server(folder, "stack.tif", "-m", "heat(time=1)")


@pytest.fixture
def visit(browser):
    """A way to open an address; whatever the page logs, or asks another machine for, is an error."""

    def go(address, width=1280, dark=False):
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        browser.get(address)
        wait(browser, lambda: settled(browser))
        return browser

    yield go
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        m["params"]["request"]["url"]
        for m in messages
        if m["method"] == "Network.requestWillBeSent"
    ]
    asked += [m["params"]["url"] for m in messages if m["method"] == "Network.webSocketCreated"]
    assert asked
    allowed = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:")
    assert [url for url in asked if not url.startswith(allowed)] == []
