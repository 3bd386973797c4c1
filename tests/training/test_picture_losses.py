"""Losses, scores and data of the networks of text to image, held to their definitions."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from picture_runs import CONFIGS, JUDGE, METRIC, prepared
from torch.nn import functional as F

from difffilter.generate import weights
from difffilter.generate.captioned import read_captioned
from difffilter.generate.reading import QUESTIONS
from difffilter.generate.tokens import END, Tokeniser
from difffilter.training import autoencoder, clip, judge, pictures, prior, text_to_image
from difffilter.training.generate import METHODS
from difffilter.training.log import METRICS, last_scores, plot_log
from difffilter.training.pictures import VALIDATION, Pictures
from difffilter.training.presets import PRESETS

pytestmark = pytest.mark.usefixtures("few_captions")


@pytest.fixture
def configs(picture_configs):
    return picture_configs


@pytest.fixture
def squares(picture_folders):
    """The pictures of a folder, without scenes."""
    return Pictures(read_captioned(picture_folders["clip"], 32), 0.0, 32)


class Told(torch.nn.Module):
    """A network that answers as it is told."""

    def __init__(self, **functions):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        for name, function in functions.items():
            setattr(self, name, function)


def state_of(config, **functions):
    return SimpleNamespace(averaged=Told(**functions), config=config)


def with_words(config, captions):
    return replace(config, tokeniser=Tokeniser.train(captions, 90, 12).to_json())


# --- scores ---------------------------------------------------------------------------------


def test_reconstruction_is_the_mean_psnr_of_the_pictures(squares):
    state = state_of(None, encode=lambda x: x, decode=lambda latents: (latents + 1) / 2)
    expected = []
    for index in range(len(squares.captioned)):
        x = squares.captioned.over(index).astype(float)
        # On [0, 1], where that is (x + 1)/2.
        expected.append(-10 * np.log10(np.mean((x - (x + 1) / 2) ** 2)))
    assert autoencoder.score(state, squares) == pytest.approx(np.mean(expected), abs=1e-4)
    beyond, clipped = (
        state_of(None, encode=lambda x: x, decode=decode)
        for decode in (lambda x: 5 * x + 0.1, lambda x: (5 * x + 0.1).clamp(-1, 1))
    )
    assert autoencoder.score(beyond, squares) == autoencoder.score(clipped, squares)


def test_without_a_folder_scenes_are_reconstructed():
    drawn = autoencoder.examples(Pictures(None, 1.0, 32))
    assert len(drawn) == autoencoder.VALIDATED
    assert {picture.shape for picture in drawn} == {(32, 32, 3)}


@pytest.mark.parametrize("scenes", [0.0, 0.5])
def test_recall_is_the_share_of_pictures_with_their_caption_nearest(squares, scenes):
    data = replace(squares, scenes=scenes)
    config = with_words(CONFIGS["clip"], data.captioned.labels)

    def recall(shift):
        """With the caption of the next picture but `shift` the nearest to each."""
        return clip.score(
            state_of(
                config,
                embed_images=lambda x: torch.eye(len(x)).roll(shift, 1),
                embed_texts=lambda ids: torch.eye(len(ids)),
            ),
            data,
        )

    assert recall(0) == 1
    parts = [list(texts) for _, texts in clip.examples(data)]
    for images, _ in clip.examples(data)[1:]:
        assert (images[:, :, -1, -1] < 1).all()  # the backgrounds of scenes are greys
    assert len(parts) == 1 + (scenes > 0)
    assert parts[0] == [f"a {name} square" for name in ("red", "green", "blue") for _ in range(4)]
    # As a caption, one of the same words will do.
    expected = [np.mean([one == other for one, other in zip(t, t[1:] + t[:1], strict=True)])
                for t in parts]  # fmt: skip
    assert expected[0] == 0.75
    assert recall(1) == pytest.approx(np.mean(expected))


class Even(text_to_image.Pixels):
    """x_0 is the same number everywhere."""

    value = 0.5

    def draw(self, rng):
        return text_to_image.Example(torch.full((3, 32, 32), self.value), "a red square")


def velocity_of_even(config):
    """v = √ᾱ ε − √(1 − ᾱ) x_0 with ε = (x_t − √ᾱ x_0)/√(1 − ᾱ)."""

    def predict(x, t, ids):
        alpha_bar = torch.as_tensor(config.schedule.alpha_bar(t.double().numpy()))
        signal, noise = (a.sqrt()[:, None, None, None] for a in (alpha_bar, 1 - alpha_bar))
        eps = (x.double() - signal * Even.value) / noise
        return (signal * eps - noise * Even.value).float()

    return predict


def test_error_is_the_mean_square_error_of_the_velocity(squares, monkeypatch):
    config = replace(with_words(CONFIGS["pixel"], squares.captioned.labels), dropped=1.0)
    texts = []

    def zero(x, t, ids):
        texts.extend(ids.tolist())
        return torch.zeros_like(x)

    state = state_of(config, forward=velocity_of_even(config))
    assert text_to_image.score(state, Even(squares)) == pytest.approx(0, abs=1e-6)
    monkeypatch.setattr(Even, "value", 1.0)
    none = text_to_image.score(state_of(config, forward=zero), Even(squares))
    assert none == pytest.approx(1, abs=0.02)  # v² = ᾱ ε² + (1 − ᾱ) x₀², in the mean
    assert len(texts) == text_to_image.VALIDATED

    texts.clear()
    text_to_image.score(state_of(config, forward=zero), text_to_image.Pixels(squares))
    assert all(sum(token > 2 for token in text) for text in texts)  # none is dropped


def answering(answers, questions):
    """A judge's logits of the answers that it is told."""
    return lambda x: [
        F.one_hot(answer.clamp(min=0), len(words)).float()
        for answer, words in zip(answers.unbind(1), questions, strict=True)
    ]


