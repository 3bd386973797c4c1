"""The configuration of a training run."""

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from difffilter.training.config import learning_rate
from difffilter.training.learned_network import StepConfig
from difffilter.training.photo_configs import ConvexConfig, LearnedConfig, TrainingConfig
from difffilter.training.presets import CONFIGS, PRESETS

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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 2}, "channels is 2; expected 1 or 3"),
        ({"plan": ()}, "plan is empty; expected at least one step"),
        ({"batch": 0}, "batch is 0; expected a whole number ≥ 1"),
        ({"intermediate": -1}, "intermediate is -1; expected a finite number ≥ 0"),
        ({"sigma_range": (0, 0.1)}, "sigma_range is (0, 0.1); expected 0 < low ≤ high"),
        ({"sigma_range": (0.2, 0.1)}, "sigma_range is (0.2, 0.1); expected 0 < low ≤ high"),
        ({"precision": "half"}, "precision is 'half'; expected one of auto, bfloat16, float32"),
    ],
)
def test_bad_settings_of_a_learned_diffusion_are_named(settings, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        LearnedConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 2}, "channels is 2; expected 1 or 3"),
        ({"banks": ()}, "banks is empty; expected at least one bank"),
        ({"knots": 0}, "knots is 0; expected a whole number ≥ 1"),
        ({"adam_rate": 0}, "adam_rate is 0; expected a finite number > 0"),
        ({"sigma_range": (0.2, 0.1)}, "sigma_range is (0.2, 0.1); expected 0 < low ≤ high"),
        ({"precision": "bfloat16"}, "precision is 'bfloat16'; expected one of float32"),
    ],
)
def test_bad_settings_of_a_convex_diffusion_are_named(settings, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        ConvexConfig(**settings)


def test_the_convex_preset_for_colour_stays_small():
    network = PRESETS["convex-color"].network()
    assert network.channels == 3
    assert sum(weight.numel() for weight in network.parameters()) < 15_000


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"cell": 3}, "cell is 3; expected a multiple of 2"),
        ({"filters": 6}, "filters is 6; expected a multiple of 4"),
        ({"hidden": 0}, "hidden is 0; expected a whole number ≥ 1"),
        ({"cell": 2, "offset": 2}, "offset is 2; expected less than the cell's 2"),
    ],
)
def test_bad_sizes_of_a_step_are_named(sizes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        StepConfig(**sizes)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_json(preset):
    config = PRESETS[preset]
    text = json.dumps(asdict(config))
    assert CONFIGS[config.kind].from_dict(json.loads(text)) == config
