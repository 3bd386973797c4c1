"""Filtering on a dask cluster."""

from __future__ import annotations

import logging
import pickle
from contextlib import contextmanager

from difffilter.blocks.filter import use_threads
from difffilter.io.arrays import library

__all__ = ["connect", "each", "on_cluster"]


@contextmanager
def connect(address):
    """Connect to a dask scheduler.

    Parameters
    ----------
    address : str
        For example ``"tcp://host:8786"``.

    Yields
    ------
    distributed.Client

    Raises
    ------
    ValueError
        If there is no scheduler at the address, it has no workers, or the connection is lost.
    """
    distributed = library("distributed")
    # Lost workers are handled here; distributed's own warnings about them would only alarm.
    logging.getLogger("distributed.client").setLevel(logging.ERROR)
    try:
        client = distributed.Client(address, timeout=10)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"there is no dask scheduler at {address!r}: {error}") from None
    with client:
        if not client.nthreads():
            try:
                client.wait_for_workers(1, timeout=30)
            except TimeoutError:
                raise ValueError(f"the dask scheduler at {address} has no workers") from None
        try:
            yield client
        except distributed.KilledWorker as error:
            raise ValueError(
                "workers died repeatedly, perhaps because they ran out of memory; finished blocks "
                f"are kept: run the command again to resume ({error})"
            ) from None
        except distributed.CancelledError:
            raise ValueError(
                f"the connection to the dask scheduler at {address} was lost; finished blocks are "
                "kept: run the command again to resume"
            ) from None
        except (ImportError, RuntimeError) as error:
            raise ValueError(
                f"a worker of {address} failed: {error}; workers need the same packages and modules"
            ) from None


@contextmanager
def on_cluster(address, job):
    """Run a `Job` on a cluster.

    Parameters
    ----------
    address : str
        As for `connect`.
    job : Job

    Yields
    ------
    tuple of (callable, callable, int)
        ``submit(image, box)``, which returns a future; ``first(futures)``, which waits until one
        is done and returns those that are; the number of worker threads.
    """
    from distributed import wait

    # Pickled here because the scheduler, which would unpickle a bare argument, may lack the
    # Denoiser's module.
    packed = pickle.dumps(job)
    with connect(address) as client:
        threads = sum(client.nthreads().values())
        yield (
            lambda image, box: client.submit(block, packed, image, box, pure=False),
            lambda futures: wait(futures, return_when="FIRST_COMPLETED").done,
            threads,
        )


def each(address, function, arguments):
    """Call a function once for each of several arguments, on a cluster.

    Parameters
    ----------
    address : str
        As for `connect`.
    function : callable
    arguments : iterable of tuple
        The arguments of each call.

    Yields
    ------
    tuple of (int, object or None, bool)
        As calls finish: the position of the arguments, the result, and whether the workers died.
    """
    from distributed import KilledWorker, wait

    with connect(address) as client:
        most = 2 * sum(client.nthreads().values())
        todo, running = iter(enumerate(arguments)), {}
        while True:
            for number, given in todo:
                packed = pickle.dumps((function, given))
                running[client.submit(unpacked, packed, pure=False)] = number
                if len(running) >= most:
                    break
            if not running:
                return
            for future in wait(list(running), return_when="FIRST_COMPLETED").done:
                number = running.pop(future)
                try:
                    yield number, future.result(), False
                except KilledWorker:
                    yield number, None, True


def unpacked(packed):
    """Run a pickled call (in a worker)."""
    function, arguments = pickle.loads(packed)
    _share_cores()
    return function(*arguments)


def block(packed, image, box):
    """Process a block (in a worker)."""
    job = pickle.loads(packed)
    _share_cores()
    return job.in_worker(image, box)


def _share_cores():
    """Limit this thread of a worker to its share of the cores."""
    from distributed import get_worker

    from difffilter.parallel import cores

    use_threads(max(1, cores() // get_worker().state.nthreads))