def test_accuracy_is_the_share_of_right_answers(squares):
    config = replace(CONFIGS["judge-scenes"], net=replace(JUDGE, questions=QUESTIONS))
    _, right = judge.of_scenes(24, np.random.default_rng(VALIDATION))
    answers, scenes = right.clone(), Pictures(None, 1.0, 64)
    state = state_of(config, forward=answering(answers, QUESTIONS))
    assert judge.score(state, scenes) == 1
    answers[:6, 0] = (answers[:6, 0] + 1) % 9
    assert judge.score(state, scenes) == pytest.approx((18 / 24 + 3) / 4)
    answers[right[:, 1] < 0, 1] = 3  # an answer to a question that does not arise
    assert judge.score(state, scenes) == pytest.approx((18 / 24 + 3) / 4)
    # Of a folder, every picture once.
    groups = (("cold", "warm"),)
    config = replace(CONFIGS["judge-groups"], net=replace(JUDGE, questions=groups))
    cold = torch.zeros(12, 1, dtype=torch.int64)
    state = state_of(config, forward=answering(cold, groups))
    assert judge.score(state, squares) == pytest.approx(8 / 12)


# --- losses ---------------------------------------------------------------------------------


def test_a_judge_learns_from_the_questions_that_arise(configs):
    state, loss, _ = prepared(replace(configs["judge-scenes"], batch=12), "scenes")
    x, answers = judge.of_scenes(12, np.random.default_rng([0, 4]))
    assert x.shape == (12, 3, 32, 32)
    things = answers[:, 0] > 0
    assert 4 <= things.sum() < 12
    assert ((answers[:, 1] >= 0) == things).all()
    assert ((answers[:, 2] >= 0) == things).all()
    assert (answers[:, 3] >= 0).all()
    expected = 0.0
    for logits, right in zip(state.net(x), answers.unbind(1), strict=True):
        rows = logits.log_softmax(1)
        expected += np.mean([-rows[i, k].item() for i, k in enumerate(right) if k >= 0])
    assert loss(4).item() == pytest.approx(expected, rel=1e-5)


def test_a_share_without_things_has_a_loss_and_gradients(configs, monkeypatch):
    """Of 0 for the questions that do not arise: other processes wait for the gradients of all."""
    state, loss, _ = prepared(replace(configs["judge-scenes"], batch=2), "scenes")
    empty = torch.tensor([[0, -1, -1, 2]] * 2)
    monkeypatch.setattr(judge, "of_scenes", lambda count, rng: (torch.zeros(2, 3, 32, 32), empty))
    found = loss(0)
    assert found.isfinite()
    found.backward()
    assert all(weight.grad.isfinite().all() for weight in state.net.parameters())
    arises = [bool(answer.bias.grad.any()) for answer in state.net.answers]
    assert arises == [True, False, False, True]


