"""Every PDE, with its parameters and the laws that it keeps, for the tests."""

from __future__ import annotations

from dataclasses import dataclass

import difffilter as df

__all__ = ["EQUATIONS", "SCHEMES", "Equation", "textbook"]


@dataclass(frozen=True)
class Equation:
    """A PDE with settled parameters: a function of images, and what holds for it.

    Attributes
    ----------
    name : str
        The catalog's; there is a function of the same name.
    parameters : dict
        So many of them that nothing is left to choose.
    conserves_mean : bool
    overshoot : float or None
        How far results may lie beyond the extrema of an image in [0, 1]; ``None``: it sharpens.
    passes_offset : bool
        Whether a constant added to the image is added to the result.
    turns : bool
        Whether an image flipped or turned becomes the result flipped or turned: no direction is
        special.
    rounding : float
        The largest difference that rounding makes, in float64, to an image in [0, 1] flipped,
        turned or raised by a constant.
    by_blocks : float or None
        The largest difference, in float32, between blocks and the whole of an image in [0, 1]; 0:
        the same to the bit; ``None``: the steps suit the image, and so differ.
    """

    name: str
    parameters: dict
    conserves_mean: bool = True
    overshoot: float | None = 1e-12
    passes_offset: bool = True
    turns: bool = True
    rounding: float = 1e-12
    by_blocks: float | None = None

    def __call__(self, image, **options):
        return getattr(df, self.name)(image, **self.parameters | options)

    def method(self, **other):
        """The Denoiser, with other parameters on top."""
        return df.make(self.name, **self.parameters | other)


# One for each PDE of the catalog, in its order.
EQUATIONS = {
    equation.name: equation
    for equation in (
        Equation("heat", {"time": 1.0}, by_blocks=2e-6),
        Equation(
            "perona_malik",
            {"time": 1.0, "kappa": 0.1, "diffusivity": "rational", "presmooth": 0.7,
             "scheme": "explicit", "step": 0.15},
            by_blocks=0.0,
        ),
        Equation(
            "edge_enhancing", {"time": 1.0, "kappa": 0.1, "presmooth": 0.7, "alpha": 0.06},
            by_blocks=2e-6,
        ),
        Equation(
            "coherence_enhancing",
            {"time": 1.0, "kappa": 0.1, "presmooth": 0.5, "integration": 1.0},
            by_blocks=1e-4,
        ),
        Equation("tv_flow", {"time": 0.05, "epsilon": 1e-4, "step": 0.005}, by_blocks=1e-4),
        # Its direction is undefined where the gradient vanishes, and rounding decides.
        Equation(
            "curvature_motion", {"time": 1.0, "epsilon": 1e-4},
            conserves_mean=False, overshoot=0.5, rounding=1e-9, by_blocks=0.0,
        ),
        Equation(
            "forward_backward", {"time": 1.0, "kappa": 0.2},
            overshoot=None, rounding=1e-9, by_blocks=0.0,
        ),
        Equation(
            "srad", {"time": 1.0, "q0": 0.2}, passes_offset=False, rounding=1e-9, by_blocks=0.0
        ),
    )
}  # fmt: skip


def _perona_malik(scheme, **options):
    plain = {"time": 2.0, "kappa": 0.1, "presmooth": 0.0, "diffusivity": "rational"}
    size = {"explicit": 0.15, "aos": 1.0, "fsi": 1.0, "auto": None}[scheme]
    return Equation(
        "perona_malik",
        plain | {"scheme": scheme, "step": size} | options,
        # Extrapolation may overshoot a little.
        overshoot=1e-12 if scheme in ("explicit", "aos") else 0.05,
        by_blocks={"explicit": 0.0, "aos": 2e-6, "fsi": 2e-6, "auto": None}[scheme],
    )


# The other ways to carry out the two that have several.
SCHEMES = {
    "heat explicit": Equation("heat", {"time": 2.0, "scheme": "explicit"}),
    **{
        f"perona_malik {diffusivity} explicit": _perona_malik("explicit", diffusivity=diffusivity)
        for diffusivity in ("exponential", "rational", "charbonnier", "tukey", "weickert")
    },
    **{
        f"perona_malik {diffusivity} presmoothed explicit": _perona_malik(
            "explicit", diffusivity=diffusivity, presmooth=0.7
        )
        for diffusivity in ("exponential", "charbonnier", "tukey", "weickert")
    },
    "perona_malik exponential aos": _perona_malik("aos", diffusivity="exponential"),
    "perona_malik tukey aos": _perona_malik("aos", diffusivity="tukey"),
    "perona_malik rational presmoothed aos": _perona_malik("aos", presmooth=0.7),
    "perona_malik rational fsi": _perona_malik("fsi"),
    "perona_malik exponential presmoothed fsi": _perona_malik(
        "fsi", diffusivity="exponential", presmooth=0.7
    ),
    "perona_malik rational presmoothed auto": _perona_malik("auto", presmooth=0.7),
}


def textbook(image, time, *, kappa, **options):
    """Perona and Malik's original scheme by default: exponential diffusivity, no presmoothing."""
    options = {"diffusivity": "exponential", "presmooth": 0.0} | options
    return df.perona_malik(image, time, kappa=kappa, **options)
