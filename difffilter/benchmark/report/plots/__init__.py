"""The results of a study as figures, a module for each kind."""

from difffilter.benchmark.report.plots.gallery import Drawing, drawings, save

__all__ = ["Drawing", "drawings", "save"]
