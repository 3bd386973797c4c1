"""Filling in group by group of holes: the groups, and the same result as for the whole array."""

from functools import partial

import numpy as np
import pytest
import tifffile
from fillings import solved
from PIL import Image
from scipy.ndimage import binary_dilation, label
from skimage.draw import disk

import difffilter as df
from difffilter.image import like
from difffilter.inpainting import blocks
from difffilter.inpainting.biharmonic import Biharmonic
from difffilter.inpainting.blocks import inpaint_blocks
from difffilter.inpainting.components import batches, cut_off, find_groups, own_pixels
from difffilter.inpainting.harmonic import Harmonic
from difffilter.inpainting.inpainter import Inpainter

LINEAR = {"harmonic": Harmonic(tolerance=1e-9), "biharmonic": Biharmonic(tolerance=1e-9)}


def holes_of(shape, seed=0, share=0.05, blobs=5):
    """Single pixels, blobs of several sizes, and one that crosses the image."""
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < share
    for _ in range(blobs if len(shape) == 2 else 0):
        mask[disk(rng.integers(0, shape), rng.integers(2, 9), shape=shape)] = True
    if len(shape) == 2 and blobs:
        mask[:, shape[1] // 3] = True
    mask[0, 0] = False
    return mask


def reader(mask):
    """The mask, read box by box."""
    return lambda box: mask[tuple(slice(start, stop) for start, stop in box)]


# --- groups ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 31), (9, 12, 11), (1, 20), (20, 1)])
@pytest.mark.parametrize("reach", [1, 2])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_groups_are_those_of_the_whole_image(shape, reach, rows):
    mask = holes_of(shape, share=0.1, blobs=2)
    groups = find_groups(reader(mask), shape, reach, rows)
    wide = binary_dilation(mask) if reach == 2 else mask
    labels, number = label(wide)
    assert groups.count == mask.sum()
    found = labels[tuple(groups.seeds.T)]
    assert sorted(found) == list(range(1, number + 1))
    for start, stop, each in zip(groups.starts, groups.stops, found, strict=True):
        places = np.argwhere(labels == each)
        np.testing.assert_array_equal(start, places.min(axis=0))
        np.testing.assert_array_equal(stop, places.max(axis=0) + 1)


@pytest.mark.parametrize("side", [1, 8, 100])
@pytest.mark.parametrize("reach", [1, 2])
def test_each_pixel_belongs_to_one_batch_that_is_hardly_larger_than_it_must_be(side, reach):
    mask = holes_of((60, 50))
    groups = find_groups(reader(mask), mask.shape, reach, 7)
    widest = (groups.stops - groups.starts).max(axis=0)
    seen = np.zeros(mask.shape, int)
    for batch in batches(groups, side):
        box = tuple(slice(start, stop) for start, stop in batch.box)
        seeds = batch.seeds - [start for start, _ in batch.box]
        seen[box] += own_pixels(mask[box], seeds, reach)
        for axis, (start, stop) in enumerate(batch.box):
            assert stop - start <= max(2 * side - 1, widest[axis])
    np.testing.assert_array_equal(seen, mask)


@pytest.mark.parametrize("shape", [(30, 31), (9, 12, 11)])
def test_pixels_are_cut_off_that_no_known_one_reaches(shape):
    rng = np.random.default_rng(0)
    outside = rng.random(shape) < 0.35
    holes = ~outside & (rng.random(shape) < 0.95)
    reached = ~(holes | outside)
    while True:  # step by step from the known pixels
        further = binary_dilation(reached) & ~outside
        if (further == reached).all():
            break
        reached = further
    found = cut_off(holes, outside)
    assert 0 < found.sum() < holes.sum()
    np.testing.assert_array_equal(found, holes & ~reached)


def test_no_hole_is_no_batch():
    groups = find_groups(reader(np.zeros((5, 6), bool)), (5, 6), 1, 2)
    assert groups.count == 0
    assert list(batches(groups, 8)) == []


# --- files ----------------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write an array to a file of a kind in the current folder, and return its name."""
    monkeypatch.chdir(tmp_path)

    def written(name, array, **options):
        if name.endswith(".tif"):
            tifffile.imwrite(name, array, **options)
        elif name.endswith(".zarr"):
            import zarr

            zarr.create_array(name, data=array, chunks=(16,) * array.ndim)
        elif name.endswith(".h5"):
            import h5py

            with h5py.File(name, "w") as file:
                file["data"] = array
        else:
            Image.fromarray(array).save(name)
        return name

    return written


def read(name):
    if name.endswith(".zarr"):
        import zarr

        return zarr.open_array(name, mode="r")[:]
    if name.endswith(".h5"):
        import h5py

        with h5py.File(name) as file:
            return file["data"][:]
    return tifffile.imread(name)


@pytest.mark.parametrize("method", LINEAR)
@pytest.mark.parametrize("side", [8, 32, 1000])
def test_the_result_is_that_of_the_whole_image(write, method, side):
    image, mask = np.random.default_rng(1).random((90, 71)), holes_of((90, 71))
    source = write("in.tif", image)
    marks = write("mask.tif", mask.astype(np.uint8))
    count = inpaint_blocks(source, "out.tif", LINEAR[method], mask=marks, side=side)
    assert count == mask.sum()
    expected = solved(image, mask, power=1 + (method == "biharmonic"))
    np.testing.assert_allclose(read("out.tif"), expected, atol=2e-6)
    np.testing.assert_array_equal(read("out.tif")[~mask], image[~mask])


def test_holes_two_pixels_apart_are_one_for_a_plate(write):
    image, mask = np.random.default_rng(1).random((20, 20)), np.zeros((20, 20), bool)
    mask[5:15, 5:9] = mask[5:15, 10:14] = True
    source = write("in.tif", image)
    marks = write("mask.tif", mask.astype(np.uint8))

    class Apart(Biharmonic):
        halo = 1

    errors = []
    for method in (Biharmonic, Apart):
        inpaint_blocks(
            source, "out.tif", method(tolerance=1e-9), mask=marks, overwrite=True, side=1
        )
        errors.append(np.abs(read("out.tif") - solved(image, mask, power=2)).max())
    assert errors[0] < 1e-6
    assert errors[1] > 1e-2


@pytest.mark.parametrize("method", LINEAR)
def test_pixels_that_are_ignored_and_nan(write, method):
    image, mask = np.random.default_rng(1).random((50, 61)), holes_of((50, 61))
    ignore = np.zeros(mask.shape, bool)
    ignore[10:30, 20:40] = True
    mask[20, 10] = True
    marks = mask.copy()
    marks[20, 10] = False
    holed = np.where(mask & ~marks, np.nan, image)
    source, name = write("in.tif", holed), write("mask.tif", marks.astype(np.uint8))
    beyond = write("ignore.png", ignore)
    inpaint_blocks(source, "out.tif", LINEAR[method], mask=name, ignore=beyond, side=16)
    expected = LINEAR[method](holed, mask & ~ignore, ignore=ignore)
    np.testing.assert_allclose(read("out.tif"), expected, atol=2e-6)
    np.testing.assert_array_equal(read("out.tif")[ignore], image[ignore])


@pytest.mark.parametrize("kind", ["tif", "zarr", "h5"])
@pytest.mark.parametrize("spacing", [None, (3.0, 1.0, 0.5)])
def test_volumes(write, kind, spacing):
    if kind != "tif":
        pytest.importorskip({"zarr": "zarr", "h5": "h5py"}[kind])
    image = np.random.default_rng(1).random((20, 23, 21)).astype(np.float32)
    mask = holes_of(image.shape, share=0.1)
    source = write(f"in.{kind}", image, **({"photometric": "minisblack"} if kind == "tif" else {}))
    marks = write(f"mask.{kind}", mask.astype(np.uint8),
                  **({"photometric": "minisblack"} if kind == "tif" else {}))  # fmt: skip
    target = f"out.{kind}"
    inpaint_blocks(
        source, target, LINEAR["harmonic"], mask=marks, side=8, volume=True, spacing=spacing
    )
    expected = LINEAR["harmonic"](image, mask, spacing=spacing)
    np.testing.assert_allclose(read(target), expected, atol=2e-6)


@pytest.mark.parametrize("own", [False, True])
def test_pages_have_one_mask_or_their_own(write, own):
    pages = np.random.default_rng(1).integers(0, 2**16, (3, 40, 30)).astype(np.uint16)
    masks = np.stack([holes_of((40, 30), seed) for seed in range(3)])
    masks[2] = False
    name = write("mask.tif", (masks if own else masks[0]).astype(np.uint8),
                 photometric="minisblack")  # fmt: skip
    source = write("in.tif", pages, photometric="minisblack")
    inpaint_blocks(source, "out.tif", LINEAR["harmonic"], mask=name, volume=False, side=16)
    for k, page in enumerate(read("out.tif")):
        mask = masks[k] if own else masks[0]
        expected = like(LINEAR["harmonic"](pages[k], mask), pages)
        np.testing.assert_allclose(page.astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize("samples", [2, 3, 4])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16), "compression": "zlib"}])
