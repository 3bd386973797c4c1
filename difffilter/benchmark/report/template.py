"""Self-contained HTML pages from the templates in the folder ``page``."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

from difffilter.catalog import MissingExtra

__all__ = ["rendered", "templates"]

PAGE = files("difffilter.benchmark.report") / "page"


def templates():
    """The Jinja2 environment of the templates.

    Raises
    ------
    MissingExtra
        If Jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise MissingExtra("the report needs jinja2: pip install 'difffilter[bench]'") from None
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(lambda name: _text(PAGE / name)),
    )
    environment.filters["breakable"] = _breakable
    return environment


def rendered(name, **values):
    """A page that needs no network and no other file.

    Parameters
    ----------
    name : str
        A template.
    **values
        What the template names, other than the style and the scripts.

    Returns
    -------
    str
    """
    vendor = PAGE / "vendor"
    scripts = [
        "/*\nimg-comparison-slider 8.0.7\n"
        + _text(vendor / "LICENSE-img-comparison-slider")
        + "*/\n"
        + _text(vendor / "img-comparison-slider.js"),
        "/* sortable-tablesort 4.1.7, public domain (Unlicense) */\n"
        + _text(vendor / "sortable.js")
        + _text(vendor / "sortable.a11y.js"),
        _text(PAGE / "page.js"),
    ]
    return (
        templates()
        .get_template(name)
        .render(
            style=_text(PAGE / "page.css"),
            scripts=scripts,
            # Only these scripts may run, so that one that slipped through the escaping could not.
            hashes=" ".join(f"'sha256-{_digest(script)}'" for script in scripts),
            **values,
        )
    )


def _breakable(label):
    """A label that may be broken between its words, as HTML."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"(?<=[_(,:=/])(?=\w)", "<wbr>", escape(label)))


def _text(path):
    return path.read_text("utf-8")


def _digest(script):
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
