"""Options that several commands have."""

from __future__ import annotations

import click

from difffilter.cli.completion import among, names_in
from difffilter.cli.types import Number, Numbers

__all__ = [
    "ADDED",
    "KINDS_ADDED",
    "KINDS_ESTIMATED",
    "NOISE_ASSUMED",
    "axes_option",
    "block_option",
    "data_range_option",
    "device_option",
    "max_pixels_option",
    "method_option",
    "noise_option",
    "overwrite_option",
    "prompt_option",
    "quality_option",
    "resume_option",
    "scheduler_option",
    "seed_option",
    "sigma_option",
    "strength_options",
    "volume_option",
]


KINDS_ADDED = names_in("difffilter.noise.kinds", "KINDS")
ADDED = (
    "gaussian, poisson, speckle, salt_and_pepper, camera, correlated or jpeg, alone or with "
    'parameters: "camera(quality=90)".'
)
KINDS_ESTIMATED = names_in("difffilter.noise.estimation", "EXPONENTS")
NOISE_ASSUMED = "Kind of noise: gaussian, poisson or speckle. [default: the method's]"


def sigma_option(**options):
    return click.option("--sigma", type=Number(), metavar="S", **options)


def max_pixels_option(default):
    return click.option("--max-pixels", type=click.IntRange(1), metavar="N",
                        help=f"Refuse larger images. [default: {default}]")  # fmt: skip


def noise_option(old, kinds, **options):
    """``--noise``, and its name in earlier versions, which the help does not show.

    Parameters
    ----------
    old : str
    kinds : callable
        The completion of its value.
    **options
        Those of `click.option`.
    """

    def add(command):
        # Both fill one parameter, for which click takes whichever was given.
        hidden = click.option(old, "noise", hidden=True, default=options.get("default"))
        return click.option("--noise", metavar="KIND", shell_complete=kinds, **options)(
            hidden(command)
        )

    return add


def strength_options(command):
    """``--strength`` and ``--chroma``."""
    for option in (
        click.option("--chroma", type=Number(), metavar="C",
                     help="The same for colours alone: 0 keeps them. [default: as --strength]"),
        click.option("--strength", type=Number(), metavar="S", default=1.0,
                     help="Share of the change to make, from 0 to 1. [default: 1]"),
    ):  # fmt: skip
        command = option(command)
    return command


method_option = click.option(
    "-m", "--method", metavar="METHOD", shell_complete=names_in("difffilter.catalog", "CATALOG"),
    help="A name, with or without parameters; see 'difffilter methods'. [default: auto]",
)  # fmt: skip
block_option = click.option("--block", "side", type=click.IntRange(8), metavar="PIXELS",
              help="Process in blocks of this side. [default: large files only]")  # fmt: skip
axes_option = click.option(
    "--axes", metavar="TEXT", help="Axes of an array, such as TZYX. [default: the file's]"
)
data_range_option = click.option(
    "--data-range", type=Numbers(), metavar="R|LOW,HIGH",
    help="Range of the intensities, such as 4095. [default: the type's]",
)  # fmt: skip
quality_option = click.option(
    "--quality", type=click.IntRange(1, 100), metavar="N",
    help="Quality of JPEG, WebP, AVIF and HEIC. [default: that of IMG]",
)  # fmt: skip
resume_option = click.option(
    "--resume", is_flag=True, help="Skip images that already have a result."
)
volume_option = click.option("--volume", is_flag=True, help="Treat a TIFF's pages as one volume.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace existing files.")
prompt_option = click.option(
    "--tell-prompt/--no-prompt",
    default=True,
    help="Whether the metadata of the files name the texts; they always say that they were generated.",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of the random numbers.",
)
device_option = click.option(
    "--device", metavar="NAME", default="auto", show_default=True,
    shell_complete=among("auto", "cpu", "cuda"),
    help="PyTorch device: cpu, cuda, cuda:1, ...",
)  # fmt: skip
scheduler_option = click.option(
    "--scheduler", metavar="URL", help="Run on a dask cluster, such as tcp://host:8786."
)
