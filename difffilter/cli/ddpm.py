"""Commands for the DDPM: evolve, sample, weights, train."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import PRESETS, among, files, folders, names_in
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
              help="An image or a .gif. [default: IMG_evolve.png, next to IMG]")  # fmt: skip
@click.option("--weights", metavar="NAME",
              shell_complete=names_in("difffilter.ddpm.weights", "available", "auto", or_files=True),
              help="Also remove the noise with these weights; 'auto': those that fit IMG.")  # fmt: skip
@click.option(
    "--frames", type=click.IntRange(2), metavar="N", help="Number of images. [default: 7; .gif: 40]"
)
@click.option("--last", type=click.IntRange(1, 1000), metavar="N", default=1000, show_default=True,
              help="Last step t of the DDPM.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), metavar="N", default=100, show_default=True,
              help="Number of denoising steps.")  # fmt: skip
@click.option("--size", type=click.IntRange(1), metavar="N", default=256, show_default=True,
              help="Shrink a longer side to this, in pixels.")  # fmt: skip
@seed_option
@device_option
@overwrite_option
def evolve(image, output, overwrite, frames, **options):
    """Show both diffusions of an image: heat equation and DDPM.

    One row shows the image under the heat equation, the next one how the DDPM turns it into noise.
    With weights, a third row shows how the DDPM removes the noise of the last step.

    \b
    Examples:
      difffilter evolve photo.png -o evolve.png
      difffilter evolve photo.png -o evolve.gif --weights auto --last 300
    """
    from difffilter.figures import formats, two_diffusions
    from difffilter.io.files import check_target, read, replacing

    _require_torch()
    source = Path(image)
    target = Path(output) if output else source.with_name(f"{source.stem}_evolve.png")
    check_target(target, overwrite, formats())
    animated = target.suffix.lower() == ".gif"
    picture = read(source)
    ways = two_diffusions.two_diffusions(
        picture.pages[0],
        channel_axis=picture.channel_axis,
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
@click.option("--weights", default="natural-gray", show_default=True, shell_complete=WEIGHTS,
              help="A name, see 'difffilter weights', or a file.")  # fmt: skip
@click.option("--size", type=click.IntRange(1), metavar="N", default=128, show_default=True,
              help="Side of an image, in pixels.")  # fmt: skip
@click.option("--steps", type=click.IntRange(1), metavar="N", default=200, show_default=True,
              help="Number of denoising steps.")  # fmt: skip
@click.option("--eta", type=Number(), default=1.0, show_default=True, help="1 is DDPM, 0 DDIM.")
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
        click.echo(f"{name:<16}{about['description']} ({about['bytes'] / 1e6:.1f} MB)")
        for folder, modes in about.get("psnr", {}).items():
            for mode, scores in modes.items():
                values = ", ".join(
                    f"{score:.2f} dB at {level}/255" for level, score in scores.items()
                )
                click.echo(f"{'':<16}{folder}, {mode}: {values}")


@click.command()
@click.argument("folder", metavar="FOLDER", shell_complete=folders)
@click.option("--preset", default="gray-small", show_default=True, shell_complete=among(*PRESETS),
              help="gray-small or color-small, for a CPU; gray-base or color-base, for a GPU.")  # fmt: skip
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
@click.option("--resume", is_flag=True, help="Continue from the run's last checkpoint.")
@click.option("--export", "weights", metavar="FILE", shell_complete=files,
              help="Write the final weights to this file.")  # fmt: skip
def train(folder, preset, output, steps, init, resume, weights, **options):
    """Train a DDPM on the images of a folder.

    To use several GPUs or machines, run it with torchrun: each process takes its share of the
    batch, and every image appears once per epoch.

    \b
    Examples:
      difffilter train photos/ --preset gray-small -o run
      torchrun --nproc-per-node 2 -m difffilter train photos/ -o run
      difffilter train photos/ --preset gray-small -o run --resume --export my.safetensors
      difffilter train photos/ --preset color-small --init natural-color -o run
    """
    from dataclasses import replace

    from difffilter.checks import check_choice

    _require_torch()
    from difffilter.training import PRESETS, export, fit

    config = PRESETS[check_choice("preset", preset, PRESETS)]
    given = {name: value for name, value in options.items() if value is not None}
    if resume and (given or init):
        raise click.UsageError(
            "a resumed run keeps its settings: only --steps can be changed with --resume"
        )
    try:
        fit(folder, output, replace(config, **given), init=init, resume=resume, steps=steps)
    except MemoryError:
        raise ValueError(
            "training does not fit into memory; a smaller --batch or --crop needs less, and "
            "--resume continues from a checkpoint on a machine with more"
        ) from None
    finally:
        _plot_log(Path(output))
    if weights:
        export(output, weights)


def _plot_log(run):
    """Plot the log of a training run as log.png beside it."""
    from difffilter.io.files import replacing
    from difffilter.training import plot_log

    log = run / "log.jsonl"
    if log.exists() and log.stat().st_size:
        with replacing(run / "log.png") as temporary:
            plot_log(log, temporary)
