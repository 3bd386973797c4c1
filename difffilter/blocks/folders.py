"""Many image files: which ones, where the results go, and filtering them in parallel."""

from __future__ import annotations

import csv
import glob
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from difffilter.blocks.run import smooth_blocks
from difffilter.catalog import spell
from difffilter.denoiser import Denoiser, as_denoiser, choose_and_apply
from difffilter.image import DataRange, check_data_range, like, scaled
from difffilter.io.arrays import ARRAYS, is_large, open_array, split_path
from difffilter.io.files import (
    RAW,
    READABLE,
    SUFFIXES,
    check_target,
    format_suffix,
    name_parts,
    read,
    replacing,
    write,
)
from difffilter.labels import relative
from difffilter.noise.estimation import check_sigma
from difffilter.noise.model import NoiseModel, strength_of
from difffilter.noise.trust import doubt
from difffilter.relay import recorded, relayed
from difffilter.workers import pool

__all__ = [
    "Task",
    "find_images",
    "is_array",
    "names_many",
    "plan_tasks",
    "run",
    "smooth_file",
    "write_report",
]


@dataclass(frozen=True)
class Task:
    """A file to denoise, and the file for the result."""

    source: Path
    target: Path


def find_images(arguments: Iterable[str | os.PathLike], ending: str = "_smooth") -> list[Path]:
    """The files that paths, folders and patterns name, in order and without repetition.

    Results of earlier runs in folders are skipped. Other files in folders that are images by their
    name are skipped with a warning.

    Parameters
    ----------
    arguments : iterable of path-like
    ending : str, default "_smooth"
        The end of the names of results, as a regular expression.

    Raises
    ------
    ValueError
        If a path does not exist, or a folder or pattern yields no image.
    """
    found = []
    for argument in map(str, arguments):
        path = Path(argument)
        if split_path(path)[0].suffix.lower() in ARRAYS and split_path(path)[0].exists():
            files = [path]
        elif path.is_dir():
            names = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
            files = [
                p
                for p in names
                if format_suffix(p) in READABLE + ARRAYS
                and not re.search(f"{ending}$", name_parts(p)[0])
            ]
            _warn_of_unread(names)
            if not files:
                kinds = ", ".join(suffix for suffix in READABLE if suffix not in RAW)
                raise ValueError(f"there is no image ({kinds}, or a raw file) in the folder {path}")
        elif path.exists() or not glob.has_magic(argument):
            if not path.exists():
                raise ValueError(f"there is no file {path}; check the path")
            files = [path]
        else:
            files = sorted(Path(p) for p in glob.glob(argument, recursive=True))
            if not files:
                raise ValueError(f"no file matches {argument}")
        found += files
    return list(dict.fromkeys(found))


def _warn_of_unread(names: list[Path]) -> None:
    """Warn of files that are images by their name but cannot be read."""
    known = READABLE + ARRAYS
    others = [p for p in names if p.suffix and format_suffix(p) not in known and p.is_file()]
    if not others:
        return
    from PIL import Image

    images = ({*Image.registered_extensions()} | UNKNOWN) - NO_IMAGES
    unread = [p for p in others if p.suffix.lower() in images]
    if unread:
        listed = ", ".join(p.name for p in unread[:5]) + (", ..." if len(unread) > 5 else "")
        count = "1 file of a kind" if len(unread) == 1 else f"{len(unread)} files of kinds"
        warnings.warn(
            f"{unread[0].parent}: skipped {count} that cannot be read: {listed}", stacklevel=3
        )


# Images that Pillow does not know, and other kinds of files that it does.
UNKNOWN = {".jxl"}
NO_IMAGES = {".pdf", ".mpg", ".mpeg", ".h5", ".hdf", ".cur", ".eps", ".ps", ".emf", ".wmf"}


