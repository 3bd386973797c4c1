"""The plugin as napari finds it: manifest and sample data; plain difffilter imports none of it."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari is not installed")
npe2 = pytest.importorskip("npe2", reason="npe2 is not installed")

SAMPLES = {"photograph": (512, 512), "colours": (400, 600, 3), "volume": (24, 128, 128),
           "series": (10, 2, 128, 128)}  # fmt: skip


@pytest.fixture(scope="module")
def manifest():
    found = npe2.PluginManifest.from_distribution("difffilter")
    found.validate_imports()  # of every command
    return found


def test_the_manifest_is_valid(manifest):
    assert manifest.name == "difffilter"
    assert [widget.display_name for widget in manifest.contributions.widgets] == [
        "Denoise by diffusion"
    ]
    done = subprocess.run(
        [sys.executable, "-m", "npe2.cli", "validate", "difffilter"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("no_network")
def test_sample_data(manifest):
    samples = {sample.key: sample for sample in manifest.contributions.sample_data}
    commands = {c.id: c.python_name for c in manifest.contributions.commands}
    assert set(samples) == set(SAMPLES)
    for key, shape in SAMPLES.items():
        module, _, name = commands[samples[key].command].partition(":")
        [(pixels, attributes, kind)] = getattr(__import__(module, fromlist=[name]), name)()
        assert (pixels.shape, kind) == (shape, "image"), key
        assert np.isfinite(pixels).all()
        assert attributes["name"]


def test_difffilter_alone_imports_neither_napari_nor_qt():
    code = (
        "import sys, difffilter as df; df.denoise; import difffilter.integrations.napari; "
        "print([name for name in sys.modules if name.partition('.')[0] in "
        "('napari', 'qtpy', 'PyQt6', 'magicgui', 'superqt')])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert printed.strip() == b"[]"
