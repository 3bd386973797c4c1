"""The Triton kernels give what Numba's give: on a GPU, or interpreted where there is none."""

import os
from dataclasses import replace

import numpy as np
import pytest
from evolutions import TOLERANCE, evolutions
from hypothesis import given, settings
from hypothesis import strategies as st

from difffilter.pde.solve.schemes import DIFFUSIVITIES, Diffusion

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MOST = int(os.environ.get("EXAMPLES", "10"))  # interpreted, a step takes a tenth of a second
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # which is read when Triton is imported
pytest.importorskip("triton", reason="Triton is not installed; it comes with PyTorch for CUDA")

from difffilter.pde.backends import torch_schemes, triton_steps  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def with_triton():
    """Have the steps taken by Triton on whatever device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_schemes, "implementation", lambda u: triton_steps)
        yield


def run(diffusion, time, state):
    u = torch.from_numpy(state).to(DEVICE)
    with np.errstate(all="ignore"):  # (The interpreter is NumPy; a diffusivity may divide by 0.)
        return torch_schemes.evolve(diffusion, u, time).cpu().numpy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=MOST)
@given(st.data())
def test_steps_are_those_of_the_kernels(dtype, data):
    diffusion, time, state = data.draw(evolutions(dtype, longest=12))
    result = run(diffusion, time, state.copy())
    assert result.dtype == dtype
    np.testing.assert_allclose(result, diffusion.evolve(state, time), atol=TOLERANCE[dtype])


@pytest.mark.parametrize("presmooth", [0.0, 0.5])
def test_several_tiles(presmooth, rng):
    """Where one tile ends and the next begins nothing is different."""
    state = rng.random((2, 2, 2, 9, triton_steps.COLUMNS + 3), np.float32)
    mask = rng.random((1, *state.shape[2:])) < 0.9
    diffusion = Diffusion(
        DIFFUSIVITIES["rational"], 0.3, presmooth, spacing=(2.0, 1.0, 1.0), mask=mask
    )
    diffusion, time = replace(diffusion, scheme="fsi", step=0.5), 0.5
    result = run(diffusion, time, state.copy())
    np.testing.assert_allclose(result, diffusion.evolve(state, time), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", DIFFUSIVITIES.values(), ids=list(DIFFUSIVITIES))
def test_diffusivity_over_its_whole_range(kind, dtype):
    # Pairs of pixels that differ by d, one above the other, with walls between them.
    d = np.geomspace(1e-6, 1e3, 100).astype(dtype)
    state = np.zeros((1, 1, 1, 2, 200), dtype)
    state[..., 1, ::2] = d
    mask = np.zeros((1, 1, 2, 200), bool)
    mask[..., ::2] = True
    diffusion, time = Diffusion(kind, mask=mask, step=0.25), 0.25
    result = run(diffusion, time, state.copy())
    expected = diffusion.evolve(state, time)
    eps = np.finfo(dtype).eps
    assert np.all(np.abs(result - expected) <= 20 * eps * (1 + np.abs(expected)))


@settings(max_examples=MOST)
@given(evolutions(np.float64, longest=12))
def test_mean_and_extrema_stay(evolution):
    diffusion, time, state = evolution
    result = run(diffusion, time, state.copy())
    np.testing.assert_allclose(result.mean(axis=(2, 3, 4)), state.mean(axis=(2, 3, 4)), atol=1e-12)
    if diffusion.scheme == "explicit":
        assert result.max() <= state.max() + 1e-12
        assert result.min() >= state.min() - 1e-12