def names_many(argument: str | os.PathLike) -> bool:
    """Whether an argument of `find_images` is a folder or a pattern, even if it yields one file."""
    path = Path(argument)
    if split_path(path)[0].suffix.lower() in ARRAYS:
        return False
    return path.is_dir() or (glob.has_magic(str(argument)) and not path.exists())


def plan_tasks(
    sources: list[Path],
    output: str | os.PathLike | None = None,
    ending: str = "_smooth",
    *,
    many: bool = False,
) -> list[Task]:
    """Choose the file for each result.

    Parameters
    ----------
    sources : list of Path
    output : path-like, optional
        A folder, in which results keep the names of their sources, or, for a single source, a file;
        ``None``: next to its source.
    ending : str, default "_smooth"
        What to add to the name of a result next to its source.
    many : bool, default False
        Whether `output` is a folder even for a single source, which was found in one.

    Returns
    -------
    list of Task

    Raises
    ------
    ValueError
        If several results would be written to the same file.
    """
    names = {source: _writable(split_path(source)[0]) for source in sources}
    many = many or len(sources) > 1
    if output is None:
        tasks = [Task(s, n.with_name(ending.join(name_parts(n)))) for s, n in names.items()]
    else:
        folder = Path(output)
        array = folder.suffix.lower() in ARRAYS
        if array or not (folder.is_dir() or str(output).endswith(("/", os.sep))):
            if not many:
                return [Task(sources[0], folder)]
            if array or folder.exists() or format_suffix(folder) in SUFFIXES:
                count = "1 result" if len(sources) == 1 else f"{len(sources)} results"
                raise ValueError(f"output is {folder}; expected a folder for {count}")
        tasks = [Task(s, folder / n.name) for s, n in names.items()]
    seen: dict[Path, Path] = {}
    for task in tasks:
        if task.target in seen:
            raise ValueError(
                f"{seen[task.target]} and {task.source} would both be written to {task.target}"
            )
        seen[task.target] = task.source
    return tasks


def _writable(path: Path) -> Path:
    """The name, with another suffix if its own format can only be read: .tif for raw files, or .png."""
    suffix = format_suffix(path)
    if suffix in RAW:
        return path.with_suffix(".tif")
    return path.with_suffix(".png") if suffix in READABLE and suffix not in SUFFIXES else path


def smooth_file(
    task: Task,
    denoiser: Denoiser,
    *,
    sigma: float | None = None,
    data_range: DataRange = None,
    volume: bool = False,
    overwrite: bool = False,
    axes: str | None = None,
    side: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    max_pixels: int | None = None,
    quality: int | None = None,
) -> list[str]:
    """Denoise one file, as a whole or, if it is an array or a large TIFF, in blocks.

    Parameters
    ----------
    task : Task
    denoiser : Denoiser
    sigma : float, optional
        Standard deviation of the noise, in units of intensity; ``None``: estimated page by page.
    data_range : float or (float, float), optional
        As for `denoise`; the result has the unit of the file again.
    volume : bool, default False
        Whether the pages of a TIFF are one volume.
    overwrite : bool, default False
        Whether an existing target may be replaced.
    axes, side, scheduler, progress
        As for `smooth_blocks`; a TIFF with a side or a scheduler is processed in blocks.
    max_pixels : int, optional
        Refuse larger images; ``None``: the default limit of `read` and `open_array`.
    quality : int, optional
        Quality of a JPEG, WebP, AVIF or HEIC file, from 1 to 100; ``None``: that of the source.

    Returns
    -------
    list of str
        For each page or volume, or once for a file processed in blocks: σ, if it was needed, and
        the denoiser with its parameters.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, filtered or written; then no target is written.
    """
    denoiser = as_denoiser(denoiser)
    check_target(task.target, overwrite)
    if sigma is not None and data_range is not None:
        check_sigma(sigma, data_range=data_range)
    if in_blocks(task, side, scheduler):
        sigma, settled = smooth_blocks(
            task.source, task.target, denoiser, sigma=sigma, data_range=data_range,
            volume=volume or (None if is_array(task.source) else False), axes=axes,
            overwrite=overwrite, side=side, scheduler=scheduler, progress=progress,
            max_pixels=max_pixels,
        )  # fmt: skip
        return [_note(sigma, settled)]
    check_target(task.target, overwrite, SUFFIXES)
    picture = read(task.source, max_pixels)
    images = [picture, *picture.others]
    notes: list[str] = []
    doubtful = None
    pages = sum(len(image.pages) for image in images)
    for number, image in enumerate(images):
        stacks = image.volumes() if volume else image.pages
        own = with_spacing(denoiser, image.meta.get("spacing")) if volume else denoiser
        results = np.empty_like(stacks)
        for k, stack in enumerate(stacks):
            noisy = scaled(stack, data_range)
            try:
                result, settled, strength = choose_and_apply(
                    own, noisy, sigma, channel_axis=image.channel_axis
                )
            except (TypeError, ValueError) as error:
                where = f"page {len(notes) + 1} of {task.source}" if pages > 1 else task.source
                raise ValueError(f"{where}: {error}") from error
            white = settled.noise == "gaussian" and stack.dtype.kind != "b"
            if sigma is None and strength is not None and white:
                doubtful = doubtful or doubt(noisy, result, strength, image.channel_axis)
            results[k] = like(result, stack, data_range)
            notes.append(_note(strength, settled))
        images[number] = image.with_volumes(results) if volume else image.with_pages(results)
    first, *others = images
    if quality is not None:
        first = replace(first, meta=first.meta | {"quality": quality})
    write(task.target, replace(first, others=others))
    if doubtful:
        warnings.warn(f"{task.source}: {doubtful}", stacklevel=2)
    return notes


