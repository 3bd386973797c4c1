"""The existing results of a study that are still valid, and the record of the run that made them."""

from __future__ import annotations

import json
from datetime import datetime

from difffilter.benchmark import filling
from difffilter.benchmark.machine import commit, machine, versions
from difffilter.benchmark.methods import is_oracle
from difffilter.benchmark.rows import read_rows
from difffilter.io.files import replacing
from difffilter.noise.kinds import PROCESSED, check_kind

__all__ = ["in_order", "valid_rows", "write_record"]

NOISE_PROTOCOL = (
    "The noise is neither clipped nor quantised, but for camera and JPEG noise, and is determined by "
    "image, kind, σ and seed alone: every method sees the same pixels."
)

CLIPPED = "Results are clipped to [0, 1]; the noisy image shown beside them is not."

SCORES = (
    "PSNR has data range 1 and is averaged over images; SSIM is that of Wang et "
    "al. 2004 (11×11 Gaussian window, σ = 1.5, population covariance). Seconds are those of the call "
    "alone, after a warm-up, including the choice of parameters."
)

CHOSEN = (
    "Parameters come from the noisy image or from training images, never from the clean test image, "
    "except for methods labelled oracle."
)

REAL_PROTOCOL = (
    "Pairs of real noisy and clean images are taken as they are, and methods are not given σ there. "
    "Noisy images of the same clean one count as one image, by their mean."
)


def valid_rows(study, results, digests, *, overwrite=False, retry=False):
    """The rows that need not be computed again: those of complete tasks that the study asks for.

    Parameters
    ----------
    study : Study
    results : Path
        The folder of the results.
    digests : dict of str to str
        Name to digest of each image as it is now.
    overwrite : bool
        Whether rows that the study does not ask for may be dropped.
    retry : bool
        Whether failures are computed again.

    Returns
    -------
    list of Row
        In the order of the study.

    Raises
    ------
    ValueError
        If there are rows that the study does not ask for, unless `overwrite`; or if the record is
        damaged.
    """
    rows = list(dict.fromkeys(read_rows(results / "rows.csv", repair=True)))
    record = _read_record(results / "study.json")
    cases = set(study.cases())
    strays = {row for row in rows if row.case not in cases or row.denoiser not in study.denoisers}
    if strays and not overwrite:
        row = next(row for row in rows if row in strays)
        raise ValueError(
            f"{results} holds {len(strays)} rows that study {study.name} does not ask for (such as "
            f"{row.denoiser} on {row.image}); pass --overwrite to drop them, or -o for another "
            "folder"
        )
    if record.get("sigma_known", study.sigma_known) != study.sigma_known:
        return []
    stale = _changed(record.get("denoisers", {}), study.denoisers)
    stale |= _changed(record.get("digests", {}), digests)
    tasks = {}
    for row in rows:
        if row not in strays and not {row.denoiser, row.image} & stale:
            tasks.setdefault(row[:5], {}).setdefault(row.metric, row)
    kept = []
    for found in tasks.values():
        if "error" in found:
            kept += [] if retry else [found["error"]]
        elif set(study.metrics) <= set(found):
            kept += [found[metric] for metric in study.metrics]
    return in_order(study, kept)


def _changed(before, now):
    """The keys of `before` that have another value now."""
    return {key for key, value in before.items() if now.get(key, value) != value}


def in_order(study, rows):
    """Rows in the order of the study, in whatever order they were computed."""
    cases = {case: place for place, case in enumerate(study.cases())}
    labels = {label: place for place, label in enumerate(study.denoisers)}
    metrics = {metric: place for place, metric in enumerate((*study.metrics, "error"))}
    return sorted(
        rows, key=lambda row: (cases[row.case], labels[row.denoiser], metrics[row.metric])
    )


# --- the record -----------------------------------------------------------------------------


def _read_record(path):
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise ValueError(f"{path} is damaged; pass -o for another folder") from None


def write_record(study, results, digests, missing, started=None):
    """Write ``study.json``, the circumstances of the rows.

    Parameters
    ----------
    study : Study
    results : Path
        The folder of the results.
    digests : dict of str to str
        Name to digest of each image.
    missing : dict of str to str
        Label to reason, for methods that cannot run.
    started : str, optional
        When the work started; ``None``: now.

    Returns
    -------
    str
        When the work started.
    """
    started = started or datetime.now().astimezone().isoformat(timespec="seconds")
    content = {
        "name": study.name,
        "title": study.title or study.name,
        "denoisers": study.denoisers,
        "oracles": [label for label, text in study.denoisers.items() if is_oracle(text)],
        "missing": missing,
        "noises": study.kinds,
        "sigmas": study.sigmas,
        "seeds": study.seeds,
        "pairs": study.pairs,
        "images": study.names,
        "cases": len(study.cases()),
        "metrics": study.metrics,
        "sigma_known": study.sigma_known,
        "channels": study.channels,
        "crop": study.crop,
        "protocol": " ".join(_protocol(study)),
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
        "date": started,
        "digests": digests,
    }
    with replacing(results / "study.json") as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        temporary.write_text(text, "utf-8")
    return started


def _protocol(study):
    """The sentences of the protocol."""
    if study.holes:
        return [filling.HOLES, filling.given(study.sigmas), SCORES, filling.CHOSEN]
    if not study.sources:
        return [CLIPPED, SCORES, CHOSEN, REAL_PROTOCOL]
    given = "Methods are given σ." if study.sigma_known else "Methods estimate σ."
    if study.sigma_known and any(check_kind(noise)[0] in PROCESSED for noise in study.noises):
        given = (
            "Methods are given σ; with camera and JPEG noise, the root mean square of the noise in "
            "the image."
        )
    protocol = [NOISE_PROTOCOL, CLIPPED, SCORES, CHOSEN, given]
    return [*protocol, REAL_PROTOCOL] if study.pairs else protocol
