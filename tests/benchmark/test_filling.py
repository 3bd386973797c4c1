"""Studies of filling in holes: what they ask for, what methods are given, scores and reports."""

import json
import shutil

import numpy as np
import pytest
from command import invoke, invoke_error, invoke_ok
from PIL import Image

import difffilter as df
from difffilter.benchmark import report
from difffilter.benchmark.degraded import Degraded
from difffilter.benchmark.filling import filler, holed
from difffilter.benchmark.measure import measure, warm_up
from difffilter.benchmark.report import webpage, words
from difffilter.benchmark.report.plots import drawings
from difffilter.benchmark.report.summary import Results
from difffilter.benchmark.rows import read_rows
from difffilter.benchmark.run import run
from difffilter.benchmark.study import Case, noisy, read_study
from difffilter.benchmark.worker import packed, work_unpacked
from difffilter.inpainting.catalog import inpainters
from difffilter.inpainting.holes import KINDS

STUDY = """
images = "skimage:camera"
crop = 48
holes = ["random(share=0.5)", "text"]
seeds = [0, 1]
examples = 1
[denoisers]
harmonic = "harmonic"
"my function" = "fills:grey(level=0.25)"
"my class" = "fills:Level(level=0.25)"
"""

OWN = """
import numpy as np
from difffilter.catalog import MissingExtra

def grey(image, mask, channel_axis=None, level=0.5):
    assert (image[mask] == 0).all()
    image[mask] = level
    return image

class Level:
    def __init__(self, level=0.5):
        self.level = level

    def __call__(self, image, mask, channel_axis=None):
        return grey(image, mask, channel_axis, self.level)

def blurred(image, mask, channel_axis=None):
    return image + (image > 0) / 64

class Lacking:
    def __init__(self):
        raise MissingExtra("Lacking needs something")

number = 3
"""


