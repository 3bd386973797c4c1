"""Docstrings are written to be read in a terminal, too: there, |∇u| stands for itself."""

import re

# Examples, lines of literals, and what stands between double backquotes stay as they are.
LITERAL = re.compile(r"(``.*?``)")


def escape(app, what, name, obj, options, lines):
    for number, line in enumerate(lines):
        if not line.lstrip().startswith(">>>"):
            parts = LITERAL.split(line)
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[number] = "".join(parts)


def setup(app):
    app.connect("autodoc-process-docstring", escape, priority=400)  # before numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}
