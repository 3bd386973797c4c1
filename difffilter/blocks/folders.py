"""Denoising files: which ones, where to, and one after another or several at once."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from difffilter.blocks.run import smooth_blocks
from difffilter.catalog import spell
from difffilter.image import like
from difffilter.io.arrays import ARRAYS, is_large, open_array, split_path
from difffilter.io.files import SUFFIXES, read, replacing, write
from difffilter.noise.estimation import check_sigma
from difffilter.parallel import pool

__all__ = ["Task", "find_images", "plan_tasks", "run", "smooth_file", "write_report"]


@dataclass(frozen=True)
class Task:
    """One file to denoise."""

    source: Path
    target: Path


def find_images(arguments):
    """Files, and what is in folders and matches patterns, in order and without repetition.

    Results of earlier runs (``*_smooth``) are left out of folders.

    Raises
    ------
    ValueError
        If something does not exist, or a folder or pattern leads to no image.
    """
    found = []
    for argument in map(str, arguments):
        path = Path(argument)
        if split_path(path)[0].suffix.lower() in ARRAYS and split_path(path)[0].exists():
            files = [path]
        elif path.is_dir():
            files = sorted(
                p
                for p in path.iterdir()
                if p.suffix.lower() in SUFFIXES + ARRAYS
                and not p.name.startswith(".")
                and not p.stem.endswith("_smooth")
            )
            if not files:
                raise ValueError(f"there is no image ({', '.join(SUFFIXES)}) in the folder {path}")
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


def plan_tasks(sources, output=None, ending="_smooth"):
    """Where each result goes.

    Without `output`, beside its source with an ending to its name; else into the folder `output`
    under the same name, or, for a single source, to the file `output`.

    Raises
    ------
    ValueError
        If two results would have one name, or several ones one file.
    """
    names = {source: split_path(source)[0] for source in sources}
    if output is None:
        tasks = [Task(s, n.with_name(f"{n.stem}{ending}{n.suffix}")) for s, n in names.items()]
    else:
        folder = Path(output)
        array = folder.suffix.lower() in ARRAYS
        if array or not (folder.is_dir() or str(output).endswith(("/", os.sep))):
            if len(sources) == 1:
                return [Task(sources[0], folder)]
            if array or folder.exists() or folder.suffix.lower() in SUFFIXES:
                raise ValueError(f"{len(sources)} results do not fit into the one file {folder}")
        tasks = [Task(s, folder / n.name) for s, n in names.items()]
    seen = {}
    for task in tasks:
        if task.target in seen:
            raise ValueError(
                f"{seen[task.target]} and {task.source} would both become {task.target}"
            )
        seen[task.target] = task.source
    return tasks


def smooth_file(
    task, denoiser, *, sigma=None, volume=False, overwrite=False, large=None, max_pixels=None
):
    """Denoise one file.

    Parameters
    ----------
    task : Task
        From where to where.
    denoiser : Denoiser
        What to do.
    sigma : float, optional
        Standard deviation of the noise in [0, 1] units; ``None``: estimated page by page.
    volume : bool
        Whether the pages of a TIFF are one volume.
    overwrite : bool
        Whether a file that stands in the target's place may be replaced.
    large : dict, optional
        For `smooth_blocks`, by which a Zarr or HDF5 file is filtered, and a TIFF file that is large
        or for which this says how.
    max_pixels : int, optional
        Refuse what has more; ``None``: as `read` and `open_array` do by themselves.

    Returns
    -------
    list of str
        For each page or volume, or once for what goes block by block, σ and the denoiser with the
        parameters that were chosen.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, filtered or written; then no target is written.
    """
    _check_target(task, overwrite)
    if in_blocks(task, large):
        arrays = split_path(task.source)[0].suffix.lower() in ARRAYS
        settled = smooth_blocks(
            task.source, task.target, denoiser, sigma=sigma, volume=volume or (None if arrays else False),
            overwrite=overwrite,
            max_pixels=max_pixels, **(large or {}),
        )  # fmt: skip
        return [_note(*settled)]
    picture = read(task.source, max_pixels)
    stacks = picture.volumes() if volume else picture.pages
    results, notes = np.empty_like(stacks), []
    for k, stack in enumerate(stacks):
        try:
            result, note = _denoise(stack, denoiser, sigma, picture.channel_axis)
        except (TypeError, ValueError) as error:
            where = f"page {k + 1} of {task.source}" if len(stacks) > 1 else task.source
            raise ValueError(f"{where}: {error}") from error
        results[k] = like(result, stack)
        notes.append(note)
    write(task.target, picture.with_volumes(results) if volume else picture.with_pages(results))
    return notes


def _check_target(task, overwrite):
    """Find out early what would make the work vain."""
    if task.target.exists() and not overwrite:
        raise ValueError(f"{task.target} exists already; pass --overwrite to replace it")
    if task.target.parent.is_dir() and not os.access(task.target.parent, os.W_OK):
        raise PermissionError(f"cannot write in the folder {task.target.parent}: permission denied")


def _denoise(image, denoiser, sigma, channel_axis):
    if sigma is None:
        sigma = denoiser.estimate_sigma(image, channel_axis=channel_axis)
    denoiser = denoiser.choose(image, sigma, channel_axis=channel_axis)
    result = denoiser(image, sigma, channel_axis=channel_axis)
    return result, _note(sigma, denoiser)


def _note(sigma, denoiser):
    if sigma is None:
        return spell(denoiser)
    return f"sigma={sigma:.4g} ({sigma * 255:.3g}/255)  {spell(denoiser)}"


def in_blocks(task, large=None):
    """Whether a file is not to be read as a whole."""
    source, target = split_path(task.source)[0], task.target
    if {source.suffix.lower(), target.suffix.lower()} & set(ARRAYS):
        return True
    if source.suffix.lower() not in (".tif", ".tiff"):
        return False
    return any((large or {}).get(key) for key in ("side", "scheduler")) or is_large(source)


def holds_volumes(source, axes=None):
    """Whether a Zarr or HDF5 file holds what is filtered as volumes; `axes` as for `open_array`."""
    if split_path(source)[0].suffix.lower() not in ARRAYS:
        return False
    try:
        with closing(open_array(source, axes)) as array:
            return "Z" in array.axes
    except (OSError, ValueError):  # whoever filters it says what is wrong with it
        return False


def check_options(sources, sigma):
    """Find a σ that no file could be right for before any work starts.

    Float TIFFs and arrays may have any range; everything else is in [0, 1].
    """
    floats = (".tif", ".tiff", *ARRAYS)
    if sigma is not None and any(split_path(s)[0].suffix.lower() not in floats for s in sources):
        check_sigma(sigma)


def run(
    tasks, denoiser, jobs=1, *, scheduler=None, **options
) -> Iterator[tuple[Task, list[str], Exception | None]]:
    """`smooth_file` on many files, yielding (task, notes, error or None) as they are done.

    Parameters
    ----------
    tasks : list of Task
        What to do.
    denoiser : Denoiser
        By what.
    jobs : int
        Number of processes, which share the processor's cores. One that dies takes none but its
        own file with it.
    scheduler : str, optional
        Address of a dask cluster, whose workers have this package and see the files under the same
        paths; ``None``: this machine.
    **options
        For `smooth_file`.
    """
    if scheduler is not None:
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
                futures[executor.submit(_attempt, task, denoiser, options)] = task
            except BrokenProcessPool:
                lost.append(task)
        for future in as_completed(futures):
            try:
                result = future.result()
            except BrokenProcessPool:  # one process died; which file it had, nobody knows
                lost.append(futures[future])
            else:
                yield (futures[future], *result)
    for task in lost:
        with pool(1) as executor:
            try:
                result = executor.submit(_attempt_again, task, denoiser, options).result()
            except BrokenProcessPool:
                result = [], ChildProcessError(f"{task.source}: {DIED}")
        yield (task, *result)


DIED = "its process died, perhaps for want of memory"


def _run_on_cluster(tasks, denoiser, scheduler, options):
    """A file a task of the cluster."""
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
    """The tasks whose targets can be written, and (task, notes, error) of the others."""
    todo, refused = [], []
    for task in tasks:
        try:
            _check_target(task, options.get("overwrite"))
        except (OSError, ValueError) as error:
            refused.append((task, [], error))
        else:
            todo.append(task)
    return todo, refused


def _attempt_again(task, denoiser, options):
    """`_attempt` where there was no target: if there is one, who wrote it was lost thereafter."""
    overwrite = options.get("overwrite") or task.target.exists()
    return _attempt(task, denoiser, {**options, "overwrite": overwrite})


def _attempt(task, denoiser, options):
    try:
        return smooth_file(task, denoiser, **options), None
    except (OSError, TypeError, ValueError, MemoryError) as error:
        return [], error


def write_report(path, failures):
    """Write a CSV of the images that failed, with the reasons: only its header if none did.

    Parameters
    ----------
    path : path-like
    failures : list of (Path, str)
    """
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "reason"))
        writer.writerows(failures)
