"""The metrics by their definitions, and beside other libraries."""

import math

import numpy as np
import pytest
from scipy.signal import convolve2d

import difffilter as df
from difffilter.metrics import gmsd, haarpsi, ms_ssim, texture, vif


def test_psnr(photo):
    assert df.psnr(photo, photo) == math.inf
    assert df.psnr(photo, photo + 0.01) == pytest.approx(40)
    noisy = df.add_noise(photo, 25 / 255)
    assert df.psnr(photo, noisy) == pytest.approx(20.17, abs=0.1)
    assert df.psnr(np.uint8([[0, 255]]), np.uint8([[255, 0]])) == 0
    with pytest.raises(
        ValueError, match=r"image has shape \(2, 2\); expected \(128, 128\), as clean has"
    ):
        df.psnr(photo, np.zeros((2, 2)))


def naive_ssim(x, y):
    """Wang et al. 2004, where the 11×11 window fits."""
    offset = np.arange(-5, 6)
    g = np.exp(-(offset**2) / (2 * 1.5**2))
    window = np.outer(g, g) / g.sum() ** 2

    def mean(a):
        return convolve2d(a, window, mode="valid")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return index.mean()


def test_ssim(photo, colour_photo):
    noisy = df.add_noise(photo, 0.1)
    assert df.ssim(photo, noisy) == pytest.approx(naive_ssim(photo, noisy), abs=1e-10)
    assert df.ssim(photo, photo) == pytest.approx(1)
    noisy = df.add_noise(colour_photo, 0.1)
    channels = [naive_ssim(colour_photo[..., c], noisy[..., c]) for c in range(3)]
    assert df.ssim(colour_photo, noisy, channel_axis=-1) == pytest.approx(np.mean(channels))
    assert math.isnan(df.ssim(np.zeros((5, 20)), np.zeros((5, 20))))


def naive_index(x, y, row, column):
    """SSIM at one pixel of mirrored images."""
    offset = np.arange(-5, 6)
    g = np.exp(-(offset**2) / (2 * 1.5**2))
    weight = np.outer(g, g) / g.sum() ** 2
    x, y = (np.pad(a, 5, "symmetric")[row : row + 11, column : column + 11] for a in (x, y))
    mx, my = np.sum(weight * x), np.sum(weight * y)
    vx, vy, cov = (np.sum(weight * a) for a in ((x - mx) ** 2, (y - my) ** 2, (x - mx) * (y - my)))
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


def test_within_a_mask(colour_photo, rng):
    """Pixels beside it count in windows of SSIM alone; at the border too."""
    clean = colour_photo[:30, :25].astype(float)
    noisy = clean + rng.normal(0, 0.1, clean.shape)
    mask = rng.random(clean.shape[:2]) < 0.02
    mask[0, 0] = mask[-1, 7] = True
    pixels = list(zip(*np.nonzero(mask), strict=True))
    errors = [(clean[y, x, c] - noisy[y, x, c]) ** 2 for y, x in pixels for c in range(3)]
    indices = [naive_index(clean[..., c], noisy[..., c], y, x) for y, x in pixels for c in range(3)]
    inside = {"mask": mask, "channel_axis": -1}
    assert df.psnr(clean, noisy, **inside) == pytest.approx(-10 * np.log10(np.mean(errors)))
    assert df.ssim(clean, noisy, **inside) == pytest.approx(np.mean(indices), abs=1e-10)
    first = [np.moveaxis(image, -1, 0) for image in (clean, noisy)]
    assert df.ssim(*first, mask=mask, channel_axis=0) == df.ssim(clean, noisy, **inside)
    grey = naive_index(clean[..., 0], noisy[..., 0], 0, 0)
    corner = np.zeros(mask.shape, bool)
    corner[0, 0] = True
    assert df.ssim(clean[..., 0], noisy[..., 0], mask=corner) == pytest.approx(grey, abs=1e-10)
    outside = np.where(mask[..., None], clean, noisy)
    assert df.psnr(clean, outside, **inside) == math.inf
    assert df.psnr(clean, noisy, mask=np.ones_like(mask), channel_axis=-1) == pytest.approx(
        df.psnr(clean, noisy, channel_axis=-1)
    )


