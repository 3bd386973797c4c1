"""Write README's results from the committed ones: python benchmarks/readme.py

Everything between the two marks in README.md is made here, and a test fails when it is stale.
"""

import json
from pathlib import Path
from statistics import fmean, median

from difffilter.benchmark.rows import read_rows
from difffilter.io.files import replacing

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
CARDS = HERE.parent / "difffilter/ddpm/weights"
START, END = "<!-- made by benchmarks/readme.py -->", "<!-- as far as here -->"


class Results:
    """The rows of a study, with what stands beside them."""

    def __init__(self, name):
        folder = HERE / "results" / name
        self.about = json.loads((folder / "study.json").read_text("utf-8"))
        self.values = {}
        for row in read_rows(folder / "rows.csv"):
            if row.metric != "error":
                key = row.denoiser, row.sigma, row.metric
                self.values.setdefault(key, []).append(row.value)

    def table(self, seconds=None):
        """Methods, the best first: PSNR at each σ, SSIM and texture at the middle one, and how
        long it takes by another study."""
        sigmas = self.about["sigmas"]
        middle = sigmas[len(sigmas) // 2]
        level = f"{middle * 255:g}"
        heads = [f"{sigma * 255:g}" for sigma in sigmas]
        heads += [f"SSIM at {level}", f"texture at {level}", *(["seconds"] if seconds else [])]
        lines = ["| σ·255 | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
        labels = {label for label, _, _ in self.values}
        for label in sorted(labels, key=lambda label: -fmean(self.values[label, middle, "psnr"])):
            cells = [f"{fmean(self.values[label, sigma, 'psnr']):.2f}" for sigma in sigmas]
            cells.append(f"{fmean(self.values[label, middle, 'ssim']):.3f}")
            cells.append(f"{fmean(self.values[label, middle, 'texture']):.4f}")
            if seconds:
                cells.append(seconds.get(label, ""))
            name = "noisy" if label == "identity" else label
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
        """Where it ran."""
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


def cards():
    """The model cards of the weights that come along."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(CARDS.glob("*.json"))]


def costs():
    """What the weights that come along cost, as a table."""
    lines = ["| weights | parameters | file | multiply-adds a pixel | seconds for 512² |"]
    lines += ["|---" * 5 + "|"]
    for card in cards():
        cells = f"{card['parameters'] / 1e6:.2f} M", f"{card['bytes'] / 1e6:.1f} MB"
        lines.append(f"| {card['name']} | {' | '.join(cells)} "
                     f"| {card['multiply_adds']:,} | {card['seconds']:.2g} |")  # fmt: skip
    return lines


def weights():
    """How good they are, as a table, beside what others published."""
    levels = ("15", "25", "50")
    lines = ["| images | | 15 | 25 | 50 |", "|---|---|---|---|---|"]
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


# What README shows of the rates: kind of image, its size, diffusivity.
RATES = (
    ("grey", "1024×1024", "rational"),
    ("grey", "1024×1024", "exponential"),
    ("grey", "4096×4096", "rational"),
    ("volumes", "256×256×256", "exponential"),
    ("colour, each channel's pixels", "1024×1024×3", "exponential"),
)


def rates():
    """Some of the tables of speed.md, those for most threads, as one."""
    tables = {}
    for section in (HERE / "results/speed.md").read_text("utf-8").split("\n## ")[1:]:
        title, *lines = section.splitlines()
        cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
        if title.startswith("Mpixel"):  # the last one, for most threads, stays
            kind = title.partition(", ")[2].rpartition(", threads")[0]
            tables[kind] = {
                (name, size): rate
                for name, *row in cells[2:]
                for size, rate in zip(cells[0][1:], row, strict=True)
            }
    names = ("difffilter", "DIPlib", "medpy", "SimpleITK", "OpenCV")
    lines = ["| | " + " | ".join(names) + " |", "|---" * (1 + len(names)) + "|"]
    for kind, size, diffusivity in RATES:
        cells = [
            next((rate for (who, at), rate in tables[kind].items()
                  if who in (f"{name}, {diffusivity}", f"{name}, {diffusivity}, 8 bits")
                  and at == size), "–")
            for name in names
        ]  # fmt: skip
        lines.append(f"| {kind}, {size}, {diffusivity} | {' | '.join(cells)} |")
    return lines


def results():
    """The whole section."""
    grey, colour, modes = Results("bsd68"), Results("cbsd68"), Results("modes")
    timed = Results("seconds")
    count = len(grey.about["images"])
    lines = [
        f"Mean PSNR in dB over the {count} photographs of BSD68, on which nothing was tuned; white "
        "Gaussian noise, neither clipped nor quantised, of known σ. "
        "The constants of other libraries' methods are those that were best on training images; "
        "difffilter's are chosen from the noisy image, which its seconds include. An oracle is shown "
        "the clean image to choose "
        f"by. Seconds are those of one call on 392² pixels, as many as BSD68's ({timed.machine()}).",
        "",
        *grey.table(timed.seconds()),
        "",
        f"The same for the {len(colour.about['images'])} colour photographs of CBSD68:",
        "",
        *colour.table(),
        "",
        "The DDPM's modes, on middles of seven photographs of 128² pixels, samples in 20 steps. "
        "Texture is how far the distribution of the differences between neighbouring pixels is from "
        "that of the clean image: a sample looks right and is further off, a mean is closer and too "
        "smooth.",
        "",
        *modes.table(),
        "",
        "The weights that come along, in their mode mmse; seconds by the processor "
        f"({cards()[0]['machine']}):",
        "",
        *costs(),
        "",
        *weights(),
        "",
        "Perona–Malik diffusion in float32 (OpenCV's is of 8 bits), Mpixel·iterations/s, all in one run "
        "on two cores:",
        "",
        *rates(),
    ]
    return "\n".join(lines)


def with_results(readme):
    """A README's text with the results as they are now."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{results()}\n\n{END}{after}"


if __name__ == "__main__":
    with replacing(README) as temporary:
        temporary.write_text(with_results(README.read_text("utf-8")), "utf-8")
