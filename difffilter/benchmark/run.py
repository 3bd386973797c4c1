"""Carrying out a study: every method on every case, resumable at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import sys
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from difffilter.benchmark.machine import commit, machine, versions
from difffilter.benchmark.measure import measure, warm_up
from difffilter.benchmark.oracle import Oracle
from difffilter.benchmark.rows import Row, as_csv, read_rows, write_rows
from difffilter.benchmark.study import Case, noisy
from difffilter.catalog import MissingExtra, make
from difffilter.image import like
from difffilter.io.files import replacing, write
from difffilter.io.picture import Picture
from difffilter.metrics import METRICS
from difffilter.parallel import pool

__all__ = ["run"]

PROTOCOL = (
    "The noise is neither clipped nor quantised, and keyed by image, kind, σ and seed alone: every "
    "method sees the same pixels. Results are clipped to [0, 1], the noisy image that is shown "
    "beside them is not; PSNR has data range 1 and is averaged over images; SSIM is that of Wang et "
    "al. 2004 (11×11 Gaussian window, σ = 1.5, population covariance). Seconds are those of the "
    "call alone, after a warm-up, with the choice of parameters. Parameters come from the noisy "
    "image or from training images, never from the clean test image, but for methods labelled "
    "oracle."
)


def run(study, results, *, jobs=1, overwrite=False, retry=False, methods=None, scheduler=None):
    """Carry out a study, or what is left of it.

    Parameters
    ----------
    study : Study
        What to do.
    results : str or Path
        The folder of the results, made if need be: ``rows.csv``, ``study.json`` and pictures in
        ``examples``. What is there already is not done again, unless the image or the text of the
        method has changed.
    jobs : int, default 1
        Number of processes, which share the processor's cores; of one, it has all of them.
    overwrite : bool, default False
        Whether rows that the study does not ask for may be dropped from the results.
    retry : bool, default False
        Whether to try again what failed.
    methods : sequence of str, optional
        Labels of the only methods to run now; ``None``: all.
    scheduler : str, optional
        Address of a dask cluster, whose workers have this package and see the files under the same
        paths; ``None``: this machine.

    Returns
    -------
    failed : int
        How many results are failures.
    missing : dict of str to str
        Label to reason, for methods that need a library that is not installed.

    Raises
    ------
    OSError, ValueError
        If a method or parameter is unknown, an image cannot be read, `results` holds those of
        something else, or a worker process died.
    """
    results = Path(results)
    if methods is not None and (unknown := set(methods) - set(study.denoisers)):
        raise ValueError(
            f"study {study.name} has no method {min(unknown)!r}; it has: {', '.join(study.denoisers)}"
        )
    with on_path(study.folder):
        missing = _missing(study)
    _check_metrics(study)
    digests = {name: _digest(study.clean(name)[0]) for name in study.sources}
    results.mkdir(parents=True, exist_ok=True)
    table = results / "rows.csv"
    rows = _still_valid(study, results, digests, overwrite, retry)
    write_rows(table, rows)
    started = _write_sidecar(study, results, digests, missing)
    labels = [
        label
        for label in study.denoisers
        if label not in missing and (methods is None or label in methods)
    ]
    done = {(_case(row), row.denoiser) for row in rows}
    tasks = [
        (case, label) for case in study.cases() for label in labels if (case, label) not in done
    ]
    with open(table, "ab") as file, tqdm(total=len(tasks), disable=None, unit="call") as bar:
        for new in _carried_out(study, results, tasks, jobs, scheduler):
            file.write(as_csv(new))
            file.flush()
            os.fsync(file.fileno())
            rows += new
            bar.update()
    write_rows(table, _in_order(study, rows))
    _write_sidecar(study, results, digests, missing, started)
    return sum(row.metric == "error" for row in rows), missing


# --- the work -------------------------------------------------------------------------------


class Worker:
    """What a process needs to carry out tasks of a study."""

    def __init__(self, study, results):
        self.study = study
        self.results = Path(results)
        self.clean = lru_cache(maxsize=4)(study.clean)
        self.method = lru_cache(maxsize=None)(make_method)
        self.warm = set()
        self.pictured = list(study.sources)[: study.examples]

    def __call__(self, case, label):
        """The rows of one task; whatever goes wrong in it becomes its row."""
        clean, channel_axis = self.clean(case.image)
        image = noisy(clean, case)
        sigma = case.sigma if self.study.sigma_known else None
        try:
            with on_path(self.study.folder):
                method = self.method(self.study.denoisers[label])
                if (label, channel_axis) not in self.warm:
                    warm_up(method, image, sigma, clean, channel_axis)
                    self.warm.add((label, channel_axis))
                result, values = measure(
                    method, image, sigma, clean, channel_axis, self.study.metrics
                )
        except Exception as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())
            return [Row(*_key(case), label, "error", message)]
        if case.image in self.pictured and case.seed == self.study.seeds[0]:
            self._keep(case, label, clean, result)
        return [Row(*_key(case), label, name, value) for name, value in values.items()]

    def _keep(self, case, label, clean, result):
        """Write the result, and once the clean image, as pictures."""
        folder = self.results / "examples" / case.image
        folder /= f"{case.noise}-{case.sigma * 255:g}-{case.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        names = file_names(self.study.denoisers)
        listed = {name: each for each, name in names.items()}
        with replacing(folder / "labels.json") as temporary:
            temporary.write_text(json.dumps(listed, ensure_ascii=False, indent=1), "utf-8")
        for name, image in (("clean.png", clean), (names[label], result)):
            write(folder / name, Picture(like(image, np.uint8(0))[None]))


def make_method(text):
    """A Denoiser, or the Oracle of ``"oracle(...)"``."""
    wrapped = re.fullmatch(r"\s*oracle\((.*)\)\s*", text, re.DOTALL)
    return Oracle(wrapped[1]) if wrapped else make(text)


def is_oracle(text):
    """Whether the method of this text looks at the clean image."""
    return re.match(r"\s*oracle\(", text) is not None


def file_names(labels):
    """Label to a name that any file system takes."""
    names = {}
    for label in labels:
        stem = re.sub(r"[^\w.+-]+", "_", label).strip("_.")[:60] or "method"
        taken = {*names.values(), "clean.png"}
        number = next(n for n in range(1, len(taken) + 2) if _numbered(stem, n) not in taken)
        names[label] = _numbered(stem, number)
    return names


def _numbered(stem, number):
    return f"{stem}.png" if number == 1 else f"{stem}-{number}.png"


def _carried_out(study, results, tasks, jobs, scheduler):
    """The rows of each task, as they are done."""
    if scheduler is not None:
        yield from _carried_out_on_cluster(study, results, tasks, scheduler)
        return
    if jobs == 1 or len(tasks) < 2:
        work = Worker(study, results)
        for task in tasks:
            yield work(*task)
        return
    with pool(min(jobs, len(tasks)), _start, (study, results)) as executor:
        try:
            for future in as_completed([executor.submit(_work, *task) for task in tasks]):
                yield future.result()
        except BrokenProcessPool:
            raise ValueError(
                "a worker process died, perhaps for want of memory; what is done is kept: run it "
                "again to go on, with fewer --jobs"
            ) from None


def _carried_out_on_cluster(study, results, tasks, scheduler):
    from difffilter.blocks.cluster import each

    packed = pickle.dumps((study, results.absolute()))  # workers may run in another folder
    for number, rows, died in each(scheduler, _work_anywhere, [(packed, *task) for task in tasks]):
        if died:  # dask had others try it
            case, label = tasks[number]
            message = "ChildProcessError: its workers died, perhaps for want of memory"
            rows = [Row(*_key(case), label, "error", message)]
        yield rows


def _work_anywhere(packed, case, label):
    return _worker_of(packed)(case, label)


@lru_cache(maxsize=1)
def _worker_of(packed):
    return Worker(*pickle.loads(packed))


def _start(study, results):
    global _worker
    _worker = Worker(study, results)


def _work(case, label):
    return _worker(case, label)


@contextmanager
def on_path(folder):
    """Find modules in a folder, after all others."""
    sys.path.append(os.fspath(folder))
    try:
        yield
    finally:
        sys.path.remove(os.fspath(folder))


# --- before the work ------------------------------------------------------------------------


def _missing(study):
    """Make every method once: those that lack a library, with the reason; raises for the rest."""
    missing = {}
    for label, text in study.denoisers.items():
        try:
            make_method(text)
        except MissingExtra as error:
            missing[label] = str(error)
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"study {study.name}, method {label!r}: {error}") from None
    return missing


def _check_metrics(study):
    """Try the metrics, which may need a library, before an hour's work."""
    small = np.linspace(0, 1, 176 * 176).reshape(176, 176)
    for name in study.metrics:
        if name in METRICS:
            try:
                METRICS[name](small, small)
            except ModuleNotFoundError as error:
                raise ValueError(
                    f"the metric {name} needs {error.name}: pip install 'difffilter[bench]'"
                ) from None


