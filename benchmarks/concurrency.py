"""Time filters alone, in several processes at once, and beside busy loops.

    python benchmarks/concurrency.py              # benchmarks/results/concurrency.md, half an hour
    python benchmarks/concurrency.py --rounds 1 --seconds 1 -o -    # a look

Run it on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import date
from pathlib import Path
from unittest import mock

from scripting import describe, table, write_report

from difffilter.parallel import cores

RESULTS = Path(__file__).resolve().parent / "results" / "concurrency.md"

FILTERS = {
    "DDPM, 256²": ("ddpm", 256),
    "Perona–Malik, 512²": ("perona_malik", 512),
    "edge-enhancing, 512²": ("edge_enhancing", 512),
    "coherence-enhancing, 512²": ("coherence_enhancing", 512),
}

# Processes that filter, busy loops beside them.
CASES = {
    "alone": (1, 0),
    "2 processes": (2, 0),
    "4 processes": (4, 0),
    "beside 2 loops": (1, 2),
    "beside 4 loops": (1, 4),
}

# The library imported first: PyTorch, which brings its own OpenMP library, or difffilter.
FIRST = ("difffilter", "torch")

LOOP = "while True: pass"


# --- one process ----------------------------------------------------------------------------


def work(method, side, first, seconds, compare):
    """Filter for some time from a line of standard input on; the durations as JSON.

    With ``compare`` every other call goes without `difffilter.parallel`: on all cores, whether they
    are free or not, and PyTorch by its own parallel loops.
    """
    if first == "torch":
        import torch

        torch.rand(10**6).add(1)  # starts its threads
    import numpy as np
    from skimage import data

    import difffilter as df

    clean = data.camera()[:side, :side] / 255
    noisy = (clean + 0.1 * np.random.default_rng(0).standard_normal(clean.shape)).astype(np.float32)
    ways = [nullcontext, without] if compare else [nullcontext]
    for way in ways:
        with way():
            df.denoise(noisy, sigma=0.1, method=method)
    print("ready", flush=True)
    sys.stdin.readline()
    taken = [[] for _ in ways]
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(taken[-1]) < 3:
        for way, durations in zip(ways, taken, strict=True):
            with way():
                start = time.perf_counter()
                df.denoise(noisy, sigma=0.1, method=method)
                durations.append(time.perf_counter() - start)
    print(json.dumps(taken), flush=True)


@contextmanager
def without():
    """As if `difffilter.parallel` knew nothing."""
    from difffilter.ddpm import denoiser, tiles
    from difffilter.pde.kernels import common

    with ExitStack() as stack:
        for where, name, instead in (
            (common, "run", lambda function, arguments: function(*arguments)),
            (denoiser, "one_thread", nullcontext),
            (tiles, "in_threads", map),
        ):
            stack.enter_context(mock.patch.object(where, name, instead))
        yield


# --- several --------------------------------------------------------------------------------


def together(method, side, first, processes, loops, seconds, compare=False):
    """The durations in each of some processes that work at the same time."""
    arguments = [method, str(side), first, str(seconds), str(int(compare))]
    # (Other programs' settings of threads would be measured with it.)
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "NUMBA_NUM"))
    }
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, "--work", *arguments], env=clean,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )
            for _ in range(processes)
        ]  # fmt: skip
        for worker in workers:
            if worker.stdout.readline() != "ready\n":
                raise RuntimeError(f"a process of {method} failed")
        busy = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", LOOP]))
            for _ in range(loops)
        ]
        for each in busy:
            stack.callback(each.kill)
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        return [json.loads(worker.stdout.readline()) for worker in workers]


def fair(processes, loops):
    """The time of a process that gets its fair share of the cores, relative to running alone.

    A busy loop takes one core at most.
    """
    total = cores()
    return total / max(total / (processes + loops), (total - loops) / processes)


def measure(options):
    """The lines of the report."""
    slowest = {}  # (filter, case, first) -> of each round the median of the slowest process
    ratios = {}  # (filter, first) -> of each round the time alone over that without the policy
    for _ in range(options.rounds):
        for name, (method, side) in FILTERS.items():
            for first in FIRST:
                for case, (processes, loops) in CASES.items():
                    taken = together(method, side, first, processes, loops, options.seconds)
                    worst = max(statistics.median(each) for (each,) in taken)
                    slowest.setdefault((name, case, first), []).append(worst)
                ((with_it, without_it),) = together(
                    method, side, first, 1, 0, options.seconds, compare=True
                )
                ratio = statistics.median(with_it) / statistics.median(without_it)
                ratios.setdefault((name, first), []).append(ratio)
                print(name, first, "done", file=sys.stderr, flush=True)

    def cell(name, case, first):
        taken = statistics.median(slowest[name, case, first])
        alone = statistics.median(slowest[name, "alone", first])
        if case == "alone":
            return f"{taken:.3f} s"
        return f"{taken / alone / fair(*CASES[case]):.2f} ({taken:.3f} s)"

    rows = [
        [
            name,
            first,
            *(cell(name, case, first) for case in CASES),
            f"{statistics.median(ratios[name, first]):.2f}",
        ]
        for name in FILTERS
        for first in FIRST
    ]
    return [
        "# Beside other processes",
        "",
        f"{describe('numba', 'torch')}; {date.today()}. benchmarks/concurrency.py.",
        "",
        "Time of a call, all parameters chosen: alone, in two and four processes at once, and in one "
        "beside two and four endless loops. A ratio is that of the slowest process to its fair "
        "share: with n processes in all it gets 1/n of the machine, or what the loops, which use one "
        "core each, leave. At most 1.5 is the aim; below 1 the filter does not use all cores when it "
        "is alone. The last column is the time alone over that on all cores without a look at "
        f"which are free. Medians of {options.rounds} rounds of {options.seconds:g} s.",
        "",
        *table(["filter", "imported first", *CASES, "alone, to without"], rows),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="- for none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    write_report(measure(options), None if str(options.output) == "-" else options.output)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        method, side, first, seconds, compare = sys.argv[2:]
        work(method, int(side), first, float(seconds), bool(int(compare)))
    else:
        main()
