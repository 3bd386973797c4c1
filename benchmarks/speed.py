"""Speed of Perona–Malik diffusion and its peers: python benchmarks/speed.py [-o FOLDER]

Pixels per second of an iteration, memory, and the limits of the machine (for the time to a solution
see solutions.py). Medians over interleaved repeats; writes speed.md and a figure to the folder.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
from datetime import date
from functools import partial
from pathlib import Path

import matplotlib
import numba
import numpy as np
from scripting import describe, medians, seconds, table, write_report
from skimage import data

import difffilter as df

matplotlib.use("Agg")
from matplotlib import pyplot as plt

KAPPA = 0.1
GREY = [(256,) * 2, (512,) * 2, (1024,) * 2, (2048,) * 2, (4096,) * 2, (8192,) * 2]
COLOUR = [(512, 512, 3), (1024, 1024, 3), (2048, 2048, 3)]
VOLUMES = [(64,) * 3, (128,) * 3, (256,) * 3, (512,) * 3]

# A contestant is not measured again once its measurements have taken so many seconds.
PATIENCE = 4

# Flops per pixel and iteration in 2-D, a fused multiply-add counting 2: for each face the difference
# and its square, then 4 for τ d/(1 + d²/κ²), or 16 for τ exp(-d²/κ²) and a product; and 4 for the sum.
FLOPS = {"rational": 2 * (2 + 4) + 4, "exponential": 2 * (2 + 16 + 1) + 4}


# --- contestants ----------------------------------------------------------------------------


def ours(diffusivity, dtype=np.float32, presmooth=0.0):
    def run(image, iterations, step):
        axis = -1 if image.shape[-1] == 3 else None
        return df.perona_malik(
            image.astype(dtype, copy=False), iterations * step, kappa=KAPPA, presmooth=presmooth,
            diffusivity=diffusivity, step=step, channel_axis=axis,
        )  # fmt: skip

    return run, numba.set_num_threads


def diplib(name):
    import diplib

    def run(image, iterations, step):
        return np.asarray(
            diplib.PeronaMalikDiffusion(
                image, iterations=iterations, K=KAPPA, stepSizeLambda=step, g=name
            )
        )

    return run, diplib.SetNumberOfThreads


def medpy(option):
    from medpy.filter.smoothing import anisotropic_diffusion

    def run(image, iterations, step):
        return anisotropic_diffusion(
            image, niter=iterations, kappa=KAPPA, gamma=step, option=option
        )

    return run, lambda threads: None


def simpleitk():
    import SimpleITK as sitk

    def run(image, iterations, step):
        step = min(step, 0.5 ** (image.ndim + 1))  # its own bound
        # Its conductance is relative to the mean gradient; this converts κ.
        mean = np.sqrt(np.mean([np.square(g) for g in np.gradient(image)]) * image.ndim)
        smooth = sitk.GradientAnisotropicDiffusion(
            sitk.GetImageFromArray(image), step, float(KAPPA / (math.sqrt(2) * mean)), 1, iterations
        )
        return sitk.GetArrayFromImage(smooth)

    return run, sitk.ProcessObject.SetGlobalDefaultNumberOfThreads


def opencv():
    import cv2

    def run(image, iterations, step):
        eight_bits = np.clip(image * 255, 0, 255).astype(np.uint8)
        return cv2.ximgproc.anisotropicDiffusion(eight_bits, step, KAPPA, iterations) / 255

    return run, cv2.setNumThreads


MAKERS = {
    "difffilter, rational": lambda: ours("rational"),
    "difffilter, rational, presmoothed": lambda: ours("rational", presmooth=0.5),
    "difffilter, exponential": lambda: ours("exponential"),
    "difffilter, exponential, float64": lambda: ours("exponential", np.float64),
    "DIPlib, rational": lambda: diplib("quadratic"),
    "DIPlib, exponential": lambda: diplib("Gauss"),
    "medpy, rational": lambda: medpy(2),
    "medpy, exponential": lambda: medpy(1),
    "SimpleITK, exponential": simpleitk,
    "OpenCV, exponential, 8 bits": opencv,
}


def contestants(shape):
    """Name to (run, set_threads), of those that accept the image and are installed."""
    found = {}
    for name, make in MAKERS.items():
        colour = shape[-1] == 3
        if name.startswith("difffilter") or colour == name.startswith("OpenCV"):
            try:
                found[name] = make()
            except (ImportError, AttributeError) as error:
                print(f"{name}: not measured, {error}")
    return found


# --- iterations -----------------------------------------------------------------------------


def rates(shape, threads, repeats, seconds_each):
    """Mpixel·iterations/s of every contestant; colour counts each channel's pixels."""
    image = np.random.default_rng(0).random(shape, np.float32)
    functions = contestants(shape)
    iterations, times = {}, {name: [] for name in functions}
    for name, (run, set_threads) in functions.items():
        set_threads(threads)
        run(image[: 64 if image.ndim == 2 else 16], 2, 0.1)
        trial = seconds(run, image, 2, 0.1)
        each = trial / 2
        if trial < seconds_each:  # the part independent of the iterations matters
            each = max((seconds(run, image, 10, 0.1) - trial) / 8, trial / 20)
        # (Enough that copying a large image hardly matters, if time permits.)
        enough = 16 if 16 * each < PATIENCE else 2
        iterations[name] = max(enough, min(256, round(seconds_each / each)))
        if iterations[name] == 2:
            times[name].append(trial)
    for _ in range(repeats):
        for name, (run, set_threads) in functions.items():
            if sum(times[name]) < PATIENCE:
                set_threads(threads)
                times[name].append(seconds(run, image, iterations[name], 0.1))
    return {
        name: image.size * iterations[name] / 1e6 / statistics.median(times[name])
        for name in functions
    }