def test_some_captions_are_dropped(squares):
    config = with_words(CONFIGS["pixel"], squares.captioned.labels)
    words, data = Tokeniser.from_json(config.tokeniser), text_to_image.Pixels(squares)
    for share in (0.0, 0.3, 1.0):
        changed = replace(config, dropped=share)
        rng = np.random.default_rng(0)
        x0, ids, embedding, t, _ = text_to_image.examples(changed, words, data, 200, rng)
        assert embedding is None
        assert x0.shape == (200, 3, 32, 32)
        assert (x0 >= -1).all()
        assert (x0 <= 1).all()
        found = (ids[:, 1] == END).double().mean().item()
        assert found == pytest.approx(share, abs=0.1 * (0 < share < 1))
        assert 1 <= t.min() < 100
        assert 900 < t.max() <= config.schedule.T


def test_half_of_the_steps_lie_below_the_median():
    rng, config = np.random.default_rng(0), PRESETS["latent"]
    last = config.schedule.T
    for median, half in ((None, 0.5), (0.25, 0.25), (0.6, 0.6)):
        share = text_to_image.steps_of(replace(config, median=median), 20_000, rng) / last
        assert 1 / last <= share.min() < share.max() <= 1
        assert np.mean(share < half) == pytest.approx(0.5, abs=0.015)
        spread = np.log(share / (1 - share)).std()  # of a uniform distribution, π/√3
        assert spread == pytest.approx(1.0 if median else np.pi / 3**0.5, rel=0.03)


def test_captions_and_embeddings_are_dropped_apart(configs, picture_folders):
    state, loss, _ = prepared(configs["decoder"], picture_folders["decoder"])
    config = replace(state.config, dropped=0.5, embeddings_dropped=0.1)
    _, ids, embedding, _, _ = text_to_image.examples(
        config, loss.tokeniser, loss.data, 1000, np.random.default_rng(0)
    )
    empty, none = ids[:, 1] == END, (embedding == 0).all(dim=1)
    for found, share in ((empty, 0.5), (none, 0.1), (empty & none, 0.05)):
        assert found.double().mean().item() == pytest.approx(share, abs=0.03)
    torch.testing.assert_close(embedding[~none].norm(dim=1), torch.ones(int((~none).sum())))


def test_an_embedding_is_that_of_the_picture_whose_latents_are_drawn(configs, picture_folders):
    config = configs["decoder"]
    data, _ = text_to_image.read(picture_folders["decoder"], config)
    of_prior, _ = prior.read(
        picture_folders["prior"], replace(configs["prior"], embeddings=config.embeddings)
    )
    number = len(data.of_folder)
    torch.testing.assert_close(data.embeddings[:number], of_prior.of_folder)
    every, rng = torch.cat((data.of_folder, data.of_scenes)), np.random.default_rng(0)
    for _ in range(20):
        latents, _, embedding = data.draw(rng)
        same = [torch.equal(each, latents) for each in every]
        assert any(torch.equal(each, embedding) for each in data.embeddings[same])


def test_the_prior_learns_the_embedding(configs, picture_folders):
    """In units in which its numbers have a mean square of 1."""
    state, loss, held = prepared(configs["prior"], picture_folders["prior"])
    loss.model = lambda x, t, ids, text: torch.zeros_like(x)
    assert loss(0).item() == pytest.approx(1, rel=1e-5)
    told = state_of(state.config, forward=lambda x, t, ids, text: torch.zeros_like(x))
    assert prior.score(told, held) == pytest.approx(1, rel=1e-5)


def test_the_velocity_is_learned(configs, picture_folders, monkeypatch):
    state, loss, _ = prepared(configs["pixel"], picture_folders["pixel"])
    loss.data = Even(None)
    loss.model = velocity_of_even(state.config)
    assert loss(0).item() == pytest.approx(0, abs=1e-6)
    monkeypatch.setattr(Even, "value", 1.0)
    loss.model = lambda x, t, ids: torch.zeros_like(x)
    assert loss(0).item() == pytest.approx(1, abs=0.05)


