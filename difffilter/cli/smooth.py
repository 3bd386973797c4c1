"""Commands on single images and folders: smooth, noise."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import DIFFUSIVITIES, SCHEMES, among, files, names_in
from difffilter.cli.denoisers import make_denoiser, warm_up
from difffilter.cli.errors import one_line, summarize
from difffilter.cli.options import (
    ADDED,
    KINDS_ADDED,
    KINDS_ESTIMATED,
    NOISE_ASSUMED,
    axes_option,
    block_option,
    data_range_option,
    max_pixels_option,
    method_option,
    noise_option,
    overwrite_option,
    quality_option,
    resume_option,
    scheduler_option,
    seed_option,
    sigma_option,
    strength_options,
    volume_option,
)
from difffilter.cli.progress import echo, progress_of, progress_over
from difffilter.cli.sound import refuse_for_sounds, smooth_sounds
from difffilter.cli.streams import STREAM, files_for_streams
from difffilter.cli.types import Contrast, Number, Numbers


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMG...", shell_complete=files)
@click.option("-o", "--output", metavar="FILE|DIR|-", shell_complete=files,
              help="Where to write. [default: IMG_smooth, next to IMG]")  # fmt: skip
@method_option
@sigma_option(help="Noise level, such as 25/255. [default: estimated]")
@noise_option("--noise-model", KINDS_ESTIMATED, help=NOISE_ASSUMED)
@strength_options
@data_range_option
@click.option("--time", type=Number(), metavar="T", help="Diffusion time. [default: chosen]")
@click.option("--kappa", type=Contrast(), metavar="K|RULE",
              shell_complete=names_in("difffilter.pde.choose.kappa", "KAPPA_RULES"),
              help="Contrast of the edges to keep, or mad, quantile, sigma. [default: chosen]")  # fmt: skip
@click.option("--diffusivity", metavar="NAME", shell_complete=among(*DIFFUSIVITIES),
              help="Perona-Malik with this diffusivity: exponential, rational, ...")  # fmt: skip
@click.option("--scheme", metavar="NAME", shell_complete=among(*SCHEMES),
              help="Perona-Malik with this scheme: explicit, fsi, aos.")  # fmt: skip
@click.option("--tol", type=Number(), metavar="E",
              help="Perona-Malik with time steps of this error. [default: 0.5/255]")  # fmt: skip
@click.option("--fidelity", type=Number(), metavar="L",
              help="Weight of the term that pulls back to IMG. [default: 0]")  # fmt: skip
@volume_option
@click.option("--spacing", type=Numbers(), metavar="H,..",
              help="Pixel spacing of each axis, such as 3,1,1.")  # fmt: skip
@overwrite_option
@click.option("--jobs", type=click.IntRange(1), metavar="N", default=1, show_default=True,
              help="Number of processes.")  # fmt: skip
@resume_option
@click.option("--report", metavar="CSV", shell_complete=files,
              help="Write a table of the images that failed, with the reasons.")  # fmt: skip
@block_option
@axes_option
@scheduler_option
@max_pixels_option("179 million; 2^40 in blocks")
@quality_option
@click.option("--dry-run", is_flag=True,
              help="List what would be read and written, and with which method.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Print the parameters that were used.")
def smooth(images, output, method, sigma, noise, strength, chroma, data_range, volume, overwrite,
           jobs, resume, report, side, axes, scheduler, max_pixels, quality, dry_run, verbose,
           **parameters):  # fmt: skip
    """Smooth images, keeping edges; restore sounds.

    IMG is an image (PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF, TIFF), a camera's raw file, an array
    (Zarr, HDF5), a folder, a pattern, or - for standard input. The result has the type, size and
    metadata of IMG; for a GIF, it is a PNG, for a raw file a TIFF. Parameters that you do not give
    are chosen from the image. Arrays and large TIFF files are processed in blocks; after an
    interruption, the same command resumes.

    IMG may also be a sound (WAV, FLAC, Ogg, MP3, AIFF): the methods are then ddpm, which is the
    default, heat, perona_malik and coherence_enhancing, on its spectrogram, and --sigma is for samples
    in [-1, 1].

    \b
    Examples:
      difffilter smooth img.png
      difffilter smooth scans/ -o smoothed/ --jobs 2
      difffilter smooth stack.tif --volume --spacing 3,1,1 -v
      difffilter smooth volume.zarr -o out.zarr
      difffilter smooth img.png -m "perona_malik(kappa=0.05, time=4)"
      difffilter smooth photons.tif --noise poisson
      difffilter smooth photo.jpg --strength 0.5 --chroma 1
      difffilter smooth twelve-bits.png --data-range 4095
      difffilter smooth - < img.png > smooth.png
      difffilter smooth noisy.wav
    """
    from difffilter.blocks import folders
    from difffilter.catalog import for_noise, for_strength, spell, usual_method
    from difffilter.io.sounds import are_sounds

    if are_sounds(images):
        refuse_for_sounds(click.get_current_context())
        time, kappa = parameters["time"], parameters["kappa"]
        smooth_sounds(
            images, output, method, sigma, time, kappa, overwrite, resume, dry_run, verbose
        )
        return
    given = {name: value for name, value in parameters.items() if value is not None}
    from_stream = STREAM in images
    to_stream = output == STREAM or (from_stream and output is None)

    def shown(task):
        source, target = (STREAM if from_stream else task.source), task.target
        return f"{source} -> {STREAM if to_stream else target}"

    with files_for_streams(images, output) as (images, output):
        sources = folders.find_images(images)
        folders.check_options(sources, sigma, data_range)
        many = any(folders.names_many(image) for image in images)
        tasks = folders.plan_tasks(sources, output, many=many)
        if method is None:
            volumes = volume or any(folders.holds_volumes(task.source, axes) for task in tasks)
            method = usual_method(volumes, given)
        denoiser = for_noise(make_denoiser(method, **given), noise)
        denoiser = for_strength(denoiser, strength, chroma)
        if resume:
            tasks = [task for task in tasks if not task.target.exists()]
        if dry_run:
            for task in tasks:
                kept = "  (exists already)" if task.target.exists() and not overwrite else ""
                click.echo(f"{shown(task)}  {spell(denoiser)}{kept}")
            return
        if output is not None and tasks and tasks[0].target != Path(output):  # a folder
            Path(output).mkdir(parents=True, exist_ok=True)
        if tasks:
            warm_up({method: denoiser})
        failures = []
        with progress_of("block") as progress:
            runs = folders.run(
                tasks, denoiser, jobs, scheduler=scheduler, progress=progress, sigma=sigma,
                data_range=data_range, volume=volume, overwrite=overwrite, axes=axes, side=side,
                max_pixels=max_pixels, quality=quality,
            )  # fmt: skip
            with progress_over(runs, len(tasks)) as results:
                for task, notes, error in results:
                    if error is not None and len(tasks) == 1 and not report:
                        raise error
                    if error is not None:
                        failures.append((task.source, one_line(error)))
                    elif verbose:
                        for note in notes:
                            echo(f"{shown(task)}  {note}", err=to_stream)
    if report:
        folders.write_report(report, failures)
    summarize(failures, len(tasks))


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@sigma_option(required=True, help="Strength of the noise, such as 25/255.")
@noise_option("--kind", KINDS_ADDED, default="gaussian", show_default=True,
              help=ADDED)  # fmt: skip
@seed_option
@click.option("-o", "--output", metavar="FILE", shell_complete=files,
              help="Where to write. [default: IMG_noisy, next to IMG]")  # fmt: skip
@overwrite_option
def noise(image, sigma, noise, seed, output, overwrite):
    """Add noise to an image.

    The result has the type of the image: in an 8-bit file, values are rounded and clipped.

    \b
    Examples:
      difffilter noise photo.png --sigma 25/255 --noise poisson
      difffilter noise photo.png --sigma 0.08 --noise "camera(quality=90)"
    """
    from dataclasses import replace

    import numpy as np

    from difffilter.blocks.folders import plan_tasks
    from difffilter.image import like
    from difffilter.io.files import SUFFIXES, check_target, read, write
    from difffilter.noise.kinds import add_noise

    picture = read(image)
    [task] = plan_tasks([Path(image)], output, "_noisy")
    check_target(task.target, overwrite, SUFFIXES)
    rng = np.random.default_rng(seed)
    results = []
    for part in (picture, *picture.others):
        noisy = add_noise(part.pages, sigma, noise, rng, channel_axis=part.channel_axis)
        results.append(part.with_pages(like(noisy, part.pages)))
    first, *others = results
    write(task.target, replace(first, others=others))
