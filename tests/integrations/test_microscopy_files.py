"""Hyperstacks of ImageJ and OME-TIFF files, as ImageJ's and OME's own readers see them after `smooth`."""

import numpy as np
import pytest
import tifffile
from command import invoke_ok

import difffilter as df


@pytest.fixture
def counts(rng):
    """Photon counts (T, Z, C, Y, X), whose channels and time points differ in brightness."""
    levels = 20 * np.arange(1, 9).reshape(2, 1, 4, 1, 1)
    return rng.poisson(np.broadcast_to(levels, (2, 3, 4, 32, 40))).astype(np.uint16)


def test_an_ome_file_keeps_its_metadata(counts, tmp_path):
    ome_types = pytest.importorskip("ome_types", reason="ome-types is not installed")
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(
        path, counts, ome=True, photometric="minisblack",
        metadata={
            "axes": "TZCYX", "Name": "cells",
            "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.2,
            "PhysicalSizeYUnit": "µm", "PhysicalSizeZ": 1.0, "PhysicalSizeZUnit": "µm",
            "TimeIncrement": 2.5, "TimeIncrementUnit": "s",
            "Channel": {"Name": ["DAPI", "GFP", "RFP", "Cy5"]},
            "Description": "fixed, 63×",
        },
    )  # fmt: skip
    invoke_ok("smooth", path, "--volume", "--noise", "poisson", cwd=tmp_path)
    result = tmp_path / "cells_smooth.ome.tif"
    before, after = ome_types.from_tiff(path), ome_types.from_tiff(result)
    assert [each.name for each in after.images[0].pixels.channels] == ["DAPI", "GFP", "RFP", "Cy5"]
    for each in (before, after):
        each.uuid = None
        for block in each.images[0].pixels.tiff_data_blocks:
            block.uuid = None  # names the file
    assert after == before
    smooth = tifffile.imread(result)
    assert smooth.shape == counts.shape
    assert smooth.dtype == counts.dtype
    assert smooth.std() < counts.std()


def test_times_and_channels_are_not_mixed(counts, tmp_path):
    """Each volume of a hyperstack is filtered as if it were alone."""
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, counts, imagej=True, metadata={"axes": "TZCYX"})
    options = ("-m", "perona_malik(kappa=0.01, time=2)", "--data-range", "255")
    invoke_ok("smooth", path, "--volume", *options, cwd=tmp_path)
    smooth = tifffile.imread(tmp_path / "cells_smooth.tif")
    filters = df.make("perona_malik", kappa=0.01, time=2)
    for t, c in ((0, 0), (1, 2), (1, 3)):
        alone = 255 * df.denoise(counts[t, :, c], method=filters, data_range=255)
        np.testing.assert_allclose(smooth[t, :, c], alone, atol=0.51)


def test_imagej_sees_the_same_hyperstack(counts, tmp_path):
    path = tmp_path / "cells.tif"
    ramp = np.arange(256, dtype=np.uint8)
    tables = [
        np.stack([ramp * k for k in on]) for on in ((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1))
    ]
    tifffile.imwrite(
        path, counts, imagej=True, resolution=(5, 5),
        metadata={
            "axes": "TZCYX", "spacing": 1.0, "unit": "um", "finterval": 2.5, "mode": "composite",
            "LUTs": tables, "Ranges": [0.0, 100.0] * 4, "Labels": [f"plane {k}" for k in range(24)],
        },
    )  # fmt: skip
    invoke_ok("smooth", path, "--noise", "poisson", cwd=tmp_path)
    with tifffile.TiffFile(path) as one, tifffile.TiffFile(tmp_path / "cells_smooth.tif") as other:
        before, after = one.imagej_metadata, other.imagej_metadata
        assert other.series[0].axes == one.series[0].axes == "TZCYX"
        tags = [file.pages[0].tags for file in (one, other)]
        assert tags[0]["XResolution"].value == tags[1]["XResolution"].value
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value)
