"""The imports run one way, and the repository speaks of the project alone."""

import ast
import re
import shlex
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "difffilter"

# Who stands above whom; a module imports from lower floors, or from its own folder.
FLOORS = [
    {"devices", "image", "parallel"},
    {"io", "noise"},
    {"denoiser"},
    {"metrics", "pde", "ddpm"},
    {"training", "catalog"},
    {"stabilized", "blocks"},
    {"api"},
    {"figures", "benchmark"},
    {"cli"},
    {"__init__", "__main__"},
]
PDE_FLOORS = [{"kernels"}, {"solve"}, {"backends"}, {"choose"}]


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


def floors(levels):
    return {room: level for level, rooms in enumerate(levels) for room in rooms}


def modules():
    """Every module of the package, by its dotted name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


def test_imports_run_one_way():
    floor, rooms = floors(FLOORS), {name.split(".")[1] for name, _ in modules() if "." in name}
    assert rooms <= set(floor), f"on no floor: {rooms - set(floor)}"
    for name, path in modules():
        room = name.split(".")[1] if "." in name else "__init__"
        for module in imports(path):
            other = module.split(".")[1]
            if other in floor and other != room:
                assert floor[other] < floor[room], f"{name} imports {module}"


def test_imports_within_pde_run_one_way():
    floor = floors(PDE_FLOORS)
    for name, path in modules():
        if name.startswith("difffilter.pde."):
            room = name.split(".")[2]
            for module in imports(path):
                if module.startswith("difffilter.pde.") and (other := module.split(".")[2]) != room:
                    top = len(floor)  # the equations
                    assert floor.get(other, top) <= floor.get(room, top), f"{name} imports {module}"


def test_there_are_no_circles():
    known = dict(modules())
    graph = {
        name: {module for module in imports(path) if module in known} - {name}
        for name, path in known.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_only_ddpm_imports_torch():
    """Training and the PDEs on tensors aside; two metrics and the search for a device do so when
    they are called."""
    for path in PACKAGE.rglob("*.py"):
        if not {"ddpm", "training", "backends"} & set(path.parts):
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