def test_channels_and_alpha(write, samples, options):
    image = np.random.default_rng(1).integers(0, 256, (40, 50, samples)).astype(np.uint8)
    mask = holes_of((40, 50))
    colour, alpha = samples > 2, samples in (2, 4)
    source = write("in.tif", image, photometric="rgb" if colour else "minisblack",
                   extrasamples=["unassalpha"] if alpha else None, **options)  # fmt: skip
    marks = write("mask.png", mask)
    inpaint_blocks(source, "out.tif", LINEAR["harmonic"], mask=marks, side=16)
    found, planes = read("out.tif"), image[..., : samples - alpha]
    expected = like(LINEAR["harmonic"](planes, mask, channel_axis=-1), image)
    np.testing.assert_allclose(found[..., : samples - alpha].astype(int), expected, atol=1)
    np.testing.assert_array_equal(found[..., samples - alpha :], image[..., samples - alpha :])


def test_transparent_pixels_of_a_mask_are_0(write):
    image, mask = np.random.default_rng(1).random((30, 30)), holes_of((30, 30))
    rgba = np.full((30, 30, 4), 255, np.uint8)
    rgba[..., 3] = 200 * mask
    source = write("in.tif", image)
    options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    for name in (write("rgba.png", rgba), write("rgba.tif", rgba, **options)):
        inpaint_blocks(source, "out.tif", LINEAR["harmonic"], mask=name, overwrite=True)
        np.testing.assert_allclose(read("out.tif"), solved(image, mask), atol=2e-6)