def _digest(image):
    return hashlib.blake2b(str(image.shape).encode() + image.tobytes(), digest_size=16).hexdigest()


# --- results that are there already ---------------------------------------------------------


def _still_valid(study, results, digests, overwrite, retry):
    """The rows that need not be made again: of whole tasks that the study still asks for."""
    rows = list(dict.fromkeys(read_rows(results / "rows.csv", repair=True)))
    before = _read_sidecar(results / "study.json")
    changed = {
        label
        for label, text in before.get("denoisers", {}).items()
        if study.denoisers.get(label, text) != text
    } | {
        name
        for name, digest in before.get("digests", {}).items()
        if digests.get(name, digest) != digest
    }
    cases = set(study.cases())
    strays = [row for row in rows if _case(row) not in cases or row.denoiser not in study.denoisers]
    if strays and not overwrite:
        raise ValueError(
            f"{results} holds {len(strays)} rows that study {study.name} does not ask for, of "
            f"{strays[0].denoiser} on {strays[0].image} for one; pass --overwrite to drop them, or "
            "-o for another folder"
        )
    if before.get("sigma_known", study.sigma_known) != study.sigma_known:
        rows = []
    strays = set(strays)
    values = {}
    for row in rows:
        if row not in strays and not {row.denoiser, row.image} & changed:
            values.setdefault(row[:5], {}).setdefault(row.metric, row)
    kept = []
    for found in values.values():
        if "error" in found:
            kept += [] if retry else [found["error"]]
        elif set(study.metrics) <= set(found):
            kept += [found[metric] for metric in study.metrics]
    return _in_order(study, kept)


