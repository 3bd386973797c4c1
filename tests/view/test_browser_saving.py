"""The page in a real browser: saving, the keyboard, phones, light and dark."""

import pytest
from command import invoke_ok
from viewing import after, click, fill, pixels, press, running, settled, text, wait

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
    invoke_ok("smooth", name, "-m", "heat(time=2.5)", "-o", expected, cwd=folder)
    assert out.read_bytes() == expected.read_bytes()
    # Now the file exists, and is replaced only if the user says so.
    save = page.find_element("xpath", "//button[normalize-space(.)='Save']")
    wait(page, lambda: not save.is_enabled())
    out.write_bytes(b"replace me")
    page.find_element("css selector", "[role=checkbox]").click()
    wait(page, lambda: text(page, ".command").endswith("--overwrite") and save.is_enabled())
    save.click()
    wait(page, lambda: out.read_bytes() == expected.read_bytes())


OWN = """
import sys
import time
from dataclasses import dataclass

from difffilter import Denoiser
from difffilter.image import as_float

@dataclass(frozen=True, kw_only=True)
class Own(Denoiser):
    '''Darker by as much as one likes.'''

    by: float = 0.25

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        if "smooth" in sys.argv:
            time.sleep(60)
        return as_float(noisy, channel_axis) - self.by
"""


def test_a_method_of_the_users_own_and_a_save_that_is_cancelled(visit, folder):
    (folder / "own.py").write_text(OWN)
    with running("small.png", "-m", "own:Own", "-o", "own.png", cwd=folder) as (_, address):
        page = visit(address)
        assert "Darker by as much as one likes" in text(page, ".right")
        before = after(page)
        fill(page, "by", "0.5")
        wait(page, lambda: after(page) != before and settled(page))
        assert pixels(page).max() in (127, 128)
        click(page, "Save")
        wait(page, lambda: text(page, ".saved") == "saving …")
        click(page, "Cancel")
        wait(page, lambda: text(page, ".saved") == "cancelled")
        assert not [
            path for path in folder.iterdir() if "own." in path.name and path.suffix == ".png"
        ]
        page.get("about:blank")  # before the server ends, which the page would log


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
