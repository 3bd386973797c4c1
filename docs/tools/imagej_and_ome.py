"""
ImageJ and OME-TIFF
===================

``difffilter smooth`` filters hyperstacks in space. Time points and channels are never mixed; axes,
resolution, look-up tables and channel names stay.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile
from skimage import data

import difffilter as df

# %%
# A hyperstack as ImageJ writes it: two time points, three planes and two channels of cells, as photon
# counts in 16 bits, 0.2 µm a pixel and planes 1 µm apart.

cell = data.cell()[244:500, 293:549] / 255
clean = np.stack([[[cell * f, 1 - cell * f] for f in (0.7, 1.0, 0.8)]] * 2)
counts = np.random.default_rng(0).poisson(40 * clean).astype(np.uint16)

folder = Path(tempfile.mkdtemp())
green, magenta = np.zeros((2, 3, 256), np.uint8)
green[1] = magenta[0] = magenta[2] = np.arange(256)
tifffile.imwrite(
    folder / "cells.tif",
    counts,
    imagej=True,
    resolution=(5, 5),
    metadata={
        "axes": "TZCYX", "spacing": 1.0, "unit": "um", "LUTs": [green, magenta],
        "Labels": ["nuclei", "membrane"] * 6,
    },
)  # fmt: skip

# %%
# As a volume, with planes five pixels apart:
# ``difffilter smooth cells.tif --volume --spacing 5,1,1 --noise poisson``

options = ["--volume", "--spacing", "5,1,1", "--noise", "poisson"]
command = [sys.executable, "-m", "difffilter", "smooth", "cells.tif", *options]
subprocess.run(command, cwd=folder, check=True)

with tifffile.TiffFile(folder / "cells.tif") as file:
    before, tags = file.imagej_metadata, file.pages[0].tags
    resolution = tags["XResolution"].value
with tifffile.TiffFile(folder / "cells_smooth.tif") as file:
    after, smooth = file.imagej_metadata, file.asarray()
    assert file.pages[0].tags["XResolution"].value == resolution
    assert file.series[0].axes == "TZCYX"

assert after["Labels"] == before["Labels"]
assert after["spacing"] == before["spacing"]
np.testing.assert_array_equal(after["LUTs"], before["LUTs"])
assert smooth.dtype == counts.dtype

# %%
# The first time point's middle plane, both channels:

scores = {
    name: df.psnr(clean[0, 1, 0], image[0, 1, 0] / 40)
    for name, image in {"counts": counts, "smooth": smooth}.items()
}
print(scores)
assert scores["smooth"] > scores["counts"] + 5

figure, axes = plt.subplots(1, 4, figsize=(9.2, 2.7), layout="constrained")
for axis, (name, image, channel) in zip(
    axes,
    [(n, i, c) for c in (0, 1) for n, i in (("counts", counts), ("smoothed", smooth))],
    strict=True,
):
    axis.imshow(image[0, 1, channel], cmap="gray", vmin=0, vmax=45)
    axis.set_title(f"{before['Labels'][channel]}, {name}", fontsize=9)
    axis.set_axis_off()

shutil.rmtree(folder)
