"""Studies: what TOML says, and the noise that everyone sees."""

import numpy as np
import pytest
from PIL import Image

from difffilter.benchmark.study import PHOTOGRAPHS, Case, noisy, read_study
from difffilter.noise.kinds import add_noise


@pytest.fixture
def study_of(tmp_path):
    """A function that writes a study beside two images and reads it."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    colour = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
    Image.fromarray(colour).save(pictures / "colour.png")
    Image.fromarray(colour[..., 0]).save(pictures / "grey.png")

    def read(text="", **options):
        usual = {
            "images": '"pictures"', "sigmas": '["25/255", 0.1]', "denoisers": '["heat"]'
        }  # fmt: skip
        lines = [f"{key} = {value}" for key, value in (usual | options).items() if value]
        (tmp_path / "try.toml").write_text("\n".join([*lines, text]), "utf-8")
        return read_study(tmp_path / "try.toml")

    return read


def test_a_study_crosses_everything(study_of):
    study = study_of(noises='["gaussian", "poisson"]', seeds="[0, 7]")
    assert study.name == "try"
    assert study.sigmas == (25 / 255, 0.1)
    assert study.denoisers == {"identity": "identity", "heat": "heat"}
    cases = study.cases()
    assert len(cases) == len(set(cases)) == 2 * 2 * 2 * 2
    assert cases[0] == Case("colour", "gaussian", 25 / 255, 0)
    assert cases[-1] == Case("grey", "poisson", 0.1, 7)


def test_noise_may_have_parameters_and_sees_channels(study_of):
    study = study_of(noises="""["jpeg(quality=50, subsampling='4:4:4')", "camera"]""")
    clean, channel_axis = study.clean("colour")
    for noise in study.noises:
        found = noisy(clean, Case("colour", noise, 0.1, 0), channel_axis)
        assert found.shape == clean.shape
        assert found.min() >= 0
        assert found.max() <= 1


def test_denoisers_may_have_labels(study_of):
    study = study_of("[denoisers]\nmine = 'heat(time=2)'\n'Perona & Malik' = 'perona_malik'",
                     denoisers=None)  # fmt: skip
    assert study.denoisers == {
        "identity": "identity", "mine": "heat(time=2)", "Perona & Malik": "perona_malik"
    }  # fmt: skip


def test_the_photographs_of_scikit_image_are_there(study_of):
    study = study_of(images='"skimage"')
    assert tuple(study.sources) == PHOTOGRAPHS
    for name in PHOTOGRAPHS:
        image, channel_axis = study.clean(name)
        assert image.dtype == np.float32
        assert (channel_axis is None) == (image.ndim == 2)
        assert 0 <= image.min() < image.max() <= 1


def test_colour_is_made_grey_like_pillow_does(study_of, tmp_path):
    image, channel_axis = study_of(channels='"gray"').clean("colour")
    with Image.open(tmp_path / "pictures/colour.png") as colour:
        expected = np.asarray(colour.convert("L")) / 255
    assert channel_axis is None
    np.testing.assert_allclose(image, expected, atol=1 / 255)
    with pytest.raises(ValueError, match=r"grey\.png is grey; expected colour"):
        study_of(channels='"color"').clean("grey")


def test_the_crop_is_the_middle(study_of):
    whole, _ = study_of().clean("grey")
    cropped, _ = study_of(crop=20).clean("grey")
    np.testing.assert_array_equal(cropped, whole[10:30, 20:40])
    unchanged, _ = study_of(crop=50).clean("grey")  # as far as there is something to crop
    assert unchanged.shape == (40, 50)


def test_files_patterns_and_one_of_scikit_image(study_of):
    study = study_of(images='["pictures/gr*.png", "pictures/colour.png", "skimage:camera"]')
    assert list(study.sources) == ["grey", "colour", "camera"]
    assert list(study_of(images='["pictures/grey.png", "pictures"]').sources) == ["grey", "colour"]


def test_equal_names_in_two_folders_keep_their_suffix_or_are_refused(study_of, tmp_path):
    (tmp_path / "more").mkdir()
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "more/grey.tif")
    study = study_of(images='["pictures", "more"]')
    assert list(study.sources) == ["colour", "grey.png", "grey.tif"]
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "more/grey.png")
    with pytest.raises(ValueError, match=r"would both be named grey\.png"):
        study_of(images='["pictures", "more"]')


def test_noise_depends_on_the_case_and_the_pixels_and_nothing_else():
    clean = np.full((30, 40), 0.5, np.float32)
    case = Case("a", "gaussian", 0.1, 0)
    first = noisy(clean, case)
    np.testing.assert_array_equal(first, noisy(clean, Case("other name", "gaussian", 0.1, 0)))
    assert first.std() == pytest.approx(0.1, rel=0.1)
    others = [
        noisy(clean, Case("a", "gaussian", 0.1, 1)),
        noisy(clean, Case("a", "gaussian", 0.1 + 1e-12, 0)),
        noisy(clean + np.float32(1e-6), case),
        noisy(clean.reshape(40, 30), case).reshape(30, 40),
        add_noise(clean, 0.1),
    ]
    for other in others:
        assert abs(np.corrcoef((first - clean).ravel(), other.ravel())[0, 1]) < 0.15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigmas": None}, "study try: sigmas is missing or empty"),
        ({"denoisers": "[]"}, "study try: denoisers is missing or empty"),
        ({"sigmas": '["25"]'}, "study try: sigma is 25; expected at most 1"),
        ({"sigmas": "[-0.1]"}, "study try: sigma"),
        ({"sigmas": '["a/b"]'}, "'a/b' is not a number; write 0.098 or 25/255"),
        ({"sigmas": "[[1]]"}, "study try: "),
        ({"noises": '["gausian"]'}, "study try: noise is 'gausian'; expected one of "),
        ({"noises": '["gausian"]'}, "; did you mean 'gaussian'?"),
        ({"noises": '["camera(quality=0)"]'}, "study try: quality is 0; expected a whole number from 1"),
        ({"noises": '["camera(iso=800)"]'}, "study try: camera noise has no parameter 'iso'"),
        ({"noises": '["camera("]'}, "study try: cannot read the noise 'camera('"),
        ({"noises": "[3]"}, "study try: noise is 3; expected one of "),
        ({"metrics": '["pnsr"]'}, "; did you mean 'psnr'?"),
        ({"metrics": '["pnsr"]'}, "expected one of psnr, ssim, "),
        ({"channels": '"rgb"'}, "channels is 'rgb'; expected one of gray, color, own"),
        ({"seeds": "[-1]"}, "seed is -1; expected a whole number ≥ 0"),
        ({"seeds": "[true]"}, "seed is True; expected a whole number ≥ 0"),
        ({"crop": "1.5"}, "crop is 1.5; expected a whole number ≥ 16"),
        ({"sigma_known": "1"}, "sigma_known is 1; expected true or false"),
        ({"denoisers": '["heat", "heat"]'}, "two denoisers have the label 'heat'"),
        ({"denoisers": "[3]"}, "denoiser '3' is 3; expected text"),
        ({"denoisers": '{identity = "heat"}'}, "the label 'identity' is that of the baseline"),
        ({"images": '"nowhere"'}, "there are no images at"),
        ({"images": '"pictures/*.jpg"'}, "there are no images at"),
        ({"images": '"skimage:camara"'}, "skimage image is 'camara'; expected one of astronaut, camera"),
        ({"images": None}, "images is empty; expected files or folders (or pass --images FOLDER)"),
        ({"sigma": "0.1"}, "unknown key 'sigma'; did you mean 'sigmas'?"),
        ({"name": '"x"'}, "unknown key 'name'"),
    ],
)  # fmt: skip
def test_bad_studies_are_refused(study_of, options, message):
    with pytest.raises(ValueError, match=r".") as caught:
        study_of(**options)
    assert message in str(caught.value)


def test_a_study_that_is_missing_or_no_toml(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no study .*x\.toml; check the path"):
        read_study(tmp_path / "x.toml")
    (tmp_path / "x.toml").write_bytes(b"\xff = ]")
    with pytest.raises(ValueError, match=r"x\.toml is not TOML"):
        read_study(tmp_path / "x.toml")
