"""The contract: its defaults, and what is made of a thing that only can be called."""

from dataclasses import dataclass

import numpy as np
import pytest

import difffilter as df
from difffilter.denoiser import as_denoiser


@dataclass(frozen=True)
class Darker:
    by: float = 0.5

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return np.asarray(noisy) - self.by


def test_defaults_hold_for_a_class_with_nothing_but_a_call():
    darker = as_denoiser(Darker())
    image = np.ones((4, 5))
    assert darker.choose(image, 0.1) is darker
    assert darker.is_settled(0.1)
    assert not darker.is_settled()
    assert darker.halo(2) is None
    assert darker.block(((0, 2), (0, 2)), (4, 5)) == (((0, 4), (0, 5)), darker)
    assert (darker.parameters, darker.changed) == ({"by": 0.5}, {})
    assert darker.replace(by=0.25).parameters == {"by": 0.25}
    np.testing.assert_array_equal(darker.replace(by=0.25)(image), image - 0.25)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (Darker, r"method is the class Darker; expected an instance: Darker\(\)"),
        (3, "method is 3; expected a name or a Denoiser"),
    ],
)
def test_what_is_no_denoiser(thing, message):
    with pytest.raises(TypeError, match=message):
        as_denoiser(thing)


def test_a_denoiser_must_define_its_call():
    class Empty(df.Denoiser):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define __call__"):
        Empty()(np.ones((2, 2)))
