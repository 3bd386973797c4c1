"""Tiles: they cover the image, they blend, and they make do with the memory there is."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from difffilter.ddpm.tiles import TiledNetwork, cut, in_tiles
from difffilter.ddpm.unet import UNet, UNetConfig

SMALL = UNetConfig(widths=(16, 16), blocks=1, middle=1, attention=(1,), embedding=32)


@given(st.integers(1, 5000), st.integers(3, 20), st.integers(0, 40))
def test_tiles_cover_the_axis_and_overlap(extent, sixteens, overlap):
    largest = 16 * sixteens
    size, starts = cut(extent, largest, overlap, 16)
    assert size % 16 == 0
    assert size <= largest
    assert starts[0] == 0
    assert starts[-1] + size >= extent
    if len(starts) > 1:
        assert starts[-1] + size == extent
        assert size - np.diff(starts).max() >= overlap


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 90), st.integers(1, 90), st.integers(1, 5000))
def test_a_function_of_the_pixel_does_not_notice_the_tiles(batch, height, width, pixels):
    x = torch.randn(batch, 2, height, width)
    shift = torch.randn(batch)
    y = in_tiles(
        lambda stack, indices: 2 * stack + shift[indices, None, None, None],
        x,
        tile=32,
        overlap=8,
        multiple=16,
        pixels=pixels,
    )
    torch.testing.assert_close(y, 2 * x + shift[:, None, None, None])


def test_calls_are_as_large_as_asked_for_and_progress_adds_up():
    calls, parts = [], []

    def function(stack, indices):
        calls.append(stack.shape)
        return stack

    x = torch.zeros(3, 1, 60, 60)  # four tiles of 32² each
    in_tiles(function, x, tile=32, overlap=4, multiple=16, pixels=5 * 32**2, progress=parts.append)
    assert calls == [(5, 1, 32, 32), (5, 1, 32, 32), (2, 1, 32, 32)]
    assert sum(parts) == pytest.approx(1)


def test_what_a_small_image_is_padded_with_is_its_mirror():
    seen = []
    x = torch.arange(3.0).reshape(1, 1, 1, 3)
    in_tiles(
        lambda stack, _: seen.append(stack) or stack,
        x,
        tile=64,
        overlap=8,
        multiple=4,
        pixels=1,
    )
    assert seen[0].tolist() == [[[[0, 1, 2, 1]] * 4]]


def test_a_tile_must_exceed_the_overlap():
    with pytest.raises(ValueError, match="tile"):
        in_tiles(None, torch.zeros(1, 1, 8, 8), tile=40, overlap=32, multiple=16, pixels=1)


class Hungry(torch.nn.Module):
    """A network that returns its input, if the input is not too large for it."""

    def __init__(self, pixels):
        super().__init__()
        self.config = SMALL
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.pixels = pixels

    def forward(self, x, t):
        if x.numel() > self.pixels:
            raise torch.OutOfMemoryError("too much")
        return x


@pytest.mark.parametrize("pixels", [128**2, 70**2])
def test_out_of_memory_takes_less_at_once(pixels):
    x = torch.randn(2, 1, 300, 200)
    with TiledNetwork(Hungry(pixels), torch.float32, tile=128, batch=4) as network:
        with pytest.warns(UserWarning, match="out of memory") as warned:
            torch.testing.assert_close(network(x, torch.zeros(2)), x)
        assert len(warned) == (2 if pixels == 128**2 else 3)
        # It remembers, and does not fail again.
        torch.testing.assert_close(network(x, torch.zeros(2)), x)


def test_the_last_resort_is_the_cpu():
    with TiledNetwork(Hungry(100**2), torch.float32, tile=64, batch=1) as network:
        network.device = torch.device("cuda")
        with pytest.warns(UserWarning, match="the CPU"):
            network._retreat(torch.OutOfMemoryError("too much"))
        x = torch.randn(1, 1, 90, 70)
        torch.testing.assert_close(network(x, torch.zeros(1)), x)


def test_without_memory_on_the_cpu_it_gives_up():
    with (
        TiledNetwork(Hungry(10), torch.float32, tile=64, batch=1) as network,
        pytest.raises(torch.OutOfMemoryError),
    ):
        network(torch.zeros(1, 1, 64, 64), torch.zeros(1))


def test_each_tile_gets_the_step_of_its_image():
    net = UNet(SMALL)
    torch.nn.init.normal_(net.down[0].blocks[0].conv2.weight)
    x = torch.randn(1, 1, 16, 16).expand(2, -1, -1, -1)
    t = torch.tensor([5.0, 500.0])
    with TiledNetwork(net, torch.float32, batch=1) as network:
        torch.testing.assert_close(network(x, t), net(x, t).detach(), rtol=1e-4, atol=1e-5)
