"""The documentation names all there is, what it says to type can be typed, and its examples run."""

import re
import runpy
import shlex
from pathlib import Path

import click
import matplotlib.pyplot as plt
import pytest

import difffilter as df
from difffilter import ddpm
from difffilter.cli import cli

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
TEXTS = {path: path.read_text("utf-8") for path in PAGES if path.name != "_template.md"}

COMMANDS = [
    (path.stem, line)
    for path, text in {ROOT / "README.md": (ROOT / "README.md").read_text("utf-8"), **TEXTS}.items()
    for line in re.findall(r"^\$ difffilter (.*)$", text, re.M)
]


@pytest.mark.parametrize("name", df.methods())
def test_every_filter_has_a_page(name):
    """When this fails: copy docs/filters/_template.md."""
    page = DOCS / f"filters/{name}.md"
    assert page.exists(), f"write {page}, from _template.md"
    head = re.match(r"---\nfor: .+\nkeeps: .+\ngives_up: .+\n---\n\n# ", TEXTS[page])
    assert head, f"{page} must begin as _template.md does"
    sections = re.findall(r"^## (.+)$", TEXTS[page], re.M)
    for section in ("When to use it", "Equation", "Picture", "Parameters"):
        assert section in sections, f"{page} has no section {section!r}"


def test_every_page_of_a_filter_belongs_to_one():
    pages = {page.stem for page in (DOCS / "filters").glob("*.md")}
    assert pages - {"_template"} == set(df.methods())


def documented(package, page):
    return re.findall(rf"^\.\. auto\w+:: {package}\.(\w+)$", page, re.M)


@pytest.mark.parametrize(
    ("package", "names"),
    [("difffilter", df.__all__), ("difffilter.ddpm", ddpm.__all__)],
    ids=["difffilter", "ddpm"],
)
def test_every_public_name_is_documented_once(package, names):
    found = [name for text in TEXTS.values() for name in documented(package, text)]
    assert sorted(found) == sorted(set(names) - {"__version__"})


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{p}: {c}" for p, c in COMMANDS])
def test_commands_can_be_typed(page, line):
    """Command, options and method exist; the command is not carried out."""
    name, *arguments = shlex.split(line, comments=True)
    command = cli.commands[name]
    with command.make_context(name, arguments) as context:
        asked = context.params.get("method") or context.params.get("methods") or ()
    for method in [asked] if isinstance(asked, str) else asked:
        if method != "all" and ":" not in method and ".safetensors" not in method:
            df.make(method)


def test_an_option_that_does_not_exist_would_be_found():
    with pytest.raises(click.NoSuchOption):
        cli.commands["smooth"].make_context("smooth", ["photo.png", "--sigme", "3"])


@pytest.mark.parametrize(
    "page",
    [path for path, text in TEXTS.items() if "```python" in text],
    ids=lambda path: path.stem,
)
def test_code_of_pages_runs(page):
    for block in re.findall(r"```python\n(.*?)```", TEXTS[page], re.S):
        exec(compile(block, page.name, "exec"), {})


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ('<script async src="https://cdn.example/a.js"></script>', ["https://cdn.example/a.js"]),
        ('<link href="//cdn.example/a.css" rel="stylesheet">', ["//cdn.example/a.css"]),
        ('<img alt="" src="http://example/a.png">', ["http://example/a.png"]),
        ('<script src="_static/a.js"></script><a href="https://example/">to click on</a>', []),
        ('<link rel="license" href="https://example/">', []),
    ],
)
def test_what_a_page_would_fetch_is_found(tag, found):
    offline = runpy.run_path(str(DOCS / "_extensions/offline.py"))
    assert offline["FETCHED"].findall(tag) == found


@pytest.mark.parametrize(
    "path", sorted((DOCS / "examples").glob("*.py")), ids=lambda path: path.stem
)
def test_example(path):
    """It asserts what it claims."""
    assert re.search(r"^ *assert ", path.read_text("utf-8"), re.M)
    plt.switch_backend("agg")
    try:
        runpy.run_path(str(path))
        assert plt.get_fignums()
    finally:
        plt.close("all")
