"""The imports run one way, and only the rooms that may import PyTorch do."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import difffilter as df

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "difffilter"

# The layers: a module imports from lower layers, or from its own folder.
FLOORS = [
    {
        "checks",
        "devices",
        "docstring",
        "html",
        "labels",
        "parallel",
        "relay",
        "search_space",
        "spelling",
    },
    {"workers"},
    {"image"},
    {"io", "noise"},
    {"denoiser"},
    {"metrics", "pde", "ddpm"},
    {"generate"},
    {"sound"},
    {"training", "catalog"},
    {"stabilized", "blend", "blocks"},
    {"api", "scale_spaces", "parameter_docs"},
    {"inpainting"},
    {"figures", "benchmark", "integrations"},
    {"view"},
    {"cli"},
    {"__init__", "__main__"},
]
PDE_FLOORS = [{"kernels"}, {"solve"}, {"backends"}, {"choose"}]


def modules():
    """Every module of the package, by its dotted name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


KNOWN = dict(modules())


def imports(path):
    """The modules of this package that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("difffilter"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in KNOWN or node.module == "difffilter" else node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("difffilter."))


def floors(levels):
    return {room: level for level, rooms in enumerate(levels) for room in rooms}


def test_imports_run_one_way():
    floor, rooms = floors(FLOORS), {name.split(".")[1] for name in KNOWN if "." in name}
    assert rooms <= set(floor), f"on no floor: {rooms - set(floor)}"
    for name, path in KNOWN.items():
        room = name.split(".")[1] if "." in name else "__init__"
        for module in imports(path):
            other = module.split(".")[1]
            if other in floor and other != room:
                assert floor[other] < floor[room], f"{name} imports {module}"


def test_imports_within_pde_run_one_way():
    floor = floors(PDE_FLOORS)
    for name, path in KNOWN.items():
        if name.startswith("difffilter.pde."):
            room = name.split(".")[2]
            for module in imports(path):
                if module.startswith("difffilter.pde.") and (other := module.split(".")[2]) != room:
                    top = len(floor)  # the equations
                    assert floor.get(other, top) <= floor.get(room, top), f"{name} imports {module}"


def test_there_are_no_circles():
    graph = {
        name: {module for module in imports(path) if module in KNOWN} - {name}
        for name, path in KNOWN.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError


# What may be asked of things that are not Denoisers: of an operating system what it offers, and of an
# array whether it is dask's, without importing dask.
MAY_BE_ASKED = r"hasattr\((os|libc|signal), '\w+'\)|type\(image\)\.__module__"


def questions(path):
    """Where a file asks what a thing can do, or of which type or module it is."""
    denoisers = {name for name in df.__all__ if isinstance(getattr(df, name), type)} | {"PDEFilter"}
    denoisers -= {"NoiseModel", "Parameters"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        text = ast.unparse(node) if isinstance(node, ast.Call | ast.Attribute) else ""
        asks = text.startswith("hasattr(") or text.endswith((".__module__", ".__qualname__"))
        if text.startswith("isinstance("):
            asks = bool(denoisers & set(re.findall(r"\w+", ast.unparse(node.args[1]))))
        if text.startswith("type(") and isinstance(node, ast.Call) and len(node.args) == 1:
            asks = text in ("type(denoiser)", "type(method)", "type(inner)", "type(chosen)")
        if asks and not re.fullmatch(MAY_BE_ASKED, text):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {text}"


def test_no_code_asks_for_the_type_of_a_denoiser():
    """Callers rely on the contract, whose defaults hold for a class with nothing but a call."""
    paths = set(PACKAGE.rglob("*.py")) - {PACKAGE / "denoiser.py"}
    assert not [asked for path in sorted(paths) for asked in questions(path)]


@pytest.mark.parametrize(
    "code",
    [
        "hasattr(method, 'choose')",
        "isinstance(candidate, df.Heat)",
        "isinstance(candidate, (int, Denoiser))",
        "type(denoiser) is Heat",
        "method.__module__.startswith('difffilter')",
    ],
)
def test_questions_about_types_are_detected(code, tmp_path, monkeypatch):
    (tmp_path / "asking.py").write_text(code)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert list(questions(tmp_path / "asking.py"))


def test_only_ddpm_imports_torch():
    """Training, the PDEs on tensors and filling in by a DDPM aside; two metrics and the search for a
    device do so when they are called."""
    for path in set(PACKAGE.rglob("*.py")) - {PACKAGE / "inpainting" / "ddpm.py"}:
        if not {"ddpm", "generate", "sound", "training", "backends", "integrations"} & set(
            path.parts
        ):
            when_called = path.stem in ("devices", "metrics")
            anywhere = r"^(import|from) torch" if when_called else r"^\s*(import|from) torch"
            executed = re.sub(
                r"^if TYPE_CHECKING:\n(    .*\n)+", "", path.read_text("utf-8"), flags=re.M
            )
            assert not re.search(anywhere, executed, re.M), path
