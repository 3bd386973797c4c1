"""Progress bars, and lines and warnings beside them."""

import contextlib

import pytest
from command import invoke_ok, run, terminal

from difffilter.cli import main
from difffilter.cli.progress import echo, progress_of, progress_over


@pytest.fixture
def wary(folder):
    """A folder with three images, and a method that warns in two lines."""
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_bytes((folder / "grey.png").read_bytes())
    (folder / "wary.py").write_text(
        "import warnings\n"
        "class Wary:\n"
        "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
        "        warnings.warn('be\\nwary')\n"
        "        return noisy\n"
    )
    return folder


def test_lines_stand_above_the_progress_bar():
    with terminal() as shown, progress_over(["one", "two"], 2) as items:
        for item in items:
            echo(item)
            echo(f"{item}!", err=True)
    first, second, third, fourth, bar, end = shown.lines()
    assert [first, second, third, fourth] == ["one", "one!", "two", "two!"]
    assert bar.startswith("100%")
    assert end == ""


def test_the_bar_of_blocks_takes_no_line_before_it_is_used():
    with terminal() as shown, progress_of("block") as progress:
        with progress_over(["one", "two"], 2) as items:
            assert list(items) == ["one", "two"]
        assert shown.getvalue().count("\n") == 1  # at the end of the other bar
        progress(3, 8)
        progress(8, 8)


def test_the_lines_of_verbose_stand_above_the_progress_bar(folder):
    with contextlib.chdir(folder), terminal() as shown:
        main(["smooth", "*.jpg", "*.png", "-m", "identity", "-v"])
    lines = shown.lines()
    assert lines[0].startswith("colour.jpg -> colour_smooth.jpg")
    assert lines[1].startswith("grey.png -> grey_smooth.png")
    assert lines[2].startswith("100%")


def test_a_warning_is_one_line(wary):
    result = run("smooth", "grey.png", "-m", "wary:Wary", cwd=wary)
    assert (result.returncode, result.stderr) == (0, "warning: be wary\n")


def test_a_warning_of_several_workers_is_one_line_and_shown_once(wary):
    result = run("smooth", "?.png", "-m", "wary:Wary", "--jobs", 2, cwd=wary)
    assert (result.returncode, result.stderr) == (0, "warning: be wary\n")


def test_without_a_terminal_there_is_no_bar(folder):
    text = invoke_ok("smooth", "*.jpg", "*.png", "-m", "identity", "-v", cwd=folder)
    assert text.count("\n") == 2
    assert "\r" not in text