@pytest.mark.parametrize("metric", [df.psnr, df.ssim])
@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.ones((20, 20)), TypeError, "mask has dtype float64; expected bool"),
        (
            np.ones((20, 20, 3), bool), ValueError,
            "mask has shape (20, 20, 3); expected (20, 20), the spatial shape of the image",
        ),
        (
            np.zeros((20, 20), bool), ValueError,
            "mask is False for all pixels; expected some that count",
        ),
    ],
)  # fmt: skip
def test_masks_are_checked(metric, mask, error, message):
    image = np.zeros((20, 20, 3))
    with pytest.raises(error) as caught:
        metric(image, image, mask=mask, channel_axis=-1)
    assert str(caught.value) == message


@pytest.mark.parametrize(("metric", "narrowest"), [(ms_ssim, 176), (vif, 41)])
def test_metrics_of_torchmetrics(metric, narrowest, photo):
    pytest.importorskip("torchmetrics")
    clean = np.tile(photo, (2, 2))[:200, :210]
    colour = np.stack([clean, clean**2, 1 - clean], axis=-1)
    assert metric(clean, clean) == pytest.approx(1, abs=1e-4)
    values = [metric(clean, df.add_noise(clean, sigma)) for sigma in (0.02, 0.05, 0.1)]
    assert 1 > values[0] > values[1] > values[2] > 0
    noisy = df.add_noise(colour, 0.1)
    channels = [metric(colour[..., c], noisy[..., c]) for c in range(3)]
    assert metric(colour, noisy, channel_axis=-1) == pytest.approx(np.mean(channels), rel=0.01)
    first = (np.moveaxis(x, -1, 0) for x in (colour, noisy))
    assert metric(*first, channel_axis=0) == pytest.approx(np.mean(channels), rel=0.01)
    assert math.isnan(metric(clean[: narrowest - 1], clean[: narrowest - 1]))
    assert not math.isnan(metric(clean[:narrowest, :narrowest], clean[:narrowest, :narrowest]))


def test_vif_distinguishes_more_contrast_from_less(photo):
    """The one metric that does not take a clearer image for a worse one."""
    pytest.importorskip("torchmetrics")
    middle = 0.5 + (photo - 0.5) / 2
    assert vif(middle, photo) > 1 > vif(photo, middle)


def test_texture_of_noise_alone(rng):
    """Differences of two normal numbers are normal, with the mean modulus 2σ/√π; flat has none."""
    flat = np.full((300, 300), 0.5)
    noisy = flat + rng.normal(0, 0.1, flat.shape)
    assert texture(flat, noisy) == pytest.approx(0.2 / math.sqrt(math.pi), rel=0.01)
    colour = np.stack([noisy, flat, flat], axis=0)
    assert texture(0 * colour, colour, channel_axis=0) == pytest.approx(
        texture(flat, noisy) / 3, rel=1e-6
    )


def test_texture_depends_on_distributions_alone(photo, rng):
    assert texture(photo, photo) == 0
    assert texture(photo, photo[::-1] + 0.1) < texture(photo, photo[:, ::-1] * 0.9)
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    assert texture(photo, noisy) == pytest.approx(texture(noisy, photo))
    assert texture(photo, df.heat(photo, 10)) > texture(photo, df.heat(photo, 1)) > 0
    assert math.isnan(texture(np.zeros((1, 1)), np.zeros((1, 1))))


def naive_haarpsi(x, y):
    """Reisenhofer et al. 2018: the definition at every pixel, with zeros outside."""
    total = weights = 0
    x, y = (255 * naive_halved(a) for a in (x, y))

    def coefficient(a, row, column, size):
        """Difference of the sums of the two halves of the window, upper and lower."""
        half = size // 2
        padded = np.pad(a, size)
        top, left = row + size - half + 1, column + size - half + 1
        upper = padded[top : top + half, left : left + size].sum()
        return abs(padded[top + half : top + size, left : left + size].sum() - upper) / size

    for a, b in ((x, y), (x.T, y.T)):
        for pixel in np.ndindex(a.shape):
            fine = [(coefficient(a, *pixel, size), coefficient(b, *pixel, size)) for size in (2, 4)]
            similarity = np.mean([(2 * m * n + 30) / (m * m + n * n + 30) for m, n in fine])
            weight = max(coefficient(a, *pixel, 8), coefficient(b, *pixel, 8))
            total += weight / (1 + math.exp(-4.2 * similarity))
            weights += weight
    score = total / weights
    return (math.log(score / (1 - score)) / 4.2) ** 2


