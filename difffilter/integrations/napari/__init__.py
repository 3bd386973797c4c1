"""A plugin for napari: a widget that filters image layers, and sample data.

Importing this module imports neither napari nor Qt; napari reads ``napari.yaml`` beside it.
"""