def with_spacing(denoiser: Denoiser, spacing: Sequence[float] | None) -> Denoiser:
    """A Denoiser that is told the spacing of a file's volumes, unless it was told another."""
    steps = relative(list(spacing or ()))
    if steps is None or len(steps) != 3 or denoiser.parameters.get("spacing", 0) is not None:
        return denoiser
    return denoiser.replace(spacing=steps)


def _note(sigma, denoiser):
    if sigma is None:
        return spell(denoiser)
    strength = strength_of(sigma)
    kind = ", not white" if isinstance(sigma, NoiseModel) else ""
    return f"sigma={strength:.4g} ({strength * 255:.3g}/255{kind})  {spell(denoiser)}"


def is_array(path: str | os.PathLike) -> bool:
    """Whether a file is of a kind that is always processed in blocks."""
    return split_path(path)[0].suffix.lower() in ARRAYS


def in_blocks(task: Task, side: int | None = None, scheduler: str | None = None) -> bool:
    """Whether a file is processed in blocks rather than as a whole."""
    if is_array(task.source) or task.target.suffix.lower() in ARRAYS:
        return True
    if task.source.suffix.lower() not in (".tif", ".tiff"):
        return False
    return side is not None or scheduler is not None or is_large(task.source)


def holds_volumes(source: str | os.PathLike, axes: str | None = None) -> bool:
    """Whether a file is an array that is filtered as volumes; `axes` as for `open_array`."""
    if not is_array(source):
        return False
    try:
        with closing(open_array(source, axes)) as array:
            return "Z" in array.axes
    except (OSError, ValueError):  # reported when the file is filtered
        return False


def check_options(sources: list[Path], sigma: float | None, data_range: DataRange = None) -> None:
    """Refuse, before any work starts, a data range or a σ that is wrong for every file.

    Float TIFFs and arrays may have any range; everything else is in [0, 1].
    """
    if data_range is not None:
        check_data_range(data_range)
        if sigma is not None:
            check_sigma(sigma, data_range=data_range)
    floats = (".tif", ".tiff", ".nii", ".gz", *ARRAYS)
    if sigma is not None and any(split_path(s)[0].suffix.lower() not in floats for s in sources):
        check_sigma(sigma)


