"""A local page for one image: methods and parameters, before and after."""