def test_the_data_range(write):
    image, mask = np.random.default_rng(1).random((30, 30)) * 4095, holes_of((30, 30))
    source, marks = write("in.tif", image), write("mask.png", mask)
    inpaint_blocks(
        source, "out.tif", df.make_inpainter("edge_enhancing"), mask=marks, data_range=4095
    )
    expected = 4095 * df.inpaint(image / 4095, mask)
    np.testing.assert_allclose(read("out.tif")[mask], expected[mask], rtol=1e-5)
    np.testing.assert_array_equal(read("out.tif")[~mask], image[~mask])


@pytest.mark.parametrize("method", ["edge_enhancing", "coherence_transport"])
def test_a_hole_may_be_cut_off_from_its_known_pixels_in_the_crop_of_another(
    write, monkeypatch, method
):
    monkeypatch.setattr(blocks, "CONTEXT", 4)
    image = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    mask, ignore = np.zeros((2, *image.shape), np.uint8)
    mask[10, 4] = 1  # whose crop ends at column 8
    mask[5:15, 7:25] = 1  # known pixels of this one begin at column 20
    ignore[4:16, 6] = ignore[4, 6:20] = ignore[15, 6:20] = 1
    source, marks, beyond = (
        write(name, array)
        for name, array in (("in.tif", image), ("mask.tif", mask), ("ignore.tif", ignore))
    )
    options = {"mask": marks, "ignore": beyond, "side": 4}
    assert inpaint_blocks(source, "out.tif", df.make_inpainter(method), **options) == 181
    found = read("out.tif")
    np.testing.assert_array_equal(found[mask == 0], image[mask == 0])
    whole = df.inpaint(image, mask > 0, method, ignore=ignore > 0)
    assert abs(found - whole)[mask > 0].max() < 0.1


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_masks_mark_images_as_they_are_shown(write, orientation, suffix):
    image, mask = np.random.default_rng(1).random((20, 30)), holes_of((20, 30))
    source = write("in.tif", image, extratags=[(274, "H", 1, orientation, True)])
    turns = {1: 0, 3: 2, 6: 3}[orientation]  # a quarter each, to the left
    marks = write(f"mask.{suffix}", np.rot90(mask, turns).astype(np.uint8))
    inpaint_blocks(source, "out.tif", LINEAR["harmonic"], mask=marks)
    np.testing.assert_allclose(read("out.tif"), solved(image, mask), atol=2e-6)


