"""The command that describes the noise of an image and chooses parameters."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from difffilter.cli.completion import files
from difffilter.cli.denoisers import search_current_folder
from difffilter.cli.options import (
    KINDS_ESTIMATED,
    NOISE_ASSUMED,
    data_range_option,
    method_option,
    noise_option,
    overwrite_option,
    sigma_option,
    strength_options,
    volume_option,
)
from difffilter.spelling import quoted


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@method_option
@sigma_option(help="Noise level, such as 25/255. [default: estimated]")
@noise_option("--noise-model", KINDS_ESTIMATED, help=NOISE_ASSUMED)
@strength_options
@data_range_option
@volume_option
@click.option("--plot", metavar="FILE", shell_complete=files,
              help="Draw the noise: its strength by intensity, and its correlation.")  # fmt: skip
@overwrite_option
def estimate(image, method, sigma, noise, strength, chroma, data_range, volume, plot, overwrite):
    """Describe the noise of an image; choose parameters.

    Lines that start with # say whether the noise is white, how strong it is at which intensity, and how
    correlated; the last line is the command to use. Of a file with several pages, the first is used.

    \b
    Examples:
      difffilter estimate img.png
      difffilter estimate img.png -m edge_enhancing --sigma 25/255
      difffilter estimate photo.jpg --plot noise.png
    """
    import numpy as np

    from difffilter.api import estimate_parameters
    from difffilter.figures import formats
    from difffilter.io.files import check_target, read, replacing
    from difffilter.noise.measure import estimate_noise

    if plot is not None:
        check_target(Path(plot), overwrite, formats())
    search_current_folder()
    picture = read(image)
    page = (picture.volumes() if volume else picture.pages)[0]
    channel_axis = picture.channel_axis
    chosen = estimate_parameters(
        page, method=method, sigma=sigma, channel_axis=channel_axis, noise=noise,
        strength=strength, chroma=chroma, data_range=data_range,
    )  # fmt: skip
    # Of Poisson noise and speckle, and of a given sigma, the model would say something else.
    told = chosen.method.noise == "gaussian" and sigma is None
    model = chosen.noise
    if model is None and (told or plot is not None):
        model = estimate_noise(page, channel_axis=channel_axis, data_range=data_range)
    click.echo(f"# sigma={chosen.sigma:.4g} ({chosen.sigma * 255:.3g}/255)")
    for line in (*_compression(picture), *(str(model).splitlines() if told else ())):
        click.echo(f"# {line}")
    if plot is not None:
        from difffilter.figures.noise import figure

        drawn = figure(model)
        with replacing(Path(plot)) as temporary:
            drawn.savefig(temporary)
    options = "" if sigma is None or chosen.method.is_settled() else f" --sigma {sigma}"
    if data_range is not None:
        limits = [np.format_float_positional(x, trim="-") for x in np.atleast_1d(data_range)]
        options += f" --data-range {','.join(limits)}"
    options += " --volume" if volume else ""
    click.echo(f"difffilter smooth {shlex.quote(image)} -m {quoted(str(chosen))}{options}")


def _compression(picture):
    """A line about the quality of a JPEG, and its quantisation."""
    from difffilter.io.jpeg import quality_of

    tables = picture.meta.get("tables")
    if not tables:
        return
    names = ("luminance", "chroma")
    steps = [
        f"{name} {min(each)} to {max(each)}" for name, each in zip(names, tables, strict=False)
    ]
    yield f"JPEG of quality {quality_of(tables)}; steps in 1/255: {', '.join(steps)}"
