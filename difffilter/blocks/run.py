"""Resumable filtering of files larger than memory, on this machine or a cluster."""

from __future__ import annotations

import json
import os
import zlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from difffilter import __version__
from difffilter.blocks.filter import (
    BlockFilter,
    choose_on_tiles,
    cut_up,
    sample_boxes,
    use_threads,
)
from difffilter.blocks.journal import Journal
from difffilter.blocks.layout import Layout
from difffilter.image import DataRange, check_data_range, like, scaled
from difffilter.io.arrays import MOST, open_array, split_path
from difffilter.io.tiff_arrays import Tiff
from difffilter.io.writers import (
    check_room,
    check_suffix,
    chunks_for,
    create,
    finish,
    reopen,
)
from difffilter.noise.estimation import check_sigma
from difffilter.parallel import cores

__all__ = ["smooth_blocks"]


def smooth_blocks(
    source,
    target,
    denoiser,
    *,
    sigma=None,
    data_range=None,
    volume=None,
    axes=None,
    overwrite=False,
    side=None,
    scheduler=None,
    progress=None,
    max_pixels=None,
):
    """Denoise an array in a file block by block, in little memory.

    Until it is complete the result is named ``TARGET.partial``, and ``TARGET.journal`` lists the
    finished blocks. After an interruption of any kind, the same call resumes where it stopped.

    Parameters
    ----------
    source : path-like
        A TIFF, Zarr or HDF5 file; the latter two may be followed by the path of an array inside.
    target : path-like
        A ``.tif``, ``.zarr`` or ``.h5`` file. TIFF and HDF5 are written uncompressed, so that the
        position of each block is known in advance.
    denoiser : Denoiser
        Parameters that are not given are chosen once, on evenly spread tiles of the whole array.
    sigma : float, optional
        Standard deviation of the noise in units of intensity; ``None``: estimated once.
    data_range : float or (float, float), optional
        As for `denoise`; the result has the unit of the source again.
    volume : bool, optional
        Whether an image is a volume, whose third axis is Z or else the last one before Y and X;
        all other axes number the images. ``None``: if there is a Z.
    axes : str, optional
        The axes of a Zarr or HDF5 array, in tifffile's letters; ``None``: as recorded in the file,
        or else YX or ZYX.
    overwrite : bool, default False
        Whether to replace an existing target, and to discard an unfinished run with other
        arguments.
    side : int, optional
        Side of a block in pixels; ``None``: chosen.
    scheduler : str, optional
        Address of a dask cluster, such as ``"tcp://host:8786"``, whose workers have this package
        and see the files under the same paths; ``None``: the cores of this machine.
    progress : callable, optional
        Called as ``progress(done, total)`` at the start and after each block.
    max_pixels : int, optional
        Refuse larger arrays; ``None``: the default limits of `open_array`.

    Returns
    -------
    sigma : float or None
        The σ that was used; None if it was neither given nor needed.
    denoiser : Denoiser
        The Denoiser with every parameter set.

    Raises
    ------
    OSError, ValueError
        If a file cannot be read, filtered or written; finished blocks are kept.

    Examples
    --------
    >>> smooth_blocks("volume.zarr", "smooth.zarr", make("heat(time=2)"))  # doctest: +SKIP
    """
    target = Path(target)
    check_suffix(target)
    if target.exists() and not overwrite:
        raise ValueError(f"{target} exists already; pass --overwrite to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} in")
    data_range = None if data_range is None else check_data_range(data_range)
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"cannot write in the folder {target.parent}: permission denied")
    with closing(open_array(source, axes, max_pixels)) as array:
        layout = Layout(array.axes, array.shape, "Z" in array.axes if volume is None else volume)
        request = {
            "source": os.path.abspath(source),
            "source's time": _modified(source),
            "axes": [layout.axes, list(layout.shape), layout.volume],
            "method": repr(denoiser),
            "sigma": sigma,
            "data_range": data_range,
            "block": side,
            "version": __version__,
        }
        partial = target.with_name(target.name + ".partial")
        path = target.with_name(target.name + ".journal")
        journal = Journal(path, request, anew=overwrite and not _same(path, request))
        try:
            job = _begin(journal, array, layout, partial, target, denoiser, sigma, side, data_range)
        except BaseException:
            journal.close(remove=journal.begun is None)
            raise
        try:
            with _on(scheduler, job, array) as (submit, first, at_once):
                _work(journal, job, submit, first, at_once, progress)
            journal.close(remove=False)
        except BaseException:
            journal.close()
            raise
    finish(partial, target)
    path.unlink()
    return job.sigma, job.work.denoiser


