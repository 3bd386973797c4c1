"""Run a study: every method on every case, resumable at any moment."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from difffilter.benchmark import worker
from difffilter.benchmark.methods import method_of, on_path
from difffilter.benchmark.resume import in_order, valid_rows, write_record
from difffilter.benchmark.rows import as_csv, write_rows
from difffilter.catalog import MissingExtra
from difffilter.checks import check_choice
from difffilter.metrics import METRICS
from difffilter.relay import recorded, relayed
from difffilter.workers import pool

__all__ = ["run"]


def run(study, results, *, jobs=1, overwrite=False, retry=False, methods=None, scheduler=None):
    """Run a study, or what is left of it.

    Parameters
    ----------
    study : Study
        What to compare.
    results : str or Path
        The folder of the results, created if need be: ``rows.csv``, ``study.json`` and pictures in
        ``examples``. Results that are there are kept, unless the image or the text of the method
        has changed.
    jobs : int, default 1
        Number of processes, which share the processor's cores; a single one has all of them.
    overwrite : bool, default False
        Whether rows that the study does not ask for may be dropped from the results.
    retry : bool, default False
        Whether to try failed calls again.
    methods : sequence of str, optional
        Labels of the only methods to run now; ``None``: all.
    scheduler : str, optional
        Address of a dask cluster, whose workers have this package and see the files under the same
        paths; ``None``: this machine.

    Returns
    -------
    failed : int
        How many calls failed.
    missing : dict of str to str
        Label to reason, for methods that need a library that is not installed.

    Raises
    ------
    OSError, ValueError
        If a method or parameter is unknown, an image cannot be read, `results` holds those of
        another study, or a worker process died.
    """
    results = Path(results)
    labels = list(study.denoisers)
    for label in methods or ():
        check_choice("method", label, labels)
    missing = _missing(study)
    _check_metrics(study)
    digests = {name: _digest(study.pixels(name)) for name in study.names}
    results.mkdir(parents=True, exist_ok=True)
    table = results / "rows.csv"
    rows = valid_rows(study, results, digests, overwrite=overwrite, retry=retry)
    write_rows(table, rows)
    started = write_record(study, results, digests, missing)
    wanted = [n for n in labels if n not in missing and (methods is None or n in methods)]
    done = {(row.case, row.denoiser) for row in rows}
    tasks = [(case, n) for case in study.cases() for n in wanted if (case, n) not in done]
    with open(table, "ab") as file, tqdm(total=len(tasks), disable=None, unit="call") as bar:
        for new in _carried_out(study, results, tasks, jobs, scheduler):
            file.write(as_csv(new))
            file.flush()
            os.fsync(file.fileno())
            rows += new
            bar.update()
    write_rows(table, in_order(study, rows))
    write_record(study, results, digests, missing, started)
    return sum(row.metric == "error" for row in rows), missing


# --- before the work ------------------------------------------------------------------------


def _missing(study):
    """Make every method once; label to reason for those that lack a library."""
    missing = {}
    with on_path(study.folder):
        for label, text in study.denoisers.items():
            try:
                method_of(text, filling=bool(study.holes))
            except MissingExtra as error:
                missing[label] = str(error)
            except (OSError, TypeError, ValueError) as error:
                raise ValueError(f"study {study.name}, method {label!r}: {error}") from None
    return missing


def _check_metrics(study):
    """Try the metrics, which may need a library, before hours of work."""
    small = np.linspace(0, 1, 176 * 176).reshape(176, 176)
    for name in study.metrics:
        if name in METRICS:
            try:
                METRICS[name](small, small)
            except ModuleNotFoundError as error:
                raise ValueError(
                    f"the metric {name} needs {error.name}: pip install 'difffilter[bench]'"
                ) from None


def _digest(images):
    digest = hashlib.blake2b(digest_size=16)
    for image in images:
        digest.update(str(image.shape).encode() + image.tobytes())
    return digest.hexdigest()


# --- the work -------------------------------------------------------------------------------


def _carried_out(study, results, tasks, jobs, scheduler):
    """The rows of each task, in the order in which tasks finish."""
    if scheduler is not None:
        yield from _on_cluster(study, results, tasks, scheduler)
    elif jobs == 1 or len(tasks) < 2:
        work = worker.Worker(study, results)
        for task in tasks:
            yield work(*task)
    else:
        yield from _in_processes(study, results, tasks, jobs)


def _in_processes(study, results, tasks, jobs):
    with pool(min(jobs, len(tasks)), worker.start, (study, results)) as executor:
        try:
            futures = [executor.submit(recorded, worker.work, *task) for task in tasks]
            for future in as_completed(futures):
                yield relayed(*future.result())
        except BrokenProcessPool:
            raise ValueError(
                "a worker process died, perhaps for lack of memory; finished results are kept: run "
                "the study again to continue, with fewer --jobs"
            ) from None


def _on_cluster(study, results, tasks, scheduler):
    from difffilter.blocks.cluster import each

    content = worker.packed(study, results)
    calls = [(content, *task) for task in tasks]
    for number, rows, died in each(scheduler, worker.work_unpacked, calls):
        if died:  # after dask has tried other workers
            message = "ChildProcessError: its workers died, perhaps for lack of memory"
            rows = worker.failure(*tasks[number], message)
        yield rows
