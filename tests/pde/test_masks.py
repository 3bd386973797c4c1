"""Masks, in every filter: what is beyond keeps still and is not seen, as if the image ended there."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from equations import EQUATIONS

import difffilter as df
from difffilter.pde.solve.state import as_state

# (Its "exact" scheme has no masks: with one it is explicit.)
EXPLICIT = {"heat": {"scheme": "explicit"}}

IMAGES = {"grey": (23, 31), "colour": (19, 26, 3), "volume": (6, 13, 12)}


@pytest.fixture(params=EQUATIONS)
def equation(request):
    name = request.param
    return replace(EQUATIONS[name], parameters=EQUATIONS[name].parameters | EXPLICIT.get(name, {}))


@pytest.fixture(params=IMAGES)
def image(request, rng):
    return rng.random(IMAGES[request.param])


def options_of(image):
    """The channel axis of an image, and the shape of its masks."""
    return ({"channel_axis": -1}, image.shape[:-1]) if image.shape[-1] == 3 else ({}, image.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_beyond_stays_and_is_not_seen(equation, image, dtype, rng):
    options, shape = options_of(image)
    image, mask = image.astype(dtype), rng.random(shape) < 0.8
    result = equation(image, mask=mask, **options)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert (result[mask] != image[mask]).mean() > 0.9
    other = image.copy()
    other[~mask] = 1e3
    np.testing.assert_array_equal(equation(other, mask=mask, **options)[mask], result[mask])


def test_the_kernels_themselves_look_at_nothing_beyond(equation, image, rng):
    """(Filters hide it from them.)"""
    options, shape = options_of(image)
    mask = rng.random(shape) < 0.8
    problem = equation.method()._pose(image, None, options.get("channel_axis"), mask)
    _, evolution = equation.method()._settle(problem)
    results = []
    for beyond in (0.0, 1e3):
        u = image.copy()
        u[~mask] = beyond
        u = as_state(u, options.get("channel_axis"))
        results.append(evolution.evolve(u, equation.parameters["time"]))
    inside = np.broadcast_to(problem.mask[0], results[0].shape)
    np.testing.assert_array_equal(results[0][inside], results[1][inside])
    assert (results[1][~inside] == 1e3).all()


def test_all_of_an_image_is_the_image(equation, image):
    options, shape = options_of(image)
    whole = equation(image, **options)
    masked = equation(image, mask=np.ones(shape, bool), **options)
    np.testing.assert_allclose(masked, whole, atol=1e-9)


def test_the_image_ends_where_its_mask_does(equation, image):
    options, shape = options_of(image)
    mask = np.zeros(shape, bool)
    part = (slice(1, -2), slice(3, None))
    mask[part] = True
    cropped = equation(np.ascontiguousarray(image[part]), **options)
    np.testing.assert_allclose(equation(image, mask=mask, **options)[part], cropped, atol=1e-9)


@pytest.mark.parametrize("wall", ["straight", "diagonal"])
def test_nothing_is_seen_through_a_wall(equation, wall, rng):
    """Not even one of single pixels that touch at their corners."""
    image = rng.random((24, 24))
    y, x = np.indices(image.shape)
    side = x - 12 if wall == "straight" else x - y
    result = equation(image, mask=side != 0)
    changed = equation(np.where(side > 0, 1 - image, image), mask=side != 0)
    np.testing.assert_array_equal(changed[side < 0], result[side < 0])


def test_flips_and_turns_commute(equation, rng):
    image, mask = rng.random((5, 14, 17)), rng.random((5, 14, 17)) < 0.8
    result = equation(image, mask=mask)
    for axis in range(3):
        flipped = equation(np.flip(image, axis), mask=np.flip(mask, axis))
        np.testing.assert_allclose(flipped, np.flip(result, axis), atol=equation.rounding)
    if equation.name.endswith("enhancing"):
        return  # Gaussians along one axis after the other see round a corner in this order
    turned = equation(image.transpose(2, 0, 1), mask=mask.transpose(2, 0, 1))
    np.testing.assert_allclose(turned, result.transpose(2, 0, 1), atol=equation.rounding)


# --- what is chosen -------------------------------------------------------------------------

CHOOSERS = [name for name in EQUATIONS if name != "coherence_enhancing"]


def noisy_part(photo, name, rng):
    """A noisy photograph of 192×192 pixels, and the mask of the part that it really is."""
    clean = np.pad(photo, ((42, 22), (63, 1)))
    noise = 0.1 * rng.normal(size=clean.shape)
    noisy = clean * (1 + noise) if name == "srad" else clean + noise
    return noisy, np.pad(np.ones(photo.shape, bool), ((42, 22), (63, 1)))


@pytest.mark.parametrize("name", CHOOSERS)
def test_parameters_are_chosen_by_what_is_in_the_mask(name, photo, rng):
    noisy, mask = noisy_part(photo, name, rng)
    # (Of several q₀ two may do as well as each other.)
    smooth = partial(getattr(df, name), **({"q0": 0.05} if name == "srad" else {}))
    result, chosen = smooth(noisy, mask=mask, full_output=True)
    noisy[~mask] = 1e6
    again, as_before = smooth(noisy, mask=mask, full_output=True)
    assert as_before == chosen
    np.testing.assert_array_equal(again[mask], result[mask])
    _, of_part = smooth(noisy[42:170, 63:191], full_output=True)
    assert chosen["sigma"] == pytest.approx(of_part["sigma"], rel=1e-6)
    assert chosen["time"] == pytest.approx(of_part["time"], rel=0.25)


@pytest.mark.parametrize("name", ["perona_malik", "edge_enhancing", "forward_backward"])
def test_a_rule_for_kappa_looks_into_the_mask(name, photo, rng):
    noisy, mask = noisy_part(photo, name, rng)
    kappas = [
        getattr(df, name)(u, time=1.0, kappa="mad", full_output=True, **options)[1]["kappa"]
        for u, options in ((noisy, {"mask": mask}), (noisy[42:170, 63:191], {}))
    ]
    assert kappas[0] == pytest.approx(kappas[1], rel=1e-3 if name != "edge_enhancing" else 0.02)


@pytest.mark.parametrize("name", ["tv_flow", "perona_malik"])
def test_a_small_part_of_a_large_image_is_judged(name, photo, rng):
    """Tiles that are spread over all of the image would miss it."""
    noisy, mask = np.zeros((1000, 900)), np.zeros((1000, 900), bool)
    part = slice(701, 751), slice(333, 393)
    noisy[part] = photo[:50, :60] + 0.1 * rng.normal(size=(50, 60))
    mask[part] = True
    _, chosen = getattr(df, name)(noisy, mask=mask, full_output=True)
    _, of_part = getattr(df, name)(noisy[part], full_output=True)
    assert chosen["time"] == pytest.approx(of_part["time"], rel=0.25)


def test_an_empty_mask_leaves_everything(equation, image):
    options, shape = options_of(image)
    mask = np.zeros(shape, bool)
    np.testing.assert_array_equal(equation(image, mask=mask, **options), image)
    np.testing.assert_array_equal(getattr(df, equation.name)(image, mask=mask, **options), image)


def test_pixels_beyond_the_mask_may_be_nan(equation, image):
    options, shape = options_of(image)
    mask = np.ones(shape, bool)
    mask[1:3, 2:4] = False
    axis = options.get("channel_axis")
    beyond = np.broadcast_to(~mask if axis is None else np.expand_dims(~mask, axis), image.shape)
    holes = np.where(beyond, np.nan, image)
    result = equation(holes, mask=mask, **options)
    np.testing.assert_array_equal(np.isnan(result), beyond)
    expected = equation(image, mask=mask, **options)
    np.testing.assert_array_equal(result[~beyond], expected[~beyond])
    masked = equation(np.ma.array(image, mask=beyond), **options)
    np.testing.assert_array_equal(masked[~beyond], expected[~beyond])


def test_nan_within_the_mask_is_an_error(equation):
    image = np.full((5, 6), 0.5)
    image[2, 2] = np.nan
    with pytest.raises(ValueError, match="1 pixels that are NaN or infinite"):
        equation(image, mask=np.ones((5, 6), bool))
