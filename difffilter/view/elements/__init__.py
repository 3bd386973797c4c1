"""The elements of the page, which need NiceGUI."""
