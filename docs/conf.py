"""Configuration of the documentation: make docs"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE), str(HERE.parent)]
os.environ.setdefault("MPLBACKEND", "agg")

import difffilter  # noqa: E402

project = "difffilter"
author = "The difffilter developers"
copyright = author
version = release = difffilter.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_click",
    "sphinx_gallery.gen_gallery",
    "matplotlib.sphinxext.plot_directive",
    "docstrings",
    "filters",
    "offline",
]
exclude_patterns = ["_build", "course", "examples", "tools", "filters/_template.md"]
default_role = "py:obj"
smartquotes = False  # they would make a dash of --sigma
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say more
numpydoc_show_class_members = False

# The filters' pages draw their pictures with figures.py; the code is not for readers.
plot_formats = [("png", 150)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = False
plot_rcparams = {"savefig.bbox": "tight"}
plot_apply_rcparams = True

sphinx_gallery_conf = {
    "examples_dirs": ["examples", "course", "tools"],
    "gallery_dirs": ["gallery", "lessons", "integrations"],
    "filename_pattern": "/",  # each of them is executed
    "run_stale_examples": True,  # the package may have changed
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
    "plot_gallery": True,
    "within_subsection_order": "FileNameSortKey",
}

html_theme = "furo"
html_title = f"difffilter {release}"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {"light_css_variables": {"code-font-size": "75%"}}
