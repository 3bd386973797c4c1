"""Read, smooth and write real files, and compare what other programs say of them before and after.

    python benchmarks/corpus.py [FOLDER ...]

The files are those of installed packages and of the folders, each of which stands for the package
of its name: for example the unpacked sources of Pillow, libtiff, ExifTool and Exiv2. Needs
exiftool, tiffinfo and ImageMagick's identify. Writes benchmarks/results/corpus.md.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from scripting import describe, table, write_report

from difffilter.blocks.folders import Task, plan_tasks, smooth_file
from difffilter.catalog import make
from difffilter.io.files import READABLE

PACKAGES = ("skimage", "matplotlib", "imageio", "sklearn", "pydicom", "nibabel")
RESULTS = Path(__file__).parent / "results"
LARGEST = 3 << 20
METHOD = "heat(time=0.5)"

# Fields of exiftool and tiffinfo that depend on the file's location or follow from other fields.
IGNORED = re.compile(
    r"SourceFile|(System|ExifTool|Composite):.*"
    r"|.*:(Strip|Tile)(Offsets|ByteCounts)|.*:(Thumbnail|Preview|Other)Image(Start|Offset)?"
    r"|.*:(ImageDataMD5|MPImageStart|MPImageLength|IFDOffset)"
)

# Why a field may be lost or different: a pattern for KIND/FIELD: CHANGE, and the reason.
REASONS = (
    ("GIF/", "GIF is only read: the result is a PNG, with the comment and the transparency"),
    ("APNG/", "an animation of a single frame becomes a plain PNG"),
    ("BMP/", "BMP is written with 8 or 24 bits and the header of version 3"),
    ("PNG/PNG:Interlace", "PNG is written without interlacing"),
    ("PNG/(PNG:(ColorType|BitDepth|Palette|Transparency|Background|SignificantBits|.*Histogram)"
     "|identify)", "palettes, bitmaps and transparent colours become channels of 8 bits"),
    ("TIFF/(.*:(PhotometricInterpretation|ColorMap|BitsPerSample|SamplesPerPixel|SampleFormat"
     "|YCbCr.*|ReferenceBlackWhite|PlanarConfiguration): |tiffinfo (Photometric|Color Map|Bits/"
     "|Samples/|Sample Format|YCbCr|Reference|[012]:)|identify: .*(ycbcr|1-bit|4-bit|srgb))",
     "palettes and YCbCr become RGB"),
    ("TIFF/(.*:(JPEG.*|Other.*|Preview.*|OldJPEG.*): |tiffinfo (JPEG|Jpeg))",
     "tables and lengths of the old pixels' JPEG compression"),
    ("TIFF/(.*:(Compression|Predictor): |tiffinfo (Compression|Predictor))",
     "what cannot be written is replaced by Deflate, or by the predictor for floating point"),
    ("TIFF/(.*:(T[46]Options|FillOrder|CleanFaxData)|tiffinfo (FillOrder|Group [34]))",
     "the order of bits in packed pixels"),
    (".*WEBP/(RIFF:(Alpha|VP8)|IFD1:Thumbnail)", "how pixels are packed, and where parts begin"),
    ("JPEG/identify: JPEG (\\S+ \\S+ \\S+) Q\\d+ → JPEG \\1 Q\\d+$",
     "a table of quantisation that no component uses is left out, which the estimate counts"),
    ("(JPEG|MPO)/Adobe:", "the mark of CMYK colours is that of the program that writes them"),
    ("(AVIF|HEI[CF])/(QuickTime:|Meta:|File:|IFD0:Orientation)",
     "boxes of the container, and how pixels are packed; a turned HEIC is written upright"),
    (".*:(Compression|Encoding|Warning|Error|MPImage.*|NumberOfImages)", "follows from the rest"),
)  # fmt: skip


@dataclass
class Outcome:
    """The comparison of a file before and after smoothing.

    Attributes
    ----------
    name : str
        Package and file.
    kind : str
        exiftool's name of the file type.
    refused : str
        The message, if it was refused.
    fields : int
        Number of fields compared.
    changes : list of str
        Fields that were lost or are different.
    sizes : tuple of int
        Bytes before and after.
    """

    name: str
    kind: str = ""
    refused: str = ""
    fields: int = 0
    changes: list[str] = field(default_factory=list)
    sizes: tuple[int, int] = (0, 0)


def find(folders):
    """(package, file) of every image, without repetition."""
    site = Path(sysconfig.get_paths()["purelib"])
    found = [(name, site / name) for name in PACKAGES] + [(p.name, p) for p in folders]
    for package, folder in found:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in READABLE and path.is_file() and path.stat().st_size < LARGEST:
                yield package, path


def smoothed(files, folder):
    """Smooth each file; yields the outcome, the file and the result, or None if it was refused."""
    method = make(METHOD)
    for number, (package, path) in enumerate(files):
        outcome = Outcome(f"{package}/{path.name}")
        place = folder / str(number)
        place.mkdir()
        [task] = plan_tasks([path], place)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                smooth_file(Task(path, task.target), method)
        except (OSError, TypeError, ValueError, MemoryError) as error:
            text = str(error).replace(str(path), path.name).replace(str(task.target), path.name)
            outcome.refused = " ".join(text.split())
            yield outcome, path, None
        else:
            outcome.sizes = path.stat().st_size, task.target.stat().st_size
            yield outcome, path, task.target


def said(command, path):
    """The standard output of a program for a file, without the file's name."""
    result = subprocess.run([*command, path], capture_output=True, text=True, errors="replace")
    return result.stdout.replace(str(path), "")


