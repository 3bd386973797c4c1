"""Coherence transport: equal to a slow oracle, lines go on, the order of the fronts, no leaks."""

import re

import numpy as np
import pytest
from fillings import box

from difffilter.inpainting.coherence_transport import CoherenceTransport
from difffilter.inpainting.edge_enhancing import EdgeEnhancing
from difffilter.inpainting.graph import HOLE, KNOWN, OUTSIDE
from difffilter.inpainting.transport import arrival


def blobs(shape, seed=0):
    """Holes: some rectangles, and single pixels."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < 0.1
    for _ in range(3):
        y, x = rng.integers(0, shape[0] - 4), rng.integers(0, shape[1] - 4)
        mask[y : y + 6, x : x + 5] = True
    return mask


# --- oracles --------------------------------------------------------------------------------


def slow_arrival(state, spacing):
    """The solution of the upwind scheme for |∇T| = 1, by sweeps until nothing changes."""
    time = np.where(state == KNOWN, 0.0, np.inf)
    while True:
        before = time.copy()
        padded = np.pad(time, 1, constant_values=np.inf)
        for y, x in np.argwhere(state == HOLE):
            a = min(padded[y, x + 1], padded[y + 2, x + 1])
            b = min(padded[y + 1, x], padded[y + 1, x + 2])
            found = min(a + spacing[0], b + spacing[1])
            if np.isfinite(a + b):
                p = np.array([1, 1]) / np.square(spacing)
                roots = np.roots([p.sum(), -2 * (p @ [a, b]), p @ [a * a, b * b] - 1])
                if np.isreal(roots).all() and roots.max() >= max(a, b):
                    found = min(found, roots.max())
            time[y, x] = min(time[y, x], found)
        if np.array_equal(time, before):
            return time


def slow_filling(image, hole, ignore, spacing, method):
    """Coherence transport of an image (H, W, C), pixel by pixel, as the docstring has it."""
    u, places = image.astype(float), np.argwhere(np.ones(hole.shape, bool))
    state = np.where(ignore, OUTSIDE, np.where(hole, HOLE, KNOWN))
    known = state == KNOWN
    gradients = np.zeros((*u.shape, 2))

    def around(x, radius):
        """The known pixels within a radius of x that it sees, and the ways there."""
        ways = (places - x) * spacing
        steps = abs(places - x).max(axis=1)
        near = (np.hypot(*ways.T) <= radius) | (steps <= 1)
        near &= known[tuple(places.T)]
        for i in np.flatnonzero(near):
            (y0, x0), (y1, x1) = np.sort([x, places[i]], axis=0)
            near[i] = not ignore[y0 : y1 + 1, x0 : x1 + 1].any()
        return tuple(places[near].T), ways[near]

    def gradient(x):
        at, ways = around(x, 2.5 * method.presmooth)
        w = np.exp(-np.square(ways).sum(axis=1) / 2 / method.presmooth**2)
        w /= w.sum()
        apart = ways - w @ ways
        ridge = 0.03 * (w @ np.square(ways).sum(axis=1))
        if ridge == 0:
            return np.zeros((u.shape[2], 2))
        covariance = apart.T @ (w[:, None] * apart) + ridge * np.eye(2)
        return np.linalg.solve(covariance, apart.T @ (w[:, None] * (u[at] - w @ u[at]))).T

    def mean(x):
        at, ways = around(x, 2.5 * method.integration)
        w = np.exp(-np.square(ways).sum(axis=1) / 2 / method.integration**2)
        tensor = np.einsum("n,nci,ncj->ij", w / w.sum(), gradients[at], gradients[at])
        (small, large), vectors = np.linalg.eigh(tensor)
        mu = method.sharpness * (large - small) / (large + small + method.kappa**2)
        at, ways = around(x, method.radius)
        aside = ways @ vectors[:, 1]
        w = np.exp(-((mu * aside / method.radius) ** 2) / 2) / np.hypot(*ways.T)
        return w @ u[at] / w.sum()

    for y, x in np.argwhere(known):
        gradients[y, x] = gradient((y, x))
    times = np.where(hole & ~ignore, slow_arrival(state, spacing).round(10), 0)
    for time in np.unique(times[times > 0]):
        front = [tuple(place) for place in np.argwhere(times == time)]
        found = [mean(place) for place in front]
        for place, value in zip(front, found, strict=True):
            u[place], known[place] = value, True
        for place in front:
            gradients[place] = gradient(place)
    return u


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 2.5), (3.0, 1.0)])
@pytest.mark.parametrize("walls", [False, True])
def test_fronts_are_those_of_the_upwind_scheme(spacing, walls):
    state = np.where(blobs((19, 16)), HOLE, KNOWN).astype(np.uint8)
    state[3:14, 2:14] = HOLE
    if walls:
        state[5:15, 8] = OUTSIDE
    found = arrival(state, spacing)
    np.testing.assert_allclose(found, slow_arrival(state, spacing), rtol=1e-12)


def test_fronts_are_at_the_distance():
    state = np.full((1, 30), HOLE, np.uint8)
    state[0, 0] = KNOWN
    np.testing.assert_allclose(arrival(state, (1.0, 2.0))[0], 2 * np.arange(30), atol=1e-12)
    # Around a disc of known pixels, within the error of a scheme of first order.
    y, x = np.mgrid[:61, :61] - 30
    r = np.hypot(y, x)
    found = arrival(np.where(r <= 8, KNOWN, HOLE).astype(np.uint8), (1.0, 1.0))
    late = (found - (r - 8))[r > 8]
    assert late.min() > -1e-9
    assert late.max() < 1


@pytest.mark.parametrize(
    ("channels", "walls", "spacing"),
    [(1, False, (1.0, 1.0)), (3, False, (1.0, 1.0)), (1, True, (1.0, 1.0)), (2, True, (1.0, 1.6))],
)
def test_equals_a_slow_oracle(camera, channels, walls, spacing):
    image = camera[30:50, 40:58].astype(float)
    image = np.stack([image, image[::-1], image**2][:channels], axis=-1)
    hole, ignore = blobs(image.shape[:2], 1), np.zeros(image.shape[:2], bool)
    if walls:
        ignore[6:12, 9] = ignore[15, 2:7] = True
        hole[6:12, 5:14] = True
    method = CoherenceTransport(radius=3.5, kappa=0.02, sharpness=12, presmooth=1.2, integration=2)
    found = method(image, hole, ignore=ignore, spacing=spacing, channel_axis=-1)
    expected = slow_filling(image, hole, ignore, np.divide(spacing, max(spacing)), method)
    np.testing.assert_allclose(found, expected, atol=1e-9)


# --- lines and edges go on ------------------------------------------------------------------


def line(angle, width=4, size=96, spacing=(1, 1)):
    """A line at an angle to the vertical, smoothly cut, and the distance from the middle along it."""
    y, x = ((np.mgrid[:size, :size] - (size - 1) / 2).T * spacing).T
    angle = np.deg2rad(angle)
    across = np.cos(angle) * x + np.sin(angle) * y
    along = np.cos(angle) * y - np.sin(angle) * x
    return 0.2 + 0.6 * np.clip(width / 2 - abs(across) + 0.5, 0, 1), along


@pytest.mark.parametrize("oblique", [0, 20, 40])  # of the gap to the line
@pytest.mark.parametrize("angle", [0, 30, 45])
@pytest.mark.parametrize("width", [2, 4])
def test_a_line_goes_on_where_edge_enhancing_leaves_two_ends(angle, width, oblique):
    image, _ = line(angle, width, size=64)
    gap = abs(line(angle + oblique, size=64)[1]) < 5
    core, beside = gap & (image > 0.75), gap & (image < 0.21)
    filled, other = CoherenceTransport()(image, gap), EdgeEnhancing()(image, gap)
    assert filled[core].min() > 0.51
    assert abs(filled - image)[gap].mean() < 0.5 * abs(other - image)[gap].mean()
    assert (filled > 0.5)[beside].mean() < 0.01
    assert other[core].min() < 0.4


@pytest.mark.parametrize(
    ("method", "gap", "least", "most"),
    [(EdgeEnhancing, 5, 22, 27), (EdgeEnhancing, 12, 0, 0), (CoherenceTransport, 12, 22, 27)],
)
def test_the_gaps_that_usually_close(method, gap, least, most):
    closed = 0
    for angle in range(0, 90, 10):
        image, _ = line(angle, size=48)
        for oblique in (0, 20, 40):
            hole = abs(line(angle + oblique, size=48)[1]) < gap / 2
            closed += method()(image, hole)[hole & (image > 0.75)].min() > 0.5
    assert least <= closed <= most


def test_larger_parameters_do_as_described():
    image, _ = line(30, size=64)
    gap = abs(line(50, size=64)[1]) < 6
    errors = [
        abs(CoherenceTransport(sharpness=s)(image, gap) - image)[gap].mean() for s in (0, 6, 18, 40)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 4
    image, _ = line(60, size=48)
    gap = abs(line(100, size=48)[1]) < 9
    narrow, wide = (CoherenceTransport(integration=r)(image, gap) for r in (2, 8))
    core = gap & (image > 0.75)
    assert narrow[core].min() < 0.3
    assert wide[core].min() > 0.5


def test_dashes_become_a_line():
    image, along = line(30)
    gaps = along % 20 < 10
    filled, other = CoherenceTransport()(image, gaps), EdgeEnhancing()(image, gaps)
    assert filled[image > 0.75].min() > 0.51
    assert abs(filled - image)[gaps].mean() < 0.25 * abs(other - image)[gaps].mean()


def test_a_line_of_pixels_that_are_not_square():
    image, along = line(30, width=12, spacing=(1, 3))
    gap = abs(along) < 12
    core = gap & (image > 0.75)
    assert CoherenceTransport()(image, gap, spacing=(1, 3))[core].min() > 0.51


@pytest.mark.parametrize("turn", [np.asarray, np.transpose])
def test_a_step_goes_on(turn):
    step = turn(np.where(np.arange(40) < 19, 0.2, 0.8) * np.ones((40, 1)))
    hole = turn(box((40, 40), slice(8, 33), slice(5, 31)))
    filled = CoherenceTransport()(step, hole)
    np.testing.assert_allclose(filled, step, atol=0.01)


def test_lines_of_colour_alone_go_on():
    image, along = line(20)  # as bright as what is around it
    colours = np.stack([image, 1 - image], axis=0)
    gap = abs(along) < 6
    filled = CoherenceTransport()(colours, gap, channel_axis=0)
    core = gap & (image > 0.75)
    assert (filled[0] - filled[1])[core].min() > 0.1
    np.testing.assert_allclose(filled.sum(axis=0), 1, atol=1e-12)


# --- laws -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 3])
def test_keeps_known_pixels_and_their_range(camera, dtype, channels):
    image = camera[:50, :41].astype(dtype)
    if channels:
        image = np.stack([image, 1 - image, 0.5 * image], axis=-1)
    hole, axis = blobs((50, 41)), -1 if channels else None
    before = image.copy()
    result = CoherenceTransport()(image, hole, channel_axis=axis)
    assert result.dtype == dtype
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result[~hole], image[~hole])
    assert (result.min(axis=(0, 1)) >= image[~hole].min(axis=0)).all()
    assert (result.max(axis=(0, 1)) <= image[~hole].max(axis=0)).all()


def test_float32_is_as_good(camera):
    hole = blobs((50, 41))
    single = CoherenceTransport()(camera[:50, :41], hole)
    double = CoherenceTransport()(camera[:50, :41].astype(float), hole)
    np.testing.assert_allclose(single, double, atol=1e-4)


@pytest.mark.parametrize("shape", [(33, 20), (1, 17), (17, 1)])
def test_a_constant_stays(shape):
    hole = np.random.default_rng(0).random(shape) < 0.6
    np.testing.assert_array_equal(CoherenceTransport()(np.full(shape, 0.3), hole), 0.3)


def test_without_sharpness_means_are_in_all_directions():
    image = np.array([[0.0, 0.0, 0.0], [0.3, np.nan, 0.0], [0.0, 0.0, 0.6]])
    found = CoherenceTransport(sharpness=0, radius=1)(image)[1, 1]
    near, far = 1, 1 / np.sqrt(2)
    assert found == pytest.approx((0.3 * near + 0.6 * far) / (4 * near + 4 * far))


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.rot90, np.transpose])
def test_equivariant_to_flips_and_turns(camera, turn):
    image, hole = camera[:45, :38].astype(float), blobs((45, 38), 2)
    expected = turn(CoherenceTransport()(image, hole))
    np.testing.assert_allclose(CoherenceTransport()(turn(image), turn(hole)), expected, atol=1e-6)


def test_the_units_of_intensity_and_spacing_do_not_matter(camera):
    image, hole = camera[:40, :40].astype(float), blobs((40, 40), 4)
    first = CoherenceTransport()(image, hole, spacing=(1, 2))
    np.testing.assert_allclose(CoherenceTransport()(image, hole, spacing=(4, 8)), first, atol=1e-12)
    other = CoherenceTransport(kappa=1)(100 * image + 3, hole, spacing=(1, 2))
    np.testing.assert_allclose(other, 100 * first + 3, atol=1e-6)
    assert abs(CoherenceTransport()(image, hole) - first).max() > 0.01


def test_nothing_passes_a_wall(camera):
    image = camera[:32, :32].copy()
    hole, ignore = box(image.shape, slice(4, 28), slice(4, 28)), box(image.shape, slice(None), 15)
    first = CoherenceTransport()(image, hole, ignore=ignore)
    image[:, 16:] = 1 - image[:, 16:]
    second = CoherenceTransport()(image, hole, ignore=ignore)
    np.testing.assert_array_equal(second[:, :15], first[:, :15])
    assert (second[:, 16:] != first[:, 16:]).any()


def test_weights_that_vanish_leave_a_mean():
    # Very sharp means, and known pixels that are all off the line: nothing is divided by zero.
    image, along = line(20, size=32)
    hole = abs(along) < 6
    found = CoherenceTransport(sharpness=1e6)(image, hole)
    assert np.isfinite(found).all()


# --- arguments ------------------------------------------------------------------------------


def test_callback():
    hole, calls = np.ones((100, 100), bool), []
    hole[0] = False
    CoherenceTransport()(np.eye(100), hole, callback=lambda *call: calls.append(call))
    done, totals = zip(*calls, strict=True)
    assert set(totals) == {9900}
    assert list(done) == sorted(set(done))
    assert len(done) > 1
    assert done[-1] == 9900


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        *(({name: 0}, f"{name} is 0; expected a finite number > 0")
          for name in ("radius", "kappa", "presmooth", "integration")),
        ({"sharpness": -1}, "sharpness is -1; expected a finite number ≥ 0"),
    ],
)  # fmt: skip
def test_refuses_parameters(parameters, error):
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        CoherenceTransport(**parameters)


def test_refuses_volumes():
    error = "image has 3 spatial axes; expected 2, as for CoherenceTransport"
    with pytest.raises(ValueError, match=f"^{error}$"):
        CoherenceTransport()(np.zeros((4, 4, 4)), box((4, 4, 4), 2, 2, 2))


def test_refuses_pixels_that_are_cut_off():
    ignore = box((5, 5), slice(None), 1)
    error = "ignore cuts 5 pixels of the mask off from every known one; expected none"
    with pytest.raises(ValueError, match=f"^{error}$"):
        CoherenceTransport()(np.zeros((5, 5)), box((5, 5), slice(None), 0), ignore=ignore)
