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

figure, axes = plt.subplots(1, 4, figsize=(9.2, 3), layout="constrained")
middle = series.shape[2] // 2
images = {
    "CT": before.pixel_array,
    "CT, smoothed": after.pixel_array,
    "MRI": np.rot90(series.get_fdata()[:, :, middle, 0]),
    "MRI, smoothed": np.rot90(result.get_fdata()[:, :, middle, 0]),
}
for axis, (title, image) in zip(axes, images.items(), strict=True):
    low, high = np.percentile(image, [2, 99.5])
    axis.imshow(image, cmap="gray", vmin=low, vmax=high)
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()

shutil.rmtree(folder)