def _same(path, request):
    """Whether a journal belongs to this very request, so that even --overwrite resumes it."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.loads(file.readline())["request"] == json.loads(json.dumps(request))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _modified(source):
    """When the source was last changed, in nanoseconds."""
    file, _ = split_path(source)
    parts = [file, *(file / name for name in ("zarr.json", ".zarray", ".zattrs"))]
    return max(part.stat().st_mtime_ns for part in parts if part.exists())


# --- one block ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """Everything needed to process a block, in any thread, process or machine.

    Attributes
    ----------
    source, axes
        As for `open_array`; the source is an absolute path.
    partial : Path
        The unfinished result.
    made : dict
        The return value of `create`.
    layout : Layout
        The images in the array.
    work : BlockFilter
        The filter.
    sigma : float or None
        Standard deviation of the noise.
    block : tuple of int
        The shape of a block.
    at_once : int
        Number of blocks to process at the same time.
    alpha : bool
        Whether the last sample is alpha, which is copied unfiltered.
    data_range : (float, float), optional
        The range that pixels are scaled by to be filtered.
    """

    source: str
    axes: str | None
    partial: Path
    made: dict
    layout: Layout
    work: BlockFilter
    sigma: float | None
    block: tuple[int, ...]
    at_once: int
    alpha: bool
    data_range: DataRange = None

    def __call__(self, array, target, image, box):
        """Filter and write one block, and return its checksum."""
        pixels = self.layout.as_image(
            array.read(self.layout.index(image, self.work.with_halo(box)))
        )
        colours = self._colours(pixels)
        try:
            result = self.work(scaled(colours, self.data_range), box)
            result = like(result, pixels, self.data_range)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.source}, {_where(box)}: {error}") from error
        if self.alpha:
            lows = [low for low, _ in self.work.with_halo(box)]
            inner = tuple(slice(a - low, b - low) for (a, b), low in zip(box, lows, strict=True))
            result = np.concatenate(
                [result.reshape(*result.shape[: len(box)], -1), pixels[inner][..., -1:]], axis=-1
            )
        values = np.ascontiguousarray(self.layout.as_array(result), target.dtype)
        target.write(self.layout.index(image, box), values)
        return zlib.crc32(values.reshape(-1).view(np.uint8))

    def in_worker(self, image, box):
        """Process a block in a process of a cluster, which opens the files itself."""
        array, target = opened(self.source, self.axes, self.partial, json.dumps(self.made))
        return self(array, target, image, box)

    def _colours(self, pixels):
        """The pixels without alpha; grey ones without an axis of channels."""
        if not self.alpha:
            return pixels
        return pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :-1]

    def checksum(self, target, image, box):
        """The checksum of a block as it stands in the result."""
        values = np.ascontiguousarray(target.read(self.layout.index(image, box)), target.dtype)
        return zlib.crc32(values.reshape(-1).view(np.uint8))


def _where(box):
    names = "zyx"[-len(box) :]
    return ", ".join(f"{name} {a}...{b - 1}" for name, (a, b) in zip(names, box, strict=True))


def _begin(journal, array, layout, partial, target, denoiser, sigma, side, data_range):
    """Start a new job, or restore an unfinished one from its journal."""
    alpha = getattr(array, "alpha", False)
    samples = layout.channels
    colours = samples is not None and not (alpha and samples == 2)
    channel_axis = -1 if colours else None
    channels = (samples - alpha,) if colours else ()
    try:
        denoiser.check_shape((*layout.spatial, *channels), channel_axis)
    except ValueError as error:
        raise ValueError(f"{array.path}: {error}") from error
    if journal.begun is not None and not partial.exists():
        journal.begun = None
    settled = denoiser
    if journal.begun is None:
        if not denoiser.is_settled(sigma):
            settled, sigma = _choose(
                array, layout, denoiser, sigma, channel_axis, alpha, data_range
            )
    else:
        settled = _restored(denoiser, journal.begun["chosen"])
        sigma = journal.begun["sigma"]
    work = BlockFilter(settled, sigma, channel_axis, layout.spatial)
    work.warn_if_whole()
    if journal.begun is None:
        chunks = chunks_for(target, layout, array, side)
        lines = (
            bool(array.chunks)
            and isinstance(array, Tiff)
            and (layout.spatial_of(array.chunks)[-1] >= layout.spatial[-1] > 2048)
        )
        block, at_once = cut_up(
            layout.spatial,
            work.halo,
            layout.spatial_of(chunks) if chunks else (1,) * len(layout.spatial),
            channels=samples or 1,
            workers=settled.blocks_at_once or cores(),
            side=side,
            whole_lines=lines,
        )
        made = create(partial, target.suffix.lower(), array, layout, chunks)
        journal.begin(
            {"sigma": sigma, "chosen": _chosen(settled), "made": made, "block": block,
             "at_once": at_once}
        )  # fmt: skip
    begun = journal.begun
    if begun["made"]["kind"] == "raw":
        check_room(partial, int(np.prod(layout.shape)) * array.dtype.itemsize)
    return Job(
        source=str(array.path.absolute() / getattr(array, "inner", "")),
        axes=None if isinstance(array, Tiff) else layout.axes,
        partial=partial.absolute(), made=begun["made"], layout=layout, work=work, sigma=sigma,
        block=tuple(begun["block"]), at_once=begun["at_once"], alpha=alpha,
        data_range=data_range,
    )  # fmt: skip


def _choose(array, layout, denoiser, sigma, channel_axis, alpha, data_range):
    """Choose σ and the parameters that are not given, on evenly spread tiles."""
    tiles = np.stack(
        [
            layout.as_image(array.read(layout.index(image, box)))
            for image, box in sample_boxes(layout.spatial, layout.images)
        ]
    )
    if alpha:
        tiles = tiles[..., 0] if tiles.shape[-1] == 2 else tiles[..., :-1]
    try:
        if sigma is not None:
            sigma = check_sigma(sigma, tiles, data_range)
        return choose_on_tiles(denoiser, sigma, scaled(tiles, data_range), channel_axis)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{array.path}: {error}") from error


def _chosen(denoiser):
    """The parameters as JSON types."""
    return json.loads(json.dumps(denoiser.parameters, default=str))


def _restored(denoiser, chosen):
    """The Denoiser with the parameters that `_chosen` recorded."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in (chosen or {}).items()}
    return denoiser.replace(**values) if values else denoiser


