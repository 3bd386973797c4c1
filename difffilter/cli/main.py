"""The command line: click commands, each a thin layer over one public function."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from difffilter import __version__
from difffilter.cli.options import large_options, many_options, scheduler_option

# The rules of difffilter.pde.choose.kappa, whose import would take as long as all else.
RULES = ("mad", "quantile", "sigma")

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Number(click.ParamType):
    """A number or a fraction: 0.098 or 25/255."""

    name = "number"

    def convert(self, value, param, ctx):
        from difffilter.catalog import parse_number

        try:
            return parse_number(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Contrast(Number):
    """A number, a fraction or the name of a rule."""

    name = "number|rule"

    def convert(self, value, param, ctx):
        from difffilter.catalog import nearest

        if str(value)[:1].isalpha():
            if value not in RULES:
                self.fail(f"{value!r} is no rule for kappa{nearest(value, RULES)}", param, ctx)
            return value
        return super().convert(value, param, ctx)


class Numbers(click.ParamType):
    """Numbers between commas: 3,1,1."""

    name = "numbers"

    def convert(self, value, param, ctx):
        numbers = tuple(Number().convert(part, param, ctx) for part in value.split(","))
        return numbers[0] if len(numbers) == 1 else numbers


def sigma_option(**options):
    return click.option("--sigma", type=Number(), metavar="S", **options)


def noise_model_option():
    return click.option("--noise-model", "noise", metavar="KIND",
                        help="gaussian, poisson, speckle. [default: what the method is for]")  # fmt: skip


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="difffilter")
def cli():
    """Image smoothing by diffusion that keeps edges.

    \b
    Examples:
      difffilter smooth img.png
      difffilter compare photo.png --sigma 25/255
    """


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMG...")
@click.option(
    "-o", "--output", metavar="FILE|DIR", help="Where to. [default: IMG_smooth beside it]"
)
@click.option(
    "-m", "--method", help="See 'methods'. [default: edge_enhancing; for volumes perona_malik]"
)
@sigma_option(help="Noise level, like 25/255. [default: estimated]")
@noise_model_option()
@click.option("--time", type=Number(), metavar="T", help="How long to diffuse. [default: chosen]")
@click.option("--kappa", type=Contrast(), metavar="K|RULE",
              help="Contrast to keep, or mad, quantile, sigma. [default: chosen]")  # fmt: skip
@click.option("--diffusivity", metavar="NAME", help="exponential, rational, ... [default: chosen]")
@click.option("--scheme", metavar="NAME", help="explicit, fsi, aos. [default: chosen]")
@click.option(
    "--tol", type=Number(), metavar="E", help="Error of the time steps. [default: 0.5/255]"
)
@click.option("--fidelity", type=Number(), metavar="L", help="Pull back to IMG. [default: 0]")
@click.option("--volume", is_flag=True, help="Take a TIFF's pages for one volume.")
@click.option("--spacing", type=Numbers(), metavar="H,..", help="Distance of pixels, like 3,1,1.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@large_options
@many_options
@click.option("-v", "--verbose", is_flag=True, help="Say which parameters were chosen.")
def smooth(images, output, method, sigma, noise, volume, overwrite, jobs, verbose, large, many,
           **parameters):  # fmt: skip
    """Smooth images without losing their edges.

    IMG is an image (PNG, JPEG, WebP, TIFF), an array (Zarr, HDF5), a folder or a pattern. What
    comes out has the type, size and metadata of what went in. Whatever is not given is chosen from
    the image. Arrays and large TIFFs are never read as a whole; interrupted, the same command goes
    on where it was.

    \b
    Examples:
      difffilter smooth img.png
      difffilter smooth scans/ -o smoothed/ --jobs 2
      difffilter smooth stack.tif --volume --spacing 3,1,1 -v
      difffilter smooth volume.zarr -o out.zarr
      difffilter smooth img.png -m "perona_malik(kappa=0.05, time=4)"
      difffilter smooth photons.tif --noise-model poisson
    """
    from difffilter.blocks import folders as batch
    from difffilter.catalog import for_noise, usual_method

    given = {key: value for key, value in parameters.items() if value is not None}
    sources = batch.find_images(images)
    batch.check_options(sources, sigma)
    tasks = batch.plan_tasks(sources, output)
    if method is None:
        volumes = volume or any(batch.holds_volumes(task.source, large.axes) for task in tasks)
        method = usual_method(volumes, given)
    denoiser = for_noise(_make(method, given), noise)
    if len(tasks) > 1 and output is not None:
        Path(output).mkdir(parents=True, exist_ok=True)
    _compile(denoiser)
    tasks = many.left(tasks)
    options = {"sigma": sigma, "volume": volume, "overwrite": overwrite}
    with large.run(tasks, denoiser, jobs, options) as runs, _progress(runs, len(tasks)) as results:
        for task, notes, error in results:
            if error is not None:
                if len(tasks) == 1 and not many.report:
                    raise error
                many.failed(task, _message(error))
            elif verbose:
                for note in notes:
                    click.echo(f"{task.source} -> {task.target}  {note}")
    many.finish(len(tasks))


@cli.command()
@click.argument("image", metavar="IMG")
@click.option(
    "-m", "--method", help="See 'methods'. [default: edge_enhancing; for volumes perona_malik]"
)
@sigma_option(help="Noise level, like 25/255. [default: estimated]")
@noise_model_option()
@click.option("--volume", is_flag=True, help="Take a TIFF's pages for one volume.")
def estimate(image, method, sigma, noise, volume):
    """Choose a method's parameters for an image, and print the command that uses them.

    Of several pages the first one is looked at.

    \b
    Examples:
      difffilter estimate img.png
      difffilter estimate img.png -m edge_enhancing --sigma 25/255
    """
    import shlex

    from difffilter.api import estimate_parameters
    from difffilter.io.files import read

    _look_here()
    picture = read(image)
    page = (picture.volumes() if volume else picture.pages)[0]
    chosen = estimate_parameters(page, method, sigma, picture.channel_axis, noise=noise)
    click.echo(f"# sigma={chosen.sigma:.4g} ({chosen.sigma * 255:.3g}/255)")
    # Double quotes read better around single ones, where they are as good.
    text = str(chosen)
    quoted = shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'
    options = ("" if sigma is None else f" --sigma {sigma}") + (" --volume" if volume else "")
    click.echo(f"difffilter smooth {shlex.quote(image)} -m {quoted}{options}")


@cli.command()
@click.argument("image", metavar="IMG")
@sigma_option(required=True, help="How strong, like 25/255.")
@click.option("--kind", default="gaussian", show_default=True,
              help="gaussian, poisson, speckle or salt_and_pepper.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("-o", "--output", metavar="FILE", help="Where to. [default: IMG_noisy beside it]")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def noise(image, sigma, kind, seed, output, overwrite):
    """Put noise on an image.

    The result has the type of the image, so 8-bit files round and clip the noise.

    \b
    Example:
      difffilter noise photo.png --sigma 25/255 --kind gaussian
    """
    import numpy as np

    from difffilter.blocks.folders import find_images, plan_tasks
    from difffilter.image import like
    from difffilter.io.files import read, write
    from difffilter.noise.models import add_noise

    [task] = plan_tasks(find_images([image])[:1], output, "_noisy")
    _keep(task.target, overwrite)
    picture = read(task.source)
    noisy = add_noise(picture.pages, sigma, kind, np.random.default_rng(seed))
    write(task.target, picture.with_pages(like(noisy, picture.pages)))


@cli.command()
@click.argument("image", metavar="IMG")
@sigma_option(help="Noise to put on IMG; with --no-reference, the noise that it has.")
@click.option("-m", "--method", "methods", multiple=True,
              help="Repeat for several; 'all' for each. [default: heat, perona_malik, ddpm]")  # fmt: skip
@click.option("--kind", default="gaussian", show_default=True, help="Kind of noise.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--no-reference", is_flag=True, help="IMG is the noisy image; there is no clean one.")
@click.option("-o", "--output", metavar="FILE", help="The figure. [default: IMG_compare.png]")
@click.option("--overwrite", is_flag=True, help="Replace a figure that exists.")
def compare(image, sigma, methods, kind, seed, no_reference, output, overwrite):
    """Compare methods on an image: a figure, and a table on standard output.

    IMG is a clean image that noise is put on, neither clipped nor rounded, with σ known to the
    methods; or, with --no-reference, an image as noisy as it is.

    \b
    Examples:
      difffilter compare photo.png --sigma 25/255 -o figure.png
      difffilter compare photo.png --sigma 25/255 -m heat -m "perona_malik(diffusivity='tukey')"
      difffilter compare scan.png --no-reference -m all
    """
    from difffilter.catalog import MissingExtra
    from difffilter.catalog import methods as all_methods
    from difffilter.figures import comparison as side_by_side
    from difffilter.image import as_float
    from difffilter.io.files import read, replacing
    from difffilter.noise.estimation import check_sigma
    from difffilter.noise.models import add_noise

    if sigma is None and not no_reference:
        raise click.UsageError(
            "pass --sigma 25/255 for the noise to put on, or --no-reference if IMG is noisy already"
        )
    asked = all_methods() if "all" in methods else methods
    denoisers = {}
    for method in asked or ("identity", "heat", "perona_malik", "ddpm"):
        try:
            denoisers[method] = _make(method)
        except MissingExtra as error:
            if method in methods:
                raise
            click.echo(f"left out: {error}", err=True)
    source = Path(image)
    target = Path(output) if output else source.with_name(f"{source.stem}_compare.png")
    _keep(target, overwrite)
    picture = read(source)
    channel_axis = picture.channel_axis
    page = as_float(picture.pages[0], channel_axis)
    if sigma is not None:
        sigma = check_sigma(sigma, page)
    clean = None if no_reference else page
    noisy = page if no_reference else add_noise(page, sigma, kind, seed)
    for denoiser in denoisers.values():
        _compile(denoiser)
    with _progress(denoisers.items(), len(denoisers)) as items:
        entries = []
        for label, denoiser in items:
            entries += side_by_side.compare(
                noisy, {label: denoiser}, sigma, clean=clean, channel_axis=channel_axis
            )
    drawing = side_by_side.figure(
        noisy, entries, clean=clean, sigma=sigma, channel_axis=channel_axis
    )
    with replacing(target) as temporary:
        drawing.savefig(temporary)
    click.echo(side_by_side.table(entries))
    click.echo(f"figure: {target}")


@cli.command()
def methods():
    """List the methods and what they do.

    \b
    Example:
      difffilter methods
    """
    from difffilter.catalog import MissingExtra, make
    from difffilter.catalog import methods as names

    for name in names():
        try:
            what = type(make(name)).__doc__.strip().splitlines()[0]
        except MissingExtra as error:
            what = str(error)
        click.echo(f"{name:<21}{what}")


@cli.command()
@click.argument("study", metavar="STUDY.toml")
@click.option(
    "-o", "--output", metavar="RESULTS", help="A folder. [default: results/STUDY beside it]"
)
@click.option("--images", multiple=True, metavar="PATH", help="Instead of the study's own. Repeat.")
@click.option(
    "-m", "--method", "methods", multiple=True, metavar="LABEL", help="Only these for now."
)
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@scheduler_option()
@click.option("--retry", is_flag=True, help="Try again what failed.")
@click.option("--overwrite", is_flag=True, help="Drop rows that the study does not ask for.")
def bench(study, output, images, methods, jobs, scheduler, retry, overwrite):
    """Compare methods on many images and noises, as a study in TOML asks.

    Results are kept as they come: interrupted, it goes on where it was. Seconds are best measured
    with one job on a machine with nothing else to do.

    \b
    Examples:
      difffilter bench benchmarks/quick.toml
      difffilter bench benchmarks/bsd68.toml --images BSD68/ -o results/bsd68
      difffilter bench study.toml --scheduler tcp://host:8786
      difffilter report benchmarks/results/quick
    """
    from difffilter.benchmark.run import run
    from difffilter.benchmark.study import read_study

    asked = read_study(study, images)
    results = Path(output) if output else asked.folder / "results" / asked.name
    failed, missing = run(
        asked, results, jobs=jobs, overwrite=overwrite, retry=retry, methods=methods or None,
        scheduler=scheduler,
    )  # fmt: skip
    for label, reason in missing.items():
        click.echo(f"left out: {label}: {reason}", err=True)
    if failed:
        click.echo(f"{failed} calls failed; the report lists them", err=True)
    click.echo(f"results: {results}  (now: difffilter report {results})")
    if failed:
        sys.exit(1)


@cli.command()
@click.argument("results", metavar="RESULTS")
@click.option("-o", "--output", metavar="FOLDER", help="Where to. [default: RESULTS]")
def report(results, output):
    """Turn a study's results into tables (report.md) and a page to look at (report.html).

    \b
    Example:
      difffilter report benchmarks/results/quick
    """
    from difffilter.benchmark.report import write

    for path in write(results, output):
        click.echo(path)


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMG|FOLDER...")
@click.option("-m", "--method", "methods", multiple=True, required=True, help="Repeat for several.")
@click.option("--colour", is_flag=True, help="For colour images. [default: they are made grey]")
@click.option(
    "--sigma", "sigmas", multiple=True, metavar="S", help="Noise levels. [default: 5 to 75 /255]"
)
@click.option("--crop", type=click.IntRange(16), default=256, show_default=True,
              help="Use the middle of larger images, in pixels.")  # fmt: skip
@click.option("--data", default="", metavar="TEXT", help="What the images are, for the record.")
@click.option(
    "-o", "--output", metavar="FILE", help="Where to. [default: the package's own record]"
)
def calibrate(images, methods, sigmas, output, **options):
    """Find the constants of methods that do best on training images, level by level of noise.

    Studies take constants that a method leaves open from this record: none of them has seen the
    images that it is measured on. Interrupted, it goes on where it was.

    \b
    Example (in the folder of peers.py):
      difffilter calibrate photos/ -m peers:TotalVariation -m peers:Bilateral
    """
    from difffilter.benchmark import calibration

    _look_here()
    options |= {"sigmas": sigmas or calibration.SIGMAS, "output": output or calibration.CALIBRATION}
    for method in methods:
        record = calibration.calibrate(method, images, **options)
        click.echo(f"{method}, {len(record['images'])} images")
        for level, found in record["levels"].items():
            constants = ", ".join(f"{key}={value}" for key, value in found["constants"].items())
            click.echo(f"  {level:>7}  {found['noisy']:.2f} -> {found['psnr']:.2f} dB  {constants}")


@cli.command()
@click.argument("folder", metavar="FOLDER")
@click.option("--preset", default="gray-small", show_default=True,
              help="gray-small or color-small, which train on a CPU; gray-base or color-base.")  # fmt: skip
@click.option("-o", "--output", required=True, metavar="RUN", help="The run's folder.")
@click.option("--steps", type=click.IntRange(1), help="How long to train. [default: the preset's]")
@click.option("--batch", type=click.IntRange(1), help="Crops a step. [default: the preset's]")
@click.option(
    "--crop", type=click.IntRange(1), help="Their side in pixels. [default: the preset's]"
)
@click.option("--learning-rate", type=float, help="At its highest. [default: the preset's]")
@click.option("--init", metavar="NAME", help="Weights to start from; see 'weights'.")
@click.option("--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@click.option("--export", "weights", metavar="FILE", help="Write the weights here at the end.")
def train(folder, preset, output, steps, init, resume, weights, **options):
    """Train a DDPM on the images of a folder.

    Several GPUs, or machines: run it under torchrun. Each process takes its share of the batch, and
    no image comes twice in an epoch.

    \b
    Examples:
      difffilter train photos/ --preset gray-small -o run
      torchrun --nproc-per-node 2 -m difffilter train photos/ -o run
      difffilter train photos/ --preset gray-small -o run --resume --export my.safetensors
      difffilter train photos/ --preset color-small --init natural-color -o run
    """
    ddpm = _ddpm()
    if preset not in ddpm.PRESETS:
        raise ValueError(f"unknown preset {preset!r}; there are: {', '.join(ddpm.PRESETS)}")
    given = {name: value for name, value in options.items() if value is not None}
    if resume and (given or init):
        raise ValueError(
            "a resumed run goes on as it began: only --steps can be changed with --resume"
        )
    config = replace(ddpm.PRESETS[preset], **given)
    try:
        ddpm.fit(folder, output, config, init=init, resume=resume, steps=steps)
    except MemoryError:
        raise ValueError(
            "training does not fit into memory; a smaller --batch or --crop takes less, and "
            "--resume goes on from a checkpoint where there is more"
        ) from None
    finally:
        _plot(Path(output))
    if weights:
        ddpm.export(output, weights)


@cli.command()
@click.option("-n", "--number", type=click.IntRange(1), default=16, show_default=True)
@click.option("-o", "--output", required=True, metavar="FILE", help="The grid of images.")
@click.option("--weights", default="natural-gray", show_default=True, help="See 'weights'.")
@click.option("--size", type=click.IntRange(1), default=128, show_default=True, help="In pixels.")
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="From noise.")
@click.option("--eta", type=Number(), default=1.0, show_default=True, help="1 is DDPM, 0 DDIM.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def sample(number, output, weights, size, steps, eta, seed, device, overwrite):
    """Draw images out of pure noise by a DDPM.

    The weights that come along were trained to denoise photographs, on small crops: expect
    textures and shapes, not scenes.

    \b
    Example:
      difffilter sample -n 16 -o grid.png
    """
    import numpy as np
    from skimage.util import montage

    from difffilter.image import like
    from difffilter.io.files import write
    from difffilter.io.picture import Picture

    ddpm = _ddpm()
    target = Path(output)
    _keep(target, overwrite)
    images = ddpm.generate(
        number, (size, size), weights=weights, steps=steps, eta=eta, seed=seed, device=device
    )
    channel_axis = -1 if images.ndim == 4 else None
    fill = 1.0 if channel_axis is None else (1.0,) * images.shape[-1]
    grid = montage(images, fill=fill, padding_width=2, channel_axis=channel_axis)
    write(target, Picture(like(grid, np.uint8(0))[None]))


@cli.command()
@click.argument("image", metavar="IMG")
@click.option(
    "-o", "--output", metavar="FILE", help="A picture or a .gif. [default: IMG_evolve.png]"
)
@click.option("--weights", metavar="NAME", help="Go back by these weights ('auto': by what fits).")
@click.option("--frames", type=click.IntRange(2), help="How many. [default: 7; 40 in a .gif]")
@click.option("--last", type=click.IntRange(1, 1000), default=1000, show_default=True,
              help="The last step t.")  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(1), default=100, show_default=True, help="Of the way back."
)
@click.option("--size", type=click.IntRange(1), default=256, show_default=True,
              help="Shrink a longer side to this, in pixels.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def evolve(image, output, overwrite, frames, **options):
    """Show the two diffusions: an image under the heat equation and, beside it, into noise.

    With weights, it comes back from the noise of the last step.

    \b
    Examples:
      difffilter evolve photo.png -o evolve.png
      difffilter evolve photo.png -o evolve.gif --weights auto --last 300
    """
    from difffilter.figures import two_diffusions
    from difffilter.io.files import read, replacing

    _ddpm()
    source = Path(image)
    target = Path(output) if output else source.with_name(f"{source.stem}_evolve.png")
    _keep(target, overwrite)
    moving = target.suffix.lower() == ".gif"
    picture = read(source)
    ways = two_diffusions.two_diffusions(
        picture.pages[0],
        channel_axis=picture.channel_axis,
        frames=frames or (40 if moving else 7),
        **options,
    )
    with replacing(target) as temporary:
        if moving:
            two_diffusions.animate(ways, temporary)
        else:
            two_diffusions.draw(ways).savefig(temporary)


@cli.command()
def weights():
    """List the weights of the DDPM that are installed.

    \b
    Example:
      difffilter weights
    """
    ddpm = _ddpm()
    for name in ddpm.available():
        card = ddpm.card(name)
        click.echo(f"{name:<16}{card['description']} ({card['bytes'] / 1e6:.1f} MB)")
        for folder, modes in card.get("psnr", {}).items():
            for mode, scores in modes.items():
                values = ", ".join(
                    f"{score:.2f} dB at {level}/255" for level, score in scores.items()
                )
                click.echo(f"{'':<16}{folder}, {mode}: {values}")


def _ddpm():
    """The learned half; what it needs may not be installed."""
    from difffilter import ddpm
    from difffilter.catalog import make

    make("ddpm")
    return ddpm


# --- what the commands share ----------------------------------------------------------------


def _plot(run):
    """Beside the log of a training run, its picture."""
    from difffilter.ddpm import plot_log
    from difffilter.io.files import replacing

    log = run / "log.jsonl"
    if log.exists() and log.stat().st_size:
        with replacing(run / "log.png") as temporary:
            plot_log(log, temporary)


def _look_here():
    """Find a Denoiser of the user's own in the current folder."""
    if os.curdir not in sys.path:
        sys.path.append(os.curdir)


