"""The documentation covers every method and public name, its commands parse and its code runs."""

import inspect
import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import reliability
from PIL import Image
from published_networks import save_small
from scipy.ndimage import binary_dilation
from torchvision_operators import imported

import difffilter as df
from difffilter import ddpm, generate, sound, training
from difffilter.cli import cli
from difffilter.cli.completion import TRAINED

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [
    path
    for path in sorted(DOCS.rglob("*.md"))
    if not {"_build", "gallery", "integrations"} & set(path.parts) and path.name != "_template.md"
]
# Their code is run by default, that of the others with `make docs`.
FIRST_PAGES = (README, DOCS / "getting-started.md")
TEXTS = {path: path.read_text("utf-8") for path in [README, *PAGES]}

COMMANDS = [
    (path.relative_to(ROOT).with_suffix("").as_posix(), line)
    for path, text in TEXTS.items()
    for line in re.findall(r"^ *\$ difffilter (.*)$", text, re.M)
]


def blocks(path):
    """The Python code on a page."""
    return re.findall(r"```python\n(.*?)```", TEXTS[path], re.S)


def test_no_picture_of_a_page_is_written_over_another():
    """Sphinx numbers the plots of each block from 1, unless they have a name of their own."""
    for page, text in TEXTS.items():
        blocks = re.findall(r"```\{eval-rst\}\n(.*?)```", text, re.DOTALL)
        unnamed = [re.findall(r"\.\. plot::\n(?!   :filename-prefix:)", block) for block in blocks]
        assert sum(map(bool, unnamed)) <= 1, page


@pytest.mark.parametrize("name", df.methods())
def test_every_filter_has_a_page(name):
    """When this fails: copy docs/filters/_template.md."""
    page = DOCS / f"filters/{name}.md"
    assert page.exists(), f"write {page}, from _template.md"
    head = re.match(r"---\nfor: .+\nkeeps: .+\ngives_up: .+\n---\n\n# ", TEXTS[page])
    assert head, f"{page} must begin as _template.md does"
    sections = re.findall(r"^## (.+)$", TEXTS[page], re.M)
    order = ["Equation", "When to use it", "Use", "Parameters"]
    assert [section for section in sections if section != "Notes"] == order


def test_every_page_of_a_filter_belongs_to_one():
    pages = {page.stem for page in (DOCS / "filters").glob("*.md")}
    assert pages - {"_template", "index"} == set(df.methods())


def documented():
    """The names that the pages document, those of the filters by a directive."""
    for text in TEXTS.values():
        yield from re.findall(r"^\.\. auto\w+:: ([\w.]+)$", text, re.M)
        if "```{filter-reference}" in text:
            extension = runpy.run_path(str(DOCS / "_extensions/filters.py"))
            for method in df.methods():
                yield from (name for _, name in extension["documented"](method))


@pytest.mark.parametrize(
    "package", [df, ddpm, generate, sound, training], ids=lambda package: package.__name__
)
def test_every_public_name_is_documented_once(package):
    found = [name.rpartition(".") for name in documented()]
    names = [name for home, _, name in found if home == package.__name__]
    public = {name for name in package.__all__ if not inspect.ismodule(getattr(package, name))}
    assert sorted(names) == sorted(public - {"__version__"})


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{p}: {c}" for p, c in COMMANDS])
def test_commands_parse(page, line):
    """Command, options and method exist; nothing is carried out."""
    name, *arguments = shlex.split(line, comments=True)
    command = cli.commands[name]
    with command.make_context(name, arguments) as context:
        asked = context.params.get("method") or context.params.get("methods") or ()
    if (
        name == "train" and asked in TRAINED
    ):  # which include those that are no method of the catalog
        return
    for method in [asked] if isinstance(asked, str) else asked:
        of_file = any(suffix in method for suffix in (".safetensors", ".onnx"))
        if method != "all" and ":" not in method and not of_file:
            (df.make_inpainter if name == "inpaint" else df.make)(method)


