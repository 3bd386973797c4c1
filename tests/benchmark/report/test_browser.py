"""The report's page in a real browser: it sorts, slides and zooms, and asks nobody for anything."""

import json
import shutil

import numpy as np
import pytest
from mouse import drag
from synthetic import METHODS, write_results

from difffilter.benchmark import report
from difffilter.benchmark.report import fillings
from difffilter.inpainting.files import Filling

selenium = pytest.importorskip(
    "selenium", reason="needs selenium: pip install 'difffilter[browser]'"
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and chromedriver on the PATH"
)

EVIL = "<script>document.title = 'broken'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--force-prefers-reduced-motion",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,900",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    write_results(
        folder,
        methods=METHODS | {EVIL: ("evil", 8.0, 0.05, 0.5)},
        failed=[("moon", 25, "bm3d")],
        examples=["camera", "coins"],
        levels=(15, 25),
    )
    return report.write(folder)[1]


@pytest.fixture
def page(browser, file):
    """The page, freshly loaded; whatever it logs or asks for is an error."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(file.as_uri())
    loaded = "return document.querySelector('#slider img').getBoundingClientRect().height > 100"
    wait(browser, lambda: browser.execute_script(loaded))
    yield browser
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert [url for url in asked if not url.startswith(("data:", file.as_uri()))] == []


def column(page, index):
    """What stands in a column of the table that is shown, from top to bottom."""
    return page.execute_script(
        "return [...document.querySelectorAll('.panel:not([hidden]) .sortable tbody tr')]"
        ".map(row => row.cells[arguments[0]].dataset.sort)",
        index,
    )


def wait(page, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 5).until(lambda _: condition())


def test_a_click_on_a_heading_sorts(page):
    before = column(page, 1)
    heading = page.find_elements("css selector", ".sortable thead th")[1]
    heading.click()
    numbers = sorted(map(float, before), reverse=True)
    wait(page, lambda: [float(value) for value in column(page, 1)] == numbers)
    heading.click()
    wait(page, lambda: [float(value) for value in column(page, 1)] == numbers[::-1])
    page.find_element("css selector", ".sortable thead th").click()
    names = sorted(column(page, 0), key=str.lower, reverse=True)
    wait(page, lambda: sorted(column(page, 0)) == sorted(names) and column(page, 0)[0] == names[0])


def test_the_keyboard_sorts_too(page):
    from selenium.webdriver.common.keys import Keys

    heading = page.find_elements("css selector", ".sortable thead th")[2]
    heading.send_keys(Keys.ENTER)
    values = sorted((float(value) for value in column(page, 2) if value), reverse=True)
    wait(page, lambda: [float(value) for value in column(page, 2)] == values)
    assert heading.get_attribute("aria-sort") == "descending"


def test_buttons_show_another_table_and_another_level(page):
    def shown():
        return page.execute_script(
            "return [...document.querySelectorAll('.panel')].filter(p => !p.hidden).map(p => p.id)"
        )

    assert shown() == ["noise-0-1", "noise-0-at-2"]
    page.find_element("xpath", "//button[.='SSIM']").click()
    page.find_element("xpath", "//button[.='15']").click()
    assert shown() == ["noise-0-3", "noise-0-at-1"]


def test_the_slider_follows_the_mouse(page):
    value = "return document.getElementById('slider').value"
    assert page.execute_script(value) == 50
    drag(page, "#slider", 0.5, 0.3, by_x=0.25)
    assert page.execute_script(value) == pytest.approx(75, abs=1)
    left, right = page.find_elements("css selector", ".sides span")
    assert left.text.startswith("identity: ")
    assert right.text.startswith("ddpm: ")


def test_zoom_enlarges_and_the_mouse_pans(page):
    def widths():
        return page.execute_script(
            "return ['first', 'second'].map(s => { const p = document.querySelector("
            "`#slider [slot=${s}]`); return [p, p.firstElementChild].map("
            "e => e.getBoundingClientRect()).map(b => [b.x, b.y, b.width]) })"
        )

    for pane, image in widths():
        assert pane[2] == pytest.approx(image[2])
    page.find_element("css selector", "button[data-zoom='4']").click()
    for pane, image in widths():
        assert image[2] == pytest.approx(4 * pane[2])
    before = widths()[0][1]
    drag(page, "#slider", 0.2, 0.5, by_x=0.1, by_y=0.1)
    (pane, image), (_, other) = widths()
    assert image[0] - before[0] == pytest.approx(0.1 * pane[2], abs=1)
    assert image == other  # both sides show the same place
    assert page.execute_script("return document.getElementById('slider').value") == 50
    drag(page, "#slider", 0.5, 0.5, by_x=-0.2)  # on the line: the line moves
    assert page.execute_script("return document.getElementById('slider').value") == pytest.approx(
        30, abs=1
    )


def test_another_image_and_another_method(page):
    from selenium.webdriver.support.ui import Select

    source = "return document.querySelector('#slider [slot=second] img').src"
    before = page.execute_script(source)
    page.find_element("xpath", "//div[@id='details']/button[b='heat']").click()
    assert Select(page.find_element("id", "right")).first_selected_option.text == "heat"
    after = page.execute_script(source)
    assert after != before
    images = Select(page.find_element("id", "example"))
    assert [option.text for option in images.options] == [
        f"{image}, Gaussian noise, σ·255 = {level}"
        for image in ("camera", "coins")
        for level in (15, 25)
    ]
    images.select_by_index(1)
    assert page.execute_script(source) not in (before, after)
    assert Select(page.find_element("id", "right")).first_selected_option.text == "heat"


def test_a_method_stands_out_under_the_pointer(page):
    from selenium.webdriver.common.action_chains import ActionChains

    name = page.find_element("css selector", ".sortable tbody .method[data-method='1']")
    ActionChains(page).move_to_element(name).perform()
    on = page.execute_script(
        "return [...document.querySelectorAll('svg .method.on')].map(e => e.dataset.method)"
    )
    assert len(on) > 4
    assert set(on) == {"1"}


def test_labels_are_text(page):
    assert page.title == "Quick study"
    assert EVIL in page.find_element("css selector", ".sortable").text
    assert page.find_elements("css selector", "img[src='x']") == []
    options = page.find_elements("css selector", "#left option")
    assert EVIL in [option.get_attribute("textContent") for option in options]


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out_of_the_window(page, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        root = "return document.documentElement."
        assert page.execute_script("return innerWidth") == width
        assert page.execute_script(f"{root}scrollWidth <= {root[7:]}clientWidth")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_name_breaks_in_mid_word_on_a_phone(page):
    size = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        # The lines of a word are the rectangles of its range.
        broken = page.execute_script(
            "const broken = [];"
            "for (const name of document.querySelectorAll('.sortable tbody .method'))"
            " for (const node of name.childNodes) if (node.nodeType === Node.TEXT_NODE)"
            "  for (const word of node.data.matchAll(/[A-Za-z0-9]+/g)) {"
            "   const range = document.createRange();"
            "   range.setStart(node, word.index);"
            "   range.setEnd(node, word.index + word[0].length);"
            "   if (range.getClientRects().length > 1) broken.push(word[0]);"
            "  }"
            "return broken"
        )
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert broken == []


def test_light_and_dark(page):
    paper = "return getComputedStyle(document.body).backgroundColor"
    wanted = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    try:
        dark = page.execute_script(paper)
        page.find_element("id", "theme").click()
        light = page.execute_script(paper)
        assert (dark, light) == ("rgb(20, 23, 27)", "rgb(255, 255, 255)")
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_page_of_fillings_begins_with_holes_and_a_filling(browser, tmp_path):
    image, hole = np.linspace(0, 1, 40 * 60).reshape(40, 60), np.zeros((40, 60), bool)
    hole[10:20, 20:40] = True
    filling = Filling(200, np.where(hole, 0, image), hole, [image, 1 - image])
    file = tmp_path / "page.html"
    examples = [fillings.example("<b>.png", "200 pixels", filling)]
    file.write_text(fillings.page(examples, [("c.png", EVIL)]), "utf-8")
    browser.get_log("browser")
    browser.get(file.as_uri())
    loaded = "return document.querySelector('#slider img').getBoundingClientRect().height > 100"
    wait(browser, lambda: browser.execute_script(loaded))
    sides = [browser.find_element("id", f"{side}-score").text for side in ("left", "right")]
    assert sides == ["holes", "filling 1"]
    assert browser.find_element("css selector", "#example option").text == "<b>.png, 200 pixels"
    assert EVIL in browser.find_element("id", "left-out").text
    browser.find_elements("css selector", "#details button")[-1].click()
    assert browser.find_element("id", "right-score").text == "filling 2"
    assert browser.get_log("browser") == []
