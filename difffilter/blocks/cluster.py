"""A user's dask cluster doing the work."""

from __future__ import annotations

import logging
import pickle
from contextlib import contextmanager

from difffilter.blocks.filter import use_threads
from difffilter.io.arrays import library

__all__ = ["connect", "each", "on_cluster"]


@contextmanager
def connect(address):
    """A client of the scheduler at an address like ``tcp://host:8786``.

    Raises
    ------
    ValueError
        If there is none, it has no workers, or it is lost.
    """
    distributed = library("distributed")
    # Of a lost worker it would say that what it had is done again.
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
                f"workers died again and again, perhaps for want of memory; what is done is kept: "
                f"run it again to go on ({error})"
            ) from None
        except distributed.CancelledError:
            raise ValueError(
                f"the dask scheduler at {address} was lost; what is done is kept: run it again to "
                "go on"
            ) from None
        except (ImportError, RuntimeError) as error:
            raise ValueError(
                f"a worker of {address} failed: {error}; it must have the same packages and modules"
            ) from None


@contextmanager
def on_cluster(address, job):
    """How to have a block done, how to wait for the first of some, and how many at once."""
    from distributed import wait

    # A Denoiser's module need not be known to the scheduler, which would unpack a bare argument.
    packed = pickle.dumps(job)
    with connect(address) as client:
        threads = sum(client.nthreads().values())
        yield (
            lambda image, box: client.submit(block, packed, image, box, pure=False),
            lambda futures: wait(futures, return_when="FIRST_COMPLETED").done,
            threads,
        )


def each(address, function, arguments):
    """(number, result or None, whether its workers died) of a call for each of some arguments.

    As they are done, so many at a time that none waits for want of work.
    """
    from distributed import KilledWorker, wait

    with connect(address) as client:
        most = 2 * sum(client.nthreads().values())
        todo, running = iter(enumerate(arguments)), {}
        while True:
            for number, each_ in todo:
                running[client.submit(unpacked, pickle.dumps((function, each_)), pure=False)] = (
                    number
                )
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
    """A call, in a worker."""
    function, arguments = pickle.loads(packed)
    _share_cores()
    return function(*arguments)


def block(packed, image, box):
    """A block, in a worker."""
    job = pickle.loads(packed)
    _share_cores()
    return job.elsewhere(image, box)


def _share_cores():
    """Have this thread of a worker use its share of the cores."""
    from distributed import get_worker

    from difffilter.parallel import cores

    use_threads(max(1, cores() // get_worker().state.nthreads))
