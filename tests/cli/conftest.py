import numpy as np
import pytest
import tifffile
from PIL import Image

from difffilter.image import like


@pytest.fixture
def folder(tmp_path, photo, colour_photo, rng):
    """A folder with noisy images of several kinds."""
    noisy = like(photo + rng.normal(0, 0.1, photo.shape), np.uint8(0))
    Image.fromarray(noisy).save(tmp_path / "grey.png")
    colour = like(colour_photo + rng.normal(0, 0.1, colour_photo.shape), np.uint8(0))
    Image.fromarray(colour).save(tmp_path / "colour.jpg")
    tifffile.imwrite(
        tmp_path / "stack.tif", np.stack([noisy[:32, :48]] * 4), photometric="minisblack"
    )
    return tmp_path