def test_an_autoencoder_is_held_to_its_picture_and_to_the_normal_distribution(
    configs, picture_folders
):
    config = replace(configs["autoencoder"], divergence=0.5, relative=0.0)
    state, loss, _ = prepared(config, picture_folders["autoencoder"])
    seen = {}

    def forward(x, noise):
        seen.update(x=x, noise=noise)
        return x + 0.25, torch.tensor([1.0, 2.0, 3.0, 4.0])

    loss.model = forward
    assert loss(3).item() == pytest.approx(0.25**2 + 0.5 * 2.5)
    assert seen["x"].shape == (4, 3, 64, 64)
    assert seen["noise"].shape == (4, 4, 64 // state.config.net.factor, 16)
    assert seen["noise"].std().item() == pytest.approx(1, abs=0.05)


def test_errors_of_an_autoencoder_count_in_relation_to_the_contrast_around_them(
    configs, picture_folders, monkeypatch
):
    config = replace(configs["autoencoder"], divergence=0.0, relative=0.5)
    _, loss, _ = prepared(config, picture_folders["autoencoder"])
    x = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.2
    monkeypatch.setattr(autoencoder, "stacked", lambda _: x)
    loss.model = lambda x, noise: (x + 0.25, torch.zeros(4))
    weights_of = []
    for y in range(64):
        window = x[:, :, max(y - 3, 0) : y + 4]
        for column in range(64):
            around = window[..., max(column - 3, 0) : column + 4]
            weights_of.append(1 / (around.var(dim=(2, 3), correction=0) + (8 / 255) ** 2))
    expected = 0.25**2 * (1 + 0.5 * torch.stack(weights_of).mean().item())
    assert loss(0).item() == pytest.approx(expected, rel=1e-4)


def test_twins_stand_beside_each_other_in_a_batch(configs, picture_folders):
    config = replace(configs["clip"], batch=60, scenes=0.0)
    _, loss, _ = prepared(config, picture_folders["clip"])
    labels = set(loss.data.captioned.labels)
    rng = np.random.default_rng(0)
    of_folder, twins = (
        [text for _, text in clip.batch(loss.data, replace(config, twins=share), rng)]
        for share in (0.0, 1.0)
    )
    assert len(of_folder) == len(twins) == 60
    assert not any(" background" in text for text in of_folder)
    assert labels.intersection(of_folder)
    assert all(" background" in text for text in twins)  # which says everything
    assert all(one != other for one, other in zip(twins[::2], twins[1::2], strict=True))


def test_pictures_with_the_same_caption_belong_together(configs, picture_folders, monkeypatch):
    config = replace(configs["clip"], scenes=0.0)
    _, loss, _ = prepared(config, picture_folders["clip"])
    same, picture = [], np.zeros((32, 32, 3), np.float32)
    captions = iter(["a red square", "a blue square", "a red square", "red"])
    loss.data = SimpleNamespace(draw=lambda *_, **__: (picture, next(captions)))
    monkeypatch.setattr(clip, "contrastive_loss", lambda *given: same.extend(given[3].tolist()))
    loss(0)
    assert np.array(same).astype(int).tolist() == [
        [1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"), [("autoencoder", True), ("clip", False), ("judge-groups", True)]
)
def test_colours_are_exchanged_unless_captions_tell_of_them(
    name, expected, configs, picture_folders, monkeypatch
):
    _, loss, _ = prepared(replace(configs[name], scenes=0.0), picture_folders[name])
    told = []

    def vary(captioned, index, rng, *, recoloured=False, turned=False):
        told.append(recoloured)
        return captioned.over(index)

    monkeypatch.setattr(pictures, "vary", vary)
    monkeypatch.setattr(judge, "vary", vary)
    loss(0)
    assert told == [expected] * 4


# --- latents --------------------------------------------------------------------------------


@pytest.fixture
def latent(configs):
    return configs["latent"]


def test_latents_are_those_of_the_autoencoder(latent, picture_folders):
    train, held = text_to_image.read(picture_folders["latent"], latent)
    assert len(train.scenes) == len(held.scenes) == len(train.of_scenes) == 6
    assert (len(train.of_folder), len(held.of_folder)) == (9, 3)
    net = weights.load(latent.autoencoder).net
    for data in (train, held):
        captioned = data.pictures.captioned
        x = autoencoder.stacked([captioned.over(k) for k in range(len(captioned))])
        torch.testing.assert_close(data.of_folder, net.encode(x), atol=1e-3, rtol=0)
        assert not data.of_scenes.is_inference()
        assert not data.of_folder.is_inference()
    assert train.scenes != held.scenes


def test_latents_of_a_resumed_run_are_those_of_the_unbroken_one(latent, picture_folders):
    one, same, other = (
        text_to_image.read(picture_folders["latent"], config)[0]
        for config in (latent, latent, replace(latent, seed=1))
    )
    assert one.scenes == same.scenes != other.scenes
    assert torch.equal(one.of_scenes, same.of_scenes)
    assert torch.equal(one.of_folder, same.of_folder)
    assert not torch.equal(one.of_scenes, other.of_scenes)


def test_latents_are_drawn_with_their_captions(latent, picture_folders):
    data, _ = text_to_image.read(picture_folders["latent"], latent)
    captioned = data.pictures.captioned
    rng, of_folder = np.random.default_rng(0), 0
    for _ in range(100):
        latents, text, _ = data.draw(rng)
        found = [k for k, each in enumerate(data.of_folder) if torch.equal(each, latents)]
        if found:
            of_folder += 1
            assert any(
                text.startswith(captioned.labels[k]) or text in captioned.tags[k] for k in found
            )
        else:
            (k,) = (k for k, each in enumerate(data.of_scenes) if torch.equal(each, latents))
            assert all(thing.colour in text for thing in data.scenes[k].things)
    assert abs(of_folder - 60) <= 20


def test_scenes_are_encoded_only_where_they_are_drawn(latent, picture_folders):
    config = replace(latent, scenes=0.0, validation=0)
    train, held = text_to_image.read(picture_folders["latent"], config)
    assert train.scenes == []
    assert len(train.of_folder) == 12
    assert held is None
    train, held = text_to_image.read("scenes", config)
    assert len(train.of_folder) == 0
    assert len(train.of_scenes) == len(held.of_scenes) == 6


# --- the log --------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
def test_the_log_is_plotted_with_each_score(metric, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    path = tmp_path / "log.jsonl"
    lines = [{"step": step, "loss": 1 / step} for step in (1, 2, 3)]
    lines += [{"step": step, metric: 0.1 * step, "seconds": 1.0} for step in (2, 3)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    scores = last_scores(path)
    assert scores.keys() == {"window", "loss", metric}
    assert list(scores.values()) == [3, pytest.approx(11 / 18), pytest.approx(0.3)]
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: saved.append(figure))
    plot_log(path, tmp_path / "log.png")
    loss, score = saved[0].axes
    assert loss.get_ylabel() == "loss, mean of 3 steps"
    assert score.get_ylabel() == METRICS[metric]
    np.testing.assert_allclose(score.lines[0].get_xydata(), [[2, 0.2], [3, 0.3]])


def test_every_kind_has_a_score_with_a_name():
    assert {kind: method.metric for kind, method in METHODS.items()} == METRIC
    assert set(METRIC.values()) < METRICS.keys()


# --- presets --------------------------------------------------------------------------------

OF_GENERATE = {name: config for name, config in PRESETS.items() if config.method == "generate"}

# Weights of each network at most, in thousands.
SIZES = {
    "autoencoder": 2200, "clip": 1600, "latent": 3400, "decoder": 3500,
    "prior": 1200, "prior-regression": 1200, "pixel": 3900, "fashion": 600, "sounds": 1400,
    "upsampler": 850,
    "judge-scenes": 350, "judge-groups": 350, "judge-fashion": 350,
}  # fmt: skip


@pytest.mark.parametrize("name", OF_GENERATE)
def test_a_preset_builds_a_network_that_trains_on_a_cpu(name):
    with torch.device("meta"):
        net = OF_GENERATE[name].network()
    count = sum(weight.numel() for weight in net.parameters())
    assert 0.8 * SIZES[name] < count / 1000 < SIZES[name]


def test_presets_fit_each_other_and_their_pictures():
    latents, latent = OF_GENERATE["autoencoder"].net, OF_GENERATE["latent"]
    assert latent.autoencoder == "autoencoder"
    assert latent.net.unet.channels == latents.latent
    assert latent.net.size * latents.factor == OF_GENERATE["clip"].net.size == 64
    pixel, fashion = OF_GENERATE["pixel"], OF_GENERATE["fashion"]
    assert pixel.net.size == fashion.net.size == 32
    assert (pixel.net.unet.channels, fashion.net.unet.channels) == (3, 1)
    assert fashion.scenes == 0
    assert OF_GENERATE["judge-groups"].subject == OF_GENERATE["judge-fashion"].subject == "groups"


@pytest.mark.parametrize("name", OF_GENERATE)
def test_a_method_is_usually_trained_as_its_first_preset(name):
    kind = OF_GENERATE[name].kind
    first = next(config for config in OF_GENERATE.values() if config.kind == kind)
    assert METHODS[kind].config is first
