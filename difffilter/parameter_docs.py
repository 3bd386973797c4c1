"""Descriptions of a method's parameters, from its docstring, for forms."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

from difffilter.catalog import make

__all__ = ["parameter_docs", "words_in"]


def parameter_docs(method: str) -> dict[str, tuple[str, str]]:
    """The type and the description of each parameter of a method.

    They are those of its class's docstring, or of its function's, to which the class refers.

    Examples
    --------
    >>> parameter_docs("heat")["scheme"][0]
    '{"exact", "explicit"}'
    """
    made = make(method)
    module = import_module((made.home or ":").partition(":")[0])
    texts = [inspect.getdoc(getattr(module, method, None)), inspect.getdoc(made.__class__)]
    return {name: found for text in texts for name, found in described(text or "").items()}


def described(docstring: str) -> dict[str, tuple[str, str]]:
    """The type and the description of each parameter in a docstring in numpydoc's format."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n---|\Z)", docstring, re.M | re.S)
    if not section:
        return {}
    entries = re.findall(r"^(\w[\w, ]*) : (.*)\n((?:^(?: .*)?\n?)*)", section[1], re.M)
    return {
        name: (kind, " ".join(text.split()))
        for names, kind, text in entries
        for name in names.split(", ")
    }


def words_in(kind: str) -> tuple[str, ...]:
    """The words that a docstring lists as the values of a parameter.

    Examples
    --------
    >>> words_in('{"exact", "explicit"}, default "exact"')
    ('exact', 'explicit')
    """
    listed = re.match(r"\{(.*)\}", kind)
    return tuple(re.findall(r'"([^"]+)"', listed[1])) if listed else ()
