"""The imports run one way, and the repository speaks of the project alone."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "difffilter"

# Who stands above whom; a room imports from lower floors only.
FLOORS = [
    {"devices", "image", "picture", "workers"},
    {"tiff"},
    {"files"},
    {"sigma"},
    {"denoiser"},
    {"noise", "metrics", "pde", "ddpm"},
    {"large"},
    {"catalog"},
    {"estimate", "scales", "stabilize"},
    {"batch", "benchmark", "compare", "two_diffusions"},
    {"options"},
    {"cli"},
    {"__init__", "__main__"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def imports(path):
    """The modules of this package that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("difffilter"):
            if node.module == "difffilter":
                yield from (f"difffilter.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("difffilter."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_imports_run_one_way(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        other = module.split(".")[1]
        if other in FLOOR and other != room:
            assert FLOOR[other] < FLOOR[room], f"{path.name} imports {module}"


def test_only_ddpm_imports_torch():
    """But for the PDEs on tensors, in files of their own; two metrics and the search for a device
    do so when they are called."""
    for path in PACKAGE.rglob("*.py"):
        if "ddpm" not in path.parts and not path.match("pde/torch_*.py"):
            when_called = path.stem in ("devices", "metrics")
            anywhere = r"^(import|from) torch" if when_called else r"^\s*(import|from) torch"
            assert not re.search(anywhere, path.read_text("utf-8"), re.M), path


def test_readme_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_readme_names_what_exists():
    readme = (ROOT / "README.md").read_text("utf-8")
    for target in re.findall(r"\]\(([^):]+)\)", readme):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for goal in re.findall(r"make (\w+)", readme):
        assert re.search(rf"^{goal}:", makefile, re.M), goal


def test_readme_shows_the_results_that_are_committed():
    """When this fails: python benchmarks/readme.py"""
    path = ROOT / "benchmarks/readme.py"
    made = {"__name__": "readme", "__file__": str(path)}
    exec(compile(path.read_text("utf-8"), path, "exec"), made)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert made["with_results"](readme) == readme


def test_readme_own_method_works_on_the_command_line(tmp_path, photo):
    readme = (ROOT / "README.md").read_text("utf-8")
    [code] = [code for code in re.findall(r"```python\n(.*?)```", readme, re.S) if "Median" in code]
    (tmp_path / "my_filters.py").write_text(code, "utf-8")
    Image.fromarray((photo * 255).astype(np.uint8)).save(tmp_path / "photo.png")
    commands = re.findall(r"^\$ difffilter (.*my_filters.*)$", readme, re.M)
    assert len(commands) == 2
    for command in commands:
        subprocess.run(
            [sys.executable, "-m", "difffilter", *shlex.split(command)], cwd=tmp_path, check=True
        )
