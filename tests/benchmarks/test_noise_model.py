"""The table of errors of the noise model."""

import noise_model
import numpy as np
import pytest
from PIL import Image
from skimage import data

import difffilter as df


def test_errors_of_a_model_that_is_right(rng):
    clean = np.full((256, 256, 3), 0.5)
    found = noise_model.errors(clean, df.add_noise(clean, 0.1, "correlated", channel_axis=-1))
    assert not found.white
    assert found.true == pytest.approx(0.1, rel=0.05)
    assert found.sigma == pytest.approx(found.true, rel=0.1)
    np.testing.assert_allclose(found.correlation, 0, atol=0.1)
    assert found.level < 0.1


def test_a_wrong_strength_is_an_error_by_intensity(monkeypatch, rng):
    """A model that says e times too much has an error of 1 everywhere."""
    clean = np.linspace(0.1, 0.9, 128) * np.ones((128, 1))
    spectrum = np.ones((8, 8, 1, 1))
    strong = df.NoiseModel(np.array([0.5]), np.array([[0.1 * np.e]]), spectrum, True, 0.1 * np.e)
    monkeypatch.setattr(noise_model.df, "estimate_noise", lambda *_, **__: strong)
    found = noise_model.errors(clean, clean + 0.1 * rng.standard_normal(clean.shape))
    assert found.level == pytest.approx(1, abs=0.05)


def test_true_correlations(rng):
    white = rng.standard_normal((200, 200, 1))
    noise = white[:, :-1] + white[:, 1:]  # of which horizontal neighbours share a half
    np.testing.assert_allclose(noise_model.correlations(noise), [0.5, 0, 0], atol=0.02)


def test_the_page_and_its_time(tmp_path, monkeypatch):
    Image.fromarray(data.astronaut()[:64, :64]).save(tmp_path / "photo.png")
    for name, few in (("WHITE", (25,)), ("CORRELATED", ((2, 25),)), ("QUALITIES", (40,)),
                      ("CAMERAS", ((0.008, 1e-4),))):  # fmt: skip
        monkeypatch.setattr(noise_model, name, few)
    monkeypatch.setattr(noise_model, "time_section", lambda photo, repeats: [
        *noise_model.TIME.splitlines(), f"{repeats} repeats"])  # fmt: skip
    output = tmp_path / "page.md"

    def run(*options):
        arguments = ["noise_model.py", str(tmp_path), "-o", str(output), *options]
        monkeypatch.setattr("sys.argv", arguments)
        noise_model.main()
        return output.read_text("utf-8")

    page = run()
    assert page.count("| colour |") == page.count("| grey |") == 1 + 1 + 2 + 2
    assert "nan" not in page
    assert run("--time-only", "--repeats", "1") == page.replace("3 repeats", "1 repeats")