# --- the machine's ceilings -----------------------------------------------------------------


@numba.njit(parallel=True)
def copy(a, b, workers):
    for worker in numba.prange(workers):
        first, last = worker * len(a) // workers, (worker + 1) * len(a) // workers
        b[first:last] = a[first:last]


@numba.njit(parallel=True, fastmath={"contract"})
def multiply_add(rows, times):
    for worker in numba.prange(len(rows)):
        x = rows[worker]
        a, b = np.float32(0.999), np.float32(0.001)
        for _ in range(times):
            for i in range(len(x)):
                y = x[i]
                y = y * a + b
                y = y * a + b
                y = y * a + b
                y = y * a + b
                y = y * a + b
                y = y * a + b
                y = y * a + b
                y = y * a + b
                x[i] = y


def ceilings(threads):
    """Bytes/s of copying (read and written), and flop/s of multiply-adds in the L1 cache."""
    numba.set_num_threads(threads)
    a, b = np.ones(1 << 27, np.float32), np.zeros(1 << 27, np.float32)
    rows, times = np.ones((threads, 4096), np.float32), 20000
    copy(a, b, threads)
    multiply_add(rows, 1)
    copying = min(seconds(copy, a, b, threads) for _ in range(5))
    adding = min(seconds(multiply_add, rows, times) for _ in range(5))
    return 2 * a.nbytes / copying, 16 * rows.size * times / adding


def peak_memory(scheme, presmooth=0.0, side=4096):
    """Peak memory beyond input and output, in images; measured in a process of its own."""
    step = {"explicit": 0.2, "auto": None, "fsi": 5.0, "aos": 5.0}[scheme]
    code = (
        "import re, numpy as np, difffilter as df\n"
        "def run(image): return df.perona_malik(image, 10.0, 0.1, diffusivity='rational',"
        f" scheme='{scheme}', step={step}, presmooth={presmooth})\n"
        "def memory(what):\n"
        "    return 1024 * int(re.search(what + r':\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        f"run(np.zeros((256, 256), np.float32)); image = np.full(({side}, {side}), 0.5, np.float32)\n"
        # (The compiler's peak is higher than that of the run: reset it.)
        "image[::3] += 0.01; open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = memory('VmRSS'); run(image)\n"
        "print((memory('VmHWM') - before) / image.nbytes - 1)"
    )
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(text.stdout)


# --- report ---------------------------------------------------------------------------------


def label(shape):
    return "×".join(map(str, shape))


def rate_table(results, shapes, threads):
    rows = []
    for name in MAKERS:
        found = [results[s, threads].get(name) for s in shapes]
        if any(found):
            rows.append([name, *(f"{rate:.0f}" if rate else "–" for rate in found)])
    for kind in ("rational", "exponential"):
        cells = []
        for s in shapes:
            row = results[s, threads]
            peers = [r for n, r in row.items() if not n.startswith("difffilter") and kind in n]
            cells.append(f"{row[f'difffilter, {kind}'] / max(peers):.1f}" if peers else "–")
        rows.append([f"**difffilter / fastest peer, {kind}**", *cells])
    return table(["", *map(label, shapes)], rows)


def plot(results, all_threads, bandwidth, path):
    figure, axes = plt.subplots(1, 3, figsize=(14, 4.5), layout="constrained")
    for ax, shapes, title in zip(
        axes, (GREY, COLOUR, VOLUMES), ("grey", "colour", "volumes"), strict=True
    ):
        shapes = [s for s in shapes if (s, all_threads) in results]
        for name in MAKERS:
            for threads, style in ((1, ":"), (all_threads, "-")):
                points = [(math.prod(s), results[s, threads].get(name)) for s in shapes]
                points = [p for p in points if p[1]]
                if points:
                    colour = f"C{list(MAKERS).index(name)}"
                    ax.loglog(*zip(*points, strict=True), style, marker="o", color=colour,
                              label=name if style == "-" else None)  # fmt: skip
        ax.axhline(bandwidth / 8e6, color="0.6", lw=1)
        ax.set(title=title, xlabel="values in the image")
    axes[0].set_ylabel("Mpixel·iterations/s (dotted: one thread)")
    axes[0].annotate("copying once an iteration", (axes[0].get_xlim()[0], bandwidth / 8e6),
                     color="0.4", va="bottom")  # fmt: skip
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=110)


