"""The screenshot of the napari plugin, in the guide: writes docs/napari.webp.

pip install -e '.[napari-test]'
xvfb-run -a -s '-screen 0 1600x1000x24' python docs/napari_widget.py
"""

import time
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtWidgets import QApplication

TARGET = Path(__file__).with_name("napari.webp")


def wait(done, seconds=120):
    """Let napari work until something is done."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not done in {seconds} s"
        QApplication.processEvents()
        time.sleep(0.01)


def pause(seconds=1.0):
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


def main():
    viewer = napari.Viewer(show=False)
    viewer.show()
    viewer.window.resize(1180, 800)
    viewer.open_sample("difffilter", "volume")
    _, widget = viewer.window.add_plugin_dock_widget("difffilter", "Denoise by diffusion")
    viewer.dims.current_step = (12, 0, 0)
    widget.choose()
    wait(lambda: not widget.busy)
    widget.run()
    wait(lambda: not widget.busy)
    viewer.layers.selection.active = viewer.layers[-1]
    grid = getattr(viewer, "canvas", viewer).grid  # where it is since napari 0.9
    grid.shape = (2, 1)
    grid.enabled = True
    pause()
    viewer.reset_view()
    pause()
    picture = viewer.window.screenshot(canvas_only=False, flash=False)
    Image.fromarray(np.asarray(picture)[..., :3]).save(TARGET, quality=80, method=6)
    viewer.close()
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
