"""Keep the pages offline: equations are MathML, and references to remote resources are errors."""

import re

from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ExtensionError

# Resources that a browser loads by itself; links may lead anywhere.
FETCHED = re.compile(
    r"""<(?:script|img|source|iframe|link(?=[^>]*\srel="(?:stylesheet|icon|preload)))\b[^>]*"""
    r"""\s(?:src|href)="((?:https?:)?//[^"]*)"""
)


def inline(self, node):
    self.body.append(tex2mathml(node.astext()))


def block(self, node):
    self.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')


def nothing(self, node):
    """Do nothing at the end of a node."""


def skipping(visit):
    """Skip the text of the equation, which has been written already."""

    def visitor(self, node):
        from docutils.nodes import SkipChildren

        visit(self, node)
        raise SkipChildren

    return visitor


def check(app, error):
    if error or app.builder.format != "html":
        return
    for page in app.outdir.rglob("*.html"):
        for found in FETCHED.findall(page.read_text("utf-8")):
            raise ExtensionError(f"{page} needs the network: {found}")


def setup(app):
    app.add_html_math_renderer("mathml", (skipping(inline), nothing), (skipping(block), nothing))
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
