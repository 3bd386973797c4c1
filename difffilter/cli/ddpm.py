"""Commands for the DDPM: evolve and sample."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import files, names_in, weights_of
from difffilter.cli.denoisers import make_denoiser, require_torch, warm_up
from difffilter.cli.options import device_option, overwrite_option, seed_option
from difffilter.cli.types import Number


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@click.option("-o", "--output", metavar="FILE", shell_complete=files,
              help="A figure, or an animation: .webp or .gif. "
                   "[default: IMG_evolve.png, next to IMG]")  # fmt: skip
@click.option("-m", "--method", metavar="METHOD", default="heat", show_default=True,
              shell_complete=names_in("difffilter.catalog", "CATALOG"),
              help="The PDE; see 'difffilter methods'.")  # fmt: skip
@click.option("--weights", metavar="NAME",
              shell_complete=weights_of("ddpm", "auto"),
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

    require_torch()
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
              shell_complete=weights_of("ddpm"),
              help="A name, see 'difffilter weights', or a file.")  # fmt: skip
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

    from difffilter.generate.provenance import provenance
    from difffilter.image import like
    from difffilter.io.files import SUFFIXES, check_target, write
    from difffilter.io.picture import Picture

    require_torch()
    from difffilter.ddpm import generate

    target = Path(output)
    check_target(target, overwrite, SUFFIXES)
    images = generate(
        number, (size, size), weights=weights, steps=steps, eta=eta, seed=seed, device=device
    )
    channel_axis = -1 if images.ndim == 4 else None
    fill = 1.0 if channel_axis is None else (1.0,) * images.shape[-1]
    grid = montage(images, fill=fill, padding_width=2, channel_axis=channel_axis)
    origin = provenance(model=weights, steps=steps, seed=seed)
    write(target, Picture(like(grid, np.uint8(0))[None], meta=origin))
