"""The loop, with a loss of the test's own."""

from itertools import islice

import pytest
import torch

from difffilter.training.config import learning_rate
from difffilter.training.loop import training_steps
from difffilter.training.photo_configs import ConvexConfig, LearnedConfig, TrainingConfig
from difffilter.training.state import TrainingState, warmed_up

CPU = torch.device("cpu")


@pytest.fixture
def state(tiny):
    return TrainingState(TrainingConfig(unet=tiny, crop=16, steps=5, warmup=2, ema=0.3), CPU)


def squares(state, asked):
    def loss(step):
        asked.append(step)
        return sum(weight.square().sum() for weight in state.net.parameters())

    return loss


def test_any_loss_falls(state):
    asked = []
    losses = [loss.item() for loss in training_steps(state, squares(state, asked))]
    assert asked == [0, 1, 2, 3, 4]
    assert losses == sorted(losses, reverse=True)
    assert state.step == 5
    assert not list(training_steps(state, squares(state, asked)))  # the run has ended


def test_each_step_is_taken_when_it_is_asked_for(state):
    steps = training_steps(state, squares(state, []))
    for count, loss in enumerate(islice(steps, 3), 1):
        assert not loss.requires_grad
        assert state.step == count
        for optimizer in state.optimizers:
            (group,) = optimizer.param_groups
            assert group["lr"] == learning_rate(state.config, count - 1)


@pytest.mark.parametrize(("highest", "adam"), [(6e-3, 3e-3), (1e-3, 1e-3)])
def test_what_is_no_matrix_learns_slowly_and_without_decay(highest, adam):
    state = TrainingState(LearnedConfig(learning_rate=highest, warmup=0), CPU)
    matrices, others = (optimizer.param_groups[0] for optimizer in state.optimizers)
    assert {weight.ndim for weight in others["params"]} == {0, 1}
    assert others["weight_decay"] == 0
    next(training_steps(state, squares(state, [])))
    assert (matrices["lr"], others["lr"]) == (highest, adam)


def test_filters_of_a_convex_diffusion_have_a_rate_of_their_own():
    """Its knots and slopes are none of Muon's, although there are several for each filter."""
    config = ConvexConfig(learning_rate=0.02, adam_rate=0.09, warmup=0)
    state = TrainingState(config, CPU)
    matrices, others = (optimizer.param_groups[0] for optimizer in state.optimizers)
    assert [weight.shape for weight in matrices["params"]] == [
        (bank.count, 1, bank.size, bank.size) for bank in config.banks
    ]
    assert others["weight_decay"] == 0
    next(training_steps(state, squares(state, [])))
    assert (matrices["lr"], others["lr"]) == (0.02, pytest.approx(0.09))


def test_the_moving_average_is_that_of_its_definition(state):
    mean = [weight.detach().clone() for weight in state.net.parameters()]
    for step, _ in enumerate(training_steps(state, squares(state, []))):
        decay = min(0.3, (1 + step) / (10 + step))
        for average, weight in zip(mean, state.net.parameters(), strict=True):
            average.mul_(decay).add_((1 - decay) * weight.detach())
    for average, mine in zip(mean, state.averaged.parameters(), strict=True):
        torch.testing.assert_close(mine, average)


def test_the_decay_warms_up_to_its_highest():
    for count, decay in ((1, 0.1), (9, 0.5), (10**6, 0.9)):
        mean = torch.zeros(3)
        warmed_up(0.9)([mean], [torch.ones(3)], torch.tensor(count))
        torch.testing.assert_close(mean, torch.full((3,), 1 - decay))
