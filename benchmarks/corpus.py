"""Read, smooth and write real files, and compare what other programs say of them before and after.

    python benchmarks/corpus.py [FOLDER ...]

The files are those of installed packages and of the folders, each of which stands for the package
of its name: for example the unpacked tests of Pillow, libtiff and ExifTool. Needs exiftool,
tiffinfo and ImageMagick's identify. Writes benchmarks/results/corpus.md.
"""

from __future__ import annotations

import json
import re
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
LARGEST = 3 << 20
METHOD = "heat(time=0.5)"

# What exiftool and tiffinfo say that is about the file's place or follows from the rest.
IGNORED = re.compile(
    r"SourceFile|(System|ExifTool|Composite):.*"
    r"|.*:(Strip|Tile)(Offsets|ByteCounts)|.*:(Thumbnail|Preview|Other)Image(Start|Offset)?"
    r"|.*:(ImageDataMD5|MPImageStart|MPImageLength|IFDOffset)"
)

# Why a field may be lost or different: a pattern for KIND/FIELD, and the reason.
REASONS = (
    (r"TIFF/.*:(T[46]Options|FillOrder|CleanFaxData)", "tells how the old pixels were packed"),
)  # fmt: skip


@dataclass
class Outcome:
    """What became of a file.

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
            outcome.refused = str(error).replace(str(path), path.name).replace("\n", " ")
            yield outcome, path, None
        else:
            outcome.sizes = path.stat().st_size, task.target.stat().st_size
            yield outcome, path, task.target


def said(command, path):
    """What a program prints about a file, with neither warnings nor the file's name."""
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


def main(folders):
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for outcome, before, after in smoothed(find(folders), Path(folder)):
            if after is not None:
                compare(outcome, before, after)
            outcomes.append(outcome)
    for outcome in outcomes:
        print(outcome.name, outcome.kind, outcome.sizes, outcome.refused)
        for change in outcome.changes:
            if not reason(outcome, change):
                print("    ", change)


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
