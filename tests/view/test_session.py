"""One image: what is chosen, and the part that is looked at."""

import numpy as np
import pytest
import tifffile
from PIL import Image

import difffilter as df
from difffilter.image import as_float, like
from difffilter.noise.model import strength_of
from difffilter.view import session as sessions
from difffilter.view.session import Session, Setting


@pytest.fixture
def file(tmp_path, colour_photo, rng):
    noisy = like(colour_photo + rng.normal(0, 0.1, colour_photo.shape), np.uint8(0))
    Image.fromarray(noisy).save(tmp_path / "colour.png")
    return tmp_path / "colour.png"


def pixels(file):
    return np.asarray(Image.open(file))


BOX = ((30, 71), (17, 90))
PART = (slice(30, 71), slice(17, 90))


@pytest.mark.parametrize(
    "setting",
    [
        Setting("perona_malik"),
        Setting("heat(time=2)"),
        Setting("edge_enhancing(time=1, kappa=0.1, presmooth=0.5)", strength=0.5, chroma=1.0),
        Setting("perona_malik", sigma=0.1, noise="poisson"),
        Setting("identity"),
    ],
)
@pytest.mark.parametrize("small", [True, False])
def test_a_part_is_that_of_the_whole(file, setting, small, monkeypatch):
    if not small:  # by parts, of 32 pixels
        monkeypatch.setattr(sessions, "SMALL", 0)
        monkeypatch.setattr(sessions, "SIDE", 32)
    whole = df.denoise(
        pixels(file), setting.sigma, setting.method, channel_axis=-1, noise=setting.noise,
        strength=setting.strength, chroma=setting.chroma,
    )  # fmt: skip
    found = Session(file).filtered(setting, BOX)
    assert found.dtype == whole.dtype
    np.testing.assert_allclose(found, whole[PART], atol=2e-6)


def test_parameters_are_those_that_smooth_chooses(file):
    chosen = Session(file).chosen(Setting("auto"))
    expected = df.estimate_parameters(pixels(file), channel_axis=-1)
    assert chosen.method == expected.method
    assert not chosen.on_tiles


def test_parameters_do_not_depend_on_the_strength(file, monkeypatch):
    session = Session(file)
    chosen = session.chosen(Setting("heat"))
    monkeypatch.setattr(sessions, "make", None)  # nothing is made, and so nothing chosen, again
    assert session.chosen(Setting("heat", strength=0.5)) is chosen


def test_large_images_are_chosen_on_by_tiles(file, monkeypatch):
    from difffilter.blocks import filter as blocks

    monkeypatch.setattr(blocks, "SAMPLE_PIXELS", 1 << 12)
    monkeypatch.setattr(blocks, "TILE", {2: (32, 32)})
    session = Session(file)
    for method in ("heat", "perona_malik", "auto"):
        chosen = session.chosen(Setting(method))
        assert chosen.on_tiles
        # The noise is that of the whole, as `smooth` takes it.
        expected = df.estimate_parameters(pixels(file), method=method, channel_axis=-1)
        assert strength_of(chosen.sigma) == expected.sigma


def test_work_can_be_given_up(file, monkeypatch):
    monkeypatch.setattr(sessions, "SMALL", 0)
    monkeypatch.setattr(sessions, "SIDE", 32)
    said = []

    def report(doing):
        said.append(doing)
        if len(said) == 4:
            raise InterruptedError

    session = Session(file)
    with pytest.raises(InterruptedError):
        session.filtered(Setting("heat"), ((0, 96), (0, 128)), report)
    assert said[0] == "choosing parameters"
    assert said[1:] == [f"filtering, part {k} of 12" for k in (1, 2, 3)]


def test_pages_of_a_stack(tmp_path, photo):
    stack = (255 * np.stack([photo, photo[::-1]])).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    session = Session(tmp_path / "stack.tif")
    assert (session.count, session.shape) == (2, (128, 128))
    setting = Setting("heat(time=1)", page=1)
    found = session.filtered(setting, ((0, 128), (0, 128)))
    np.testing.assert_array_equal(found, df.heat(stack[1], time=1))


def test_images_are_shown_upright(tmp_path, photo):
    exif = Image.Exif()
    exif[274] = 6
    stored = (255 * photo[:64]).astype(np.uint8)
    Image.fromarray(stored).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    session = Session(tmp_path / "turned.jpg")
    assert session.shape == (128, 64)
    shown = np.rot90(pixels(tmp_path / "turned.jpg"), -1)
    np.testing.assert_array_equal(session.page(0), as_float(shown))


def test_what_smooth_refuses_is_refused(file):
    session = Session(file)
    for setting in (Setting("haet"), Setting("heat(time=-1)"), Setting("srad", noise="poisson"),
                    Setting(strength=2.0)):  # fmt: skip
        with pytest.raises(ValueError, match=r"expected|unknown|for speckle"):
            session.check(setting)
    with pytest.raises(ValueError, match="data_range is"):
        Session(file, data_range=(1, 1))


def test_the_noise_is_measured_once(file):
    session = Session(file)
    model = session.noise(0)
    assert model.sigma == pytest.approx(0.1, rel=0.15)
    assert session.noise(0) is model
