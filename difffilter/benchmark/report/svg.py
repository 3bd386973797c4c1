"""A Matplotlib figure as SVG in a page: text stays text, and colours are those of the page."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

__all__ = ["inline"]

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"


def inline(figure, prefix, variables, title=""):
    """The figure as an ``<svg>`` element for an HTML page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        An artist whose gid is ``"method-3|words"`` becomes a group of class
        ``method`` with ``data-method="3"`` and the words as its tooltip.
    prefix : str
        Prefix of every id, so that several figures can share a page.
    variables : dict of str to str
        Colours, ``#rrggbb``, to the CSS variables that replace them.
    title : str
        The title for screen readers.

    Returns
    -------
    str

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> svg = inline(Figure(facecolor="none"), "a-", {})
    >>> svg[:5], "http" in svg
    ('<svg ', False)
    """
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "difffilter"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ET.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            # Metadata of the file, and style rules that would apply to the whole page.
            if child.tag == f"{SVG}metadata" or child.tag == f"{SVG}style":
                parent.remove(child)
    for element in root.iter():
        _adapt(element, prefix, variables)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", title)
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def _adapt(element, prefix, variables):
    element.tag = element.tag.removeprefix(SVG)
    tip = None
    for name, value in list(element.attrib.items()):
        if name == "id":
            del element.attrib[name]
            marked = re.match(r"method-(\d+)\|", value)
            if marked:
                element.set("class", "method")
                element.set("data-method", marked[1])
                tip = value[marked.end() :]
            else:
                element.set("id", prefix + value)
        elif name.startswith(XLINK):
            del element.attrib[name]
            element.set("href", f"#{prefix}{value[1:]}")
        elif "url(#" in value:
            element.set(name, value.replace("url(#", f"url(#{prefix}"))
    style = element.get("style")
    if style:
        for colour, variable in variables.items():
            style = style.replace(colour, f"var({variable})")
        # The page's font, at the figure's size.
        style = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", style)
        element.set("style", style)
    if tip is not None:
        title = ET.Element("title")
        title.text = tip
        element.insert(0, title)
