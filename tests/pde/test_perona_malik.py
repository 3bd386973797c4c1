"""Perona–Malik: the oracle, the peers, the arguments."""

import math

import naive
import numpy as np
import pytest
from equations import textbook
from hypothesis import given
from hypothesis import strategies as st

import difffilter as df
from difffilter.pde.solve.schemes import DIFFUSIVITIES

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


@st.composite
def problems(draw):
    """An image, how to filter it, and the same for the oracle."""
    colours = draw(st.sampled_from([None, 1, 2, 3]))
    shape = draw(
        st.one_of(
            st.tuples(st.integers(1, 40), st.integers(1, 40)),
            st.tuples(st.integers(1, 6), st.integers(1, 36), st.integers(1, 12)),
        )
    )
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    image = rng.random((colours or 1, *shape))
    spacing = draw(st.sampled_from([None, tuple(rng.uniform(0.5, 2, len(shape)))]))
    mask = draw(st.sampled_from([None, rng.random(shape) < 0.7]))
    bound = 1 / (2 * sum(1 / h**2 for h in spacing or (1,) * len(shape)))
    scheme = draw(st.sampled_from(["explicit", "explicit", "fsi", "aos"]))
    options = {
        "diffusivity": draw(st.sampled_from(list(DIFFUSIVITIES))),
        "presmooth": draw(st.sampled_from([0.0, 0.0, 0.8])),
        "scheme": scheme,
        "step": draw(st.floats(0.3, 1.0 if scheme == "explicit" else 8.0)) * bound,
        "spacing": spacing,
        "mask": mask,
    }
    return image, colours, bound * draw(st.floats(0, 6)), draw(st.floats(0.02, 1.0)), options


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(problems())
def test_agrees_with_the_oracle(dtype, problem):
    image, colours, time, kappa, options = problem
    image = image.astype(dtype)
    given_image = image[0] if colours is None else np.moveaxis(image, 0, -1)
    axis = None if colours is None else -1
    result = textbook(given_image, time, kappa=kappa, channel_axis=axis, **options)
    expected = naive.perona_malik(image, time, kappa, **options)
    expected = expected[0] if colours is None else np.moveaxis(expected, 0, -1)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] / 10)


