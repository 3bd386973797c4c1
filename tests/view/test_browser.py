"""The page in a real browser: before and after, the form, saving; and it asks nobody for anything."""

import base64
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from viewing import running

import difffilter as df
from difffilter.image import like

pytest.importorskip("nicegui", reason="needs nicegui: pip install 'difffilter[view]'")
pytest.importorskip("selenium", reason="needs selenium: pip install 'difffilter[browser]'")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and chromedriver on the PATH"
)

# Seconds after which a test fails rather than waits.
PATIENCE = 60


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
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
def small(folder):
    yield from server(folder, "small.png", "-m", "heat(time=1.5)")


@pytest.fixture(scope="module")
def large(folder):
    yield from server(
        folder, "large.png", "-m", "perona_malik(time=2, kappa=0.1)", "--sigma", "0.1"
    )


@pytest.fixture(scope="module")
def stack(folder):
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


def drag(page, x, y, by_x, by_y=0):
    """Drag with the mouse, from a place given in shares of the viewport's size."""
    box = page.execute_script(
        "const e = document.querySelector('.view'); e.scrollIntoView({block: 'center'});"
        "const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]"
    )
    at = {"x": box[0] + x * box[2], "y": box[1] + y * box[3]}
    to = {"x": at["x"] + by_x * box[2], "y": at["y"] + by_y * box[3]}
    for kind, place, buttons in (
        ("mouseMoved", at, 0), ("mousePressed", at, 1), ("mouseMoved", to, 1),
        ("mouseReleased", to, 0),
    ):  # fmt: skip
        event = {"type": kind, "button": "left", "buttons": buttons, "clickCount": 1, **place}
        page.execute_cdp_cmd("Input.dispatchMouseEvent", event)


# --- before and after -------------------------------------------------------------------


def test_before_and_after_are_the_image_and_the_result(visit, small, folder):
    page, image = visit(small), np.asarray(Image.open(folder / "small.png"))
    np.testing.assert_array_equal(pixels(page, ".view > img"), image)
    expected = like(df.heat(image, time=1.5, channel_axis=-1), np.uint8(0))
    np.testing.assert_array_equal(pixels(page), expected)


def test_the_keyboard_moves_the_line(visit, small):
    from selenium.webdriver.common.keys import Keys

    page = visit(small)
    line = page.find_element("css selector", "[role=slider][aria-label*='before and after']")
    assert split(page) == 50
    for keys, value in (
        ([Keys.ARROW_RIGHT] * 3, 53), ([Keys.ARROW_LEFT], 52), ([Keys.PAGE_UP], 62),
        ([Keys.HOME], 0), ([Keys.END], 100), ([Keys.PAGE_DOWN], 90),
    ):  # fmt: skip
        line.send_keys(*keys)
        assert split(page) == value
    assert line.get_attribute("aria-valuetext") == "90 % before"


def test_the_mouse_moves_the_line(visit, small):
    page = visit(small)
    drag(page, 0.5, 0.3, by_x=0.25)
    assert split(page) == pytest.approx(75, abs=1)


def test_a_finger_moves_the_line(visit, small):
    page = visit(small, width=360)
    box = page.execute_script(
        "const b = document.querySelector('.line').getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2]"
    )
    for kind, x in (("touchStart", box[0]), ("touchMove", box[0] - 60), ("touchEnd", None)):
        points = [] if x is None else [{"x": x, "y": box[1]}]
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert split(page) < 40


def test_one_to_one_is_a_part_that_moves(visit, large, folder):
    from selenium.webdriver.common.keys import Keys

    page = visit(large)
    image = np.asarray(Image.open(folder / "large.png"))
    result = df.perona_malik(image, time=2, kappa=0.1, sigma=0.1)
    place = (
        "const p = arguments[0], v = document.querySelector('.view').getBoundingClientRect();"
        "const b = document.querySelector(p).getBoundingClientRect();"
        "return [b.x - v.x, b.y - v.y, b.width, b.height]"
    )

    def shown():
        left, top, *_ = page.execute_script(place, ".view > img")
        x, y, width, height = page.execute_script(place, ".after img")
        return round(x - left), round(y - top), round(width), round(height)

    first = shown()
    assert first[2:] < (1152, 768)
    for move in (lambda: drag(page, 0.2, 0.5, by_x=0.15, by_y=0.1),
                 lambda: page.find_element("css selector", ".view").send_keys(Keys.ARROW_DOWN)):  # fmt: skip
        before = after(page)
        move()
        wait(page, lambda before=before: after(page) not in (None, before) and settled(page))
        x, y, width, height = shown()
        part = like(result[y : y + height, x : x + width], np.uint8(0))
        found = pixels(page)
        assert found.shape == part.shape
        assert np.abs(found.astype(int) - part).max() <= 1
        assert (found != part).mean() < 0.001
    assert shown() != first
    assert split(page) == 50


