"""Masks of holes: their shares, seeds and shapes."""

import numpy as np
import pytest
from scipy import ndimage

from difffilter.inpainting import make_holes
from difffilter.inpainting.holes import KINDS, check_holes
from difffilter.noise.kinds import KINDS as NOISES


@pytest.mark.parametrize("kind", KINDS)
def test_holes_are_those_of_their_seed(kind):
    mask = make_holes((90, 128), kind, 3)
    assert mask.shape == (90, 128)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, make_holes((90, 128), kind, np.random.default_rng(3)))
    np.testing.assert_array_equal(
        make_holes((90, 128), kind), make_holes(np.array([90, 128]), kind, 0)
    )
    assert (mask != make_holes((90, 128), kind, 4)).any()


@pytest.mark.parametrize("shape", [(40, 41), (97, 200)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.15])
@pytest.mark.parametrize("kind", ["text", "scratches", "random"])
def test_shares_are_exact(kind, share, shape):
    mask = make_holes(shape, f"{kind}(share={share})", 1)
    assert np.count_nonzero(mask) == round(share * mask.size)
    known = ~make_holes(shape, f"sparse(share={share})", 1)
    assert np.count_nonzero(known) == round(share * mask.size)


@pytest.mark.parametrize("kind", ["scratches", "random", "sparse"])
@pytest.mark.parametrize("share", [1e-6, 1 - 1e-6])
def test_some_pixel_is_a_hole_and_some_is_known(kind, share):
    for shape in ((2, 1), (9, 11)):
        mask = make_holes(shape, f"{kind}(share={share})")
        assert {1, mask.size - 1} >= {np.count_nonzero(mask)}


def test_blocks_are_squares_apart():
    for seed in range(20):
        mask = make_holes((50, 70), "blocks(side=9, count=6)", seed)
        labels, number = ndimage.label(mask, np.ones((3, 3)))
        assert number == 6
        for rows, columns in ndimage.find_objects(labels):
            assert mask[rows, columns].shape == (9, 9)
            assert mask[rows, columns].all()


@pytest.mark.parametrize("width", [1, 3, 6])
def test_scratches_are_thin_and_long(width):
    mask = make_holes((200, 200), f"scratches(width={width}, share=0.06)", 0)
    # Where they cross they are wider.
    depth = np.quantile(ndimage.distance_transform_edt(mask)[mask], 0.98)
    assert width / 2 - 0.5 < depth < width / 2 + 1.1
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    assert max(n.stop - n.start for box in ndimage.find_objects(labels) for n in box) > 150


def test_text_is_letters_in_lines():
    mask = make_holes((300, 300), "text(size=24)", 0)
    boxes = ndimage.find_objects(ndimage.label(mask, np.ones((3, 3)))[0])
    heights = [box[0].stop - box[0].start for box in boxes]
    assert np.median(heights) in (25, 26, 27)  # with the width of a stroke
    assert max(heights) <= 27
    # Lines are half a letter apart.
    rows = mask.any(axis=1)
    assert 0.1 < 1 - rows.mean() < 0.4


def test_kinds_have_other_names_than_those_of_noise():
    assert not {*KINDS, "real"} & {*NOISES}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("txet", "kind is 'txet'; expected one of text, scratches, random, blocks, sparse; did you mean"),
        (3, "kind is 3; expected one of text, scratches, random, blocks, sparse"),
        ("text(", "cannot read the kind of holes 'text('; write name or name(key=value, ...)"),
        ("text(shar=0.1)", "text has no parameter 'shar'; did you mean 'share'?"),
        ("text(share=0)", "share is 0; expected a finite number > 0"),
        ("sparse(share=1.0)", "share is 1.0; expected a finite number > 0 and < 1"),
        ("text(size=2)", "size is 2; expected a whole number ≥ 8"),
        ("scratches(width=0)", "width is 0; expected a finite number ≥ 1"),
        ("blocks(side=1.5)", "side is 1.5; expected a whole number ≥ 1"),
        ("blocks(count=0)", "count is 0; expected a whole number ≥ 1"),
    ],
)  # fmt: skip
def test_unknown_kinds_and_parameters_are_refused(kind, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_holes(kind)
    assert str(caught.value).startswith(message)


def test_a_share_is_a_number():
    with pytest.raises(TypeError) as caught:
        make_holes((9, 9), "random(share='many')")
    assert str(caught.value) == "share is 'many'; expected a finite number > 0"


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ((1, 1), "random", "shape is (1, 1); expected height and width, of 2 pixels or more"),
        ((4, 4, 4), "random", "shape is (4, 4, 4); expected height and width, of 2 pixels or more"),
        ((4, 4.0), "random", "shape is (4, 4.0); expected height and width, of 2 pixels or more"),
        (
            (20, 64), "blocks",
            "count is 4; expected blocks of side 32 that fit into an image of shape (20, 64)",
        ),
        (
            (40, 40), "blocks(side=20)",
            "count is 4; expected blocks of side 20 that fit into an image of shape (40, 40)",
        ),
        (
            (32, 32), "blocks(count=1)",
            "count is 1; expected blocks of side 32 that fit into an image of shape (32, 32)",
        ),
        (
            (64, 64), "text(share=0.5)",
            "share is 0.5; expected at most 0.24, a page full of text",
        ),
    ],
)  # fmt: skip
def test_holes_must_fit(shape, kind, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        make_holes(shape, kind)
    assert str(caught.value) == message


def test_the_largest_share_of_text_is_possible():
    mask = make_holes((64, 64), "text(share=0.24)")
    assert np.count_nonzero(mask) == round(0.24 * mask.size)
