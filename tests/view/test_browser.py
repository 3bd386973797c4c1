"""The page in a real browser: before and after, and the form."""

import numpy as np
import pytest
import tifffile
from mouse import drag
from PIL import Image
from viewing import after, click, fill, pixels, press, settled, split, text, wait

import difffilter as df
from difffilter.image import like

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
    drag(page, ".view", 0.5, 0.3, by_x=0.25)
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
    for move in (lambda: drag(page, ".view", 0.2, 0.5, by_x=0.15, by_y=0.1),
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
    wait(page, lambda: text(page, ".command").endswith(" --sigma 0.2"))
    page.execute_script("document.querySelector('.strength .q-slider__track-container').focus()")
    press(page, *[Keys.ARROW_LEFT] * 3)
    wait(page, lambda: text(page, ".command").endswith(" --sigma 0.2 --strength 0.85"))