def test_the_whole_of_a_large_image(visit, large):
    page = visit(large)
    click(page, "Whole")
    wait(page, lambda: settled(page) and pixels(page).shape == (768, 1152))
    assert page.find_elements("css selector", ".map") == []
    click(page, "4:1")
    assert page.find_elements("css selector", ".map") != []


def test_the_pages_of_a_stack(visit, stack, folder):
    from selenium.webdriver.common.keys import Keys

    page, before = visit(stack), None
    assert text(page, ".pages") == "page 1 of 2"
    before = after(page)
    page.execute_script("document.querySelector('.pages .q-slider__track-container').focus()")
    press(page, Keys.ARROW_RIGHT)
    wait(page, lambda: after(page) not in (None, before) and settled(page))
    assert text(page, ".pages") == "page 2 of 2"
    second = tifffile.imread(folder / "stack.tif")[1]
    np.testing.assert_array_equal(pixels(page), like(df.heat(second, time=1), np.uint8(0)))


# --- the form ---------------------------------------------------------------------------


def test_a_parameter_changes_the_result_at_once(visit, small, folder):
    page, image = visit(small), np.asarray(Image.open(folder / "small.png"))
    before = after(page)
    fill(page, "time", "8")
    wait(page, lambda: after(page) != before and settled(page))
    expected = like(df.heat(image, time=8, channel_axis=-1), np.uint8(0))
    np.testing.assert_array_equal(pixels(page), expected)
    assert text(page, ".command") == "difffilter smooth small.png -m 'heat(time=8)'"


def test_a_slider_changes_the_parameter(visit, small):
    from selenium.webdriver.common.keys import Keys

    page = visit(small)
    click(page, "Choose for me")
    wait(page, lambda: text(page, ".command").endswith("-m heat"))
    empty = "return document.querySelector(\"input[aria-label='time']\").placeholder"
    wait(page, lambda: page.execute_script(empty).startswith("chosen automatically: "))
    chosen = float(page.execute_script(empty).rpartition(" ")[2])
    before = after(page)
    page.execute_script("document.querySelector('.field .q-slider__track-container').focus()")
    press(page, *[Keys.ARROW_RIGHT] * 10)
    field = "return document.querySelector(\"input[aria-label='time']\").value"
    wait(page, lambda: page.execute_script(field) == f"{2 * chosen:.4g}")
    wait(page, lambda: after(page) != before)
    assert f"time={2 * chosen:.4g}" in text(page, ".command")


def test_chosen_values_can_be_kept(visit, small):
    page = visit(small)
    click(page, "Choose for me")
    wait(page, lambda: text(page, ".command").endswith("-m heat"))
    keep = "//button[normalize-space(.)='Keep these values' and not(@disabled)]"
    wait(page, lambda: page.find_elements("xpath", keep))
    click(page, "Keep these values")
    wait(page, lambda: "-m 'heat(time=" in text(page, ".command"))


def test_another_method(visit, small):
    page = visit(small)
    page.find_element("xpath", "//label[.//div[.='method']]//input").send_keys(" ")
    options = wait(page, lambda: page.find_elements("css selector", ".q-item[role=option]"))
    lines = [option.text.split("\n") for option in options]
    assert ["tv_flow", df.catalog.describe("tv_flow")[0].rstrip(".")] in lines
    next(option for option in options if option.text.startswith("tv_flow")).click()
    wait(page, lambda: text(page, ".command").endswith("-m tv_flow"))
    wait(page, lambda: page.find_elements("css selector", "input[aria-label='epsilon']"))


def test_an_error_is_one_line_and_nothing_can_be_saved(visit, small):
    page = visit(small)
    fill(page, "time", "-3")
    wait(page, lambda: text(page, ".error") == "time is -3; expected a finite number ≥ 0")
    save = "//button[normalize-space(.)='Save']"
    assert not page.find_element("xpath", save).is_enabled()
    fill(page, "time", "3")
    wait(page, lambda: text(page, ".error") == "")
    assert page.find_element("xpath", save).is_enabled()


def test_a_result_that_hardly_differs_is_pointed_out(visit, small):
    page = visit(small)
    assert text(page, ".note") == ""
    fill(page, "time", "1e-9")
    wait(page, lambda: text(page, ".note").startswith("The result hardly differs"))


