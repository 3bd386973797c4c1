"""Arrays in files, read and written by parts."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from difffilter.io.arrays import split_path
from difffilter.io.tiff_arrays import Raw


@given(st.data())
def test_raw_parts_are_those_of_the_array(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    values = np.arange(math.prod(shape), dtype=">i4").reshape(shape)
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "raw"
        path.write_bytes(b"head" + values.tobytes())
        raw = Raw(path, 4, shape, ">i4", "ZYX"[-len(shape) :])
        index = tuple(
            slice(a, data.draw(st.integers(a + 1, n)))
            for n in shape
            for a in [data.draw(st.integers(0, n - 1))]
        )
        np.testing.assert_array_equal(raw.read(index), values[index])
        values[index] = -1
        raw.write(index, values[index])
        assert path.read_bytes() == b"head" + values.tobytes()


def test_split_path():
    assert [str(part) for part in split_path("a/b.zarr/c/0")] == ["a/b.zarr", "c/0"]
    assert [str(part) for part in split_path("a/b.tif")] == ["a/b.tif", ""]