def test_masks_have_the_axes_of_their_image(write):
    pytest.importorskip("h5py")
    image, mask = np.random.default_rng(1).random((9, 10, 8)), holes_of((9, 10, 8))
    marks = write("mask.h5", mask.astype(np.uint8))
    source = write("in.h5", image)
    inpaint_blocks(
        source, "out.zarr", LINEAR["harmonic"], mask=marks, axes="YXZ", spacing=(3, 1, 1)
    )
    expected = LINEAR["harmonic"](image, mask, spacing=(1, 1, 3))
    np.testing.assert_allclose(read("out.zarr"), expected, atol=2e-6)


def test_the_limit_of_pixels_is_that_of_masks_too(write, monkeypatch):
    monkeypatch.setattr("difffilter.io.arrays.MOST", 599)
    image, mask = np.random.default_rng(1).random((20, 30)), holes_of((20, 30))
    source, marks = write("in.tif", image), write("mask.tif", mask.astype(np.uint8))
    colours = write("colours.tif", np.ones((20, 30, 3), np.uint8), photometric="rgb")
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        inpaint_blocks(source, "out.tif", Harmonic(), mask=colours, max_pixels=600)
    assert str(raised.value) == (
        "colours.tif is refused: it has 1800 pixels; pass --max-pixels 1800 if that is right"
    )
    assert inpaint_blocks(source, "out.tif", Harmonic(), mask=marks, max_pixels=600) == mask.sum()


def test_other_methods_differ_little(write, photo):
    mask = holes_of(photo.shape, share=0.02)
    source, marks = write("in.tif", photo), write("mask.png", mask)
    inpaint_blocks(source, "out.tif", df.make_inpainter("edge_enhancing"), mask=marks, side=32)
    whole = df.inpaint(photo, mask)
    difference = np.sqrt(np.mean((read("out.tif") - whole)[mask] ** 2))
    assert 0 < difference < np.sqrt(np.mean((whole - photo)[mask] ** 2)) / 10


# --- memory, progress -----------------------------------------------------------------------


class Watched(Inpainter):
    """Zeros; keeps the shapes of what is filled in."""

    halo = 1

    def __init__(self):
        self.shapes = []

    def fill(self, problem, callback):
        self.shapes.append(problem.state.shape)
        return np.zeros((np.count_nonzero(problem.state == 1), 1))


def test_crops_are_no_larger_than_two_cells_or_the_largest_hole(write):
    mask = np.random.default_rng(0).random((300, 200)) < 0.02
    mask[100:104, 20:180] = True
    source = write("in.tif", np.ones(mask.shape, np.float32))
    watched = Watched()
    inpaint_blocks(source, "out.tif", watched, mask=write("mask.png", mask), side=24)
    assert (read("out.tif") == ~mask).all()
    assert len(watched.shapes) > 50
    longest = max(watched.shapes, key=lambda shape: shape[1])
    assert 162 <= longest[1] < 180
    assert longest[0] < 12
    watched.shapes.remove(longest)
    assert np.max(watched.shapes) <= 2 * 24 + 1


