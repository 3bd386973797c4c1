"""Folders of captioned pictures: captions, pictures of every kind, and Fashion-MNIST."""

import gzip
import json
import re

import numpy as np
import pytest
import tifffile
from captioned_folders import (
    COLOURS,
    gzipped,
    idx,
    write_csv,
    write_fashion,
    write_jsonl,
    write_squares,
)
from PIL import Image, ImageOps

from difffilter.generate.captioned import (
    FASHION,
    Captioned,
    Captions,
    read_captioned,
    read_captions,
    squared,
    with_alpha,
)


def refused(error, message, call, *arguments, **options):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call(*arguments, **options)


# --- captions -------------------------------------------------------------------------------

RECORDS = [
    {"file": "a.png", "label": "red heart", "tags": ["love", "card suit"], "group": "symbols"},
    {"file": "b/é.png", "caption": "a café, “open”", "split": "train"},
    {"file": "c.png", "label": "fish", "tags": ["sea"], "group": "animals", "split": "test"},
]
TRAIN = Captions(("red heart", "a café, “open”"), (("love", "card suit"), ()), ("symbols", ""))


@pytest.mark.parametrize("write", [write_jsonl, write_csv])
def test_captions_are_read(tmp_path, write):
    write(tmp_path, RECORDS)
    assert read_captions(tmp_path) == TRAIN
    assert read_captions(str(tmp_path), "test") == (("fish",), (("sea",),), ("animals",))


def test_lines_of_other_programs_are_read(tmp_path):
    """With a byte-order mark, blank lines, Windows ends, and spaces."""
    text = '\ufeff{"file": "a.png", "label": "x"}\r\n\r\n{"file": "b.png", "caption": " y "}\n\n'
    (tmp_path / "captions.jsonl").write_bytes(text.encode())
    assert read_captions(tmp_path).labels == ("x", "y")
    (tmp_path / "captions.jsonl").unlink()
    text = "\ufefffile,caption,tags\r\na.png,x,one; two;;\r\n\r\nb.png,y,\r\n"
    (tmp_path / "captions.csv").write_bytes(text.encode())
    assert read_captions(tmp_path) == (("x", "y"), (("one", "two"), ()), ("", ""))


def test_a_line_separator_within_a_caption_is_not_the_end_of_a_record(tmp_path):
    write_jsonl(tmp_path, [{"file": "a.png", "label": "one\u2028two"}])
    assert read_captions(tmp_path).labels == ("one\u2028two",)


DAMAGED = [
    '{"file": "a.png"}',
    '{"label": "a heart"}',
    '{"file": null, "label": "a heart"}',
    '{"file": "a.png", "label": " "}',
    '{"file": "a.png", "caption": ["a heart", "a red heart"]}',
    '{"file": "a.png", "label": "a heart", "tags": 3}',
    '["a.png", "a heart"]',
    '"a.png"',
    '{"file": "a.png", "lab',
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_is_named_by_its_number(tmp_path, line):
    path = tmp_path / "captions.jsonl"
    path.write_text(f"{json.dumps(RECORDS[0])}\n\n{line}\n{json.dumps(RECORDS[2])}\n")
    message = f"{path}, record 3, is {line[:60]!r}; expected file and caption (or label)"
    refused(ValueError, message, read_captions, tmp_path)


def test_a_damaged_row_is_named_by_its_number(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text("file,label\na.png,a heart\nb.png\n")
    message = (
        "record 2, is \"{'file': 'b.png', 'label': None}\"; expected file and caption (or label)"
    )
    refused(ValueError, f"{path}, {message}", read_captions, tmp_path)
    path.write_text("picture,label\na.png,a heart\n")
    message = "record 1, is \"{'picture': 'a.png', 'label': 'a heart'}\"; expected file and caption"
    refused(ValueError, f"{path}, {message} (or label)", read_captions, tmp_path)
    path.write_text('file,label\na.png,a heart\nb.png,"' + 200_000 * "x")  # a quote left open
    message = f"{path}, record 2, is damaged: field larger than field limit (131072)"
    refused(ValueError, message, read_captions, tmp_path)


def test_a_file_that_is_not_text_is_damaged(tmp_path):
    path = tmp_path / "captions.jsonl"
    path.write_bytes(b'{"file": "a.png", "label": "caf\xe9"}\n')
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))} is damaged: 'utf-8' codec"):
        read_captions(tmp_path)


