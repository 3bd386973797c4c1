r"""unCLIP: the prior against a regression, and pictures by way of an embedding against those of the text.

    python benchmarks/unclip.py --prior PRIOR --regression REGRESSION --decoder DECODER \
        -o benchmarks/results/unclip.md

Each name is weights of the package, or a file; the regression is trained by the preset prior-regression, and
its rows are left out without it. Captions of scenes: the cosine of the embedding that the prior
draws and that of the scene itself, and the share of pictures that show all that the caption states, as the
judge reads it.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import torch
from scripting import describe, table, write_report
from text_to_image import captions_of, score

from difffilter.ddpm.process import keyed_generator
from difffilter.generate import images, load
from difffilter.generate.grammar import caption
from difffilter.generate.rendering import render
from difffilter.generate.scenes import draw_scene
from difffilter.generate.unclip import draw_embeddings
from difffilter.generate.zero_shot import as_input

SCALES = (1.0, 2.0)
# Candidates, and the guidance scale.
WAYS = ((1, 1.0), (1, 2.0), (4, 2.0))
KINDS = (("seen", False), ("unseen", True))
TOGETHER = 32


def drawn(texts, prior, guidance, seed=0):
    """An embedding of each text (N, m)."""
    generators = [keyed_generator(seed, k) for k in range(len(texts))]
    with torch.inference_mode():
        return draw_embeddings(texts, "", generators, prior=prior, guidance=guidance)


def scenes(clip, count, unseen):
    """Captions, the embeddings of the scenes they tell of, and of the captions, each (N, m)."""
    rng, words = np.random.default_rng(1), clip.tokeniser
    drawn = [draw_scene(rng, unseen=unseen) for _ in range(count)]
    texts = [caption(scene, rng).text for scene in drawn]
    x = torch.cat([as_input(render(scene, rng) / np.float32(255), 64) for scene in drawn])
    with torch.inference_mode():
        images = clip.net.embed_images(x)
        return texts, images, clip.net.embed_texts(torch.from_numpy(words.encode_all(texts)))


def found(embeddings, images):
    """The share of embeddings that are nearest to that of their own image."""
    right = (embeddings @ images.T).argmax(dim=1) == torch.arange(len(images))
    return float(right.double().mean())


def cosines(priors, count):
    """Rows of the cosines to the embeddings of the scenes, to one another's, and of what is found."""
    rows, clip = [], load("clip", "clip")
    for kind, unseen in KINDS:
        texts, images, of_texts = scenes(clip, count, unseen)
        told = {("the text's own", ""): (of_texts, of_texts)}
        for name, prior in priors.items():
            for guidance in (1.0,) if name == "regression" else SCALES:
                key = (name, "" if name == "regression" else f"{guidance:g}")
                told[key] = tuple(drawn(texts, prior, guidance, seed) for seed in (0, 1))
        for (name, guidance), (one, other) in told.items():
            cosine, alike = ((one * each).sum(dim=1).mean() for each in (images, other))
            rows.append(
                [name, guidance, kind, f"{cosine:.3f}", f"{alike:.3f}", f"{found(one, images):.3f}"]
            )
            print(*rows[-1], flush=True)
    return rows


def pictures(texts, **options):
    """A picture of each text, (N, H, W, 3)."""
    parts = range(0, len(texts), TOGETHER)
    return np.concatenate(
        [images(texts[start : start + TOGETHER], seed=start, **options) for start in parts]
    )


def accuracies(priors, decoder, count):
    """Rows of the shares of pictures that are right in all."""
    rows, judge = [], load("judge-scenes", "judge").net
    ways = {"text alone": {"model": "latent"}}
    ways |= {
        f"{name} and decoder": {"model": decoder, "prior": prior} for name, prior in priors.items()
    }
    for name, options in ways.items():
        for candidates, guidance in WAYS:
            shares = []
            for _, unseen in KINDS:
                said = captions_of(count, unseen, seed=1)
                made = pictures(
                    [each.text for each in said],
                    candidates=candidates, guidance=guidance, **options,
                )  # fmt: skip
                shares.append(f"{score(judge, said, made)['joint']:.3f}")
            rows.append([name, str(candidates), f"{guidance:g}", *shares])
            print(*rows[-1], flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", default="prior")
    parser.add_argument("--regression")
    parser.add_argument("--decoder", default="decoder")
    parser.add_argument("-n", "--number", type=int, default=200, help="captions for each row")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    priors = {"prior": arguments.prior}
    if arguments.regression:
        priors["regression"] = arguments.regression
    head = ["embedding", "guidance", "combinations", "to the scene's", "of two draws", "found"]
    lines = [
        "# unCLIP",
        "",
        f"`python benchmarks/unclip.py`: {arguments.number} captions of scenes for each row, 30 steps of",
        f"DPM-Solver++. {describe('torch', 'numpy')}; {date.today()}.",
        "",
        "Mean cosines of the embedding of a caption to that of its scene, and of two draws to each other;",
        f"and how often the right scene is nearest, among {arguments.number}:",
        "",
        *table(head, cosines(priors, arguments.number)),
    ]
    lines += [
        "",
        "The share of pictures that show all that the caption states:",
        "",
        *table(
            ["pictures of", "candidates", "guidance", "seen", "unseen"],
            accuracies(priors, arguments.decoder, arguments.number),
        ),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