# --- all blocks -----------------------------------------------------------------------------


def _work(journal, job, submit, first, at_once, progress):
    """Process the blocks that are not finished, recording each in the journal."""
    boxes = job.layout.boxes(job.block)
    target = reopen(job.partial, job.made)
    done = {
        number for number, crc in journal.done.items()
        if number < len(boxes) and job.checksum(target, *boxes[number]) == crc
    }  # fmt: skip
    todo = (number for number in range(len(boxes)) if number not in done)
    count, running = len(done), {}
    if progress:
        progress(count, len(boxes))
    while True:
        for number in todo:
            running[submit(*boxes[number])] = number
            if len(running) >= 2 * at_once:
                break
        if not running:
            return
        for future in first(list(running)):
            journal.add(running.pop(future), future.result())
            count += 1
            if progress:
                progress(count, len(boxes))


@contextmanager
def _on(scheduler, job, array):
    """Run a job in the threads of this process or on a cluster; yields as `on_cluster` does."""
    if scheduler is not None:
        from difffilter.blocks.cluster import on_cluster

        with on_cluster(scheduler, job) as functions:
            yield functions
        return
    target = reopen(job.partial, job.made)
    threads = max(1, cores() // job.at_once)
    with ThreadPoolExecutor(job.at_once, initializer=use_threads, initargs=(threads,)) as pool:
        try:
            yield (
                lambda image, box: pool.submit(job, array, target, image, box),
                lambda futures: wait(futures, return_when=FIRST_COMPLETED).done,
                job.at_once,
            )
        finally:
            pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=2)
def opened(source, axes, partial, made):
    """The open source and target of a job, kept from one block of a worker to the next."""
    return open_array(source, axes, MOST), reopen(partial, json.loads(made))
