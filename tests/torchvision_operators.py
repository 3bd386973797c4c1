"""DeepInverse and spandrel for the tests, beside any build of PyTorch.

Both import torchvision. The builds of torchvision on PyPI load their compiled operators beside
PyTorch for CUDA only; beside PyTorch for the CPU the import ends with *operator torchvision::nms does
not exist*. Neither library uses these operators, so here they are declared, without an
implementation; the rest of torchvision is the real one.
"""

import importlib

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

# The operators that `import torchvision` refers to by name.
OPERATORS = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# A declaration lasts as long as its library.
_declared = []


def imported(name):
    """A library that imports torchvision; where it cannot be imported, the tests are skipped."""
    try:
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            if "operator torchvision::" not in str(error):
                raise
            library = torch.library.Library("torchvision", "DEF")
            for operator in OPERATORS:
                library.define(operator + SCHEMA)
            _declared.append(library)
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"{name} cannot be imported: {error}", allow_module_level=True)
