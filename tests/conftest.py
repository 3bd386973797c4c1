import os

import hypothesis
import numpy as np
import pytest
from skimage import data

# Compiling makes the first example slow, and a shared machine any; the number of examples is what
# keeps the suite short.
hypothesis.settings.register_profile(
    "default", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "30")), derandomize=True
)
hypothesis.settings.load_profile("default")


@pytest.fixture(scope="session")
def photo():
    """A grey photograph, 128×128, in [0, 1]."""
    return data.camera()[100:356:2, 150:406:2] / 255


@pytest.fixture(scope="session")
def colour_photo():
    """A colour photograph, 96×128×3, in [0, 1]."""
    return data.astronaut()[:192:2, 100:356:2] / 255


@pytest.fixture
def rng():
    return np.random.default_rng(7)
