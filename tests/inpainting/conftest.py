import numpy as np
import pytest
from skimage import data


@pytest.fixture(scope="session")
def camera():
    """A crop of 128×128 with edges and texture, float32 in [0, 1]; to be read only."""
    image = (data.camera()[96:224, 160:288] / 255).astype(np.float32)
    image.flags.writeable = False
    return image