@pytest.mark.parametrize("diffusivity", DIFFUSIVITIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_diffusivity_over_its_whole_range(diffusivity, dtype):
    # Two pixels that differ by d: after one step of size τ, the first is τ·g(d)·d.
    d = np.geomspace(1e-6, 1e3, 400).astype(dtype)
    pairs = np.zeros((2, 400), dtype)
    pairs[1] = d
    got = [
        textbook(pair[:, None], 0.25, kappa=1.0, diffusivity=diffusivity, step=0.25)[0, 0]
        for pair in pairs.T
    ]
    expected = 0.25 * naive.G[diffusivity](d.astype(np.float64), 1.0) * d
    # Where g is a difference of numbers near 1 it has their rounding.
    allowed = TOLERANCE[dtype] * expected + 2 * np.finfo(dtype).eps * (1 + d)
    assert np.all(np.abs(got - expected) <= allowed)


def test_infinite_kappa_is_heat(photo):
    for diffusivity in DIFFUSIVITIES:
        result = textbook(photo, 3.0, kappa=1e12, diffusivity=diffusivity, scheme="explicit")
        heat = df.heat(photo, 3.0, scheme="explicit")
        np.testing.assert_allclose(result, heat, atol=1e-12, err_msg=diffusivity)


def test_vanishing_kappa_is_the_identity(photo):
    for diffusivity in DIFFUSIVITIES:
        result = textbook(photo + 1e-3 * np.eye(128), 1.0, kappa=1e-30, diffusivity=diffusivity)
        np.testing.assert_allclose(result, photo + 1e-3 * np.eye(128), atol=1e-12)


@pytest.mark.parametrize("presmooth", [0.0, 1.0])
@pytest.mark.parametrize(("scheme", "step"), [("explicit", None), ("fsi", 2.5), ("aos", 2.5)])
def test_mask_is_a_wall(photo, presmooth, scheme, step):
    mask = np.ones(photo.shape, bool)
    mask[:, 60:64] = False
    options = {"mask": mask, "presmooth": presmooth, "scheme": scheme, "step": step}
    result = textbook(photo, 5.0, kappa=0.1, **options)
    np.testing.assert_array_equal(result[:, 60:64], photo[:, 60:64])
    other_side = photo.copy()
    other_side[:, 64:] = 0.5
    changed = textbook(other_side, 5.0, kappa=0.1, **options)
    np.testing.assert_array_equal(changed[:, :60], result[:, :60])
    del options["mask"]
    alone = textbook(photo[:, :60], 5.0, kappa=0.1, **options)
    np.testing.assert_allclose(result[:, :60], alone, atol=1e-14)


def test_an_edge_in_one_channel_stops_all(rng):
    colour = rng.normal(0.5, 0.02, (16, 16, 3))
    colour[:, 8:, 0] += 0.4
    options = {"scheme": "fsi", "step": 5.0}
    coupled = textbook(colour, 20.0, kappa=0.1, channel_axis=-1, **options)
    alone = textbook(colour, 20.0, kappa=0.1, channel_axis=-1, coupled=False, **options)
    across = np.abs(np.diff(coupled[:, 7:9, 2], axis=1)).mean()
    across_alone = np.abs(np.diff(alone[:, 7:9, 2], axis=1)).mean()
    assert across > 1.5 * across_alone
    for c in range(3):
        channel = textbook(colour[..., c], 20.0, kappa=0.1, **options)
        np.testing.assert_array_equal(alone[..., c], channel)


def test_spacing_scales_length_and_time(photo):
    # Twice the length: a quarter of the speed and half the gradient.
    stretched = textbook(photo, 8.0, kappa=0.05, spacing=2.0)
    np.testing.assert_allclose(stretched, textbook(photo, 2.0, kappa=0.1), atol=1e-14)


def test_far_apart_planes_are_images_of_their_own(rng):
    volume = rng.random((3, 20, 20))
    result = textbook(volume, 1.0, kappa=0.2, spacing=(1e9, 1, 1), step=0.1)
    for plane, alone in zip(result, volume, strict=True):
        np.testing.assert_allclose(plane, textbook(alone, 1.0, kappa=0.2, step=0.1), atol=1e-12)


@pytest.mark.parametrize("diffusivity", ["exponential", "rational"])
def test_step_size_does_not_matter_much(photo, diffusivity):
    fine = textbook(photo, 5.0, kappa=0.05, diffusivity=diffusivity, step=0.01)
    coarse = textbook(photo, 5.0, kappa=0.05, diffusivity=diffusivity, scheme="explicit")
    assert np.sqrt(np.mean((fine - coarse) ** 2)) < 2 / 255


@pytest.mark.parametrize("diffusivity", ["exponential", "rational"])
@pytest.mark.parametrize("shape", [(61, 83), (12, 21, 30)])
def test_equals_medpy(diffusivity, shape, rng):
    medpy = pytest.importorskip("medpy.filter.smoothing", reason="medpy is not installed")
    image = rng.random(shape, np.float32)
    option = {"exponential": 1, "rational": 2}[diffusivity]
    theirs = medpy.anisotropic_diffusion(image, niter=10, kappa=0.2, gamma=0.1, option=option)
    ours = textbook(image, 1.0, kappa=0.2, diffusivity=diffusivity, step=0.1)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


@pytest.mark.parametrize("diffusivity", ["exponential", "rational"])
@pytest.mark.parametrize("shape", [(61, 83), (24, 27, 30)])
def test_equals_diplib_away_from_the_border(diffusivity, shape, rng):
    dip = pytest.importorskip("diplib", reason="DIPlib is not installed")
    image = rng.random(shape, np.float32)
    name = {"exponential": "Gauss", "rational": "quadratic"}[diffusivity]
    theirs = np.asarray(
        dip.PeronaMalikDiffusion(image, iterations=4, K=0.2, g=name, stepSizeLambda=0.1)
    )
    ours = textbook(image, 0.4, kappa=0.2, diffusivity=diffusivity, step=0.1)
    inner = (slice(5, -5),) * len(shape)  # its border leaks, a pixel further with each step
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=2e-6)


# --- callback, choosing ---------------------------------------------------------------------


def test_callback_sees_every_step_and_may_stop(photo):
    seen = []

    def watch(time, image):
        seen.append((time, image))
        return time > 0.55

    result, chosen = textbook(photo, 1.0, kappa=0.1, step=0.1, callback=watch, full_output=True)
    assert [time for time, _ in seen] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    np.testing.assert_array_equal(seen[-1][1], result)
    np.testing.assert_array_equal(seen[1][1], textbook(photo, 0.2, kappa=0.1, step=0.1))
    assert chosen["time"] == pytest.approx(0.6)
    assert chosen["steps"] == 6