def write_study(folder, text=STUDY):
    (folder / "fills.py").write_text(OWN)
    (folder / "try.toml").write_text(text, "utf-8")
    return read_study(folder / "try.toml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the study and, in ``out``, its results and report, by the command line."""
    found = tmp_path_factory.mktemp("filling")
    write_study(found)
    invoke_ok("bench", "try.toml", "-o", "out", cwd=found)
    invoke_ok("report", "out", cwd=found)
    return found


@pytest.fixture(scope="module")
def study(folder):
    return read_study(folder / "try.toml")


# --- the study -----------------------------------------------------------------------------------


def test_holes_are_crossed_with_everything(tmp_path):
    study = write_study(tmp_path)
    assert study.kinds == ("random(share=0.5)", "text")
    assert study.sigmas == (0.0,)
    assert study.cases()[1:3] == [
        Case("camera", "random(share=0.5)", 0.0, 1),
        Case("camera", "text", 0.0, 0),
    ]
    study = write_study(tmp_path, 'sigmas = [0, "51/255"]' + STUDY)
    assert [case.sigma for case in study.cases()] == 2 * [0.0, 0.0, 0.2, 0.2]
    other = write_study(tmp_path, 'images = "skimage:coins"\nholes = "blocks"\ndenoisers = "ddpm"')
    assert other.kinds == ("blocks",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("holes = [", 'noises = ["gaussian"]\nholes = ['),
         "noises is ['gaussian']; expected none beside holes"),
        (("holes = [", 'pairs = {noisy = "a", clean = "b"}\nholes = ['),
         "pairs is {'noisy': 'a', 'clean': 'b'}; expected none beside holes"),
        (("holes = [", "sigma_known = true\nholes = ["), "sigma_known is True; expected none beside holes"),
        (('["random(share=0.5)", "text"]', "[]"), "holes is missing or empty"),
        (('"text"', '"txet"'), "kind is 'txet'; expected one of text, scratches, random, blocks, sparse; did "
         "you mean 'text'?"),
        (('"text"', '"text(share=2)"'), "share is 2; expected a finite number > 0 and < 1"),
        (('"text"', "3"), "kind is 3; expected one of text, scratches, random, blocks, sparse"),
        (("crop = 48", 'metrics = ["psnr", "vif"]'),
         "metric is 'vif'; expected one that is defined in holes: psnr, ssim, seconds, peak_memory"),
        (("crop = 48", 'metrics = ["pnsr"]'), "metric is 'pnsr'; expected one of psnr, ssim, ms_ssim, vif, "
         "haarpsi, gmsd, texture, seconds, peak_memory; did you mean 'psnr'?"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_holes_is_refused(tmp_path, change, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        write_study(tmp_path, STUDY.replace(*change))
    assert str(caught.value) == f"study try: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("harmonix", "unknown method 'harmonix'; did you mean 'harmonic'?"),
        ("heat", f"unknown method 'heat'; there are: {', '.join(inpainters())}"),
        ("oracle(harmonic)", "cannot read the method 'oracle(harmonic)'; write name or name(key=value, ...)"),
        ("harmonic(tolerence=1e-3)", "harmonic has no parameter 'tolerence'; did you mean 'tolerance'?"),
        ("fills:gray", "fills has no class or function 'gray'; did you mean 'grey'?"),
        ("fills:number",
         "fills has no class or function 'number'; there are: MissingExtra, grey, Level, blurred, Lacking"),
        ("fills:grey(levle=1)", "fills:grey has no parameter 'levle'; did you mean 'level'?"),
        ("fills:Level(levle=1)", "fills:Level has no parameter 'levle'; did you mean 'level'?"),
        ("nowhere:f", "there is no module 'nowhere' for the method 'nowhere:f'; it must be installed, or "
         "lie in the current folder"),
    ],
)  # fmt: skip
def test_unknown_methods_are_refused_before_any_work(tmp_path, text, message):
    write_study(tmp_path, STUDY + f'new = "{text}"')
    error = invoke_error("bench", "try.toml", "-o", "out", cwd=tmp_path)
    assert error == f"error: study try, method 'new': {message}\n"
    assert not (tmp_path / "out").exists()


# --- what methods are given ------------------------------------------------------------------------


def test_holes_depend_on_image_kind_and_seed_alone(rng):
    clean = rng.random((40, 50)).astype(np.float32)
    case = Case("a", "random(share=0.5)", 0.0, 0)
    first = holed(clean, case)
    assert first.mask.mean() == 0.5
    np.testing.assert_array_equal(first.image, np.where(first.mask, 0, clean))
    for same in (case, case._replace(image="b"), case._replace(sigma=0.1)):
        np.testing.assert_array_equal(holed(clean, same).mask, first.mask)
    others = [
        holed(clean, case._replace(seed=1)),
        holed(clean, case._replace(noise="random(share=1/2)")),
        holed(clean + np.float32(1e-6), case),
    ]
    for other in others:
        assert np.mean(other.mask == first.mask) == pytest.approx(0.5, abs=0.1)


def test_known_pixels_have_the_noise_of_a_study_of_denoising(colour_photo):
    case = Case("a", "blocks(side=9)", 0.1, 3)
    clean = colour_photo.astype(np.float32)
    found = holed(clean, case, -1)
    expected = noisy(clean, case._replace(noise="gaussian"), -1)
    np.testing.assert_array_equal(found.image[~found.mask], expected[~found.mask])
    assert not found.image[found.mask].any()
    assert np.count_nonzero(found.mask) == 4 * 81


def test_identity_is_the_mean_of_the_known_pixels_of_each_channel(rng):
    image, mask = rng.random((9, 8, 3)), rng.random((9, 8)) < 0.5
    result = filler("identity")(Degraded(image, None, -1, mask=mask))
    np.testing.assert_array_equal(result[~mask], image[~mask])
    for channel in range(3):
        mean = np.mean([image[y, x, channel] for y, x in zip(*np.nonzero(~mask), strict=True)])
        np.testing.assert_allclose(result[mask][:, channel], mean)


def test_methods_may_write_to_what_they_are_given(tmp_path, monkeypatch, rng):
    (tmp_path / "fills_writing.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    image, mask = rng.random((9, 8)), rng.random((9, 8)) < 0.5
    image[mask] = 0
    before = image.copy()
    result = filler("fills_writing:grey(level=1/4)")(Degraded(image, None, mask=mask))
    np.testing.assert_array_equal(result, np.where(mask, 0.25, before))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("holes", ["none", "all", "some"])
def test_warming_up_always_meets_a_hole_and_a_known_pixel(holes):
    image = np.full((100, 90), 0.5)
    mask = np.zeros(image.shape, bool)
    mask[:70, :70], mask[70:] = holes == "all", True
    mask[3, 5] |= holes == "some"
    seen = []

    def method(degraded):
        seen.append(degraded)
        assert not degraded.image[degraded.mask].any()
        return degraded.image

    warm_up(method, Degraded(image, image, mask=mask))
    assert seen[0].image.shape == seen[0].mask.shape == seen[0].clean.shape == (64, 64)
    assert seen[0].mask.any()
    assert not seen[0].mask.all()


def test_a_known_pixel_without_noise_must_stay(rng):
    image, mask = rng.random((20, 20)), np.zeros((20, 20), bool)
    mask[5:8] = True

    def method(degraded):
        result = degraded.image.copy()
        result[:2, :3] += 1e-9
        return result

    def values(sigma):
        return measure(method, Degraded(image, image, None, sigma, mask), ["psnr"])[1]

    with pytest.raises(
        ValueError, match=r"^the result differs in 6 values of known pixels; expected none$"
    ):
        values(0.0)
    assert values(0.1) == {"psnr": np.inf}


# --- running ---------------------------------------------------------------------------------------


def test_scores_are_those_of_holes(folder, study):
    rows = read_rows(folder / "out/rows.csv")
    assert len(rows) == 2 * 2 * 4 * 3  # kinds, seeds, methods, metrics
    values = {row[1:6]: row.value for row in rows}
    clean, _ = study.clean("camera")
    for case in study.cases():
        image, _, _, _, mask = holed(clean, case)
        grey = np.where(mask, np.float32(0.25), clean)
        error = np.mean([(clean[y, x] - 0.25) ** 2 for y, x in zip(*np.nonzero(mask), strict=True)])
        for label in ("my function", "my class"):
            assert values[*case[1:], label, "psnr"] == pytest.approx(
                -10 * np.log10(error), abs=1e-4
            )
            assert values[*case[1:], label, "ssim"] == df.ssim(clean, grey, mask=mask)
        filled = df.inpaint(image, mask, "harmonic")
        assert values[*case[1:], "harmonic", "psnr"] == df.psnr(clean, filled.clip(0, 1), mask=mask)


def test_what_is_done_is_not_done_again(folder, tmp_path):
    shutil.copytree(folder / "out", tmp_path / "out")
    before = (tmp_path / "out/rows.csv").read_bytes()
    run(write_study(tmp_path), tmp_path / "out")
    assert (tmp_path / "out/rows.csv").read_bytes() == before
    more = write_study(tmp_path, STUDY.replace('"text"]', '"text", "scratches"]'))
    run(more, tmp_path / "out")
    rows = read_rows(tmp_path / "out/rows.csv")
    assert len(rows) == 3 * 2 * 4 * 3
    assert set(read_rows(folder / "out/rows.csv")) < set(rows)
    assert all(row.metric != "error" for row in rows)


def test_a_worker_elsewhere_makes_the_same_rows(folder, study, tmp_path):
    expected = read_rows(folder / "out/rows.csv")
    found = [
        row
        for case in study.cases()
        for label in study.denoisers
        for row in work_unpacked(packed(study, tmp_path), case, label)
    ]
    assert [row for row in found if row.metric != "seconds"] == [
        row for row in expected if row.metric != "seconds"
    ]


def test_failures_and_missing_libraries_are_listed(tmp_path):
    text = STUDY.replace('"text"]', '"blocks(side=40)"]').replace("[0, 1]", "[0]")
    write_study(tmp_path, text + 'blurred = "fills:blurred"\nlacking = "fills:Lacking"')
    result = invoke("bench", "try.toml", "-o", "out", cwd=tmp_path)
    assert result.returncode == 1
    assert "left out: lacking: Lacking needs something" in result.stderr
    failures = words.failures(report.read(tmp_path / "out"))
    blocks = [label for label, where, why in failures if where.startswith("square holes (side=40)")]
    assert blocks == ["identity", "harmonic", "my function", "my class", "blurred"]
    assert next(row for row in failures if row[0] == "identity") == (
        "identity",
        "square holes (side=40), on camera",
        "ValueError: count is 4; expected blocks of side 40 that fit into an image of shape (48, 48)",
    )
    [(_, where, why)] = [row for row in failures if row[0] == "blurred" and "random" in row[1]]
    assert where == "random holes (share=0.5), on camera"
    assert why.endswith("values of known pixels; expected none")


def test_pictures_show_holes(folder, study):
    clean, _ = study.clean("camera")
    for kind, name in (("text", "text"), ("random(share=0.5)", "random_share_0.5")):
        pictures = folder / f"out/examples/camera/{name}-0-0"
        labels = json.loads((pictures / "labels.json").read_text("utf-8"))
        assert {path.name for path in pictures.glob("*.png")} == {*labels, "clean.png", "holes.png"}
        mask = holed(clean, Case("camera", kind, 0.0, 0)).mask
        shown = np.asarray(Image.open(pictures / "holes.png"))
        assert (shown[mask] == (255, 0, 255)).all()
        levels = np.asarray(Image.open(pictures / "clean.png"))
        np.testing.assert_array_equal(shown[~mask], levels[~mask][:, None].repeat(3, 1))
    assert len(list((folder / "out/examples/camera").iterdir())) == 2  # of the first seed


# --- the report --------------------------------------------------------------------------------------


def test_the_words_of_the_report(folder):
    text = (folder / "out/report.md").read_text("utf-8")
    assert "1 image, 2 seeds, 4 methods, random holes (share=0.5), text holes.\n" in text
    assert "\n## All holes\n\n### PSNR in holes (dB)\n" in text
    assert "| method | random holes (share=0.5) | text holes |\n" in text
    assert "\n## Text holes\n\n- text holes: harmonic has the highest PSNR, " in text
    assert "| method | text holes | seconds |" in text
    assert "### SSIM in holes" in text
    assert "Holes are determined by image, kind and seed alone" in text
    assert "known pixels have no noise, and a method that changes one has failed" in text
    for other in ("σ·255", "noisy image", "noise level", "Methods are given σ", "oracle is"):
        assert other not in text
    page = (folder / "out/report.html").read_text("utf-8")
    assert "<h1>harmonic wins in all holes</h1>" in page
    assert '<a href="#overview">All holes</a>' in page
    assert "<th></th><th>highest PSNR</th>" in page
    assert "σ·255" not in page


def test_examples_begin_with_the_holes(folder):
    found = webpage.examples(report.read(folder / "out"))
    assert [example["case"] for example in found] == ["Random holes (share=0.5)", "Text holes"]
    for example in found:
        labels = [picture["label"] for picture in example["pictures"]]
        assert labels == ["clean", "with holes", "identity", "harmonic", "my function", "my class"]
        assert (example["left"], example["best"]) == ("with holes", "harmonic")
        assert [bool(picture["score"]) for picture in example["pictures"]] == 2 * [False] + 4 * [
            True
        ]


def results_of(scores, **study):
    """Results of PSNR: (kind, σ·255, label) -> value."""
    values = {
        (*key, metric): {("boat", 0): value, ("barn", 0): value + 1}
        for key, value in scores.items()
        for metric in ("psnr", "seconds")
    }
    return Results(study=study, values=values)


@pytest.mark.parametrize(
    ("winners", "headline"),
    [
        ({"text": "ddpm"}, "ddpm wins on text holes"),
        ({"text": "ddpm", "blocks": "ddpm"}, "ddpm wins in all holes"),
        (
            {
                "text": "ddpm",
                "random(share=0.8)": "ddpm",
                "scratches": "ddpm",
                "sparse": "harmonic",
            },
            "ddpm wins on text holes, random holes (share=0.8) and scratches; harmonic wins on sparse "
            "pixels",
        ),
        ({"text": "identity"}, "No method beats the mean of the known pixels"),
    ],
)
def test_headlines(winners, headline):
    scores = {
        (kind, 0.0, label): 30.0 if label == winner else 20.0
        for kind, winner in winners.items()
        for label in ("identity", "harmonic", "ddpm")
    }
    assert words.headline(results_of(scores)) == headline


def test_known_pixels_with_noise_have_levels():
    scores = {
        ("text", level, label): gain - level / 10
        for level in (0.0, 25.0)
        for label, gain in (("identity", 10.0), ("harmonic", 25.0), ("ddpm", 30.0))
    }
    results = results_of(scores)
    assert words.headline(results) == "ddpm wins in all holes"
    assert words.extent(results).endswith("text holes, σ·255 = 0, 25")
    assert words.place(results, "text", 0.0) == "σ·255 = 0"
    assert "## All holes" not in report.markdown(results)
    found = {drawing.name: drawing for drawing in drawings(results, "text")}
    over = found["text-psnr"]
    assert over.title == "PSNR in holes by noise level"
    assert over.caption.endswith(
        "The mean of the known pixels (identity) is drawn only as far as the methods reach."
    )
    [axes] = over.figure.axes
    assert axes.get_xlabel() == "noise of known pixels, σ·255"
    assert axes.get_ylabel() == "PSNR in holes (dB)"
    costs = found["text-25-pareto"]
    assert costs.title == "PSNR in holes against time"
    assert costs.caption.endswith("The mean of the known pixels (8.00 dB) is omitted.")
    assert costs.figure.axes[0].get_ylabel() == "PSNR in holes (dB)"
    assert found["text-25-spread"].figure.axes[0].get_xlabel() == (
        "PSNR in holes minus that of ddpm (dB)"
    )


def test_every_kind_of_holes_has_words():
    assert words.HOLES.keys() == KINDS.keys()
    assert words.noise_title("scratches(width=3)") == "Scratches (width=3)"
