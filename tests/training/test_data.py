"""Training data: what is read, and what is drawn from it."""

import re
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from difffilter.ddpm.bias_free import BiasFreeConfig
from difffilter.training.data import (
    draw_batch,
    draw_noisy,
    load_images,
    read_photos,
    set_aside,
    signed,
)
from difffilter.training.photo_configs import LearnedConfig, TrainingConfig

CONFIG = TrainingConfig(batch=4, crop=16)


def test_images_of_eight_bits_are_read_as_by_pillow(folder):
    for channels, mode in ((1, "L"), (3, "RGB")):
        for index, image in enumerate(load_images(folder, channels)):
            with Image.open(folder / f"{index}.png") as file:
                pixels = np.atleast_3d(np.asarray(file.convert(mode)))
            assert image.dtype == np.uint8
            np.testing.assert_array_equal(image, np.moveaxis(pixels, 2, 0))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_other_kinds_of_eight_bits_are_read_as_by_pillow_too(tmp_path, mode, rng):
    pixels = Image.fromarray(rng.integers(256, size=(20, 30, 3), dtype=np.uint8)).convert(mode)
    pixels.save(tmp_path / ("image.jpg" if mode == "CMYK" else "image.png"))
    for channels, other in ((1, "L"), (3, "RGB")):
        (image,) = load_images(tmp_path, channels)
        with Image.open(next(tmp_path.iterdir())) as file:
            expected = file.convert("RGB").convert(other)
        np.testing.assert_array_equal(image, np.moveaxis(np.atleast_3d(np.asarray(expected)), 2, 0))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_kept(tmp_path, suffix, channels):
    """1000 and 30000 of 65535 are two greys, not both white."""
    pixels = np.full((16, 16), 1000, np.uint16)
    pixels[:, 8:] = 30_000
    write = imagecodecs.imwrite if suffix == ".png" else tifffile.imwrite
    write(tmp_path / f"image{suffix}", pixels)
    (image,) = load_images(tmp_path, channels)
    np.testing.assert_array_equal(image, np.broadcast_to(pixels, (channels, 16, 16)))
    crops, _, _ = draw_batch([image], CONFIG, 0)
    np.testing.assert_allclose(np.unique(crops), [2000 / 65535 - 1, 60_000 / 65535 - 1], rtol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colours_of_sixteen_bits_become_grey(tmp_path, suffix, rng):
    pixels = rng.integers(2**16, size=(20, 30, 3), dtype=np.uint16)
    write = imagecodecs.imwrite if suffix == ".png" else tifffile.imwrite
    write(tmp_path / f"image{suffix}", pixels)
    (image,) = load_images(tmp_path, 1)
    assert image.dtype == np.uint16
    np.testing.assert_allclose(image[0], pixels @ [0.299, 0.587, 0.114], rtol=0, atol=1)


def test_a_batch_may_mix_dtypes(tmp_path):
    half = [np.full((1, 16, 16), value, dtype) for value, dtype in
            ((51, np.uint8), (13_107, np.uint16), (0.2, np.float32))]  # fmt: skip
    crops, _, _ = draw_batch(half, replace(CONFIG, batch=6), 0)
    assert crops.dtype == np.float32
    np.testing.assert_allclose(crops, -0.6, rtol=1e-6)


def test_what_is_neither_grey_nor_colour_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((8, 9, 5), np.uint8), planarconfig="contig")
    with pytest.raises(ValueError, match=r"image\.tif has 5 channels; expected 1 or 3"):
        load_images(tmp_path, 1)
    tifffile.imwrite(tmp_path / "image.tif", np.full((8, 9), 255, np.float32))
    with pytest.raises(ValueError, match=r"image\.tif has values from 255 to 255"):
        load_images(tmp_path, 1)
    tifffile.imwrite(tmp_path / "image.tif", np.full((8, 9), 0.5, np.float32))
    assert load_images(tmp_path, 3)[0].dtype == np.float32


def test_folders_without_images_are_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FileNotFoundError):
            load_images(folder, 1)


def test_validation_images_are_set_aside_for_good(folder):
    images = load_images(folder, 1)
    train, validation = set_aside(images, 3)
    assert len(train) == 4
    assert len(validation) == 3
    assert not any(mine is theirs for mine in train for theirs in validation)
    again = set_aside(images, 3)[1]
    assert all(mine is theirs for mine, theirs in zip(validation, again, strict=True))
    assert set_aside(images, 0) == (images, [])
    assert [len(part) for part in set_aside(images, 24)] == [4, 3]


def test_a_batch_depends_on_seed_and_step_alone(folder):
    images = load_images(folder, 3)

    def equal(one, other):
        return all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))

    assert equal(draw_batch(images, CONFIG, 5), draw_batch(images, CONFIG, 5))
    assert not equal(draw_batch(images, CONFIG, 5), draw_batch(images, CONFIG, 6))
    other = replace(CONFIG, seed=1)
    assert not equal(draw_batch(images, CONFIG, 5), draw_batch(images, other, 5))


