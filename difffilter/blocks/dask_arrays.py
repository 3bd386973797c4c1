"""dask arrays: a filter as one more step of a graph, computed block by block when asked for."""

from __future__ import annotations

import numpy as np

from difffilter.blocks.filter import BlockFilter, sample_boxes, settle

__all__ = ["denoise_lazily"]


def denoise_lazily(image, sigma, denoiser, channel_axis):
    """What a Denoiser makes of a dask array, as another one of the same shape.

    Only what parameters are chosen on is computed at once: evenly spread tiles of it, once for all
    blocks, and nothing if σ and all parameters are given.

    Parameters
    ----------
    image : dask.array.Array
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    sigma : float or None
    denoiser : Denoiser
    channel_axis : int or None

    Returns
    -------
    dask.array.Array
        float32, or float64 for float64 input; its chunks are those of the image unless they are
        smaller than what the filter looks at.

    Raises
    ------
    ValueError
        If a size is unknown.
    """
    import dask.array as da
    from dask.array.overlap import ensure_minimum_chunksize

    if any(np.isnan(n) for n in image.shape):
        raise ValueError(f"image has chunks of unknown size: {image.shape}; compute_chunk_sizes()")
    last = image if channel_axis is None else da.moveaxis(image, channel_axis, -1)
    colour = -1 if channel_axis is not None else None
    shape = last.shape if colour is None else last.shape[:-1]
    if len(shape) not in (2, 3) or 0 in last.shape:
        raise ValueError(
            f"image must have 2 or 3 axes besides channels, none of them empty; got shape "
            f"{image.shape} with channel_axis={channel_axis}"
        )
    if image.dtype.kind not in "buif":
        raise TypeError(f"image must hold real numbers; got dtype {image.dtype}")
    if not denoiser.is_settled(sigma):
        tiles = [last[tuple(slice(a, b) for a, b in box)] for _, box in sample_boxes(shape)]
        denoiser, sigma = settle(denoiser, sigma, np.stack(da.compute(*tiles)), colour)
    work = BlockFilter(denoiser, sigma, colour, shape)
    work.warn_if_whole()
    halo = shape if work.halo is None else work.halo
    depth = {axis: min(far, n) for axis, (far, n) in enumerate(zip(halo, shape, strict=True))}
    chunks = {axis: ensure_minimum_chunksize(max(1, far), last.chunks[axis])
              for axis, far in depth.items()}  # fmt: skip
    if colour is not None:
        depth[len(shape)], chunks[len(shape)] = 0, -1
    last = last.rechunk(chunks)
    starts = [np.cumsum((0, *sizes)).tolist() for sizes in last.chunks]

    def block(pixels, block_id=None):
        box = tuple(
            (starts[axis][k], starts[axis][k + 1]) for axis, k in enumerate(block_id[: len(shape)])
        )
        have = [max(0, a - depth[axis]) for axis, (a, _) in enumerate(box)]
        around = work.surroundings(box)
        needed = tuple(slice(a - lo, b - lo) for (a, b), lo in zip(around, have, strict=True))
        return work(pixels[needed], box)

    result = da.overlap.overlap(last, depth, "none", allow_rechunk=False).map_blocks(
        block,
        chunks=last.chunks,
        dtype=np.float64 if image.dtype == np.float64 else np.float32,
        meta=np.empty((0,) * last.ndim, image.dtype),
    )
    return result if channel_axis is None else da.moveaxis(result, -1, channel_axis)
