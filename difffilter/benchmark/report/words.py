"""The sentences of a report, in Markdown and HTML alike."""

from __future__ import annotations

from difffilter.benchmark.pairs import REAL

__all__ = [
    "HOLES", "about", "all_levels", "baseline", "circumstances", "count", "extent", "failures",
    "headline", "in_holes", "is_holes", "noise_title", "noise_words", "place", "unfinished",
    "verdicts",
]  # fmt: skip

# The kinds of holes within a sentence.
HOLES = {
    "text": "text holes",
    "scratches": "scratches",
    "random": "random holes",
    "blocks": "square holes",
    "sparse": "sparse pixels",
}


def verdicts(results, noise):
    """The verdict at each level that has a PSNR, in ascending order."""
    found = [results.verdict(noise, level) for level in results.levels(noise)]
    return [verdict for verdict in found if verdict is not None]


def headline(results):
    """The winners, in one sentence.

    Examples
    --------
    >>> from difffilter.benchmark.report.summary import Results
    >>> scores = {("boat", 0): 30.0, ("barn", 0): 32.0}
    >>> results = Results(values={("gaussian", 25.0, "heat", "psnr"): scores})
    >>> headline(results)
    'heat wins at σ·255 = 25'
    """
    wins, chance = {}, False
    filled = any(map(is_holes, results.noises))
    for noise in results.noises:
        for verdict in verdicts(results, noise):
            wins.setdefault(verdict.winner, []).append((noise, verdict.level))
            chance = chance or verdict.chance
    doubt = ", but not always significantly" if chance else ""
    if not wins:
        return f"No method has a PSNR {'in any holes' if filled else 'at any noise level'}"
    if list(wins) == ["identity"]:
        return f"No method beats {baseline(results.noises[0])}"
    if len(wins) == 1 and sum(map(len, wins.values())) > 1:
        everywhere = "in all holes" if filled else "at every noise level"
        return f"{next(iter(wins))} wins {everywhere}{doubt}"
    parts = []
    for winner, cases in wins.items():
        places = {}
        for noise, level in cases:
            places.setdefault(noise, []).append(f"{level:g}")
        where = " and ".join(
            f"σ·255 = {', '.join(levels)}"
            + (f" ({noise_words(noise)})" if len(results.noises) > 1 else "")
            for noise, levels in places.items()
            if results.graded(noise)
        )
        *others, last = [noise_words(n) for n in places if not results.graded(n)] or [""]
        others = f"{', '.join(others)} and {last}" if others else last
        where = [f"at {where}"] * bool(where) + [f"on {others}"] * bool(others)
        parts.append(f"{winner} wins {' and '.join(where)}")
    return "; ".join(parts) + doubt


def extent(results):
    """The size of the study: images, seeds, methods, kinds of noise or holes, levels of noise."""
    study = results.study
    cases = [*results.values.values(), *results.errors.values()]
    images = {image for some in cases for image, _ in some}
    number = len(study.get("images", [])) or len(images)
    seeds = len(study.get("seeds", []))
    levels = [f"{level:g}" for level in all_levels(results)]
    found = [*results.values.items(), *results.errors.items()]
    real = {case for key, some in found if key[0] == REAL for case in some}
    captures = len(real) if len(real) > len({image for image, _ in real}) else 0
    return ", ".join(
        [
            count(number, "image"),
            *([count(seeds, "seed")] if seeds > 1 else []),
            count(len(results.methods), "method"),
            *([count(captures, "capture")] if captures else []),
            ", ".join(noise_words(noise) for noise in results.noises),
            *([f"σ·255 = {', '.join(levels)}"] if levels else []),
        ]
    )


def unfinished(results):
    """A sentence for a study that is still running or was interrupted."""
    return f"The study is not complete: {count(results.pending, 'case')} still to run."


