"""The command inpaint."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import INPAINTERS, among, files
from difffilter.cli.errors import one_line, summarize
from difffilter.cli.options import (
    axes_option,
    block_option,
    data_range_option,
    max_pixels_option,
    overwrite_option,
    quality_option,
    resume_option,
    volume_option,
)
from difffilter.cli.progress import echo, progress_of, progress_over
from difffilter.cli.streams import STREAM, files_for_streams
from difffilter.cli.types import Number, Numbers

# The end of the name of a result that is written next to its image.
ENDING = r"_inpaint(-\d+)?"


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMG...", shell_complete=files)
@click.option("--mask", metavar="FILE|DIR", shell_complete=files,
              help="Fill in where this image, of the size of IMG, is not 0; or that of the same name in "
                   "a folder.")  # fmt: skip
@click.option("--mask-color", "colour", metavar="HEX",
              help="Fill in what has this colour, such as ff00ff.")  # fmt: skip
@click.option("--tolerance", type=Number(), metavar="T",
              help="Difference from that colour, in each channel, such as 8/255. [default: 0]")  # fmt: skip
@click.option("--dead-pixels", "dead", is_flag=True,
              help="Fill in defective pixels, which are found in IMG.")  # fmt: skip
@click.option("--ignore", metavar="FILE|DIR", shell_complete=files,
              help="Neither use nor fill in pixels where this image is not 0.")  # fmt: skip
@click.option("-m", "--method", metavar="METHOD", default="edge_enhancing", show_default=True,
              shell_complete=among(*INPAINTERS),
              help=f"{', '.join(INPAINTERS)}, with or without parameters.")  # fmt: skip
@click.option("--samples", type=click.IntRange(1), metavar="N",
              help="Write N fillings that differ, IMG_inpaint-1 to -N; for ddpm.")  # fmt: skip
@data_range_option
@volume_option
@click.option("--spacing", type=Numbers(), metavar="H,..",
              help="Pixel spacing of each axis, such as 3,1,1.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE|DIR|-", shell_complete=files,
              help="Where to write. [default: IMG_inpaint, next to IMG]")  # fmt: skip
@overwrite_option
@resume_option
@click.option("--report", metavar="HTML", shell_complete=files,
              help="Write a page with a slider between holes and results, and what failed.")  # fmt: skip
@block_option
@axes_option
@max_pixels_option("179 million; 2^40 in blocks")
@quality_option
@click.option("-v", "--verbose", is_flag=True,
              help="Print how many pixels were filled in, and by which method.")  # fmt: skip
def inpaint(images, mask, colour, method, samples, output, overwrite, resume, report, side, axes,
            verbose, **options):  # fmt: skip
    """Fill in holes of images from what surrounds them.

    IMG is an image as for 'difffilter smooth', a folder, a pattern, or - for standard input. Pixels are
    filled in that --mask, --mask-color or --dead-pixels marks, and those that are NaN; all others are
    written as they are, alpha included. The pages of a stack have one mask in common, or a mask with as
    many pages. Transparent pixels of a mask count as 0. Arrays (Zarr, HDF5) and large TIFF files are
    filled in hole by hole, in memory for the largest.

    \b
    Examples:
      difffilter inpaint photo.png --mask scratches.png
      difffilter inpaint scans/ --mask masks/ -o restored/ --report restored.html
      difffilter inpaint photo.png --mask-color ff00ff --tolerance 8/255
      difffilter inpaint photo.png --mask hole.png -m ddpm --samples 4
      difffilter inpaint camera.tif --dead-pixels -m harmonic -v
      difffilter inpaint elevation.tif -m "biharmonic(tolerance=1e-5)" -o whole.tif
      difffilter inpaint volume.zarr --mask dead.zarr -m harmonic -o whole.zarr
    """
    from difffilter.blocks import folders
    from difffilter.inpainting.files import inpaint_file, numbered

    if options["tolerance"] is None:
        options["tolerance"] = 0.0
    elif colour is None:
        raise click.UsageError("--tolerance is for --mask-color")
    inpainter = _inpainter(method, samples)
    from_stream = STREAM in images
    to_stream = output == STREAM or (from_stream and output is None)
    _check_streams(from_stream, to_stream, samples, mask, options["ignore"])
    page = None if report is None else _Page(report)
    # (A run that was stopped between samples left some, which are written again.)
    overwrite = overwrite or (resume and samples is not None)
    options |= {"mask": mask, "colour": colour, "samples": samples, "overwrite": overwrite}
    failures = []
    with files_for_streams(images, output) as (images, output):
        sources = folders.find_images(images, ENDING)
        many = any(folders.names_many(image) for image in images)
        tasks = folders.plan_tasks(sources, output, "_inpaint", many=many)
        if output is not None and tasks[0].target != Path(output):  # a folder
            Path(output).mkdir(parents=True, exist_ok=True)
        if resume:
            tasks = [task for task in tasks if not numbered(task.target, samples)[-1].exists()]
        one = len(tasks) == 1
        with progress_of("step") as progress, progress_over(tasks, len(tasks)) as items:
            options["callback"] = progress if one else None
            for task in items:
                name = STREAM if from_stream else task.source
                try:
                    if folders.in_blocks(task, side):
                        filling, count = None, _in_blocks(task, inpainter, side, axes, **options)
                    else:
                        filling = inpaint_file(task.source, task.target, inpainter, **options)
                        count = filling.count
                except (OSError, TypeError, ValueError, MemoryError) as error:
                    if one and report is None:
                        raise
                    failures.append((task.source, one_line(error)))
                    continue
                if not count:
                    echo(f"note: {name} has no pixels to fill in; it is written as it is", err=True)
                elif verbose:
                    targets = STREAM if to_stream else _listed(numbered(task.target, samples))
                    written = f"{_counted(count)} by {_spelled(method, inpainter)}"
                    echo(f"{name} -> {targets}  {written}", err=to_stream)
                if page is not None and filling is None:
                    echo(f"note: {name} was filled in in blocks; the page leaves it out", err=True)
                elif page is not None:
                    page.add(name, f"{_counted(count)} by {method}", filling)
    if page is not None:
        page.write(failures)
    summarize(failures, len(tasks))


def _inpainter(method, samples):
    from difffilter.inpainting.catalog import make_inpainter

    inpainter = make_inpainter(method)
    if samples is None:
        return inpainter
    if not inpainter.draws:
        raise click.UsageError(
            f"--samples is {samples}; expected none for {method}, whose filling is always the same: "
            "pass -m ddpm"
        )
    return make_inpainter(method, samples=samples)


def _in_blocks(task, inpainter, side, axes, *, volume, **options):
    """Fill in an array or a large TIFF file; returns the number of pixels."""
    from difffilter.blocks.folders import is_array
    from difffilter.inpainting.blocks import inpaint_blocks

    del options["tolerance"], options["quality"]  # no format that is written in parts has one
    for name, option in (
        ("colour", "--mask-color"), ("dead", "--dead-pixels"), ("samples", "--samples"),
    ):  # fmt: skip
        if options.pop(name):
            raise ValueError(f"{option} is not for {task.source}, which is processed in blocks")
    volume = volume or (None if is_array(task.source) else False)
    return inpaint_blocks(
        task.source, task.target, inpainter, side=side, axes=axes, volume=volume, **options
    )


def _check_streams(from_stream, to_stream, samples, *masks):
    """Refuse what needs the name of an image, or the names of several results."""
    if to_stream and samples is not None:
        raise click.UsageError("--output is -; expected a file or a folder with --samples")
    for mask in masks:
        if from_stream and mask is not None and Path(mask).is_dir():
            raise click.UsageError(f"{mask} is a folder; expected a file as the mask of -")


class _Page:
    """The page that --report names, written at the end."""

    def __init__(self, path):
        from difffilter.benchmark.report.template import templates
        from difffilter.io.files import check_target

        check_target(path, overwrite=True, suffixes=(".html", ".htm"))
        templates()  # before any work is done: it may not be installed
        self.path, self.examples = path, []

    def add(self, name, case, filling):
        from difffilter.benchmark.report.fillings import example

        self.examples.append(example(name, case, filling))

    def write(self, failures):
        from difffilter.benchmark.report.fillings import page
        from difffilter.io.files import replacing

        with replacing(self.path) as temporary:
            temporary.write_text(page(self.examples, failures), "utf-8")


def _counted(count):
    return "1 pixel" if count == 1 else f"{count} pixels"


def _listed(paths):
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} ... {paths[-1].name}"


def _spelled(method, inpainter):
    """The text of a method with all its parameters."""
    from dataclasses import fields

    from difffilter.spelling import parse

    given = ", ".join(
        f"{field.name}={getattr(inpainter, field.name)!r}" for field in fields(inpainter)
    )
    return f"{parse(method)[0]}({given})"
