"""The fidelity term λ(f - u): its exact solution, its limits, and every evolution with it."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from equations import EQUATIONS, textbook
from hypothesis import given
from hypothesis import strategies as st
from skimage.restoration import denoise_tv_chambolle

import difffilter as df

every_pde = pytest.mark.parametrize("name", EQUATIONS)


def some(name, **given):
    """A Denoiser with settled parameters and short steps."""
    if name != "heat":  # which is exact
        short = {"tv_flow": 0.002, "edge_enhancing": 0.1, "coherence_enhancing": 0.1}
        given = {"step": short.get(name, 0.02)} | given
    return EQUATIONS[name].method(**given)


@given(st.data())
def test_heat_is_exact(data):
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    mode = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    spacing = (1.5, 0.7)
    time, fidelity = data.draw(st.floats(0, 5)), data.draw(st.floats(0.01, 5))
    wave, decay = naive.heat_mode(shape, mode, spacing, 1.0)
    rate = -np.log(decay)
    # The solution of du/dt = -r u + λ (1 - u), u(0) = 1.
    factor = (fidelity + rate * np.exp(-(fidelity + rate) * time)) / (fidelity + rate)
    result = df.heat(wave, time, fidelity=fidelity, spacing=spacing)
    np.testing.assert_allclose(result, factor * wave, atol=1e-12)


def test_explicit_steps_converge_to_it(photo):
    """Of first order, which forward Euler is; taking turns does not make it worse."""
    exact = df.heat(photo, 2.0, fidelity=0.5)
    errors = [
        np.abs(df.heat(photo, 2.0, fidelity=0.5, scheme="explicit", step=step) - exact).max()
        for step in (0.1, 0.05, 0.025)
    ]
    assert errors[0] < 0.02
    assert errors[1] < 0.6 * errors[0]
    assert errors[2] < 0.6 * errors[1]


@pytest.mark.parametrize("presmooth", [0.0, 0.7])
@pytest.mark.parametrize("fidelity", [0.1, 1.0])
def test_nonlinear_diffusion_converges_to_a_plain_integration(presmooth, fidelity, rng):
    image = rng.random((12, 14))
    u, step = image[None], 0.002
    options = {"spacing": (1.0, 1.0), "mask": np.ones((12, 14), bool)}
    for _ in range(round(1.0 / step)):
        face = naive.face_diffusivity(u, 0.3, "rational", presmooth=presmooth, **options)
        u = naive.step_with(u, step, face_diffusivity=face, **options) + step * fidelity * (
            image - u
        )
    method = df.PeronaMalik(
        kappa=0.3,
        time=1.0,
        diffusivity="rational",
        presmooth=presmooth,
        fidelity=fidelity,
        scheme="explicit",
    )
    coarse, fine = (replace(method, step=h)(image) for h in (0.2, 0.01))
    assert np.sqrt(np.mean((fine - u[0]) ** 2)) < 0.001
    assert np.sqrt(np.mean((coarse - u[0]) ** 2)) < 0.01


def test_total_variation_flow_ends_in_the_minimum_of_rudin_osher_and_fatemi(rng):
    clean = np.kron(rng.random((6, 6)), np.ones((8, 8)))
    noisy = clean + rng.normal(0, 0.1, clean.shape)
    for weight in (0.1, 0.2):
        minimum = denoise_tv_chambolle(noisy, weight=weight, eps=1e-8, max_num_iter=3000)
        result = df.tv_flow(noisy, 1.0, fidelity=1 / weight, step=0.002)
        moved = np.sqrt(np.mean((minimum - noisy) ** 2))
        assert np.sqrt(np.mean((result - minimum) ** 2)) < 0.12 * moved


@every_pde
def test_limits_mean_and_extrema(name, photo, rng):
    image = photo[40:63, 50:71] + 0.1 + rng.normal(0, 0.02, (23, 21))
    plain = some(name)(image)
    np.testing.assert_array_equal(some(name, fidelity=0)(image), plain)
    np.testing.assert_allclose(some(name, fidelity=1e-9)(image), plain, atol=0.005)
    much, more = 10 / some(name).time, 100 / some(name).time
    moved = [np.std(some(name, fidelity=x)(image) - image) for x in (0, 1, much, more)]
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < 0.15 * moved[0]
    if name != "curvature_motion":
        held = some(name, fidelity=much)(image)
        assert held.mean() == pytest.approx(image.mean(), abs=1e-12)
        assert image.min() - 1e-12 <= held.min()
        assert held.max() <= image.max() + 1e-12


@every_pde
def test_chooses_with_it_and_repeats(name, photo, rng):
    clean, gains = photo[:64, :64], []
    method = df.make(name, fidelity=0.1 if name != "tv_flow" else 1.0)
    for _ in range(6):
        noisy = df.add_noise(clean, 0.1, "speckle" if name == "srad" else "gaussian", rng=rng)
        chosen = method.choose(noisy)
        assert chosen.time > 0
        result = method(noisy)
        np.testing.assert_array_equal(chosen(noisy), result)
        gains.append(df.psnr(clean, result) - df.psnr(clean, noisy))
    assert np.mean(gains) > 3
    from difffilter.catalog import spell

    assert df.make(spell(chosen)) == chosen


@pytest.mark.parametrize("name", ["heat", "perona_malik", "curvature_motion"])
def test_scale_space_starts_from_the_first_image(name, photo):
    method = some(name, fidelity=0.2)
    one, two = df.scale_space(photo, method, [1.0, 3.0])
    np.testing.assert_array_equal(one, method(photo))
    np.testing.assert_array_equal(two, some(name, fidelity=0.2, time=3.0)(photo))


def test_steps_of_perona_malik_mask_callback_and_colour(colour_photo, rng):
    u = colour_photo[:32, :32]
    mask = np.ones((32, 32), bool)
    mask[:, 10:14] = False
    seen = []
    options = {"fidelity": 0.3, "mask": mask, "channel_axis": -1}
    result, chosen = textbook(
        u, 1.0, kappa=0.1, callback=lambda time, image: seen.append((time, image)), full_output=True,
        **options,
    )  # fmt: skip
    assert len(seen) == chosen["steps"] == 5
    np.testing.assert_allclose(result, textbook(u, 1.0, kappa=0.1, **options), atol=2e-3)
    np.testing.assert_array_equal(result[:, 10:14], u[:, 10:14])
    noisy = u + rng.normal(0, 0.1, u.shape)
    _, chosen = df.perona_malik(noisy, full_output=True, **options)
    assert chosen["time"] > 0
    for scheme in ("aos", "fsi"):
        other = textbook(u, 1.0, kappa=0.1, scheme=scheme, step=0.1, **options)
        assert np.sqrt(np.mean((other - result) ** 2)) < 0.01


@every_pde
def test_bad_fidelity(name):
    with pytest.raises(ValueError, match="fidelity") as caught:
        df.denoise(np.zeros((8, 8)), sigma=0.1, method=name, fidelity=-1)
    assert str(caught.value) == "fidelity is -1; expected a finite number ≥ 0"
