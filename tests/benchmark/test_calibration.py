"""Parameters from training images: found, stored, interpolated."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
from toys import Decay, Shrink

from difffilter.benchmark import calibration
from difffilter.benchmark.calibration import NotCalibrated, calibrate, calibrated
from difffilter.benchmark.search import fit, mean_psnr
from difffilter.catalog import CATALOG
from difffilter.search_space import Range


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(CATALOG, "toy", "toys:Shrink")
    return "toy"


@pytest.fixture
def folder(tmp_path, rng):
    """Three images with a standard deviation of 40/255, one of them in colour."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        shape = (60, 70, 3) if number == 2 else (60, 70)
        pixels = rng.normal(128, 40, shape[:2]).clip(0, 255).round().astype(np.uint8)
        pixels = np.repeat(pixels[..., None], 3, axis=2) if number == 2 else pixels
        iio.imwrite(folder / f"{number}.png", pixels)
    return folder


def test_fit_finds_a_known_optimum(rng):
    clean = rng.normal(0.5, 40 / 255, (100, 100))
    for sigma in (10 / 255, 40 / 255):
        noisy = clean + rng.normal(0, sigma, clean.shape)
        best, score = fit(Shrink(), Shrink.SEARCH, [clean], [noisy], sigma)
        expected = sigma**2 / (sigma**2 + (40 / 255) ** 2)
        assert best.strength == pytest.approx(expected, rel=0.1)
        assert score == mean_psnr([clean], [best(noisy)])


def test_fit_finds_a_time_a_choice_and_a_whole_number_together(rng):
    clean = rng.random((20, 20))
    noisy = clean * np.exp(0.1 * 3.2)
    best, _ = fit(Decay(), Decay.SEARCH, [clean], [noisy], 0.1)
    assert best.sign == 1
    assert best.time == pytest.approx(3.2, rel=0.08)
    assert best.rounds == 7
    assert isinstance(best.rounds, int)


def test_fit_leaves_what_is_given(rng):
    clean = rng.random((20, 20))
    best, _ = fit(Decay(rounds=3), Decay.SEARCH, [clean], [clean * np.exp(0.32)], 0.1)
    assert best.rounds == 3


def test_fit_stays_within_the_range(rng):
    clean = np.full((20, 20), 0.5)
    space = {"strength": Range(0.01, 0.3, per_sigma=True)}
    best, _ = fit(Shrink(), space, [clean], [clean + rng.normal(0, 0.1, clean.shape)], 0.1)
    assert best.strength == pytest.approx(0.03)


def test_calibrate_stores_the_optimum_with_where_it_came_from(toy, folder, tmp_path):
    output = tmp_path / "out.json"
    record = calibrate(toy, [folder], sigmas=("20/255", "40/255"), data="noise", output=output)
    stored = json.loads(output.read_text("utf-8"))
    assert stored == {"toy": {"grey": record}}
    assert record["images"] == ["0.png", "1.png", "2.png"]
    assert record["data"] == "noise"
    assert record["date"].startswith("20")
    assert record["versions"]["numpy"] == np.__version__
    for text, expected in [("20/255", 0.2), ("40/255", 0.5)]:
        level = record["levels"][text]
        assert level["constants"]["strength"] == pytest.approx(expected, rel=0.1)
        assert level["psnr"] > level["noisy"]
    assert calibrated("toy", 40 / 255, path=output) == record["levels"]["40/255"]["constants"]


def test_colour_and_grey_stand_beside_each_other(toy, folder, tmp_path):
    output = tmp_path / "out.json"
    calibrate(toy, [folder], sigmas=("20/255",), output=output)
    calibrate(toy, [folder / "2.png"], colour=True, sigmas=("20/255",), output=output)
    assert calibrated("toy", 0.1, path=output) != {}
    assert calibrated("toy", 0.1, colour=True, path=output) != {}
    with pytest.raises(NotCalibrated, match="other is not calibrated for grey images"):
        calibrated("other", 0.1, path=output)


