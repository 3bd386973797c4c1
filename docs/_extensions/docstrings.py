"""Adapt docstrings, which are written for terminals as well, to pages."""

import re

from docutils.nodes import Text
from sphinx.addnodes import pending_xref

# Literals stay as they are.
LITERAL = re.compile(r"(``.*?``)")

# An author's initial at the beginning of a reference, which would number a list.
INITIAL = re.compile(r"^(\s*\.\. \[\w+\] )(?=[A-Z]\. )")

# Numpydoc's labels of references, unique over all docstrings.
NUMBERED = re.compile(r"\[R[0-9a-f]+-(\w+)\]")


def escape(app, what, name, obj, options, lines):
    """Escape bars, as in |∇u|, and initials, which mean something else in reStructuredText."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith(">>>"):
            parts = LITERAL.split(line)
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[number] = INITIAL.sub(r"\1\\", "".join(parts))


def number(app, document):
    """Show references as [1], as numpydoc does in pages of reStructuredText only."""
    for reference in document.findall(pending_xref):
        for text in list(reference.findall(Text)):
            if found := NUMBERED.fullmatch(text):
                text.parent.replace(text, Text(f"[{found[1]}]"))


def setup(app):
    app.connect("autodoc-process-docstring", escape, priority=400)  # before numpydoc
    app.connect("doctree-read", number)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
