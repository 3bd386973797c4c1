"""Pictures and texts compared by a tiny CLIP with random weights."""

import numpy as np
import pytest
from tiny_models import tiny_autoencoder, tiny_clip

from difffilter.generate import similarity
from difffilter.generate.zero_shot import as_input


@pytest.fixture
def model(tmp_path):
    return tiny_clip(tmp_path)


def test_cosines(model, rng):
    image = rng.random((16, 16, 3))
    texts = ["a red heart", "a blue fish", "a red heart"]
    found = similarity(image, texts, model=model)
    assert found.shape == (3,)
    assert found.dtype == np.float32
    assert np.abs(found).max() <= 1
    assert found[0] == found[2] != found[1]
    np.testing.assert_allclose(found[:1], similarity(image, texts[:1], model=model), atol=1e-6)


def test_pictures_of_other_kinds_are_brought_to_the_model(rng):
    colour = rng.random((8, 8, 3))
    plain = as_input(colour, 8)
    assert plain.shape == (1, 3, 8, 8)
    np.testing.assert_allclose(plain[0].permute(1, 2, 0), 2 * colour - 1, atol=1e-6)
    clear = np.concatenate([colour, np.ones((8, 8, 1))], axis=2)
    np.testing.assert_allclose(as_input(clear, 8), plain, atol=1e-6)
    clear[..., 3] = 0
    assert (as_input(clear, 8) == 1).all()
    grey = as_input(colour[..., 0], 8)
    np.testing.assert_array_equal(grey[0, 0], grey[0, 2])
    wide = as_input(np.zeros((8, 16, 3)), 8)[0]
    assert (wide[:, :2] == 1).all()  # white above
    assert (wide[:, 2:6] == -1).all()
    bytes_ = (255 * colour).round().astype(np.uint8)
    np.testing.assert_allclose(as_input(bytes_, 8), plain, atol=0.005)


@pytest.mark.parametrize(
    ("image", "texts", "message"),
    [
        (np.zeros((8, 8, 2)), ["a"], "image has shape (8, 8, 2); expected (H, W), (H, W, 3) or (H, W, 4)"),
        (np.zeros((8, 8)), [], "texts is []; expected a list of one or more texts"),
        (np.zeros((8, 8)), "a fish", "texts is 'a fish'; expected a list of one or more texts"),
    ],
)  # fmt: skip
def test_bad_arguments(model, image, texts, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the text follows)
        similarity(image, texts, model=model)
    assert str(error.value) == message


def test_weights_of_another_kind(tmp_path):
    with pytest.raises(ValueError, match=r"of kind autoencoder; expected clip$"):
        similarity(np.zeros((8, 8)), ["a"], model=tiny_autoencoder(tmp_path))
