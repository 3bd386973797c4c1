"""Blocks of an image come out as they do in the whole; what is chosen is chosen on samples."""

import itertools
import math

import numpy as np
import pytest
from equations import EQUATIONS, SCHEMES
from hypothesis import given
from hypothesis import strategies as st

import difffilter as df
from difffilter.blocks.filter import BlockFilter, choose_on_tiles, cut_up, sample_boxes
from difffilter.denoiser import as_denoiser

BY_BLOCKS = {name: e for name, e in (EQUATIONS | SCHEMES).items() if e.by_blocks is not None}
EXACT = {name: e for name, e in BY_BLOCKS.items() if e.by_blocks == 0}


def by_blocks(denoiser, image, block, sigma=0.1, channel_axis=None):
    """An image put together from its blocks."""
    shape = image.shape if channel_axis is None else image.shape[:-1]
    work = BlockFilter(denoiser, sigma, channel_axis, shape)
    result = np.empty_like(image)
    for corner in itertools.product(*(range(0, n, b) for n, b in zip(shape, block, strict=True))):
        box = tuple((a, min(a + b, n)) for a, b, n in zip(corner, block, shape, strict=True))
        padded = tuple(slice(*span) for span in work.with_halo(box))
        result[tuple(slice(*span) for span in box)] = work(image[padded], box)
    return result


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *itertools.product(BY_BLOCKS, [{}]),
        *itertools.product([name for name in BY_BLOCKS if name in EQUATIONS], [{"fidelity": 0.5}]),
        ("perona_malik tukey aos", {"fidelity": 1.0}),
        ("heat", {"time": 0.1}),
        ("heat", {"time": 4.0}),
    ],
    ids=str,
)
def test_blocks_equal_the_whole_image(name, options, rng):
    image = np.repeat(np.repeat(rng.random((15, 20)), 10, 0), 10, 1).astype(np.float32)
    image += rng.normal(0, 0.05, image.shape).astype(np.float32)
    denoiser = BY_BLOCKS[name].method(**options)
    parts = by_blocks(denoiser, image, (64, 41))
    np.testing.assert_allclose(parts, denoiser(image, 0.1), rtol=0, atol=BY_BLOCKS[name].by_blocks)


def test_blocks_of_the_identity(rng):
    image = rng.random((150, 200), np.float32)
    np.testing.assert_array_equal(by_blocks(df.Identity(), image, (64, 41)), image)


@pytest.mark.parametrize("text", [
    "edge_enhancing(kappa=0.05, time=3, presmooth=0.5, alpha=0.027)",
    "edge_enhancing(kappa=0.1, time=1.1, presmooth=1.0, alpha=0.06, spacing=(1, 0.8))",
    "coherence_enhancing(kappa=0.01, time=3, integration=1.0)",
])  # fmt: skip
def test_flat_blocks_take_the_same_steps_as_the_whole_image(text, rng):
    """The weights of D sum up to more where it turns; in most of these blocks it does not."""
    image = np.full((150, 190), 0.5, np.float32)
    y, x = np.mgrid[:60, :70] - 30
    image[:60, -70:] += 0.3 * np.sin(np.hypot(x, y)) + rng.normal(0, 0.05, (60, 70))
    image[70:] += 1e-3 * (np.indices((80, 190)).sum(0) % 2)  # shows how long a step is
    denoiser = df.make(text)
    parts = by_blocks(denoiser, image, (50, 47))
    np.testing.assert_allclose(parts, denoiser(image), atol=2e-6)


@pytest.mark.parametrize("fidelity", [0.0, 0.5])
@pytest.mark.parametrize("name", EXACT)
def test_blocks_of_volumes_and_colours_equal_the_whole(name, fidelity, rng):
    volume = rng.random((20, 40, 50), np.float32)
    denoiser = EXACT[name].method(time=0.6, fidelity=fidelity)
    whole = denoiser(volume, 0.1)
    np.testing.assert_allclose(by_blocks(denoiser, volume, (9, 20, 23)), whole, atol=2e-6)
    colour = rng.random((70, 60, 3), np.float32)
    whole = denoiser(colour, 0.1, channel_axis=-1)
    np.testing.assert_array_equal(by_blocks(denoiser, colour, (33, 32), channel_axis=-1), whole)


def test_blocks_of_a_volume_with_other_spacing(rng):
    volume = rng.random((20, 40, 50), np.float32)
    denoiser = df.Heat(time=0.5, spacing=(2, 1, 1))
    parts = by_blocks(denoiser, volume, (9, 20, 23))
    np.testing.assert_allclose(parts, denoiser(volume), atol=2e-6)


@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_blocks_of_variance_stabilised_images(noise, photo):
    """The brightest pixels, on which the transform depends, are in few of the blocks."""
    noisy = df.add_noise(photo, 0.1, noise).astype(np.float32)
    noisy[:40] *= 0.3
    method = df.make("stabilized", method="curvature_motion(time=1)", noise=noise)
    with pytest.raises(ValueError, match="call choose first"):
        method.halo(2)
    chosen = method.choose(noisy, 0.1)
    assert chosen.halo(2) is not None
    np.testing.assert_allclose(by_blocks(chosen, noisy, (33, 40)), method(noisy, 0.1), atol=1e-6)


