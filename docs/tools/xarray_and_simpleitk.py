"""
xarray and SimpleITK
====================

An image with coordinates, or with an origin and a direction, comes back as what it was; its spacing is
taken from it.
"""

import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
import xarray as xr
from pydicom import dcmread
from pydicom.data import get_testdata_file

import difffilter as df

# %%
# xarray
# ------
# A slice of a CT, with positions in mm. ``denoise`` takes its values and gives back a DataArray.

scan = dcmread(get_testdata_file("CT_small.dcm", download=False))
rows, columns = np.float64(scan.PixelSpacing)
slice_ = xr.DataArray(
    scan.pixel_array * float(scan.RescaleSlope) + float(scan.RescaleIntercept),
    dims=("y", "x"),
    coords={"y": rows * np.arange(scan.Rows), "x": columns * np.arange(scan.Columns)},
    name="attenuation",
    attrs={"units": "HU"},
)
window = ((slice_ + 1024) / 2048).assign_attrs(slice_.attrs)  # the usual range as [0, 1]
smooth = df.denoise(window, method="perona_malik")

assert isinstance(smooth, xr.DataArray)
assert smooth.dims == window.dims
assert smooth.name == window.name
xr.testing.assert_equal(smooth.x, window.x)

# %%
# So it plots itself, in millimetres.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for axis, image, title in zip(axes, (window, smooth), ("slice", "smoothed"), strict=True):
    (2048 * image - 1024).plot.imshow(
        ax=axis, cmap="gray", vmin=-200, vmax=300, yincrease=False, cbar_kwargs={"label": "HU"}
    )
    axis.set(title=title, aspect="equal")

# %%
# SimpleITK
# ---------
# Origin, spacing and direction stay. Planes are 3.6 times as far apart as pixels, and the filter knows.

volume = sitk.GetImageFromArray(np.random.default_rng(0).normal(0.5, 0.1, (8, 48, 48)))
volume.SetSpacing((0.7, 0.7, 2.5))
volume.SetOrigin((-120.0, -95.0, 310.0))
result = df.denoise(volume, method="perona_malik")

assert isinstance(result, sitk.Image)
assert result.GetSpacing() == volume.GetSpacing()
assert result.GetOrigin() == volume.GetOrigin()
values = sitk.GetArrayFromImage(volume)
expected = df.denoise(values, method=df.make("perona_malik", spacing=(2.5 / 0.7, 1, 1)))
np.testing.assert_array_equal(sitk.GetArrayFromImage(result), expected)
