"""Judges: answers follow from features, features from the whole picture."""

import json
import re
from dataclasses import asdict, replace

import pytest
import torch
from networks import assert_every_weight_matters, randomised

from difffilter.generate.judge import Judge, JudgeConfig
from difffilter.generate.weights import network

pytestmark = pytest.mark.usefixtures("torch_threads")

SMALL = JudgeConfig(
    questions=(("cat", "dog"), ("small", "medium", "large")), widths=(8, 16), blocks=1, groups=4
)


def pictures(count=3, height=8, width=12, channels=3):
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.rand(count, channels, height, width, generator=generator) - 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 20)])
def test_each_question_has_a_logit_for_each_answer(height, width, channels):
    judge = Judge(replace(SMALL, channels=channels))
    found = judge(pictures(5, height, width, channels))
    assert [logits.shape for logits in found] == [(5, 2), (5, 3)]


def test_the_answers_follow_from_the_features_linearly():
    judge, x = randomised(Judge, SMALL), pictures(4)
    features, answers = judge.features(x), judge(x)
    assert features.shape == (4, 16)
    shares = torch.tensor([0.1, 0.2, 0.3, 0.4])
    for logits, layer in zip(answers, judge.answers, strict=True):
        torch.testing.assert_close(layer(shares @ features), shares @ logits)


def test_batch_mates_do_not_matter():
    judge, x = randomised(Judge, SMALL), pictures()
    together = judge.features(x)
    for i in range(len(x)):
        alone = judge.features(x[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_features_are_means_over_all_places():
    judge, x = Judge(SMALL), torch.randn(2, 16, 3, 5, generator=torch.Generator().manual_seed(1))
    judge.layers = torch.nn.Identity()
    torch.testing.assert_close(judge.features(x), x.mean(dim=(2, 3)))


def test_every_pixel_matters():
    judge, x = randomised(Judge, SMALL), pictures(1).requires_grad_()
    (gradient,) = torch.autograd.grad(judge.features(x)[0, 0], x)
    assert (gradient.abs() > 0).all()


def test_every_weight_matters():
    judge = randomised(Judge, SMALL)
    sum(logits.square().mean() for logits in judge(pictures())).backward()
    assert_every_weight_matters(judge)


@pytest.mark.parametrize("config", [SMALL, JudgeConfig([["no", "yes"]])])
def test_configs_survive_json(config):
    judge = network("judge", json.loads(json.dumps(asdict(config))))
    assert judge.config == config
    judge.load_state_dict(Judge(config).state_dict())


ANSWERS = "expected one or more tuples of at least two answers"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"questions": ()}, f"questions is (); {ANSWERS}"),
        ({"questions": (("yes",),)}, f"questions is (('yes',),); {ANSWERS}"),
        # A single question without its parentheses: its answers would be letters.
        ({"questions": ("no", "yes")}, f"questions is ('no', 'yes'); {ANSWERS}"),
        ({"channels": 0}, "channels is 0; expected a whole number ≥ 1"),
        ({"blocks": 0.5}, "blocks is 0.5; expected a whole number ≥ 1"),
        ({"widths": (8, 10)}, "widths is (8, 10); expected multiples of groups=4"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        replace(SMALL, **fields)
