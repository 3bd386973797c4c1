"""The command that opens a local page for one image."""

from __future__ import annotations

from pathlib import Path

import click

from difffilter.cli.completion import files
from difffilter.cli.denoisers import make_denoiser, search_current_folder
from difffilter.cli.options import (
    KINDS_ESTIMATED,
    NOISE_ASSUMED,
    data_range_option,
    max_pixels_option,
    method_option,
    noise_option,
    sigma_option,
    strength_options,
)


@click.command()
@click.argument("image", metavar="IMG", shell_complete=files)
@method_option
@sigma_option(help="Noise level, such as 25/255. [default: estimated]")
@noise_option("--noise-model", KINDS_ESTIMATED, help=NOISE_ASSUMED)
@strength_options
@data_range_option
@click.option("-o", "--output", metavar="FILE", shell_complete=files,
              help="Where Save writes. [default: IMG_smooth, next to IMG]")  # fmt: skip
@max_pixels_option("179 million")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", default=0,
              help="Port on this machine. [default: a free one]")  # fmt: skip
@click.option("--no-open", is_flag=True, help="Print the address and open no browser.")
def view(
    image, method, sigma, noise, strength, chroma, data_range, output, max_pixels, port, no_open
):
    """Try methods on an image in the browser.

    A page on this machine shows IMG before and after, with every method and parameter, and the noise.
    It saves what 'difffilter smooth' would write, and shows that command. Nothing leaves the machine.
    The address has a token, without which the page cannot be opened. Ctrl-C ends it.

    \b
    Examples:
      difffilter view photo.jpg
      difffilter view scan.png -m "perona_malik(kappa=0.05)" --sigma 10/255
      difffilter view stack.tif --no-open --port 8765
    """
    from difffilter.view.server import require_extra, serve

    require_extra()

    from difffilter.blocks.folders import is_array
    from difffilter.io.files import SUFFIXES, check_target
    from difffilter.view.session import Session, Setting

    search_current_folder()
    if is_array(image):
        raise ValueError(f"IMG is {image}; expected an image file, not an array")
    if output is not None:
        check_target(output, overwrite=True, suffixes=SUFFIXES)
    setting = Setting(method or "auto", sigma, noise, strength, chroma)
    make_denoiser(setting.method)
    session = Session(image, data_range, max_pixels)
    session.check(setting)

    from difffilter.spelling import parse
    from difffilter.view.controls import choices
    from difffilter.view.elements.page import Page
    from difffilter.view.worker import Worker

    # Imports and conversions that would hold up the server.
    choices(parse(setting.method)[0])
    session.display(0)

    worker, target = Worker(), None if output is None else Path(output)

    def build(pictures):
        Page(session, worker, pictures, setting, target, max_pixels)

    def started(url):
        click.echo(f"{url}\nCtrl-C ends it.")
        if not no_open:
            click.launch(url)

    serve(build, f"{session.path.name} – difffilter", port, started)
