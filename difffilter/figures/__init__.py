"""Figures: several methods on one image, the two diffusions."""


def formats() -> tuple[str, ...]:
    """The suffixes of the files in which a figure can be saved."""
    from matplotlib.backend_bases import FigureCanvasBase

    return tuple(f".{name}" for name in FigureCanvasBase.get_supported_filetypes())
