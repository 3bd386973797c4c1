"""Which axes of an array are an image's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from difffilter.blocks.layout import Layout


@given(st.permutations("TZYXS"), st.booleans(), st.data())
def test_layouts_cover_an_array_once(axes, volume, data):
    shape = tuple(data.draw(st.integers(1, 5)) for _ in axes)
    layout = Layout("".join(axes), shape, volume)
    seen = np.zeros(shape, int)
    values = np.arange(seen.size).reshape(shape)
    for image, box in layout.boxes((2,) * len(layout.spatial)):
        index = layout.index(image, box)
        seen[index] += 1
        picture = layout.as_image(values[index])
        assert picture.shape == (*(b - a for a, b in box), shape[axes.index("S")])
        np.testing.assert_array_equal(layout.as_array(picture), values[index])
    assert (seen == 1).all()
