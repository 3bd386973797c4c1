"""Figures: comparison of methods, and the two diffusions."""


def formats() -> tuple[str, ...]:
    """The suffixes of the file formats in which a figure can be saved."""
    from matplotlib.backend_bases import FigureCanvasBase

    return tuple(f".{name}" for name in FigureCanvasBase.get_supported_filetypes())