@pytest.mark.parametrize(("count", "batch", "world"), [(7, 4, 2), (3, 8, 4), (5, 1, 1)])
def test_no_image_comes_twice_in_an_epoch(count, batch, world):
    """Whatever the batch is shared among, each image is seen once before any is seen again."""
    images = [np.full((1, 16, 16), index, np.uint8) for index in range(count)]
    config = replace(CONFIG, batch=batch)
    seen = []
    for step in range(3 * count):
        drawn = draw_batch(images, config, step)[0][:, 0, 0, 0]
        drawn = np.rint((drawn + 1) * 127.5).astype(int)
        shares = [drawn[rank::world] for rank in range(world)]
        assert sorted(np.concatenate(shares)) == sorted(drawn)
        seen += drawn.tolist()
    epochs = np.reshape(seen, (-1, count))
    np.testing.assert_array_equal(
        np.sort(epochs, axis=1), np.tile(np.arange(count), (3 * batch, 1))
    )
    assert len(np.unique(epochs, axis=0)) > 1  # each in an order of its own


def test_crops_are_pieces_of_the_image_in_all_eight_positions():
    image = np.arange(16 * 16, dtype=np.uint8).reshape(1, 16, 16)
    crops, _, _ = draw_batch([image], replace(CONFIG, batch=200), 0)
    whole = signed(image)[0]
    turned = {np.rot90(side, k).tobytes() for side in (whole, whole.T) for k in range(4)}
    assert {crop[0].tobytes() for crop in crops} == turned


def test_the_noise_drawn_is_log_normal_with_a_uniform_part():
    image = np.zeros((1, 16, 16), np.uint8)
    config = replace(CONFIG, batch=10_000, sigma_range=(1e-3, 1.0), uniform=0.0)
    _, t, _ = draw_batch([image], config, 0)
    log_sigma = np.log(config.schedule.sigma_tilde(t) / 2)
    assert log_sigma.mean() == pytest.approx(np.log(28 / 255), abs=0.02)
    assert log_sigma.std() == pytest.approx(0.8, abs=0.02)
    _, t, _ = draw_batch([image], replace(config, uniform=1.0), 0)
    assert t.min() >= 1
    assert np.histogram(t, 10, (0, 1000))[0] == pytest.approx(1000, rel=0.1)


def test_sigma_drawn_stays_in_its_range():
    image = np.zeros((1, 16, 16), np.uint8)
    config = replace(CONFIG, batch=500, sigma_range=(0.1, 0.12), uniform=0.0)
    sigma = config.schedule.sigma_tilde(draw_batch([image], config, 0)[1]) / 2
    assert sigma.min() == pytest.approx(0.1)
    assert sigma.max() == pytest.approx(0.12)


def test_the_noise_of_a_learned_diffusion_is_log_uniform():
    image = np.zeros((1, 16, 16), np.uint8)
    config = LearnedConfig(batch=10_000, crop=16, sigma_range=(0.01, 0.1))
    _, sigma, seed = draw_noisy([image], config, 0)
    assert 0.01 <= sigma.min() < sigma.max() <= 0.1
    assert np.histogram(np.log10(sigma), 10, (-2, -1))[0] == pytest.approx(1000, rel=0.1)
    assert draw_noisy([image], config, 1)[2] != seed


# --- crops that grow --------------------------------------------------------------------

GROWING = TrainingConfig(BiasFreeConfig(), batch=9, crop=16, growth=(1, 1.5, 3), steps=10)


def test_crops_grow_and_batches_shrink():
    images = [np.zeros((1, 48, 48), np.uint8)] * 7
    shapes = [draw_batch(images, GROWING, step)[0].shape for step in range(10)]
    assert shapes == [(9, 1, 16, 16)] * 4 + [(4, 1, 24, 24)] * 4 + [(1, 1, 48, 48)] * 2
    assert GROWING.batches == {9, 4, 1}


def test_no_image_comes_twice_in_an_epoch_of_growing_crops():
    positions = [place for step in range(10) for place in GROWING.crops(step)[1]]
    assert positions == list(range(9 * 4 + 4 * 4 + 1 * 2))


def test_images_smaller_than_the_last_crops_are_left_out(tmp_path):
    for side in (40, 48):
        Image.new("L", (side, side)).save(tmp_path / f"{side}.png")
    train, _ = read_photos(tmp_path, replace(GROWING, validation=0))
    assert [image.shape for image in train] == [(1, 48, 48)]
    (tmp_path / "48.png").unlink()
    with pytest.raises(ValueError, match=r"no image in .* is 48 pixels high and wide"):
        read_photos(tmp_path, replace(GROWING, validation=0))


@pytest.mark.parametrize(
    ("growth", "message"),
    [
        ((1.2,), "crop is 16 × 1.2; expected a multiple of 16"),
        ((0.5, 1), "growth is (0.5, 1); expected numbers ≥ 1 in ascending order"),
        ((2, 1), "growth is (2, 1); expected numbers ≥ 1 in ascending order"),
        ((), "growth is (); expected numbers ≥ 1 in ascending order"),
    ],
)
def test_bad_growth_is_refused(growth, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        TrainingConfig(crop=16, growth=growth)
