"""Commands for the DDPM: evolve, sample, weights, train."""

from __future__ import annotations

import os
from pathlib import Path

import click

from difffilter.cli.completion import PRESETS, among, files, folders, names_in
from difffilter.cli.denoisers import make_denoiser, quoted, warm_up
from difffilter.cli.options import device_option, overwrite_option, seed_option
from difffilter.cli.types import Number

WEIGHTS = names_in("difffilter.ddpm.weights", "available", or_files=True)


def _require_torch():
    """Raise an error that says how to install PyTorch if it is missing."""
    from difffilter.catalog import make

    make("ddpm")


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@click.option("-o", "--output", metavar="FILE", shell_complete=files,
              help="A figure, or an animation: .webp or .gif. "
                   "[default: IMG_evolve.png, next to IMG]")  # fmt: skip
@click.option("-m", "--method", metavar="METHOD", default="heat", show_default=True,
              shell_complete=names_in("difffilter.catalog", "CATALOG"),
              help="The PDE; see 'difffilter methods'.")  # fmt: skip
@click.option("--weights", metavar="NAME",
              shell_complete=names_in("difffilter.ddpm.weights", "available", "auto", or_files=True),
              help="Also remove the noise, with these weights; 'auto': those that fit IMG.")  # fmt: skip
@click.option(
    "--frames",
    type=click.IntRange(2),
    metavar="N",
    help="Number of images. [default: 7; animation: 40]",
)
@click.option("--last", type=click.IntRange(1, 1000), metavar="N", default=1000, show_default=True,
              help="Last step t of the DDPM.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), metavar="N", default=100, show_default=True,
              help="Number of denoising steps, with --weights.")  # fmt: skip
@click.option("--size", type=click.IntRange(1), metavar="N", default=256, show_default=True,
              help="Shrink larger images to this side, in pixels.")  # fmt: skip
@seed_option
@device_option
@overwrite_option
def evolve(image, output, method, overwrite, frames, **options):
    """Show both diffusions of an image: by a PDE and by a DDPM.

    One row shows the image under the PDE, the next one how the DDPM turns it into noise. Images one
    above the other retain the same share of the variance, as far as the PDE comes down to it by the
    time 300. With weights, a third row shows how the DDPM removes the noise of the last step.

    \b
    Examples:
      difffilter evolve photo.png -o evolve.png
      difffilter evolve photo.png -m "perona_malik(kappa=0.05)" --last 300
      difffilter evolve photo.png -o evolve.webp --weights auto --last 300
    """
    from difffilter.figures import formats, two_diffusions
    from difffilter.io.files import check_target, read, replacing

    _require_torch()
    source = Path(image)
    target = Path(output) if output else source.with_name(f"{source.stem}_evolve.png")
    animations = two_diffusions.ANIMATED
    check_target(target, overwrite, {**dict.fromkeys(formats()), **animations})
    animated = target.suffix.lower() in animations
    denoiser = make_denoiser(method)
    picture = read(source)
    warm_up({method: denoiser})
    ways = two_diffusions.two_diffusions(
        picture.upright()[0],
        channel_axis=picture.channel_axis,
        method=denoiser,
        frames=frames or (40 if animated else 7),
        **options,
    )
    with replacing(target) as temporary:
        if animated:
            two_diffusions.animate(ways, temporary)
        else:
            two_diffusions.draw(ways).savefig(temporary)


@click.command()
@click.option("-n", "--number", type=click.IntRange(1), metavar="N", default=16, show_default=True,
              help="Number of images.")  # fmt: skip
@click.option("-o", "--output", required=True, metavar="FILE", shell_complete=files,
              help="Where to write the grid.")  # fmt: skip
@click.option("--weights", metavar="NAME", default="natural-gray", show_default=True,
              shell_complete=WEIGHTS, help="A name, see 'difffilter weights', or a file.")  # fmt: skip
@click.option("--size", type=click.IntRange(1), metavar="N", default=128, show_default=True,
              help="Side of an image, in pixels.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), metavar="N", default=200, show_default=True,
              help="Number of denoising steps.")  # fmt: skip
@click.option("--eta", type=Number(), metavar="X", default=1.0, show_default=True,
              help="Noise of each step: 1 as in DDPM, 0 as in DDIM.")  # fmt: skip
@seed_option
@device_option
@overwrite_option
def sample(number, output, weights, size, steps, eta, seed, device, overwrite):
    """Generate images from pure noise with a DDPM.

    The weights that come with the package were trained to denoise small crops of photographs:
    expect textures and shapes, not scenes.

    \b
    Example:
      difffilter sample -n 16 -o grid.png
    """
    import numpy as np
    from skimage.util import montage

    from difffilter.image import like
    from difffilter.io.files import SUFFIXES, check_target, write
    from difffilter.io.picture import Picture

    _require_torch()
    from difffilter.ddpm import generate

    target = Path(output)
    check_target(target, overwrite, SUFFIXES)
    images = generate(
        number, (size, size), weights=weights, steps=steps, eta=eta, seed=seed, device=device
    )
    channel_axis = -1 if images.ndim == 4 else None
    fill = 1.0 if channel_axis is None else (1.0,) * images.shape[-1]
    grid = montage(images, fill=fill, padding_width=2, channel_axis=channel_axis)
    write(target, Picture(like(grid, np.uint8(0))[None]))