def test_an_option_that_does_not_exist_would_be_found():
    with pytest.raises(click.NoSuchOption):
        cli.commands["smooth"].make_context("smooth", ["photo.png", "--sigme", "3"])


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(path, marks=[] if path in FIRST_PAGES else [pytest.mark.slow])
        for path, text in TEXTS.items()
        if "```python" in text
    ],
    ids=lambda path: path.stem,
)
def test_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if page.name == "deepinverse.md":
        imported("deepinv")
    elif page.name == "weight-files.md":
        imported("spandrel")
        save_small("NAFNet", tmp_path / "nafnet.pth")
    for block in blocks(page):
        assert "figures" not in block, "code for readers needs nothing of docs/"
        exec(compile(block, page.name, "exec"), {"__name__": page.stem})


def test_code_for_a_user_method_works_on_the_command_line(tmp_path, photo):
    page = DOCS / "guide/own-method.md"
    [code] = [code for code in blocks(page) if "Median" in code]
    (tmp_path / "my_filters.py").write_text(code, "utf-8")
    Image.fromarray((photo * 255).astype(np.uint8)).save(tmp_path / "photo.png")
    commands = re.findall(r"^\$ difffilter (.*my_filters.*)$", TEXTS[page], re.M)
    assert len(commands) == 2
    for command in commands:
        subprocess.run(
            [sys.executable, "-m", "difffilter", *shlex.split(command)], cwd=tmp_path, check=True
        )


@pytest.mark.parametrize("path", [README, ROOT / "CONTRIBUTING.md"], ids=lambda path: path.stem)
def test_named_files_exist(path):
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^):]+)\)", text):
        assert (ROOT / target).exists(), target
    for target in re.findall(r"`((?:difffilter|tests|benchmarks|docs)/[\w/.-]+)`", text):
        if "NAME" not in target:
            assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for goal in re.findall(r"`make (\w+)`", text):
        assert re.search(rf"^{goal}:", makefile, re.M), goal


def test_what_the_page_on_filling_in_says_of_its_picture():
    pieces, errors = runpy.run_path(str(DOCS / "figures.py"))["pieces"](), {}
    for name in ("edge", "hump", "line"):
        image, hole = pieces[name]
        for method in ("harmonic", "biharmonic", "edge_enhancing", "ddpm"):
            filled = df.inpaint(image, hole, method)
            errors[name, method] = np.sqrt(np.mean((filled - image)[hole] ** 2))
            if method == "harmonic":
                around = image[binary_dilation(hole) & ~hole]
                assert around.min() - 1e-6 <= filled[hole].min()
                assert filled[hole].max() <= around.max() + 1e-6
    image, hole = pieces["photograph"]
    plate, around = (
        df.inpaint(image, hole, "biharmonic")[hole],
        image[binary_dilation(hole) & ~hole],
    )
    assert plate.min() < around.min() - 0.05 < around.max() + 0.02 < plate.max()
    assert errors["hump", "biharmonic"] < 1e-4 < 1e-2 < errors["hump", "harmonic"]
    assert errors["edge", "edge_enhancing"] < 0.6 * errors["edge", "biharmonic"]
    assert errors["edge", "biharmonic"] < 0.8 * errors["edge", "harmonic"]
    assert errors["line", "ddpm"] < 0.3 * errors["line", "biharmonic"]


def test_committed_results_are_shown():
    """When this fails: python benchmarks/results_page.py"""
    script = runpy.run_path(str(ROOT / "benchmarks/results_page.py"), run_name="results_page")
    assert script["with_summary"](TEXTS[README]) == TEXTS[README]
    assert script["page"]() == TEXTS[DOCS / "results.md"]


def test_committed_faults_are_shown():
    """When this fails: python benchmarks/reliability.py --page"""
    results = json.loads((ROOT / "benchmarks/results/reliability.json").read_text("utf-8"))
    assert reliability.page(results) == TEXTS[DOCS / "reliability.md"]


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
def test_references_to_the_network_are_found(tag, found):
    offline = runpy.run_path(str(DOCS / "_extensions/offline.py"))
    assert offline["FETCHED"].findall(tag) == found


@pytest.mark.parametrize("folder", ["examples", "course", "tools"])
def test_examples_assert_what_they_claim(folder):
    """They are run as the documentation is built, which an error ends."""
    gallery = (DOCS / "conf.py").read_text("utf-8")
    assert re.search(rf'"examples_dirs": \[.*"{folder}"', gallery)
    assert '"abort_on_example_error": True' in gallery
    examples = sorted((DOCS / folder).glob("*.py"))
    assert examples
    for path in examples:
        assert re.search(r"^ *assert ", path.read_text("utf-8"), re.M), path.name