def test_full_output_repeats_the_run(photo, rng):
    noisy = photo + rng.normal(0, 0.08, photo.shape)
    result, chosen = df.perona_malik(noisy, full_output=True)
    assert chosen["sigma"] == pytest.approx(0.08, rel=0.1)
    again = df.perona_malik(
        noisy, chosen["time"], kappa=chosen["kappa"], diffusivity=chosen["diffusivity"],
        presmooth=chosen["presmooth"], scheme=chosen["scheme"], step=chosen["step"],
    )  # fmt: skip
    np.testing.assert_array_equal(again, result)


def test_chosen_denoiser_repeats_the_run(photo, rng):
    noisy = photo + rng.normal(0, 0.08, photo.shape)
    chosen = df.PeronaMalik().choose(noisy)
    assert None not in (chosen.kappa, chosen.time, chosen.diffusivity, chosen.presmooth)
    np.testing.assert_array_equal(chosen(noisy), df.PeronaMalik()(noisy))


@pytest.mark.parametrize("sigma", [15 / 255, 50 / 255])
def test_choice_is_near_the_best_on_a_photograph(photo, rng, sigma):
    noisy = (photo + rng.normal(0, sigma, photo.shape)).astype(np.float32)
    best = -math.inf
    for diffusivity in DIFFUSIVITIES:
        for multiple in (0.5, 0.7, 1.0, 1.4, 2.0, 2.8):
            scores = []

            def score(time, image, scores=scores):
                scores.append(df.psnr(photo, image))
                return scores[-1] < max(scores) - 0.2

            textbook(noisy, 20.0, kappa=multiple * sigma, diffusivity=diffusivity, callback=score)
            best = max(best, *scores)
    assert df.psnr(photo, df.PeronaMalik()(noisy)) > best - 0.25


def test_what_is_given_is_kept(photo, rng):
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    _, chosen = df.perona_malik(noisy, time=1.5, full_output=True)
    assert chosen["time"] == 1.5
    _, chosen = df.perona_malik(noisy, kappa=0.07, full_output=True)
    assert chosen["kappa"] == 0.07
    assert chosen["time"] > 0
    chosen = df.PeronaMalik(diffusivity="tukey", presmooth=0.0).choose(noisy)
    assert (chosen.diffusivity, chosen.presmooth) == ("tukey", 0.0)


def test_large_images_are_judged_by_tiles(rng):
    scene = np.kron(rng.random((13, 17)), np.ones((80, 80)))  # 1040×1360
    noisy = scene + rng.normal(0, 0.1, scene.shape)
    chosen = df.PeronaMalik().choose(noisy.astype(np.float32), 0.1)
    small = df.PeronaMalik().choose(noisy[:480, :640].astype(np.float32), 0.1)
    assert chosen.diffusivity == small.diffusivity
    assert chosen.time == pytest.approx(small.time, rel=0.35)


def test_choice_heeds_the_mask(photo, rng):
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    mask = np.zeros(photo.shape, bool)
    mask[:, :64] = True
    noisy[:, 64:] = rng.random((128, 64))  # stronger noise, where nobody looks
    _, chosen = df.perona_malik(noisy, mask=mask, full_output=True)
    assert chosen["sigma"] == pytest.approx(0.1, rel=0.15)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kappa": 0}, ValueError, "kappa is 0; expected a finite number > 0"),
        ({"kappa": math.inf}, ValueError, "kappa is inf; expected a finite number > 0"),
        ({"kappa": "wide"}, ValueError,
         "kappa is 'wide'; expected a number or one of mad, quantile, sigma"),
        ({"time": -1}, ValueError, "time is -1; expected a finite number ≥ 0"),
        ({"presmooth": -1}, ValueError, "presmooth is -1; expected a finite number ≥ 0"),
        ({"diffusivity": "exponental"}, ValueError,
         "diffusivity is 'exponental'; expected one of exponential, rational, charbonnier, tukey, "
         "weickert; did you mean 'exponential'?"),
        ({"scheme": "magic"}, ValueError, "scheme is 'magic'; expected one of auto, explicit, fsi, aos"),
        ({"step": 0.26}, ValueError,
         "step is 0.26; expected at most the bound 1/(2 Σ 1/h²) = 0.25"),
        ({"mask": np.ones((3, 3), bool)}, ValueError,
         "mask has shape (3, 3); expected the image's spatial shape (8, 8)"),
        ({"mask": np.full((8, 8), 0.5)}, ValueError,
         "mask holds float64 values; expected booleans (or 0 and 1)"),
        ({"spacing": (1, 0)}, ValueError, "spacing is 0; expected a finite number > 0"),
        ({"sigma": 25}, ValueError,
         "sigma is 25, above the image's whole range [0, 1]; did you mean 25/255?"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        df.perona_malik(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message
