"""The command that the page shows, and runs."""

import shlex
from pathlib import Path

import pytest

from difffilter.cli import cli
from difffilter.view.command import arguments, default_target, shown
from difffilter.view.session import Setting


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "difffilter smooth 'my photo.jpg' -m auto"),
        ({"setting": Setting("heat(time=2)", sigma=0.1)},
         "difffilter smooth 'my photo.jpg' -m 'heat(time=2)' --sigma 0.1"),
        ({"setting": Setting("ddpm(mode='sample')", noise="poisson", strength=0.5, chroma=1.0)},
         "difffilter smooth 'my photo.jpg' -m \"ddpm(mode='sample')\" --noise poisson --strength 0.5 "
         "--chroma 1"),
        ({"data_range": (0, 4095), "max_pixels": 9, "overwrite": True},
         "difffilter smooth 'my photo.jpg' -m auto --data-range 0,4095 --max-pixels 9 --overwrite"),
        ({"target": "out.png"}, "difffilter smooth 'my photo.jpg' -m auto -o out.png"),
        ({"target": "my photo_smooth.jpg"}, "difffilter smooth 'my photo.jpg' -m auto"),
    ],
)  # fmt: skip
def test_the_command_is_one_that_smooth_reads(options, expected):
    words = arguments("my photo.jpg", **{"setting": Setting()} | options)
    assert shown(words) == expected
    assert shlex.split(expected)[1:] == words
    with cli.commands["smooth"].make_context("smooth", words[1:]) as context:
        assert context.params["images"] == ("my photo.jpg",)


def test_a_file_is_not_taken_for_an_option():
    words = arguments("-m.png", Setting(), "-o.png")
    with cli.commands["smooth"].make_context("smooth", words[1:]) as context:
        assert context.params["images"] == ("./-m.png",)
        assert context.params["output"] == "./-o.png"


def test_the_default_file_is_that_of_smooth():
    assert default_target("a/photo.gif") == Path("a/photo_smooth.png")
