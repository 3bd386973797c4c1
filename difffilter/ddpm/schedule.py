"""The noise schedule of a DDPM, and the step at which an image is as noisy as ours.

Steps are counted as in the paper: t = 1 ... T, and t = 0 is the clean image. Everything here is
float64 NumPy, for t real as well as integer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_choice, check_number, check_whole

__all__ = ["NoiseSchedule"]

KINDS = ("linear", "cosine", "explicit")


@dataclass(frozen=True)
class NoiseSchedule:
    r"""Shares of image and noise at step t: x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε.

    Parameters
    ----------
    kind : {"linear", "cosine", "explicit"}, default "linear"
        ``"linear"`` is β_t = linspace(beta_min, beta_max, T) of Ho et al.; ``"cosine"`` is ᾱ_t =
        cos²((t/T + s)/(1 + s)·π/2), normalised at t = 0, s = 0.008 and β_t ≤ 0.999, of Nichol &
        Dhariwal, which ignores `beta_min` and `beta_max`; ``"explicit"`` is β_t = `betas`.
    T : int, default 1000
        Number of steps. Of an explicit schedule it is the number of `betas`, whatever is given.
    beta_min, beta_max : float, default 1e-4 and 0.02
        First and last β of the linear schedule.
    betas : tuple of float, optional
        β_1 ... β_T of an explicit schedule, between 0 and 1. ``None``: for the other kinds.

    Raises
    ------
    ValueError
        If `kind` is unknown, `T` is below 1, 0 < `beta_min` ≤ `beta_max` < 1 does not hold, `betas` are
        missing or superfluous, or one of them is not between 0 and 1.

    Notes
    -----
    Between two integer steps log σ̃ is interpolated linearly, where σ̃_t = √((1 − ᾱ_t)/ᾱ_t) is the
    noise beside an undamped image: x_t/√ᾱ_t = x_0 + σ̃_t ε. Below t = 1, where log σ̃ runs to −∞,
    it is σ̃ itself that is interpolated. An image in [0, 1] with noise σ has σ̃ = 2σ, since a DDPM
    works on [−1, 1].

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    Nichol & Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021.

    Examples
    --------
    >>> schedule = NoiseSchedule()
    >>> [round(float(schedule.step_of(2 * sigma / 255))) for sigma in (15, 25, 50)]
    [33, 57, 115]
    >>> NoiseSchedule("explicit", betas=[0.19, 0.36]).alpha_bar([1, 2]).round(4)
    array([0.81  , 0.5184])
    """

    kind: str = "linear"
    T: int = 1000
    beta_min: float = 1e-4
    beta_max: float = 0.02
    betas: tuple[float, ...] | None = field(default=None, repr=False)  # a thousand numbers

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        if (self.kind == "explicit") != (self.betas is not None):
            given = "None" if self.betas is None else "given"
            expected = "numbers" if self.betas is None else "None"
            raise ValueError(f"betas is {given}; expected {expected} for kind={self.kind!r}")
        if self.betas is not None:
            betas = tuple(float(beta) for beta in self.betas)
            if wrong := [beta for beta in betas if not 0 < beta < 1]:
                raise ValueError(f"betas has {wrong[0]}; expected numbers > 0 and < 1")
            # A tuple can be compared and hashed; a config read from JSON has lists.
            object.__setattr__(self, "betas", betas)
            object.__setattr__(self, "T", len(betas))
        check_whole("T", self.T, least=1)
        if not 0 < self.beta_min <= self.beta_max < 1:
            raise ValueError(
                f"beta_min, beta_max are {self.beta_min}, {self.beta_max}; "
                "expected 0 < beta_min <= beta_max < 1"
            )

    @cached_property
    def beta(self) -> NDArray:
        """ndarray (T,): β_1 ... β_T, the variance added at each step."""
        if self.betas is not None:
            return np.array(self.betas, np.float64)
        if self.kind == "linear":
            return np.linspace(self.beta_min, self.beta_max, self.T)
        s = 0.008
        f = np.cos((np.arange(self.T + 1) / self.T + s) / (1 + s) * np.pi / 2) ** 2
        return np.minimum(1 - f[1:] / f[:-1], 0.999)

    @cached_property
    def _sigma_tilde(self) -> NDArray:
        """ndarray (T + 1,): σ̃_0 = 0, σ̃_1 ... σ̃_T."""
        log_alpha_bar = np.cumsum(np.log1p(-self.beta))
        # expm1 keeps 1/ᾱ − 1 = (1 − ᾱ)/ᾱ exact to rounding where ᾱ is nearly 1.
        return np.concatenate(([0.0], np.sqrt(np.expm1(-log_alpha_bar))))

    def sigma_tilde(self, t: ArrayLike) -> Any:
        """σ̃ at step t.

        Parameters
        ----------
        t : float or array_like
            Steps in [0, T], not necessarily whole.

        Returns
        -------
        float64 scalar or ndarray of the shape of `t`

        Raises
        ------
        ValueError
            If a step lies outside [0, T] or is NaN.
        """
        t = np.asarray(t, dtype=np.float64)
        if not np.all((t >= 0) & (t <= self.T)):
            raise ValueError(f"t is {t}; expected numbers in [0, {self.T}]")
        steps = np.arange(1, self.T + 1)
        log_sigma = np.interp(t, steps, np.log(self._sigma_tilde[1:]))
        return np.where(t < 1, t * self._sigma_tilde[1], np.exp(log_sigma))[()]

    def alpha_bar(self, t: ArrayLike) -> Any:
        """ᾱ at step t, 1/(1 + σ̃²): the fraction of the variance that is image."""
        return 1 / (1 + self.sigma_tilde(t) ** 2)

    def snr(self, t: ArrayLike) -> Any:
        """Signal-to-noise ratio ᾱ/(1 − ᾱ) = 1/σ̃² at step t; infinite at t = 0."""
        with np.errstate(divide="ignore"):
            return 1 / self.sigma_tilde(t) ** 2

    def step_of(self, sigma_tilde: ArrayLike) -> Any:
        """The step t, not necessarily whole, with a given σ̃: the inverse of `sigma_tilde`.

        Parameters
        ----------
        sigma_tilde : float or array_like
            Standard deviations of the noise for an image in [−1, 1]: 2σ for one in [0, 1].

        Returns
        -------
        float64 scalar or ndarray of the shape of `sigma_tilde`

        Raises
        ------
        ValueError
            If a value is negative, NaN, or above σ̃_T.
        """
        sigma = np.asarray(sigma_tilde, dtype=np.float64)
        table = self._sigma_tilde
        # A relative 1e-12 forgives the rounding of exp(log σ̃_T).
        if not np.all((sigma >= 0) & (sigma <= table[-1] * (1 + 1e-12))):
            raise ValueError(f"sigma_tilde is {sigma}; expected numbers in [0, {table[-1]:.6g}]")
        steps = np.arange(1, self.T + 1)
        above = np.interp(np.log(np.maximum(sigma, table[1])), np.log(table[1:]), steps)
        return np.where(sigma < table[1], sigma / table[1], above)[()]

    def levels(self, start: float, steps: int, end: float = 0.0) -> NDArray:
        """Values of σ̃ from `start` to `end` in `steps` steps, evenly spaced in log σ̃.

        Parameters
        ----------
        start : float
            σ̃ > 0.
        steps : int
            Number of steps, at least 1.
        end : float, default 0
            σ̃ ≥ 0. The last step to 0, infinitely far in log σ̃, starts from σ̃_1, or from half of
            `start` if that is less.

        Returns
        -------
        ndarray (steps + 1,)

        Raises
        ------
        TypeError, ValueError
            If `start` is not above 0, `steps` is below 1, or `end` is below 0.

        Examples
        --------
        >>> schedule = NoiseSchedule()
        >>> schedule.levels(1, 3).round(3).tolist(), schedule.levels(1, 2, end=0.25).tolist()
        ([1.0, 0.1, 0.01, 0.0], [1.0, 0.5, 0.25])
        """
        check_number("start", start, above=0)
        check_whole("steps", steps, least=1)
        check_number("end", end, least=0)
        if end > 0:
            return np.geomspace(start, end, steps + 1)
        least = min(self._sigma_tilde[1], start / 2)
        return np.append(np.geomspace(start, least, steps), 0.0)