def test_noise_is_estimated_for_the_kind_of_the_method(photo):
    noisy = df.add_noise(photo, 0.1, "speckle").astype(np.float32)
    chosen, sigma = choose_on_tiles(df.SRAD(), None, noisy[None], None)
    assert sigma == df.estimate_sigma(noisy, noise="speckle")
    assert chosen == df.SRAD().choose(noisy, sigma)


def test_blocks_of_a_ddpm_follow_its_tiles(rng):
    pytest.importorskip("torch")
    image = rng.random((150, 170), np.float32)
    denoiser = df.make("ddpm(tile=64)").choose(image, 0.1)
    np.testing.assert_array_equal(by_blocks(denoiser, image, (70, 90)), denoiser(image, 0.1))
    with pytest.raises(ValueError, match="mode='sample' cannot go block by block"):
        by_blocks(df.make("ddpm(mode='sample')"), image, (70, 90))


def test_without_a_halo_the_image_is_filtered_as_a_whole(rng):
    image = rng.random((60, 70))
    whole_only = as_denoiser(lambda noisy, sigma=None, *, channel_axis=None: noisy - noisy.mean())
    work = BlockFilter(whole_only, 0.1, None, image.shape)
    with pytest.warns(UserWarning, match="does not define its halo"):
        work.warn_if_whole()
    np.testing.assert_array_equal(by_blocks(whole_only, image, (20, 30)), whole_only(image))
    with pytest.raises(ValueError, match="call choose first"):
        df.PeronaMalik().halo(2)


@given(
    st.lists(st.integers(1, 2000), min_size=2, max_size=3).map(tuple), st.integers(1, 5),
)  # fmt: skip
def test_samples_are_inside_the_image_and_never_straddle_tiles(shape, images):
    boxes = sample_boxes(shape, images)
    assert len(set(boxes)) == len(boxes) > 0
    for image, box in boxes:
        assert 0 <= image < images
        assert all(0 <= a < b <= n for (a, b), n in zip(box, shape, strict=True))
    if images == 1 and math.prod(shape) <= 2**20:
        assert len(boxes) == 1
    assert len({tuple(b - a for a, b in box) for _, box in boxes}) == 1


def test_samples_cover_all_rows_and_columns():
    tops = sorted(box[0][0] for _, box in sample_boxes((8192, 8192)))
    lefts = sorted(box[1][0] for _, box in sample_boxes((8192, 8192)))
    for places in (tops, lefts):
        assert np.diff([0, *places, 8192]).max() <= 512


@pytest.mark.parametrize("method", ["heat", "perona_malik", "tv_flow"])
def test_choosing_on_samples_is_as_good_as_on_the_whole_image(method, rng):
    from skimage import data

    clean = np.tile(data.camera() / 255, (2, 3)).astype(np.float32)
    noisy = clean + rng.normal(0, 0.1, clean.shape).astype(np.float32)
    tiles = np.stack([noisy[a:b, c:d] for _, ((a, b), (c, d)) in sample_boxes(noisy.shape)])
    assert tiles.size < noisy.size
    settled, sigma = choose_on_tiles(df.make(method), None, tiles, None)
    assert sigma == pytest.approx(0.1, rel=0.03)
    all_seen = df.make(method).choose(noisy, 0.1)
    part = np.s_[:512, :512]
    gain = df.psnr(clean[part], settled(noisy[part], 0.1)) - df.psnr(
        clean[part], all_seen(noisy[part], 0.1)
    )
    assert gain > -0.1


@given(
    shape=st.lists(st.integers(1, 5000), min_size=2, max_size=3).map(tuple),
    halo=st.integers(0, 300), workers=st.integers(1, 64), chunk=st.integers(1, 600),
)  # fmt: skip
def test_blocks_fit_into_memory(shape, halo, workers, chunk):
    chunks = tuple(min(n, chunk) for n in shape)
    block, at_once = cut_up(shape, (halo,) * len(shape), chunks, workers=workers)
    for b, n, c in zip(block, shape, chunks, strict=True):
        assert 1 <= b <= n
        assert b == n or b % c == 0
    assert 1 <= at_once <= workers
    around = math.prod(min(n, b + 2 * halo) for b, n in zip(block, shape, strict=True))
    if at_once > 1:
        assert at_once * around < 2**24


def test_without_a_halo_the_image_is_one_block():
    assert cut_up((5000, 6000), None, (256, 256), workers=8) == ((5000, 6000), 1)


def test_halos_of_no_steps_and_of_many():
    settled = {"kappa": 0.1, "diffusivity": "rational", "presmooth": 0.0, "scheme": "explicit"}
    assert df.PeronaMalik(time=0.0, **settled).halo(2) == (0, 0)
    assert df.PeronaMalik(time=1000.0, **settled).halo(2) < (1000 / 0.2, 1000 / 0.2)