def test_a_split_that_nobody_reads_is_an_error(tmp_path):
    write_jsonl(tmp_path, [RECORDS[0], RECORDS[2] | {"split": "tset"}])
    message = (
        f"{tmp_path / 'captions.jsonl'}, record 2: split is 'tset'; expected one of train, test; "
        "did you mean 'test'?"
    )
    refused(ValueError, message, read_captions, tmp_path)


@pytest.mark.parametrize("call", [read_captioned, read_captions])
def test_what_is_missing_is_named(tmp_path, call):
    missing = tmp_path / "none"
    refused(FileNotFoundError, f"there is no folder {missing}", call, missing)
    message = f"no captions.jsonl or captions.csv in {tmp_path}"
    refused(FileNotFoundError, message, call, tmp_path)
    write_jsonl(tmp_path, RECORDS[:2])
    message = f"no picture of the split 'test' in {tmp_path / 'captions.jsonl'}"
    refused(FileNotFoundError, message, call, tmp_path, split="test")
    message = "split is 'all'; expected one of train, test"
    refused(ValueError, message, call, tmp_path, split="all")


def test_a_missing_picture_and_a_bad_size_are_named(tmp_path):
    write_jsonl(tmp_path, RECORDS[:1])
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "a.png"))):
        read_captioned(tmp_path)
    message = "size is 0; expected a whole number ≥ 1"
    refused(ValueError, message, read_captioned, tmp_path, 0)


# --- pictures -------------------------------------------------------------------------------

RED, GREEN, BLUE = COLOURS.values()


def flat(colour, size=(6, 6)):
    return np.broadcast_to(np.array(colour), (*size, len(colour)))


def test_pictures_come_with_their_captions(tmp_path):
    records = write_squares(tmp_path, 16)
    found = read_captioned(tmp_path, 16)
    assert len(found) == 12
    assert found.channels == 3
    assert found.labels == tuple(record["label"] for record in records)
    assert found.tags[1] == ("bottom",)
    assert found.groups == ("warm",) * 4 + ("cold",) * 8
    for image, record in zip(found.images, records, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(tmp_path / record["file"])))


def saved(image, path):
    image.save(path)
    return path


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", (255,), (255, 255, 255, 255)),
        ("L", (90,), (90, 90, 90, 255)),
        ("LA", (90, 51), (90, 90, 90, 51)),
        ("RGB", RED, (*RED, 255)),
        ("RGBA", (*BLUE, 51), (*BLUE, 51)),
    ],
)
def test_each_mode_of_a_picture_becomes_colour_with_alpha(tmp_path, mode, colour, expected):
    image = Image.new(mode, (6, 6), colour if len(colour) > 1 else colour[0])
    np.testing.assert_array_equal(squared(saved(image, tmp_path / "a.png"), 6), flat(expected))