def test_a_hole_that_needs_much_memory_is_announced(write, monkeypatch):
    monkeypatch.setattr(blocks, "LARGE_CROP", 99)
    mask = np.zeros((40, 30), bool)
    mask[3:13, 5:12] = True
    source, marks = write("in.tif", np.ones(mask.shape)), write("mask.png", mask)
    message = (
        r"^in\.tif has connected holes that span 12×9 pixels, which are filled in as a whole, "
        r"in memory$"
    )
    with pytest.warns(UserWarning, match=message):
        inpaint_blocks(source, "out.tif", Harmonic(), mask=marks)


def test_progress_is_monotone_and_complete(write):
    pages = np.ones((2, 60, 50), np.float32)
    mask = np.stack([holes_of((60, 50)), np.zeros((60, 50), bool)])
    source = write("in.tif", pages, photometric="minisblack")
    marks = write("mask.tif", mask.astype(np.uint8), photometric="minisblack")
    heard = []
    inpaint_blocks(
        source, "out.tif", Harmonic(), mask=marks, side=8, volume=False,
        callback=lambda *step: heard.append(step),
    )  # fmt: skip
    done, totals = zip(*heard, strict=True)
    assert set(totals) == {2000}
    assert list(done) == sorted(done)
    assert done[-2:] == (1000, 2000)
    assert len(done) > 10


# --- errors ---------------------------------------------------------------------------------


def refused(write, **given):
    """The message about a call that must fail; it leaves no file behind."""
    from pathlib import Path

    before = sorted(Path().iterdir())
    given = {"source": "in.tif", "target": "out.tif", "inpainter": Harmonic(), **given}
    with pytest.raises((OSError, ValueError)) as raised:
        inpaint_blocks(**given)
    assert sorted(Path().iterdir()) == before
    return str(raised.value)


def test_errors(write):
    write("in.tif", np.ones((20, 30), np.uint8))
    write("nan.tif", np.full((20, 30), np.nan, np.float32))
    write("mask.png", np.ones((20, 30), bool))
    write("small.png", np.ones((20, 20), bool))
    write("two.tif", np.ones((2, 20, 30), np.uint8), photometric="minisblack")
    later = np.arange(2, dtype=np.uint8)[:, None, None].repeat(20, 1).repeat(30, 2)
    write("later.tif", later, photometric="minisblack")
    error = partial(refused, write)
    assert error() == "in.tif has no NaN; expected a mask: pass --mask"
    assert error(mask="small.png") == (
        "small.png has shape (20, 20); expected (20, 30), as in.tif has"
    )
    assert error(mask="two.tif") == "two.tif has 2 images; expected 1, as in.tif has"
    assert error(mask="mask.png") == (
        "in.tif, y 0...19, x 0...29: mask is True for all 600 pixels that are not ignored; "
        "expected some that are known"
    )
    assert error(source="nan.tif") == (
        "nan.tif, y 0...19, x 0...29: mask is True for all 600 pixels that are not ignored; "
        "expected some that are known"
    )
    assert error(source="two.tif", mask="later.tif", volume=False) == (
        "image 2 of two.tif, y 0...19, x 0...29: mask is True for all 600 pixels that are not ignored; "
        "expected some that are known"
    )
    assert error(mask="mask.png", side=0) == "side is 0; expected a whole number ≥ 1"
    assert error(target="out.png", mask="mask.png") == (
        "out.png has suffix '.png'; expected one of .tif, .tiff, .zarr, .h5, .hdf5, .hdf to write "
        "it in parts"
    )
    assert error(target="two.tif", mask="mask.png") == (
        "two.tif exists already; pass --overwrite to replace it"
    )
    assert error(source="no.tif") == "there is no file no.tif; check the path"
    assert error(mask="mask.png", max_pixels=599) == (
        "in.tif is refused: it has 600 pixels; pass --max-pixels 600 if that is right"
    )


def test_no_hole_is_a_copy(write):
    image = np.arange(600, dtype=np.uint16).reshape(20, 30)
    source, marks = write("in.tif", image), write("none.png", np.zeros((20, 30), bool))
    assert inpaint_blocks(source, "out.zarr", Harmonic(), mask=marks) == 0
    np.testing.assert_array_equal(read("out.zarr"), image)
