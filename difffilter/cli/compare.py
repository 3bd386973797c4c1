"""The command that compares methods on one image."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import files, names_in
from difffilter.cli.denoisers import make_denoiser, warm_up
from difffilter.cli.options import (
    ADDED,
    KINDS_ADDED,
    noise_option,
    overwrite_option,
    seed_option,
    sigma_option,
)
from difffilter.cli.progress import progress_over


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@sigma_option(help="Noise to add to IMG; with --no-reference, the noise that it has.")
@click.option("-m", "--method", "methods", multiple=True, metavar="METHOD",
              shell_complete=names_in("difffilter.catalog", "CATALOG", "all"),
              help="Method to show; 'all' for every one. Repeat for several. "
                   "[default: heat, perona_malik, ddpm and the default of 'smooth']")  # fmt: skip
@noise_option("--kind", KINDS_ADDED, default="gaussian", show_default=True,
              help=ADDED)  # fmt: skip
@seed_option
@click.option("--no-reference", is_flag=True,
              help="IMG is the noisy image, and there is no clean one.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", shell_complete=files,
              help="The figure. [default: IMG_compare.png, next to IMG]")  # fmt: skip
@overwrite_option
def compare(image, sigma, methods, noise, seed, no_reference, output, overwrite):
    """Compare methods on an image: a figure and a table.

    Noise is added to IMG, which should be clean; it is neither clipped nor rounded (but for camera
    and JPEG noise), and the methods know its σ (or root mean square). With --no-reference, IMG is
    used as it is. Of several pages, the first is used.

    \b
    Examples:
      difffilter compare photo.png --sigma 25/255 -o figure.png
      difffilter compare photo.png --sigma 25/255 -m heat -m "perona_malik(diffusivity='tukey')"
      difffilter compare scan.png --no-reference -m all
    """
    from difffilter.catalog import MissingExtra, usual_method
    from difffilter.catalog import methods as names
    from difffilter.figures import comparison, formats
    from difffilter.image import as_float
    from difffilter.io.files import check_target, read, replacing
    from difffilter.noise.kinds import add_noise, strength

    if sigma is None and not no_reference:
        raise click.UsageError(
            "pass --sigma 25/255 for the noise to add, or --no-reference if IMG is already noisy"
        )
    default = usual_method(volume=False)
    usual = ("identity", "heat", "perona_malik", default, "ddpm")
    every = [name for name in names() if name != "blended"]  # by itself it is the default again
    denoisers = {}
    for method in every if "all" in methods else methods or usual:
        try:
            denoisers[method] = make_denoiser(method)
        except MissingExtra as error:
            if method in methods:
                raise
            click.echo(f"left out: {error}", err=True)
    source = Path(image)
    target = Path(output) if output else source.with_name(f"{source.stem}_compare.png")
    check_target(target, overwrite, formats())
    picture = read(source)
    channel_axis = picture.channel_axis
    page = as_float(picture.upright()[0], channel_axis)
    clean, noisy = (None, page) if no_reference else (page, None)
    if clean is not None:
        noisy = add_noise(clean, sigma, noise, seed, channel_axis=channel_axis)
        sigma = strength(clean, noisy, sigma, noise)
    warm_up(denoisers)
    entries = []
    with progress_over(denoisers.items(), len(denoisers)) as items:
        for method, denoiser in items:
            label = f"{method} (default)" if method == default else method
            entries += comparison.compare(
                noisy, {label: denoiser}, sigma, clean=clean, channel_axis=channel_axis
            )
    figure = comparison.figure(noisy, entries, clean=clean, sigma=sigma, channel_axis=channel_axis)
    with replacing(target) as temporary:
        figure.savefig(temporary)
    click.echo(comparison.table(entries))
    click.echo(f"figure: {target}")
