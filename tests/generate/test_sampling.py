"""From words to pictures, by tiny networks with random weights."""

import os

import numpy as np
import pytest
from tiny_models import tiny_autoencoder, tiny_model

from difffilter.generate import images, load, path, save, similarity, unknown_words
from difffilter.generate.sampling import candidates_for


@pytest.fixture(params=["latent", "pixel"])
def model(request, tmp_path):
    return tiny_model(tmp_path, request.param)


def test_pictures_have_the_shape_and_range_of_the_model(tmp_path):
    colour = images("a red heart", 2, model=tiny_model(tmp_path), steps=2)
    assert colour.shape == (2, 64, 64, 3)
    grey = images("a red heart", 2, model=tiny_model(tmp_path, "pixel"), steps=2)
    assert grey.shape == (2, 16, 16)
    for each in (colour, grey):
        assert each.dtype == np.float32
        assert 0 <= each.min() < each.max() <= 1


def test_a_picture_follows_from_seed_and_number_alone(model):
    three = images("a red heart", 3, model=model, steps=2, seed=5)
    np.testing.assert_array_equal(three, images("a red heart", 3, model=model, steps=2, seed=5))
    alone = images("a red heart", 1, model=model, steps=2, seed=5)
    # Rounding depends on the size of the batch, and in the beginning the noise is 157 times the image.
    np.testing.assert_allclose(three[:1], alone, atol=1e-3)
    assert np.abs(three[0] - three[1]).max() > 0.01
    assert np.abs(alone - images("a red heart", 1, model=model, steps=2, seed=6)).max() > 0.01


def test_several_texts_are_drawn_together(tmp_path):
    model = tiny_model(tmp_path, "pixel")

    def made(prompt, n):
        return images(prompt, n, model=model, steps=2, guidance=8, negative="a green frog")

    together = made(["a red heart", "a blue fish"], 2)
    hearts, fishes = made("a red heart", 4), made("a blue fish", 4)
    np.testing.assert_allclose(together, [*hearts[:2], *fishes[2:]], atol=1e-3)
    assert np.abs(hearts - fishes).max() > 0.01


def test_of_candidates_the_one_is_kept_that_clip_finds_most_similar(tmp_path):
    model, texts = tiny_model(tmp_path), ["a red heart", "a blue fish"]
    kept = images(texts, 2, candidates=3, model=model, steps=2)
    every = images(texts, 6, candidates=1, model=model, steps=2)
    assert kept.shape == (4, 64, 64, 3)
    for number, picture in enumerate(kept):
        rivals = every[3 * number : 3 * number + 3]
        best = max(rivals, key=lambda each: similarity(each, [texts[number // 2]])[0])
        np.testing.assert_array_equal(picture, best)


def test_models_of_the_package_have_candidates_if_there_is_a_text(tmp_path):
    def count(model, prompt="a red heart", candidates=None, guidance=2.0):
        return candidates_for(candidates, model, prompt, guidance)

    assert count("latent") == count("unclip") == count("latent", ["", "a star"]) == 4
    assert count("fashion") == count(tiny_model(tmp_path)) == 1
    assert count("latent", "") == count("latent", ["", ""]) == count("latent", guidance=0) == 1
    assert count("latent", candidates=2) == count(tiny_model(tmp_path), candidates=2) == 2


def test_weights_that_were_trained_on_are_read_again(tmp_path):
    model = tiny_model(tmp_path, "pixel")
    before = images("a red heart", model=model, steps=1)
    other = load(model)
    other.net.unet.tail.bias.data += 1
    save(model, other)
    status = model.stat()
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns + 1))  # (clocks may be coarse)
    assert np.abs(images("a red heart", model=model, steps=1) - before).max() > 0.01


def test_guidance_follows_the_text(model):
    def made(text, guidance, **options):
        return images(text, model=model, steps=3, guidance=guidance, **options)

    np.testing.assert_array_equal(made("a red heart", 0), made("a blue fish", 0))
    apart = [np.abs(made("a red heart", w) - made("a blue fish", w)).mean() for w in (1, 4)]
    assert 0 < apart[0] < apart[1]
    np.testing.assert_array_equal(made("a red heart", 0), made("", 1))
    np.testing.assert_array_equal(
        made("a red heart", 0, negative="a blue fish"), made("a blue fish", 1)
    )
    assert np.abs(made("a red heart", 4, rescale=1.0) - made("a red heart", 4)).max() > 1e-4


@pytest.mark.parametrize("solver", ["dpm++", "ddim"])
def test_more_steps_converge(tmp_path, solver):
    model = tiny_model(tmp_path, "pixel")
    fine = images("a red heart", model=model, steps=120, solver=solver)
    errors = [
        np.abs(images("a red heart", model=model, steps=steps, solver=solver) - fine).mean()
        for steps in (5, 15, 45)
    ]
    assert errors[2] < errors[1] < errors[0]


def test_the_way_begins_with_noise_and_ends_with_the_pictures(model):
    told = []
    way = list(path("a red heart", model=model, steps=3, callback=lambda *done: told.append(done)))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert len(way) == 4
    np.testing.assert_array_equal(way[-1](), images("a red heart", model=model, steps=3))


def test_noise_in_the_beginning_is_white(tmp_path):
    first = next(path("", 4, model=tiny_model(tmp_path, "pixel"), steps=1))()
    values = first[(first > 0) & (first < 1)]  # half of the range is one standard deviation
    assert np.mean((first <= 0) | (first >= 1)) == pytest.approx(0.317, abs=0.05)
    assert values.mean() == pytest.approx(0.5, abs=0.03)


def test_unknown_words_are_told(model):
    found = unknown_words("a red quark and a crimson Fish", model)
    assert found == {"quark": None, "and": None, "crimson": "red"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": []}, "prompt is []; expected a text or several"),
        ({"n": 0}, "n is 0; expected a whole number ≥ 1"),
        ({"candidates": 0}, "candidates is 0; expected a whole number ≥ 1"),
        ({"steps": 0}, "steps is 0; expected a whole number ≥ 1"),
        ({"guidance": -1}, "guidance is -1; expected a finite number ≥ 0"),
        ({"rescale": 2}, "rescale is 2; expected a finite number ≥ 0 and ≤ 1"),
        ({"solver": "euler"}, "solver is 'euler'; expected one of ddim, dpm++"),
    ],
)
def test_bad_options(tmp_path, options, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the text follows)
        images(**{"prompt": "a red heart", "model": tiny_model(tmp_path, "pixel")} | options)
    assert str(error.value) == message


def test_another_autoencoder_than_that_of_training_is_refused(tmp_path):
    model = tiny_model(tmp_path)
    own = load(model)
    other = load(own.autoencoder)
    other.net.scale.data *= 2
    save(own.autoencoder, other)
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the text follows)
        images("a red heart", model=model)
    assert str(error.value) == (
        f"autoencoder of '{model}' is another '{own.autoencoder}' than the one whose latents it was "
        f"trained on; expected the checksum {own.latents}"
    )


def test_weights_of_another_kind(tmp_path):
    model = tiny_autoencoder(tmp_path)
    with pytest.raises(ValueError, match=r"of kind autoencoder; expected text-to-image$"):
        images("a red heart", model=model)
    with pytest.raises(FileNotFoundError, match=r"weights is 'lattent'; expected a file or one of"):
        images("a red heart", model="lattent")


def test_clip_does_not_choose_among_grey_pictures(tmp_path):
    with pytest.raises(
        ValueError, match=r"^candidates is 2; expected 1: CLIP does not know the grey"
    ):
        images("a red heart", candidates=2, model=tiny_model(tmp_path, "pixel"))