def naive_gmsd(x, y):
    """Xue et al. 2014, with zeros outside."""
    across = np.array([[1, 0, -1]] * 3) / 3

    def magnitude(a):
        gradients = [
            convolve2d(naive_halved(a), kernel, mode="same") for kernel in (across, across.T)
        ]
        return np.sqrt(sum(g * g for g in gradients))

    m, n = magnitude(x), magnitude(y)
    map_ = (2 * m * n + 0.0026) / (m * m + n * n + 0.0026)  # the paper's constant, rounded
    return np.sqrt(np.mean((map_ - map_.mean()) ** 2))


def naive_halved(a):
    return convolve2d(a, np.full((2, 2), 0.25))[1::2, 1::2]


@pytest.mark.parametrize("shape", [(32, 40), (33, 20), (16, 17)])
def test_haarpsi_and_gmsd_by_their_definitions(shape, photo):
    clean = photo[: shape[0], : shape[1]]
    noisy = df.add_noise(clean, 0.05)
    assert haarpsi(clean, noisy) == pytest.approx(naive_haarpsi(clean, noisy), abs=1e-10)
    assert gmsd(clean, noisy) == pytest.approx(naive_gmsd(clean, noisy), abs=1e-3)


def test_haarpsi_and_gmsd_are_those_of_piq(photo):
    """The numbers of ``piq.haarpsi`` and ``piq.gmsd``, version 0.8.0, in double precision."""
    odd = photo[:127, :125]
    shaded = odd * np.linspace(0, 1, 125)
    for clean, image, *expected in (
        (photo, photo[::-1], 0.174665, 0.331819),
        (photo, photo / 2, 0.719676, 0.077673),
        (odd, shaded, 0.470262, 0.208312),
    ):
        found = haarpsi(clean, image), gmsd(clean, image)
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("metric", "best", "narrowest"), [(haarpsi, 1, 16), (gmsd, 0, 6)])
def test_laws_of_the_perceptual_metrics(metric, best, narrowest, photo, colour_photo):
    assert metric(photo, photo) == pytest.approx(best, abs=1e-9)
    assert metric(np.zeros((20, 20)), np.zeros((20, 20))) == pytest.approx(best)
    noisy = [df.add_noise(photo, sigma) for sigma in (0.02, 0.05, 0.1, 0.2)]
    distances = [abs(best - metric(photo, image)) for image in noisy]
    assert distances == sorted(distances)
    assert distances[0] > 0.01
    assert distances[-1] < 1
    assert metric(noisy[1], photo) == pytest.approx(metric(photo, noisy[1]))
    assert metric(photo.T, noisy[1].T) == pytest.approx(metric(photo, noisy[1]))
    whole = np.uint8(photo * 255)
    assert metric(whole, whole // 2) == pytest.approx(
        metric(whole / 255, whole // 2 / 255), rel=1e-5
    )
    image = df.add_noise(colour_photo, 0.1)
    channels = [metric(colour_photo[..., c], image[..., c]) for c in range(3)]
    assert metric(colour_photo, image, channel_axis=-1) == pytest.approx(np.mean(channels))
    first = (np.moveaxis(x, -1, 0) for x in (colour_photo, image))
    assert metric(*first, channel_axis=0) == pytest.approx(np.mean(channels))
    assert math.isnan(metric(photo[: narrowest - 1], photo[: narrowest - 1]))
    assert not math.isnan(metric(photo[:narrowest, :narrowest], photo[:narrowest, :narrowest]))
    with pytest.raises(ValueError, match=r"image has 3 spatial axes; expected 2"):
        metric(np.zeros((20, 20, 20)), np.zeros((20, 20, 20)))
