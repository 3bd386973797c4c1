"""Write the tables of results, from the committed ones: python benchmarks/results_page.py

This writes all of docs/results.md, and the part of README.md between the two marks. A test fails if
either is out of date.
"""

import json
from pathlib import Path
from statistics import fmean, median

from difffilter.benchmark.rows import read_rows
from difffilter.io.files import replacing

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
PAGE = HERE.parent / "docs/results.md"
CARDS = HERE.parent / "difffilter/ddpm/weights"
START, END = "<!-- written by benchmarks/results_page.py -->", "<!-- end -->"

# The methods in the README's table, and their names there.
SHOWN = {
    "ddpm": "`ddpm`, a diffusion model",
    "learned": "`learned`, a PDE learned from photographs",
    "learned, convex": '`learned(weights="convex-gray")`, a learned energy',
    "BM3D": "BM3D",
    "auto": "`auto`, the default",
    "edge_enhancing": "`edge_enhancing`",
    "perona_malik": "`perona_malik`",
    "non-local means": "non-local means (scikit-image)",
    "total variation": "total variation (scikit-image)",
    "heat": "`heat`",
    "identity": "noisy image",
}


class Results:
    """The rows of a committed study, with its protocol and machine."""

    def __init__(self, name):
        folder = HERE / "results" / name
        self.about = json.loads((folder / "study.json").read_text("utf-8"))
        self.values = {}
        for row in read_rows(folder / "rows.csv"):
            if row.metric != "error":
                key = row.denoiser, row.sigma, row.metric
                self.values.setdefault(key, []).append(row.value)

    def table(self, seconds=None, shown=None, texture=True):
        """Methods, the best first, as a Markdown table.

        Parameters
        ----------
        seconds : dict of str to str, optional
            A last column, by label.
        shown : dict of str to str, optional
            The labels to show and their names; ``None``: all.
        texture : bool, default True
            Whether to show the texture distance.
        """
        sigmas = self.about["sigmas"]
        middle = sigmas[len(sigmas) // 2]
        level = f"{middle * 255:g}"
        heads = [f"σ = {sigma * 255:g}" for sigma in sigmas] + [f"SSIM, σ = {level}"]
        if texture:
            heads.append(f"texture, σ = {level}")
        if seconds:
            heads.append("seconds")
        lines = ["| method | " + " | ".join(heads) + " |"]
        lines.append("|---|" + "---:|" * len(heads))
        labels = shown or {label for label, _, _ in self.values}
        for label in sorted(labels, key=lambda label: -fmean(self.values[label, middle, "psnr"])):
            cells = [f"{fmean(self.values[label, sigma, 'psnr']):.2f}" for sigma in sigmas]
            cells.append(f"{fmean(self.values[label, middle, 'ssim']):.3f}")
            if texture:
                cells.append(f"{fmean(self.values[label, middle, 'texture']):.4f}")
            if seconds:
                cells.append(seconds.get(label, ""))
            name = (shown or {"identity": "noisy image"}).get(label, label)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        return lines

    def seconds(self):
        """Label to the median of its seconds."""
        return {
            label: f"{median(values):.2g}"
            for (label, _, metric), values in self.values.items()
            if metric == "seconds" and label != "identity"
        }

    def machine(self):
        """The machine on which the study ran."""
        machine = self.about["machine"]
        return f"{machine['processor']}, {machine['cores']} cores"


# PSNR at σ·255 = 15, 25 and 50 as published: BM3D by Dabov et al. 2007, DnCNN by Zhang et al. 2017,
# DRUNet by Zhang et al. 2021, who compare all of them.
PUBLISHED = {
    "set12": {
        "BM3D": (32.37, 29.97, 26.72),
        "DnCNN": (32.86, 30.44, 27.18),
        "DRUNet": (33.25, 30.94, 27.90),
    },
    "bsd68": {
        "BM3D": (31.08, 28.57, 25.60),
        "DnCNN": (31.73, 29.23, 26.23),
        "DRUNet": (31.91, 29.48, 26.59),
    },
    "cbsd68": {
        "CBM3D": (33.52, 30.71, 27.38),
        "DnCNN": (33.90, 31.24, 27.95),
        "DRUNet": (34.30, 31.69, 28.51),
    },
}


# PSNR on real noise as published: DMID by Li et al. 2024.
PUBLISHED_REAL = {"cc": 37.99, "polyu": 38.62}


def real():
    """The studies of real noise as one table."""
    names = {"cc": "CC", "polyu": "PolyU"}
    studies = {name: Results(name) for name in names}
    heads = [f"{name}, {what}" for name in names.values() for what in ("PSNR", "SSIM")]
    lines = ["| method | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    found = {label for study in studies.values() for label, _, _ in study.values}
    mean = {
        (label, name, metric): fmean(study.values[label, 0, metric])
        for label in found
        for name, study in studies.items()
        for metric in ("psnr", "ssim")
        if (label, 0, metric) in study.values
    }
    for label in sorted(found, key=lambda label: (-mean[label, "cc", "psnr"], label)):
        cells = [
            f"{mean[label, name, metric]:{form}}" if (label, name, metric) in mean else ""
            for name in names
            for metric, form in (("psnr", ".2f"), ("ssim", ".3f"))
        ]
        name = "noisy image" if label == "identity" else label
        lines.append(f"| {name} | {' | '.join(cells)} |")
    cells = " | ".join(f"{PUBLISHED_REAL[name]:.2f} | " for name in names)
    return [*lines, f"| DMID, as published | {cells} |"]


# The oracles of the equations that the default chooses between.
PDE_ORACLES = ("oracle(edge_enhancing)", "oracle(perona_malik)")


def made(*names):
    """Studies of made noise, of which methods are told nothing, as one table of PSNR.

    The last row says how far the default is below the better of its equations' oracles.
    """
    psnr = {}
    for name in names:
        for row in read_rows(HERE / "results" / name / "rows.csv"):
            if row.metric == "psnr":
                case = name, row.noise, row.sigma
                psnr.setdefault(row.denoiser, {}).setdefault(case, {})[row.image] = row.value
    cases = sorted(psnr["identity"], key=lambda case: (names.index(case[0]), case[2], case[1]))
    heads = [
        f"{noise.replace('(quality=', ', JPEG ').rstrip(')')}, {round(255 * sigma, 1):g}"
        for _, noise, sigma in cases
    ]
    lines = ["| method | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(cases)]
    mean = {
        label: [fmean(found[case].values()) if case in found else None for case in cases]
        for label, found in psnr.items()
    }
    ranked = sorted(mean, key=lambda label: -fmean(m for m in mean[label] if m is not None))
    for label in ranked:
        cells = ["" if m is None else f"{m:.2f}" for m in mean[label]]
        name = "noisy image" if label == "identity" else label
        lines.append(f"| {name} | {' | '.join(cells)} |")
    gaps = [
        fmean(
            max(psnr[label][case][image] for label in PDE_ORACLES) - value
            for image, value in psnr["auto"][case].items()
        )
        for case in cases
    ]
    return [*lines, f"| *auto below its oracle* | {' | '.join(f'{gap:.2f}' for gap in gaps)} |"]


# The kinds of holes on the page, and their names there.
HOLES = {
    "random(share=0.8)": "80 % missing",
    "text": "text",
    "scratches": "scratches",
    "blocks": "blocks",
    "sparse(share=0.01)": "1 % known",
    "sparse(share=0.02)": "2 %",
    "sparse(share=0.05)": "5 %",
    "sparse(share=0.1)": "10 %",
    "sparse(share=0.2)": "20 %",
}


def filled(**studies):
    """Studies of filling in, by the name of their images, as one table of PSNR in the holes."""
    values = {}
    for name, study in studies.items():
        for row in read_rows(HERE / "results" / study / "rows.csv"):
            if row.metric == "psnr":
                values.setdefault((name, row.noise), {}).setdefault(row.denoiser, []).append(
                    row.value
                )
    cases = sorted(
        values, key=lambda case: (list(studies).index(case[0]), list(HOLES).index(case[1]))
    )
    heads = [f"{name}, {HOLES[kind]}" for name, kind in cases]
    lines = ["| method | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(cases)]
    first = values[cases[0]]
    for label in sorted(first, key=lambda label: -fmean(first[label])):
        cells = [
            f"{fmean(values[case][label]):.2f}" if label in values[case] else "" for case in cases
        ]
        name = "mean of the known pixels" if label == "identity" else label
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def cards():
    """The model cards of the shipped weights."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(CARDS.glob("*.json"))]


def costs():
    """The cost of the shipped weights, as a table."""
    lines = ["| weights | parameters | file | multiply-adds per pixel | seconds for 512² |"]
    lines.append("|---|" + "---:|" * 4)
    for card in cards():
        cells = f"{card['parameters'] / 1e6:.2f} M", f"{card['bytes'] / 1e6:.1f} MB"
        lines.append(f"| {card['name']} | {' | '.join(cells)} "
                     f"| {card['multiply_adds']:,} | {card['seconds']:.2g} |")  # fmt: skip
    return lines


def weights():
    """The quality of the shipped weights beside published results, as a table."""
    levels = ("15", "25", "50")
    lines = ["| images | method | σ = 15 | σ = 25 | σ = 50 |", "|---|---|---:|---:|---:|"]
    for images, published in PUBLISHED.items():
        for card in cards():
            if images in card["psnr"]:
                psnr, ssim = (card[metric][images]["mmse"] for metric in ("psnr", "ssim"))
                cells = [f"{psnr[level]:.2f} (SSIM {ssim[level]:.3f})" for level in levels]
                lines.append(f"| {images} | {card['name']} | {' | '.join(cells)} |")
        for name, scores in published.items():
            cells = " | ".join(f"{score:.2f}" for score in scores)
            lines.append(f"| {images} | {name}, as published | {cells} |")
    return lines


# The rates on the page: kind of image, its size, diffusivity.
RATES = (
    ("grey", "1024×1024", "rational"),
    ("grey", "1024×1024", "exponential"),
    ("grey", "4096×4096", "rational"),
    ("volumes", "256×256×256", "exponential"),
    ("colour, each channel's pixels", "1024×1024×3", "exponential"),
)


def rates():
    """The rates of speed.md with the most threads, as one table."""
    tables = {}
    for section in (HERE / "results/speed.md").read_text("utf-8").split("\n## ")[1:]:
        title, *lines = section.splitlines()
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
        if title.startswith("Mpixel"):  # the last one, with the most threads, wins
            kind = title.partition(", ")[2].rpartition(", threads")[0]
            tables[kind] = {
                (name, size): rate
                for name, *row in cells[2:]
                for size, rate in zip(cells[0][1:], row, strict=True)
            }
    names = ("difffilter", "DIPlib", "medpy", "SimpleITK", "OpenCV")
    lines = ["| image | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for kind, size, diffusivity in RATES:
        cells = [
            next((rate for (who, at), rate in tables[kind].items()
                  if who in (f"{name}, {diffusivity}", f"{name}, {diffusivity}, 8 bits")
                  and at == size), "–")
            for name in names
        ]  # fmt: skip
        lines.append(f"| {kind}, {size}, {diffusivity} | {' | '.join(cells)} |")
    return lines


def summary():
    """The part of the README: one table and its explanation."""
    grey, timed = Results("bsd68"), Results("seconds")
    lines = [
        *grey.table(timed.seconds(), SHOWN, texture=False),
        "",
        f"Mean PSNR in dB over the {len(grey.about['images'])} photographs of BSD68, with white "
        "Gaussian noise of known σ in units of 1/255. Seconds are for one call on 392² pixels "
        f"({timed.machine()}), including the choice of parameters. No method was tuned on these "
        "images. [All results](docs/results.md).",
    ]
    return "\n".join(lines)


def page():
    """The page of all results."""
    grey, colour, modes = Results("bsd68"), Results("cbsd68"), Results("modes")
    timed = Results("seconds")
    lines = [
        "# Results",
        "",
        "<!-- written by benchmarks/results_page.py -->",
        "",
        "PSNR is in dB, σ in units of 1/255. Unless it is real, the noise is white and Gaussian, "
        "neither clipped nor quantised, and every method is given its σ. difffilter chooses its "
        "parameters from the noisy image, and its times include that. The constants of other "
        "libraries' methods were calibrated on training images. An oracle sees the clean image, so it "
        "is a bound and not a method. Nothing was tuned on the test images.",
        "",
        "`benchmarks/results/` holds every number with the machine and the versions it was measured "
        "with; [](guide/comparing.md) explains how to repeat a study.",
        "",
        "## Grey photographs",
        "",
        f"Means over the {len(grey.about['images'])} images of BSD68. Seconds are the median of one "
        f"call on 392² pixels, the size of a BSD68 image ({timed.machine()}). *Texture* is the "
        "distance between the distributions of differences of neighbouring pixels in the result and "
        "in the clean image; lower is better.",
        "",
        *grey.table(timed.seconds()),
        "",
        "## Colour photographs",
        "",
        f"Means over the {len(colour.about['images'])} images of CBSD68.",
        "",
        *colour.table(),
        "",
        "## Real noise of cameras",
        "",
        f"Means over the {len(Results('cc').about['images'])} crops of CC, uncompressed, and the "
        f"{len(Results('polyu').about['images'])} of PolyU, JPEG files of quality 75, against means of "
        "many shots. No method is given anything: the other libraries' take the σ that difffilter "
        "estimates for white noise. *ddpm* chooses between the weights of the two rows that name the "
        "noise.",
        "",
        *real(),
        "",
        "## Made noise of cameras, and correlated noise",
        "",
        f"PSNR, means over {len(Results('camera').about['images'])} images of CBSD68 (the middle 256² "
        f"pixels) and {len(Results('correlated').about['images'])} of BSD68 with Gaussian noise of FWHM "
        "2 pixels; the numbers are σ·255, for cameras that of the shot noise where a raw value is 1. "
        "Methods are told nothing; an *oracle* is told the root mean square of the noise and has the "
        "best parameters for each image.",
        "",
        *made("camera", "correlated"),
        "",
        "## Filling in",
        "",
        f"PSNR in the holes, means over the {len(Results('inpainting').about['images'])} images of Set12 "
        f"and the {len(Results('inpainting-random').about['images'])} of BSD68.",
        "",
        *filled(Set12="inpainting", BSD68="inpainting-random"),
        "",
        "From a few pixels, drawn at random, of the images of Set12:",
        "",
        *filled(Set12="inpainting-sparse"),
        "",
        "## Modes of the DDPM",
        "",
        "Means over the central 128² pixels of seven photographs; samples take 20 steps. A sample "
        "has the texture of a clean image and a larger error; the mean has the smaller error and is "
        "too smooth.",
        "",
        *modes.table(),
        "",
        "## Weights of the DDPM",
        "",
        f"Mode `mmse`; times on the CPU ({cards()[0]['machine']}).",
        "",
        *costs(),
        "",
        "PSNR beside published results:",
        "",
        *weights(),
        "",
        "## Speed of Perona–Malik diffusion",
        "",
        "Mpixel·iterations/s in float32, on two cores, all measured in one run. OpenCV's filter works "
        "on 8 bits. For colour, the pixels of each channel count.",
        "",
        *rates(),
        "",
    ]
    return "\n".join(lines)


def with_summary(readme):
    """The text of a README with the current summary."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{summary()}\n\n{END}{after}"


def main():
    texts = {README: with_summary(README.read_text("utf-8")), PAGE: page()}
    for path, text in texts.items():
        with replacing(path) as temporary:
            temporary.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
