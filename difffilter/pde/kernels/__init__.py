"""Jitted loops: files named after an equation show it plainly, the others make it fast.

- `perona_malik`, of which the heat equation is the case g = 1. Many steps at a time: `strips`, by way of
  `hills_and_valleys`, `face_flux` and a step for every case (`step_lines`), for one channel
  (`step_rows`) and for three (`step_colours`). With a g for every pixel: `pixel_diffusivity`, and
  `presmoothed` in one pass through memory, by `presmoothed_stages`. Implicitly: `implicit`.
- `anisotropic`, by way of `gaussian`. In the plane `tensor_plane` by `tensor_plane_faces`; in volumes
  the links come from `tensor_volume`.
- `tv_flow`, `curvature_motion`, `forward_backward`, `srad`: one file each.
- `common` is what they share, `address` calls compiled functions by their address.
"""
