"""Small folders of pictures with captions, as training and its tests read them."""

import csv
import gzip
import json

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 40), "green": (40, 170, 60), "blue": (20, 90, 230)}


def write_jsonl(folder, records):
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (folder / "captions.jsonl").write_text("".join(lines), encoding="utf-8")


def write_csv(folder, records):
    """As `write_jsonl`; tags with semicolons between them."""
    names = list(dict.fromkeys(name for record in records for name in record))
    with open(folder / "captions.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        for record in records:
            tags = {"tags": ";".join(record["tags"])} if "tags" in record else {}
            writer.writerow(record | tags)


def write_squares(folder, size=32):
    """Twelve coloured squares on transparent pixels, with captions, tags and two groups."""
    records = []
    for name, colour in COLOURS.items():
        for number, place in enumerate(("top", "bottom", "middle", "corner")):
            pixels = np.zeros((size, size, 4), np.uint8)
            at = number * size // 8
            pixels[at : at + size // 2, at : at + size // 2] = (*colour, 255)
            file, group = f"{name}-{place}.png", "warm" if name == "red" else "cold"
            Image.fromarray(pixels).save(folder / file)
            records.append(
                {"file": file, "label": f"a {name} square", "tags": [place], "group": group}
            )
    write_jsonl(folder, records)
    return records


def gzipped(content):
    """Compressed bytes, without the time, so that they are the same in every process."""
    return gzip.compress(content, mtime=0)


def idx(array):
    """A gzipped file in the IDX format: the magic number, the shape, and the bytes."""
    array = np.asarray(array, np.uint8)
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzipped(head + array.tobytes())


def write_fashion(folder, images, labels, start="train"):
    """The files of a split of Fashion-MNIST: `start` is "train", or "t10k" for the test."""
    (folder / f"{start}-images-idx3-ubyte.gz").write_bytes(idx(images))
    (folder / f"{start}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
