"""The worker process of a study: runs one method on one case at a time."""

from __future__ import annotations

import pickle
from functools import lru_cache
from pathlib import Path

from difffilter.benchmark.degraded import Degraded
from difffilter.benchmark.examples import keep
from difffilter.benchmark.filling import holed
from difffilter.benchmark.measure import measure, warm_up
from difffilter.benchmark.methods import is_oracle, method_of, on_path
from difffilter.benchmark.pairs import REAL
from difffilter.benchmark.rows import Row
from difffilter.benchmark.study import noisy
from difffilter.noise.kinds import strength

__all__ = ["Worker", "failure", "packed", "start", "work", "work_unpacked"]


class Worker:
    """Carries out tasks of a study; images, methods and compiled code are kept between them.

    Parameters
    ----------
    study : Study
    results : str or Path
        The folder for example pictures.
    """

    def __init__(self, study, results):
        self.study = study
        self.results = Path(results)
        self.clean = lru_cache(maxsize=4)(study.clean)
        self.capture = lru_cache(maxsize=4)(study.capture)
        self.method = lru_cache(maxsize=None)(method_of)
        self.warm = set()
        self.pictured = study.names[: study.examples]

    def __call__(self, case, label):
        """The rows of one task; whatever goes wrong in it becomes its row."""
        study = self.study
        try:
            degraded = self._degraded(case, label)
            with on_path(study.folder):
                method = self.method(study.denoisers[label], filling=bool(study.holes))
                # Each compiles something else.
                kind = label, degraded.channel_axis, degraded.sigma is None
                if kind not in self.warm:
                    warm_up(method, degraded)
                    self.warm.add(kind)
                result, values = measure(
                    method, degraded, study.metrics,
                    clip=label != "identity",  # the noisy image is scored as it is
                )  # fmt: skip
        except Exception as error:
            return failure(case, label, f"{type(error).__name__}: {error}")
        if case.image in self.pictured and case.seed == self._first_seed(case):
            keep(self.results, study, case, label, degraded, result)
        return [Row(*case, label, name, value) for name, value in values.items()]

    def _degraded(self, case, label):
        """The image of a case, with σ if the method is given it."""
        study = self.study
        clean, channel_axis = self.clean(case.image)
        if study.holes:
            return holed(clean, case, channel_axis)
        if case.noise == REAL:
            return Degraded(self.capture(case).copy(), clean, channel_axis)
        image, sigma = noisy(clean, case, channel_axis), None
        # (An oracle sees the clean image, and so the noise.)
        if study.sigma_known or is_oracle(study.denoisers[label]):
            sigma = strength(clean, image, case.sigma, case.noise)
        return Degraded(image, clean, channel_axis, sigma)

    def _first_seed(self, case):
        return 0 if case.noise == REAL else self.study.seeds[0]


def failure(case, label, message):
    """The row of a task that failed, in a list."""
    return [Row(*case, label, "error", " ".join(message.split()))]


# --- in a pool of processes: one Worker each ------------------------------------------------


def start(study, results):
    """Initialise a process of a pool."""
    global _worker
    _worker = Worker(study, results)


def work(case, label):
    """The rows of one task, in a process that `start` has initialised."""
    return _worker(case, label)


# --- in a cluster, whose processes cannot be initialised ------------------------------------


def packed(study, results):
    """A study and its folder as bytes, for `work_unpacked`."""
    return pickle.dumps((study, Path(results).absolute()))  # workers may run in another folder


def work_unpacked(content, case, label):
    """The rows of one task of what `packed` returned."""
    return _unpacked(content)(case, label)


@lru_cache(maxsize=1)
def _unpacked(content):
    return Worker(*pickle.loads(content))