def exiftool(path):
    """Every field that exiftool finds, by group and name."""
    found = json.loads(said(["exiftool", "-json", "-G1", "-a", "-u", "-n"], path) or "[{}]")[0]
    return {k: v for k, v in found.items() if not IGNORED.fullmatch(k)}


def tiffinfo(path):
    """The lines of tiffinfo, without positions, for a TIFF file."""
    lines = said(["tiffinfo"], path).splitlines()
    fields = [line.strip() for line in lines if "offset" not in line and ":" in line]
    return Counter("tiffinfo " + line for line in fields)


def identify(path):
    """Format, size, depth, colours and quality, as ImageMagick sees each image in the file."""
    return said(["identify", "-quiet", "-format", "%m %wx%h %z-bit %[channels] Q%Q\n"], path)


def compare(outcome, before, after):
    """List what is lost or different."""
    old, new = exiftool(before), exiftool(after)
    outcome.kind = old.get("File:FileType", "?")
    outcome.fields = len(old)
    for name, value in old.items():
        if name not in new:
            outcome.changes.append(f"{name}: lost {shortened(value)}")
        elif new[name] != value:
            outcome.changes.append(f"{name}: {shortened(value)} → {shortened(new[name])}")
    if before.suffix.lower() in (".tif", ".tiff"):
        lost = tiffinfo(before) - tiffinfo(after)
        outcome.fields += sum(tiffinfo(before).values())
        outcome.changes += [f"{line.partition(':')[0]}: lost {line}" for line in lost]
    old, new = identify(before), identify(after)
    outcome.fields += 1
    if old != new:
        outcome.changes.append(f"identify: {shortened(old)} → {shortened(new)}")


def shortened(value):
    text = " ".join(str(value).split())
    return text if len(text) < 70 else text[:67] + "..."


def reason(outcome, change):
    """Why a field is different; None if there is no reason."""
    name = f"{outcome.kind}/{change}"
    return next((why for pattern, why in REASONS if re.match(pattern, name)), None)


def by_package(outcomes):
    """A row for each package."""
    rows = []
    for package in dict.fromkeys(o.name.partition("/")[0] for o in outcomes):
        own = [o for o in outcomes if o.name.startswith(package + "/")]
        done = [o for o in own if not o.refused]
        changes = [(o, change) for o in done for change in o.changes]
        without = sum(reason(o, change) is None for o, change in changes)
        counts = len(own), len(done), len(own) - len(done), sum(o.fields for o in done)
        rows.append([package, *map(str, (*counts, len(changes) - without, without))])
    return rows


def by_reason(outcomes):
    """A row for each reason, with the number of fields and of files and one of the files."""
    found = {}
    for outcome in outcomes:
        for change in outcome.changes:
            found.setdefault(reason(outcome, change), []).append((outcome.name, change))
    return [
        [why, str(len(all_)), str(len({name for name, _ in all_})), all_[0][0]]
        for why, all_ in found.items() if why
    ]  # fmt: skip


def unexplained(outcomes):
    """A row for each field that is different without a reason."""
    return [
        [o.name, change.replace("|", "/")]
        for o in outcomes for change in o.changes if reason(o, change) is None
    ]  # fmt: skip


def refused(outcomes):
    """A row for each message, with the number of files and their names."""
    found = {}
    for outcome in outcomes:
        if outcome.refused:
            text = outcome.refused.replace(outcome.name.partition("/")[2], "FILE")
            found.setdefault(re.sub(r"\d{3,}", "N", text), []).append(outcome.name)
    return [
        [text.replace("|", "/"), str(len(names)), ", ".join(names[:2])]
        for text, names in sorted(found.items(), key=lambda item: -len(item[1]))
    ]


def sizes(outcomes):
    """A row for each kind of file: the median and the largest ratio of the bytes."""
    found = {}
    for outcome in outcomes:
        if not outcome.refused and outcome.sizes[0] > 4096:
            found.setdefault(outcome.kind, []).append(outcome.sizes[1] / outcome.sizes[0])
    return [
        [kind, str(len(ratios)), f"{statistics.median(ratios):.2f}", f"{max(ratios):.2f}"]
        for kind, ratios in sorted(found.items())
    ]


def main(folders):
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome, before, after in smoothed(find(folders), Path(folder)):
            if after is not None:
                compare(outcome, before, after)
            outcomes.append(outcome)
    done = [outcome for outcome in outcomes if not outcome.refused]
    lines = [
        "# Real files, before and after", "",
        f"`python benchmarks/corpus.py`: {len(outcomes)} files of packages, smoothed with "
        f"`{METHOD}` and written in their own format. exiftool, tiffinfo and ImageMagick's identify "
        "describe each file before and after; a field is one thing that they say of it.", "",
        describe("pillow", "tifffile", "imagecodecs"), "",
        *table(
            ["package", "files", "smoothed", "refused", "fields", "changed for a reason",
             "changed without"],
            by_package(outcomes),
        ), "",
        "## Fields that change", "",
        *table(["reason", "fields", "files", "for example"], by_reason(done)), "",
        "## Fields that change without a reason", "",
        *(table(["file", "field"], unexplained(done)) if unexplained(done) else ["None."]), "",
        "## Sizes", "",
        "Bytes after, as a multiple of the bytes before, of files of more than 4 kB.", "",
        *table(["kind", "files", "median", "largest"], sizes(done)), "",
        "## Refused", "",
        *table(["message", "files", "for example"], refused(outcomes)),
    ]  # fmt: skip
    write_report(lines, RESULTS / "corpus.md")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