def choice_table(sides, repeats):
    """Seconds with all parameters chosen, and with the same parameters given."""
    every, taken = df.PeronaMalik(), []
    for side in sides:
        photo = np.pad(data.camera() / 255, (0, max(0, side - 512)), mode="symmetric")[:side, :side]
        noise = np.random.default_rng(0).normal(0, 25 / 255, photo.shape)
        image = (photo + noise).astype(np.float32)
        runs = {
            "all chosen": partial(every, image),
            "the same, given": partial(every.choose(image), image),
        }
        taken.append(medians(runs, repeats, warm_up=False))
    rows = [[name, *(f"{each[name]:.4f}" for each in taken)] for name in taken[0]]
    ratios = [each["all chosen"] / each["the same, given"] for each in taken]
    rows.append(["**ratio**", *(f"{ratio:.1f}" for ratio in ratios)])
    return table(["", *(label((side, side)) for side in sides)], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="folder for speed.md and figures")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=0.4, help="approximate duration of each measurement"
    )
    parser.add_argument("--largest", type=int, default=1 << 27, help="largest image, in pixels")
    parser.add_argument(
        "--rates-only", action="store_true", help="omit the choice of parameters and memory"
    )
    options = parser.parse_args()
    everything = numba.config.NUMBA_NUM_THREADS
    shapes = [s for s in (*GREY, *COLOUR, *VOLUMES) if math.prod(s) <= options.largest]
    ceiling = {n: ceilings(n) for n in sorted({1, everything})}
    results = {}
    for shape in shapes:
        for threads in sorted({1, everything}):
            results[shape, threads] = rates(shape, threads, options.repeats, options.seconds)
            print(label(shape), threads, {k: round(v) for k, v in results[shape, threads].items()})
    numba.set_num_threads(everything)
    load = os.getloadavg()[0]
    lines = [
        "# Speed of Perona–Malik diffusion",
        "",
        f"{describe('numba', 'diplib', 'medpy', 'SimpleITK', 'opencv-contrib-python-headless')}; "
        f"{date.today()}; load of the machine at the end {load:.1f}.",
        f"float32; medians of {options.repeats} interleaved repeats, of "
        f"{3 * options.repeats} for the choice of parameters. benchmarks/speed.py.",
    ]
    for threads in sorted({1, everything}):
        for group, what in (
            (GREY, "grey"),
            (COLOUR, "colour, each channel's pixels"),
            (VOLUMES, "volumes"),
        ):
            group = [s for s in group if s in shapes]
            if group:
                lines += ["", f"## Mpixel·iterations/s, {what}, threads: {threads}", ""]
                lines += rate_table(results, group, threads)
    lines += roofline(results, ceiling, [s for s in GREY if s in shapes], everything)
    if not options.rates_only:
        sides = [s[0] for s in GREY if s in shapes and s[0] <= 4096]
        lines += ["", "## Seconds when all parameters are chosen", "",
                  "Camera, mirrored or cut, with noise of 25/255. All threads.", "",
                  *choice_table(sides, 3 * options.repeats)]  # fmt: skip
        lines += ["", "## Memory", "",
                  "Images beyond input and output at the peak, 4096×4096 float32:", ""]  # fmt: skip
        for scheme in ("explicit", "fsi", "aos", "auto"):
            memory = [peak_memory(scheme, presmooth) for presmooth in (0.0, 0.5)]
            lines.append(f"- {scheme}: {memory[0]:.1f}; presmoothed {memory[1]:.1f}")
    figure = []
    if options.output:
        plot(results, everything, ceiling[everything][0], options.output / "speed.png")
        figure = ["", "![rates by size](speed.png)"]
    write_report([*lines, *figure], options.output and options.output / "speed.md")


def roofline(results, ceiling, shapes, everything):
    """The limits by arithmetic and by memory, and the rates relative to them."""
    lines = ["", "## Roofline, grey", ""]
    for threads, (copying, adding) in ceiling.items():
        lines.append(
            f"- threads: {threads}; copying {copying / 1e9:.1f} GB/s (read and written), "
            f"multiply-adds {adding / 1e9:.0f} GFlop/s"
        )
    lines += ["", "A sweep that reads and writes each float32 once an iteration moves 8 bytes. "
              f"An iteration takes {FLOPS['rational']} flops a pixel with the rational diffusivity "
              f"and {FLOPS['exponential']} with the exponential. All threads:", "",
              "| | GFlop/s | of multiply-adds | GB/s if unblocked | of copying | threads' gain |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    copying, adding = ceiling[everything]
    for kind, flops in FLOPS.items():
        for shape in shapes:
            rate = results[shape, everything][f"difffilter, {kind}"] * 1e6
            gain = rate / (results[shape, 1][f"difffilter, {kind}"] * 1e6)
            lines.append(
                f"| {kind}, {label(shape)} | {rate * flops / 1e9:.0f} | {rate * flops / adding:.2f} "
                f"| {rate * 8 / 1e9:.1f} | {rate * 8 / copying:.2f} | {gain:.2f} |"
            )
    return lines


if __name__ == "__main__":
    main()
