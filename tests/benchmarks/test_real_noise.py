"""Scores that need no clean image, compared with the truth where that is known."""

import sys
from functools import partial

import numpy as np
import pytest
import real_noise
from scipy.ndimage import gaussian_filter

import difffilter as df


@pytest.fixture
def intensity():
    """Mean photon counts: a ramp with a bright square."""
    image = np.linspace(1, 20, 192) * np.ones((192, 1))
    image[60:120, 60:120] += 30
    return image


def write_fits(file, values, **fields):
    """A FITS file of 32-bit integers."""
    height, width = values.shape
    fields = {"SIMPLE": "T", "BITPIX": 32, "NAXIS": 2, "NAXIS1": width, "NAXIS2": height, **fields}
    cards = [f"{name:<8}= {value:>20} / a comment" for name, value in fields.items()]
    # The header takes two blocks.
    head = "".join(card.ljust(80) for card in [*cards, *["COMMENT"] * 40, "END"])
    content = head.ljust(-(-len(head) // 2880) * 2880).encode() + values.astype(">i4").tobytes()
    file.write_bytes(content)


def test_halves_of_counts_are_independent_and_poisson(intensity):
    counts = np.random.default_rng(1).poisson(intensity).astype(float)
    half, other = real_noise.thin(counts)
    np.testing.assert_array_equal(half + other, counts)
    errors = [each - intensity / 2 for each in (half, other)]
    chance = 4 / np.sqrt(counts.size)
    assert abs(real_noise.correlation(*errors)) < chance
    for error in errors:
        standardised = error / np.sqrt(intensity / 2)
        assert abs(standardised.mean()) < chance
        assert abs(standardised.var() - 1) < 2 * chance


@pytest.mark.parametrize(
    "method",
    [lambda x: x, lambda x: gaussian_filter(x, 1), lambda x: gaussian_filter(x, 4), np.zeros_like],
    ids=["unfiltered", "blur", "strong blur", "black"],
)
def test_the_other_half_measures_the_error(intensity, method):
    scores, errors = [], []
    for seed in range(8):
        counts = np.random.default_rng(seed).poisson(intensity).astype(float)
        half, other = real_noise.thin(counts, seed)
        result = method(half)
        scores.append(real_noise.held_out(result, other).mean())
        errors.append(np.square(result - intensity / 2).mean())
    spread = np.std(np.subtract(scores, errors), ddof=1) / np.sqrt(8)
    assert abs(np.mean(scores) - np.mean(errors)) < 4 * spread + 1e-12
    assert spread < 0.05 * np.mean(errors)


def test_the_difference_of_two_methods_and_its_standard_error(intensity):
    rng = np.random.default_rng(2)
    half = rng.poisson(intensity / 2)
    results = [gaussian_filter(half.astype(float), width) for width in (1, 2)]
    found = [real_noise.ahead(*results, rng.poisson(intensity / 2)) for _ in range(100)]
    differences, spreads = np.transpose(found)
    true = [np.square(result - intensity / 2).mean() for result in results]
    assert differences.std() == pytest.approx(spreads.mean(), rel=0.25)
    assert abs(differences.mean() - (true[1] - true[0])) < 4 * spreads.mean() / 10


@pytest.mark.parametrize("width", [0.0, 1.0], ids=["white", "correlated"])
def test_noise_left_in_the_result_explains_the_correlation(width):
    clean = 10 * np.cos(np.pi / 96 * (np.arange(192) + 0.5)) * np.ones((192, 1))
    noise = gaussian_filter(np.random.default_rng(6).standard_normal(clean.shape), width)
    noise /= noise.std()
    blur = partial(gaussian_filter, sigma=1)
    result = blur(clean + noise)
    model = df.estimate_noise(noise)
    assert model.white == (width == 0)
    share = real_noise.share_of_noise(blur, clean + noise, result, model)
    common = np.mean(noise * (result - blur(clean)))
    expected = common / ((clean + noise - result).std() * result.std())
    # (The estimate of correlated noise is less exact.)
    assert share == pytest.approx(expected, rel=0.3 if width else 0.15)


def test_energy_of_the_residual_at_edges(intensity):
    noise = np.random.default_rng(3).standard_normal(intensity.shape)
    for strength in (1, np.sqrt(intensity)):  # alike everywhere, or growing with the intensity
        assert real_noise.edge_energy(intensity + strength * noise, intensity) == pytest.approx(
            1, abs=0.2
        )
    blurred = gaussian_filter(intensity, 2)
    assert real_noise.edge_energy(intensity + noise, blurred) > 5


def test_reading_fits(tmp_path):
    values = np.arange(-6, 6).reshape(3, 4)
    write_fits(tmp_path / "a.fits", values, BSCALE=0.5, BZERO="1.0E+00")
    np.testing.assert_array_equal(real_noise.read_fits(tmp_path / "a.fits"), 1 + 0.5 * values)


def test_frames_that_drift_are_left_out():
    rng = np.random.default_rng(4)
    cycles = rng.normal(0, 1, (8, 40, 50))
    cycles[3] *= 3
    cube = np.zeros((17, 40, 50))
    cube[1:16:2] = np.cumsum(cycles, axis=0) / np.arange(1, 9)[:, None, None]
    frames = real_noise.frames_of(cube, real_noise.part(0, 0, 40, 50))
    kept = np.delete(cycles, 3, axis=0)
    np.testing.assert_allclose(frames, kept - kept.mean(axis=(1, 2), keepdims=True), atol=1e-12)
    methods = {row[0]: float(row[1]) for row in real_noise.frames_rows(frames)}
    assert methods["auto"] < 0.1 * methods["unfiltered"]


def test_the_script(tmp_path, monkeypatch, intensity):
    """One of its images, made here."""
    counts = np.random.default_rng(5).poisson(np.pad(intensity, 32, mode="edge"))
    (tmp_path / "deep").mkdir()
    write_fits(tmp_path / "deep/rosat.mt", counts)
    page, pictures = tmp_path / "page.md", tmp_path / "pictures"
    first = dict(list(real_noise.COUNTS_METHODS.items())[:2])
    monkeypatch.setattr(real_noise, "COUNTS_METHODS", first)
    monkeypatch.setattr(real_noise, "METHODS", {"auto": real_noise.auto})
    options = [str(tmp_path), "-o", str(page), "--pictures", str(pictures)]
    monkeypatch.setattr(sys, "argv", ["real_noise.py", *options])
    real_noise.main()
    text = page.read_text("utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ROSAT")]
    gains = [float(row[3]) for row in rows]
    assert gains[0] == 0
    assert gains[1] > 5
    assert "Not found: JPEG-LL.dcm" in text
    assert (pictures / "ROSAT.png").exists()