def test_a_palette_keeps_its_transparent_colour(tmp_path):
    image = Image.new("P", (6, 6), 1)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((2, 3), 0)
    image.save(tmp_path / "a.png", transparency=0)
    found = squared(tmp_path / "a.png", 6)
    assert tuple(found[0, 0]) == (*RED, 255)
    assert found[3, 2, 3] == 0
    assert (found[..., 3] == 0).sum() == 1


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_are_scaled(tmp_path, rng, name, channels):
    import imagecodecs

    wanted = rng.integers(256, size=(6, 6, channels), dtype=np.uint8)
    pixels = wanted.astype(np.uint16) * 257
    pixels = pixels[..., 0] if channels == 1 else pixels
    if name == "a.png":
        (tmp_path / name).write_bytes(imagecodecs.png_encode(pixels))
    else:
        kind = "minisblack" if channels == 1 else "rgb"
        extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        tifffile.imwrite(tmp_path / name, pixels, photometric=kind, **extra)
    alpha = wanted[..., 3:] if channels == 4 else np.full((6, 6, 1), 255)
    colour = np.repeat(wanted, 3, axis=2) if channels == 1 else wanted[..., :3]
    np.testing.assert_array_equal(squared(tmp_path / name, 6), np.dstack([colour, alpha]))


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_becomes_colour_not_colour_with_alpha(tmp_path, name):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow: red
    image.save(tmp_path / name, **({"quality": 100} if name == "a.jpg" else {}))
    found = squared(tmp_path / name, 16)
    assert abs(found.astype(int) - (255, 0, 0, 255)).max() <= 2


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (np.zeros((6, 6, 5), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"},
         "has 5 channels; expected grey, RGB or CMYK"),
        (np.zeros((6, 6, 3), np.uint8), {"photometric": "cielab"},
         "has CIELab; expected grey, RGB or CMYK"),
        (np.full((6, 6), np.nan, np.float32), {}, "has 36 pixels that are NaN or infinite"),
    ],
)  # fmt: skip
def test_other_channels_are_refused(tmp_path, pixels, options, message):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path} {message}')}"):
        with_alpha(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_alpha_is_turned_with_its_picture(tmp_path, rng, orientation):
    image = Image.fromarray(rng.integers(1, 256, (6, 6, 4), np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(squared(tmp_path / "a.png", 6), np.asarray(expected))


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((16, 8), (4, 12), (0, 16)),
        ((8, 16), (0, 16), (4, 12)),
        ((64, 32), (4, 12), (0, 16)),
        ((4, 2), (4, 12), (0, 16)),
        ((16, 16), (0, 16), (0, 16)),
        ((40, 40), (0, 16), (0, 16)),
        ((300, 1), (7, 8), (0, 16)),
    ],
)
def test_a_picture_is_brought_to_size_and_centred(tmp_path, size, rows, columns):
    found = squared(saved(Image.new("RGB", size, GREEN), tmp_path / "a.png"), 16)
    expected = np.zeros((16, 16, 4), np.uint8)
    expected[slice(*rows), slice(*columns)] = (*GREEN, 255)
    np.testing.assert_array_equal(found, expected)


def test_the_colour_of_transparent_pixels_does_not_bleed(tmp_path):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :26], pixels[:, 26:] = (*RED, 255), (*GREEN, 0)
    found = squared(saved(Image.fromarray(pixels), tmp_path / "a.png"), 8)
    alpha = found[..., 3:] / 255
    # The red ends after 3.25 pixels; the kernel rings a little.
    np.testing.assert_allclose(alpha[..., 0], [[1, 1, 1, 0.25, 0, 0, 0, 0]] * 8, atol=0.02)
    # (1 of 255 for each of two roundings, and what was clipped.)
    assert (alpha * abs(found[..., :3].astype(int) - RED)).max() < 10
    assert found[..., 1].max() < 35


def captioned(images, labels=None, tags=None):
    labels = labels or ("",) * len(images)
    tags = tags or ((),) * len(images)
    return Captioned(np.asarray(images, np.uint8), tuple(labels), tuple(tags), ("",) * len(images))


def test_a_picture_over_a_background_is_that_of_the_alpha_formula(rng):
    images = rng.integers(256, size=(2, 9, 9, 4), dtype=np.uint8)
    picture = captioned(images)
    colour, alpha = images[1, ..., :3] / 255, images[1, ..., 3:] / 255
    behind = rng.random((9, 9, 3)).astype(np.float32)
    for background in (1.0, 0.0, behind, behind[0, 0]):
        found = picture.over(1, background)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, alpha * colour + (1 - alpha) * background, atol=1e-6)
    np.testing.assert_array_equal(picture.over(1), picture.over(1, 1.0))
    # Pillow's own, whose results are whole numbers.
    below = Image.fromarray((255 * np.dstack([behind, np.ones((9, 9))])).round().astype(np.uint8))
    composed = Image.alpha_composite(below, Image.fromarray(images[1]))
    theirs = np.asarray(composed)[..., :3] / 255
    np.testing.assert_allclose(picture.over(1, behind), theirs, atol=1.01 / 255)


def test_a_grey_picture_has_no_background(rng):
    images = rng.integers(256, size=(1, 5, 5, 1), dtype=np.uint8)
    picture = captioned(images)
    assert picture.channels == 1
    np.testing.assert_array_equal(picture.over(0, 0.5), images[0] / np.float32(255))


# --- captions that are drawn ----------------------------------------------------------------


