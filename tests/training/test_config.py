"""The configuration of a training run."""

from dataclasses import replace

import numpy as np
import pytest

from difffilter.training.config import TrainingConfig, learning_rate

CONFIG = TrainingConfig()


def test_the_learning_rate_warms_up_and_falls_to_nothing():
    config = replace(CONFIG, steps=1000, warmup=100, learning_rate=1e-3)
    rates = np.array([learning_rate(config, step) for step in range(1001)])
    assert rates[0] == pytest.approx(1e-5)
    assert rates.argmax() == pytest.approx(99, abs=1)
    assert rates[500] == pytest.approx(5e-4)
    assert rates[1000] == 0
    assert np.all(np.diff(rates[99:]) < 0)


def test_a_crop_must_fit_the_network():
    with pytest.raises(ValueError, match="crop is 18"):
        replace(CONFIG, crop=18)


@pytest.mark.parametrize(("name", "value"), [("learning_rate", 0), ("precision", "int8")])
def test_bad_configs_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} is '?{value}"):
        replace(CONFIG, **{name: value})
