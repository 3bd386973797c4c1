"""The imports run one way, and only the rooms that may import PyTorch do."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "difffilter"

# Who stands above whom; a module imports from lower floors, or from its own folder.
FLOORS = [
    {"devices", "image", "parallel", "search_space"},
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
