"""Figures: comparison of methods, the two diffusions, and noise."""


def formats() -> tuple[str, ...]:
    """The suffixes of the file formats in which a figure can be saved."""
    from matplotlib.backend_bases import FigureCanvasBase

    return tuple(f".{name}" for name in FigureCanvasBase.get_supported_filetypes())
