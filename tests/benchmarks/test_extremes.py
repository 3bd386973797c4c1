"""Numbers at the ends of their range: what `benchmarks/extremes.py` checks, and all chosen."""

import extremes
import numpy as np
import pytest
from equations import EQUATIONS, SCHEMES

import difffilter as df
from difffilter.catalog import spell


@pytest.mark.parametrize("text", extremes.FILTERS)
def test_results_are_finite_and_within_the_extrema(text):
    if text == "ddpm":
        pytest.importorskip("torch")
    bad = {name: extremes.check(text, name) for name in extremes.IMAGES}
    assert not {name: said for name, said in bad.items() if said}


@pytest.mark.parametrize("method", [m for m in df.methods() if m != "ddpm"])
def test_so_they_are_when_everything_is_chosen(method):
    bad = {name: extremes.check(method, name, sigma=None) for name in extremes.IMAGES}
    assert not {name: said for name, said in bad.items() if said}


@pytest.mark.parametrize("method", ["heat", "perona_malik", "tv_flow"])
def test_subnormal_numbers_are_not_slow(method, set_threads):
    set_threads(1)  # threads that wait for others take time of the processor, too
    equation = SCHEMES["perona_malik rational explicit"] if "malik" in method else EQUATIONS[method]
    assert extremes.slowdown(spell(equation.method()), 128) < 4


def test_the_check_sees_what_is_wrong(monkeypatch):
    """A filter that overflows and one that overshoots."""

    class Wrong:
        def __init__(self, result):
            self.result = result

        def __call__(self, noisy, sigma=None):
            return self.result(df.Identity()(noisy))

    for result, said in ((lambda u: u / 0 if u.size else u, "warns"), (lambda u: 2 * u, "beyond"),
                         (lambda u: u * np.inf, "not finite")):  # fmt: skip
        monkeypatch.setattr(extremes.df, "make", lambda text, r=result: Wrong(r))
        assert said in extremes.check("heat(time=2)", "a constant")