@click.command()
def weights():
    """List the installed weights of the DDPM.

    \b
    Example:
      difffilter weights
    """
    _require_torch()
    from difffilter.ddpm import available, card

    for name in available():
        about = card(name)
        click.echo(f"{name:<20}{about['description']} ({about['bytes'] / 1e6:.1f} MB)")
        for folder, modes in about.get("psnr", {}).items():
            for mode, scores in modes.items():
                values = ", ".join(
                    f"{score:.2f} dB at {level}/255" for level, score in scores.items()
                )
                click.echo(f"{'':<20}{folder}, {mode}: {values}")


@click.command()
@click.argument("folder", metavar="FOLDER", shell_complete=folders)
@click.option("--preset", metavar="NAME", shell_complete=among(*PRESETS),
              help="gray-small, color-small, gray-real or color-real, for a CPU; gray-base or "
                   "color-base, for a GPU. [default: gray-small]")  # fmt: skip
@click.option("-o", "--output", required=True, metavar="RUN", shell_complete=folders,
              help="Folder of the run.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), metavar="N",
              help="Number of training steps. [default: the preset's]")  # fmt: skip
@click.option(
    "--batch", type=click.IntRange(1), metavar="N", help="Crops per step. [default: the preset's]"
)
@click.option("--crop", type=click.IntRange(1), metavar="N",
              help="Side of a crop, in pixels. [default: the preset's]")  # fmt: skip
@click.option("--learning-rate", type=float, metavar="R",
              help="Largest learning rate. [default: the preset's]")  # fmt: skip
@click.option("--init", metavar="NAME", shell_complete=WEIGHTS,
              help="Weights to start from; see 'difffilter weights'.")  # fmt: skip
@click.option("--resume", is_flag=True,
              help="Continue from the run's last checkpoint, with its settings.")  # fmt: skip
@click.option("--export", "weights", metavar="FILE", shell_complete=files,
              help="Write the final weights to this file.")  # fmt: skip
def train(folder, preset, output, steps, init, resume, weights, **options):
    """Train a DDPM on the images of a folder.

    After an interruption, --resume goes on with the settings of the run, of which only --steps can be
    changed.

    To use several GPUs or machines, run it with torchrun: each process takes its share of the
    batch, and every image appears once per epoch.

    \b
    Examples:
      difffilter train photos/ --preset gray-small -o run
      torchrun --nproc-per-node 2 -m difffilter train photos/ -o run
      difffilter train photos/ -o run --resume --export my.safetensors
      difffilter train photos/ --preset color-small --init natural-color -o run
    """
    import time
    from dataclasses import replace

    from difffilter.checks import check_choice

    _require_torch()
    from difffilter.training import PRESETS, export, fit

    if preset is not None:
        check_choice("preset", preset, PRESETS)
    given = {name: value for name, value in options.items() if value is not None}
    run, start, done = Path(output), time.monotonic(), 0
    if resume:
        config, done = None, _check_resumed(run, preset, given)
    else:
        config = replace(PRESETS[preset or "gray-small"], **given)
    try:
        fit(folder, output, config, init=init, resume=resume, steps=steps)
    except MemoryError:
        raise ValueError(
            "training does not fit into memory; a smaller --batch or --crop needs less, and "
            "--resume continues from a checkpoint on a machine with more"
        ) from None
    finally:
        _plot_log(run)
    if weights:
        export(output, weights)
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun, the first one
        _summarize(run, done, time.monotonic() - start, weights or run / "weights.safetensors")


def _check_resumed(run, preset, given):
    """Check that options do not contradict the run's; returns the number of its finished steps."""
    from difffilter.training.config import PRESETS, check_unchanged
    from difffilter.training.ddpm import CHECKPOINT
    from difffilter.training.state import progress

    if not (run / CHECKPOINT).exists():  # `fit` says so
        return 0
    saved, done = progress(run / CHECKPOINT)
    check_unchanged(given, saved)
    # The settings of a preset that have no option.
    optional = {"steps", "batch", "crop", "learning_rate"}
    if preset and any(
        value != getattr(saved, name)
        for name, value in vars(PRESETS[preset]).items()
        if name not in optional
    ):
        raise ValueError(f"preset is {preset}; expected that of the run {run}, or none")
    return done


def _summarize(run, done, seconds, weights):
    """Print the length of a training run, its scores, and the command that uses the weights."""
    from difffilter.training.ddpm import CHECKPOINT, LOG
    from difffilter.training.log import last_scores
    from difffilter.training.state import progress

    scores, (_, steps) = last_scores(run / LOG), progress(run / CHECKPOINT)
    before = f", {steps - done} of them now" if done else ""
    click.echo(f"steps:   {steps}{before}, in {_duration(seconds)}")
    if "loss" in scores:
        click.echo(f"loss:    {scores['loss']:.4f}, mean of the last {scores['window']} steps")
    if "psnr" in scores:
        click.echo(f"PSNR:    {scores['psnr']:.2f} dB at σ = 25/255, on the validation images")
    click.echo(f"weights: {weights}  (log: {run / 'log.jsonl'}, log.png)")
    method = quoted(f"ddpm(weights={str(weights)!r})")
    click.echo(f"next:    difffilter smooth photo.png -m {method}")


def _duration(seconds):
    """Seconds, minutes or hours, with two or three digits."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _plot_log(run):
    """Plot the log of a training run as log.png beside it."""
    from difffilter.io.files import replacing
    from difffilter.training import plot_log

    log = run / "log.jsonl"
    if log.exists() and log.stat().st_size:
        with replacing(run / "log.png") as temporary:
            plot_log(log, temporary)
