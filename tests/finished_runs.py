"""The files of training runs, compared."""

import json

import numpy as np

from difffilter.io.weights import read


def records(output):
    """The log without its timings."""
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key != "seconds"} for line in lines]


def tensors(output):
    return read(output / "checkpoint.safetensors")[1]


def assert_same_run(output, other):
    assert records(output) == records(other)
    mine, theirs = tensors(output), tensors(other)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