def test_a_run_that_was_stopped_goes_on_to_the_same_end(toy, folder, tmp_path, monkeypatch):
    sigmas = ("10/255", "20/255", "40/255")
    whole = calibrate(toy, [folder], sigmas=sigmas, output=tmp_path / "whole.json")
    search, calls = calibration.fit, []

    def stops(*arguments, **named):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return search(*arguments, **named)

    monkeypatch.setattr(calibration, "fit", stops)
    output = tmp_path / "parts.json"
    with pytest.raises(KeyboardInterrupt):
        calibrate(toy, [folder], sigmas=sigmas, output=output)
    assert len(json.loads(output.read_text("utf-8"))["toy"]["grey"]["levels"]) == 1
    assert calibrate(toy, [folder], sigmas=sigmas, output=output) == whole
    assert len(calls) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "images",
        "parts.json",
        "whole.json",
    ]


def test_other_images_start_afresh(toy, folder, tmp_path):
    output = tmp_path / "out.json"
    calibrate(toy, [folder], sigmas=("10/255", "20/255"), output=output)
    record = calibrate(toy, [folder / "0.png"], sigmas=("20/255",), output=output)
    assert list(record["levels"]) == ["20/255"]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        '{"toy": {"grey": {"levels": {}}}}',
        '{"toy": {"grey": {"search": {"a": {}}, "levels": {}}}}',
        '{"toy": {"grey": {"search": {"a": {}}, "levels": {"5/255": {"constants": {}}}}}}',
    ],
)
def test_a_damaged_file_is_named(content, toy, folder, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=r"bad\.json is damaged"):
        calibrated("toy", 0.1, path=path)
    with pytest.raises(ValueError, match=r"bad\.json is damaged"):
        calibrate(toy, [folder], output=path)
    assert path.read_text("utf-8") == content


@pytest.fixture
def stored(tmp_path):
    """Constants at two levels, four times as strong the second."""
    path = tmp_path / "stored.json"
    search = {
        "weight": {"low": 0.1, "high": 9, "per_sigma": True, "whole": False, "along": False},
        "width": {"low": 0.1, "high": 9, "per_sigma": False, "whole": False, "along": False},
        "rounds": {"low": 1, "high": 99, "per_sigma": False, "whole": True, "along": False},
        "name": {"values": ["a", "b"]},
    }
    low = {"weight": 0.02, "width": 1.0, "rounds": 2, "name": "a"}
    high = {"weight": 0.16, "width": 4.0, "rounds": 8, "name": "b"}
    levels = {"0.02": {"constants": low}, "0.08": {"constants": high}}
    record = {"images": ["x.png"], "search": search, "levels": levels}
    path.write_text(json.dumps({"m": {"grey": record}}), "utf-8")
    return path


@pytest.mark.parametrize(
    ("sigma", "expected"),
    [
        (0.02, {"weight": 0.02, "width": 1.0, "rounds": 2, "name": "a"}),
        (0.039, {"weight": 0.05484, "width": 1.95, "rounds": 4, "name": "a"}),
        (0.041, {"weight": 0.0591, "width": 2.05, "rounds": 4, "name": "b"}),
        (0.08, {"weight": 0.16, "width": 4.0, "rounds": 8, "name": "b"}),
        (0.01, {"weight": 0.01, "width": 1.0, "rounds": 2, "name": "a"}),
        (0.4, {"weight": 0.8, "width": 4.0, "rounds": 8, "name": "b"}),
    ],
)
def test_between_levels_and_beyond(sigma, expected, stored):
    found = calibrated("m", sigma, path=stored)
    assert found["weight"] == pytest.approx(expected.pop("weight"), rel=0.01)
    assert found["width"] == pytest.approx(expected.pop("width"), rel=0.01)
    assert {key: found[key] for key in expected} == expected
    assert isinstance(found["rounds"], int)


def test_what_cannot_be_calibrated_says_so(toy, folder, tmp_path):
    with pytest.raises(ValueError, match="identity has no parameters to calibrate"):
        calibrate("identity", [folder])
    with pytest.raises(ValueError, match="expected 'toy': all parameters are calibrated"):
        calibrate("toy(strength=1)", [folder])
    with pytest.raises(ValueError, match="no images in"):
        calibrate(toy, [tmp_path])
