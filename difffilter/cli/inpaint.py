"""The command inpaint."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import INPAINTERS, among, files
from difffilter.cli.options import overwrite_option, volume_option
from difffilter.cli.progress import echo, progress_of
from difffilter.cli.streams import STREAM, files_for_streams
from difffilter.cli.types import Number, Numbers


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@click.option("--mask", metavar="FILE", shell_complete=files,
              help="Fill in where this image, of the size of IMG, is not 0.")  # fmt: skip
@click.option("--mask-color", "colour", metavar="HEX",
              help="Fill in what has this colour, such as ff00ff.")  # fmt: skip
@click.option("--tolerance", type=Number(), metavar="T",
              help="Difference from that colour, in each channel, such as 8/255. [default: 0]")  # fmt: skip
@click.option("--dead-pixels", "dead", is_flag=True,
              help="Fill in defective pixels, which are found in IMG.")  # fmt: skip
@click.option("--ignore", metavar="FILE", shell_complete=files,
              help="Neither use nor fill in pixels where this image is not 0.")  # fmt: skip
@click.option("-m", "--method", metavar="METHOD", default="edge_enhancing", show_default=True,
              shell_complete=among(*INPAINTERS),
              help=f"{', '.join(INPAINTERS)}, with or without parameters.")  # fmt: skip
@volume_option
@click.option("--spacing", type=Numbers(), metavar="H,..",
              help="Pixel spacing of each axis, such as 3,1,1.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE|DIR|-", shell_complete=files,
              help="Where to write. [default: IMG_inpaint, next to IMG]")  # fmt: skip
@overwrite_option
@click.option("-v", "--verbose", is_flag=True,
              help="Print how many pixels were filled in, and by which method.")  # fmt: skip
def inpaint(image, mask, colour, tolerance, dead, ignore, method, volume, spacing, output,
            overwrite, verbose):  # fmt: skip
    """Fill in holes of an image from what surrounds them.

    IMG is an image as for 'difffilter smooth', or - for standard input. Pixels are filled in that
    --mask, --mask-color or --dead-pixels marks, and those that are NaN; all others are written as they
    are, alpha included. The pages of a stack have one mask in common, or a mask with as many pages.
    Transparent pixels of a mask count as 0.

    \b
    Examples:
      difffilter inpaint photo.png --mask scratches.png
      difffilter inpaint photo.png --mask-color ff00ff --tolerance 8/255
      difffilter inpaint camera.tif --dead-pixels -m harmonic -v
      difffilter inpaint elevation.tif -m "biharmonic(tolerance=1e-5)" -o whole.tif
    """
    if tolerance is not None and colour is None:
        raise click.UsageError("--tolerance is for --mask-color")
    from difffilter.blocks.folders import plan_tasks
    from difffilter.inpainting.catalog import make_inpainter
    from difffilter.inpainting.files import inpaint_file

    inpainter = make_inpainter(method)
    to_stream = output == STREAM or (image == STREAM and output is None)
    with files_for_streams([image], output) as ([source], output):
        [task] = plan_tasks([Path(source)], output, "_inpaint")
        if output is not None and task.target != Path(output):  # a folder
            Path(output).mkdir(parents=True, exist_ok=True)
        with progress_of("step") as progress:
            count = inpaint_file(
                task.source, task.target, inpainter, mask=mask, colour=colour,
                tolerance=tolerance or 0.0, dead=dead, ignore=ignore, volume=volume,
                spacing=spacing, overwrite=overwrite, callback=progress,
            )  # fmt: skip
    if not count:
        echo(f"note: {image} has no pixels to fill in; it is written as it is", err=True)
    elif verbose:
        target = STREAM if to_stream else task.target
        pixels = "1 pixel" if count == 1 else f"{count} pixels"
        echo(f"{image} -> {target}  {pixels} by {_spelled(method, inpainter)}", err=to_stream)


def _spelled(method, inpainter):
    """The text of a method with all its parameters."""
    from dataclasses import fields

    from difffilter.spelling import parse

    given = ", ".join(
        f"{field.name}={getattr(inpainter, field.name)!r}" for field in fields(inpainter)
    )
    return f"{parse(method)[0]}({given})"
