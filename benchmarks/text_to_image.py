r"""Pictures of captions, judged by a network that was trained apart from those that made them.

    python benchmarks/text_to_image.py EMOJI -o benchmarks/results/text_to_image.md \
        --plot docs/guidance.png --memory docs/memory.png

EMOJI is the folder of captioned emoji. Scenes: the judge reads the colour, shape and size of the thing in
each cell, and the background, and each reading is held to everything that the caption states; shuffled, to
what another caption states. Emoji: the judge tells the group, and CLIP finds the right one among a hundred.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
import torch
from scripting import describe, medians, table, write_report

from difffilter.generate import images, load, read_captioned
from difffilter.generate.grammar import caption
from difffilter.generate.reading import reading_of, verdict, windows
from difffilter.generate.scenes import PLACES, draw_scene
from difffilter.generate.zero_shot import as_input
from difffilter.training.loop import training_steps
from difffilter.training.presets import PRESETS
from difffilter.training.state import TrainingState
from difffilter.training.text_to_image import VelocityLoss, read

SCALES = (0.0, 1.0, 2.0, 4.0, 8.0)
USUAL = 2.0

# The usual number of candidates, and the scales at which it is measured.
MORE, USED = 4, (1.0, 2.0, 4.0)
TOGETHER = 32


def captions_of(count, unseen, seed, withheld=False):
    """Captions of scenes that were drawn."""
    rng = np.random.default_rng(seed)
    return [caption(draw_scene(rng, unseen=unseen), rng, withheld=withheld) for _ in range(count)]


def read_scenes(judge, pictures):
    """The readings of pictures (N, 64, 64, 3) in [0, 1]."""
    found = []
    for picture in pictures:
        cells = np.stack([windows(picture)[place] for place in PLACES])
        x = torch.from_numpy(2 * np.moveaxis(cells, 3, 1) - 1).float()
        with torch.inference_mode():
            answers = torch.stack([logits.argmax(dim=1) for logits in judge(x)], dim=1)
        found.append(reading_of(dict(zip(PLACES, map(tuple, answers.tolist()), strict=True))))
    return found


def pictures_of(texts, model, guidance, candidates=1):
    """A picture of each text, (N, H, W, 3), the best of some as CLIP sees them."""
    parts = range(0, len(texts), TOGETHER)
    return np.concatenate(
        [
            images(
                texts[start : start + TOGETHER],
                candidates=candidates,
                model=model,
                guidance=guidance,
                seed=start,
            )
            for start in parts
        ]
    )


def enlarged(pictures):
    """Pictures of 64×64 pixels, of those with 32 each pixel repeated."""
    factor = 64 // pictures.shape[1]
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def score(judge, said, pictures):
    """Shares of pictures that show what their captions say: jointly, and by attribute."""
    readings = read_scenes(judge, enlarged(pictures))
    verdicts = [verdict(*pair) for pair in zip(readings, said, strict=True)]
    shares = {"joint": np.mean([each.joint for each in verdicts])}
    for name in ("things", "sizes", "places", "background", "relation"):
        values = [getattr(v, name) for v in verdicts if getattr(v, name) is not None]
        shares[name] = np.mean(values) if values else np.nan
    return shares


def scenes(model, count):
    """Shares by candidates, guidance and kind: seen and unseen combinations, and shuffled captions."""
    judge = load("judge-scenes", "judge").net
    shares = {}
    for candidates, guidance in [(1, scale) for scale in SCALES] + [(MORE, s) for s in USED]:
        for kind, unseen in (("seen", False), ("unseen", True)):
            said = captions_of(count, unseen, seed=1)
            pictures = pictures_of([each.text for each in said], model, guidance, candidates)
            found = shares[candidates, guidance, kind] = score(judge, said, pictures)
            print(candidates, guidance, kind, found, flush=True)
            if not unseen:
                others = said[1:] + said[:1]
                shares[candidates, guidance, "shuffled"] = score(judge, others, pictures)
    return shares


def row(key, shares):
    """A row of the table."""
    candidates, guidance, kind = key
    cells = ["" if np.isnan(share) else f"{share:.3f}" for share in shares.values()]
    return [str(candidates), f"{guidance:g}", kind, *cells]


def plot(of_models, path):
    """The shares of pictures that are right in all, by guidance."""
    figure, axes = plt.subplots(
        1, len(of_models), figsize=(5 * len(of_models), 3.2), squeeze=False, layout="constrained"
    )
    for axis, (model, shares) in zip(axes[0], of_models.items(), strict=True):
        for colour, kind in zip(("C0", "C1", "C2"), ("seen", "unseen", "shuffled"), strict=True):
            for candidates, scales, dash in ((1, SCALES, "--"), (MORE, USED, "-")):
                values = [shares[candidates, scale, kind]["joint"] for scale in scales]
                label = f"{kind}, best of {candidates}" if candidates > 1 else kind
                axis.plot(scales, values, "o" + dash, color=colour, label=label)
        axis.set(title=model, xlabel="guidance scale", ylabel="right in all", ylim=(-0.02, 1.02))
        axis.legend(title="combinations")
    figure.savefig(path, dpi=110)


def emoji(folder, model, count):
    """Shares of right groups from held-out labels, by guidance; of the real pictures; of emoji found."""
    judge = load("judge-groups", "judge").net
    groups = judge.config.questions[0]
    held = read_captioned(folder, split="test")

    def right(pictures):
        x = torch.from_numpy(2 * np.moveaxis(enlarged(pictures), 3, 1) - 1).float()
        with torch.inference_mode():
            told = judge(x)[0].argmax(dim=1).tolist()
        return np.mean([groups[k] == group for k, group in zip(told, held.groups, strict=True)])

    of_made = {scale: right(pictures_of(held.labels, model, scale, MORE)) for scale in USED}
    of_real = right(np.stack([held.over(k) for k in range(len(held))]))

    seen = read_captioned(folder)
    chosen = np.random.default_rng(0).permutation(len(seen))[:count]
    net = load("clip", "clip").net
    made = pictures_of([seen.labels[k] for k in chosen], model, USUAL)  # CLIP itself is the judge
    with torch.inference_mode():
        made, real = (
            torch.cat([net.embed_images(as_input(each, 64)) for each in pictures])
            for pictures in (made, [seen.over(k) for k in chosen])
        )
    found = (made @ real.T).argmax(dim=1).numpy() == np.arange(len(chosen))
    return of_made, of_real, found.mean()


def seconds_of_an_epoch(folder, preset, pictures=24_000, steps=12):
    """Seconds of training on so many pictures, from the median step; the first two do not count."""
    tokeniser = load("latent").tokeniser.to_json()
    config = replace(PRESETS[preset], scenes=0.6, pool=256, steps=steps, tokeniser=tokeniser)
    state = TrainingState(config, torch.device("cpu"))
    loss = VelocityLoss(state, read(folder, config)[0], 0, 1)
    seconds, start = [], time.perf_counter()
    for _ in training_steps(state, loss):
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
    return np.median(seconds[2:]) * pictures / config.batch


def memory(folder, model, path, count=5):
    """Pictures of seen and of held-out labels, each above the nearest ones of the training."""
    seen, held = read_captioned(folder), read_captioned(folder, split="test")
    known = np.stack([seen.over(k) for k in range(len(seen))])
    labels = [
        split.labels[k]
        for split in (seen, held)
        for k in np.linspace(0, len(split) - 1, count + 2).astype(int)[1:-1]
    ]
    pictures = enlarged(pictures_of(labels, model, USUAL))
    by_pixels = [int(np.square(known - each).mean(axis=(1, 2, 3)).argmin()) for each in pictures]
    net = load("clip", "clip").net
    with torch.inference_mode():
        of_made, of_known = (
            torch.cat([net.embed_images(as_input(each, 64)) for each in every])
            for every in (pictures, known)
        )
    by_clip = (of_made @ of_known.T).argmax(dim=1).tolist()

    figure, axes = plt.subplots(3, len(labels), figsize=(1.35 * len(labels), 4.9))
    for column, label in enumerate(labels):
        shown = [pictures[column], known[by_pixels[column]], known[by_clip[column]]]
        titles = [label, seen.labels[by_pixels[column]], seen.labels[by_clip[column]]]
        for axis, picture, title in zip(axes[:, column], shown, titles, strict=True):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
            axis.set_title("\n".join(wrap(title, 16)[:2]), fontsize=7)
    for axis, name in zip(
        axes[:, 0], ("made", "nearest by pixels", "nearest by CLIP"), strict=True
    ):
        axis.set_ylabel(name, fontsize=8)
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-n", "--number", type=int, default=200, help="captions for each row")
    parser.add_argument("--models", nargs="+", default=["latent"])
    parser.add_argument("--plot", type=Path, help="a picture of the shares, by guidance")
    parser.add_argument(
        "--memory", type=Path, help="pictures, and the nearest ones of the training"
    )
    arguments = parser.parse_args()
    lines = [
        "# Text to image",
        "",
        f"`python benchmarks/text_to_image.py EMOJI`: {arguments.number} captions for each row, 30 steps of",
        f"DPM-Solver++. {describe('torch', 'numpy')}; {date.today()}.",
    ]
    of_models = {}
    for model in arguments.models:
        shares = of_models[model] = scenes(model, arguments.number)
        of_made, of_real, found = emoji(arguments.folder, model, 100)
        taken = medians(
            {
                count: partial(images, "a green frog", model=model, candidates=count)
                for count in (1, MORE)
            },
            9,
        )
        head = [
            "candidates",
            "guidance",
            "combinations",
            "all",
            "things",
            "sizes",
            "places",
            "background",
            "relation",
        ]
        lines += [
            "",
            f"## {model}",
            "",
            "The share of pictures that show what the caption states:",
            "",
            *table(head, [row(*each) for each in shares.items()]),
            "",
            f"Emoji of held-out labels, the best of {MORE}, where the judge sees the right group:",
            "",
            *table(
                ["guidance", "group"],
                [[f"{scale:g}", f"{share:.3f}"] for scale, share in of_made.items()]
                + [["real pictures", f"{of_real:.3f}"]],
            ),
            "",
            f"With one candidate, CLIP finds {found:.3f} of the pictures of seen labels among 100.",
            f"A picture takes {taken[1]:.2f} s, the best of {MORE} {taken[MORE]:.2f} s.",
        ]
        if model in PRESETS:
            seconds = seconds_of_an_epoch(arguments.folder, model)
            lines.append(f"Training takes {seconds:.0f} s for 24 000 pictures.")
    write_report(lines, arguments.output)
    if arguments.plot:
        plot(of_models, arguments.plot)
    if arguments.memory:
        memory(arguments.folder, arguments.models[0], arguments.memory)


if __name__ == "__main__":
    main()
