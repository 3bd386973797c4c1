"""Pairs of real noisy and clean images, found by two patterns."""

from __future__ import annotations

import glob
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from difffilter.io.files import read

__all__ = ["REAL", "Pair", "Source", "find_pairs", "pixels_of"]

# The kind of noise of pairs, whose strength nobody knows.
REAL = "real"

# The parts of a pattern that stand for more than themselves.
FIELD = re.compile(r"\{([a-zA-Z_]\w*)\}")
SPECIAL = re.compile(r"(\{[a-zA-Z_]\w*\}|\*\*/|\*|\?|\[[^\]]+\])")


class Source(NamedTuple):
    """A picture in a file.

    Attributes
    ----------
    path : str
    block : tuple of int
        The place among the pictures of a MATLAB file; empty: the file is one picture.
    """

    path: str
    block: tuple[int, ...] = ()

    def __str__(self):
        return self.path + (str(list(self.block)) if self.block else "")


class Pair(NamedTuple):
    """A clean image and the noisy ones of the same scene, one or several.

    Attributes
    ----------
    clean : Source
    noisy : tuple of Source
    """

    clean: Source
    noisy: tuple[Source, ...]


def find_pairs(folder, noisy, clean):
    """The clean partner of every noisy file.

    Parameters
    ----------
    folder : Path
        The folder that the patterns are relative to.
    noisy, clean : str
        Patterns of paths. A ``{field}`` stands for any text without a slash; the partner of a
        noisy file is the clean file with the same text in the same fields. ``*``, ``?``, ``[…]``
        and ``**/`` have their usual meaning and need not agree. A field that only `noisy` has
        lets several noisy files share a clean one. In MATLAB files ``[…, height, width, 3]``,
        pictures at the same place belong together.

    Returns
    -------
    dict of str to Pair
        Named by the fields of `clean`, or its file if it has none.

    Raises
    ------
    ValueError
        If there are no noisy files, one has no partner or more than one, or `clean` has a field
        that `noisy` lacks.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a_real.png", "a_mean.png", "b_real.png", "b_mean.png"):
    ...         Path(folder, name).touch()
    ...     list(find_pairs(Path(folder), "{scene}_real.png", "{scene}_mean.png"))
    ['a', 'b']
    """
    fields = list(dict.fromkeys(FIELD.findall(clean)))
    for field in fields:
        if field not in FIELD.findall(noisy):
            raise ValueError(f"clean is {clean!r}; expected no field that noisy lacks: {{{field}}}")
    partners = _matches(folder, clean, fields)
    captures = _matches(folder, noisy, fields)
    if not captures:
        raise ValueError(f"there are no noisy images at {folder / noisy}")
    named = {}
    for values, paths in captures.items():
        found = partners.get(values, [])
        if len(found) != 1:
            texts = dict(zip(fields, values, strict=True))
            asked = FIELD.sub(lambda field, texts=texts: texts[field[1]], clean)
            raise ValueError(
                f"{paths[0]} has {len(found)} clean partners"
                + (f", such as {found[0]} and {found[1]}" if found else "")
                + f"; expected one at {folder / asked}"
            )
        if found[0] in paths:
            raise ValueError(f"{found[0]} is noisy and clean alike; expected two files")
        named |= _split("-".join(values) or Path(found[0]).stem, found[0], paths)
    return named


def _matches(folder, pattern, fields):
    """The files of a pattern, sorted, by the texts of the fields."""
    pattern = pattern.replace(os.sep, "/")
    expression, seen = "", set()
    for place, part in enumerate(SPECIAL.split(pattern)):
        if place % 2 == 0:  # between the special parts
            expression += re.escape(part)
        elif part.startswith("{"):
            field = part[1:-1]
            expression += f"(?P={field})" if field in seen else f"(?P<{field}>[^/]+)"
            seen.add(field)
        elif part.startswith("["):
            inside = re.sub(r"([^\w-])", r"\\\1", part[1:-1])
            expression += "[" + inside.replace(r"\!", "^", 1 if part[1] == "!" else 0) + "]"
        else:
            expression += {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}[part]
    files = {}
    wild = FIELD.sub("*", pattern)
    for path in sorted(glob.glob(wild, root_dir=folder, recursive=True)):
        match = re.fullmatch(expression, path.replace(os.sep, "/"))
        if match and (folder / path).is_file():
            values = tuple(match[field] for field in fields)
            files.setdefault(values, []).append(str(folder / path))
    return files


def _split(name, clean, noisy):
    """The pair or pairs in a clean file and its noisy ones, by name."""
    blocks = _blocks(clean)
    for path in noisy:
        if _blocks(path) != blocks:
            raise ValueError(
                f"{path} holds an array of {_blocks(path)} pictures; expected {blocks}, as {clean}"
            )
    pairs = {}
    for block in np.ndindex(blocks):
        each = "-".join([name, *map(str, block)])
        pairs[each] = Pair(Source(clean, block), tuple(Source(path, block) for path in noisy))
    return pairs


# --- pixels ---------------------------------------------------------------------------------


def pixels_of(source):
    """The pixels of a `Source`, ``(H, W)`` or ``(H, W, 3)``, as stored."""
    if not _is_matlab(source.path):
        return read(source.path).pages[0]
    return _array(source.path, os.stat(source.path).st_mtime_ns)[source.block]


def _is_matlab(path):
    return Path(path).suffix.lower() == ".mat"


def _blocks(path):
    """The number of pictures in a file along each axis; empty for a single picture."""
    return _variable(path)[1][:-3] if _is_matlab(path) else ()


def _variable(path):
    """The name and shape of the one variable in a MATLAB file."""
    from scipy.io import whosmat

    try:
        found = whosmat(path)
    except NotImplementedError:
        raise ValueError(
            f"{path} is a MATLAB file of version 7.3; expected version 5 to 7"
        ) from None
    except Exception as error:  # as for other damaged files
        raise ValueError(f"{path} is damaged: {error}") from error
    if len(found) != 1:
        names = ", ".join(name for name, *_ in found) or "none"
        raise ValueError(f"{path} has the variables {names}; expected one")
    name, shape, _ = found[0]
    if len(shape) > 2 and shape[-1] != 3:
        raise ValueError(f"{path} has shape {shape}; expected […, height, width, 3]")
    return name, shape


@lru_cache(maxsize=2)  # the noisy and the clean file
def _array(path, changed):
    from scipy.io import loadmat

    name, _ = _variable(path)
    return loadmat(path, variable_names=[name])[name]
