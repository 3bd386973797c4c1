"""A display, and a viewer with the widget."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

# A test that waits longer than this many milliseconds fails.
LONGEST = 120_000


@pytest.fixture(scope="session", autouse=True)
def display():
    """The display, or a virtual one of Xvfb; without either, the tests are skipped."""
    pytest.importorskip("napari", reason="napari is not installed")
    pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
    if not sys.platform.startswith("linux") or os.environ.get("DISPLAY"):
        yield
        return
    if shutil.which("Xvfb") is None:
        pytest.skip("there is no display, and Xvfb is not installed")
    screen = ["-screen", "0", "1600x1000x24", "+extension", "GLX", "-nolisten", "tcp"]
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), *screen], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    with os.fdopen(read) as number:
        os.environ["DISPLAY"] = f":{int(number.readline())}"
    yield
    del os.environ["DISPLAY"]
    server.terminate()
    server.wait()


@pytest.fixture
def opened(make_napari_viewer, qtbot):
    """A function that opens a viewer with an image layer and the widget, and returns both."""
    from difffilter.integrations.napari.widget import DenoiseWidget

    def open_with(data, show=False, **attributes):
        viewer = make_napari_viewer(show=show)
        viewer.add_image(data, **attributes)
        widget = DenoiseWidget(viewer)
        viewer.window.add_dock_widget(widget, name="difffilter")
        return viewer, widget

    return open_with


@pytest.fixture
def wait_for(qtbot):
    """A function that waits until a widget is ready."""

    def wait(widget):
        qtbot.waitUntil(lambda: not widget.busy, timeout=LONGEST)

    return wait


@pytest.fixture
def told(monkeypatch):
    """The messages of errors that napari has shown."""
    from difffilter.integrations.napari import tasks, widget

    messages = []
    for module in (tasks, widget):
        monkeypatch.setattr(module, "show_error", messages.append)
    return messages


@pytest.fixture
def noisy():
    """A function of a shape: a step edge with white noise of σ = 0.1."""

    def make(*shape):
        edge = np.where(np.arange(shape[-1]) < shape[-1] // 2, 0.3, 0.7)
        return (edge + np.random.default_rng(1).normal(0, 0.1, shape)).astype(np.float32)

    return make