def _in_order(study, rows):
    """Rows in the order of the study, whatever order they were made in."""
    cases = {case: place for place, case in enumerate(study.cases())}
    labels = {label: place for place, label in enumerate(study.denoisers)}
    metrics = {metric: place for place, metric in enumerate((*study.metrics, "error"))}
    return sorted(
        rows, key=lambda row: (cases[_case(row)], labels[row.denoiser], metrics[row.metric])
    )


def _read_sidecar(path):
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise ValueError(f"{path} is damaged; pass -o for another folder") from None


def _write_sidecar(study, results, digests, missing, started=None):
    """What the rows are rows of; returns when the work started."""
    started = started or datetime.now().astimezone().isoformat(timespec="seconds")
    content = {
        "name": study.name,
        "title": study.title or study.name,
        "denoisers": study.denoisers,
        "oracles": [label for label, text in study.denoisers.items() if is_oracle(text)],
        "missing": missing,
        "noises": study.noises,
        "sigmas": study.sigmas,
        "seeds": study.seeds,
        "images": list(study.sources),
        "metrics": study.metrics,
        "sigma_known": study.sigma_known,
        "channels": study.channels,
        "crop": study.crop,
        "protocol": PROTOCOL + (
            " Methods are told σ." if study.sigma_known else " Methods estimate σ."
        ),
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "date": started,
        "digests": digests,
    }  # fmt: skip
    with replacing(results / "study.json") as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(text, "utf-8")
    return started


def _key(case):
    return case.image, case.noise, case.sigma, case.seed


def _case(row):
    return Case(*row[:4])