def run(
    tasks: list[Task],
    denoiser: Denoiser,
    jobs: int = 1,
    *,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options,
) -> Iterator[tuple[Task, list[str], Exception | None]]:
    """Denoise many files, yielding each as it is done.

    Parameters
    ----------
    tasks : list of Task
    denoiser : Denoiser
    jobs : int, default 1
        Number of processes, which share the processor's cores. If one dies, only its own file is
        lost.
    scheduler : str, optional
        Address of a dask cluster whose workers have this package and see the files under the same
        paths; ``None``: this machine. A single file that can be is processed there in blocks, of
        several files each is one task.
    progress : callable, optional
        As for `smooth_blocks`, if there is a single file and it is processed in blocks.
    **options
        For `smooth_file`.

    Yields
    ------
    tuple of (Task, list of str, Exception or None)
        The task, the notes of `smooth_file`, and the error if there was one.
    """
    if len(tasks) == 1 and in_blocks(tasks[0], options.get("side"), scheduler):
        options |= {"scheduler": scheduler, "progress": progress}
    elif scheduler is not None:
        yield from _run_on_cluster(tasks, denoiser, scheduler, options)
        return
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            yield (task, *_attempt(task, denoiser, options))
        return
    from concurrent.futures import as_completed
    from concurrent.futures.process import BrokenProcessPool

    todo, refused = _sorted_out(tasks, options)
    yield from refused
    lost = []
    with pool(min(jobs, len(tasks))) as executor:
        futures = {}
        for task in todo:
            try:
                futures[executor.submit(recorded, _attempt, task, denoiser, options)] = task
            except BrokenProcessPool:
                lost.append(task)
        for future in as_completed(futures):
            try:
                result = relayed(*future.result())
            except BrokenProcessPool:  # one process died, and it is unknown with which file
                lost.append(futures[future])
            else:
                yield (futures[future], *result)
    for task in lost:
        with pool(1) as executor:
            try:
                again = executor.submit(recorded, _attempt_again, task, denoiser, options)
                result = relayed(*again.result())
            except BrokenProcessPool:
                result = [], ChildProcessError(f"{task.source}: {DIED}")
        yield (task, *result)


DIED = "its process died, perhaps because it ran out of memory"


def _run_on_cluster(tasks, denoiser, scheduler, options):
    """One task of the cluster for each file."""
    from difffilter.blocks.cluster import each

    todo, refused = _sorted_out(tasks, options)
    yield from refused
    arguments = [
        (Task(task.source.absolute(), task.target.absolute()), denoiser, options) for task in todo
    ]  # workers may run in another folder
    for number, result, died in each(scheduler, _attempt_again, arguments):
        error = ChildProcessError(f"{todo[number].source}: {DIED}")
        yield (todo[number], *(([], error) if died else result))


def _sorted_out(tasks, options):
    """The tasks whose targets can be written, and what `run` yields for the others."""
    todo, refused = [], []
    for task in tasks:
        try:
            check_target(task.target, options.get("overwrite"))
        except (OSError, ValueError) as error:
            refused.append((task, [], error))
        else:
            todo.append(task)
    return todo, refused


def _attempt_again(task, denoiser, options):
    """As `_attempt`, after a process died: a target that exists now is that process's own."""
    overwrite = options.get("overwrite") or task.target.exists()
    return _attempt(task, denoiser, {**options, "overwrite": overwrite})


def _attempt(task, denoiser, options):
    try:
        return smooth_file(task, denoiser, **options), None
    except (OSError, TypeError, ValueError, MemoryError) as error:
        return [], error


def write_report(path: str | os.PathLike, failures: list[tuple[Path, str]]) -> None:
    """Write a CSV of the images that failed, with the reasons; its header alone if none did.

    Parameters
    ----------
    path : path-like
    failures : list of (Path, str)
    """
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "reason"))
        writer.writerows(failures)
