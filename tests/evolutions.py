"""Evolutions drawn at random, for whatever carries them out beside Numba's kernels."""

import numpy as np
from hypothesis import strategies as st

from difffilter.pde.kernels import common as kernels
from difffilter.pde.solve.schemes import DIFFUSIVITIES, Diffusion
from difffilter.pde.solve.stability import stability_bound

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


@st.composite
def evolutions(draw, dtype, longest=40):
    """A diffusion, a time, and a state of a few thousand pixels at most."""
    plane = st.tuples(st.just(1), st.integers(1, longest), st.integers(1, longest))
    volume = st.tuples(st.integers(2, 5), st.integers(1, 12), st.integers(1, 12))
    shape = draw(st.one_of(plane, volume))
    batch, channels = draw(st.sampled_from([(1, 1), (1, 1), (1, 3), (2, 1), (2, 2)]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    state = rng.random((batch, channels, *shape)).astype(dtype)
    spacing = draw(st.sampled_from([(1.0, 1.0, 1.0), tuple(rng.uniform(0.5, 2, 3))]))
    scheme = draw(st.sampled_from(["explicit", "fsi"]))
    size = draw(st.floats(0.3, 1.0 if scheme == "explicit" else 8.0))
    size *= stability_bound(shape, spacing)
    diffusion = Diffusion(
        kind=draw(st.sampled_from([kernels.CONSTANT, *DIFFUSIVITIES.values()])),
        kappa=draw(st.floats(0.02, 1.0)),
        spacing=spacing,
        presmooth=draw(st.sampled_from([0.0, 0.0, 0.8])),
        mask=draw(st.sampled_from([None, rng.random((1, *shape)) < 0.7])),
        scheme=scheme,
        step=size,
    )
    return diffusion, draw(st.integers(0, 3)) * size, state