def _make(method, parameters=None):
    from difffilter.catalog import make

    _look_here()

    return make(method, **(parameters or {}))


def _keep(target, overwrite):
    if target.exists() and not overwrite:
        raise ValueError(f"{target} exists already; pass --overwrite to replace it")


def _compile(denoiser):
    """Have the kernels of a PDE ready, by using them, with a word if that takes long."""
    denoiser = getattr(denoiser, "inner", denoiser)
    if not type(denoiser).__module__.startswith("difffilter.pde."):
        return
    import numpy as np

    notice = threading.Timer(
        2.0, click.echo, ["compiling for this machine; this happens once ..."], {"err": True}
    )
    notice.start()
    # Numba looks for SciPy's BLAS when it first needs anything, which takes as long as smoothing an
    # image, and no kernel here needs BLAS. This process is the command's own.
    blas = "scipy.linalg.cython_blas"
    hidden = blas not in sys.modules
    if hidden:
        sys.modules[blas] = None
    try:
        type(denoiser)(time=0.1)(np.eye(16, dtype=np.float32), 0.1)
    finally:
        notice.cancel()
        if hidden:
            del sys.modules[blas]


@contextmanager
def _progress(items, total):
    """A progress bar on a terminal, for more than one item."""
    if total < 2 or not sys.stderr.isatty():
        yield items
        return
    from tqdm import tqdm

    with tqdm(items, total=total, file=sys.stderr) as bar:
        yield bar


def _message(error):
    """One line that says what to do."""
    if isinstance(error, MemoryError):
        return "the image does not fit into memory; smooth its pages or parts one by one"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror.lower()}"
    return " ".join(str(error).split()) or type(error).__name__


def main(arguments=None):
    """Run the command line; errors of use and of input are one line and exit code 2."""
    try:
        cli.main(arguments, prog_name="difffilter", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        sys.exit(2)
    except click.Abort:
        click.echo("interrupted; what is done is kept", err=True)
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"error: {' '.join(error.format_message().split())}", err=True)
        sys.exit(2)
    except (OSError, TypeError, ValueError, MemoryError) as error:
        click.echo(f"error: {_message(error)}", err=True)
        sys.exit(2)
