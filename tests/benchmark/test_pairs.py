"""Pairs of real noisy and clean images, in the folders of the data sets that have them."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from command import invoke_error, invoke_ok
from PIL import Image
from scipy.io import savemat

from difffilter.benchmark.pairs import REAL, Source, find_pairs, pixels_of
from difffilter.benchmark.report import write
from difffilter.benchmark.report.summary import read
from difffilter.benchmark.rows import read_rows
from difffilter.benchmark.run import run
from difffilter.benchmark.study import Case, read_study
from difffilter.metrics import psnr

SIDD = ("Data/{scene}/*NOISY_SRGB_{shot}.PNG", "Data/{scene}/*GT_SRGB_{shot}.PNG")
SCENES = ("0001_001_S6_00100_00060_3200_L", "0002_001_S6_00100_00020_3200_N")

# Patterns, files as their authors name them, and the pairs that belong together.
LAYOUTS = {
    "SIDD Small": (
        *SIDD,
        {
            f"{scene}-010": (f"Data/{scene}/GT_SRGB_010.PNG", [f"Data/{scene}/NOISY_SRGB_010.PNG"])
            for scene in SCENES
        },
    ),
    "SIDD Medium": (
        *SIDD,
        {
            f"{scene}-{shot}": (
                f"Data/{scene}/{scene[:4]}_GT_SRGB_{shot}.PNG",
                [f"Data/{scene}/{scene[:4]}_NOISY_SRGB_{shot}.PNG"],
            )
            for scene in SCENES
            for shot in ("010", "011")
        },
    ),
    "PolyU": (
        "CroppedImages/{scene}_real.JPG",
        "CroppedImages/{scene}_mean.JPG",
        {
            scene: (f"CroppedImages/{scene}_mean.JPG", [f"CroppedImages/{scene}_real.JPG"])
            for scene in ("Canon5D2_5_160_3200_chair_11", "Canon600D_3-5_125_1600_waterhouse_10")
        },
    ),
    "CC": (
        "Real_ccnoise_denoised_part/{scene}_real.png",
        "Real_ccnoise_denoised_part/{scene}_mean.png",
        {
            scene: tuple(
                kind([f"Real_ccnoise_denoised_part/{scene}_{name}.png"])
                for name, kind in (("mean", lambda paths: paths[0]), ("real", list))
            )
            for scene in ("5dmark3_iso3200_1", "d800_iso1600_3")
        },
    ),
    "FMDD": (
        "{sample}/raw/{view}/*.png",
        "{sample}/gt/{view}/avg50.png",
        {
            f"{sample}-{view}": (
                f"{sample}/gt/{view}/avg50.png",
                [f"{sample}/raw/{view}/HV110_P0500510{shot:03}.png" for shot in range(3)],
            )
            for sample in ("Confocal_BPAE_B", "TwoPhoton_MICE")
            for view in ("1", "19")
        },
    ),
    "FMDD, mixed test set": (
        "test_mix/raw/{name}.png",
        "test_mix/gt/{name}.png",
        {
            name: (f"test_mix/gt/{name}.png", [f"test_mix/raw/{name}.png"])
            for name in ("Confocal_BPAE_B_1", "WideField_BPAE_R_4")
        },
    ),
    "RENOIR": (
        "{camera}_Aligned/{batch}/*Noisy.bmp",
        "{camera}_Aligned/{batch}/*Reference.bmp",
        {
            "Mi3-Batch_001": (
                "Mi3_Aligned/Batch_001/IMG_20160202_015247Reference.bmp",
                ["Mi3_Aligned/Batch_001/IMG_20160202_015216Noisy.bmp"],
            ),
            "Mi3-Batch_002": (
                "Mi3_Aligned/Batch_002/IMG_20160202_020112Reference.bmp",
                [f"Mi3_Aligned/Batch_002/IMG_20160202_02012{n}Noisy.bmp" for n in (0, 4)],
            ),
        },
    ),
}


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def pixels(number, shape=(20, 24, 3)):
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)


def study_of(folder, pairs, text="denoisers = ['heat']\n"):
    (folder / "real.toml").write_text(f"pairs = {pairs}\n{text}", "utf-8")
    return read_study(folder / "real.toml")


def toml(noisy, clean):
    return f"{{noisy = '{noisy}', clean = '{clean}'}}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folders_as_their_authors_lay_them_out(layout, tmp_path):
    noisy, clean, expected = LAYOUTS[layout]
    for number, (partner, captures) in enumerate(expected.values()):
        for place, path in enumerate([partner, *captures]):
            save(tmp_path / path, np.full((16, 18, 3), 20 * number + place))
    (tmp_path / "ReadMe.txt").touch()
    study = study_of(tmp_path, toml(noisy, clean))
    assert {
        name: (pair.clean.path, [source.path for source in pair.noisy])
        for name, pair in study.real.items()
    } == {
        name: (str(tmp_path / partner), [str(tmp_path / path) for path in captures])
        for name, (partner, captures) in expected.items()
    }
    assert study.cases() == [
        Case(name, REAL, 0.0, place)
        for name, (_, captures) in expected.items()
        for place in range(len(captures))
    ]
    tolerance = 3 / 255 if noisy.endswith("JPG") else 1e-6
    for case in study.cases():
        number = list(expected).index(case.image)
        image, axis = study.clean(case.image)
        assert axis == -1
        assert image.mean() == pytest.approx(20 * number / 255, abs=tolerance)
        assert study.capture(case).mean() == pytest.approx(
            (20 * number + case.seed + 1) / 255, abs=tolerance
        )


def test_blocks_of_matlab_files(tmp_path):
    """The validation blocks of SIDD: [image, block, height, width, channel]."""
    clean, noisy = (pixels(n, (2, 3, 16, 20, 3)) for n in (0, 1))
    for kind, array in (("Gt", clean), ("Noisy", noisy)):
        name = f"Validation{kind}BlocksSrgb"
        savemat(tmp_path / f"{name}.mat", {name: array}, do_compression=True)
    study = study_of(tmp_path, toml("ValidationNoisyBlocksSrgb.mat", "ValidationGtBlocksSrgb.mat"))
    places = [(image, block) for image in range(2) for block in range(3)]
    assert study.names == [f"ValidationGtBlocksSrgb-{i}-{b}" for i, b in places]
    for case, place in zip(study.cases(), places, strict=True):
        np.testing.assert_array_equal(study.clean(case.image)[0], np.float32(clean[place] / 255))
        np.testing.assert_array_equal(study.capture(case), np.float32(noisy[place] / 255))


def test_matlab_files_of_another_kind(tmp_path):
    save(tmp_path / "clean.png", pixels(0))
    path = tmp_path / "noisy.mat"
    savemat(path, {"image": pixels(1)})
    assert find_pairs(tmp_path, "noisy.mat", "clean.png")["clean"].noisy == (Source(str(path)),)
    np.testing.assert_array_equal(pixels_of(Source(str(path))), pixels(1))
    for content, message in (
        ({"a": pixels(1), "b": pixels(2)}, "noisy.mat has the variables a, b; expected one"),
        ({"a": pixels(1, (4, 5, 6))}, "has shape (4, 5, 6); expected […, height, width, 3]"),
        ({"a": pixels(1, (2, 20, 24, 3))}, "an array of (2,) pictures; expected (), as "),
    ):
        savemat(path, content)
        with pytest.raises(ValueError, match=re.escape(message)):
            find_pairs(tmp_path, "noisy.mat", "clean.png")
    for content, message in (
        (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(64), "of version 7.3; expected"),
        (b"nothing", r"noisy\.mat is damaged: "),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            find_pairs(tmp_path, "noisy.mat", "clean.png")


def test_the_special_parts_of_a_pattern(tmp_path):
    for path in (
        "a/deep/x1.png",
        "a/x2.png",
        "a/b/b_x3.png",
        "a/c/b_x3.png",
        "a/[x]{1}.png",
        "gt.png",
    ):
        save(tmp_path / path, pixels(0))

    def found(noisy, clean="gt.png"):
        pairs = find_pairs(tmp_path, noisy, clean).values()
        return [source.path.removeprefix(f"{tmp_path}/") for pair in pairs for source in pair.noisy]

    assert found("a/**/x?.png") == ["a/deep/x1.png", "a/x2.png"]
    assert found("a/**/*x[!1].png") == ["a/b/b_x3.png", "a/c/b_x3.png", "a/x2.png"]
    assert found("a/{dir}/{dir}_*.png") == ["a/b/b_x3.png"]  # twice the same text
    assert found(f"{tmp_path}/a/x*.png") == ["a/x2.png"]
    assert found("a/[[]x]*.png") == found("a/[[]{x}{1}.png") == ["a/[x]{1}.png"]


def test_files_without_a_partner_are_named(tmp_path):
    for path in ("1/raw.png", "2/raw.png", "1/gt_a.png"):
        save(tmp_path / path, pixels(0))
    with pytest.raises(ValueError, match=r"there are no noisy images at .*none\.png"):
        find_pairs(tmp_path, "{n}/none.png", "{n}/gt_*.png")
    with pytest.raises(
        ValueError, match=r"2/raw\.png has 0 clean partners; expected one at .*/2/gt_\*\.png"
    ):
        find_pairs(tmp_path, "{n}/raw.png", "{n}/gt_*.png")
    save(tmp_path / "2/gt_a.png", pixels(0))
    save(tmp_path / "2/gt_b.png", pixels(0))
    with pytest.raises(ValueError, match=r"2/raw\.png has 2 clean partners, such as .*gt_a.*gt_b"):
        find_pairs(tmp_path, "{n}/raw.png", "{n}/gt_*.png")
    with pytest.raises(ValueError, match=r"expected no field that noisy lacks: \{m\}"):
        find_pairs(tmp_path, "{n}/raw.png", "{m}/gt_a.png")
    with pytest.raises(ValueError, match=r"1/raw\.png is noisy and clean alike; expected two"):
        find_pairs(tmp_path, "{n}/raw.png", "{n}/raw.png")


@pytest.fixture
def mixed(tmp_path):
    """A study of two real scenes, one of them with two noisy images, and a photograph."""
    clean = np.full((24, 32), 100) + 50 * (np.arange(32) > 16)
    for scene, captures in (("a", 2), ("b", 1)):
        save(tmp_path / f"gt/{scene}.png", clean)
        for n in range(captures):
            noise = np.random.default_rng(n).normal(0, 8 + n, clean.shape)
            save(tmp_path / f"raw/{scene}/{n}.png", (clean + noise).round())
    text = (
        'images = "skimage:camera"\ncrop = 24\nsigmas = ["25/255"]\nseeds = [5]\n'
        'metrics = ["psnr", "ssim", "texture", "haarpsi", "seconds"]\n'
        'denoisers = ["heat", "oracle(heat)"]\nexamples = 3\n'
    )
    return study_of(tmp_path, toml("raw/{scene}/*.png", "gt/{scene}.png"), text)


def test_a_study_of_images_and_pairs_runs_resumes_and_is_reported(mixed, tmp_path):
    out = tmp_path / "out"
    assert run(mixed, out) == (0, {})
    rows = read_rows(out / "rows.csv")
    assert {row.case for row in rows} == {
        ("camera", "gaussian", 25 / 255, 5),
        ("a", "real", 0.0, 0), ("a", "real", 0.0, 1), ("b", "real", 0.0, 0),
    }  # fmt: skip
    values = {(row.image, row.seed, row.denoiser, row.metric): row.value for row in rows}
    clean, _ = mixed.clean("a")
    for n in (0, 1):
        case = Case("a", REAL, 0.0, n)
        assert clean.shape == (24, 24)
        assert values["a", n, "identity", "psnr"] == psnr(clean, mixed.capture(case))
        assert values["a", n, "heat", "psnr"] > values["a", n, "identity", "psnr"]
    record = json.loads((out / "study.json").read_text("utf-8"))
    assert record["noises"] == ["gaussian", "real"]
    assert record["images"] == ["camera", "a", "b"]
    assert record["pairs"] == list(mixed.pairs)
    assert "methods are not given σ there" in record["protocol"]
    folders = {str(p.parent.relative_to(out / "examples")) for p in out.rglob("labels.json")}
    assert folders == {"camera/gaussian-25-5", "a/real-0-0", "b/real-0-0"}

    # What is done is not done again; what is missing or changed is.
    (out / "rows.csv").write_text(
        "\n".join((out / "rows.csv").read_text().splitlines()[:-10]) + "\n"
    )
    assert read(out).pending == 2
    assert run(mixed, out) == (0, {})
    again = {row[:6]: row.value for row in read_rows(out / "rows.csv")}
    assert list(again) == [row[:6] for row in rows]
    kept = [row for row in rows if row.metric == "seconds" and again[row[:6]] == row.value]
    assert len(kept) == 10
    save(tmp_path / "raw/a/1.png", np.full((24, 32), 90))
    run(mixed, out)
    changed = {row[:6]: row.value for row in read_rows(out / "rows.csv")}
    assert changed["a", "real", 0.0, 1, "identity", "psnr"] != values["a", 1, "identity", "psnr"]
    assert (
        changed["b", "real", 0.0, 0, "heat", "seconds"]
        == again["b", "real", 0.0, 0, "heat", "seconds"]
    )

    results = read(out)
    assert results.pending == 0
    # Noisy images of a scene are one image.
    assert results.score("real", 0.0, "identity", "psnr").images == 2
    _, page = write(out)
    text = (out / "report.md").read_text("utf-8")
    assert "3 images, 3 methods, 3 captures, gaussian noise, real noise, σ·255 = 25." in text
    assert "## Real noise\n\n- real noise: " in text
    assert "σ·255 = 0" not in text
    assert "| method | real noise | seconds |" in text
    assert "confidence interval; higher is better" in text
    html = page.read_text("utf-8")
    assert "σ·255 = 0" not in html
    assert "Real noise" in html
    assert 'colspan="1"' in html
    assert "<small>σ unknown</small>" in html


def test_methods_are_told_no_sigma(tmp_path):
    save(tmp_path / "x_real.png", pixels(0))
    save(tmp_path / "x_mean.png", pixels(1))
    (tmp_path / "told.py").write_text(
        "class Told:\n"
        "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
        "        assert sigma is None\n"
        "        noisy *= 0\n"  # a careless method changes nothing for the others
        "        return noisy\n"
    )
    text = "sigma_known = true\ndenoisers = ['told:Told', 'told:Told()']\nmetrics = ['psnr']\n"
    study = study_of(tmp_path, toml("{n}_real.png", "{n}_mean.png"), text)
    assert run(study, tmp_path / "out") == (0, {})
    values = [row.value for row in read_rows(tmp_path / "out/rows.csv")]
    assert values[1] == values[2] != values[0]
    protocol = json.loads((tmp_path / "out/study.json").read_text("utf-8"))["protocol"]
    assert "Methods are given σ" not in protocol
    assert "neither clipped nor quantised" not in protocol
    write(tmp_path / "out")
    text = (tmp_path / "out/report.md").read_text("utf-8")
    assert "1 image, 3 methods, real noise." in text


def test_shapes_that_differ_are_refused_with_both_names(tmp_path):
    save(tmp_path / "a_real.png", pixels(0))
    save(tmp_path / "a_mean.png", pixels(0, (20, 25, 3)))
    study_of(tmp_path, toml("{n}_real.png", "{n}_mean.png"), "denoisers = ['heat']\ncrop = 16\n")
    error = invoke_error("bench", "real.toml", cwd=tmp_path)
    assert re.search(
        r"a_real\.png has shape \(20, 24, 3\); expected \(20, 25, 3\), as \S*a_mean\.png has", error
    )


def test_several_pairs_and_images_instead_of_them(tmp_path):
    for path in ("a_real.png", "a_mean.png", "more/b_noisy.png", "more/b.png", "c/a.png"):
        save(tmp_path / path, pixels(0))
    both = f"[{toml('{n}_real.png', '{n}_mean.png')}, {toml('more/{n}_noisy.png', 'more/{n}.png')}]"
    assert study_of(tmp_path, both).names == ["a", "b"]
    text = "denoisers = ['heat']\nsigmas = [0.1]\nimages = 'c'\n"
    with pytest.raises(ValueError, match=r"c/a\.png and \S*a_mean\.png would both be named a"):
        study_of(tmp_path, both, text)
    (tmp_path / "real.toml").write_text(
        f"pairs = {both}\nsigmas = [0.1]\ndenoisers = ['heat']\nimages = []"
    )
    with pytest.raises(
        ValueError, match=r"sigmas is \[0\.1\]; expected none, as pairs have their own"
    ):
        read_study(tmp_path / "real.toml")
    other = read_study(tmp_path / "real.toml", [tmp_path / "c"])
    assert other.cases() == [Case("a", "gaussian", 0.1, 0)]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("3", 'pairs is 3; expected {noisy = "pattern", clean = "pattern"}'),
        ("{noisy = 'a'}", "pairs is {'noisy': 'a'}; expected {noisy"),
        ("{noisy = 'a', clean = 3}", "expected {noisy"),
        ("{noisy = 'a', clean = 'b', sigma = 1}", "expected {noisy"),
        ("[]", "images is empty"),
        ("{noisy = 'a*', clean = 'b'}", "there are no noisy images at"),
    ],
)
def test_bad_pairs_are_refused(tmp_path, pairs, message):
    with pytest.raises(ValueError, match=r".") as caught:
        study_of(tmp_path, pairs)
    assert message in str(caught.value)


def test_the_command_runs_pairs_in_processes(mixed, tmp_path):
    output = invoke_ok("bench", "real.toml", "--jobs", "2", "-o", "out", cwd=tmp_path)
    assert "results: " in output
    assert len(read_rows(tmp_path / "out/rows.csv")) == 4 * 3 * 5


def test_the_guide_has_the_patterns_of_the_data_sets():
    guide = Path(__file__).parents[2] / "docs/guide/comparing.md"
    lines = re.findall(r"^pairs = .*", guide.read_text("utf-8"), re.M)
    patterns = {
        (pair["noisy"], pair["clean"]) for pair in (tomllib.loads(x)["pairs"] for x in lines)
    }
    blocks = ("ValidationNoisyBlocksSrgb.mat", "ValidationGtBlocksSrgb.mat")
    assert patterns == {blocks, *((noisy, clean) for noisy, clean, _ in LAYOUTS.values())}