def test_strength_and_sigma_are_options(visit, large):
    from selenium.webdriver.common.keys import Keys

    page = visit(large)
    fill(page, "σ, such as 25/255", "51/255")
    page.execute_script("document.querySelector('.strength .q-slider__track-container').focus()")
    press(page, *[Keys.ARROW_LEFT] * 10)
    wait(page, lambda: text(page, ".command").endswith(" --sigma 0.2 --strength 0.5"))


# --- saving -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["small.png", "stack.tif"])
def test_saving_writes_the_very_file_of_smooth(visit, request, folder, name):
    page = visit(request.getfixturevalue(name.partition(".")[0]))
    fill(page, "time", "2.5")
    wait(page, lambda: "time=2.5" in text(page, ".command"))
    out = folder / f"saved-{name}"
    fill(page, "file", out.name)
    wait(page, lambda: text(page, ".command").endswith(f"-o saved-{name}"))
    click(page, "Save")
    wait(page, lambda: text(page, ".saved") == f"saved: saved-{name}")
    expected = folder / f"expected-{name}"
    command = [
        sys.executable,
        "-m",
        "difffilter",
        "smooth",
        name,
        "-m",
        "heat(time=2.5)",
        "-o",
        expected,
    ]
    subprocess.run(command, cwd=folder, check=True)
    assert out.read_bytes() == expected.read_bytes()
    # Now the file exists, and is replaced only if the user says so.
    save = page.find_element("xpath", "//button[normalize-space(.)='Save']")
    wait(page, lambda: not save.is_enabled())
    out.write_bytes(b"replace me")
    page.find_element("css selector", "[role=checkbox]").click()
    wait(page, lambda: text(page, ".command").endswith("--overwrite") and save.is_enabled())
    save.click()
    wait(page, lambda: out.read_bytes() == expected.read_bytes())


def test_a_file_that_cannot_be_written_is_an_error(visit, small):
    page = visit(small)
    fill(page, "file", "missing/out.png")
    wait(page, lambda: text(page, ".command").endswith("-o missing/out.png"))
    click(page, "Save")
    wait(page, lambda: text(page, ".saved").startswith("error: there is no folder missing"))


# --- windows of every width, keyboards, light and dark ----------------------------------


@pytest.mark.parametrize("width", [1280, 768, 360])
@pytest.mark.parametrize("image", ["small", "large", "stack"])
def test_nothing_sticks_out_of_the_window(visit, request, width, image):
    page = visit(request.getfixturevalue(image), width)
    widths = "const e = document.documentElement; return [innerWidth, e.scrollWidth, e.clientWidth]"
    inner, scroll, client = page.execute_script(widths)
    assert inner == width
    assert scroll <= client
    wide = page.execute_script(
        "return [...document.querySelectorAll('main *')].filter(e => !e.closest('.view, svg')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.className)"
    )
    assert wide == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(visit, large):
    from selenium.webdriver.common.keys import Keys

    page, seen, invisible = visit(large), [], []
    page.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(60):
        press(page, Keys.TAB)
        name, visible = page.execute_script(
            "const e = document.activeElement, named = e.closest('[aria-label]');"
            "const styles = [e, e.querySelector('i'), e.closest('.q-field__control'), e.closest('.q-slider'),"
            " e.querySelector('.q-focus-helper'), e.querySelector('.q-slider__focus-ring')]"
            ".filter(x => x).map(x => getComputedStyle(x));"
            "return [e.ariaLabel || e.textContent.trim() || (named || e.closest('label') || e).ariaLabel"
            " || e.closest('label').textContent,"
            " styles.some(s => s.outlineStyle !== 'none' || parseFloat(s.opacity) < 1)]"
        )
        if "Copy the command" in seen:
            break
        seen.append(name)
        if not visible:
            invisible.append(name)
    for name in ("1:1", "Line between before and after", "Image; arrow keys move it", "time",
                 "Choose for me", "Strength", "file", "Save", "Copy the command"):  # fmt: skip
        assert name in seen, " | ".join(seen)
    assert invisible == [], invisible


@pytest.mark.parametrize(
    ("dark", "paper"), [(True, "rgb(20, 23, 27)"), (False, "rgb(255, 255, 255)")]
)
def test_light_and_dark_follow_the_system(visit, small, dark, paper):
    page = visit(small, dark=dark)
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") == paper


def test_the_address_bar_has_no_token(visit, small):
    page = visit(small)
    assert page.current_url == small.partition("?")[0]
    assert page.execute_script("return document.cookie") == ""


def test_without_a_cookie_there_is_no_page(visit, small):
    page = visit(small)
    page.delete_all_cookies()
    base = small.partition("?")[0]
    try:
        page.get(base)
        assert text(page, "body").startswith("403")
    finally:
        page.get(small)
        wait(page, lambda: settled(page))
        page.get_log("browser")  # which has the refusal
