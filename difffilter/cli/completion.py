"""Completion of arguments and option values in a shell.

Every completion starts the program anew, so that none imports PyTorch or Numba.
"""

from __future__ import annotations

from importlib import import_module

from click.shell_completion import CompletionItem

__all__ = [
    "DIFFUSIVITIES",
    "INPAINTERS",
    "PRESETS",
    "SCHEMES",
    "TRAINED",
    "among",
    "files",
    "folders",
    "labels_in_study",
    "names_in",
    "presets",
    "weights_of",
]

# The names in modules that import Numba or PyTorch; a test compares them.
DIFFUSIVITIES = ("exponential", "rational", "charbonnier", "tukey", "weickert")
SCHEMES = ("auto", "explicit", "fsi", "aos")
INPAINTERS = ("harmonic", "biharmonic", "edge_enhancing", "coherence_transport", "ddpm")
PRESETS = {
    "ddpm": (
        *("gray-small", "color-small", "gray-bias-free", "color-bias-free"),
        *("gray-real", "color-real", "gray-base", "color-base"),
    ),
    "learned": ("deep-gray", "deep-color", "convex-gray", "convex-color"),
    "generate": (
        *("autoencoder", "clip", "latent", "decoder", "prior", "prior-regression"),
        *("pixel", "fashion", "sounds", "upsampler"),
        *("judge-scenes", "judge-groups", "judge-fashion"),
    ),
    "sound": ("sound",),
}
TRAINED = tuple(PRESETS)

# Where the weights of each method are listed.
WEIGHTS = {"ddpm": "difffilter.ddpm.weights", "learned": "difffilter.pde.weights",
           "generate": "difffilter.generate.weights", "sound": "difffilter.sound.weights"}  # fmt: skip


def files(ctx, param, incomplete):
    """Completion of paths, which the shell does itself."""
    return [CompletionItem(incomplete, type="file")]


def folders(ctx, param, incomplete):
    """Completion of folders, which the shell does itself."""
    return [CompletionItem(incomplete, type="dir")]


def among(*words):
    """Completion among words."""

    def complete(ctx, param, incomplete):
        return [word for word in words if word.startswith(incomplete)]

    return complete


def presets(ctx, param, incomplete):
    """Completion among the presets of the method on the command line, or of all methods."""
    named = PRESETS.get(ctx.params.get("method"))
    return among(*(named or sum(PRESETS.values(), ())))(ctx, param, incomplete)


def weights_of(method=None, *others):
    """Completion among the installed weights of a method, of other words, and of paths.

    Parameters
    ----------
    method : str, optional
        ``None``: the method on the command line, or else ``"ddpm"``.
    *others : str
        More words.
    """

    def complete(ctx, param, incomplete):
        home = WEIGHTS.get(method or ctx.params.get("method") or "ddpm")
        names = import_module(home).available() if home else []
        found = among(*names, *others)(ctx, param, incomplete)
        return found or files(ctx, param, incomplete)

    return complete


def labels_in_study(ctx, param, incomplete):
    """Completion among the labels of the study on the command line, or else among all methods."""
    from difffilter.benchmark.study import labels_of
    from difffilter.catalog import methods

    # (After an option without its value, click leaves the arguments as they are.)
    study = ctx.params.get("study") or next(iter(ctx.args), "")
    try:
        labels = labels_of(study)
    except (OSError, TypeError, ValueError):  # not named yet, or not a study
        labels = methods()
    return among(*labels)(ctx, param, incomplete)


def names_in(module, attribute, *others):
    """Completion among the names that a module lists.

    Parameters
    ----------
    module, attribute : str
        The module, imported when a shell asks, and its iterable of names or a function that
        returns one.
    *others : str
        More words.
    """

    def complete(ctx, param, incomplete):
        names = getattr(import_module(module), attribute)
        return among(*(names() if callable(names) else names), *others)(ctx, param, incomplete)

    return complete