def failures(results, names=5):
    """The failed cases as (label, where, why); cases with the same message share an entry."""
    found = []
    for noise, level, label, message, cases in results.failures:
        shown = [image if seed == 0 else f"{image} (seed {seed})" for image, seed in cases[:names]]
        kind = noise_words(noise)
        where = f"{kind}, {place(results, noise, level)}" if results.graded(noise) else kind
        where += f", on {', '.join(shown)}"
        if len(cases) > names:
            where += f" and {len(cases) - names} more"
        found.append((label, where, message))
    return found


def circumstances(results):
    """Machine, versions, commit and date, as (name, value) pairs."""
    study = results.study
    found = []
    machine = study.get("machine") or {}
    parts = ("processor", "cores", "device", "system")
    found += [(part, machine[part]) for part in parts if machine.get(part)]
    versions = study.get("versions") or {}
    if versions:
        found.append(("versions", ", ".join(f"{name} {v}" for name, v in versions.items())))
    found += [(key, study[key]) for key in ("commit", "date") if study.get(key)]
    return found


def noise_title(noise):
    """A kind of noise or of holes as a heading.

    Examples
    --------
    >>> noise_title("salt_and_pepper")
    'Salt and pepper noise'
    """
    words = noise_words(noise)
    return words[:1].upper() + words[1:]


def noise_words(noise):
    """A kind of noise or of holes within a sentence.

    Examples
    --------
    >>> noise_words("camera(quality=90)"), noise_words("jpeg")
    ('camera noise (quality=90)', 'JPEG noise')
    >>> noise_words("random(share=0.8)")
    'random holes (share=0.8)'
    """
    kind, bracket, parameters = noise.partition("(")
    words = "JPEG" if kind == "jpeg" else kind.replace("_", " ")
    return HOLES.get(kind, f"{words} noise") + (f" ({parameters}" if bracket else "")


def is_holes(noise):
    """Whether a kind of noise is one of holes."""
    return noise.partition("(")[0] in HOLES


def baseline(noise):
    """The image that stands beside the methods, within a sentence."""
    return "the mean of the known pixels" if is_holes(noise) else "the noisy image"


def in_holes(title, noise):
    """The title of a metric of images, which may be one of holes.

    Examples
    --------
    >>> in_holes("PSNR", "text"), in_holes("PSNR", "gaussian")
    ('PSNR in holes', 'PSNR')
    """
    return f"{title} in holes" if is_holes(noise) else title


def place(results, noise, level):
    """A level of noise in words, or the noise where it has no levels.

    Examples
    --------
    >>> from difffilter.benchmark.report.summary import Results
    >>> results = Results(values={("text", 0.0, "harmonic", "psnr"): {("boat", 0): 30.0}})
    >>> place(results, "gaussian", 25.0), place(results, "real", 0.0), place(results, "text", 0.0)
    ('σ·255 = 25', 'real noise', 'text holes')
    """
    return f"σ·255 = {level:g}" if results.graded(noise) else noise_words(noise)


def all_levels(results):
    """Every level of any noise that has levels."""
    noises = [noise for noise in results.noises if results.graded(noise)]
    return sorted({level for noise in noises for level in results.levels(noise)})


def count(number, noun):
    """``3 images``, ``1 image``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def about(table):
    """A description of the numbers of a table."""
    by = ", by σ·255" if table.levels else ""
    over = " over all σ" if table.levels else ""
    if table.metric == "seconds":
        what = f"Median over images{by}"
    elif table.metric == "peak_memory":
        what = f"Maximum over images{by}"
    elif table.metric == "behind":
        what = f"Mean difference on the same image, with a 95 % confidence interval{by}"
        return f"{what}; relative to the best method that is not an oracle."
    else:
        what = f"Mean over images, with a 95 % confidence interval{by}"
    if table.better:
        what += f"; {table.better} is better; the best is in bold, oracles excluded"
    if "seconds" in table.columns:
        what += f"; seconds per image are the median{over}"
    if "MB" in table.columns:
        what += f"; MB are the peak memory{over}"
    return what + "."
