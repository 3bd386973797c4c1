"""Write README's results from the committed ones: python benchmarks/readme.py

Everything between the two marks in README.md is made here, and a test fails when it is stale.
"""

import json
from pathlib import Path
from statistics import fmean, median

from difffilter.benchmark.rows import read_rows
from difffilter.files import replacing

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


def weights():
    """The weights that come along, as a table."""
    lines = ["| weights | size | images | 15 | 25 | 50 |", "|---|---|---|---|---|---|"]
    for path in sorted(CARDS.glob("*.json")):
        card = json.loads(path.read_text("utf-8"))
        for folder, modes in card["psnr"].items():
            cells = " | ".join(f"{modes['mmse'][level]:.2f}" for level in ("15", "25", "50"))
            size = f"{card['parameters'] / 1e6:.2f} M, {card['bytes'] / 1e6:.1f} MB"
            lines.append(f"| {card['name']} | {size} | {folder} | {cells} |")
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
        "PSNR of the weights that come along, in their mode mmse:",
        "",
        *weights(),
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
