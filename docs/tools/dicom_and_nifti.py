"""
DICOM and NIfTI
===============

``difffilter smooth`` changes the pixels of a medical file and nothing else. It needs
``pip install 'difffilter[medical]'``.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel
import numpy as np
from pydicom import dcmread
from pydicom.data import get_testdata_file

folder = Path(tempfile.mkdtemp())


def smooth(*arguments):
    """Run ``difffilter smooth``."""
    command = [sys.executable, "-m", "difffilter", "smooth", *arguments]
    subprocess.run(command, cwd=folder, check=True)


# %%
# A slice of a CT
# ---------------
# The command is ``difffilter smooth slice.dcm``.

shutil.copy(get_testdata_file("CT_small.dcm", download=False), folder / "slice.dcm")
smooth("slice.dcm")
before, after = dcmread(folder / "slice.dcm"), dcmread(folder / "slice_smooth.dcm")

# %%
# Hounsfield units are still right, since the slope and the intercept stay; the result has a UID of its own
# and says that it is derived.

assert after.RescaleIntercept == before.RescaleIntercept
assert after.PixelSpacing == before.PixelSpacing
assert after.SOPInstanceUID != before.SOPInstanceUID
assert after.ImageType[0] == "DERIVED"

# %%
# A series of volumes
# -------------------
# ``difffilter smooth series.nii.gz --volume`` filters each volume of the series by itself, with the voxel
# size of the file.

source = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
shutil.copy(source, folder / "series.nii.gz")
smooth("series.nii.gz", "--volume")
series, result = (nibabel.load(folder / name) for name in ("series.nii.gz", "series_smooth.nii.gz"))
np.testing.assert_array_equal(result.affine, series.affine)
assert result.shape == series.shape

middle = series.shape[2] // 2
pairs = {
    "CT": (before.pixel_array, after.pixel_array),
    "MRI": [np.rot90(each.get_fdata()[:, :, middle, 0]) for each in (series, result)],
}
figure, axes = plt.subplots(2, 3, figsize=(8, 5.2), layout="constrained")
for row, (name, (image, smoothed)) in zip(axes, pairs.items(), strict=True):
    image, smoothed = np.float32(image), np.float32(smoothed)
    window = dict(zip(("vmin", "vmax"), np.percentile(image, [2, 99.5]), strict=True))
    removed, most = image - smoothed, 4 * (image - smoothed).std()
    row[0].imshow(image, cmap="gray", **window)
    row[1].imshow(smoothed, cmap="gray", **window)
    row[2].imshow(removed, cmap="gray", vmin=-most, vmax=most)
    titles = (name, "smoothed", f"removed, from −{most:.0f} to {most:.0f}")
    for axis, title in zip(row, titles, strict=True):
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()

shutil.rmtree(folder)
