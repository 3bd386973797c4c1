"""Filter in this process and in pools of one kind, and compare: ``python pools.py KIND``.

A program of its own, since what matters is which threads a process has started before it forks.
"""

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from skimage import data

import difffilter as df

METHODS = [
    "perona_malik(kappa=0.05, time=2)",
    "edge_enhancing(kappa=0.05, time=1)",
    "tv_flow(time=0.02)",
    "ddpm",
]


def filtered(image):
    """Digests would do, but whole images show where they differ."""
    return [df.denoise(image, sigma=0.1, method=method) for method in METHODS]


def on(cores):
    """Have this process take so many cores for free."""
    from difffilter.ddpm import threads as ddpm_threads
    from difffilter.pde.kernels import threads as pde_threads

    ddpm_threads.free_cores = pde_threads.free_cores = lambda: cores


def in_pool(kind):
    def results(images):
        with multiprocessing.get_context(kind).Pool(2) as pool:
            return pool.map(filtered, images)

    return results


def in_threads(images):
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(filtered, images))


def in_joblib(backend):
    def results(images):
        from joblib import Parallel, delayed

        return Parallel(2, backend=backend)(delayed(filtered)(image) for image in images)

    return results


def in_dask(scheduler):
    def results(images):
        import dask

        tasks = [dask.delayed(filtered)(image) for image in images]
        return dask.compute(*tasks, scheduler=scheduler, num_workers=2)

    return results


def in_grandchild(images):
    """In a child of a forked child."""
    return _forked(lambda: _forked(lambda: [filtered(image) for image in images]))


def in_child_of_thread(images):
    """In a child forked by a thread that has filtered itself."""

    def work():
        filtered(images[0])
        results.extend(_forked(lambda: [filtered(image) for image in images]))

    results = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results


def in_thread_of_child(images):
    """In threads of a forked child."""
    return _forked(lambda: in_threads(images))


def _forked(function):
    """The result of a function called in a forked process."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        sender.send(function())
        os._exit(0)
    sender.close()
    result = receiver.recv()
    os.waitpid(child, 0)
    return result


KINDS = {
    "forked": {
        "multiprocessing": in_pool("fork"),
        "joblib": in_joblib("multiprocessing"),
        "a child's child": in_grandchild,
        "a thread's child": in_child_of_thread,
        "a child's threads": in_thread_of_child,
    },
    "threads": {
        "concurrent.futures": in_threads,
        "joblib": in_joblib("threading"),
        "dask": in_dask("threads"),
    },
    "fresh": {
        "spawn": in_pool("spawn"),
        "forkserver": in_pool("forkserver"),
        "joblib": in_joblib("loky"),
        "dask": in_dask("processes"),
    },
}


def main(kinds):
    image = data.camera()[200:330, 150:290].astype(np.float32) / 255
    images = [image, image[::-1], image.T]
    on(1)
    expected = [filtered(each) for each in images]
    on(2)
    torch.set_num_threads(2)
    torch.rand(500, 500) @ torch.rand(500, 500)  # starts PyTorch's threads
    torch.rand(10**6).add(1)
    here = {"this process": lambda images: [filtered(each) for each in images]}
    for kind, pool in (here | KINDS[kinds]).items():
        for each, those in zip(expected, pool(images), strict=True):
            for method, one, other in zip(METHODS, each, those, strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"{kind}: {method}")
        print(kind, "equal", flush=True)
    assert torch.get_num_threads() == 2


if __name__ == "__main__":
    main(sys.argv[1])