def test_a_caption_is_mostly_the_label_and_else_has_tags(rng):
    tags = ("love", "card suit", "valentine", "heart")
    picture = captioned(np.zeros((1, 1, 1, 4)), ("red heart",), (tags,))
    drawn = [picture.caption(0, rng) for _ in range(4000)]
    alone = np.mean([text == "red heart" for text in drawn])
    first = np.mean([text.startswith("red heart ") for text in drawn])
    assert alone == pytest.approx(0.6, abs=0.03)
    assert first == pytest.approx(0.25, abs=0.03)
    one_of = f"(?:{'|'.join(tags)})"
    pattern = re.compile(f"(?:red heart)?(?:(?:^| ){one_of}){{0,3}}")
    assert all(text and pattern.fullmatch(text) for text in drawn)
    assert all(max(map(text.count, ("love", "card suit", "valentine"))) <= 1 for text in drawn)
    assert {tag for tag in tags for text in drawn if text.endswith(tag)} == set(tags)


def test_a_caption_without_tags_is_the_label(rng):
    picture = captioned(np.zeros((1, 1, 1, 4)), ("red heart",))
    assert {picture.caption(0, rng) for _ in range(50)} == {"red heart"}


# --- Fashion-MNIST --------------------------------------------------------------------------


@pytest.fixture
def fashion(tmp_path, rng):
    images = rng.integers(256, size=(12, 28, 28), dtype=np.uint8)
    labels = np.arange(12) % 10
    write_fashion(tmp_path, images, labels)
    write_fashion(tmp_path, images[:3], labels[:3] + 7, "t10k")
    return tmp_path, images


def test_fashion_is_read_and_centred_on_black(fashion):
    folder, images = fashion
    for size, (before, after) in {28: (0, 0), 32: (2, 2), 35: (3, 4)}.items():
        found = read_captioned(folder, size)
        padded = np.pad(images, [(0, 0), (before, after), (before, after)])
        np.testing.assert_array_equal(found.images, padded[..., None])
        assert found.channels == 1
        assert found.labels == found.groups == (*FASHION, *FASHION[:2])
        assert found.tags == ((),) * 12
    test = read_captioned(folder, 28, "test")
    np.testing.assert_array_equal(test.images[..., 0], images[:3])
    assert test.labels == ("sneaker", "bag", "boot")
    assert read_captions(folder, "test") == (test.labels, test.tags, test.groups)


def test_fashion_is_not_made_smaller(fashion):
    message = "size is 27; expected at least 28"
    refused(ValueError, message, read_captioned, fashion[0], 27)


IMAGES, LABELS = (f"train-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
WHOLE = idx(np.zeros((12, 28, 28)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (IMAGES, WHOLE[:-20], "is damaged: Compressed file ended before the end-of-stream marker"),
        (IMAGES, WHOLE[:40] + b"\xff" + WHOLE[41:], "is damaged: "),
        (IMAGES, WHOLE[:10] + b"\xff" + WHOLE[11:],
         "is damaged: Error -3 while decompressing data: invalid block type"),
        (IMAGES, b"not a gzip file", "is damaged: Not a gzipped file"),
        (IMAGES, b"", "is not an IDX file of bytes"),
        (IMAGES, gzipped(b"\0\0\x08"), "is damaged: index out of range"),
        (IMAGES, gzipped(b"\0\0\x08\x03\0\0"), "is damaged: "),
        (IMAGES, gzipped(gzip.decompress(WHOLE)[:-1]), "is damaged: cannot reshape array"),
        (IMAGES, gzipped(b"\0\0\x0d\x03" + gzip.decompress(WHOLE)[4:]),
         "is not an IDX file of bytes"),
        (IMAGES, idx(np.zeros((11, 28, 28))),
         "has the shape (11, 28, 28); expected 12 pictures, as labels"),
        (IMAGES, idx(np.zeros((12, 28))), "has the shape (12, 28); expected 12 pictures, as labels"),
        (LABELS, idx([0, 10]), "does not hold labels from 0 to 9"),
        (LABELS, idx([[0, 1]]), "does not hold labels from 0 to 9"),
    ],
)  # fmt: skip
def test_damaged_files_of_fashion_are_named(fashion, name, content, message):
    path = fashion[0] / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path} {message}')}"):
        read_captioned(fashion[0])


def test_fashion_without_a_picture_or_a_split_is_named(fashion):
    folder, _ = fashion
    write_fashion(folder, np.zeros((0, 28, 28)), [], "t10k")
    path = folder / "t10k-labels-idx1-ubyte.gz"
    message = f"no picture of the split 'test' in {path}"
    refused(FileNotFoundError, message, read_captioned, folder, split="test")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        read_captioned(folder, split="test")
